// The outside world on one page: what the core's decisions are carried out with. Names core's types only.
import type { ApiKey, Mode } from "./core/api-key.ts";
import type { FailureCode, Refusal } from "./core/errors.ts";
import type { Generation } from "./core/generation.ts";
import type { Claim } from "./core/idempotency.ts";
import type { Json } from "./core/json.ts";
import type { KeyRules, KeyUse } from "./core/key-rules.ts";
import type { Balances, Entry, foldJournal, Hold } from "./core/ledger.ts";
import type { News } from "./core/news.ts";
import type { ModelName, ModelSwitch, ModelSwitches } from "./core/models.ts";
import type { PublicTask } from "./core/public-task.ts";
import type { Limits, PlanAsk, TenantStatus, Usage } from "./core/quota.ts";
import type { ByteRange } from "./core/range.ts";
import type { ImageType } from "./core/reference-image.ts";
import type { Result } from "./core/result.ts";
import type { CallsBack } from "./core/routing.ts";
import type { Quantiles } from "./core/latency.ts";
import type { Attempt, AttemptReason, Lease, Metadata, Orphan, StoredVideo, Wait, Task, TaskSpec, Upload } from "./core/task.ts";
import type { Delivery, Endpoint, EndpointChange, MessageLabel, SigningSecrets } from "./core/webhook.ts";

/** Unix milliseconds. */
export type Clock = () => number;

/** What an adapter is asked to make. `model` is the provider's own name for it; `prompt` is final. */
export interface Job {
  readonly model: string;
  readonly prompt: string;
  readonly generation: Generation;
  /** 1 for the task's first submission, to whichever route. */
  readonly attempt: number;
  /** Stands for this attempt and no other: the key that makes a repeated submit the same one, where a provider honours such keys. */
  readonly reference: string;
  /** The generation's images in order, as this adapter takes them. */
  readonly images: readonly JobImage[];
  /** Where the provider may say that something happened; null: nowhere. */
  readonly callbackUrl: string | null;
}

export interface JobImage {
  /** As the tenant named it, or a link of ours to an upload; for an adapter that passes URLs on. */
  readonly url: string;
  /** The image itself, for an adapter that inlines; null for one that passes URLs on. */
  readonly file: ImageFile | null;
}

export interface ImageFile {
  readonly bytes: Uint8Array;
  /** As its first bytes tell, whatever was said of it. */
  readonly mimeType: ImageType;
}

/** The account with an upstream that an adapter works with. */
export interface Upstream {
  /** Without a trailing slash. */
  readonly baseUrl: string;
  /** The secret itself: a key, or a service account's JSON. */
  readonly credential: string;
  /** Where its results may be besides its own origin: names or `*.suffix`; null: any public host. */
  readonly resultHosts: readonly string[] | null;
  /** Local runs only: http to this machine. */
  readonly allowLoopback: boolean;
  /** The operator says that this server takes Idempotency-Key on create, so that a submit of unknown outcome may be repeated. */
  readonly honoursIdempotencyKey: boolean;
  /** Where the work is done, and where its results are put, for wires that want to be told (Vertex). */
  readonly region: string | null;
  readonly storageUri: string | null;
  /** What it signs its callbacks with, where that is a secret shared with the operator; any of them may have been used. */
  readonly callbackSecrets: readonly string[];
}

/**
 * What a wire can and cannot do. Whether a job can be found again by the reference that it was submitted under is not among it: no wire
 * so far can, which is why a submit of unknown outcome ends its task.
 */
export interface ProviderTraits {
  /** Whether images are passed on as URLs or sent along. */
  readonly images: "url" | "inline";
  /** At which URLs it calls `Job.callbackUrl`: a job has no other. */
  readonly callback: CallsBack;
  /** Whether a submit repeated with the same reference starts one job. */
  readonly idempotentCreate: boolean;
  /** For how long what it has made can be fetched there, as far as it or its users say; null: unknown, or the operator's to decide. */
  readonly retentionMs: number | null;
}

