// What an event made of a task. Events arrive at least once and in any order: one that no longer fits changes nothing.
import type { FailureCode } from "./errors.ts";
import type { Json } from "./json.ts";
import { neededMs } from "./latency.ts";
import type { NewsType } from "./news.ts";
import { publicStatus } from "./public-task.ts";
import { placeAt, stillToTell, withoutPlaceAt, withoutPlaces } from "./left-place.ts";
import { ambiguous, closeAttempt, failing, handedOn, laterOf, moved, settling } from "./task-moves.ts";
import { askAgainAt, backedOff, lastStoreAt, retryAfter } from "./task-schedule.ts";
import { isTerminal, lastAttempt, NO_HINT, requeued } from "./task.ts";
import type {
  Lease,
  PreparedImage,
  QueuedTask,
  RunningTask,
  StoredVideo,
  StoringTask,
  SubmittingTask,
  Task,
  Upload,
  Wait,
} from "./task.ts";
import { isRouteTrouble } from "./upstream-errors.ts";
import type { RefusedBy, RetryableCode } from "./upstream-errors.ts";

export type TaskEvent =
  | { type: "submitted"; operation: Json; prompt: string | null }
  /** The provider cleanly said no. `busy`: it may say yes later. `task`: nobody will. Else another route may say yes. */
  | { type: "submit_refused"; by: "busy"; reason: RetryableCode; retryAfterMs: number | null }
  | { type: "submit_refused"; by: RefusedBy; reason: FailureCode }
  /** `repeatable`: the provider takes a second submit under the same reference for the same. */
  | { type: "submit_unknown"; repeatable: boolean }
  /** It came to nothing on our side, before the provider was called. */
  | { type: "submit_unsent" }
  | { type: "prepared"; images: readonly PreparedImage[] }
  | { type: "prepare_failed"; reason: "image_fetch_failed" | "image_invalid" }
  /** It may pass: an image's server is not to be had, or our own store is not. */
  | { type: "prepare_missed"; by: "host" | "store" }
  | { type: "leased"; lease: Lease }
  | { type: "lease_refused"; wait: Wait }
  /** The provider's health could not be asked, or did not answer. */
  | { type: "lease_missed"; provider: string }
  | { type: "still_running"; retryAfterMs: number | null }
  | { type: "poll_missing" }
  | { type: "succeeded"; source: Json }
  | { type: "spoiled"; reason: "upstream_invalid_result" | "upstream_asset_expired" }
  | { type: "provider_failed"; by: "task" | "route"; reason: FailureCode }
  | { type: "part_stored"; upload: Upload }
  | { type: "stored"; video: StoredVideo }
  | { type: "store_failed"; retryAfterMs: number | null }
  /** `heard`: the stays whose end the providers' health has on record. */
  | { type: "settled"; heard: readonly number[] }
  | { type: "released"; heard: readonly number[] }
  /** `passesOn`: the provider can be asked to stop. */
  | { type: "cancel"; passesOn: boolean }
  | { type: "cancel_answered"; answer: "stopping" | "too_late" }
  /** Its provider says that something happened: it may be worth looking now. */
  | { type: "hint" }
  | { type: "announced"; types: readonly NewsType[] }
  /** Every link that is out is to stop working. */
  | { type: "links_revoked" }
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
/** Before another route is tried: long enough that a mistake in the settings does not become a hot loop. */
const NEXT_ROUTE_MS = 1_000;
/** All of a task's images, in base64 and in JSON, have to fit into an isolate's memory. */
export const MAX_INLINED_BYTES = 14 * 1024 * 1024;
/** An image's server that is down is not waited for until the deadline, with credits held all the while. */
const IMAGE_TRIES = 3;
/** Waits as after so many failures: 16 s. */
const STORE_MISS = 4;
/** A key that may have been refused, not only the request that came with it, is left alone by its task for so long. */
const FORBIDDEN_MS = 60_000;
/** Before another provider is asked again whose health could not be asked, for a job that is overdue where it is. */
const LEASE_MISSED_MS = 15_000;
/** A provider that stops a job needs a moment for it. */
const AFTER_CANCEL_MS = 2_000;

