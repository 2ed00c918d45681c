// What the task machine's two halves share: a task in another state, with what every state keeps.
import type { FailureCode } from "./errors.ts";
import { lastAttempt } from "./task.ts";
import type { Attempt, Common, Outcome, RunningTask, SettlingTask, SubmittingTask, Task } from "./task.ts";

/** A task that is refused for half an hour comes by often; the first and the latest of it is what helps. */
const TIMELINE_LENGTH = 60;

/** A clock that ran backwards must not make a status older than the one before it. */
export function laterOf(task: Task, now: number): number {
  return Math.max(task.since, now);
}

export function closeAttempt(
  task: SubmittingTask | RunningTask,
  outcome: Attempt["outcome"],
  retryAt?: number,
): readonly Attempt[] {
  const closed = { ...lastAttempt(task), outcome, ...(retryAt !== undefined && { retryAt }) };
  return [...task.attempts.slice(0, -1), closed];
}

export function failing(task: Task, reason: FailureCode, now: number): SettlingTask {
  return settling(task, { kind: "failed", reason, upload: task.status === "storing" ? task.upload : null }, now);
}

export function settling(task: Task, outcome: Outcome, now: number): SettlingTask {
  // To its tenant a pending task is being processed from here on.
  const since = task.status === "queued" || task.status === "submitting" ? laterOf(task, now) : task.since;
  return { ...moved(task, "settling", now), since, outcome, settlingSince: now };
}

/** What every state has, in another state. */
export function moved<Status extends Task["status"]>(
  task: Task,
  status: Status,
  now: number,
): Common & { readonly status: Status } {
  const { id, tenant, mode, keyId, requestId, generation, prompt, credits, base, webhookUrl, metadata } = task;
  const { createdAt, deadlineAt, medianMs, retentionMs, schema, since, attempts, told } = task;
  const kept = task.timeline.length < TIMELINE_LENGTH ? task.timeline : task.timeline.filter((_, index) => index !== 1);
  return {
    ...{ id, tenant, mode, keyId, requestId, generation, prompt, credits, base, webhookUrl, metadata },
    ...{ createdAt, deadlineAt, medianMs, retentionMs, schema, since, attempts, told },
    timeline: [...kept, { at: now, status }],
    status,
  };
}
