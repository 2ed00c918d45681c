import { env } from "cloudflare:workers";
import { evictDurableObject, reset, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { FailureCode } from "../../src/core/errors.ts";
import { TASK_SCHEMA, type Task } from "../../src/core/task.ts";
import { wire } from "../../src/wire.ts";
import { aTenant, create, query, type TestTenant } from "../support/gateway.ts";
import { simulatedProvider } from "../support/manage.ts";
import { driveToEnd, plantTask, readBalances, readBooks, readTask, taskStub } from "../support/objects.ts";

const PRICE = 40;
const GRANTED = 10_000;

// Tomorrow, so that an alarm for "now" waits for the test to run it and never fires by itself half-way through a step.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 86_400_000 });
});

afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

async function started(prompt: string): Promise<{ owner: TestTenant; id: string }> {
  const owner = await aTenant();
  const reply = await create(owner.key, { model: "veo3", prompt });
  expect(reply.status).toBe(200);
  const { id } = await reply.json<{ id: string }>();
  return { owner, id };
}

async function alarmOf(owner: TestTenant, id: string): Promise<number | null> {
  return runInDurableObject(taskStub(owner, id), (_object, state) => state.storage.getAlarm());
}

describe("a task that goes well", () => {
  it("is copied, charged and completed, one step a wake", async () => {
    const { owner, id } = await started("a lake [[slow:0]]");
    const task = await driveToEnd(owner, id);
    expect(task).toMatchObject({ status: "completed", video: { bytes: 146_831, width: 1280, height: 720, durationMs: 8_000 } });
    expect(await readBalances(owner)).toMatchObject({ available: GRANTED - PRICE, held: 0, spent: PRICE });
    expect((await readBooks(owner)).rows).toEqual({ [id]: "settled" });
    expect((await env.VIDEOS.head(`videos/${id}`))?.customMetadata).toEqual({ owner: `${owner.tenant}/test` });
  });

  it("loses nothing when its object is put out of memory between any two steps", async () => {
    const { owner, id } = await started("a lake [[slow:0]]");
    for (const status of ["queued", "running", "storing", "completed"]) {
      await evictDurableObject(taskStub(owner, id));
      expect((await readTask(owner, id))?.status).toBe(status);
      await runDurableObjectAlarm(taskStub(owner, id));
    }
    expect(await readBalances(owner)).toMatchObject({ held: 0, spent: PRICE });
  });

  it("needs nobody to wake it: its alarms are armed by the platform", async () => {
    vi.useRealTimers();
    const { owner, id } = await started("a lake [[slow:0]]");
    await vi.waitFor(async () => expect((await readTask(owner, id))?.status).toBe("completed"), { timeout: 15_000, interval: 250 });
  }, 20_000);
});

