// The composition root: from bindings and settings to everything that a request or an alarm works with.
import { waitUntil } from "cloudflare:workers";
import type { Mode } from "./core/api-key.ts";
import { catalogue } from "./core/models.ts";
import { parseSettings, type Bindings, type Settings } from "./env.ts";
import { consoleTelemetry } from "./stores/telemetry.ts";
import { isAddressIn, isAddressRange } from "./net/address-ranges.ts";
import { alertSender } from "./net/alerts.ts";
import { imageFetcher } from "./net/image-fetch.ts";
import { judgeWebhookUrl as judgeUrlOf } from "./net/url-policy.ts";
import { webhookSender } from "./net/webhook-sender.ts";
import type { BooksOf, Enhancer, EventsOf, HealthOf, JudgeUrl, LedgerOf, RegistryPort, Shield, TaskOf, TaskPort } from "./ports.ts";
import { builtinEnhancer } from "./providers/enhancer-builtin.ts";
import { chatEnhancer } from "./providers/enhancer-chat.ts";
import { workersAiEnhancer } from "./providers/enhancer-workers-ai.ts";
import { accounts } from "./service/accounts.ts";
import { authenticator } from "./service/authenticate.ts";
import { sweep, type SweepReport } from "./service/cleanup.ts";
import { deliverer } from "./service/deliver.ts";
import { contentReader } from "./service/content.ts";
import { files } from "./service/files.ts";
import { videoLinks } from "./service/links.ts";
import { callbacks } from "./service/callbacks.ts";
import { currentModels } from "./service/models.ts";
import { operator } from "./service/operator/operator.ts";
import { referenceImages } from "./service/reference-images.ts";
import { taskTokens } from "./service/task-tokens.ts";
import { seedDemoTenant } from "./service/tenancy.ts";
import { videos } from "./service/videos.ts";
import { watch } from "./service/watch.ts";
import { providerTable } from "./wire-providers.ts";
import { webhooks } from "./service/webhooks.ts";
import { signedLinks } from "./stores/links.ts";
import { presigner } from "./stores/presign.ts";
import { r2Images } from "./stores/images.ts";
import { r2Objects } from "./stores/stored-objects.ts";
import { kvTenants } from "./stores/tenants.ts";
import { r2Videos } from "./stores/videos.ts";

export type House = ReturnType<typeof build>;

/** One an isolate. A Durable Object has an `env` of its own, hence the key. */
const houses = new WeakMap<object, House>();

/** Throws SettingsError, at every call until the settings are right. */
export function wire(env: Bindings): House {
  const known = houses.get(env);
  if (known !== undefined) return known;
  const house = build(env);
  houses.set(env, house);
  return house;
}