/** How long calls to a provider may take, before what they did counts as unknown. */
export interface ProviderTimeouts {
  readonly submitMs: number;
  /** Of a cancel, too. */
  readonly pollMs: number;
}

/** What came to a callback URL: a hint to look now, if it is from the provider. */
export interface Callback {
  readonly headers: Headers;
  readonly body: string;
}

/** An upstream behind three verbs. Every method may be called again after a crash; only `submit` costs money when it is. */
export interface Provider {
  readonly traits: ProviderTraits;
  /**
   * Starts the job. Throws RetryableError or RefusedError where the provider cleanly said no, so that nothing was started.
   * Anything else thrown leaves the outcome unknown, and the submit is never repeated.
   */
  submit(job: Job, signal: AbortSignal): Promise<Submitted>;
  /** Reads the job. RetryableError: ask again when it says; anything else thrown: ask again at the next poll. */
  poll(operation: Json, signal: AbortSignal): Promise<PollResult>;
  /**
   * The finished video's bytes. `from`: where to resume; an adapter that cannot answers from zero, which `offset` says.
   * Throws AssetGoneError where the result can no longer be had, RefusedError where it must not be fetched.
   */
  open(source: Json, from: ResumePoint | null, signal: AbortSignal): Promise<VideoSource>;
  /** Asks it to stop, where the wire can. `too_late`: it has ended. `stopping`: taken; polls tell what came of it. Thrown: not known. */
  cancel?(operation: Json, signal: AbortSignal): Promise<"stopping" | "too_late">;
  /** Whether this job can be asked to stop, where that differs from job to job. */
  canCancel?(operation: Json): boolean;
  /** Whether a callback is the provider's own and of this operation, where the wire signs them. False is no error, only no hint. */
  isGenuine?(callback: Callback, operation: Json, signal: AbortSignal): Promise<boolean>;
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
  /** `by` whom: the `task` would fail elsewhere too, a `route`'s failure another may make good. */
  | { readonly status: "failed"; readonly by: "task" | "route"; readonly reason: FailureCode };

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

/** The adapter that an attempt was made with, and its credential; undefined: the operator has taken it out of the settings. */
export type ProviderOf = (attempt: Pick<Attempt, "provider" | "credential">) => Provider | undefined;

/** Operations that no provider has, by the credential to ask with; empty: no provider of this name has a key. */
export type ProbesOf = (provider: string) => ReadonlyMap<string, Json>;

/**
 * Reads one reference image, whatever it takes, and judges it by its first bytes. `ownHost`: the gateway's own. Throws RefusedError
 * with `image_fetch_failed` or `image_invalid`; anything else thrown may pass.
 */
export type FetchImage = (url: string, ownHost: string, signal: AbortSignal) => Promise<ImageFile>;

export interface OpenImage {
  readonly body: ReadableStream;
  readonly size: number;
  readonly mimeType: ImageType;
}

/** R2: the reference images of tasks under way, uploaded or fetched for wires that inline them. */
export interface ImageStore {
  put(task: StoreTarget, index: number, file: ImageFile): Promise<void>;
  /** Null: it is not there. */
  read(taskId: string, index: number): Promise<ImageFile | null>;
  /** The same as a stream. */
  open(taskId: string, index: number): Promise<OpenImage | null>;
  /** Removing what is not there is success. */
  remove(taskId: string, count: number): Promise<void>;
}

/** Where a provider may call about one attempt: opaque, and good for a hint only. Null: the gateway cannot be called from outside. */
export type CallbackUrlOf = (task: Pick<Task, "id" | "tenant" | "mode" | "base">, attempt: number) => Promise<string | null>;

/** Where a provider that takes URLs may fetch a kept image of a task until it must have ended. Null: not from outside. */
export type ImageUrlOf = (task: Pick<Task, "id" | "base" | "deadlineAt">, index: number) => Promise<string | null>;

/** Rewrites a prompt (translates and enriches). May be slow, may throw: the caller bounds it and falls back. */
export interface Enhancer {
  enhance(prompt: string, signal: AbortSignal): Promise<string>;
}

/** Whether an address is one of these addresses and CIDR ranges. */
export type IsAddressIn = (address: string, ranges: readonly string[]) => boolean;

/** Whether a text is an address, or a CIDR range of them. */
export type IsAddressRange = (text: string) => boolean;

/** Judges a URL that a tenant names, by a request to `ownHost`; null: allowed, else why not, in words for the tenant. */
export type JudgeUrl = (url: string, ownHost: string) => string | null;

/** What the edge knows of a key: KV's copy, up to about a minute old. The ledger judges every spending call again. */
export interface KeyRecord extends Pick<KeyRules, "scopes" | "expiresAt" | "ips"> {
  readonly tenant: string;
  readonly mode: Mode;
  readonly keyId: string;
  readonly status: "active" | "revoked" | "suspended";
}

/** What a ledger publishes of itself for the edge. */
export interface TenantRecord extends Usage {
  readonly publishedAt: number;
}

/** KV. A tenant's records are written by its ledger only, the switches by the registry. */
export interface TenantStore {
  findKey(key: ApiKey): Promise<KeyRecord | null>;
  findTenant(tenant: string, mode: Mode): Promise<TenantRecord | null>;
  putKey(hash: string, record: KeyRecord): Promise<void>;
  putTenant(tenant: string, mode: Mode, record: TenantRecord): Promise<void>;
  findSwitches(): Promise<ModelSwitches>;
  putSwitches(switches: ModelSwitches): Promise<void>;
}

/** A cheap, approximate brake before anything that costs. False: too many by this key lately. Never throws: a broken shield lets pass. */
export type Shield = (key: string) => Promise<boolean>;

export interface VideoMeta {
  readonly size: number;
  readonly etag: string;
  /** Links of an earlier revision were revoked. */
  readonly linkRevision: number;
}

/** One stored object as the sweep sees it: a video, or a reference image. */
export interface StoredObject {
  readonly key: string;
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
  | { readonly kind: "unsatisfiable"; readonly meta: VideoMeta }
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
  /** From then on links of an earlier revision are refused. The bytes stay what they are. False: there is no video (any more). */
  revokeLinks(taskId: string, linkRevision: number, signal: AbortSignal): Promise<boolean>;
  /** Removes the video and gives up its unfinished upload. Removing what is not there is success. */
  remove(taskId: string, upload: Upload | null): Promise<void>;
}

/** R2, all of it that is the gateway's. */
export interface StoredObjects {
  /** Those after the key `after`, in the order of their keys. `last`: where the next page goes on; null: this was the end. */
  list(after: string | null, limit: number): Promise<{ objects: readonly StoredObject[]; last: string | null }>;
  /** Removing what is not there is success. */
  remove(keys: readonly string[]): Promise<void>;
}

export interface StoreTarget {
  readonly id: string;
  readonly tenant: string;
  readonly mode: Mode;
}

/** Makes the links that tenants get. */
export interface LinkSigner {
  /** Whether links that are out can be made to stop working. */
  readonly revocable: boolean;
  /** `base`: the gateway's own origin. `lifeSeconds`: from now, to the second; else about as long as the operator's setting says. */
  sign(video: Pick<PublicTask, "id" | "linkRevision">, base: string, now: number, lifeSeconds?: number): Promise<string>;
}

export interface ReserveAsk {
  readonly id: string;
  readonly keyId: string;
  readonly model: string;
  readonly credits: number;
  readonly deadlineAt: number;
  /** The request that asks, by which an operator finds its task. */
  readonly requestId: string;
  readonly claim: Claim;
  readonly retentionDays: number | null;
  /** Whether it says which providers it wants. */
  readonly choosesRoute?: boolean;
  readonly metadata: Metadata;
}

/** Which of a tenant's tasks; null: whichever. */
export interface TaskFilter {
  readonly state: "held" | "settled" | "released" | null;
  readonly model: string | null;
  /** Unix seconds, both included. */
  readonly from: number | null;
  readonly to: number | null;
  readonly metadata: { readonly key: string; readonly value: string | null } | null;
}

/** `held`: the id is to be started. `earlier`: another id stands for this wish already. */
export type Reserved = (
  | { readonly kind: "held" }
  | { readonly kind: "earlier"; readonly id: string; readonly heldSince: number; readonly deadlineAt: number }
) & { readonly usage: Usage; readonly retentionMs: number };

export type Settlement =
  | { readonly kind: "charge"; readonly videoMs: number; readonly orphans: readonly Orphan[] }
  | { readonly kind: "release"; readonly orphans: readonly Orphan[] }
  /** The task never started, and never will. */
  | { readonly kind: "withdraw" };

/** One tenant's money in one mode. Every call may be repeated: each is keyed by a task's id. */
export interface LedgerPort {
  reserve(ask: ReserveAsk): Promise<Result<Reserved, Refusal>>;
  /** Whether account, plan and key allow such a task at all, whatever is left and whoever waits. Changes nothing. */
  allows(keyId: string, ask: PlanAsk): Promise<Result<null, Refusal>>;
  /** The task that stands for the same wish already; null: none, or not for this key. Changes nothing. */
  recall(keyId: string, claim: Claim): Promise<{ readonly id: string; readonly usage: Usage } | null>;
  resolve(taskId: string, settlement: Settlement): Promise<void>;
  /** The task is gone, and so is its row. */
  forget(taskId: string): Promise<void>;
  /** The ids of its tasks, the newest first, older than `after`. */
  list(filter: TaskFilter, after: string | null, limit: number): Promise<string[]>;
  /** Of these tasks, those that the ledger still has a row for; an id that was given up is no task. */
  known(taskIds: readonly string[]): Promise<string[]>;
  /** The cron's look: re-arms a lost alarm, writes KV's copies anew once a day, and pokes what should be gone. */
  tend(): Promise<void>;
}

export interface KeySpec extends KeyRules {
  readonly id: string;
  readonly hash: string;
  readonly name: string | null;
  readonly last4: string;
  readonly createdAt: number;
}

export type KeyView = Omit<KeySpec, "hash"> & { readonly use: KeyUse };

export interface AccountView extends Usage, Balances {
  readonly period: string;
  /** Why nothing may be written; null: it may. */
  readonly frozen: string | null;
}

export interface OrphanView {
  readonly seq: number;
  readonly at: number;
  readonly task: string;
  readonly provider: string;
  readonly model: string;
  readonly reason: string;
  /** What it cost the operator, in US cents; null: not known. */
  readonly costCents: number | null;
  readonly writtenOff: { readonly at: number; readonly reason: string } | null;
}

/** Ended tasks of one day (UTC), model, key and outcome, counted. */
export interface UsageRow {
  readonly day: string;
  readonly model: string;
  readonly keyId: string;
  readonly status: "completed" | "failed";
  readonly count: number;
  readonly credits: number;
  readonly videoMs: number;
}

/** The same ledger as its tenant and the operator read and run it. Pages come newest first, before a cursor. */
export interface BooksPort {
  /** Opens it at the first call. Repeatable. */
  configure(settings: { status?: TenantStatus; limits?: Limits }): Promise<void>;
  /** Null: it was never opened. */
  account(): Promise<AccountView | null>;
  grant(amount: number, reason: string): Promise<void>;
  adjust(amount: number, reason: string): Promise<Result<null, Refusal>>;
  journal(before: number | null, limit: number): Promise<Entry[]>;
  /** The balances beside what the journal makes of them, of one and the same moment. Null: it was never opened. */
  recompute(): Promise<{ account: AccountView; journal: ReturnType<typeof foldJournal> } | null>;
  usage(fromDay: string, toDay: string): Promise<UsageRow[]>;
  /** Adds a key, of which `use` is used already; one that is there keeps its own. */
  putKey(key: KeySpec, use?: KeyUse): Promise<void>;
  keys(): Promise<KeyView[]>;
  /** One key as the edge is told of it; null: there is none of that id and hash. Opens nothing. */
  keyRecord(keyId: string, hash: string): Promise<KeyRecord | null>;
  /** False: there is no such key. A time in the past ends it now. */
  endKey(keyId: string, how: { expiresAt: number } | { revokedAt: number }): Promise<boolean>;
  orphans(before: number | null, limit: number): Promise<OrphanView[]>;
  writeOff(seq: number, reason: string): Promise<OrphanView | null>;
  taskOfRequest(requestId: string): Promise<string | null>;
  holdState(taskId: string): Promise<Hold["state"] | null>;
  /** Every task's id, oldest first, after `after`. */
  taskIds(after: string | null, limit: number): Promise<string[]>;
  /** Writes all of KV's copies anew. */
  republish(): Promise<void>;
}

export interface TaskPort {
  /** False: the id was given up before, and must not start. */
  start(spec: TaskSpec): Promise<boolean>;
  read(): Promise<Task | null>;
  /** Asks it to look at itself now. False: there is no such task. */
  poke(): Promise<boolean>;
  /** Its provider says that something happened: it is looked at soon, though not as often as that is said. */
  hint(): Promise<void>;
  /** Gives the id up, so that it can never start. False: it has started. */
  tombstone(): Promise<boolean>;
  /** Ends it, whatever it is doing; what a provider still makes of it is an orphan. False: it has ended or just does, or never was. */
  abandon(): Promise<boolean>;
  /** As its tenant asks. `stopped`: it is ending. `passed_on`: the provider is being asked; polls tell what came of it. */
  cancel(): Promise<Result<"stopped" | "passed_on", Refusal>>;
  /** Ends what is left of it now, not when its retention does. False: it has not ended yet. */
  discard(): Promise<boolean>;
  /** Every link that is out stops working; fresh ones work. Only of a completed task. */
  revokeLinks(): Promise<Result<null, Refusal>>;
}

/** A tenant's feed, as its streams read it. `seq` grows with each piece of news; a number left out was none of the feed's. */
export interface FeedPage {
  readonly news: readonly (News & { readonly seq: number })[];
  /** The newest there is, whether or not it is in the page; 0: none yet. */
  readonly latest: number;
  /** The oldest that is kept still: what was asked for before it is gone. */
  readonly oldest: number;
}

/** One webhook on its way out. */
export interface WebhookMessage extends MessageLabel {
  readonly url: string;
  /** The gateway's own, where no webhook may go. */
  readonly ownHost: string;
  readonly body: string;
  /** Each signs, the newest first. */
  readonly secrets: readonly string[];
}

export type WebhookAnswer =
  | {
      readonly kind: "answered";
      readonly status: number;
      readonly retryAfterMs: number | null;
      /** How the reply begins, as far as it has come when the signal ends it. */
      readonly excerpt: (signal: AbortSignal) => Promise<string>;
    }
  /** Nothing was sent: the URL may not be used (any more). */
  | { readonly kind: "not_allowed" };

/** Throws where no answer came. */
export type SendWebhook = (message: WebhookMessage, signal: AbortSignal) => Promise<WebhookAnswer>;

/** A delivery with what it tells. */
export interface DeliveryView {
  readonly delivery: Delivery;
  readonly news: News;
  readonly createdAt: number;
}

/** Which deliveries; null: whichever. */
export interface DeliveryFilter {
  /** `task`: only to tasks' own webhooks. */
  readonly to: { readonly endpointId: string } | "task" | null;
  readonly task: string | null;
  readonly state: Delivery["state"] | null;
}

/** One tenant's events in one mode: the feed, webhook endpoints and their deliveries. What changes something may be repeated. */
export interface EventsPort {
  /** Repeatable: the same task and type is the same news. Returns as soon as it is on record; deliveries go their own way. */
  publish(news: readonly News[]): Promise<void>;
  /** What came after `seq`, the oldest first. */
  feed(seq: number, limit: number): Promise<FeedPage>;
  endpoints(): Promise<readonly Endpoint[]>;
  addEndpoint(endpoint: Endpoint): Promise<Result<Endpoint, Refusal>>;
  changeEndpoint(id: string, change: EndpointChange): Promise<Result<Endpoint, Refusal>>;
  /** Its deliveries stay on record. False: there is none. */
  removeEndpoint(id: string): Promise<boolean>;
  /** `overlapMs`: how long the secret before it signs too. */
  rollSecret(id: string, fresh: string, overlapMs: number): Promise<Result<Endpoint, Refusal>>;
  /** What messages to tasks' own webhooks are signed with. */
  taskSecrets(): Promise<SigningSecrets>;
  rollTaskSecret(fresh: string, overlapMs: number): Promise<SigningSecrets>;
  /** Sends it now, once, and tells how that went. */
  tryOut(endpointId: string, sample: News): Promise<Result<DeliveryView, Refusal>>;
  /** Newest first, before the delivery `after`. */
  deliveries(filter: DeliveryFilter, after: string | null, limit: number): Promise<Result<DeliveryView[], Refusal>>;
  delivery(id: string): Promise<DeliveryView | null>;
  /** Begins a new round of tries, whatever became of the last one. */
  replay(id: string): Promise<Result<DeliveryView, Refusal>>;
  /** The same for what an endpoint has missed, the oldest first; not all at once where it is very much. */
  replayFailed(endpointId: string): Promise<Result<{ readonly count: number; readonly more: boolean }, Refusal>>;
  /** The cron's look: re-arms a lost alarm. */
  tend(): Promise<void>;
}

/** A task's wish for a place at a provider. */
export interface LeaseAsk {
  readonly task: string;
  /** Which of the task's stays it is for: asked for again it is the same place, and no later one's is taken away. */
  readonly stay: number;
  readonly tenant: string;
  /** The provider's name for the model. */
  readonly model: string;
  /** Those of the route's credentials that the task may try now. */
  readonly credentials: readonly string[];
  /** Since when it waits, in unix milliseconds. */
  readonly since: number;
  /** When it has to be done: what would not be gets no place. */
  readonly deadlineAt: number;
  /** When the place is free again at the latest, should nobody give it back. */
  readonly until: number;
}

export type LeaseReply =
  /** `isProbe`: whether it is back is not known, and the task would be the one to find out. */
  | { readonly kind: "granted"; readonly lease: Lease; readonly isProbe: boolean }
  /** No room, or not to be asked for now. `startsAt`: when its turn will be, as far as can be told; null: it cannot. */
  | { readonly kind: "refused"; readonly wait: Wait; readonly startsAt: number | null };

export interface LeaseEnd {
  readonly task: string;
  readonly stay: number;
  readonly credential: string;
  readonly model: string;
  /** Null: it was completed. */
  readonly reason: AttemptReason | null;
  /** Of a completed generation, from the submit until the provider was done; of one that was given up, until then. */
  readonly durationMs: number | null;
  /** When a busy provider wants to be asked again; null: it did not say, or was not busy. */
  readonly retryAt: number | null;
}

/** What the operator allows a provider, by its settings. */
export interface ProviderLimits {
  /** Tasks at a time; null: as many as come. */
  readonly concurrency: number | null;
  readonly perMinute: number | null;
}

export interface HealthView {
  /** By an operator, until it is let go. */
  readonly isHeld: boolean;
  readonly breaker: "closed" | "open" | "half_open" | "ramping";
  /** Unix milliseconds; null: nothing is held back. */
  readonly openUntil: number | null;
  readonly leases: number;
  readonly waiting: number;
  /** Credentials that were refused, by name, and until when they are left alone. */
  readonly spent: readonly {
    readonly credential: string;
    readonly why: "unauthorized" | "out_of_credit";
    readonly until: number;
  }[];
  /** For each of its models, what the last generations took. */
  readonly quantiles: Readonly<Record<string, Quantiles>>;
}

/** One provider's breaker, places and speed: one call before a submit and one when the task has left it. */
export interface HealthPort {
  /** Repeatable: a task that holds a place keeps it. */
  acquire(ask: LeaseAsk, limits: ProviderLimits): Promise<LeaseReply>;
  /** Repeatable. */
  release(end: LeaseEnd): Promise<void>;
  view(): Promise<HealthView>;
  /** By an operator: held back until it is opened again, or let go now. */
  hold(isHeld: boolean): Promise<void>;
}

export type HealthOf = (provider: string) => HealthPort;

export interface TenantRef {
  readonly tenant: string;
  readonly mode: Mode;
}

export interface TenantEntry {
  readonly id: string;
  readonly name: string;
  readonly status: "active" | "suspended" | "deleted";
  readonly createdAt: number;
}

export interface AuditEntry {
  readonly seq: number;
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  /** JSON texts; null where there is no such side. */
  readonly before: string | null;
  readonly after: string | null;
}

/** What one pass of the sweep has to look at. A pass that dies is begun again from the same place when its lease ends. */
export interface SweepPage {
  readonly lease: string;
  readonly tenants: readonly TenantRef[];
  /** The key after which the walk over what is stored goes on; null: from the start. */
  readonly objectCursor: string | null;
}

/** What belongs to no single tenant: who the tenants are, how far the sweep has come, the models' switches, and who did what. */
export interface RegistryPort {
  /** Repeatable. */
  addTenant(tenant: TenantEntry): Promise<void>;
  tenant(id: string): Promise<TenantEntry | null>;
  changeTenant(id: string, change: Partial<Pick<TenantEntry, "name" | "status">>): Promise<TenantEntry | null>;
  tenants(after: string | null, limit: number): Promise<TenantEntry[]>;
  switches(): Promise<ModelSwitches>;
  /** Null puts the model back as the catalogue has it. */
  switchModel(model: ModelName, to: ModelSwitch | null): Promise<void>;
  audit(entry: Omit<AuditEntry, "seq">): Promise<void>;
  auditLog(before: number | null, limit: number): Promise<AuditEntry[]>;
  /** Null: another pass is at it. */
  beginSweep(): Promise<SweepPage | null>;
  finishSweep(lease: string, objectCursor: string | null): Promise<void>;
  /** Gives the lease back as if the pass had not been. */
  abandonSweep(lease: string): Promise<void>;
  /** When a pass last ended; null: none has. */
  lastSweepAt(): Promise<number | null>;
  /** Writes KV's copy of the switches anew. */
  republish(): Promise<void>;
}

export type LedgerOf = (tenant: string, mode: Mode) => LedgerPort;
export type BooksOf = (tenant: string, mode: Mode) => BooksPort;
export type EventsOf = (tenant: string, mode: Mode) => EventsPort;
export type TaskOf = (tenant: string, taskId: string) => TaskPort;

/** One structured object a line. Never a prompt, a key, a signed link or a provider's words. */
export type LogEntry = Readonly<Record<string, string | number | boolean | null>>;

export type AlertKind = "invariant_broken" | "provider_credentials" | "orphan" | "task_quarantined";

export interface Telemetry {
  log(level: "info" | "warn" | "error", entry: LogEntry): void;
  /** What an operator should hear of at once: into the log, and where one is set, to the alert URL. Never waits, never throws. */
  alert(kind: AlertKind, entry: LogEntry): void;
  /** One point a finished task, for charts; never the books. */
  usage(point: { tenant: string; model: string; provider: string; outcome: string; credits: number; seconds: number }): void;
}
