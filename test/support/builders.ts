// Plain data for tests, typed by status: what a test does not care about has a likely value, what it does care about it says.
import type { Generation } from "../../src/core/generation.ts";
import { LEDGER_SCHEMA, type Account, type Hold } from "../../src/core/ledger.ts";
import { NEWS_TYPES } from "../../src/core/news.ts";
import type { Limits, Usage } from "../../src/core/quota.ts";
import type { Route } from "../../src/core/routing.ts";
import {
  ANY_ROUTE,
  NO_HINT,
  TASK_SCHEMA,
  type Attempt,
  type Place,
  type StoredVideo,
  type Task,
  type TaskSpec,
  type Upload,
} from "../../src/core/task.ts";

/** A Sunday at noon. */
export const T0 = Date.UTC(2026, 10, 22, 12);
export const SECOND = 1_000;
export const MINUTE = 60_000;
export const HOUR = 3_600_000;
export const DAY = 86_400_000;

/** Looks like a task's id; nobody's MAC is in it. */
export const TASK_ID = "veo3:1795348800-abcdefghijklmnopqrstuvwxyz";

export function aGeneration(given: Partial<Generation> = {}): Generation {
  return { model: "veo3", prompt: "a lake", enhancePrompt: false, upsample: false, aspectRatio: null, images: [], ...given };
}

/** Created at T0, due half an hour later. */
export function aSpec(given: Partial<TaskSpec> = {}): TaskSpec {
  return {
    id: TASK_ID,
    tenant: "Tenant01",
    mode: "live",
    keyId: "Tenant010001",
    requestId: "req_test",
    generation: aGeneration(),
    prompt: "a lake",
    credits: 40,
    createdAt: T0,
    deadlineAt: T0 + 30 * MINUTE,
    medianMs: MINUTE,
    retentionMs: 7 * DAY,
    base: "https://api.example",
    webhookUrl: null,
    metadata: {},
    route: ANY_ROUTE,
    ...given,
  };
}

/** Begun at T0 and accepted. */
export function anAttempt(given: Partial<Attempt> = {}): Attempt {
  return {
    number: 1,
    provider: "alpha",
    credential: "ALPHA_KEY",
    model: "alpha-veo3",
    startedAt: T0,
    latency: { medianMs: MINUTE, quantiles: null },
    hinted: false,
    repeatable: false,
    overdueAt: null,
    costCents: null,
    outcome: "accepted",
    ...given,
  };
}

/** The first place that the task asked for, at the provider of its attempt, and got. */
export function aPlace(given: Partial<Place> = {}): Place {
  const { provider = "alpha" } = given;
  return { provider, stay: 1, lease: { provider, credential: `${provider.toUpperCase()}_KEY`, quantiles: null }, ...given };
}

export function aVideo(given: Partial<StoredVideo> = {}): StoredVideo {
  return { bytes: 146_831, durationMs: 8_000, width: 1_280, height: 720, ...given };
}

export function anUpload(given: Partial<Upload> = {}): Upload {
  return { uploadId: "u1", parts: [{ partNumber: 1, etag: "e1" }], bytes: 8_388_608, validator: '"v1"', ...given };
}

export type TaskOf<Status extends Task["status"]> = Extract<Task, { status: Status }>;

const COMMON = {
  ...aSpec(),
  schema: TASK_SCHEMA,
  since: T0,
  attempts: [anAttempt()],
  timeline: [{ at: T0, status: "queued" }],
  // Nobody is to be told of anything, unless a test says so.
  told: NEWS_TYPES,
  images: null,
  stays: 0,
  places: [],
  left: [],
} as const;
const WATCHING = { operation: { job: "j1" }, notBefore: 0, misses: 0, spoiled: 0 } as const;

const LIKELY: { readonly [Status in Task["status"]]: TaskOf<Status> } = {
  queued: { ...COMMON, attempts: [], status: "queued", notBefore: T0, waits: [], leaseMisses: 0, imageMisses: 0, lastReason: null },
  submitting: { ...COMMON, attempts: [anAttempt({ outcome: "open" })], status: "submitting", repeat: null },
  running: { ...COMMON, ...WATCHING, status: "running", lastPoll: false, cancel: "unasked", elsewhere: null, ...NO_HINT },
  storing: { ...COMMON, ...WATCHING, status: "storing", source: { url: "s1" }, tries: 0, failures: 0, upload: null },
  settling: { ...COMMON, status: "settling", outcome: { kind: "completed", video: aVideo() }, settlingSince: T0 },
  completed: { ...COMMON, status: "completed", video: aVideo(), linkRevision: 0, expiresAt: T0 + 7 * DAY },
  failed: { ...COMMON, status: "failed", reason: "timeout", expiresAt: T0 + 7 * DAY },
};

export const TASK_STATUSES = Object.keys(LIKELY) as Task["status"][];

/** A queued task, or one of the status that is given, with the fields that status has. */
export function aTask(given?: Partial<TaskOf<"queued">>): TaskOf<"queued">;
export function aTask<Status extends Task["status"]>(given: { status: Status } & Partial<TaskOf<Status>>): TaskOf<Status>;
export function aTask(given: Partial<Task> = {}): Task {
  return { ...LIKELY[given.status ?? "queued"], ...given } as Task;
}

/** Serves every model of the live mode. */
export function aRoute(given: Partial<Route> = {}): Route {
  const { provider = "alpha" } = given;
  return {
    provider,
    mode: "live",
    priority: 1,
    weight: 1,
    models: null,
    plainOnly: [],
    medianMs: null,
    tags: [],
    credentials: [`${provider.toUpperCase()}_KEY`],
    images: "url",
    maxImages: null,
    imageTypes: null,
    leased: false,
    resubmits: false,
    hinted: "none",
    overdueFactor: null,
    costCents: null,
    ...given,
  };
}

export function someLimits(given: Partial<Limits> = {}): Limits {
  return { creditsPerPeriod: 1_000, createsPerMinute: 10, liveTasks: 5, models: null, retentionDays: 7, ...given };
}

/** What an account of a new tenant says for admission. */
export function aUsage(given: Partial<Usage> = {}): Usage {
  return { status: "active", limits: someLimits(), available: 1_000, live: 0, window: { startedAt: 0, count: 0 }, ...given };
}

/** A tenant's account in the period of T0, its plan of 1,000 credits untouched. Give balances that add up. */
export function anAccount(given: Partial<Account> = {}): Account {
  return {
    schema: LEDGER_SCHEMA,
    status: "active",
    limits: someLimits(),
    period: "2026-11",
    planGranted: 1_000,
    plan: 1_000,
    bought: 0,
    granted: 1_000,
    adjusted: 0,
    held: 0,
    spent: 0,
    expired: 0,
    live: 0,
    window: { startedAt: 0, count: 0 },
    seq: 1,
    ...given,
  };
}

/** An open one, all of it from the plan of T0's period. */
export function aHold(given: Partial<Hold> = {}): Hold {
  return { id: TASK_ID, credits: 40, fromPlan: 40, period: "2026-11", state: "held", ...given };
}
