// The health object itself: what it keeps, what a crash leaves of it, and what its calls cost.
import { env } from "cloudflare:workers";
import { evictDurableObject, reset, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { HealthPort, LeaseAsk, LeaseEnd, LeaseReply, ProviderLimits } from "../../src/ports.ts";
import { wire } from "../../src/wire.ts";
import { DAY, HOUR, MINUTE, SECOND } from "../support/builders.ts";

const PROVIDER = "alpha";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + DAY });
});

afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

function health(): HealthPort {
  return wire(env).healthOf(PROVIDER);
}

function stub(): DurableObjectStub {
  return env.PROVIDER_HEALTH.getByName(PROVIDER) as unknown as DurableObjectStub;
}

function pass(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}

function upTo(concurrency: number): ProviderLimits {
  return { concurrency, perMinute: null };
}

const NO_LIMITS: ProviderLimits = { concurrency: null, perMinute: null };

async function acquire(task: string, limits: ProviderLimits = NO_LIMITS, given: Partial<LeaseAsk> = {}): Promise<LeaseReply> {
  const ask = {
    task,
    stay: 1,
    tenant: "Tenant01",
    model: "alpha-veo3",
    credentials: ["KEY_1"],
    since: Date.now(),
    deadlineAt: Date.now() + HOUR,
    until: Date.now() + HOUR,
  };
  return health().acquire({ ...ask, ...given }, limits);
}

async function release(task: string, given: Partial<LeaseEnd> = {}): Promise<void> {
  const end = { stay: 1, credential: "KEY_1", model: "alpha-veo3", reason: null, durationMs: null, retryAt: null };
  await health().release({ task, ...end, ...given });
}

/** What is written while `work` is done: every put and delete is a row. */
async function rowsWritten(work: () => Promise<unknown>): Promise<number> {
  let rows = 0;
  await runInDurableObject(stub(), (_object, { storage }) => {
    const kv = Object.getPrototypeOf(storage.kv) as SyncKvStorage;
    for (const method of ["put", "delete"] as const) {
      const original = kv[method] as (...args: unknown[]) => unknown;
      vi.spyOn(kv, method).mockImplementation(function (this: SyncKvStorage, ...args: unknown[]) {
        rows++;
        return original.apply(this, args);
      } as never);
    }
  });
  await work();
  vi.restoreAllMocks();
  return rows;
}

async function stored(): Promise<[string, unknown][]> {
  return runInDurableObject(stub(), (_object, { storage }) => [...storage.kv.list()]);
}

describe("a place", () => {
  it("is the task's own until it is given back, then the next one's", async () => {
    expect(await acquire("task-1", upTo(1))).toEqual({
      kind: "granted",
      lease: { provider: PROVIDER, credential: "KEY_1", quantiles: null },
      isProbe: false,
    });
    expect(await acquire("task-2", upTo(1))).toEqual({
      kind: "refused",
      wait: { provider: PROVIDER, until: expect.any(Number), position: 0 },
      startsAt: Date.now() + MINUTE,
    });
    await release("task-1");
    expect(await acquire("task-2", upTo(1))).toMatchObject({ kind: "granted" });
  });

  it("is the same one however often it is asked for, and so is the wait for one", async () => {
    const first = await acquire("task-1", upTo(1));
    expect(await acquire("task-1", upTo(1))).toEqual(first);
    for (const [task, position] of [
      ["task-2", 0],
      ["task-3", 1],
      ["task-2", 0],
      ["task-3", 1],
    ] as const) {
      const reply = await acquire(task, upTo(1), { since: Number(task.slice(-1)) });
      expect(reply).toMatchObject({ kind: "refused", wait: { position } });
    }
    expect(await health().view()).toMatchObject({ leases: 1, waiting: 2 });
  });

  it("is had by as many as there are, and no more, when two hundred ask at once", async () => {
    const tasks = Array.from({ length: 200 }, (_, index) => `task-${index}`);
    const replies = await Promise.all(tasks.map(async (task) => acquire(task, upTo(50))));
    expect(replies.filter(({ kind }) => kind === "granted")).toHaveLength(50);
    const positions = replies.flatMap((reply) => (reply.kind === "refused" ? [reply.wait.position] : []));
    expect(Math.max(...positions.map(Number))).toBeLessThan(150);
    expect(await health().view()).toMatchObject({ leases: 50, waiting: 150 });
  });

  it("ends at its time if nobody gives it back", async () => {
    await acquire("task-1", upTo(1));
    pass(HOUR);
    expect(await acquire("task-2", upTo(1))).toMatchObject({ kind: "refused" });
    pass(1);
    expect(await health().view()).toMatchObject({ leases: 0 });
    expect(await acquire("task-2", upTo(1))).toMatchObject({ kind: "granted" });
    expect((await stored()).map(([key]) => key)).toEqual(["lease/task-2"]);
  });

  it("outlives the object; the line forms again as the tasks come back", async () => {
    await acquire("task-1", upTo(1));
    await acquire("task-2", upTo(1));
    await evictDurableObject(stub());
    expect(await health().view()).toMatchObject({ leases: 1, waiting: 0 });
    expect(await acquire("task-1", upTo(1))).toMatchObject({ kind: "granted" });
    expect(await acquire("task-2", upTo(1))).toMatchObject({ kind: "refused", wait: { position: 0 } });
    await release("task-1");
    await evictDurableObject(stub());
    expect(await acquire("task-2", upTo(1))).toMatchObject({ kind: "granted" });
  });

  it("is given up by a task that comes back without the credential it was had with", async () => {
    await acquire("task-1", upTo(1));
    expect(await acquire("task-1", upTo(1), { credentials: ["KEY_2"] })).toMatchObject({ lease: { credential: "KEY_2" } });
    await health().hold(true);
    expect(await acquire("task-1", upTo(1), { credentials: ["KEY_1"] })).toMatchObject({ kind: "refused" });
    await evictDurableObject(stub());
    expect(await health().view()).toMatchObject({ leases: 0 });
  });

  it("is not waited for by a task that says it has left", async () => {
    await acquire("task-1", upTo(1));
    await acquire("task-2", upTo(1));
    await release("task-2", { reason: "timeout" });
    expect(await health().view()).toMatchObject({ leases: 1, waiting: 0 });
  });
});