/** Null: the task is gone, and so must be everything stored for it. */
export function transition(task: Task, event: TaskEvent, now: number): Task | null {
  switch (event.type) {
    case "submitted":
      if (task.status !== "submitting") return task;
      return {
        ...moved(task, "running", now),
        attempts: closeAttempt(task, "accepted", event.prompt === null ? {} : { rewritten: event.prompt }),
        // Taken over from another provider, it has been processing to its tenant all along.
        since: publicStatus(task) === "pending" ? laterOf(task, now) : task.since,
        operation: event.operation,
        notBefore: 0,
        misses: 0,
        spoiled: 0,
        lastPoll: false,
        cancel: "unasked",
        elsewhere: null,
        ...NO_HINT,
      };
    case "submit_refused": {
      if (task.status !== "submitting") return task;
      if (task.repeat !== null) return repeatRefused(task, event, now);
      if (event.by === "busy") {
        // Of all routes: however many there are, the task asks ever more seldom.
        const failures = task.attempts.filter(({ outcome }) => outcome === "busy").length + 1;
        const asked = retryAfter(event.retryAfterMs);
        const wait = Math.max(asked ?? 0, backedOff(task, failures));
        // The wait is the route's: another one may be tried at once, and `begin` knows whether there is one.
        const attempts = closeAttempt(task, "busy", {
          reason: event.reason,
          retryAt: now + wait,
          ...(asked !== null && { askedBackAt: now + asked }),
        });
        const places = withoutPlaces({ ...task, attempts }, event.reason, now);
        return requeued({ ...moved(task, "queued", now), ...places, attempts }, now + NEXT_ROUTE_MS, lastReasonOf(task));
      }
      const attempts = closeAttempt(task, "refused", refusalNote(event, now));
      if (event.by === "task") return failing({ ...task, attempts }, event.reason, now);
      const places = withoutPlaces({ ...task, attempts }, event.reason, now);
      return requeued({ ...moved(task, "queued", now), ...places, attempts }, now + NEXT_ROUTE_MS, event.reason);
    }
    case "submit_unknown":
      // It stays on record, and is sent again as the same one.
      if (task.status !== "submitting" || event.repeatable) return task;
      return ambiguous(task, now);
    case "submit_unsent": {
      // A repetition that was not sent leaves open what became of the submit before it.
      if (task.status !== "submitting" || task.repeat !== null) return task;
      const failures = task.attempts.filter(({ outcome }) => outcome === "unsent").length + 1;
      const attempts = closeAttempt(task, "unsent");
      const places = withoutPlaces({ ...task, attempts }, "internal_error", now);
      return requeued({ ...moved(task, "queued", now), ...places, attempts }, now + backedOff(task, failures), lastReasonOf(task));
    }
    case "prepared":
      if (task.status !== "queued") return task;
      if (event.images.reduce((sum, { bytes }) => sum + bytes, 0) > MAX_INLINED_BYTES) return failing(task, "image_invalid", now);
      return { ...task, images: event.images, lastReason: lastReasonOf(task) };
    case "prepare_failed":
      return task.status === "queued" ? failing(task, event.reason, now) : task;
    case "prepare_missed": {
      if (task.status !== "queued") return task;
      // Ours to get over: the task waits for it as long as it has time.
      if (event.by === "store") return { ...task, lastReason: "internal_error", notBefore: now + backedOff(task, STORE_MISS) };
      const imageMisses = task.imageMisses + 1;
      if (imageMisses >= IMAGE_TRIES) return failing(task, "image_fetch_failed", now);
      return { ...task, imageMisses, notBefore: now + backedOff(task, imageMisses) };
    }
    case "leased": {
      const { lease } = event;
      const { provider } = lease;
      if (!isAsking(task, provider)) return task;
      const places = task.places.map((place) => (place.provider === provider ? { ...place, lease } : place));
      if (task.status === "queued") return withNeed({ ...task, places, leaseMisses: 0 }, lease, now);
      if (task.elsewhere === null || task.cancel !== "unasked") return { ...task, ...withoutPlaceAt(task, provider, now) };
      // Only now that another has room for it is the job given up that was taking too long. Who has no room is not forgotten.
      return withNeed({ ...handedOn({ ...task, places }, "abandoned", "timeout", now), waits: task.elsewhere }, lease, now);
    }
    case "lease_refused": {
      const wait = { ...event.wait, until: Math.max(event.wait.until, now + NEXT_ROUTE_MS) };
      if (!isAsking(task, wait.provider)) return task;
      // Whoever stands in line there is to leave it, too.
      const refused = wait.position === null ? { ...task, places: without(task.places, wait.provider) } : task;
      if (refused.status === "queued")
        return { ...refused, leaseMisses: 0, waits: [...without(refused.waits, wait.provider), wait] };
      return refused.elsewhere === null ? refused : { ...refused, elsewhere: [...without(refused.elsewhere, wait.provider), wait] };
    }
    case "lease_missed": {
      const { provider } = event;
      if (!isAsking(task, provider)) return task;
      if (task.status === "queued") {
        const missed = { ...task, leaseMisses: task.leaseMisses + 1 };
        return { ...missed, notBefore: askAgainAt(missed, now) };
      }
      // It goes on where it is, and does not go anywhere without a place.
      const missed = { ...task, ...withoutPlaceAt(task, provider, now) };
      const wait = { provider, until: now + LEASE_MISSED_MS, position: null };
      return missed.elsewhere === null ? missed : { ...missed, elsewhere: [...without(missed.elsewhere, provider), wait] };
    }
    case "still_running": {
      if (task.status !== "running") return task;
      if (task.lastPoll) return failing(task, "timeout", now);
      const wait = retryAfter(event.retryAfterMs);
      const elsewhere = isOverdue(task, now) ? (task.elsewhere ?? []) : null;
      if (wait === null && task.misses === 0 && task.elsewhere === elsewhere) return task;
      return { ...task, misses: 0, notBefore: wait === null ? task.notBefore : now + wait, elsewhere };
    }
    case "poll_missing": {
      if (task.status !== "running") return task;
      // What was stopped on our word need not be kept by anybody.
      if (task.cancel === "passed_on") return failing(task, "cancelled", now);
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
      if (task.status === "running" && task.cancel !== "unasked") return failing(task, "cancelled", now);
      if (task.spoiled >= SPOILED_ALLOWED || now >= task.deadlineAt) return givenUp(task, { by: "route", ...event }, now);
      const { operation, spoiled } = task;
      const wait = backedOff(task, spoiled + 1);
      return {
        ...moved(task, "running", now),
        operation,
        misses: 0,
        spoiled: spoiled + 1,
        lastPoll: false,
        cancel: "unasked",
        elsewhere: null,
        ...NO_HINT,
        notBefore: now + wait,
      };
    }
    case "provider_failed":
      // No other provider is to begin what its tenant wants stopped.
      if (task.status === "running" && task.cancel !== "unasked") return failing(task, "cancelled", now);
      return task.status === "running" || task.status === "storing" ? givenUp(task, event, now) : task;
    case "part_stored":
      return task.status === "storing" ? { ...task, upload: event.upload } : task;
    case "stored":
      return task.status === "storing" ? settling(task, { kind: "completed", video: event.video }, now) : task;
    case "store_failed": {
      if (task.status !== "storing") return task;
      // An outage is not poison: only a copy that was interrupted keeps its count.
      const failures = task.failures + 1;
      const wait = Math.max(retryAfter(event.retryAfterMs) ?? 0, backedOff(task, failures));
      return { ...task, tries: 0, failures, notBefore: Math.min(now + wait, lastStoreAt(task)) };
    }
    case "settled": {
      if (task.status !== "settling") return task;
      const end = { since: laterOf(task, now), expiresAt: now + task.retentionMs, left: stillToTell(task, event.heard, now) };
      return task.outcome.kind === "completed"
        ? { ...moved(task, "completed", now), ...end, video: task.outcome.video, linkRevision: 0 }
        : { ...moved(task, "failed", now), ...end, reason: task.outcome.reason };
    }
    case "released": {
      const left = stillToTell(task, event.heard, now);
      return task.left.length === 0 ? task : { ...task, left };
    }
    case "cancel": // Only what no provider has seen can be taken back for certain.
      if (task.status === "queued") return failing(task, "cancelled", now);
      return task.status === "running" && event.passesOn && task.cancel === "unasked" ? { ...task, cancel: "asked" } : task;
    case "cancel_answered":
      if (task.status !== "running" || task.cancel !== "asked") return task;
      // What came of it is told by the next polls. One that was too late may be asked for again, to be told so again.
      return { ...task, cancel: event.answer === "stopping" ? "passed_on" : "unasked", notBefore: now + AFTER_CANCEL_MS };
    case "hint":
      return task.status === "running" && task.hintAt === null ? { ...task, hintAt: Math.max(now, task.hintsFrom) } : task;
    case "announced": {
      const types = event.types.filter((type) => !task.told.includes(type));
      return types.length === 0 ? task : { ...task, told: [...task.told, ...types] };
    }
    case "links_revoked":
      return task.status === "completed" ? { ...task, linkRevision: task.linkRevision + 1 } : task;
    case "abandon":
      if (isTerminal(task) || task.status === "settling") return task;
      // What is just being handed over may be accepted all the same, and nobody will be there to hear of it.
      return failing(task.status === "submitting" ? { ...task, attempts: closeAttempt(task, "unknown") } : task, "cancelled", now);
    case "discard":
      return isTerminal(task) && task.expiresAt > now ? { ...task, expiresAt: now } : task;
    case "purged":
      return isTerminal(task) && now >= task.expiresAt ? null : task;
    case "try_again":
      if (task.status !== "running") return task;
      if (task.lastPoll) return failing(task, "timeout", now);
      // Its provider may be dead for good: no answer at all is no better than "still running".
      return task.elsewhere === null && isOverdue(task, now) ? { ...task, elsewhere: [] } : task;
  }
}

