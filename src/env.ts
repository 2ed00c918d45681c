// Bindings and settings, as wrangler.toml and the operator give them. Parsed once an isolate; what is wrong is said by name, at once.
import { z } from "zod";
import { parseApiKey } from "./core/api-key.ts";
import { namedSetting, onlyNames, providersSetting, resolveProviders } from "./env-providers.ts";
import { MODEL_NAMES, type ModelOverrides } from "./core/models.ts";
import type { Limits } from "./core/quota.ts";
import type { LinkKeys } from "./core/signing.ts";
import type { ProviderHealth } from "./durable/provider-health.ts";
import type { Registry } from "./durable/registry.ts";
import type { TenantEvents } from "./durable/tenant-events.ts";
import type { TenantLedger } from "./durable/tenant-ledger.ts";

export interface Bindings {
  readonly TENANTS: KVNamespace;
  readonly VIDEOS: R2Bucket;
  /** Untyped: the types of RPC recurse without end over a provider's opaque operation. wire.ts gives it its port. */
  readonly VIDEO_TASK: DurableObjectNamespace;
  readonly TENANT_LEDGER: DurableObjectNamespace<TenantLedger>;
  readonly TENANT_EVENTS: DurableObjectNamespace<TenantEvents>;
  readonly PROVIDER_HEALTH: DurableObjectNamespace<ProviderHealth>;
  readonly REGISTRY: DurableObjectNamespace<Registry>;
  readonly SHIELD_ADDRESS: RateLimit;
  readonly SHIELD_TENANT: RateLimit;
  readonly SHIELD_MISSES: RateLimit;
  readonly USAGE: AnalyticsEngineDataset;
  /** Only where wrangler.toml binds it: see README, "Prompt enhancement". */
  readonly AI?: Ai;
}

declare global {
  namespace Cloudflare {
    interface Env extends Bindings {}
  }
}

/** Every problem with the settings, one a line. Names settings, never their values. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

export type Settings = ReturnType<typeof parseSettings>;

/** Throws SettingsError. */
export function parseSettings(env: object) {
  const raw = settingsSchema.safeParse(env);
  const listed = providersSchema.safeParse(env);
  const problems = [raw, listed].flatMap(({ error }) =>
    (error?.issues ?? []).map((issue) => `${issue.path.join(".")}: ${issue.message}`),
  );
  const text = (name: string): string => {
    const value: unknown = (env as Record<string, unknown>)[name];
    return typeof value === "string" ? value : "";
  };
  const local = text("ENVIRONMENT") === "local";
  const providers = resolveProviders(listed.data?.PROVIDERS ?? [], text, local, problems);
  if (!raw.success) throw new SettingsError(problems.join("\n"));
  const { data } = raw;
  const s3 = allOrNone(
    {
      S3_ENDPOINT: data.S3_ENDPOINT,
      S3_BUCKET: data.S3_BUCKET,
      S3_ACCESS_KEY_ID: data.S3_ACCESS_KEY_ID,
      S3_SECRET_ACCESS_KEY: data.S3_SECRET_ACCESS_KEY,
    },
    problems,
  );
  const enhancer = allOrNone({ ENHANCER_BASE_URL: data.ENHANCER_BASE_URL, ENHANCER_MODEL: data.ENHANCER_MODEL }, problems);
  if (problems.length > 0) throw new SettingsError(problems.join("\n"));
  return {
    local,
    publicUrl: data.PUBLIC_URL?.replace(/\/+$/, "") ?? null,
    taskIdSecrets: data.TASK_ID_SECRETS,
    linkKeys: data.LINK_SECRETS,
    linkTtlSeconds: data.LINK_TTL_SECONDS,
    maxVideoBytes: data.MAX_VIDEO_BYTES,
    models: data.MODELS,
    providers,
    s3: s3 && {
      endpoint: s3.S3_ENDPOINT.replace(/\/+$/, ""),
      bucket: s3.S3_BUCKET,
      accessKeyId: s3.S3_ACCESS_KEY_ID,
      secretAccessKey: s3.S3_SECRET_ACCESS_KEY,
    },
    enhancer: enhancer && {
      baseUrl: enhancer.ENHANCER_BASE_URL.replace(/\/+$/, ""),
      model: enhancer.ENHANCER_MODEL,
      apiKey: data.ENHANCER_API_KEY ?? null,
    },
    adminToken: data.ADMIN_TOKEN ?? null,
    alertUrl: data.ALERT_URL ?? null,
    demo: local && data.DEMO_KEYS.length > 0 ? { keys: data.DEMO_KEYS, limits: data.DEMO_PLAN } : null,
  };
}

/** Wide enough that a load test meets the machine's limits, not the plan's. */
const DEMO_LIMITS: Limits = {
  creditsPerPeriod: 1_000_000,
  createsPerMinute: 100_000,
  liveTasks: 10_000,
  models: null,
  retentionDays: 7,
};