describe("a scripted fate", () => {
  it.each<[string, FailureCode]>([
    ["[[refuse:content_policy]]", "content_policy"],
    ["[[refuse:upstream_rejected]]", "upstream_rejected"],
    ["[[slow:0]] [[fail:content_policy]]", "content_policy"],
    ["[[lost_submit]]", "upstream_ambiguous"],
    ["[[slow:0]] [[truncated]]", "upstream_invalid_result"],
  ])("%s fails with %s, released and not charged", async (tags, reason) => {
    const { owner, id } = await started(`a lake ${tags}`);
    await driveThroughTime(owner, id);
    expect(await readTask(owner, id)).toMatchObject({ status: "failed", reason });
    expect(await readBalances(owner)).toMatchObject({ available: GRANTED, held: 0, spent: 0 });
    expect(await env.VIDEOS.head(`videos/${id}`)).toBeNull();
    const reply = await (await query(owner.key, id)).json();
    expect(reply).toMatchObject({ status: "failed", video_url: null, error: { code: reason } });
  });

  it.each(["[[busy]]", "[[slow:0]] [[flaky_poll]]", "[[slow:0]] [[expired_link]]"])("%s completes all the same", async (tags) => {
    const { owner, id } = await started(`a lake ${tags}`);
    await driveThroughTime(owner, id);
    expect((await readTask(owner, id))?.status).toBe("completed");
    expect(await readBalances(owner)).toMatchObject({ held: 0, spent: PRICE });
  });

  it("[[stuck]] is given up at its deadline, released, and left to the operator as an orphan", async () => {
    const { owner, id } = await started("a lake [[stuck]]");
    const errors = vi.spyOn(console, "error").mockReturnValue();
    const wakes = await driveThroughTime(owner, id);
    const alerts = errors.mock.calls.map(([line]) => JSON.parse(String(line)) as object);
    expect(alerts).toEqual([
      expect.objectContaining({ event: "alert", alert: "orphan", task: id, reason: "timeout", cost_cents: null }),
    ]);
    expect(await readTask(owner, id)).toMatchObject({ status: "failed", reason: "timeout" });
    expect(await readBalances(owner)).toMatchObject({ available: GRANTED, held: 0 });
    expect((await readBooks(owner)).orphans).toEqual([{ task: id, reason: "timeout", provider: "simulated" }]);
    expect(wakes).toBeLessThan(140);
  });

  /** Moves the clock to each alarm in turn, as the platform would. */
  async function driveThroughTime(owner: TestTenant, id: string): Promise<number> {
    for (let wakes = 1; wakes < 300; wakes++) {
      const at = await alarmOf(owner, id);
      if (at !== null) vi.setSystemTime(Math.max(at, Date.now()));
      await runDurableObjectAlarm(taskStub(owner, id));
      const task = await readTask(owner, id);
      if (task?.status === "completed" || task?.status === "failed") return wakes;
    }
    throw new Error("no end");
  }
});

describe("the paid call", () => {
  it("is not made again after a crash that left only the intent", async () => {
    const { owner, id } = await started("a lake [[stuck]]");
    await driveUntil(owner, id, "running");
    const running = (await readTask(owner, id)) as Extract<Task, { status: "running" }>;
    const { operation: _, lastPoll: _1, misses: _2, spoiled: _3, notBefore: _4, ...rest } = running;
    await plantTask(owner, {
      ...rest,
      status: "submitting",
      attempts: [{ ...running.attempts[0]!, outcome: "open" }],
      repeat: null,
    });
    const submit = vi.spyOn(await simulatedProvider(owner, id), "submit");
    const task = await driveToEnd(owner, id);
    expect(task).toMatchObject({ status: "failed", reason: "upstream_ambiguous" });
    expect(submit).not.toHaveBeenCalled();
    expect((await readBooks(owner)).orphans).toEqual([{ task: id, reason: "upstream_ambiguous", provider: "simulated" }]);
    expect(await readBalances(owner)).toMatchObject({ available: GRANTED, held: 0 });
  });

  it("is waited for while it lasts, however long beyond the alarm that was armed before it, and whoever wakes the task", async () => {
    const { owner, id } = await started("a lake [[stuck]]");
    const simulated = await simulatedProvider(owner, id);
    let answer: () => void = () => undefined;
    const silence = new Promise<void>((resolve) => (answer = resolve));
    const submit = vi.spyOn(simulated, "submit").mockImplementation(async () => {
      await silence;
      return { operation: { job: "j1" }, prompt: null };
    });
    const look = runDurableObjectAlarm(taskStub(owner, id));
    await vi.waitFor(async () => expect((await readTask(owner, id))?.status).toBe("submitting"));
    vi.setSystemTime(Date.now() + 300_000);
    expect(Date.now()).toBeGreaterThan((await alarmOf(owner, id)) ?? Infinity);
    const again = runInDurableObject(taskStub(owner, id), async (object) =>
      (object as unknown as { alarm(): Promise<void> }).alarm(),
    );
    expect(await wire(env).taskOf(owner.tenant, id).poke()).toBe(true);
    expect((await readTask(owner, id))?.status).toBe("submitting");
    answer();
    await Promise.all([look, again]);
    expect(await readTask(owner, id)).toMatchObject({ status: "running", operation: { job: "j1" } });
    expect(submit).toHaveBeenCalledTimes(1);
    expect((await readBooks(owner)).orphans).toEqual([]);
  });

  async function driveUntil(owner: TestTenant, id: string, status: Task["status"]): Promise<void> {
    for (let wakes = 0; wakes < 5 && (await readTask(owner, id))?.status !== status; wakes++) {
      await runDurableObjectAlarm(taskStub(owner, id));
    }
    expect((await readTask(owner, id))?.status).toBe(status);
  }
});

