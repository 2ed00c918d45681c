// What a step of a task leaves in the log and in the charts: ids, names and numbers, none of anybody's words.
import type { Effect } from "../core/task-machine.ts";
import type { TaskEvent } from "../core/task-transition.ts";
import { attemptNumber, costCentsOf, isTerminal, orphansOf, type Task } from "../core/task.ts";
import { isRouteTrouble } from "../core/upstream-errors.ts";
import type { AlertKind, LogEntry, Telemetry } from "../ports.ts";

export function taskLog(task: Task, effect: Effect, event: TaskEvent, note: string | undefined, ms: number): LogEntry {
  return {
    event: "task_step",
    task: task.id,
    tenant: task.tenant,
    mode: task.mode,
    step: effect.kind,
    outcome: event.type,
    note: note ?? ("reason" in event ? event.reason : endingOf(task)),
    attempt: attemptNumber(task),
    provider: askedBy(effect) ?? task.attempts.at(-1)?.provider ?? null,
    ms,
  };
}

/** Whom a step asks, which need not be the one that has the task; null: it does not say. */
function askedBy(effect: Effect): string | null {
  if (effect.kind === "submit") return effect.attempt.provider;
  return "provider" in effect ? effect.provider : null;
}

/** Why a task is being settled that fails; null for one that does not. */
function endingOf(task: Task): string | null {
  return task.status === "settling" && task.outcome.kind === "failed" ? task.outcome.reason : null;
}

/**
 * What of a step an operator should hear of at once; null: nothing. `states`: what the task was before the step, while it was taken,
 * and after it.
 */
export function taskAlert(states: readonly (Task | null)[], note: string | undefined): { kind: AlertKind; entry: LogEntry } | null {
  const [before] = states;
  if (!before) return null;
  const attempt = states.at(-1)?.attempts.at(-1);
  const provider = attempt?.provider ?? null;
  const entry = { task: before.id, tenant: before.tenant, mode: before.mode, provider };
  if (note === "unauthorized" || note === "out_of_credit" || isRouteTrouble(note)) {
    // The secret's name. An attempt of a release that knew one credential a provider has none.
    return { kind: "provider_credentials", entry: { ...entry, why: note, credential: attempt?.credential || null } };
  }
  const ending = states.find((task) => task?.status === "settling");
  if (before.status === "settling" || ending?.status !== "settling" || ending.outcome.kind !== "failed") return null;
  const { reason } = ending.outcome;
  if (reason === "internal_error") return { kind: "task_quarantined", entry };
  const orphans = orphansOf(ending);
  return orphans.length === 0 ? null : { kind: "orphan", entry: { ...entry, reason, cost_cents: costCentsOf(orphans) } };
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
