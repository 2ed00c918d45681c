// The task machine. `begin` says what to do at a wake and what must be on record before it is done; `transition` says what an
// event made of the task; `wakeAt` says when to look again. Alarms and events arrive at least once and in any order:
// an event that no longer fits changes nothing.
import { backoff, nextPoll } from "./backoff.ts";
import type { FailureCode } from "./errors.ts";
import type { Json } from "./json.ts";
import { chooseRoute, upstreamModel, type Route } from "./routing.ts";
import { isTerminal, lastAttempt } from "./task.ts";
import type {
  Attempt,
  Common,
  CompletedTask,
  FailedTask,
  Outcome,
  QueuedTask,
  RunningTask,
  SettlingTask,
  StoredVideo,
  StoringTask,
  SubmittingTask,
  Task,
  Upload,
} from "./task.ts";

export type Effect =
  | { kind: "none" }
  | { kind: "submit"; attempt: Attempt; task: SubmittingTask }
  | { kind: "poll"; provider: string; task: RunningTask }
  | { kind: "store"; provider: string; task: StoringTask }
  | { kind: "settle"; task: SettlingTask }
  | { kind: "purge"; task: CompletedTask | FailedTask };

export type TaskEvent =
  | { type: "submitted"; operation: Json; prompt: string | null }
  /** The provider cleanly said no. `busy`: it may say yes later. `route`: another route may say yes. `task`: nobody will. */
  | { type: "submit_refused"; by: "busy" | "route" | "task"; reason: FailureCode; retryAfterMs: number | null }
  | { type: "submit_unknown" }
  | { type: "still_running"; retryAfterMs: number | null }
  | { type: "poll_missing" }
  | { type: "succeeded"; source: Json }
  | { type: "spoiled"; reason: "upstream_invalid_result" | "upstream_asset_expired" }
  | { type: "provider_failed"; reason: FailureCode }
  | { type: "part_stored"; upload: Upload }
  | { type: "stored"; video: StoredVideo }
  | { type: "store_failed"; retryAfterMs: number | null }
  | { type: "settled" }
  | { type: "cancel" }
  /** An operator ends it, whatever a provider is doing with it. */
  | { type: "abandon" }
  /** What is left of an ended task is to go now. */
  | { type: "discard" }
  | { type: "purged" }
  /** The step could not be done now, and nothing is known to have changed. */
  | { type: "try_again" };

/** Just after create a provider may not know its own job yet; a job that is gone for this many polls in a row is lost. */
const NOT_YET_VISIBLE_MS = 120_000;
const MISSES_ALLOWED = 3;
/** How often a finished job may be asked again for a usable video, before the task is given up. */
const SPOILED_ALLOWED = 2;
/** Interrupted copies in a row before the step counts as poisoned. */
export const STORE_TRIES = 8;
/** A finished video may still be copied for this long after the deadline: it is paid for and nearly there. */
const STORING_GRACE_MS = 8 * 60_000;
/** A repeated ledger call waits a part of the time already spent on it. */
const SETTLE_GROWTH = 0.5;
const PURGE_RETRY_MS = 60_000;
const LAST_POLL_RETRY_MS = 30_000;
/** Before another route is tried: long enough that a mistake in the settings does not become a hot loop. */
const NEXT_ROUTE_MS = 1_000;
const ATTEMPTS_KEPT = 50;
/** A task that is refused for half an hour comes by often; the first and the latest of it is what helps. */
const TIMELINE_LENGTH = 60;
/** The longest any single step may be asked to wait by a provider. */
const RETRY_AFTER_CAP_MS = 5 * 60_000;

/**
 * What to do at this wake, the task to have on record before it is done, and when to look `again` should we die while doing it.
 * Where the effect's event changes nothing, that look is the next one.
 */
export interface Begun {
  readonly task: Task;
  readonly effect: Effect;
  readonly again: number;
}