describe("an id", () => {
  it("starts once, however often it is told to", async () => {
    const { owner, id } = await started("a lake [[slow:0]]");
    const completed = await driveToEnd(owner, id);
    expect(
      await wire(env)
        .taskOf(owner.tenant, id)
        .start({ ...completed, prompt: "another" }),
    ).toBe(true);
    expect(await readTask(owner, id)).toEqual(completed);
  });

  it("that was given up never starts, and one that started cannot be given up", async () => {
    const { owner, id } = await started("a lake [[stuck]]");
    const task = (await readTask(owner, id)) as Task;
    const port = wire(env).taskOf(owner.tenant, id);
    expect(await port.tombstone()).toBe(false);
    const other = wire(env).taskOf(owner.tenant, `${id}2`);
    expect(await other.poke()).toBe(false);
    expect(await other.tombstone()).toBe(true);
    expect(await other.start(task)).toBe(false);
    expect(await other.read()).toBeNull();
  });
});

describe("the end of retention", () => {
  it("removes the video, the ledger's row and everything stored, and the id is unknown from then on", async () => {
    const { owner, id } = await started("a lake [[slow:0]]");
    const task = (await driveToEnd(owner, id)) as Extract<Task, { status: "completed" }>;
    expect(await alarmOf(owner, id)).toBe(task.expiresAt);
    vi.setSystemTime(task.expiresAt - 1);
    await runDurableObjectAlarm(taskStub(owner, id));
    expect(await env.VIDEOS.head(`videos/${id}`)).not.toBeNull();
    vi.setSystemTime(task.expiresAt);
    await runDurableObjectAlarm(taskStub(owner, id));
    expect(await env.VIDEOS.head(`videos/${id}`)).toBeNull();
    expect((await readBooks(owner)).rows).toEqual({});
    const left = await runInDurableObject(taskStub(owner, id), async (_object, state) => [
      [...state.storage.kv.list()].length,
      await state.storage.getAlarm(),
    ]);
    expect(left).toEqual([0, null]);
    expect((await query(owner.key, id)).status).toBe(404);
    expect(await readBalances(owner)).toMatchObject({ spent: PRICE });
  });
});

describe("alarm()", () => {
  it("never throws, and looks again after a surprise", async () => {
    const { owner, id } = await started("a lake [[stuck]]");
    await runInDurableObject(taskStub(owner, id), (_object, state) =>
      state.storage.kv.put("task", { schema: 1, status: "no such" }),
    );
    const errors = vi.spyOn(console, "error").mockReturnValue();
    await runDurableObjectAlarm(taskStub(owner, id));
    expect(await alarmOf(owner, id)).toBeGreaterThan(Date.now());
    expect(errors).toHaveBeenCalledWith(expect.stringContaining("alarm_failed"));
  });

  it("leaves what a newer release wrote as it is, and keeps looking", async () => {
    const { owner, id } = await started("a lake [[stuck]]");
    const newer = { ...(await readTask(owner, id)), schema: TASK_SCHEMA + 1 };
    await runInDurableObject(taskStub(owner, id), (_object, state) => state.storage.kv.put("task", newer));
    vi.spyOn(console, "error").mockReturnValue();
    await runDurableObjectAlarm(taskStub(owner, id));
    expect(await readTask(owner, id)).toEqual(newer);
    expect(await alarmOf(owner, id)).toBeGreaterThan(Date.now());
    expect((await query(owner.key, id)).status).toBe(200);
  });
});
