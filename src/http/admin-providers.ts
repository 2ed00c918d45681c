// The operator API's providers: how they are, keeping tasks from one, and trying its keys.
import { createRoute, z } from "@hono/zod-openapi";
import type { HealthView } from "../ports.ts";
import type { Operator } from "../service/operator/operator.ts";
import { isUsable, type KeyCheck } from "../service/operator/provider-check.ts";
import type { ProviderView, ShownTraits } from "../service/operator/providers.ts";
import { OPERATOR, reason, replies, takes, toSeconds, toSecondsOrNull } from "./admin-wire.ts";
import type { App } from "./context.ts";
import { refuse } from "./errors.ts";
import { jsonBody } from "./json-body.ts";
import { strictBody } from "./validation.ts";

const health = z.strictObject({
  /** By an operator. */
  held: z.boolean(),
  breaker: z.enum(["closed", "open", "half_open", "ramping"]),
  open_until: z.int().nullable(),
  /** Tasks that are there, and that wait for a place. */
  leases: z.int(),
  waiting: z.int(),
  /** Secrets, by name, that the provider refused. */
  spent: z.array(z.strictObject({ credential: z.string(), why: z.enum(["unauthorized", "out_of_credit"]), until: z.int() })),
  /** By its own names for the models: what the last generations took. */
  latency: z.record(z.string(), z.strictObject({ p50_seconds: z.number(), p95_seconds: z.number() })),
});

/** What it can do, as it is configured. */
const traits = z.strictObject({
  /** Whether it fetches reference images by their URLs, or has them sent along. */
  images: z.enum(["url", "inline"]),
  /** `unsigned`: a callback is taken by its sealed URL alone. */
  callbacks: z.enum(["none", "unsigned", "signed"]),
  /** A hand-over of unknown outcome can be repeated. */
  idempotent_create: z.boolean(),
  cancel: z.boolean(),
  /** For how long it keeps what it made; null: unknown. */
  retention_seconds: z.int().nullable(),
});

const provider = z
  .strictObject({
    name: z.string(),
    kind: z.string(),
    host: z.string(),
    priority: z.int(),
    weight: z.number(),
    tags: z.array(z.string()),
    models: z.array(z.string()).nullable(),
    region: z.string().nullable(),
    concurrency: z.int().nullable(),
    requests_per_minute: z.int().nullable(),
    timeouts: z.strictObject({ submit_seconds: z.number(), poll_seconds: z.number() }),
    /** Null: as it is learned. */
    median_seconds: z.number().nullable(),
    /** Null: a task is left there until its deadline. */
    overdue_factor: z.number().nullable(),
    /** US cents a video; null: not known. */
    cost_cents: z.number().nullable(),
    traits,
    /** Null: it cannot be told now. */
    health: health.nullable(),
  })
  .openapi("OperatorProvider");

const providerCheck = z
  .strictObject({
    name: z.string(),
    /** Every key is accepted. */
    ok: z.boolean(),
    keys: z.array(
      z.strictObject({
        /** The secret's name. */
        credential: z.string(),
        result: z.enum(["accepted", "rate_limited", "unauthorized", "out_of_credit", "unavailable", "unclear"]),
        ms: z.int(),
      }),
    ),
  })
  .openapi("OperatorProviderCheck");

/** Any name: one that does not exist is told so. */
const providerParam = z.object({ name: z.string().openapi({ param: { name: "name", in: "path" } }) });

const listProviders = createRoute({
  ...OPERATOR,
  method: "get",
  path: "/admin/v1/providers",
  summary: "List the providers and how they are, without their secrets",
  responses: replies("All of them", z.strictObject({ object: z.literal("list"), data: z.array(provider) })),
});

const holdProvider = createRoute({
  ...OPERATOR,
  method: "post",
  path: "/admin/v1/providers/{name}/hold",
  summary: "Give a provider no new tasks until it is released; what it has under way goes on",
  middleware: jsonBody,
  request: { params: providerParam, body: takes(strictBody({ reason: reason.optional() })) },
  responses: replies("The provider", provider),
});