const plan = namedSetting({
  credits: z.int().min(0),
  requests_per_minute: z.int().min(1),
  live_tasks: z.int().min(1),
  models: z.array(z.enum(MODEL_NAMES)).nullable(),
  retention_days: z.int().min(1).max(365),
  route_choice: z.boolean(),
})
  .partial()
  .transform((given): Limits => ({
    creditsPerPeriod: given.credits ?? DEMO_LIMITS.creditsPerPeriod,
    createsPerMinute: given.requests_per_minute ?? DEMO_LIMITS.createsPerMinute,
    liveTasks: given.live_tasks ?? DEMO_LIMITS.liveTasks,
    models: given.models ?? DEMO_LIMITS.models,
    retentionDays: given.retention_days ?? DEMO_LIMITS.retentionDays,
    choosesRoutes: given.route_choice ?? true,
  }));

const modelOverrides = z
  .partialRecord(
    z.enum(MODEL_NAMES),
    namedSetting({
      credits: z.int().min(1).optional(),
      upsample_credits: z.int().min(0).optional(),
      deadline_minutes: z
        .number()
        .min(1)
        .max(24 * 60)
        .optional(),
      median_seconds: z.number().min(1).optional(),
    }),
    onlyNames(MODEL_NAMES),
  )
  .transform((overrides) => {
    const entries = Object.entries(overrides).map(([name, given]) => {
      const { credits, upsample_credits: upsampleCredits, deadline_minutes: minutes, median_seconds: seconds } = given ?? {};
      const mine = { credits, upsampleCredits, deadlineMs: minutes && minutes * 60_000, medianMs: seconds && seconds * 1000 };
      return [name, Object.fromEntries(Object.entries(mine).filter(([, value]) => value !== undefined))];
    });
    return Object.fromEntries(entries) as ModelOverrides;
  });

/** A setting that holds JSON. Its default is JSON too, so that README can show it. */
function json<Schema extends z.ZodType>(schema: Schema, fallback: string) {
  return z
    .string()
    .default(fallback)
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text);
      } catch {
        context.addIssue("is not JSON");
        return z.NEVER;
      }
    })
    .pipe(schema);
}

function integer(min: number, max: number, fallback: number) {
  return z.coerce.number().int().min(min).max(max).default(fallback);
}

/** Newest first; at most two, so that an old one is not kept for ever. */
function secretList<Each extends z.ZodType<unknown, string>>(each: Each) {
  return z
    .string("is not set; it is to be a secret")
    .transform((text) => text.split(",").map((part) => part.trim()))
    .pipe(z.array(each).min(1).max(2, "at most two: the one in use, and the one before it"));
}

const MIN_SECRET_LENGTH = 12;
const secretText = z.string().min(MIN_SECRET_LENGTH, `a secret has at least ${MIN_SECRET_LENGTH} characters`);
const linkKey = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,16}:.{12,}$/, "each is kid:secret, the kid 1 to 16 of A-Z, a-z, 0-9, _ and -")
  .transform((text): LinkKeys[number] => ({ kid: text.slice(0, text.indexOf(":")), secret: text.slice(text.indexOf(":") + 1) }));

const settingsSchema = z.object({
  ENVIRONMENT: z.enum(["production", "local"]).default("production"),
  PUBLIC_URL: z.url().optional(),
  TASK_ID_SECRETS: secretList(secretText),
  LINK_SECRETS: secretList(linkKey),
  LINK_TTL_SECONDS: integer(60, 7 * 86_400, 3_600),
  MAX_VIDEO_BYTES: integer(1, 5 * 2 ** 30, 2 * 2 ** 30),
  MODELS: json(modelOverrides, "{}"),
  ENHANCER_BASE_URL: z.url().optional(),
  ENHANCER_MODEL: z.string().min(1).optional(),
  ENHANCER_API_KEY: z.string().min(1).optional(),
  S3_ENDPOINT: z.url().optional(),
  S3_BUCKET: z.string().min(1).optional(),
  S3_ACCESS_KEY_ID: z.string().min(1).optional(),
  S3_SECRET_ACCESS_KEY: z.string().min(1).optional(),
  /** At least as long as `openssl rand -hex 16` makes it. */
  ADMIN_TOKEN: z
    .string()
    .min(16, "has at least 16 characters")
    // What it is sent as: one word, and not one that could be a tenant's key.
    .regex(/^(?!sk-)[!-~]*$/, "is printable ASCII without spaces, and does not begin with sk-")
    .optional(),
  ALERT_URL: z.url({ protocol: /^https?$/ }).optional(),
  DEMO_KEYS: z
    .string()
    .default("")
    .transform((text) => text.split(",").filter((key) => key !== ""))
    .refine((keys) => keys.every((key) => parseApiKey(key) !== null), "holds something that is not an API key"),
  DEMO_PLAN: json(plan, "{}"),
});

const providersSchema = z.object({ PROVIDERS: json(providersSetting, "[]") });

/** Settings that only make sense together; null where none is set. */
function allOrNone<Name extends string>(group: Record<Name, string | undefined>, problems: string[]): Record<Name, string> | null {
  const missing = Object.keys(group).filter((name) => group[name as Name] === undefined);
  if (missing.length === 0) return group as Record<Name, string>;
  if (missing.length < Object.keys(group).length)
    problems.push(...missing.map((name) => `${name}: is missing; the others of its group are set`));
  return null;
}