export function begin(task: Task, now: number, routes: readonly Route[]): Begun {
  switch (task.status) {
    case "queued":
      return now < dueAt(task) ? waiting(task, dueAt(task)) : beginSubmit(task, now, routes);
    case "submitting": // The intent is on record and no answer is: we died in between, and the provider may be at work.
      return beginSettle(failing({ ...task, attempts: closeAttempt(task, "unknown") }, "upstream_ambiguous", now), now);
    case "running":
      return now < dueAt(task) ? waiting(task, dueAt(task)) : beginPoll(task, now);
    case "storing":
      return now < task.notBefore ? waiting(task, task.notBefore) : beginStore(task, now);
    case "settling":
      return beginSettle(task, now);
    case "completed":
    case "failed":
      return now < task.expiresAt
        ? waiting(task, task.expiresAt)
        : { task, effect: { kind: "purge", task }, again: now + PURGE_RETRY_MS };
  }
}

/** When a provider may be asked again; never later than the last look. */
function dueAt(task: QueuedTask | RunningTask): number {
  return Math.min(task.notBefore, task.deadlineAt);
}

function waiting(task: Task, until: number): Begun {
  return { task, effect: { kind: "none" }, again: until };
}

function beginSubmit(task: QueuedTask, now: number, routes: readonly Route[]): Begun {
  if (now >= task.deadlineAt) return beginSettle(failing(task, "queue_timeout", now), now);
  const choice = chooseRoute(routes, task, now);
  const model = choice && upstreamModel(choice.route, task.generation.model);
  if (choice === null || model === null) return beginSettle(failing(task, "upstream_rejected", now), now);
  if (choice.readyAt > now) return waiting(task, Math.min(choice.readyAt, task.deadlineAt));
  const { route } = choice;
  const medianMs = route.medianMs ?? task.medianMs;
  const attempt: Attempt = { provider: route.provider, model, startedAt: now, medianMs, outcome: "open" };
  const submitting: SubmittingTask = { ...moved(task, "submitting", now), attempts: [...forgetful(task.attempts), attempt] };
  return { task: submitting, effect: { kind: "submit", attempt, task: submitting }, again: pollAt(submitting, now) };
}

function beginPoll(task: RunningTask, now: number): Begun {
  const provider = lastAttempt(task).provider;
  if (now < task.deadlineAt) return { task, effect: { kind: "poll", provider, task }, again: pollAt(task, now) };
  // The flag is written before the poll, so that a poll which kills the isolate is not the last one for ever.
  if (task.lastPoll) return beginSettle(failing(task, "timeout", now), now);
  const last: RunningTask = { ...task, lastPoll: true };
  return { task: last, effect: { kind: "poll", provider, task: last }, again: now + LAST_POLL_RETRY_MS };
}

function beginStore(task: StoringTask, now: number): Begun {
  if (now >= lastStoreAt(task)) return beginSettle(failing(task, "timeout", now), now);
  if (task.tries >= STORE_TRIES) return beginSettle(failing(task, "internal_error", now), now);
  const trying: StoringTask = { ...task, tries: task.tries + 1 };
  const { provider } = lastAttempt(task);
  return {
    task: trying,
    effect: { kind: "store", provider, task: trying },
    again: now + backoff(trying.tries, 2_000, 60_000, task.id),
  };
}

function beginSettle(task: SettlingTask, now: number): Begun {
  const wait = Math.min(Math.max((now - task.settlingSince) * SETTLE_GROWTH, 2_000), 60_000);
  return { task, effect: { kind: "settle", task }, again: now + wait };
}

