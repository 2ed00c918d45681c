// A task as its tenant sees it at a moment: what it is, how far it is, and when to look again.
import { publicTask, type PublicTask } from "./public-task.ts";
import type { Attempt, QueuedTask, Task } from "./task.ts";
import { progressOf, retryAfterSeconds } from "./watch.ts";

export interface SeenTask extends PublicTask {
  /** 0 before it was begun, 100 when it is completed; of a failed task, 0. */
  readonly progress: number;
  /** Null: it has ended. */
  readonly retryAfterSeconds: number | null;
  /** While no provider has it: how many are before it, where that is known, and in how many seconds it will probably have ended. */
  readonly queue: { readonly position: number | null; readonly estimatedSeconds: number } | null;
  /** What was tried so far, without a name: the outcome is told as far as a tenant may act on it. */
  readonly attempts: readonly SeenAttempt[];
}

export interface SeenAttempt {
  /** Unix seconds. */
  readonly startedAt: number;
  readonly outcome: "under_way" | "refused" | "failed" | "completed";
}

export function seenTask(task: Task, videoUrl: string | null, now: number): SeenTask {
  const seen = publicTask(task, videoUrl);
  const progress = seen.status === "processing" ? progressOf(task, now).percent : seen.status === "completed" ? 100 : 0;
  return {
    ...seen,
    progress,
    retryAfterSeconds: retryAfterSeconds(task, now),
    queue: task.status === "queued" ? queueOf(task, now) : null,
    attempts: task.attempts.map(({ startedAt, outcome }) => ({
      startedAt: Math.floor(startedAt / 1000),
      outcome: outcome === "accepted" ? acceptedOutcome(task) : OUTCOMES[outcome],
    })),
  };
}

const OUTCOMES = {
  open: "under_way",
  busy: "refused",
  refused: "refused",
  unsent: "refused",
  unknown: "failed",
  failed: "failed",
  abandoned: "failed",
} as const satisfies Record<Exclude<Attempt["outcome"], "accepted">, SeenAttempt["outcome"]>;

/** Of a task that failed only where an earlier release stored it: since then its attempt is closed with it. */
function acceptedOutcome({ status }: Task): SeenAttempt["outcome"] {
  return status === "completed" || status === "failed" ? status : "under_way";
}

/** The place is the best among the providers that it waits for; the estimate counts from now. */
function queueOf(task: QueuedTask, now: number): SeenTask["queue"] {
  const positions = task.waits.flatMap(({ position }) => (position === null ? [] : [position]));
  const { estimatedSeconds, elapsedSeconds } = progressOf(task, now);
  return {
    position: positions.length === 0 ? null : Math.min(...positions),
    estimatedSeconds: Math.max(estimatedSeconds - elapsedSeconds, 0),
  };
}
