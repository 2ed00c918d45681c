// What an operator does with single tasks: find one by its id or its request, end it, have it looked at now.
import type { Mode } from "../../core/api-key.ts";
import type { Refusal } from "../../core/errors.ts";
import type { Hold } from "../../core/ledger.ts";
import { fail, ok, type Result } from "../../core/result.ts";
import { isTerminal, type Task } from "../../core/task.ts";
import { isOwnTaskId } from "../../core/task-id.ts";
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
  async function ownerOf(id: string): Promise<{ tenant: string; mode: Mode } | null> {
    for await (const tenant of everyTenant()) {
      for (const mode of MODES) if (await isOwnTaskId(taskIdSecrets, { tenant, mode }, id)) return { tenant, mode };
    }
    return null;
  }

  async function* everyTenant(): AsyncIterable<string> {
    for (let after: string | null = null; ;) {
      const page = await registry.tenants(after, TENANTS_A_PAGE);
      for (const { id } of page) yield id;
      if (page.length < TENANTS_A_PAGE) return;
      after = page.at(-1)?.id ?? null;
    }
  }

  async function find(id: string): Promise<Result<TaskView, Refusal>> {
    const owner = await ownerOf(id);
    const task = owner && (await taskOf(owner.tenant, id).read());
    return task ? ok({ task, hold: await booksOf(task.tenant, task.mode).holdState(id) }) : fail(NO_TASK);
  }

  /** `tenant` null: every tenant's rows are walked. */
  async function findByRequest(requestId: string, tenant: string | null): Promise<Result<TaskView, Refusal>> {
    for await (const each of tenant === null ? everyTenant() : [tenant]) {
      for (const mode of MODES) {
        const id = await booksOf(each, mode).taskOfRequest(requestId);
        if (id !== null) return find(id);
      }
    }
    return fail(NO_TASK);
  }

  return {
    find,
    findByRequest,

    /** Ends it without a charge. What a provider still makes of it becomes an orphan. */
    async fail(actor: string, id: string, reason: string): Promise<Result<TaskView, Refusal>> {
      const found = await find(id);
      if (!found.ok) return found;
      const { tenant, status } = found.value.task;
      if (!(await taskOf(tenant, id).abandon())) return fail({ kind: "task_ended" });
      await audit({ actor, action: "task.fail", target: id, before: { status }, after: { reason } });
      return find(id);
    },

    /** Has it take its next step now instead of at its next alarm. */
    async retry(actor: string, id: string): Promise<Result<TaskView, Refusal>> {
      const found = await find(id);
      if (!found.ok) return found;
      const { task } = found.value;
      if (isTerminal(task)) return fail({ kind: "task_ended" });
      await taskOf(task.tenant, id).poke();
      await audit({ actor, action: "task.retry", target: id, before: { status: task.status } });
      return find(id);
    },
  };
}
