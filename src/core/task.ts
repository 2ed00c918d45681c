// A task as it is stored: each state has exactly the fields that exist in it. What becomes of it is decided in task-machine.
import type { Mode } from "./api-key.ts";
import type { FailureCode } from "./errors.ts";
import type { Generation } from "./generation.ts";
import type { Json } from "./json.ts";
import type { Latency, Quantiles } from "./latency.ts";
import type { NewsType } from "./news.ts";
import type { ImageType } from "./reference-image.ts";
import type { RetryableCode, RouteTrouble } from "./upstream-errors.ts";

/** Raised when the stored shape changes; a newer one than ours is left alone (see durable/video-task). */
export const TASK_SCHEMA = 4;

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
  readonly route: RoutePreference;
}

export type Metadata = Readonly<Record<string, string>>;

/** Why an attempt came to nothing: a task's failure, or what is the matter with the provider or the operator's account there. */
export type AttemptReason = FailureCode | RetryableCode | RouteTrouble | "invalid_request";

/** One submission to one route. Its outcome is `open` from the moment the intent is written until the provider's answer is. */
export interface Attempt {
  /** 1 for the task's first, and never given twice, however many attempts are forgotten: what a provider was told stands for this one. */
  readonly number: number;
  readonly provider: string;
  /** The name of the secret that it was made with: whatever follows is asked with the same. */
  readonly credential: string;
  readonly model: string;
  readonly startedAt: number;
  readonly latency: Latency;
  /** Whether the provider says when something happens, so that polls are a safety net only. */
  readonly hinted: boolean;
  /** Whether its provider was given a reference by which a repetition is the same submit; absent: it was not. */
  readonly repeatable?: boolean;
  /** When it counts as stuck, so that another route may be tried; null: only at the deadline. */
  readonly overdueAt: number | null;
  /** What it costs the operator, in US cents, as the operator configured it; null: not known. */
  readonly costCents: number | null;
  /** Where the route is to be left alone by this task: until when. */
  readonly retryAt?: number;
  /** When the provider itself wants to be asked again, by anybody; absent: it did not say. */
  readonly askedBackAt?: number;
  /** `unsent`: its provider has heard nothing of it. `failed`: the provider gave up. `abandoned`: we did, and what it still makes is an orphan. */
  readonly outcome: "open" | "accepted" | "busy" | "refused" | "unsent" | "unknown" | "failed" | "abandoned";
  readonly reason?: AttemptReason;
  /** As this provider rewrote the prompt, where it says so: for the tenant to read, and for no other provider. */
  readonly rewritten?: string;
}

/** Which providers may serve a task, as its tenant wishes. */
export interface RoutePreference {
  /** Whether another provider may take over from the first. */
  readonly fallback: boolean;
  /** Tags, of which a provider must have one; null: any provider. */
  readonly only: readonly string[] | null;
}

export const ANY_ROUTE: RoutePreference = { fallback: true, only: null };

/** Why a route is not asked for a while: it has no room, or is known to be down, or out of credit. */
export interface Wait {
  readonly provider: string;
  readonly until: number;
  /** How many tasks are before this one there; null: not known. */
  readonly position: number | null;
  /** When its turn will probably be; null or absent: not known. */
  readonly startsAt?: number | null;
  /** How much time the task must have left to be worth handing over there; absent: not known. */
  readonly neededMs?: number;
  /** Half of its last generations there took no longer, in milliseconds; absent: not known. */
  readonly usualMs?: number;
}

/** What a provider's health gives with a place. */
export interface Lease {
  readonly provider: string;
  readonly credential: string;
  /** What the provider's last generations took; null: nothing is known. */
  readonly quantiles: Quantiles | null;
}

/** A place at a provider, from the moment it is asked for until the task leaves it. */
export interface Place {
  readonly provider: string;
  /** Which of the task's stays it is for: late word of one is no word of another. */
  readonly stay: number;
  /** Null: it was asked for, and no answer was heard, so that it may be ours; or the task stands in line for it. */
  readonly lease: Lease | null;
}

/** A place that the task has left, and what came of it there. It is told to the provider's health until that has heard of it. */
export interface LeftPlace {
  readonly provider: string;
  readonly stay: number;
  readonly credential: string;
  /** The provider's name for it; empty where the task left before it was handed over. */
  readonly model: string;
  /** What is the matter; null: nothing, the provider did its part. */
  readonly reason: AttemptReason | null;
  /** Of a completed generation, or at least so long, of one that we gave up; null: it says nothing of how long they take. */
  readonly durationMs: number | null;
  /** When a busy provider wants to be asked again; null: it did not say. */
  readonly retryAt: number | null;
  readonly leftAt: number;
  /** When it is told, or told again. */
  readonly tellAt: number;
}

