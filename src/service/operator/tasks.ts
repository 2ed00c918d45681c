// What an operator does with single tasks: find one by its id or its request, end it, have it looked at now.
import type { Mode } from "../../core/api-key.ts";
import type { Refusal } from "../../core/errors.ts";
import type { Hold } from "../../core/ledger.ts";
import { fail, ok, type Result } from "../../core/result.ts";
import { isTerminal, type Task } from "../../core/task.ts";
import { hasTaskIdShape, isOwnTaskId } from "../../core/task-id.ts";
import type { BooksOf, RegistryPort, TaskOf } from "../../ports.ts";
import type { Audit } from "./audited.ts";

export interface TasksDeps {
  readonly registry: RegistryPort;
  readonly booksOf: BooksOf;
  readonly taskOf: TaskOf;
  readonly taskIdSecrets: readonly string[];
  readonly audit: Audit;
}

export interface TaskView {
  readonly task: Task;
  /** Null: the ledger has no row for it. */
  readonly hold: Hold["state"] | null;
}

const MODES = ["live", "test"] as const satisfies readonly Mode[];
const TENANTS_A_PAGE = 100;
const NO_TASK: Refusal = { kind: "task_not_found" };

export type OperatorTasks = ReturnType<typeof operatorTasks>;

export function operatorTasks({ registry, booksOf, taskOf, taskIdSecrets, audit }: TasksDeps) {
  /** An id names no tenant, but its MAC fits one only: asking each costs a hash, and wakes nothing. */
  async function ownerOf(id: string, among: string | null): Promise<{ tenant: string; mode: Mode } | null> {
    if (!hasTaskIdShape(id)) return null;
    for await (const tenant of tenants(among)) {
      for (const mode of MODES) if (await isOwnTaskId(taskIdSecrets, { tenant, mode }, id)) return { tenant, mode };
    }
    return null;
  }

  /** That one, if there is such a tenant; null: every one. */
  async function* tenants(only: string | null): AsyncIterable<string> {
    if (only !== null) {
      if ((await registry.tenant(only)) !== null) yield only;
      return;
    }
    for (let after: string | null = null; ;) {
      const page = await registry.tenants(after, TENANTS_A_PAGE);
      for (const { id } of page) yield id;
      if (page.length < TENANTS_A_PAGE) return;
      after = page.at(-1)?.id ?? null;
    }
  }

  /** `tenant`: whose it is, where that is known; null: all of them are tried. */
  async function find(id: string, tenant: string | null): Promise<Result<TaskView, Refusal>> {
    const owner = await ownerOf(id, tenant);
    const task = owner && (await taskOf(owner.tenant, id).read());
    return task ? ok({ task, hold: await booksOf(task.tenant, task.mode).holdState(id) }) : fail(NO_TASK);
  }

  /** `tenant` null: every tenant's rows are walked. */
  async function findByRequest(requestId: string, tenant: string | null): Promise<Result<TaskView, Refusal>> {
    for await (const each of tenants(tenant)) {
      for (const mode of MODES) {
        const id = await booksOf(each, mode).taskOfRequest(requestId);
        if (id !== null) return find(id, each);
      }
    }
    return fail(NO_TASK);
  }

  return {
    find,
    findByRequest,

    /** Ends it without a charge. What a provider still makes of it becomes an orphan. */
    async fail(actor: string, id: string, among: string | null, reason: string): Promise<Result<TaskView, Refusal>> {
      const found = await find(id, among);
      if (!found.ok) return found;
      const { tenant, status } = found.value.task;
      if (!(await taskOf(tenant, id).abandon())) return fail({ kind: "task_ended" });
      await audit({ actor, action: "task.fail", target: id, before: { tenant, status }, after: { reason } });
      return find(id, tenant);
    },

    /** Has it take its next step now instead of at its next alarm. */
    async retry(actor: string, id: string, among: string | null): Promise<Result<TaskView, Refusal>> {
      const found = await find(id, among);
      if (!found.ok) return found;
      const { tenant, status } = found.value.task;
      if (isTerminal(found.value.task)) return fail({ kind: "task_ended" });
      await taskOf(tenant, id).poke();
      await audit({ actor, action: "task.retry", target: id, before: { tenant, status } });
      return find(id, tenant);
    },
  };
}
