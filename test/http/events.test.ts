// GET /v1/video/events: streams, as a client reads them.
import { reset, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createApp } from "../../src/app.ts";
import type { Watch, Watcher } from "../../src/service/watch.ts";
import { wire } from "../../src/wire.ts";
import { readEvents, type ServerEvent } from "../support/event-stream.ts";
import { aTenant, call, createdId, finish, ORIGIN, query, type TestTenant } from "../support/gateway.ts";
import { driveToEnd, taskStub } from "../support/objects.ts";
import { readError } from "../support/refusals.ts";

let owner: TestTenant;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 86_400_000 });
  owner = await aTenant();
});
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

async function open(search: string, headers: Record<string, string> = {}, key = owner.key): Promise<Response> {
  return call(`/v1/video/events${search}`, { key, headers });
}

async function take(reply: Response, count: number): Promise<ServerEvent[]> {
  const taken: ServerEvent[] = [];
  const events = readEvents(reply.body as ReadableStream<Uint8Array>);
  while (taken.length < count) {
    const { done, value } = await events.next();
    if (done) break;
    taken.push(value);
  }
  await events.return(undefined);
  return taken;
}

describe("one task's events", () => {
  it("end with the end, whose data is what query answers", async () => {
    const id = await createdId(owner.key);
    await finish(owner, id);
    const reply = await open(`?id=${id}`);
    expect(reply.status).toBe(200);
    expect(await reply.text()).toBe(
      `retry: 2000\n\nevent: status\nid: completed.0\ndata: ${await (await query(owner.key, id)).text()}\n\n`,
    );
  });

  it("come as they happen", async () => {
    const id = await createdId(owner.key);
    const reading = take(await open(`?id=${id}`), 100);
    await driveToEnd(owner, id);
    const events = await reading;
    expect(events[0]).toMatchObject({ event: "status", data: { id, status: "pending", video_url: null } });
    expect(events[1]).toEqual({
      event: "progress",
      id: "pending.0",
      data: { id, progress: 0, elapsed_seconds: expect.any(Number), estimated_seconds: expect.any(Number) },
    });
    expect(events.at(-1)).toMatchObject({ event: "status", data: { id, status: "completed", video_url: expect.any(String) } });
  });

  it("go on after the last one that was seen", async () => {
    const id = await createdId(owner.key, { prompt: "a lake [[stuck]]" });
    await runDurableObjectAlarm(taskStub(owner, id));
    vi.setSystemTime(Date.now() + 3_000);
    const [first] = await take(await open(`?id=${id}`, { "last-event-id": "processing.20" }), 1);
    expect(first).toMatchObject({ event: "progress", id: expect.stringMatching(/^processing\.(2[1-9]|[3-9]\d)$/) });
  });

  it("are over for who has seen the end: EventSource stays away after a 204", async () => {
    const id = await createdId(owner.key);
    await finish(owner, id);
    const [last] = await take(await open(`?id=${id}`), 10);
    const again = await open(`?id=${id}`, { "last-event-id": last?.id ?? "" });
    expect([again.status, await again.text()]).toEqual([204, ""]);
  });

  it("take a last event that is none for none", async () => {
    const id = await createdId(owner.key);
    await finish(owner, id);
    for (const lastEventId of ["x", "0", "completed.9999", "processing.1, completed.2", "<script>", "9".repeat(5_000)]) {
      const [first] = await take(await open(`?id=${id}`, { "last-event-id": lastEventId }), 10);
      expect(first).toMatchObject({ event: "status", data: { status: "completed" } });
    }
  });

  it("have the headers that a stream needs, and those of every reply", async () => {
    const id = await createdId(owner.key);
    const { headers, body } = await open(`?id=${id}`, { origin: "https://page.example" });
    expect(Object.fromEntries(headers)).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
      "access-control-allow-origin": "*",
      "x-request-id": expect.stringMatching(/^req_/),
    });
    await body?.cancel();
  });

  it("have their headers without being begun, for HEAD", async () => {
    const id = await createdId(owner.key);
    const reply = await call(`/v1/video/events?id=${id}`, { method: "HEAD", key: owner.key });
    expect([reply.status, await reply.text()]).toEqual([200, ""]);
    expect(reply.headers.get("content-type")).toMatch(/^text\/event-stream\b/);
  });

  it("are refused as everything is, in JSON", async () => {
    const other = await createdId((await aTenant()).key);
    for (const [search, status, code] of [
      [`?id=${other}`, 404, "task_not_found"],
      ["?id=x", 404, "task_not_found"],
      ["?id=", 400, "invalid_value"],
      ["?id=x&id=y", 400, "duplicate_parameter"],
    ] as const) {
      expect(await readError(await open(search))).toMatchObject({ status, code });
    }
    expect(await readError(await call("/v1/video/events?id=x"))).toMatchObject({ status: 401, code: "missing_api_key" });
    expect(await readError(await call("/v1/video/events", { method: "POST", key: owner.key }))).toMatchObject({ status: 405 });
    const { key } = await aTenant({ tenant: owner.tenant, scopes: ["create"] });
    expect(await readError(await open("", {}, key))).toMatchObject({ status: 403, code: "insufficient_scope" });
  });
});

