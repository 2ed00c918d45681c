// The place at a provider that a task has left, and what came of it there: the provider's health hears of it once.
import { tookMs } from "./poll-schedule.ts";
import type { TaskEvent } from "./task-transition.ts";
import { lastAttempt, type Attempt, type AttemptReason, type Lease, type Task } from "./task.ts";
import { isRouteTrouble } from "./upstream-errors.ts";

export interface LeftPlace {
  readonly provider: string;
  readonly credential: string;
  /** The provider's name for it; empty where the task left before it was handed over. */
  readonly model: string;
  /** What is the matter; null: nothing, the provider did its part. */
  readonly reason: AttemptReason | null;
  /** Of a completed generation, or at least so long, of one that we gave up; null: it says nothing of how long they take. */
  readonly durationMs: number | null;
  /** When a busy provider wants to be asked again; null: it did not say. */
  readonly retryAt: number | null;
}

/** Null: it holds the place still, or held none. */
export function leftPlace(before: Task, after: Task, now: number): LeftPlace | null {
  if (before.status === "queued") return unusedPlace(before, after);
  if (before.status !== "submitting" && before.status !== "running" && before.status !== "storing") return null;
  const { number, startedAt } = lastAttempt(before);
  const attempt = after.attempts.findLast((each) => each.number === number) ?? lastAttempt(before);
  const isOver = attempt.outcome !== "open" && attempt.outcome !== "accepted";
  if (after.status !== "settling" && !isOver) return null;
  const { provider, credential, model, retryAt = null } = attempt;
  const place = { provider, credential, model, retryAt };
  if (after.status === "settling" && after.outcome.kind === "completed") {
    const doneAt = after.timeline.findLast(({ status }) => status === "storing")?.at ?? now;
    const foundMs = Math.max(doneAt - startedAt, 0);
    return { ...place, reason: null, durationMs: tookMs(attempt.latency, attempt.hinted, foundMs, before.id) };
  }
  // Whoever says a clear no is well: one tenant's bad requests are not to close a provider for all.
  if (attempt.outcome === "refused") {
    return { ...place, reason: isRouteTrouble(attempt.reason) ? attempt.reason : null, durationMs: null };
  }
  // What went wrong before it was called, it knows nothing of.
  if (attempt.outcome === "unsent") return { ...place, reason: "cancelled", durationMs: null };
  const ending = after.status === "settling" && after.outcome.kind === "failed" ? after.outcome.reason : null;
  const reason = attempt.reason ?? ending;
  if (reason === "timeout" && attempt.outcome !== "failed") return { ...place, ...waitedOut(attempt, now) };
  return { ...place, reason, durationMs: null };
}

/**
 * What it says of a provider that we waited no longer. Short of what nearly all take there, nothing: the task came late. Else it takes
 * at least as long, and is counted so: percentiles of those alone that were waited for would fall with each one given up.
 */
function waitedOut({ startedAt, latency }: Attempt, now: number): Pick<LeftPlace, "reason" | "durationMs"> {
  const p95 = latency.quantiles?.at(-1);
  const stayMs = Math.max(now - startedAt, 0);
  if (p95 === undefined) return { reason: "timeout", durationMs: null };
  return stayMs < p95 ? { reason: "queue_timeout", durationMs: null } : { reason: "timeout", durationMs: stayMs };
}

/** A place that was granted to a task which, by then, had been cancelled or had no use for it any more; null: it has it. */
export function unclaimedPlace(event: TaskEvent, after: Task | null): LeftPlace | null {
  if (event.type !== "leased") return null;
  const { lease } = event;
  return after?.status === "queued" && after.lease?.provider === lease.provider ? null : unusedOf(lease);
}

/** A task that ended, or went elsewhere, between getting its place and using it. */
function unusedPlace({ lease }: Extract<Task, { status: "queued" }>, after: Task): LeftPlace | null {
  if (lease === null) return null;
  const keeps = after.status === "queued" && after.lease?.provider === lease.provider;
  const uses = after.status === "submitting" && lastAttempt(after).provider === lease.provider;
  return keeps || uses ? null : unusedOf(lease);
}

function unusedOf({ provider, credential }: Lease): LeftPlace {
  return { provider, credential, model: "", reason: "cancelled", durationMs: null, retryAt: null };
}
