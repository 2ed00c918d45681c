// What earlier releases left in storage, kept as they wrote it: this release runs every such task to its end, and the books add up.
// Made by driving a task into each state and writing down the objects' storage; `submitting` and `settling` are as a crash leaves them.
import { env } from "cloudflare:workers";
import { runInDurableObject, reset } from "cloudflare:test";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Account } from "../../src/core/ledger.ts";
import { brokenInvariant } from "../../src/core/ledger.ts";
import type { Task } from "../../src/core/task.ts";
import release010 from "../fixtures/storage/release-0.1.0.json?raw";
import { wire } from "../../src/wire.ts";
import type { TestTenant } from "../support/gateway.ts";
import { driveToEnd, ledgerStub, plantTask, readBalances, readBooks } from "../support/objects.ts";

interface StorageDump {
  readonly release: string;
  /** When it was written down, in unix milliseconds. */
  readonly now: number;
  readonly tasks: readonly Task[];
  readonly ledger: {
    readonly account: Account;
    readonly tables: readonly {
      readonly name: string;
      readonly sql: string;
      readonly rows: readonly Record<string, string | number>[];
    }[];
  };
}

const DAY_MS = 86_400_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + DAY_MS });
});
afterEach(async () => {
  vi.useRealTimers();
  await reset();
});

it.each([release010])("a task of an earlier release ends under this one", async (text) => {
  const dump = broughtTo(Date.now(), text);
  const { tenant, mode } = dump.tasks[0] as Task;
  const owner: TestTenant = { tenant, mode, key: "", keyId: "" };
  await runInDurableObject(ledgerStub(owner), (_object, { storage }) => {
    storage.kv.put("account", dump.ledger.account);
    for (const { name, sql, rows } of dump.ledger.tables) {
      storage.sql.exec(sql);
      for (const row of rows) {
        const values = Object.values(row);
        storage.sql.exec(`INSERT INTO ${name} VALUES (${values.map(() => "?").join()})`, ...values);
      }
    }
  });
  // The dump has none of these, and this release knows what one cost.
  const orphan = "INSERT INTO orphans (at, task, provider, model, reason) VALUES (1, 'veo3:1', 'up', 'veo3', 'timeout')";
  await runInDurableObject(ledgerStub(owner), (_object, { storage }) => void storage.sql.exec(orphan));
  const books = wire(env).booksOf(tenant, mode);
  expect(await books.orphans(null, 10)).toMatchObject([{ task: "veo3:1", costCents: null }]);
  for (const task of dump.tasks) await plantTask(owner, task);
  const ended = await Promise.all(dump.tasks.map(async ({ id }) => driveToEnd(owner, id)));
  const become = Object.fromEntries(dump.tasks.map(({ id, status }, index) => [`${status} ${id.slice(-4)}`, ended[index]?.status]));
  for (const [was, is] of Object.entries(become))
    expect([was, is]).toEqual([was, /^(failed|submitting)/.test(was) ? "failed" : "completed"]);
  expect(await readBalances(owner)).toMatchObject({ held: 0, spent: 5 * 40 });
  const { account, rows } = await readBooks(owner);
  expect(brokenInvariant(account)).toBeNull();
  expect(Object.values(rows)).not.toContain("held");
  expect(await books.orphans(null, 10)).toMatchObject([
    { seq: 2, reason: "upstream_ambiguous", costCents: null, writtenOff: null },
    { seq: 1, task: "veo3:1", costCents: null, writtenOff: null },
  ]);
});

/** The same storage, as if it had been written just now: every time in it is moved by as much. */
function broughtTo(now: number, text: string): StorageDump {
  const then = (JSON.parse(text) as StorageDump).now;
  const near = (value: number): boolean => Math.abs(value - then) < 100 * DAY_MS;
  return JSON.parse(text, (_name, value: unknown) =>
    typeof value === "number" && near(value) ? value + now - then : value,
  ) as StorageDump;
}