/** Null: the task is gone, and so must be everything stored for it. */
export function transition(task: Task, event: TaskEvent, now: number): Task | null {
  switch (event.type) {
    case "submitted":
      if (task.status !== "submitting") return task;
      return {
        ...moved(task, "running", now),
        prompt: event.prompt ?? task.prompt,
        attempts: closeAttempt(task, "accepted"),
        since: laterOf(task, now),
        operation: event.operation,
        notBefore: 0,
        misses: 0,
        spoiled: 0,
        lastPoll: false,
      };
    case "submit_refused": {
      if (task.status !== "submitting") return task;
      if (event.by === "task") return failing({ ...task, attempts: closeAttempt(task, "refused") }, event.reason, now);
      if (event.by === "route") {
        return { ...moved(task, "queued", now), attempts: closeAttempt(task, "refused"), notBefore: now + NEXT_ROUTE_MS };
      }
      const failures = task.attempts.filter(({ outcome }) => outcome === "busy").length + 1;
      const wait = Math.max(retryAfter(event.retryAfterMs) ?? 0, backoff(failures, 2_000, 60_000, task.id));
      // The wait is the route's: another one may be tried at once, and `begin` knows whether there is one.
      const attempts = closeAttempt(task, "busy", now + wait);
      return { ...moved(task, "queued", now), attempts, notBefore: now + NEXT_ROUTE_MS };
    }
    case "submit_unknown":
      if (task.status !== "submitting") return task;
      return failing({ ...task, attempts: closeAttempt(task, "unknown") }, "upstream_ambiguous", now);
    case "still_running": {
      if (task.status !== "running") return task;
      if (task.lastPoll) return failing(task, "timeout", now);
      const wait = retryAfter(event.retryAfterMs);
      if (wait === null && task.misses === 0) return task;
      return { ...task, misses: 0, notBefore: wait === null ? task.notBefore : now + wait };
    }
    case "poll_missing": {
      if (task.status !== "running") return task;
      const submittedAt = lastAttempt(task).startedAt;
      if (task.lastPoll) return failing(task, "timeout", now);
      if (now < submittedAt + NOT_YET_VISIBLE_MS) return task;
      return task.misses + 1 >= MISSES_ALLOWED ? failing(task, "upstream_lost", now) : { ...task, misses: task.misses + 1 };
    }
    case "succeeded": {
      if (task.status !== "running") return task;
      const { operation, misses, spoiled } = task;
      const watching = { operation, misses, spoiled, notBefore: now };
      return { ...moved(task, "storing", now), ...watching, source: event.source, tries: 0, failures: 0, upload: null };
    }
    case "spoiled": {
      if (task.status !== "running" && task.status !== "storing") return task;
      if (task.spoiled >= SPOILED_ALLOWED || now >= task.deadlineAt) return failing(task, event.reason, now);
      const { operation, spoiled } = task;
      const wait = backoff(spoiled + 1, 2_000, 60_000, task.id);
      return {
        ...moved(task, "running", now),
        operation,
        misses: 0,
        spoiled: spoiled + 1,
        lastPoll: false,
        notBefore: now + wait,
      };
    }
    case "provider_failed":
      return task.status === "running" || task.status === "storing" ? failing(task, event.reason, now) : task;
    case "part_stored":
      return task.status === "storing" ? { ...task, upload: event.upload } : task;
    case "stored":
      return task.status === "storing" ? settling(task, { kind: "completed", video: event.video }, now) : task;
    case "store_failed": {
      if (task.status !== "storing") return task;
      // An outage is not poison: only a copy that was interrupted keeps its count.
      const failures = task.failures + 1;
      const wait = Math.max(retryAfter(event.retryAfterMs) ?? 0, backoff(failures, 2_000, 60_000, task.id));
      return { ...task, tries: 0, failures, notBefore: Math.min(now + wait, lastStoreAt(task)) };
    }
    case "settled": {
      if (task.status !== "settling") return task;
      const end = { since: laterOf(task, now), expiresAt: now + task.retentionMs };
      return task.outcome.kind === "completed"
        ? { ...moved(task, "completed", now), ...end, video: task.outcome.video }
        : { ...moved(task, "failed", now), ...end, reason: task.outcome.reason };
    }
    case "cancel": // Only what no provider has seen can be taken back for certain.
      return task.status === "queued" ? failing(task, "cancelled", now) : task;
    case "abandon":
      if (isTerminal(task) || task.status === "settling") return task;
      // What is just being handed over may be accepted all the same, and nobody will be there to hear of it.
      return failing(task.status === "submitting" ? { ...task, attempts: closeAttempt(task, "unknown") } : task, "cancelled", now);
    case "discard":
      return isTerminal(task) && task.expiresAt > now ? { ...task, expiresAt: now } : task;
    case "purged":
      return isTerminal(task) && now >= task.expiresAt ? null : task;
    case "try_again":
      return task.status === "running" && task.lastPoll ? failing(task, "timeout", now) : task;
  }
}

