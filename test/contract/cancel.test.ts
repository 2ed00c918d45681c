// POST /v1/video/cancel: what no provider has seen ends at once and costs nothing; what one has is passed on where that is possible,
// and else refused with the reason. Whatever was answered, the end and the books agree with it.
import { evictDurableObject, reset, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Task } from "../../src/core/task.ts";
import { TenantLedger } from "../../src/durable/tenant-ledger.ts";
import type { PollResult, Provider } from "../../src/ports.ts";
import clip from "../../src/providers/clips/clip-16x9.mp4";
import { aTenant, createdId, query, type TestTenant, type Video } from "../support/gateway.ts";
import { cancel, houseOf, plantProvider, simulatedProvider } from "../support/manage.ts";
import { driveToEnd, plantTask, readBalances, readBooks, readTask, taskStub } from "../support/objects.ts";
import { expectRefusal, readError } from "../support/refusals.ts";
import { aSource } from "../support/video-sources.ts";

const PRICE = 40;
const GRANTED = 10_000;
const UNTOUCHED = { available: GRANTED, held: 0, spent: 0 };
const CANCELLED = { code: "cancelled", message: "The task was cancelled. You were not charged." };

const undo: (() => void)[] = [];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 86_400_000 });
});
afterEach(async () => {
  for (const each of undo.splice(0)) each();
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

async function aQueued(): Promise<{ owner: TestTenant; id: string }> {
  const owner = await aTenant();
  return { owner, id: await createdId(owner.key) };
}

/** A provider that does as it is told, and the task that it works on. */
async function aRunning(given: Partial<Provider> = {}) {
  const { owner, id } = await aQueued();
  const provider = {
    traits: { images: "url", callback: "none", idempotentCreate: false, retentionMs: null },
    submit: vi.fn<Provider["submit"]>(async () => ({ operation: { job: "j1" }, prompt: null })),
    poll: vi.fn<Provider["poll"]>(async () => ({ status: "running" })),
    open: vi.fn<Provider["open"]>(async () => aSource(new Uint8Array(clip))),
    cancel: vi.fn<NonNullable<Provider["cancel"]>>(async () => "stopping"),
  } satisfies Provider;
  Object.assign(provider, given);
  undo.push(await plantProvider(owner, id, provider));
  await wake(owner, id);
  expect((await readTask(owner, id))?.status).toBe("running");
  return { owner, id, provider };
}

async function wake(owner: TestTenant, id: string): Promise<void> {
  await runDurableObjectAlarm(taskStub(owner, id));
}

/** The next look, however far off it is. */
async function wakeLater(owner: TestTenant, id: string, ms = 60_000): Promise<void> {
  vi.setSystemTime(Date.now() + ms);
  await wake(owner, id);
}

function says(provider: { poll: { mockResolvedValue: (result: PollResult) => void } }, result: PollResult): void {
  provider.poll.mockResolvedValue(result);
}

/** Lets the test decide when a call is answered. */
function aDoor<Value>(): { opened: Promise<Value>; open: (value: Value) => void } {
  let open: (value: Value) => void = () => undefined;
  const opened = new Promise<Value>((resolve) => (open = resolve));
  return { opened, open };
}

async function expectNotCancellable(owner: TestTenant, id: string, why: RegExp): Promise<void> {
  const before = await readTask(owner, id);
  const message = await expectRefusal(owner, async () => cancel(owner, id), { status: 409, code: "task_not_cancellable" });
  expect(message).toMatch(why);
  expect(message).toMatch(/Nothing was changed\.$/);
  expect(await readTask(owner, id)).toEqual(before);
}

describe("before a provider has seen it", () => {
  it("ends at once: failed, released and never submitted, all in the one reply", async () => {
    const { owner, id } = await aQueued();
    const submit = vi.fn<Provider["submit"]>();
    undo.push(await plantProvider(owner, id, { ...(await simulatedProvider(owner, id)), submit }));
    const reply = await cancel(owner, id);
    expect(reply.status).toBe(200);
    const body = await reply.json<Video>();
    expect(body).toMatchObject({ id, status: "failed", video_url: null, error: CANCELLED });
    expect(Object.keys(body).sort()).toEqual(["enhanced_prompt", "error", "id", "status", "status_update_time", "video_url"]);
    expect(await readBalances(owner)).toMatchObject(UNTOUCHED);
    expect((await readBooks(owner)).rows).toEqual({ [id]: "released" });
    expect((await readBooks(owner)).orphans).toEqual([]);
    expect(await (await query(owner.key, id)).json()).toEqual(body);
    await wakeLater(owner, id);
    expect(submit).not.toHaveBeenCalled();
    expect((await readTask(owner, id))?.status).toBe("failed");
  });

  it("frees the tenant's place for a live task", async () => {
    const owner = await aTenant({ limits: { liveTasks: 1 } });
    const id = await createdId(owner.key);
    await expect(createdId(owner.key)).rejects.toThrow("concurrency_limit_exceeded");
    expect((await cancel(owner, id)).status).toBe(200);
    // The copy at the edge may be a few seconds behind.
    vi.setSystemTime(Date.now() + 10_000);
    await createdId(owner.key);
  });

  it("gives the same answer however often it is asked, also by two at once", async () => {
    const { owner, id } = await aQueued();
    const replies = await Promise.all([cancel(owner, id), cancel(owner, id)]);
    replies.push(await cancel(owner, id));
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200]);
    const bodies = await Promise.all(replies.map(async (reply) => reply.text()));
    expect(new Set(bodies).size).toBe(1);
    expect((await readBooks(owner)).journal.filter(({ kind }) => kind === "release")).toHaveLength(1);
  });

  it("is not held up by what is just being told of the task", async () => {
    const { owner, id } = await aQueued();
    const queued = (await readTask(owner, id)) as Extract<Task, { status: "queued" }>;
    await plantTask(owner, { ...queued, notBefore: Date.now() + 60_000 });
    const door = aDoor<void>();
    const publish = vi.fn(async () => door.opened);
    const house = await houseOf(owner, id);
    vi.spyOn(house, "eventsOf").mockReturnValue({ publish } as never);
    const telling = wake(owner, id);
    await vi.waitFor(() => expect(publish).toHaveBeenCalledOnce(), { timeout: 20_000 });
    const cancelling = cancel(owner, id);
    await vi.waitFor(async () => expect((await readTask(owner, id))?.status).toBe("settling"), { timeout: 20_000 });
    door.open();
    await telling;
    const reply = await cancelling;
    expect([reply.status, (await reply.json<Video>()).status]).toEqual([200, "failed"]);
    expect(await readBalances(owner)).toMatchObject(UNTOUCHED);
  });

  it("is cancelled though the ledger cannot be reached: it says so, stays so, and is released when the ledger is back", async () => {
    const { owner, id } = await aQueued();
    const resolve = vi.spyOn(TenantLedger.prototype, "resolve").mockRejectedValue(new Error("not now"));
    for (let time = 0; time < 2; time++) {
      const reply = await cancel(owner, id);
      // Told as ended only once the money has followed.
      expect([reply.status, (await reply.json<Video>()).status]).toEqual([200, "processing"]);
    }
    resolve.mockRestore();
    await wakeLater(owner, id);
    expect(await (await query(owner.key, id)).json()).toMatchObject({ status: "failed", error: CANCELLED });
    expect(await readBalances(owner)).toMatchObject(UNTOUCHED);
  });

  it("wins or loses against the submit, and never does both", async () => {
    const { owner, id } = await aQueued();
    const submit = vi.fn<Provider["submit"]>(async () => ({ operation: { job: "j1" }, prompt: null }));
    undo.push(await plantProvider(owner, id, { ...(await simulatedProvider(owner, id)), submit }));
    const [reply] = await Promise.all([cancel(owner, id), wake(owner, id)]);
    await reply.text();
    expect([reply.status, submit.mock.calls.length]).toBeOneOf([
      [200, 0],
      [409, 1],
    ]);
  });
});