describe("a later stay of the same task", () => {
  it("is not ended by late word of an earlier one", async () => {
    await acquire("task-1", upTo(1));
    await release("task-1");
    await acquire("task-1", upTo(1), { stay: 2 });
    await release("task-1", { reason: "timeout" });
    expect(await health().view()).toMatchObject({ leases: 1 });
    await release("task-1", { stay: 2 });
    expect(await health().view()).toMatchObject({ leases: 0 });
  });

  it("has a place of its own where nothing was heard of the earlier one's end, and takes up no second one", async () => {
    await acquire("task-1", upTo(2));
    pass(MINUTE);
    expect(await acquire("task-1", upTo(2), { stay: 2 })).toMatchObject({ kind: "granted" });
    expect(await health().view()).toMatchObject({ leases: 1 });
    expect(await stored()).toEqual([["lease/task-1", expect.objectContaining({ stay: 2, grantedAt: Date.now() })]]);
  });

  it("is told from one that was had under a release in which stays had no numbers", async () => {
    await runInDurableObject(stub(), (_object, { storage }) => {
      const lease = { task: "task-1", tenant: "Tenant01", credential: "KEY_1", grantedAt: Date.now(), until: Date.now() + HOUR };
      storage.kv.put("lease/task-1", lease);
    });
    await evictDurableObject(stub());
    await release("task-1");
    expect(await health().view()).toMatchObject({ leases: 1 });
    await release("task-1", { stay: 0 });
    expect(await health().view()).toMatchObject({ leases: 0 });
  });
});

