// GET /v1/video/list over real objects: what is on which page, what is on none, and what a page costs.
import { reset, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Task } from "../../src/core/task.ts";
import { TenantLedger } from "../../src/durable/tenant-ledger.ts";
import { VideoTask } from "../../src/durable/video-task.ts";
import { aTenant, call, createdId, finish, query, type TestTenant } from "../support/gateway.ts";
import { cancel, list, post, type Listed } from "../support/manage.ts";
import { driveToEnd, plantTask, readTask, taskStub } from "../support/objects.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 86_400_000 });
});
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

/** The oldest first, a second apart. */
async function created(owner: TestTenant, count: number, body: Record<string, unknown> = {}): Promise<string[]> {
  const ids: string[] = [];
  for (let each = 0; each < count; each++) {
    vi.setSystemTime(Date.now() + 1_000);
    ids.push(await createdId(owner.key, body));
  }
  return ids;
}

/** Every page, until there is none. */
async function walk(owner: TestTenant, asked: Record<string, string | number>, between = async () => {}): Promise<string[][]> {
  const pages: string[][] = [];
  for (let after: string | null = null; ;) {
    const page = await list(owner, after === null ? asked : { ...asked, after });
    pages.push(idsOf(page.data));
    if (!page.has_more) return pages;
    after = page.last_id;
    await between();
  }
}

function idsOf(data: readonly Listed[]): string[] {
  return data.map(({ id }) => id);
}

describe("a page", () => {
  it("has the newest first, each as a query tells of it and a little more", async () => {
    const owner = await aTenant();
    const [first = "", second = ""] = await created(owner, 2, { metadata: { order: "A-17" } });
    await driveToEnd(owner, first);
    const { data, ...page } = await list(owner);
    expect(page).toEqual({ object: "list", has_more: false, first_id: second, last_id: first });
    expect(idsOf(data)).toEqual([second, first]);
    const queried = await (await query(owner.key, first)).json<Listed>();
    const { video_url: listedUrl, ...listed } = data[1] as Listed;
    const { video_url: _, ...known } = queried;
    const createdAt = Number(first.split(/[:-]/)[1]);
    expect(listed).toEqual({ ...known, model: "veo3", created_at: createdAt, metadata: { order: "A-17" } });
    const download = await call(listedUrl ?? "");
    expect(download.status).toBe(200);
    await download.arrayBuffer();
    expect(data[0]?.video_url).toBeNull();
  });

  it("has the newest first within a second, too, whatever their models, and goes on there", async () => {
    const owner = await aTenant();
    vi.setSystemTime(Math.ceil(Date.now() / 1000) * 1000);
    const ids: string[] = [];
    for (const model of ["veo3", "veo2", "veo3-fast", "veo2", "veo3"]) {
      ids.push(await createdId(owner.key, { model, aspect_ratio: null }));
      vi.setSystemTime(Date.now() + 7);
    }
    expect(new Set(ids.map((id) => id.split(/[:-]/).find((part) => /^\d{10}$/.test(part)))).size).toBe(1);
    const newest = ids.toReversed();
    expect(idsOf((await list(owner)).data)).toEqual(newest);
    expect(await walk(owner, { limit: 2 })).toEqual([newest.slice(0, 2), newest.slice(2, 4), newest.slice(4)]);
  });

  it("of nothing is empty", async () => {
    expect(await list(await aTenant())).toEqual({ object: "list", data: [], has_more: false, first_id: null, last_id: null });
  });

  it("says that there is more where there is, and only there", async () => {
    const owner = await aTenant();
    const ids = (await created(owner, 3)).reverse();
    expect(await list(owner, { limit: 2 })).toMatchObject({ has_more: true, first_id: ids[0], last_id: ids[1] });
    expect(await list(owner, { limit: 3 })).toMatchObject({ has_more: false, last_id: ids[2] });
    expect(await list(owner, { limit: 2, after: ids[0] ?? "" })).toMatchObject({ has_more: false, first_id: ids[1] });
    expect(await list(owner, { after: ids[2] ?? "" })).toMatchObject({ data: [], has_more: false, last_id: null });
  });

  it("goes on where the last one ended, whatever is created meanwhile", async () => {
    const owner = await aTenant();
    const ids = (await created(owner, 5)).reverse();
    const pages = await walk(owner, { limit: 2 }, async () => void (await created(owner, 1)));
    expect(pages).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
  });

  it("leaves none out and shows none twice, though all were created in the same second", async () => {
    const owner = await aTenant();
    const ids = await Promise.all(Array.from({ length: 7 }, async () => createdId(owner.key)));
    expect(new Set(ids.map((id) => id.split(/[:-]/)[1])).size).toBe(1);
    const pages = await walk(owner, { limit: 3 });
    expect(pages.map(({ length }) => length)).toEqual([3, 3, 1]);
    expect(pages.flat().sort()).toEqual(ids.sort());
    expect(await walk(owner, { limit: 3 })).toEqual(pages);
  });

  it("goes on behind a task that was deleted meanwhile", async () => {
    const owner = await aTenant();
    const ids = (await created(owner, 3)).reverse();
    const [, middle = "", last = ""] = ids;
    await cancel(owner, middle);
    await post(owner.key, "/v1/video/delete", { id: middle });
    expect(idsOf((await list(owner, { after: middle })).data)).toEqual([last]);
  });
});