describe("while it is handed over", () => {
  it("is refused, and may be asked for again a moment later", async () => {
    const { owner, id } = await aQueued();
    const door = aDoor<{ operation: { job: string }; prompt: null }>();
    const submit = vi.fn<Provider["submit"]>(async () => door.opened);
    const simulated = await simulatedProvider(owner, id);
    undo.push(await plantProvider(owner, id, { ...simulated, submit, canCancel: () => true, cancel: async () => "stopping" }));
    const submitting = wake(owner, id);
    await vi.waitFor(() => expect(submit).toHaveBeenCalledOnce(), { timeout: 20_000 });
    await expectNotCancellable(owner, id, /being handed over/);
    door.open({ operation: { job: "j1" }, prompt: null });
    await submitting;
    expect((await readTask(owner, id))?.status).toBe("running");
    expect((await cancel(owner, id)).status).toBe(202);
  });
});

describe("a test key's task", () => {
  it("tagged cancellable can be told to stop while it works, and is not charged", async () => {
    const owner = await aTenant();
    const id = await createdId(owner.key, { prompt: "a lake [[slow:30]] [[cancellable]]" });
    await wake(owner, id);
    expect((await readTask(owner, id))?.status).toBe("running");
    expect((await cancel(owner, id)).status).toBe(202);
    await wake(owner, id);
    await wakeLater(owner, id);
    expect(await (await query(owner.key, id)).json()).toMatchObject({ status: "failed", error: CANCELLED });
    expect(await readBalances(owner)).toMatchObject(UNTOUCHED);
  });

  it("tagged cancellable is finished where it is asked too late", async () => {
    const owner = await aTenant();
    const id = await createdId(owner.key, { prompt: "a lake [[slow:1]] [[cancellable]]" });
    await wake(owner, id);
    vi.setSystemTime(Date.now() + 5_000);
    expect((await cancel(owner, id)).status).toBe(202);
    await wake(owner, id);
    vi.setSystemTime(Date.now() + 60_000);
    expect((await driveToEnd(owner, id)).status).toBe("completed");
  });

  it("without the tag cannot be told to stop", async () => {
    const owner = await aTenant();
    const id = await createdId(owner.key, { prompt: "a lake [[slow:30]]" });
    await wake(owner, id);
    await expectRefusal(owner, async () => cancel(owner, id), { status: 409, code: "task_not_cancellable" });
  });
});