describe("what a task's end tells", () => {
  it("counts once, however often it is told", async () => {
    for (let index = 0; index < 4; index++) {
      await acquire(`task-${index}`);
      for (let told = 0; told < 3; told++) await release(`task-${index}`, { reason: "timeout" });
    }
    const before = await stored();
    await release("task-3", { reason: "timeout", durationMs: 5_000 });
    expect(await stored()).toEqual(before);
    expect((await health().view()).breaker).toBe("closed");
  });

  it("opens the breaker, which is open still after the object was away, and is logged", async () => {
    const log = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    for (let index = 0; index < 5; index++) await acquire(`task-${index}`);
    for (let index = 0; index < 5; index++) await release(`task-${index}`, { reason: "timeout" });
    expect(log.mock.calls.join()).toMatch(/"event":"provider_held_back".*"provider":"alpha"/);
    await evictDurableObject(stub());
    const openUntil = Date.now() + 30 * SECOND;
    expect(await health().view()).toMatchObject({ breaker: "open", openUntil });
    const reply = await acquire("task-5");
    expect(reply).toMatchObject({ kind: "refused", wait: { position: null } });
    expect(reply.kind === "refused" && reply.wait.until).toBeGreaterThanOrEqual(openUntil);

    pass(30 * SECOND);
    expect(await health().view()).toMatchObject({ breaker: "half_open", openUntil: null });
    const probes = await Promise.all(["a", "b", "c", "d"].map(async (task) => acquire(task)));
    expect(probes.map(({ kind }) => kind)).toEqual(["granted", "granted", "granted", "refused"]);
    await release("b");
    expect((await health().view()).breaker).toBe("ramping");
    pass(2 * MINUTE);
    expect((await health().view()).breaker).toBe("closed");
  });

  it("is handed on with the next place: what the model's last generations took", async () => {
    for (let index = 0; index < 6; index++) {
      await acquire(`task-${index}`);
      await release(`task-${index}`, { durationMs: (index + 1) * 10_000 });
    }
    await evictDurableObject(stub());
    const reply = await acquire("next");
    const quantiles = reply.kind === "granted" ? reply.lease.quantiles : null;
    expect(quantiles).toHaveLength(19);
    expect(quantiles?.[9]).toBe(35_000);
    expect((await health().view()).quantiles).toEqual({ "alpha-veo3": quantiles });
    expect(await acquire("another", NO_LIMITS, { model: "alpha-veo2" })).toMatchObject({ lease: { quantiles: null } });
  });

  it("shows which credentials are spent, and the others go on", async () => {
    await acquire("task-1", NO_LIMITS, { credentials: ["KEY_1", "KEY_2"] });
    await release("task-1", { reason: "unauthorized" });
    const until = Date.now() + 5 * MINUTE;
    expect((await health().view()).spent).toEqual([{ credential: "KEY_1", why: "unauthorized", until }]);
    expect(await acquire("task-2", NO_LIMITS, { credentials: ["KEY_1", "KEY_2"] })).toMatchObject({
      lease: { credential: "KEY_2" },
    });
    const soonAfter: unknown = expect.toSatisfy((at: number) => at >= until && at < until + 5_000);
    const refused = { kind: "refused", wait: { provider: PROVIDER, until: soonAfter, position: null }, startsAt: null };
    expect(await acquire("task-3")).toEqual(refused);
    pass(5 * MINUTE);
    expect((await health().view()).spent).toEqual([]);
  });
});

it("a task that comes too late gets no place, and those in line are told how much time they must have left", async () => {
  for (let n = 1; n <= 5; n++) {
    await acquire(`done-${n}`);
    await release(`done-${n}`, { durationMs: n * MINUTE });
  }
  await acquire("task-1", upTo(1));
  const wait = { provider: PROVIDER, position: 0, neededMs: 4.8 * MINUTE };
  expect(await acquire("task-2", upTo(1))).toMatchObject({ kind: "refused", wait });
  const late = { since: Date.now() - HOUR, deadlineAt: Date.now() + 4 * MINUTE };
  expect(await acquire("task-3", NO_LIMITS, late)).toMatchObject({ wait: { until: late.deadlineAt, position: null } });
  expect(await health().view()).toMatchObject({ leases: 1, waiting: 1 });
});

it("an operator's hold lasts until it is let go, also while the object is away; what is under way goes on", async () => {
  await acquire("task-1");
  await health().hold(true);
  await health().hold(true);
  await evictDurableObject(stub());
  expect(await health().view()).toMatchObject({ isHeld: true, leases: 1 });
  expect(await acquire("task-2")).toMatchObject({ kind: "refused", wait: { position: null } });
  pass(DAY);
  expect(await acquire("task-2")).toMatchObject({ kind: "refused" });
  await health().hold(false);
  expect(await acquire("task-2")).toMatchObject({ kind: "granted" });
});

it("a grant writes one row, a release two; a refusal, a repetition and a look none", async () => {
  await acquire("warm");
  await release("warm");
  expect(await rowsWritten(async () => acquire("task-1", upTo(1)))).toBe(1);
  expect(await rowsWritten(async () => acquire("task-1", upTo(1)))).toBe(0);
  expect(await rowsWritten(async () => acquire("task-2", upTo(1)))).toBe(0);
  expect(await rowsWritten(async () => health().view())).toBe(0);
  expect(await rowsWritten(async () => release("task-1", { durationMs: 5_000 }))).toBe(2);
  expect(await rowsWritten(async () => release("task-1", { durationMs: 5_000 }))).toBe(0);
});

it("what another release knew is left aside, but for an operator's hold; its leases count", async () => {
  await acquire("task-1", upTo(1));
  const leave = async (left: object): Promise<void> => {
    await runInDurableObject(stub(), (_object, { storage }) => storage.kv.put("health", { schema: 99, breaker: "?", ...left }));
    await evictDurableObject(stub());
  };
  await leave({});
  expect(await acquire("task-2", upTo(1))).toMatchObject({ kind: "refused", wait: { position: 0 } });
  expect(await health().view()).toMatchObject({ breaker: "closed", isHeld: false });
  await leave({ isHeld: true });
  expect(await health().view()).toMatchObject({ breaker: "closed", isHeld: true, leases: 1 });
});
