// The address that providers call back: who has no token is told nothing and costs nothing, and who has one cannot do much with it.
import { env } from "cloudflare:workers";
import { reset, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { VideoTask } from "../../src/durable/video-task.ts";
import { wire } from "../../src/wire.ts";
import { aTenant, call, callWith, createdId, type TestTenant } from "../support/gateway.ts";
import { simulatedProvider } from "../support/manage.ts";
import { readTask, taskStub } from "../support/objects.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 86_400_000 });
});
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

/** A running task, and where its provider may call. */
async function aHintedTask(): Promise<{ owner: TestTenant; id: string; path: string }> {
  const owner = await aTenant();
  const id = await createdId(owner.key, { prompt: "a lake [[stuck]]" });
  await runDurableObjectAlarm(taskStub(owner, id));
  const url = await wire(env).callbackUrlOf({ id, ...owner, base: "https://gateway.example" }, 1);
  return { owner, id, path: new URL(url ?? "").pathname };
}

const body = (bytes: number) => ({ method: "POST", body: "x".repeat(bytes) });

it("reads nothing of what comes without a token of ours", async () => {
  const stream = new ReadableStream({ pull: () => new Promise(() => undefined) });
  const reply = await call(`/v1/callbacks/${"A".repeat(60)}`, { method: "POST", body: stream });
  expect(reply.status).toBe(404);
});

it("takes 64 KiB and no more", async () => {
  const { path } = await aHintedTask();
  expect((await call(path, body(64 * 1024))).status).toBe(200);
  const reply = await call(path, body(64 * 1024 + 1));
  expect(reply.status).toBe(413);
  expect(await reply.text()).toContain("65536 bytes");
});

it("has the task polled once in two seconds, however often it is called", async () => {
  const { owner, id, path } = await aHintedTask();
  const poll = vi.spyOn(await simulatedProvider(owner, id), "poll");
  for (let calls = 0; calls < 5; calls++) {
    expect(await (await call(path, body(2))).json()).toEqual({ received: true });
    // As the platform would: no sooner than its time.
    const at = await runInDurableObject(taskStub(owner, id), async (_object, { storage }) => storage.getAlarm());
    if ((at ?? Infinity) <= Date.now()) await runDurableObjectAlarm(taskStub(owner, id));
  }
  expect(poll).toHaveBeenCalledTimes(1);
  const task = await readTask(owner, id);
  expect(task).toMatchObject({ status: "running", hintAt: Date.now() + 2_000 });
});

it("asks no task any more for who calls too often, and says nothing of that", async () => {
  const { path } = await aHintedTask();
  const read = vi.spyOn(VideoTask.prototype, "read");
  const limit = vi.fn().mockResolvedValue({ success: false });
  const reply = await callWith({ SHIELD_MISSES: { limit } }, path, body(2));
  expect([reply.status, await reply.json()]).toEqual([200, { received: true }]);
  expect(limit).toHaveBeenCalledOnce();
  expect(read).not.toHaveBeenCalled();
});