describe("a provider that can be told to stop", () => {
  it("is told once; 202 says that it is on its way, and the polls tell that it worked", async () => {
    const { owner, id, provider } = await aRunning();
    const reply = await cancel(owner, id);
    expect(reply.status).toBe(202);
    expect(await reply.json()).toMatchObject({ id, status: "processing", video_url: null });
    await wake(owner, id);
    expect(provider.cancel).toHaveBeenCalledExactlyOnceWith({ job: "j1" }, expect.anything());
    says(provider, { status: "failed", by: "route", reason: "upstream_rejected" });
    await wakeLater(owner, id);
    expect(await (await query(owner.key, id)).json()).toMatchObject({ status: "failed", error: CANCELLED });
    expect(await readBalances(owner)).toMatchObject(UNTOUCHED);
    expect(provider.cancel).toHaveBeenCalledOnce();
  });

  it("gives the same answer while the wish is under way, and is not told twice", async () => {
    const { owner, id, provider } = await aRunning();
    const statuses = [(await cancel(owner, id)).status, (await cancel(owner, id)).status];
    await wake(owner, id);
    statuses.push((await cancel(owner, id)).status);
    await wakeLater(owner, id);
    expect(statuses).toEqual([202, 202, 202]);
    expect(provider.cancel).toHaveBeenCalledOnce();
  });

  it("may forget the job over it", async () => {
    const { owner, id, provider } = await aRunning();
    await cancel(owner, id);
    await wake(owner, id);
    says(provider, { status: "missing" });
    await wakeLater(owner, id);
    expect(await readTask(owner, id)).toMatchObject({ status: "failed", reason: "cancelled" });
    expect(await readBalances(owner)).toMatchObject(UNTOUCHED);
  });

  it("may call it finished with nothing to fetch", async () => {
    const { owner, id, provider } = await aRunning();
    await cancel(owner, id);
    await wake(owner, id);
    says(provider, { status: "empty" });
    await wakeLater(owner, id);
    expect(await readTask(owner, id)).toMatchObject({ status: "failed", reason: "cancelled" });
  });

  it("may fail before it hears of it: no other provider begins what is to be stopped", async () => {
    const { owner, id, provider } = await aRunning();
    const door = aDoor<PollResult>();
    provider.poll.mockReturnValueOnce(door.opened);
    vi.setSystemTime(Date.now() + 60_000);
    const polling = wake(owner, id);
    await vi.waitFor(() => expect(provider.poll).toHaveBeenCalledOnce(), { timeout: 20_000 });
    expect((await cancel(owner, id)).status).toBe(202);
    door.open({ status: "failed", by: "route", reason: "upstream_rejected" });
    await polling;
    expect(await readTask(owner, id)).toMatchObject({ status: "failed", reason: "cancelled" });
    expect(provider.submit).toHaveBeenCalledOnce();
    expect(provider.cancel).not.toHaveBeenCalled();
  });

  it("may finish all the same, and then the video is there and paid for", async () => {
    const { owner, id, provider } = await aRunning();
    await cancel(owner, id);
    await wake(owner, id);
    says(provider, { status: "succeeded", source: { url: "s1" } });
    vi.setSystemTime(Date.now() + 60_000);
    expect((await driveToEnd(owner, id)).status).toBe("completed");
    expect(await readBalances(owner)).toMatchObject({ held: 0, spent: PRICE });
  });

  it("may say that it is too late: the task goes on, and may be asked for again", async () => {
    const { owner, id, provider } = await aRunning();
    provider.cancel.mockResolvedValueOnce("too_late");
    await cancel(owner, id);
    await wake(owner, id);
    says(provider, { status: "failed", by: "task", reason: "content_policy" });
    expect((await cancel(owner, id)).status).toBe(202);
    await wake(owner, id);
    expect(provider.cancel).toHaveBeenCalledTimes(2);
    await wakeLater(owner, id);
    expect(await readTask(owner, id)).toMatchObject({ status: "failed", reason: "cancelled" });
  });

  it("that failed by itself before it heard of it keeps its own reason", async () => {
    const { owner, id, provider } = await aRunning();
    provider.cancel.mockResolvedValueOnce("too_late");
    says(provider, { status: "failed", by: "task", reason: "content_policy" });
    await cancel(owner, id);
    await wake(owner, id);
    await wakeLater(owner, id);
    expect(await readTask(owner, id)).toMatchObject({ status: "failed", reason: "content_policy" });
  });

  it("that does not answer is taken to have heard, and its polls tell what came of it", async () => {
    const { owner, id, provider } = await aRunning();
    provider.cancel.mockRejectedValue(new Error("no route to host"));
    await cancel(owner, id);
    await wake(owner, id);
    await wakeLater(owner, id, 60_000);
    expect(provider.cancel).toHaveBeenCalledOnce();
    expect(provider.poll).toHaveBeenCalled();
    vi.setSystemTime((await readTask(owner, id))?.deadlineAt ?? 0);
    expect(await driveToEnd(owner, id)).toMatchObject({ status: "failed" });
    expect(await readBalances(owner)).toMatchObject(UNTOUCHED);
  });

  it("hears of it though the object was put out of memory after the answer", async () => {
    const { owner, id, provider } = await aRunning();
    await cancel(owner, id);
    await evictDurableObject(taskStub(owner, id));
    await wake(owner, id);
    expect(provider.cancel).toHaveBeenCalledOnce();
  });

  it.each<[PollResult, string]>([
    [{ status: "running" }, "running"],
    [{ status: "succeeded", source: { url: "s1" } }, "storing"],
  ])("is cancelled in the middle of a poll that says %j", async (answer, status) => {
    const { owner, id, provider } = await aRunning();
    const door = aDoor<PollResult>();
    provider.poll.mockReturnValueOnce(door.opened);
    vi.setSystemTime(Date.now() + 60_000);
    const polling = wake(owner, id);
    await vi.waitFor(() => expect(provider.poll).toHaveBeenCalledOnce(), { timeout: 20_000 });
    expect((await cancel(owner, id)).status).toBe(202);
    door.open(answer);
    await polling;
    expect((await readTask(owner, id))?.status).toBe(status);
    await wake(owner, id);
    expect(provider.cancel).toHaveBeenCalledTimes(status === "running" ? 1 : 0);
  });
});

