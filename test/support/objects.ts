// The objects behind a tenant, seen from inside: for tests that drive alarms, look at storage, or put something into it.
import { env } from "cloudflare:workers";
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { foldJournal, type Account, type Entry } from "../../src/core/ledger.ts";
import { isTerminal, type Task } from "../../src/core/task.ts";
import { wire } from "../../src/wire.ts";
import type { TestTenant } from "./gateway.ts";

export function taskStub({ tenant }: TestTenant, id: string): DurableObjectStub {
  return env.VIDEO_TASK.getByName(`${tenant}/${id}`);
}

export function ledgerStub({ tenant, mode }: TestTenant): DurableObjectStub {
  return env.TENANT_LEDGER.getByName(`${tenant}/${mode}`) as unknown as DurableObjectStub;
}

export async function readTask(owner: TestTenant, id: string): Promise<Task | null> {
  return wire(env).taskOf(owner.tenant, id).read();
}

/** Wakes a task until it has come to its end; an early wake does early what it would do later. */
export async function driveToEnd(owner: TestTenant, id: string, wakes = 40): Promise<Task> {
  for (let count = 0; count < wakes; count++) {
    const task = await readTask(owner, id);
    if (task === null) throw new Error("the task is gone");
    if (isTerminal(task)) return task;
    await runDurableObjectAlarm(taskStub(owner, id));
  }
  throw new Error(`no end after ${wakes} wakes: ${(await readTask(owner, id))?.status}`);
}

/** Puts a task into an object's storage as a release, or a crash, would have left it there. */
export async function plantTask(owner: TestTenant, task: Task): Promise<void> {
  await runInDurableObject(taskStub(owner, task.id), async (_object, state) => {
    state.storage.kv.put("task", task);
    await state.storage.setAlarm(Date.now() + 3_600_000);
  });
}

export interface Books {
  readonly account: Account;
  readonly journal: readonly Entry[];
  /** State of each task's row, by id. */
  readonly rows: Readonly<Record<string, string>>;
  readonly orphans: readonly { task: string; reason: string; provider: string }[];
}

export async function readBooks(owner: TestTenant): Promise<Books> {
  return runInDurableObject(ledgerStub(owner), (_object, { storage }) => {
    const select = <Row extends Record<string, SqlStorageValue>>(query: string): Row[] => storage.sql.exec<Row>(query).toArray();
    const rows = select<{ id: string; state: string }>("SELECT id, state FROM tasks");
    return {
      account: storage.kv.get<Account>("account") as Account,
      journal: select<{ [Column in keyof Entry]: Entry[Column] }>("SELECT seq, at, kind, amount, ref FROM journal ORDER BY seq"),
      rows: Object.fromEntries(rows.map(({ id, state }) => [id, state])),
      orphans: select<{ task: string; reason: string; provider: string }>(
        "SELECT task, reason, provider FROM orphans ORDER BY seq",
      ),
    };
  });
}

/** The balances, once they have been found to be what the journal says. */
export async function readBalances(owner: TestTenant): Promise<ReturnType<typeof foldJournal>> {
  const { account, journal } = await readBooks(owner);
  const { granted, adjusted, held, spent, expired, plan, bought } = account;
  const balances = { granted, adjusted, held, spent, expired, available: plan + bought };
  const folded = foldJournal(journal);
  for (const name of Object.keys(folded) as (keyof typeof folded)[]) {
    if (balances[name] !== folded[name]) throw new Error(`${name}: the account has ${balances[name]}, the journal ${folded[name]}`);
  }
  return balances;
}