const releaseProvider = createRoute({
  ...OPERATOR,
  method: "post",
  path: "/admin/v1/providers/{name}/release",
  summary: "Let a provider have tasks again: ends a hold, closes its breaker, tries refused secrets again",
  middleware: jsonBody,
  request: { params: providerParam, body: takes(strictBody({ reason: reason.optional() })) },
  responses: replies("The provider", provider),
});

const checkProvider = createRoute({
  ...OPERATOR,
  method: "post",
  path: "/admin/v1/providers/{name}/check",
  summary: "Ask a provider, with each of its keys, after a job that cannot exist: costs nothing, changes nothing",
  middleware: jsonBody,
  request: { params: providerParam, body: takes(strictBody({})) },
  responses: replies("What came of each key", providerCheck),
});

export function mountAdminProviders(app: App, { providers }: Operator): void {
  app.openapi(listProviders, async (c) => {
    const data = (await providers.list()).map(toProvider);
    return c.json({ object: "list" as const, data }, 200);
  });

  app.openapi(holdProvider, async (c) => {
    const held = await providers.hold(c.var.actor, c.req.valid("param").name, c.req.valid("json").reason ?? null);
    return held.ok ? c.json(toProvider(held.value), 200) : refuse(c, held.error);
  });

  app.openapi(releaseProvider, async (c) => {
    const released = await providers.release(c.var.actor, c.req.valid("param").name, c.req.valid("json").reason ?? null);
    return released.ok ? c.json(toProvider(released.value), 200) : refuse(c, released.error);
  });

  app.openapi(checkProvider, async (c) => {
    const { name } = c.req.valid("param");
    const checked = await providers.check(name);
    return checked.ok ? c.json(toCheck(name, checked.value), 200) : refuse(c, checked.error);
  });
}

function toProvider({ limits, timeouts, traits: can, health: known, ...entry }: ProviderView): z.infer<typeof provider> {
  const { name, kind, host, priority, weight, tags, models, region, medianMs, overdueFactor, costCents } = entry;
  return {
    name,
    kind,
    host,
    priority,
    weight,
    tags: [...tags],
    models: models && [...models],
    region,
    concurrency: limits.concurrency,
    requests_per_minute: limits.perMinute,
    timeouts: { submit_seconds: timeouts.submitMs / 1000, poll_seconds: timeouts.pollMs / 1000 },
    median_seconds: medianMs === null ? null : medianMs / 1000,
    overdue_factor: overdueFactor,
    cost_cents: costCents,
    traits: toTraits(can),
    health: known && toHealth(known),
  };
}

function toTraits({ images, callbacks, idempotentCreate, cancel, retentionMs }: ShownTraits): z.infer<typeof traits> {
  return { images, callbacks, idempotent_create: idempotentCreate, cancel, retention_seconds: toSecondsOrNull(retentionMs) };
}

function toCheck(name: string, checks: readonly KeyCheck[]): z.infer<typeof providerCheck> {
  const keys = checks.map(({ credential, verdict, ms }) => ({ credential, result: verdict, ms }));
  return { name, ok: checks.every(({ verdict }) => isUsable(verdict)), keys };
}

function toHealth({ isHeld, breaker, openUntil, leases, waiting, spent, quantiles }: HealthView): z.infer<typeof health> {
  const latency = Object.entries(quantiles).map(([model, known]) => [model, toLatency(known)] as const);
  return {
    held: isHeld,
    breaker,
    open_until: toSecondsOrNull(openUntil),
    leases,
    waiting,
    spent: spent.map((each) => ({ ...each, until: toSeconds(each.until) })),
    latency: Object.fromEntries(latency),
  };
}

function toLatency(quantiles: readonly number[]): { p50_seconds: number; p95_seconds: number } {
  const seconds = (ms: number | undefined): number => Math.round((ms ?? 0) / 100) / 10;
  return { p50_seconds: seconds(quantiles[quantiles.length >> 1]), p95_seconds: seconds(quantiles.at(-1)) };
}
