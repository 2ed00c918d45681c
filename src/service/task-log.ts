// What a step of a task leaves in the log and in the charts: ids, names and numbers, none of anybody's words.
import { isTerminal, type Effect, type Task, type TaskEvent } from "../core/task.ts";
import type { LogEntry, Telemetry } from "../ports.ts";

export function taskLog(task: Task, effect: Effect, event: TaskEvent, note: string | undefined, ms: number): LogEntry {
  return {
    event: "task_step",
    task: task.id,
    tenant: task.tenant,
    mode: task.mode,
    step: effect.kind,
    outcome: event.type,
    note: note ?? ("reason" in event ? event.reason : null),
    attempt: task.attempts.length,
    provider: task.attempts.at(-1)?.provider ?? null,
    ms,
  };
}

/** For a task that has just ended. */
export function taskUsage(task: Task): Parameters<Telemetry["usage"]>[0] {
  return {
    tenant: task.tenant,
    model: task.generation.model,
    provider: task.attempts.at(-1)?.provider ?? "none",
    outcome: task.status === "failed" ? task.reason : task.status,
    credits: task.status === "completed" ? task.credits : 0,
    seconds: isTerminal(task) ? (task.since - task.createdAt) / 1000 : 0,
  };
}