/** Whether it asks that provider for a place, to go there or to go on there. */
function isAsking(task: Task, provider: string): task is QueuedTask | RunningTask {
  if (placeAt(task, provider) === null) return false;
  return task.status === "queued" || (task.status === "running" && lastAttempt(task).provider !== provider);
}

/** Whether a job takes so much longer than its like that another provider may take over. */
function isOverdue(task: RunningTask, now: number): boolean {
  const { overdueAt } = lastAttempt(task);
  return overdueAt !== null && now >= overdueAt && task.route.fallback && task.cancel === "unasked";
}

/** A no to the repetition says nothing of the job that may have been begun before. "Not now": it is asked once more, as the same one. */
function repeatRefused(task: SubmittingTask, event: Extract<TaskEvent, { type: "submit_refused" }>, now: number): Task {
  if (event.by !== "busy") return ambiguous(task, now);
  const named = now + (retryAfter(event.retryAfterMs) ?? 0);
  return named <= (task.repeat?.notBefore ?? now) ? task : { ...task, repeat: { notBefore: named } };
}

/**
 * The provider has failed: another may try, unless the fault is the task's own or there is no time left. That it took too long, as it
 * says itself, is the route's. That it was stopped there, and not by us, is the task's: somebody at the operator's account wanted that.
 */
