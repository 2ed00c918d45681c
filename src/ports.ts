// The outside world on one page: what the core's decisions are carried out with. Names core's types only.
import type { ApiKey, Mode, Scope } from "./core/api-key.ts";
import type { FailureCode, Refusal } from "./core/errors.ts";
import type { Generation } from "./core/generation.ts";
import type { Json } from "./core/json.ts";
import type { Limits, Usage } from "./core/quota.ts";
import type { ByteRange } from "./core/range.ts";
import type { Result } from "./core/result.ts";
import type { Attempt, StoredVideo, Task, TaskSpec, Upload } from "./core/task.ts";

/** Unix milliseconds. */
export type Clock = () => number;

// --- Providers ---------------------------------------------------------------------------------------------------------------

/** What an adapter is asked to make. `model` is the provider's own name for it; `prompt` is final. */
export interface Job {
  readonly model: string;
  readonly prompt: string;
  readonly generation: Generation;
  /** 1 for the task's first submission, to whichever route. */
  readonly attempt: number;
}

/** An upstream behind three verbs. Every method may be called again after a crash; only `submit` costs money when it is. */
export interface Provider {
  /**
   * Starts the job. Throws RetryableError or RefusedError where the provider cleanly said no, so that nothing was started.
   * Anything else thrown leaves the outcome unknown, and the submit is never repeated.
   */
  submit(job: Job, signal: AbortSignal): Promise<Submitted>;
  /** Reads the job. RetryableError: ask again; anything else thrown is treated the same, and counted. */
  poll(operation: Json, signal: AbortSignal): Promise<PollResult>;
  /**
   * The finished video's bytes. `from`: where to resume; an adapter that cannot answers from zero, which `offset` says.
   * Throws AssetGoneError where the result can no longer be had, RefusedError where it must not be fetched.
   */
  open(source: Json, from: ResumePoint | null, signal: AbortSignal): Promise<VideoSource>;
}

export interface Submitted {
  readonly operation: Json;
  /** The prompt as the provider rewrote it, where it says so. */
  readonly prompt: string | null;
}

export type PollResult =
  | { readonly status: "running"; readonly retryAfterMs?: number | null }
  | { readonly status: "succeeded"; readonly source: Json }
  /** Finished, and there is nothing to fetch. */
  | { readonly status: "empty" }
  /** The provider does not know the job (any more, or yet). */
  | { readonly status: "missing" }
  | { readonly status: "failed"; readonly reason: FailureCode };

export interface ResumePoint {
  readonly offset: number;
  /** The strong ETag that the bytes before `offset` had. */
  readonly validator: string;
}

export interface VideoSource {
  readonly body: ReadableStream<Uint8Array>;
  /** Bytes in `body`; null where the source does not say. */
  readonly length: number | null;
  /** Where in the video `body` begins. */
  readonly offset: number;
  /** The source's strong ETag, where it has one. */
  readonly validator: string | null;
}

/** The provider cleanly said "not now": nothing happened, and it (or another route) may be asked again. */
export class RetryableError extends Error {
  override readonly name = "RetryableError";
  readonly code: "rate_limited" | "unavailable" | "unauthorized" | "out_of_credit";
  readonly retryAfterMs: number | null;

  constructor(code: RetryableError["code"], retryAfterMs: number | null = null) {
    super(code);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The provider cleanly said no. `by`: this route only (another may serve it), or the task itself (nobody will). */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly by: "route" | "task";
  readonly reason: FailureCode;

  constructor(by: RefusedError["by"], reason: FailureCode) {
    super(reason);
    this.by = by;
    this.reason = reason;
  }
}

/** A finished result can no longer be fetched from where it was: poll for a fresh link. */
export class AssetGoneError extends Error {
  override readonly name = "AssetGoneError";
}

/** A reply that says neither yes nor no. Its message is in our own words, without a host or a provider's text: safe to log. */
export class UnclearReplyError extends Error {
  override readonly name = "UnclearReplyError";
}

/** Rewrites a prompt (translates and enriches). May be slow, may throw: the caller bounds it and falls back. */
export interface Enhancer {
  enhance(prompt: string, signal: AbortSignal): Promise<string>;
}

/** Judges a URL that a tenant names, by a request to `ownHost`; null: allowed, else why not, in words for the tenant. */
export type JudgeUrl = (url: string, ownHost: string) => string | null;

// --- Stores ------------------------------------------------------------------------------------------------------------------

/** What the edge knows of a key: KV's copy, up to about a minute old. The ledger judges every spending call again. */
export interface KeyRecord {
  readonly tenant: string;
  readonly mode: Mode;
  readonly keyId: string;
  readonly scopes: readonly Scope[];
  readonly status: "active" | "revoked" | "suspended";
  /** Unix milliseconds; null: never. */
  readonly expiresAt: number | null;
}

/** What a ledger publishes of itself for the edge. */
export interface TenantRecord extends Usage {
  readonly publishedAt: number;
}

/** KV. Written by the tenant's ledger only. */
export interface TenantStore {
  findKey(key: ApiKey): Promise<KeyRecord | null>;
  findTenant(tenant: string, mode: Mode): Promise<TenantRecord | null>;
  putKey(hash: string, record: KeyRecord): Promise<void>;
  putTenant(tenant: string, mode: Mode, record: TenantRecord): Promise<void>;
}

/** A cheap, approximate brake before anything that costs. False: too many by this key lately. Never throws: a broken shield lets pass. */
export type Shield = (key: string) => Promise<boolean>;

export interface VideoMeta {
  readonly size: number;
  readonly etag: string;
}

/** One stored object as the sweep sees it. */
export interface StoredObject {
  readonly taskId: string;
  /** Whose it is, as far as its metadata says. */
  readonly owner: { readonly tenant: string; readonly mode: Mode } | null;
  readonly uploadedAt: number;
}

export type VideoRead =
  | {
      readonly kind: "body";
      readonly body: ReadableStream;
      readonly meta: VideoMeta;
      readonly range: { offset: number; length: number } | null;
    }
  | { readonly kind: "not_modified"; readonly meta: VideoMeta }
  | { readonly kind: "unsatisfiable"; readonly size: number }
  | { readonly kind: "missing" };

export interface ReadConditions {
  readonly range: ByteRange | null;
  readonly ifRange: string | null;
  readonly ifNoneMatch: string | null;
}

/** R2. Nothing is visible under a task's id unless it is whole. */
export interface VideoStore {
  /**
   * Streams the source in, never holding more than one part of it. Of known length in one put; else by multipart, `checkpoint`ed
   * after each part so that a crash resumes. Overwrites nothing: a twin that was faster wins.
   */
  store(
    task: StoreTarget,
    source: VideoSource,
    upload: Upload | null,
    checkpoint: (upload: Upload) => Promise<void>,
  ): Promise<void>;
  /** Null: what is stored does not play. */
  verify(taskId: string): Promise<StoredVideo | null>;
  read(taskId: string, conditions: ReadConditions): Promise<VideoRead>;
  head(taskId: string): Promise<VideoMeta | null>;
  /** Removes the video and gives up its unfinished upload. Removing what is not there is success. */
  remove(taskId: string, upload: Upload | null): Promise<void>;
  list(cursor: string | null, limit: number): Promise<{ objects: readonly StoredObject[]; cursor: string | null }>;
}

export interface StoreTarget {
  readonly id: string;
  readonly tenant: string;
  readonly mode: Mode;
}

/** The source sent more than allowed, or stopped short of what it announced. */
export class SourceError extends Error {
  override readonly name = "SourceError";
  readonly what: "too_large" | "cut_short";