describe("too late, or not possible", () => {
  it("says that the provider cannot be told", async () => {
    const owner = await aTenant();
    const id = await createdId(owner.key, { prompt: "a lake [[stuck]]" });
    await wake(owner, id);
    await expectNotCancellable(owner, id, /cannot be told to stop/);
  });

  it("says that the video is being copied", async () => {
    const { owner, id, provider } = await aRunning();
    says(provider, { status: "succeeded", source: { url: "s1" } });
    await wakeLater(owner, id);
    expect((await readTask(owner, id))?.status).toBe("storing");
    await expectNotCancellable(owner, id, /being copied/);
  });

  it.each(["a lake [[slow:0]]", "a lake [[refuse:content_policy]]"])("says that it has ended: %s", async (prompt) => {
    const owner = await aTenant();
    const id = await createdId(owner.key, { prompt });
    await driveToEnd(owner, id);
    await expectNotCancellable(owner, id, /has ended/);
  });
});

describe("whose it is", () => {
  it("another tenant, the other mode and a forger get the 404 of an unknown id, and change nothing", async () => {
    const { owner, id } = await aQueued();
    const before = await readTask(owner, id);
    const strangers = [await aTenant(), await aTenant({ tenant: owner.tenant, mode: "live" })];
    for (const stranger of strangers)
      await expectRefusal(stranger, async () => cancel(stranger, id), { status: 404, code: "task_not_found" });
    const forged = id.slice(0, -1) + (id.endsWith("a") ? "b" : "a");
    await expectRefusal(owner, async () => cancel(owner, forged), { status: 404, code: "task_not_found" });
    expect(await readTask(owner, id)).toEqual(before);
  });

  it("a key that may only read is refused", async () => {
    const { owner, id } = await aQueued();
    const reader = await aTenant({ tenant: owner.tenant, scopes: ["read"] });
    expect(await readError(await cancel(reader, id))).toMatchObject({ status: 403, code: "insufficient_scope" });
    expect((await readTask(owner, id))?.status).toBe("queued");
  });

  it("leaves no video behind", async () => {
    const { owner, id } = await aQueued();
    await cancel(owner, id);
    expect((await env.VIDEOS.list()).objects).toEqual([]);
  });
});
