// The provider table: each configured upstream with its adapter, once a credential, and the routes to it.
import type { Json } from "./core/json.ts";
import type { ModelName } from "./core/models.ts";
import type { ImageType } from "./core/reference-image.ts";
import type { Route } from "./core/routing.ts";
import { timeoutsSetting, type ProviderKind, type ProviderSettings } from "./env-providers.ts";
import type { Clock, Provider, ProviderLimits, ProviderOf, ProviderTimeouts, Upstream } from "./ports.ts";
import * as fal from "./providers/fal.ts";
import * as gemini from "./providers/gemini.ts";
import * as openaiStyle from "./providers/openai-style.ts";
import * as openrouter from "./providers/openrouter.ts";
import * as replicate from "./providers/replicate.ts";
import { seedStyle } from "./providers/seed-style.ts";
import { simulated } from "./providers/simulated.ts";
import * as veo from "./providers/veo.ts";
import { shownTraits, type ProviderEntry } from "./service/operator/providers.ts";

interface Wire {
  readonly make: (upstream: Upstream) => Provider;
  /** What it calls our models, unless the operator says otherwise; null: as we do. */
  readonly models: ((credential: string) => Readonly<Record<ModelName, string>>) | null;
  /** Whether this of its models has one size only; absent: none has. */
  readonly isPlainOnly?: (upstreamModel: string) => boolean;
  /** For how many images it has room; absent: for as many as a model may have. */
  readonly maxImages?: number;
  /** Which types of image it takes; absent: every one that a tenant may send. */
  readonly imageTypes?: (credential: string) => readonly ImageType[] | null;
  /** Its own host; null: the operator names it. */
  readonly baseUrl: ((credential: string, region: string | null) => string) | null;
  /** An operation as its adapter keeps them, of a form that the wire takes, which cannot exist: asked after to see whether a key works. */
  readonly probe: (credential: string, region: string | null) => Json;
}

const WIRES: Record<ProviderKind, Wire> = {
  "seed-style": { make: seedStyle, models: null, baseUrl: null, probe: () => ({ id: "veo3:1000000000-reelay-check" }) },
  "openai-style": {
    make: openaiStyle.openaiStyle,
    models: () => openaiStyle.MODELS,
    maxImages: openaiStyle.MAX_IMAGES,
    baseUrl: null,
    probe: () => ({ id: "video_reelay_check" }),
  },
  gemini: { make: gemini.gemini, models: gemini.modelsOf, baseUrl: gemini.baseUrlOf, probe: () => ({ id: "reelay-check" }) },
  veo: {
    make: veo.veo,
    models: veo.modelsOf,
    isPlainOnly: veo.isVeo2,
    imageTypes: veo.imageTypesOf,
    baseUrl: veo.baseUrlOf,
    probe: veo.probeOf,
  },
  fal: {
    make: fal.fal,
    models: () => fal.MODELS,
    isPlainOnly: fal.isVeo2,
    baseUrl: () => fal.BASE_URL,
    probe: () => ({ id: "00000000-0000-4000-8000-000000000000", app: "fal-ai/veo3.1" }),
  },
  replicate: {
    make: replicate.replicate,
    models: () => replicate.MODELS,
    baseUrl: () => replicate.BASE_URL,
    probe: () => ({ id: "reelaycheck000000000000000" }),
  },
  openrouter: {
    make: openrouter.openrouter,
    models: () => openrouter.MODELS,
    baseUrl: () => openrouter.BASE_URL,
    probe: () => ({ id: "reelay-check", pollingUrl: null }),
  },
};

const SIMULATED: Route = {
  provider: "simulated",
  mode: "test",
  priority: 0,
  weight: 1,
  models: null,
  plainOnly: [],
  medianMs: simulated.MEDIAN_MS,
  tags: [],
  credentials: [""],
  images: "url",
  maxImages: null,
  imageTypes: null,
  leased: false,
  resubmits: false,
  hinted: "none",
  overdueFactor: null,
  costCents: null,
};

const DEFAULT_TIMEOUTS = timeoutsSetting.parse({});

export interface ProviderTable {
  /** Every test key has the simulated provider and no other; live keys have what the operator configured. */
  readonly routes: readonly Route[];
  readonly providerOf: ProviderOf;
  readonly limitsOf: (provider: string) => ProviderLimits;
  readonly timeoutsOf: (provider: string) => ProviderTimeouts;
  /** What the operator sees: each as it is configured, without its secrets. */
  readonly entries: readonly ProviderEntry[];
  /** Operations that cannot exist, by credential; empty where there is no such provider. */
  readonly probesOf: (provider: string) => ReadonlyMap<string, Json>;
}

