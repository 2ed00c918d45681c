// The composition root: from bindings and settings to everything that a request or an alarm works with.
import { waitUntil } from "cloudflare:workers";
import type { Mode } from "./core/api-key.ts";
import { catalogue } from "./core/models.ts";
import type { Route } from "./core/routing.ts";
import { parseSettings, type Bindings, type ProviderSettings, type Settings } from "./env.ts";
import { consoleTelemetry } from "./stores/telemetry.ts";
import { isAddressIn, isAddressRange } from "./net/address-ranges.ts";
import { alertSender } from "./net/alerts.ts";
import { judgePublicUrl, judgeWebhookUrl as judgeWebhook } from "./net/url-policy.ts";
import type { BooksOf, Enhancer, EventsOf, JudgeUrl, LedgerOf, Provider, RegistryPort, Shield, TaskOf, TaskPort } from "./ports.ts";
import { builtinEnhancer } from "./providers/enhancer-builtin.ts";
import { chatEnhancer } from "./providers/enhancer-chat.ts";
import { workersAiEnhancer } from "./providers/enhancer-workers-ai.ts";
import { seedStyle } from "./providers/seed-style.ts";
import { simulated } from "./providers/simulated.ts";
import { accounts } from "./service/accounts.ts";
import { authenticator } from "./service/authenticate.ts";
import { sweep, type SweepReport } from "./service/cleanup.ts";
import { files } from "./service/files.ts";
import { currentModels } from "./service/models.ts";
import { operator } from "./service/operator/operator.ts";
import { seedDemoTenant } from "./service/tenancy.ts";
import { videos } from "./service/videos.ts";
import { signedLinks } from "./stores/links.ts";
import { presigner } from "./stores/presign.ts";
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
  const ledgerOf: LedgerOf = (tenant, mode) => env.TENANT_LEDGER.getByName(`${tenant}/${mode}`);
  const taskOf: TaskOf = (tenant, id) => env.VIDEO_TASK.getByName(`${tenant}/${id}`) as unknown as TaskPort;
  const booksOf: BooksOf = (tenant, mode) => env.TENANT_LEDGER.getByName(`${tenant}/${mode}`);
  const registry = registryOf(env);
  const routes = routesOf(settings);
  const eventsOf: EventsOf = () => ({
    publish: async () => undefined,
    feed: async () => ({ news: [], latest: 0, oldest: 0 }),
  });
  const judgeWebhookUrl: JudgeUrl = (url, ownHost) => judgeWebhook(url, [ownHost, ...ownHosts(settings)], settings.local);
  const randomBytes = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length));
  const runSweep = async (dryRun = false): Promise<SweepReport | null> =>
    sweep({ registry, ledgerOf, videos: store }, clock(), dryRun);
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
    providers: providersOf(settings, clock),
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
      links: settings.s3
        ? presigner({ ...settings.s3, ttlSeconds: settings.linkTtlSeconds })
        : signedLinks(settings.linkKeys, settings.linkTtlSeconds),
      enhancers: enhancersOf(env, settings),
      judgeWebhookUrl,
      judgeImageUrl: (url, ownHost) => judgePublicUrl(url, [ownHost, ...ownHosts(settings)]),
      taskIdSecrets: settings.taskIdSecrets,
      clock,
      randomBytes,
    }),
    files: files({ videos: store, linkKeys: settings.linkKeys, clock }),
    accounts: accounts({ booksOf }),
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
      providers: settings.providers.map(({ name, kind, priority, models: map }) => ({
        name,
        kind,
        priority,
        models: map === undefined ? null : Object.keys(map),
      })),
      runSweep,
      doctor: {
        tenants,
        videos: store,
        registry,
        clock,
        providers: settings.providers.length,
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

/** Every test key has the simulated provider and no other; live keys have what the operator configured. */
function routesOf(settings: Settings): Route[] {
  const live = settings.providers.map(({ name, priority, models, median_seconds: seconds }): Route => ({
    provider: name,
    mode: "live",
    priority,
    models: models ?? null,
    medianMs: seconds === undefined ? null : seconds * 1000,
  }));
  return [{ provider: "simulated", mode: "test", priority: 0, models: null, medianMs: simulated.MEDIAN_MS }, ...live];
}

function providersOf(settings: Settings, clock: () => number): ReadonlyMap<string, Provider> {
  const configured = settings.providers.map((each): [string, Provider] => [each.name, providerOf(each, settings.local)]);
  return new Map([["simulated", simulated.provider(clock)], ...configured]);
}

function providerOf(settings: ProviderSettings, local: boolean): Provider {
  switch (settings.kind) {
    case "seed-style":
      return seedStyle({
        baseUrl: settings.base_url,
        credential: settings.api_key,
        resultHosts: settings.result_hosts ?? null,
        allowLoopback: local,
        honoursIdempotencyKey: settings.honours_idempotency_key,
        region: null,
        storageUri: null,
      });
  }
}

function enhancersOf(env: Bindings, { enhancer }: Settings): Record<Mode, Enhancer | null> {
  const live = enhancer !== null ? chatEnhancer(enhancer) : env.AI === undefined ? null : workersAiEnhancer(env.AI);
  return { test: builtinEnhancer, live };
}

function ownHosts({ publicUrl, s3 }: Settings): string[] {
  return [publicUrl, s3?.endpoint].filter((url) => url !== null && url !== undefined).map((url) => new URL(url).hostname);
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
