import { env } from "cloudflare:workers";
import {
  createExecutionContext,
  createScheduledController,
  reset,
  runDurableObjectAlarm,
  runInDurableObject,
  waitOnExecutionContext,
} from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import worker from "../../src/index.ts";
import { wire } from "../../src/wire.ts";
import { aTenant, create, createdId, type TestTenant } from "../support/gateway.ts";
import { driveToEnd, ledgerStub, taskStub } from "../support/objects.ts";

const HOUR_MS = 60 * 60_000;
const DAY_MS = 24 * HOUR_MS;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + DAY_MS });
});

afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

/** Runs the cron as the platform would, and answers with the line it left in the log. */
async function cron(): Promise<Record<string, unknown>> {
  const log = vi.spyOn(console, "info").mockReturnValue();
  const context = createExecutionContext();
  await worker.scheduled(createScheduledController({ cron: "*/5 * * * *" }), env);
  await waitOnExecutionContext(context);
  const lines = log.mock.calls.map(([line]) => JSON.parse(String(line)) as Record<string, unknown>);
  log.mockRestore();
  return lines.find(({ event }) => event === "sweep") ?? {};
}

async function walked(): Promise<TestTenant> {
  const owner = await aTenant();
  await wire(env).registry.addTenant({ id: owner.tenant, name: "Walked", status: "active", createdAt: Date.now() });
  return owner;
}

async function completedTask(owner: TestTenant): Promise<string> {
  const { id } = await (await create(owner.key, { model: "veo3", prompt: "a lake [[slow:0]]" })).json<{ id: string }>();
  await driveToEnd(owner, id);
  return id;
}

describe("the sweep", () => {
  it("says in one line what it did", async () => {
    await walked();
    expect(await cron()).toMatchObject({ event: "sweep", ran: true, tenants: 1, objects: 0, orphans: 0, errors: 0 });
  });

  it("removes a video that no ledger knows, once, and leaves the others", async () => {
    const owner = await walked();
    const kept = await completedTask(owner);
    const lost = await completedTask(owner);
    await runInDurableObject(ledgerStub(owner), (_object, { storage }) => storage.sql.exec("DELETE FROM tasks WHERE id = ?", lost));
    await env.VIDEOS.put("videos/veo3:1700000000-nobodys", "x");
    vi.setSystemTime(Date.now() + 2 * HOUR_MS);
    expect(await cron()).toMatchObject({ objects: 3, orphans: 2 });
    const left = (await env.VIDEOS.list()).objects.map(({ key }) => key);
    expect(left).toEqual([`videos/${kept}`]);
    expect(await cron()).toMatchObject({ objects: 1, orphans: 0 });
  });

  it("removes the images of a task that never started, and leaves those of one that did", async () => {
    const owner = await walked();
    const ids = [];
    for (let count = 0; count < 2; count++) ids.push(await createdId(owner.key, { prompt: "a lake [[stuck]]" }));
    const [kept, lost] = ids as [string, string];
    for (const id of ids) await wire(env).images.put({ id, ...owner }, 0, { bytes: new Uint8Array(1), mimeType: "image/png" });
    // As a crash between the two leaves it, once the ledger's watchdog was there.
    await wire(env).ledgerOf(owner.tenant, owner.mode).resolve(lost, { kind: "withdraw" });
    expect(await cron()).toMatchObject({ objects: 2, orphans: 1 });
    expect((await env.VIDEOS.list()).objects.map(({ key }) => key)).toEqual([`images/${kept}/0`]);
  });

  it("leaves alone what is too young to judge", async () => {
    await walked();
    vi.useRealTimers();
    await env.VIDEOS.put("videos/veo3:1700000000-nobodys", "x");
    expect(await cron()).toMatchObject({ objects: 1, orphans: 0 });
  });

  it("brings a ledger's lost alarm back", async () => {
    const owner = await walked();
    await create(owner.key, { model: "veo3", prompt: "a lake [[stuck]]" });
    await runInDurableObject(ledgerStub(owner), async (_object, { storage }) => storage.deleteAlarm());
    await cron();
    expect(await runDurableObjectAlarm(ledgerStub(owner))).toBe(true);
  });

  it("pokes what should have been purged long ago", async () => {
    const owner = await walked();
    const id = await completedTask(owner);
    await runInDurableObject(taskStub(owner, id), async (_object, { storage }) => storage.deleteAlarm());
    vi.setSystemTime(Date.now() + 9 * DAY_MS);
    await cron();
    expect(await runDurableObjectAlarm(taskStub(owner, id))).toBe(true);
    expect(await env.VIDEOS.head(`videos/${id}`)).toBeNull();
  });

  it("gives way to another pass, and takes over when that one died", async () => {
    await walked();
    const sweep = wire(env).registry;
    expect(await sweep.beginSweep()).not.toBeNull();
    expect(await cron()).toMatchObject({ ran: false });
    vi.setSystemTime(Date.now() + 5 * 60_000);
    expect(await cron()).toMatchObject({ ran: true, tenants: 1 });
  });

  it("ignores a pass that was overtaken", async () => {
    await walked();
    const sweep = wire(env).registry;
    const slow = await sweep.beginSweep();
    vi.setSystemTime(Date.now() + 5 * 60_000);
    const next = await sweep.beginSweep();
    await sweep.finishSweep(slow?.lease ?? "", "far ahead");
    await sweep.finishSweep(next?.lease ?? "", "here");
    expect((await sweep.beginSweep())?.objectCursor).toBe("here");
  });

  it("walks many tenants page by page and then begins again", async () => {
    const sweep = wire(env).registry;
    for (let count = 0; count < 150; count++)
      await sweep.addTenant({ id: `t${String(count).padStart(7, "0")}`, name: "One of many", status: "active", createdAt: 0 });
    const sizes: number[] = [];
    for (let pass = 0; pass < 5; pass++) {
      const page = await sweep.beginSweep();
      sizes.push(page?.tenants.length ?? 0);
      await sweep.finishSweep(page?.lease ?? "", null);
    }
    expect(sizes).toEqual([100, 100, 100, 0, 100]);
  });

  it("goes on past a tenant whose ledger fails", async () => {
    const broken = await walked();
    await walked();
    await runInDurableObject(ledgerStub(broken), (_object, { storage }) => storage.sql.exec("DROP TABLE tasks"));
    expect(await cron()).toMatchObject({ ran: true, errors: 1, tenants: 2 });
  });
});
