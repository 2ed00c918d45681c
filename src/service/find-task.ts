// A tenant's own task by its id. Forged ids, other tenants' ids and purged tasks are one and the same no, before any object is named.
import type { TaskOwner } from "../core/task-id.ts";
import { isOwnTaskId } from "../core/task-id.ts";
import type { Refusal } from "../core/errors.ts";
import { fail, ok, type Result } from "../core/result.ts";
import { isTerminal, type Task } from "../core/task.ts";
import type { Clock, TaskOf } from "../ports.ts";
import { again } from "./again.ts";

export interface FindDeps {
  readonly taskOf: TaskOf;
  readonly taskIdSecrets: readonly string[];
  readonly clock: Clock;
}

/** One object call, none for an id that is not the owner's. */
export async function findTask(deps: FindDeps, owner: TaskOwner, id: string): Promise<Result<Task, Refusal>> {
  if (!(await isOwnTaskId(deps.taskIdSecrets, owner, id))) return fail({ kind: "task_not_found" });
  const task = await again(() => deps.taskOf(owner.tenant, id).read());
  // What its tenant deleted is gone at once, though its alarm may take a moment to clean up.
  return task === null || isGone(task, deps.clock()) ? fail({ kind: "task_not_found" }) : ok(task);
}

export function isGone(task: Task, now: number): boolean {
  return isTerminal(task) && task.expiresAt <= now;
}
