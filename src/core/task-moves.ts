// What the task machine's two halves share: a task in another state, with what every state keeps.
import type { FailureCode } from "./errors.ts";
import { withoutPlaces, withoutUsedPlace } from "./left-place.ts";
import { publicStatus } from "./public-task.ts";
import { lastAttempt, requeued } from "./task.ts";
import type {
  Attempt,
  AttemptReason,
  Common,
  Outcome,
  QueuedTask,
  RunningTask,
  SettlingTask,
  StoringTask,
  SubmittingTask,
  Task,
} from "./task.ts";

/** A task that is refused for half an hour comes by often; the first and the latest of it is what helps. */
const TIMELINE_LENGTH = 60;

/** A clock that ran backwards must not make a status older than the one before it. */
export function laterOf(task: Task, now: number): number {
  return Math.max(task.since, now);
}

export function closeAttempt(
  task: Task,
  outcome: Attempt["outcome"],
  more: Pick<Partial<Attempt>, "retryAt" | "askedBackAt" | "reason" | "rewritten"> = {},
): readonly Attempt[] {
  return [...task.attempts.slice(0, -1), { ...lastAttempt(task), outcome, ...more }];
}

/** To another provider, if there is one: the last attempt has come to nothing that is the prompt's fault. */
export function handedOn(
  task: RunningTask | StoringTask,
  outcome: "failed" | "abandoned",
  reason: FailureCode,
  now: number,
): QueuedTask {
  const attempts = closeAttempt(task, outcome, { reason });
  const places = withoutUsedPlace({ ...task, attempts }, reason, now);
  return requeued({ ...moved(task, "queued", now), ...places, attempts }, now, reason);
}

/** Nobody can tell what the provider made of it, so nobody else may be asked. */
export function ambiguous(task: SubmittingTask, now: number): SettlingTask {
  return failing({ ...task, attempts: closeAttempt(task, "unknown") }, "upstream_ambiguous", now);
}

/** `outcome`, and `why`: of the attempt that a provider has accepted, where there is one. */
export function failing(
  task: Task,
  reason: FailureCode,
  now: number,
  outcome: "failed" | "abandoned" = "abandoned",
  why: AttemptReason = reason,
): SettlingTask {
  const isTaken = task.status === "running" || task.status === "storing";
  const closed = isTaken ? { ...task, attempts: closeAttempt(task, outcome, { reason: why }) } : task;
  return settling(closed, { kind: "failed", reason, upload: task.status === "storing" ? task.upload : null }, now);
}

export function settling(task: Task, outcome: Outcome, now: number): SettlingTask {
  // To its tenant a pending task is being processed from here on.
  const since = publicStatus(task) === "pending" ? laterOf(task, now) : task.since;
  const places = withoutPlaces(task, outcome.kind === "failed" ? outcome.reason : null, now);
  return { ...moved(task, "settling", now), ...places, since, outcome, settlingSince: now };
}

/** What every state has, in another state. */
export function moved<Status extends Task["status"]>(
  task: Task,
  status: Status,
  now: number,
): Common & { readonly status: Status } {
  const kept = task.timeline.length < TIMELINE_LENGTH ? task.timeline : task.timeline.filter((_, index) => index !== 1);
  const { id, tenant, mode, keyId, requestId, generation, prompt, credits, base, webhookUrl, metadata, route } = task;
  const { createdAt, deadlineAt, medianMs, retentionMs, schema, since, attempts, told, images, stays, places, left } = task;
  const spec = { id, tenant, mode, keyId, requestId, generation, prompt, credits, base, webhookUrl, metadata, route };
  const times = { createdAt, deadlineAt, medianMs, retentionMs };
  const held = { stays, places, left };
  return { ...spec, ...times, schema, since, attempts, told, images, ...held, timeline: [...kept, { at: now, status }], status };
}