function givenUp(
  task: RunningTask | StoringTask,
  { by, reason }: { readonly by: "task" | "route"; readonly reason: FailureCode },
  now: number,
): Task {
  const goesOn = by === "route" && task.route.fallback && now < task.deadlineAt;
  if (goesOn) return handedOn(task, "failed", reason, now);
  // Its tenant reads the same, and the provider is not to be blamed for it.
  const isTheTasks = by === "task" && reason === "upstream_rejected";
  return failing(task, reason, now, "failed", isTheTasks ? "invalid_request" : reason);
}

/** What an attempt keeps of a refusal. Another of the provider's keys is tried before the same one again. */
function refusalNote({ by, reason }: { readonly by: RefusedBy; readonly reason: FailureCode }, now: number) {
  if (by === "key") return { reason: "forbidden", retryAt: now + FORBIDDEN_MS } as const;
  return { reason: by === "model" ? "model_unavailable" : reason } as const;
}

function lastReasonOf({ attempts }: Task): FailureCode | null {
  const failed = attempts.findLast(({ outcome }) => outcome === "failed" || outcome === "abandoned" || outcome === "refused");
  const { reason = null } = failed ?? {};
  return isRouteTrouble(reason) ? "upstream_rejected" : (reason as FailureCode | null);
}

/** It waits there no more. How long it takes there stays known, whatever becomes of the place. */
function withNeed(task: QueuedTask, { provider, quantiles }: Lease, now: number): QueuedTask {
  const needed = neededMs(quantiles, task);
  const known: readonly Wait[] = needed === 0 ? [] : [{ provider, until: now, position: null, neededMs: needed }];
  return { ...task, waits: [...without(task.waits, provider), ...known] };
}

function without<Of extends { readonly provider: string }>(these: readonly Of[], provider: string): readonly Of[] {
  return these.filter((each) => each.provider !== provider);
}