  constructor(what: SourceError["what"]) {
    super(what);
    this.what = what;
  }
}

/** Makes the links that tenants get. */
export interface LinkSigner {
  /** `base`: the gateway's own origin. */
  sign(taskId: string, base: string, now: number): Promise<string>;
}

// --- Objects -----------------------------------------------------------------------------------------------------------------

export interface ReserveAsk {
  readonly id: string;
  readonly keyId: string;
  readonly model: string;
  readonly credits: number;
  readonly deadlineAt: number;
}

export interface Reserved {
  readonly available: number;
  readonly retentionMs: number;
}

/** Paid upstream work that nobody gets. */
export interface Orphan {
  readonly attempt: Attempt;
  readonly reason: FailureCode;
}

export type Settlement = { readonly kind: "charge" } | { readonly kind: "release"; readonly orphan: Orphan | null };

export interface KeySpec {
  readonly id: string;
  readonly hash: string;
  readonly scopes: readonly Scope[];
  readonly expiresAt: number | null;
}

/** One tenant's money in one mode. Every call may be repeated: each is keyed by a task's or a key's id. */
export interface LedgerPort {
  reserve(ask: ReserveAsk): Promise<Result<Reserved, Refusal>>;
  resolve(taskId: string, settlement: Settlement): Promise<void>;
  /** The task is gone, and so is its row. */
  forget(taskId: string): Promise<void>;
  /** Of these tasks, those that the ledger still has a row for. */
  known(taskIds: readonly string[]): Promise<string[]>;
  /** The cron's look: re-arms a lost alarm, writes KV's copies anew once a day, and pokes what should be gone. */
  tend(): Promise<void>;
  configure(settings: { status?: "active" | "suspended"; limits?: Limits }): Promise<void>;
  grant(amount: number, reason: string): Promise<void>;
  putKey(key: KeySpec): Promise<void>;
  revokeKey(keyId: string): Promise<void>;
}

export interface TaskPort {
  /** False: the id was given up before, and must not start. */
  start(spec: TaskSpec): Promise<boolean>;
  read(): Promise<Task | null>;
  /** Asks it to look at itself now. False: there is no such task. */
  poke(): Promise<boolean>;
  /** Gives the id up, so that it can never start. False: it has started. */
  tombstone(): Promise<boolean>;
}

/** What one pass of the sweep has to look at. A pass that dies is begun again from the same place when its lease ends. */
export interface SweepPage {
  readonly lease: string;
  readonly tenants: readonly TenantRef[];
  /** Where the walk over the stored videos goes on; null: from the start. */
  readonly objectCursor: string | null;
}

export interface TenantRef {
  readonly tenant: string;
  readonly mode: Mode;
}

/** The sweep's memory: who the tenants are, how far the walk has come, and whose turn it is. */
export interface SweepPort {
  register(tenant: TenantRef): Promise<void>;
  /** Null: another pass is at it. */
  begin(): Promise<SweepPage | null>;
  finish(lease: string, objectCursor: string | null): Promise<void>;
}

export type LedgerOf = (tenant: string, mode: Mode) => LedgerPort;
export type TaskOf = (tenant: string, taskId: string) => TaskPort;

// --- Telemetry ---------------------------------------------------------------------------------------------------------------

/** One structured object a line. Never a prompt, a key, a signed link or a provider's words. */
export type LogEntry = Readonly<Record<string, string | number | boolean | null>>;

export interface Telemetry {
  log(level: "info" | "warn" | "error", entry: LogEntry): void;
  /** One point a finished task, for charts; never the books. */
  usage(point: { tenant: string; model: string; provider: string; outcome: string; credits: number; seconds: number }): void;
}