/** A reference image that was fetched for a wire that inlines. */
export interface PreparedImage {
  readonly bytes: number;
  readonly mimeType: ImageType;
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
 * news that the tenant's events object has on record. `stays`: how many places it has asked for;
 * `places`: those that it asks for or has, one at most a provider; `left`: those that it has left, until that was heard.
 */
export type Common = TaskSpec & {
  readonly schema: typeof TASK_SCHEMA;
  readonly since: number;
  readonly attempts: readonly Attempt[];
  readonly timeline: readonly { readonly at: number; readonly status: Task["status"] }[];
  readonly told: readonly NewsType[];
  /** The generation's images, once they were fetched for a wire that inlines them; null: they were not. */
  readonly images: readonly PreparedImage[] | null;
  readonly stays: number;
  readonly places: readonly Place[];
  readonly left: readonly LeftPlace[];
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

/** Whether its provider says that something happened. */
type Hinted = {
  /** When that is followed; null: it says nothing. */
  readonly hintAt: number | null;
  /** No hint is followed sooner, however many come. */
  readonly hintsFrom: number;
};
export const NO_HINT: Hinted = { hintAt: null, hintsFrom: 0 };

/**
 * `lastReason`: of the attempt that failed last, for the case that no route is left. `leaseMisses`: times in a row that a provider's
 * health could not be asked for a place. `imageMisses`: times that an image's server was not to be had.
 */
export type QueuedTask = Common & {
  readonly status: "queued";
  readonly notBefore: number;
  readonly waits: readonly Wait[];
  readonly leaseMisses: number;
  readonly imageMisses: number;
  readonly lastReason: FailureCode | null;
};
/**
 * `repeat`: not null once an answer was lost, so that the provider may have the job already, and only its yes says what became of it.
 * `notBefore`: when it is asked again, with the same attempt.
 */
export type SubmittingTask = Common & { readonly status: "submitting"; readonly repeat: { readonly notBefore: number } | null };
/**
 * `cancel`: whether its tenant wants it stopped, and whether the provider has heard of that. `elsewhere`: not null once it was found
 * running still when it was overdue, so that another provider may take over: which ones are not asked for a while.
 */
export type RunningTask = Common &
  Watching &
  Hinted & {
    readonly status: "running";
    readonly lastPoll: boolean;
    readonly cancel: "unasked" | "asked" | "passed_on";
    readonly elsewhere: readonly Wait[] | null;
  };
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
/** `linkRevision`: what fresh links carry. It grows when all that are out are revoked; beside the video stands which are still good. */
export type CompletedTask = Common & {
  readonly status: "completed";
  readonly video: StoredVideo;
  readonly linkRevision: number;
  readonly expiresAt: number;
};
export type FailedTask = Common & { readonly status: "failed"; readonly reason: FailureCode; readonly expiresAt: number };
export type Task = QueuedTask | SubmittingTask | RunningTask | StoringTask | SettlingTask | CompletedTask | FailedTask;

const QUEUED = { status: "queued", waits: [], leaseMisses: 0, imageMisses: 0, lastReason: null } as const;

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
    images: null,
    stays: 0,
    places: [],
    left: [],
    ...QUEUED,
    notBefore: createdAt,
  };
}

export function isTerminal(task: Task): task is CompletedTask | FailedTask {
  return task.status === "completed" || task.status === "failed";
}

/** Once more before another route, after a provider gave up or was given up. */
export function requeued(common: Omit<Common, "status">, notBefore: number, lastReason: FailureCode | null): QueuedTask {
  return { ...common, ...QUEUED, notBefore, lastReason };
}

/** The provider made something, and it was no use. */
const USELESS: readonly AttemptReason[] = ["upstream_invalid_result", "upstream_asset_expired"];
/** Reasons for which a provider may have worked, and be paid, for nothing. */
const UNDELIVERED: readonly AttemptReason[] = [
  ...(["upstream_ambiguous", "upstream_lost", "timeout", "internal_error", "cancelled"] as const),
  ...USELESS,
];

/** Paid work that nobody gets. */
export interface Orphan {
  readonly attempt: Attempt;
  readonly reason: AttemptReason;
}

/**
 * What of a task was paid for in vain: attempts that were given up on the way, whatever they still make, or whose result was no use;
 * and the last one if its outcome is unknown or it was left running.
 */
export function orphansOf({ outcome, attempts }: SettlingTask): Orphan[] {
  const onTheWay = attempts.flatMap((attempt): Orphan[] => {
    const { outcome: end, reason = "timeout" } = attempt;
    return end === "abandoned" || (end === "failed" && USELESS.includes(reason)) ? [{ attempt, reason }] : [];
  });
  const last = attempts.at(-1);
  if (outcome.kind === "completed" || last === undefined || !UNDELIVERED.includes(outcome.reason)) return onTheWay;
  const isOwed = last.outcome === "accepted" || last.outcome === "unknown";
  return isOwed ? [...onTheWay, { attempt: last, reason: outcome.reason }] : onTheWay;
}

/** What it cost the operator, in US cents; null: of one of them it is not known. */
export function costCentsOf(orphans: readonly Orphan[]): number | null {
  return orphans.reduce<number | null>(
    (sum, { attempt: { costCents } }) => (sum === null || costCents === null ? null : sum + costCents),
    0,
  );
}

/** Which attempt the last one is, 1 for the first: no two of a task have the same, so that a provider is never asked twice by one name. */
export function attemptNumber({ attempts }: Pick<Task, "attempts">): number {
  return attempts.at(-1)?.number ?? 0;
}

export function lastAttempt(task: Task): Attempt {
  const attempt = task.attempts.at(-1);
  if (attempt === undefined) throw new Error(`a ${task.status} task has no attempt`);
  return attempt;
}
