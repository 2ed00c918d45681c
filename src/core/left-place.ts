// The place at a provider that a task has left, and what came of it there: the provider's health hears of it once.
import { tookMs } from "./poll-schedule.ts";
import { isRouteTrouble } from "./upstream-errors.ts";
import { lastAttempt, type AttemptReason, type Task } from "./task.ts";

export interface LeftPlace {
  readonly provider: string;
  readonly credential: string;
  /** The provider's name for it; empty where the task left before it was handed over. */
  readonly model: string;
  /** What is the matter; null: nothing, the provider did its part. */
  readonly reason: AttemptReason | null;
  /** Of a completed generation. */
  readonly durationMs: number | null;
  /** When a busy provider wants to be asked again; null: it did not say. */
  readonly retryAt: number | null;
}

/** Null: it holds the place still, or held none. */
export function leftPlace(before: Task, after: Task, now: number): LeftPlace | null {
  if (before.status === "queued") return unusedPlace(before, after);
  if (before.status !== "submitting" && before.status !== "running" && before.status !== "storing") return null;
  const { startedAt } = lastAttempt(before);
  const attempt = after.attempts.findLast((each) => each.startedAt === startedAt) ?? lastAttempt(before);
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
  const ending = after.status === "settling" && after.outcome.kind === "failed" ? after.outcome.reason : null;
  return { ...place, reason: attempt.reason ?? ending, durationMs: null };
}

/** A task that ended, or went elsewhere, between getting its place and using it. */
function unusedPlace({ lease }: Extract<Task, { status: "queued" }>, after: Task): LeftPlace | null {
  if (lease === null) return null;
  const keeps = after.status === "queued" && after.lease?.provider === lease.provider;
  const uses = after.status === "submitting" && lastAttempt(after).provider === lease.provider;
  if (keeps || uses) return null;
  return {
    provider: lease.provider,
    credential: lease.credential,
    model: "",
    reason: "cancelled",
    durationMs: null,
    retryAt: null,
  };
}
