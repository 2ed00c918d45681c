// What one whole lifecycle costs, counted where the platform bills: rows written, object calls, KV and R2 operations (design, section 7).
import { env } from "cloudflare:workers";
import { reset, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, expect, it, vi } from "vitest";
import { TenantEvents } from "../../src/durable/tenant-events.ts";
import { TenantLedger } from "../../src/durable/tenant-ledger.ts";
import { VideoTask } from "../../src/durable/video-task.ts";
import { aTenant, call, create, query, type TestTenant } from "../support/gateway.ts";
import { readTask, taskStub } from "../support/objects.ts";

afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

interface Cost {
  rows: number;
  objectCalls: number;
  kvReads: number;
  kvWrites: number;
  r2Writes: number;
  r2Reads: number;
  r2Deletes: number;
}

/** Rows for having told the tenant's events object, which counts its own (test/durable/tenant-events.test.ts). */
const TOLD = 1;

const NOTHING: Cost = { rows: 0, objectCalls: 0, kvReads: 0, kvWrites: 0, r2Writes: 0, r2Reads: 0, r2Deletes: 0 };

/** Counts what every later step does; `since` answers with the cost since it was last asked. */
async function meter(owner: TestTenant): Promise<{ since: () => Cost }> {
  let cost = { ...NOTHING };
  const count = <Target extends object>(target: Target, methods: readonly string[], what: keyof Cost): void => {
    for (const method of methods) {
      const original = Reflect.get(target, method) as (...args: unknown[]) => unknown;
      vi.spyOn(target as Record<string, () => unknown>, method).mockImplementation(function (this: unknown, ...args: unknown[]) {
        cost[what]++;
        return original.apply(this, args);
      } as never);
    }
  };
  // One isolate runs it all, so that what is put on a prototype here is what the objects use.
  await runInDurableObject(env.TENANT_LEDGER.getByName(`${owner.tenant}/${owner.mode}`), (_object, { storage }) => {
    // Not deleteAlarm: running an alarm by hand calls it, where the platform just takes the alarm.
    count(Object.getPrototypeOf(storage), ["setAlarm", "deleteAll"], "rows");
    count(Object.getPrototypeOf(storage.kv), ["put", "delete"], "rows");
    const sql = Object.getPrototypeOf(storage.sql) as { exec: SqlStorage["exec"] };
    const exec = sql.exec;
    vi.spyOn(sql, "exec").mockImplementation(function (this: SqlStorage, ...args: Parameters<SqlStorage["exec"]>) {
      const cursor = exec.apply(this, args);
      // Writing statements run to their end at once; what a reading one costs is not billed by the row here.
      if (!/^\s*SELECT/.test(args[0])) cost.rows += cursor.rowsWritten;
      return cursor;
    } as never);
  });
  count(VideoTask.prototype, ["start", "read", "poke", "tombstone", "alarm"], "objectCalls");
  count(TenantLedger.prototype, ["reserve", "resolve", "forget", "known", "tend", "alarm"], "objectCalls");
  count(Object.getPrototypeOf(env.TENANTS), ["get", "getWithMetadata", "list"], "kvReads");
  count(Object.getPrototypeOf(env.TENANTS), ["put", "delete"], "kvWrites");
  count(Object.getPrototypeOf(env.VIDEOS), ["put", "createMultipartUpload", "list"], "r2Writes");
  count(Object.getPrototypeOf(env.VIDEOS), ["get", "head"], "r2Reads");
  count(Object.getPrototypeOf(env.VIDEOS), ["delete"], "r2Deletes");
  return {
    since() {
      const spent = cost;
      cost = { ...NOTHING };
      return spent;
    },
  };
}

it("stays within the budgets of every step, from create to purge", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 86_400_000 });
  // The tenant's events object has a budget of its own: test/durable/tenant-events.test.ts.
  vi.spyOn(TenantEvents.prototype, "publish").mockResolvedValue();
  const owner = await aTenant();
  // Another task of the tenant is under way, as there is on a gateway in use: the ledger's watchdog is armed.
  await create(owner.key, { model: "veo3", prompt: "another [[stuck]]" });
  await env.TENANT_EVENTS.getByName(`${owner.tenant}/${owner.mode}`).feed(0, 1); // its tables, once a tenant
  const { since } = await meter(owner);
  const total = { ...NOTHING };
  const spend = (): Cost => {
    const cost = since();
    for (const name of Object.keys(cost) as (keyof Cost)[]) total[name] += cost[name];
    return cost;
  };
  const wake = async (id: string): Promise<void> => {
    await runDurableObjectAlarm(taskStub(owner, id));
  };

  const { id } = await (await create(owner.key, { model: "veo3", prompt: "a lake [[slow:20]]" })).json<{ id: string }>();
  const created = spend();
  expect(created).toMatchObject({ objectCalls: 2, r2Writes: 0, r2Reads: 0 });
  expect(created.rows).toBeLessThanOrEqual(8);
  expect(created.kvReads).toBeLessThanOrEqual(2);

  await wake(id);
  const submitted = spend();
  expect(submitted).toMatchObject({ objectCalls: 1, kvReads: 0, kvWrites: 0 });
  expect(submitted.rows).toBeLessThanOrEqual(3 + TOLD);

  for (let polls = 0; polls < 6; polls++) {
    await wake(id);
    expect(spend()).toEqual({ ...NOTHING, rows: 1, objectCalls: 1 });
  }
  for (let queries = 0; queries < 5; queries++) {
    await query(owner.key, id);
    const queried = spend();
    expect(queried).toEqual({ ...NOTHING, objectCalls: 1, kvReads: queried.kvReads });
    expect(queried.kvReads).toBeLessThanOrEqual(1);
  }

  vi.setSystemTime(Date.now() + 30_000);
  await wake(id); // the poll that finds it done
  const found = spend();
  expect(found.rows).toBeLessThanOrEqual(3);
  await wake(id); // store, and settle in the same wake
  expect((await readTask(owner, id))?.status).toBe("completed");
  const { objectCalls, ...delivered } = spend();
  expect(objectCalls - 1).toBeLessThanOrEqual(3); // less this test's own read
  expect(delivered).toMatchObject({ r2Writes: 1, kvReads: 0 });
  expect(delivered.rows).toBeLessThanOrEqual(10 + TOLD);
  total.objectCalls--;

  const { video_url: link } = await (await query(owner.key, id)).json<{ video_url: string }>();
  spend();
  total.objectCalls--;
  await (await call(link)).arrayBuffer();
  expect(spend()).toEqual({ ...NOTHING, r2Reads: 1 });

  vi.setSystemTime(Date.now() + 8 * 86_400_000);
  await wake(id);
  const purged = spend();
  expect(purged).toMatchObject({ objectCalls: 2, r2Deletes: 1, r2Writes: 0 });
  expect(purged.rows).toBeLessThanOrEqual(5);

  expect(total.rows).toBeLessThanOrEqual(32);
  expect(total.objectCalls).toBeLessThanOrEqual(20);
  expect(total.r2Writes).toBe(1);
  expect(total.kvReads).toBeLessThanOrEqual(2);
  console.info("one lifecycle", { created, submitted, found, delivered, purged, total });
});
