// The composition root: from bindings and settings to everything that a request or an alarm works with.
import type { Mode } from "./core/api-key.ts";
import { catalogue } from "./core/models.ts";
import type { Route } from "./core/routing.ts";
import { parseSettings, type Bindings, type ProviderSettings, type Settings } from "./env.ts";
import { consoleTelemetry } from "./stores/telemetry.ts";
import { judgePublicUrl } from "./net/url-policy.ts";
import type { Enhancer, LedgerOf, Provider, Shield, SweepPort, TaskOf, TaskPort } from "./ports.ts";
import { builtinEnhancer } from "./providers/enhancer-builtin.ts";
import { chatEnhancer } from "./providers/enhancer-chat.ts";
import { workersAiEnhancer } from "./providers/enhancer-workers-ai.ts";
import { seedStyle } from "./providers/seed-style.ts";
import { simulated } from "./providers/simulated.ts";
import { authenticator } from "./service/authenticate.ts";
import { sweep, type SweepReport } from "./service/cleanup.ts";
import { files } from "./service/files.ts";
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
  const models = catalogue(settings.models);
  const tenants = kvTenants(env.TENANTS);
  const store = r2Videos(env.VIDEOS, { maxBytes: settings.maxVideoBytes });
  const ledgerOf: LedgerOf = (tenant, mode) => env.TENANT_LEDGER.getByName(`${tenant}/${mode}`);
  const taskOf: TaskOf = (tenant, id) => env.VIDEO_TASK.getByName(`${tenant}/${id}`) as unknown as TaskPort;
  const sweepPort = sweepOf(env);
  const routes = routesOf(settings);
  const tenancy = { ledgerOf, sweep: sweepPort };

  return {
    settings,
    models,
    routes,
    tenants,
    ledgerOf,
    taskOf,
    providers: providersOf(settings, clock),
    telemetry: consoleTelemetry(env.USAGE),
    /** The store, by the name that core's effects are performed with. */
    videos: store,
    missShield: shield(env.SHIELD_MISSES),
    authenticate: authenticator({
      tenants,
      addressShield: shield(env.SHIELD_ADDRESS),
      tenantShield: shield(env.SHIELD_TENANT),
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
      judgeImageUrl: (url, ownHost) => judgePublicUrl(url, [ownHost, ...ownHosts(settings)]),
      taskIdSecrets: settings.taskIdSecrets,
      clock,
      randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    }),
    files: files({ videos: store, linkKeys: settings.linkKeys, clock }),
    runSweep: async (): Promise<SweepReport | null> => sweep({ sweep: sweepPort, ledgerOf, videos: store }, clock()),
    /** Local runs only; nothing is deployed with demo keys. */
    seedDemo: once(async () => {
      if (settings.demo !== null) await seedDemoTenant(tenancy, settings.demo.keys, settings.demo.limits);
    }),
  };
}

/** A new stub a call, because one that has failed stays broken. */
function sweepOf(env: Bindings): SweepPort {
  const stub = () => env.SWEEP.getByName("sweep");
  return {
    register: async (tenant) => stub().register(tenant),
    begin: async () => stub().begin(),
    finish: async (lease, cursor) => stub().finish(lease, cursor),
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
        name: settings.name,
        baseUrl: settings.base_url,
        apiKey: settings.api_key,
        resultHosts: settings.result_hosts ?? null,
        allowLoopback: local,
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
