// When a task is looked at: what is due, what a provider asked for, and the last moments at which a step may still begin.
import { backoff } from "./backoff.ts";
import { hasUntoldNews } from "./news.ts";
import { nextPoll } from "./poll-schedule.ts";
import { isTerminal, lastAttempt } from "./task.ts";
import type { QueuedTask, RunningTask, StoringTask, SubmittingTask, Task } from "./task.ts";

/** A finished video may still be copied for this long after the deadline: it is paid for and nearly there. */
const STORING_GRACE_MS = 8 * 60_000;
/** The longest any single step may be asked to wait by a provider. */
const RETRY_AFTER_CAP_MS = 5 * 60_000;
/** What has to be repeated until it is done waits a part of the time already spent on it. */
const REPEAT_GROWTH = 0.5;

/** When a provider may be asked again; never later than the last look. */
export function dueAt(task: QueuedTask | RunningTask): number {
  return Math.min(task.notBefore, task.deadlineAt);
}

/** When to look again after a change, in unix milliseconds. */
export function wakeAt(task: Task, now: number): number {
  // The end is told at once; what was not heard is told again with the next step.
  if (isTerminal(task) && hasUntoldNews(task)) return Math.min(now, task.expiresAt);
  switch (task.status) {
    case "queued":
      return Math.min(task.notBefore, Math.max(task.deadlineAt, now));
    case "storing":
      return task.notBefore;
    case "submitting":
      return task.repeat === null ? pollAt(task, now) : Math.min(task.repeat.notBefore, Math.max(task.deadlineAt, now));
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
export function pollAt(task: SubmittingTask | RunningTask, now: number): number {
  const { startedAt, latency, hinted } = lastAttempt(task);
  const next = startedAt + nextPoll(latency, hinted, Math.max(now - startedAt, 0), task.id);
  // The last look is at the deadline, not a step after it.
  return now < task.deadlineAt ? Math.min(next, task.deadlineAt) : next;
}

/** From then on a finished video is not fetched any more. */
export function lastStoreAt(task: StoringTask): number {
  return task.deadlineAt + STORING_GRACE_MS;
}

/** How long to wait, as a provider asked; null: it did not. */
export function retryAfter(ms: number | null): number | null {
  return ms === null ? null : Math.min(Math.max(ms, 0), RETRY_AFTER_CAP_MS);
}

/** When to repeat what must be done and was not, since `since`. */
export function repeatAt(since: number, now: number, capMs: number): number {
  return now + Math.min(Math.max((now - since) * REPEAT_GROWTH, 2_000), capMs);
}

export function backedOff(task: Task, failures: number): number {
  return backoff(failures, 2_000, 60_000, task.id);
}