export function providerTable(settings: readonly ProviderSettings[], local: boolean, clock: Clock): ProviderTable {
  const built = settings.map((each) => ({ each, adapters: adaptersOf(each, local) }));
  const test = simulated.provider(clock);
  const byName = new Map(built.map(({ each, adapters }) => [each.name, adapters]));
  const limits = new Map(
    settings.map(({ name, concurrency, requests_per_minute: perMinute }) => [name, { concurrency, perMinute }]),
  );
  const limitsOf = (provider: string): ProviderLimits => {
    const { concurrency = null, perMinute = null } = limits.get(provider) ?? {};
    return { concurrency, perMinute };
  };
  return {
    routes: [SIMULATED, ...built.map(({ each, adapters }) => routeOf(each, adapters))],
    providerOf({ provider, credential }) {
      if (provider === SIMULATED.provider) return test;
      const adapters = byName.get(provider);
      // An attempt of a release that knew one credential a provider has none by name.
      return credential === "" ? adapters?.values().next().value : adapters?.get(credential);
    },
    limitsOf,
    timeoutsOf(provider) {
      return toTimeouts(settings.find(({ name }) => name === provider)?.timeouts ?? DEFAULT_TIMEOUTS);
    },
    entries: built.flatMap(({ each, adapters }) =>
      [...adapters.values()].slice(0, 1).map((adapter) => entryOf(each, adapter, limitsOf(each.name))),
    ),
    probesOf(provider) {
      const { kind, region = null, credentials = [] } = settings.find(({ name }) => name === provider) ?? {};
      return new Map(kind === undefined ? [] : credentials.map(({ name, value }) => [name, WIRES[kind].probe(value, region)]));
    },
  };
}

function toTimeouts({ submit_seconds, poll_seconds }: ProviderSettings["timeouts"]): ProviderTimeouts {
  return { submitMs: submit_seconds * 1000, pollMs: poll_seconds * 1000 };
}

function entryOf(settings: ProviderSettings, adapter: Provider, limits: ProviderLimits): ProviderEntry {
  const { name, kind, priority, weight, tags, models, region = null, credentials, median_seconds: seconds } = settings;
  return {
    name,
    kind,
    host: new URL(baseOf(settings, credentials[0]?.value ?? "")).host,
    priority,
    weight,
    tags,
    models: models === undefined ? null : Object.keys(models),
    region,
    credentials: credentials.map((each) => each.name),
    limits,
    timeouts: toTimeouts(settings.timeouts),
    medianMs: seconds === undefined ? null : seconds * 1000,
    overdueFactor: settings.overdue_factor ?? null,
    costCents: settings.cost_cents ?? null,
    traits: shownTraits(adapter),
  };
}

function baseOf({ kind, base_url: named, region }: ProviderSettings, credential: string): string {
  return named ?? WIRES[kind].baseUrl?.(credential, region ?? null) ?? "";
}

function adaptersOf(settings: ProviderSettings, local: boolean): ReadonlyMap<string, Provider> {
  const { make } = WIRES[settings.kind];
  const region = settings.region ?? null;
  return new Map(
    settings.credentials.map(({ name, value }) => [
      name,
      make({
        baseUrl: baseOf(settings, value),
        credential: value,
        resultHosts: settings.result_hosts ?? null,
        allowLoopback: local,
        honoursIdempotencyKey: settings.honours_idempotency_key,
        region,
        storageUri: settings.storage_uri ?? null,
        callbackSecrets: settings.callbackSecrets,
      }),
    ]),
  );
}

function routeOf(settings: ProviderSettings, adapters: ReadonlyMap<string, Provider>): Route {
  const { name, kind, priority, weight, tags, models, median_seconds: seconds } = settings;
  const traits = [...adapters.values()][0]?.traits;
  const wire = WIRES[kind];
  const named = models ?? wire.models?.(settings.credentials[0]?.value ?? "") ?? null;
  return {
    provider: name,
    mode: "live",
    priority,
    weight,
    models: named,
    plainOnly: Object.entries(named ?? {}).flatMap(([ours, theirs]) => (wire.isPlainOnly?.(theirs) === true ? [ours] : [])),
    medianMs: seconds === undefined ? null : seconds * 1000,
    tags,
    credentials: [...adapters.keys()],
    images: traits?.images ?? "url",
    maxImages: wire.maxImages ?? null,
    imageTypes: wire.imageTypes?.(settings.credentials[0]?.value ?? "") ?? null,
    leased: true,
    resubmits: traits?.idempotentCreate ?? false,
    hinted: traits?.callback ?? "none",
    overdueFactor: settings.overdue_factor ?? null,
    costCents: settings.cost_cents ?? null,
  };
}