function build(env: Bindings) {
  const settings = parseSettings(env);
  const clock = (): number => Date.now();
  const table = catalogue(settings.models);
  const tenants = kvTenants(env.TENANTS);
  const models = currentModels({ catalogue: table, tenants, clock });
  const store = r2Videos(env.VIDEOS, { maxBytes: settings.maxVideoBytes });
  const objects = r2Objects(env.VIDEOS);
  const images = r2Images(env.VIDEOS);
  const ledgerOf: LedgerOf = (tenant, mode) => env.TENANT_LEDGER.getByName(`${tenant}/${mode}`);
  const taskOf: TaskOf = (tenant, id) => env.VIDEO_TASK.getByName(`${tenant}/${id}`) as unknown as TaskPort;
  const booksOf: BooksOf = (tenant, mode) => env.TENANT_LEDGER.getByName(`${tenant}/${mode}`);
  const registry = registryOf(env);
  const { routes, providerOf, limitsOf, timeoutsOf, probesOf, entries } = providerTable(settings.providers, settings.local, clock);
  const eventsOf: EventsOf = (tenant, mode) => env.TENANT_EVENTS.getByName(`${tenant}/${mode}`);
  const links = settings.s3
    ? presigner({ ...settings.s3, ttlSeconds: settings.linkTtlSeconds })
    : signedLinks(settings.linkKeys, settings.linkTtlSeconds);
  const healthOf: HealthOf = (provider) => env.PROVIDER_HEALTH.getByName(provider);
  const judgeTenantUrl: JudgeUrl = (url, ownHost) => judgeUrlOf(url, [ownHost, ...ownHosts(settings)], settings.local);
  const callbackService = callbacks({
    taskOf,
    providerOf,
    hintShield: shield(env.SHIELD_MISSES),
    secrets: settings.taskIdSecrets,
    publicUrl: settings.publicUrl,
  });
  const imageService = referenceImages({ images, linkKeys: settings.linkKeys, publicUrl: settings.publicUrl, clock });
  const randomBytes = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length));
  const runSweep = async (dryRun = false): Promise<SweepReport | null> =>
    sweep({ registry, ledgerOf, eventsOf, objects }, clock(), dryRun);
  const keepAlive = (work: Promise<void>): void => waitUntil(work);

  return {
    settings,
    table,
    models,
    routes,
    tenants,
    ledgerOf,
    taskOf,
    eventsOf,
    deliver: deliverer({ send: webhookSender(judgeTenantUrl), links, clock }),
    providerOf,
    limitsOf,
    probesOf,
    timeoutsOf,
    healthOf,
    images,
    fetchImage: imageFetcher(judgeTenantUrl),
    imageUrlOf: imageService.urlOf,
    referenceImages: imageService,
    callbackUrlOf: callbackService.urlOf,
    callbacks: callbackService,
    telemetry: consoleTelemetry(env.USAGE, alertSender(settings.alertUrl, clock, keepAlive)),
    booksOf,
    registry,
    /** The store, by the name that core's effects are performed with. */
    videos: store,
    missShield: shield(env.SHIELD_MISSES),
    authenticate: authenticator({
      tenants,
      booksOf,
      addressShield: shield(env.SHIELD_ADDRESS),
      tenantShield: shield(env.SHIELD_TENANT),
      isAddressIn,
      clock,
      pause: async (ms) => scheduler.wait(ms),
    }),
    service: videos({
      models,
      routes,
      tenants,
      ledgerOf,
      taskOf,
      images,
      links,
      enhancers: enhancersOf(env, settings),
      judgeWebhookUrl: judgeTenantUrl,
      judgeImageUrl: judgeTenantUrl,
      taskIdSecrets: settings.taskIdSecrets,
      clock,
      randomBytes,
    }),
    content: contentReader({ videos: store, taskOf, taskIdSecrets: settings.taskIdSecrets, clock }),
    watch: watch({
      taskOf,
      eventsOf,
      links,
      taskIdSecrets: settings.taskIdSecrets,
      clock,
      sleep: async (ms, signal) => scheduler.wait(ms, { signal }).catch(() => undefined),
    }),
    taskTokens: taskTokens({
      tenants,
      booksOf,
      taskOf,
      taskIdSecrets: settings.taskIdSecrets,
      addressShield: shield(env.SHIELD_ADDRESS),
      tenantShield: shield(env.SHIELD_TENANT),
      clock,
    }),
    files: files({ videos: store, linkKeys: settings.linkKeys, clock }),
    videoLinks: videoLinks({
      taskOf,
      links,
      linkTtlSeconds: settings.linkTtlSeconds,
      taskIdSecrets: settings.taskIdSecrets,
      clock,
    }),
    accounts: accounts({ booksOf }),
    webhooks: webhooks({ eventsOf, judgeWebhookUrl: judgeTenantUrl, links, clock, randomBytes }),
    runSweep,
    operator: operator({
      registry,
      booksOf,
      taskOf,
      clock,
      randomBytes,
      isAddressRange,
      catalogue: table,
      taskIdSecrets: settings.taskIdSecrets,
      healthOf,
      providerOf,
      probesOf,
      providers: entries,
      runSweep,
      doctor: {
        tenants,
        objects,
        registry,
        clock,
        linkKeys: settings.linkKeys.length,
        taskIdSecrets: settings.taskIdSecrets.length,
        hasPublicUrl: settings.publicUrl !== null,
        hasAlertUrl: settings.alertUrl !== null,
        local: settings.local,
      },
    }),
    /** Local runs only; nothing is deployed with demo keys. */
    seedDemo: once(async () => {
      if (settings.demo !== null) await seedDemoTenant({ booksOf, registry }, settings.demo.keys, settings.demo.limits, clock());
    }),
  };
}

/** A new stub a call, because one that has failed stays broken. */
function registryOf(env: Bindings): RegistryPort {
  const stub = (): RegistryPort => env.REGISTRY.getByName("registry");
  return {
    addTenant: async (tenant) => stub().addTenant(tenant),
    tenant: async (id) => stub().tenant(id),
    changeTenant: async (id, change) => stub().changeTenant(id, change),
    tenants: async (after, limit) => stub().tenants(after, limit),
    switches: async () => stub().switches(),
    switchModel: async (model, to) => stub().switchModel(model, to),
    audit: async (entry) => stub().audit(entry),
    auditLog: async (before, limit) => stub().auditLog(before, limit),
    beginSweep: async () => stub().beginSweep(),
    finishSweep: async (lease, cursor) => stub().finishSweep(lease, cursor),
    abandonSweep: async (lease) => stub().abandonSweep(lease),
    lastSweepAt: async () => stub().lastSweepAt(),
    republish: async () => stub().republish(),
  };
}

/** A broken shield lets pass: what a tenant may do is counted by its ledger. */
function shield(binding: RateLimit): Shield {
  return async (key) => {
    try {
      return (await binding.limit({ key })).success;
    } catch {
      return true;
    }
  };
}

function enhancersOf(env: Bindings, { enhancer }: Settings): Record<Mode, Enhancer | null> {
  const live = enhancer !== null ? chatEnhancer(enhancer) : env.AI === undefined ? null : workersAiEnhancer(env.AI);
  return { test: builtinEnhancer, live };
}

function ownHosts({ publicUrl, s3 }: Settings): string[] {
  return [publicUrl, s3?.endpoint].filter((url) => url !== null && url !== undefined).map((url) => new URL(url).host);
}

/** Until it succeeds; then never again. */
function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | null = null;
  return async () => {
    done ??= work().catch((error: unknown) => {
      done = null;
      throw error;
    });
    return done;
  };
}