describe("a filter", () => {
  it("by status finds each task under the one it has", async () => {
    const owner = await aTenant();
    const [pending = "", processing = "", completed = "", failed = ""] = await created(owner, 4, { prompt: "a lake [[slow:0]]" });
    await runDurableObjectAlarm(taskStub(owner, processing));
    await driveToEnd(owner, completed);
    await cancel(owner, failed);
    const found = await Promise.all(
      ["pending", "processing", "completed", "failed"].map(async (status) => idsOf((await list(owner, { status })).data)),
    );
    expect(found).toEqual([[pending], [processing], [completed], [failed]]);
    expect(idsOf((await list(owner)).data)).toHaveLength(4);
  });

  it("by status pages through held tasks that it has to look at to tell apart", async () => {
    const owner = await aTenant();
    const [oldest = ""] = await created(owner, 1);
    await runDurableObjectAlarm(taskStub(owner, oldest));
    const young = await created(owner, 46);
    expect(await walk(owner, { status: "processing", limit: 1 })).toEqual([[], [oldest]]);
    const pages = await walk(owner, { status: "pending", limit: 44 });
    expect(pages.flat()).toEqual(young.reverse());
  });

  it("by model, and by time with both ends included", async () => {
    const owner = await aTenant();
    const [one = "", two = "", three = ""] = await created(owner, 3);
    vi.setSystemTime(Date.now() + 1_000);
    const fast = await createdId(owner.key, { model: "veo3-fast" });
    const at = (id: string): number => Number(id.split(/[:-]/).at(-2));
    expect(idsOf((await list(owner, { model: "veo3-fast" })).data)).toEqual([fast]);
    expect(idsOf((await list(owner, { model: "veo3", from: at(two) })).data)).toEqual([three, two]);
    expect(idsOf((await list(owner, { to: at(two) })).data)).toEqual([two, one]);
    expect(idsOf((await list(owner, { from: at(two), to: at(two) })).data)).toEqual([two]);
    expect(idsOf((await list(owner, { from: at(fast) + 1 })).data)).toEqual([]);
  });

  it("by metadata finds a name, and a name with a value, and nothing that only looks like it", async () => {
    const owner = await aTenant();
    const [a17 = ""] = await created(owner, 1, { metadata: { order: "A-17", other: "x" } });
    const [b9 = ""] = await created(owner, 1, { metadata: { order: "B-9" } });
    const [tricky = ""] = await created(owner, 1, { metadata: { constructor: "A-17", note: '" OR 1=1 --' } });
    await created(owner, 1);
    const find = async (key: string, value?: string) =>
      idsOf((await list(owner, { metadata_key: key, ...(value !== undefined && { metadata_value: value }) })).data);
    expect(await find("order")).toEqual([b9, a17]);
    expect(await find("order", "A-17")).toEqual([a17]);
    expect(await find("order", "A-1")).toEqual([]);
    expect(await find("order", "a-17")).toEqual([]);
    expect(await find("ORDER")).toEqual([]);
    expect(await find("other", "A-17")).toEqual([]);
    expect(await find("constructor")).toEqual([tricky]);
    expect(await find("note", '" OR 1=1 --')).toEqual([tricky]);
    expect(await find("toString")).toEqual([]);
    expect(await find("order", "")).toEqual([]);
  });

  it("by metadata finds nothing where no task ever had any", async () => {
    const owner = await aTenant();
    await created(owner, 1);
    expect((await list(owner, { metadata_key: "order" })).data).toEqual([]);
  });
});