describe("all of a tenant's events", () => {
  it("tell of each task what happened to it, in order, and of nobody else's", async () => {
    await createdId((await aTenant()).key);
    const ids = [await createdId(owner.key), await createdId(owner.key, { prompt: "a lake [[slow:0]] [[fail]]" })];
    for (const id of ids) await driveToEnd(owner, id);
    for (const id of ids) await runDurableObjectAlarm(taskStub(owner, id)); // what was not told in the last wake
    const events = await take(await open("", { "last-event-id": "0" }), 6);
    const told = (id: string | undefined) => events.filter(({ data }) => data["id"] === id).map(({ event }) => event);
    expect(told(ids[0])).toEqual(["video.created", "video.processing", "video.completed"]);
    expect(told(ids[1])).toEqual(["video.created", "video.processing", "video.failed"]);
    expect(events.map(({ id }) => Number(id))).toEqual(events.map(({ id }) => Number(id)).sort((a, b) => a - b));
    for (const { event, data } of events) {
      if (event === "video.completed" || event === "video.failed") {
        expect(data).toEqual(await (await query(owner.key, String(data["id"]))).json());
      }
    }
  });

  it("are not those of the tenant's other mode", async () => {
    await driveToEnd(owner, await createdId(owner.key));
    const live = await aTenant({ tenant: owner.tenant, mode: "live" });
    const reader = ((await open("", { "last-event-id": "0" }, live.key)).body as ReadableStream<Uint8Array>).getReader();
    const texts = [await reader.read(), await reader.read()].map(({ value }) => new TextDecoder().decode(value));
    expect(texts).toEqual(["retry: 2000\n\n", "id: 0\n\n"]);
    await reader.cancel();
  });

  it("begin with what happens next, and say at once where that is", async () => {
    const before = await createdId(owner.key);
    await driveToEnd(owner, before);
    const reply = await open("");
    const reader = (reply.body as ReadableStream<Uint8Array>).getReader();
    const texts = [await reader.read(), await reader.read()].map(({ value }) => new TextDecoder().decode(value));
    expect(texts[1]).toMatch(/^id: [1-9]\d*\n\n$/);
    const id = await createdId(owner.key);
    await driveToEnd(owner, id);
    const next = new TextDecoder().decode((await reader.read()).value);
    expect(next).toContain(`event: video.created\n`);
    expect(next).toContain(id);
    await reader.cancel();
  });
});

describe("a stream whose watcher", () => {
  /** The app with a watch of the test's own. */
  async function openWith(fake: Partial<Watch>): Promise<Response> {
    const house = wire(env);
    const watch = { ...house.watch, ...fake };
    const app = createApp({ ...house, videos: house.service, publicUrl: null, adminToken: null, watch });
    return app.request(`${ORIGIN}/v1/video/events`, { headers: { authorization: `Bearer ${owner.key}` } }, env);
  }

  async function* endless() {
    for (;;) yield { type: "heartbeat" } as const;
  }

  it("goes away ends what it was reading", async () => {
    let watcher: Watcher | undefined;
    const reply = await openWith({
      tenant: async (_, given) => {
        watcher = given;
        return endless();
      },
    });
    const reader = (reply.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    expect(watcher?.signal.aborted).toBe(false);
    await reader.cancel();
    expect(watcher?.signal.aborted).toBe(true);
  });

  it("reads nothing makes nothing", async () => {
    let made = 0;
    await openWith({
      tenant: async () =>
        (async function* () {
          made++;
          yield { type: "heartbeat" } as const;
        })(),
    });
    expect(made).toBe(0);
  });

  it("is told nothing of what broke it, and comes back", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const reply = await openWith({
      tenant: async () =>
        (async function* () {
          yield { type: "heartbeat" } as const;
          throw new TypeError("canary");
        })(),
    });
    expect(await reply.text()).toBe("retry: 2000\n\n:\n\n");
    expect(logged.mock.calls.map(String).join()).toMatch(/"stream_broke".*"TypeError"/);
    expect(logged.mock.calls.map(String).join()).not.toContain("canary");
  });

  it("loses its key is asked again, and not for what passes", async () => {
    let watcher: Watcher | undefined;
    const reply = await openWith({
      tenant: async (_, given) => {
        watcher = given;
        return endless();
      },
    });
    expect(await watcher?.isStillAllowed()).toBe(true);
    await wire(env).booksOf(owner.tenant, owner.mode).endKey(owner.keyId, { revokedAt: Date.now() });
    vi.setSystemTime(Date.now() + 60_000);
    expect(await watcher?.isStillAllowed()).toBe(false);
    await reply.body?.cancel();
  });
});
