// A task as it is stored: each state has exactly the fields that exist in it. What becomes of it is decided in task-machine.
import type { Mode } from "./api-key.ts";
import type { FailureCode } from "./errors.ts";
import type { Generation } from "./generation.ts";
import type { Json } from "./json.ts";
import { NEWS_TYPES, type NewsType } from "./news.ts";

/** Raised when the stored shape changes; a newer one than ours is left alone (see durable/video-task). */
export const TASK_SCHEMA = 2;

export interface TaskSpec {
  readonly id: string;
  readonly tenant: string;
  readonly mode: Mode;
  /** The API key and the request that it was created with, for the operator. */
  readonly keyId: string;
  readonly requestId: string;
  readonly generation: Generation;
  /** The prompt that is sent to the provider: rewritten, or as it came. */
  readonly prompt: string;
  /** Credits held for it. */
  readonly credits: number;
  /** Unix milliseconds, as are all times here. */
  readonly createdAt: number;
  readonly deadlineAt: number;
  /** How long a route usually takes where it does not say itself. */
  readonly medianMs: number;
  /** How long the finished task and its video are kept. */
  readonly retentionMs: number;
  /** The gateway's own origin as the tenant called it, for links in what is told of the task. */
  readonly base: string;
  /** Told of everything that happens to it; null: nobody besides the tenant's own endpoints. */
  readonly webhookUrl: string | null;
  /** The tenant's own words about it, never shown to a provider. */
  readonly metadata: Metadata;
}

export type Metadata = Readonly<Record<string, string>>;

/** One submission to one route. Its outcome is `open` from the moment the intent is written until the provider's answer is. */
export interface Attempt {
  readonly provider: string;
  readonly model: string;
  readonly startedAt: number;
  readonly medianMs: number;
  /** Where the route asked to be left alone: until when. */
  readonly retryAt?: number;
  readonly outcome: "open" | "accepted" | "busy" | "refused" | "unknown";
}

export interface StoredVideo {
  readonly bytes: number;
  readonly durationMs: number;
  readonly width: number;
  readonly height: number;
}

/** A multipart upload under way, enough to go on with it after a crash. */
export interface Upload {
  readonly uploadId: string;
  readonly parts: readonly { readonly partNumber: number; readonly etag: string }[];
  readonly bytes: number;
  /** The source's strong ETag. Without one an upload cannot be resumed, only begun again. */
  readonly validator: string | null;
}

export type Outcome =
  | { readonly kind: "completed"; readonly video: StoredVideo }
  | { readonly kind: "failed"; readonly reason: FailureCode; readonly upload: Upload | null };

/**
 * `since`: when the status as tenants see it last changed. `timeline`: when it came into which state, the oldest first. `told`: the
 * news that the tenant's events object has on record.
 */
export type Common = TaskSpec & {
  readonly schema: typeof TASK_SCHEMA;
  readonly since: number;
  readonly attempts: readonly Attempt[];
  readonly timeline: readonly { readonly at: number; readonly status: Task["status"] }[];
  readonly told: readonly NewsType[];
};

type Watching = {
  readonly operation: Json;
  /** A provider that names a time to come back is asked no sooner. */
  readonly notBefore: number;
  /** Polls in a row that said the job does not exist. */
  readonly misses: number;
  /** How often a finished job turned out to have no usable video. */
  readonly spoiled: number;
};

export type QueuedTask = Common & { readonly status: "queued"; readonly notBefore: number };
export type SubmittingTask = Common & { readonly status: "submitting" };
/** `cancel`: whether its tenant wants it stopped, and whether the provider has heard of that. */
export type RunningTask = Common &
  Watching & { readonly status: "running"; readonly lastPoll: boolean; readonly cancel: "unasked" | "asked" | "passed_on" };
export type StoringTask = Common &
  Watching & {
    readonly status: "storing";
    readonly source: Json;
    /** Copies in a row that were interrupted without a word: a step that kills its isolate is not taken for ever. */
    readonly tries: number;
    /** Copies in a row that failed for a reason that may pass. */
    readonly failures: number;
    readonly upload: Upload | null;
  };
export type SettlingTask = Common & { readonly status: "settling"; readonly outcome: Outcome; readonly settlingSince: number };
export type CompletedTask = Common & { readonly status: "completed"; readonly video: StoredVideo; readonly expiresAt: number };
export type FailedTask = Common & { readonly status: "failed"; readonly reason: FailureCode; readonly expiresAt: number };
export type Task = QueuedTask | SubmittingTask | RunningTask | StoringTask | SettlingTask | CompletedTask | FailedTask;

export function startTask(spec: TaskSpec): QueuedTask {
  const { createdAt } = spec;
  const timeline = [{ at: createdAt, status: "queued" as const }];
  return {
    ...spec,
    schema: TASK_SCHEMA,
    since: createdAt,
    attempts: [],
    timeline,
    told: [],
    status: "queued",
    notBefore: createdAt,
  };
}

export function isTerminal(task: Task): task is CompletedTask | FailedTask {
  return task.status === "completed" || task.status === "failed";
}

/** Reasons for which a provider may have worked, and be paid, for nothing. */
const UNDELIVERED: readonly FailureCode[] = [
  ...(["upstream_ambiguous", "upstream_lost", "timeout", "internal_error", "cancelled"] as const),
  ...(["upstream_invalid_result", "upstream_asset_expired"] as const),
];

/** The paid work that nobody gets: its outcome is unknown, or it was abandoned while it ran. Null where there is none. */
export function orphanOf(task: SettlingTask): Attempt | null {
  if (task.outcome.kind === "completed") return null;
  const attempt = task.attempts.at(-1);
  const isOwed = UNDELIVERED.includes(task.outcome.reason);
  return isOwed && (attempt?.outcome === "accepted" || attempt?.outcome === "unknown") ? attempt : null;
}

export function lastAttempt(task: Task): Attempt {
  const attempt = task.attempts.at(-1);
  if (attempt === undefined) throw new Error(`a ${task.status} task has no attempt`);
  return attempt;
}

/** A task as any release up to ours stored it. One of a newer release is left as it is: its schema says so. */
export function upgraded(stored: Task): Task {
  if (stored.schema >= TASK_SCHEMA) return stored;
  // Release 0.1.0 told nobody of anything, and knew no metadata.
  const common = { ...stored, schema: TASK_SCHEMA, base: "", webhookUrl: null, metadata: {}, told: [...NEWS_TYPES] } as const;
  return common.status === "running" ? { ...common, cancel: "unasked" } : common;
}