describe("absent is", () => {
  it("what was deleted, purged, or is past its retention though its alarm is late", async () => {
    const owner = await aTenant();
    const [kept = "", deleted = "", purged = "", late = ""] = await created(owner, 4);
    for (const id of [kept, deleted, purged, late]) await cancel(owner, id);
    await post(owner.key, "/v1/video/delete", { id: deleted });
    for (const id of [purged, late]) {
      const task = (await readTask(owner, id)) as Extract<Task, { status: "failed" }>;
      await plantTask(owner, { ...task, expiresAt: Date.now() });
    }
    await runDurableObjectAlarm(taskStub(owner, purged));
    expect(await readTask(owner, purged)).toBeNull();
    expect(await readTask(owner, late)).not.toBeNull();
    expect(idsOf((await list(owner)).data)).toEqual([kept]);
    expect((await query(owner.key, late)).status).toBe(404);
  });

  it("what never started", async () => {
    const owner = await aTenant();
    const start = vi.spyOn(VideoTask.prototype, "start").mockResolvedValue(false);
    await expect(createdId(owner.key)).rejects.toThrow("503");
    start.mockRestore();
    expect((await list(owner)).data).toEqual([]);
  });

  it("what is another tenant's, or of the other mode", async () => {
    const owner = await aTenant();
    const neighbour = await aTenant();
    const live = await aTenant({ tenant: owner.tenant, mode: "live" });
    const [own] = await created(owner, 1);
    const [theirs] = await created(neighbour, 1);
    expect(idsOf((await list(owner)).data)).toEqual([own]);
    expect(idsOf((await list(neighbour)).data)).toEqual([theirs]);
    expect((await list(live)).data).toEqual([]);
  });
});

describe("what a page costs", () => {
  it("is one call to the ledger and one to each task on it, and no write", async () => {
    const owner = await aTenant();
    await created(owner, 5);
    const asked = vi.spyOn(TenantLedger.prototype, "list");
    const read = vi.spyOn(VideoTask.prototype, "read");
    expect((await list(owner, { limit: 3 })).data).toHaveLength(3);
    expect([asked.mock.calls.length, read.mock.calls.length]).toEqual([1, 3]);
    read.mockClear();
    await list(owner);
    expect(read).toHaveBeenCalledTimes(5);
  });

  it("is bounded where a filter has to look for what it shows", async () => {
    const owner = await aTenant();
    await created(owner, 50);
    const read = vi.spyOn(VideoTask.prototype, "read");
    expect(await list(owner, { status: "processing", limit: 50 })).toMatchObject({ data: [], has_more: true });
    expect(read).toHaveBeenCalledTimes(45);
    read.mockClear();
    expect((await list(owner, { limit: 50 })).data).toHaveLength(45);
    expect(read).toHaveBeenCalledTimes(45);
  });
});

it("goes on where a reply of the ledger was lost", async () => {
  const owner = await aTenant();
  const id = (await finish(owner, await createdId(owner.key))).id;
  const original = Reflect.get(TenantLedger.prototype, "list") as (...all: unknown[]) => Promise<string[]>;
  vi.spyOn(TenantLedger.prototype, "list").mockImplementationOnce(async function (this: TenantLedger, ...args) {
    await original.apply(this, args);
    throw new Error("the connection was lost");
  });
  expect(idsOf((await list(owner)).data)).toEqual([id]);
});
