// A task's place at a provider, in the runtime: asked for, used, and given back, whatever happens in between; and its images.
import { env } from "cloudflare:workers";
import { evictDurableObject, reset, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RefusedError, RetryableError } from "../../src/core/upstream-errors.ts";
import type { Route } from "../../src/core/routing.ts";
import type { Task } from "../../src/core/task.ts";
import { ProviderHealth } from "../../src/durable/provider-health.ts";
import { TenantEvents } from "../../src/durable/tenant-events.ts";
import { wire, type House } from "../../src/wire.ts";
import { aRoute, MINUTE } from "../support/builders.ts";
import { aTenant, create, createdId, type TestTenant } from "../support/gateway.ts";
import { cancel, houseOf, simulatedProvider } from "../support/manage.ts";
import { driveToEnd, readBalances, readTask, taskStub } from "../support/objects.ts";

const PROVIDER = "leased";

let undo: (() => void)[] = [];
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 86_400_000 });
});
afterEach(async () => {
  for (const each of undo) each();
  undo = [];
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

/** A queued task whose only route is a provider with one place; the simulated one stands behind it. */
async function aTaskAt(route: Partial<Route> = {}, body: Record<string, unknown> = {}) {
  const owner = await aTenant();
  const id = await createdId(owner.key, body);
  const house = await houseOf(owner, id);
  const simulated = await simulatedProvider(owner, id);
  const routes = house.routes as Route[];
  const before = routes.splice(0, routes.length, aRoute({ provider: PROVIDER, mode: "test", leased: true, ...route }));
  undo.push(() => void routes.splice(0, routes.length, ...before));
  vi.spyOn(house, "providerOf").mockReturnValue(simulated);
  vi.spyOn(house, "limitsOf").mockReturnValue({ concurrency: 1, perMinute: null });
  return { owner, id, house, provider: simulated };
}

async function wake(owner: TestTenant, id: string): Promise<void> {
  await runDurableObjectAlarm(taskStub(owner, id));
}

async function alarmOf(owner: TestTenant, id: string): Promise<number> {
  return runInDurableObject(taskStub(owner, id), async (_object, { storage }) => (await storage.getAlarm()) ?? Infinity);
}

/** As the platform would: at its time. */
async function wakeInTime(owner: TestTenant, id: string): Promise<void> {
  vi.setSystemTime(Math.max(await alarmOf(owner, id), Date.now()));
  await wake(owner, id);
}

async function leases(): Promise<number> {
  return (await wire(env).healthOf(PROVIDER).view()).leases;
}

/** Waits by looking: what is resolved in one object's context does not wake another's. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await scheduler.wait(5);
}

/** The next call has its effect, and its answer is late until it is let go. */
function heldUp(method: "acquire" | "release") {
  const original = ProviderHealth.prototype[method] as (...given: never[]) => Promise<unknown>;
  const state = { hasBegun: false, isLetGo: false };
  vi.spyOn(ProviderHealth.prototype, method).mockImplementationOnce(async function (this: ProviderHealth, ...given: unknown[]) {
    const answer = await original.apply(this, given as never[]);
    state.hasBegun = true;
    await until(() => state.isLetGo);
    return answer as never;
  });
  return { begun: async () => until(() => state.hasBegun), letGo: () => void (state.isLetGo = true) };
}

it("is had from before the submit until the task has ended, with two more rows in the task and no more", async () => {
  // The tenant's events object has a budget of its own: test/durable/tenant-events.test.ts.
  vi.spyOn(TenantEvents.prototype, "publish").mockResolvedValue();
  const { owner, id } = await aTaskAt();
  let rows = 0;
  await runInDurableObject(taskStub(owner, id), (_object, { storage }) => {
    for (const [target, method] of [
      [Object.getPrototypeOf(storage), "setAlarm"],
      [Object.getPrototypeOf(storage.kv), "put"],
    ] as const) {
      const original = Reflect.get(target as object, method) as (...given: unknown[]) => unknown;
      vi.spyOn(target as Record<string, () => unknown>, method).mockImplementation(function (this: unknown, ...given: unknown[]) {
        // The state and the alarm of the task; what else is written is another object's.
        if (method === "setAlarm" || given[0] === "task") rows++;
        return original.apply(this, given);
      } as never);
    }
  });
  const acquire = vi.spyOn(ProviderHealth.prototype, "acquire");
  const release = vi.spyOn(ProviderHealth.prototype, "release");
  await wake(owner, id);
  expect(await readTask(owner, id)).toMatchObject({ status: "running", places: [{ provider: PROVIDER, stay: 1 }] });
  // Of the place, its wish and the alarm beside it; of the submit the intent, the first poll's alarm and the answer; of the news one.
  expect(rows).toBe(2 + 3 + 1);
  expect(await leases()).toBe(1);
  await driveToEnd(owner, id);
  expect([acquire.mock.calls.length, release.mock.calls.length]).toEqual([1, 1]);
  expect(release.mock.calls[0]?.[0]).toMatchObject({ stay: 1, reason: null, durationMs: expect.any(Number) });
  expect(await readTask(owner, id)).toMatchObject({ status: "completed", places: [], left: [] });
  expect(await leases()).toBe(0);
});

describe("a place does not leak", () => {
  it("when a cancel lands while it is asked for", async () => {
    const { owner, id } = await aTaskAt();
    const acquire = heldUp("acquire");
    const waking = wake(owner, id);
    await acquire.begun();
    expect(await leases()).toBe(1);
    const cancelled = cancel(owner, id);
    await vi.waitFor(async () => expect((await readTask(owner, id))?.status).toBe("settling"));
    acquire.letGo();
    expect((await cancelled).status).toBe(200);
    await waking;
    expect(await readTask(owner, id)).toMatchObject({ status: "failed", reason: "cancelled", left: [] });
    expect(await leases()).toBe(0);
    expect(await readBalances(owner)).toMatchObject({ held: 0, spent: 0 });
  });

  it("when a cancel lands while the last one is given back, which is not undone", async () => {
    const { owner, id, provider } = await aTaskAt();
    vi.spyOn(provider, "submit").mockRejectedValue(new RetryableError("rate_limited"));
    const release = heldUp("release");
    const waking = wake(owner, id);
    await release.begun();
    const cancelled = cancel(owner, id);
    await vi.waitFor(async () => expect((await readTask(owner, id))?.status).toBe("settling"));
    release.letGo();
    expect((await cancelled).status).toBe(200);
    await waking;
    expect(await readTask(owner, id)).toMatchObject({ status: "failed", reason: "cancelled", left: [] });
    expect(await leases()).toBe(0);
  });

  it("when its release is not heard, and the object is put out of memory", async () => {
    const { owner, id } = await aTaskAt();
    const release = vi.spyOn(ProviderHealth.prototype, "release").mockRejectedValueOnce(new Error("away"));
    const ended = await driveToEnd(owner, id);
    expect(ended).toMatchObject({ status: "completed", left: [{ provider: PROVIDER, stay: 1 }] });
    expect(await readBalances(owner)).toMatchObject({ held: 0, spent: 40 });
    expect(await leases()).toBe(1);
    await evictDurableObject(taskStub(owner, id));
    await wakeInTime(owner, id);
    expect(release).toHaveBeenCalledTimes(2);
    expect(await leases()).toBe(0);
    expect(await readTask(owner, id)).toMatchObject({ left: [] });
    expect(await alarmOf(owner, id)).toBe((ended as Extract<Task, { status: "completed" }>).expiresAt);
  });

  it("when the isolate dies with the wish on record: it is the same place when it is asked for again", async () => {
    const { owner, id } = await aTaskAt();
    vi.spyOn(ProviderHealth.prototype, "acquire").mockImplementationOnce(async () => new Promise<never>(() => undefined));
    void wake(owner, id).catch(() => undefined);
    await vi.waitFor(async () => expect(await readTask(owner, id)).toMatchObject({ places: [{ stay: 1, lease: null }] }));
    await runInDurableObject(taskStub(owner, id), (_object, state) => state.abort("a deploy")).catch(() => undefined);
    await wake(owner, id);
    expect(await readTask(owner, id)).toMatchObject({ status: "running", stays: 1, places: [{ stay: 1 }] });
    await driveToEnd(owner, id);
    expect(await leases()).toBe(0);
  });
});

it("is asked for five times where nobody answers, a little later each time, and then the task goes on without", async () => {
  const { owner, id } = await aTaskAt();
  const acquire = vi.spyOn(ProviderHealth.prototype, "acquire").mockRejectedValue(new Error("overloaded"));
  const start = Date.now();
  for (let tries = 1; tries <= 5; tries++) {
    await wakeInTime(owner, id);
    expect(await readTask(owner, id)).toMatchObject(tries < 5 ? { status: "queued", leaseMisses: tries } : { status: "running" });
  }
  expect(acquire).toHaveBeenCalledTimes(5);
  expect(Date.now() - start).toBeGreaterThan(10_000);
  expect(Date.now() - start).toBeLessThan(MINUTE);
});

describe("images", () => {
  const body = { model: "veo2-fast-components", images: ["https://images.example/1.png", "https://images.example/2.png"] };
  const png = { bytes: new Uint8Array([1, 2, 3]), mimeType: "image/png" } as const;
  const kept = async (): Promise<number> => (await env.VIDEOS.list({ prefix: "images/" })).objects.length;

  /** A task that has asked for its images once. */
  async function prepared(second: Error): Promise<{ owner: TestTenant; id: string; fetchImage: ReturnType<typeof vi.fn> }> {
    const { owner, id, house } = await aTaskAt({ images: "inline" }, body);
    const fetchImage = vi.spyOn(house as { fetchImage: House["fetchImage"] }, "fetchImage");
    fetchImage.mockImplementation(async (url) => (url.endsWith("1.png") ? png : Promise.reject(second)));
    await wake(owner, id);
    return { owner, id, fetchImage: fetchImage as never };
  }

  it("do not outlive their task where the second of them is none", async () => {
    const { owner, id } = await prepared(new RefusedError("task", "image_invalid"));
    expect(await readTask(owner, id)).toMatchObject({ status: "failed", reason: "image_invalid" });
    expect(await kept()).toBe(0);
    expect(await readBalances(owner)).toMatchObject({ held: 0, spent: 0 });
  });

  it("whose host is not there end the task within seconds, credits given back and the first one fetched once", async () => {
    const { owner, id, fetchImage } = await prepared(new TypeError("no such host"));
    const start = Date.now();
    expect(await kept()).toBe(1);
    while ((await readTask(owner, id))?.status === "queued") await wakeInTime(owner, id);
    expect(await readTask(owner, id)).toMatchObject({ status: "failed", reason: "image_fetch_failed" });
    expect(Date.now() - start).toBeLessThan(15_000);
    expect(fetchImage.mock.calls.map(([url]) => (url as string).slice(-5))).toEqual(["1.png", "2.png", "2.png", "2.png"]);
    expect(await kept()).toBe(0);
    expect(await readBalances(owner)).toMatchObject({ held: 0, spent: 0 });
  });

  it("that R2 does not take are tried until the deadline, and then the fault is ours", async () => {
    vi.spyOn(console, "error").mockReturnValue();
    const put = vi.spyOn(Object.getPrototypeOf(env.VIDEOS) as R2Bucket, "put").mockRejectedValue(new Error("R2 is away"));
    const { owner, id } = await prepared(new Error("never asked"));
    for (let wakes = 0; wakes < 200 && (await readTask(owner, id))?.status === "queued"; wakes++) await wakeInTime(owner, id);
    expect(await readTask(owner, id)).toMatchObject({ status: "failed", reason: "internal_error" });
    expect(put.mock.calls.length).toBeGreaterThan(50);
    expect(await readBalances(owner)).toMatchObject({ held: 0, spent: 0 });
  });

  it("of a task that is cancelled while they are fetched are removed", async () => {
    const { owner, id, house } = await aTaskAt({ images: "inline" }, body);
    const state = { isLetGo: false };
    vi.spyOn(house as { fetchImage: House["fetchImage"] }, "fetchImage").mockImplementation(async () => {
      await until(() => state.isLetGo);
      return png;
    });
    const waking = wake(owner, id);
    const cancelled = cancel(owner, id);
    await vi.waitFor(async () => expect((await readTask(owner, id))?.status).toBe("settling"));
    state.isLetGo = true;
    expect((await cancelled).status).toBe(200);
    await waking;
    expect(await readTask(owner, id)).toMatchObject({ status: "failed", reason: "cancelled" });
    expect(await kept()).toBe(0);
  });
});

it("create answers before any of that", async () => {
  const { owner } = await aTaskAt();
  vi.spyOn(ProviderHealth.prototype, "acquire").mockRejectedValue(new Error("overloaded"));
  expect((await create(owner.key, { model: "veo3", prompt: "a lake" })).status).toBe(200);
});

it("is waited for in line only by those who want it still: who is cancelled has left, and the next one's turn is at once", async () => {
  const first = await aTaskAt();
  await wake(first.owner, first.id);
  const [second, third] = [await createdId(first.owner.key), await createdId(first.owner.key)];
  for (const id of [second, third]) {
    await wake(first.owner, id);
    expect(await readTask(first.owner, id)).toMatchObject({ status: "queued", waits: [{ position: expect.any(Number) }] });
  }
  expect(await wire(env).healthOf(PROVIDER).view()).toMatchObject({ leases: 1, waiting: 2 });
  expect((await cancel(first.owner, second)).status).toBe(200);
  await wake(first.owner, second);
  expect(await wire(env).healthOf(PROVIDER).view()).toMatchObject({ leases: 1, waiting: 1 });
  await driveToEnd(first.owner, first.id);
  // The first of these may be due for its news only.
  for (let wakes = 0; wakes < 2; wakes++) await wakeInTime(first.owner, third);
  expect(await readTask(first.owner, third)).toMatchObject({ status: "running" });
});