/** When to look again after a change, in unix milliseconds. */
export function wakeAt(task: Task, now: number): number {
  switch (task.status) {
    case "queued":
      return Math.min(task.notBefore, Math.max(task.deadlineAt, now));
    case "storing":
      return task.notBefore;
    case "submitting":
      return pollAt(task, now);
    case "running":
      return Math.min(Math.max(pollAt(task, now), task.notBefore), Math.max(task.deadlineAt, now));
    case "settling":
      return now;
    case "completed":
    case "failed":
      return task.expiresAt;
  }
}

/** The schedule counts from the intent, not from the reply: the alarm armed before a submit is then the first poll's already. */
function pollAt(task: SubmittingTask | RunningTask, now: number): number {
  const { startedAt, medianMs } = lastAttempt(task);
  const next = startedAt + nextPoll(medianMs, Math.max(now - startedAt, 0), task.id);
  // The last look is at the deadline, not a step after it.
  return now < task.deadlineAt ? Math.min(next, task.deadlineAt) : next;
}

/** From then on a finished video is not fetched any more. */
function lastStoreAt(task: StoringTask): number {
  return task.deadlineAt + STORING_GRACE_MS;
}

function retryAfter(ms: number | null): number | null {
  return ms === null ? null : Math.min(Math.max(ms, 0), RETRY_AFTER_CAP_MS);
}

/** A clock that ran backwards must not make a status older than the one before it. */
function laterOf(task: Task, now: number): number {
  return Math.max(task.since, now);
}

function closeAttempt(task: SubmittingTask, outcome: Attempt["outcome"], retryAt?: number): readonly Attempt[] {
  const closed = { ...lastAttempt(task), outcome, ...(retryAt !== undefined && { retryAt }) };
  return [...task.attempts.slice(0, -1), closed];
}

/** A provider that is busy for half an hour is asked often, and the oldest of that helps nobody. */
function forgetful(attempts: readonly Attempt[]): readonly Attempt[] {
  if (attempts.length < ATTEMPTS_KEPT) return attempts;
  const oldest = attempts.findIndex(({ outcome }) => outcome === "busy");
  return attempts.filter((_, index) => index !== oldest);
}

function failing(task: Task, reason: FailureCode, now: number): SettlingTask {
  return settling(task, { kind: "failed", reason, upload: task.status === "storing" ? task.upload : null }, now);
}

function settling(task: Task, outcome: Outcome, now: number): SettlingTask {
  // To its tenant a pending task is being processed from here on.
  const since = task.status === "queued" || task.status === "submitting" ? laterOf(task, now) : task.since;
  return { ...moved(task, "settling", now), since, outcome, settlingSince: now };
}

/** What every state has, in another state. */
function moved<Status extends Task["status"]>(task: Task, status: Status, now: number): Common & { readonly status: Status } {
  const { id, tenant, mode, keyId, requestId, generation, prompt, credits } = task;
  const { createdAt, deadlineAt, medianMs, retentionMs, schema, since, attempts } = task;
  const wish = { id, tenant, mode, keyId, requestId, generation, prompt, credits, createdAt, deadlineAt, medianMs, retentionMs };
  const kept = task.timeline.length < TIMELINE_LENGTH ? task.timeline : task.timeline.filter((_, index) => index !== 1);
  return { ...wish, schema, since, attempts, timeline: [...kept, { at: now, status }], status };
}
