// Waiting for a task, and asking only for what is not known yet. Row 95 of the bad-input catalogue (reliability.md, section 8).
import { reset, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { aTenant, call, create, createdId, finish, query, type TestTenant, type Video } from "../support/gateway.ts";
import { driveToEnd, taskStub } from "../support/objects.ts";
import { readError } from "../support/refusals.ts";

const STUCK = { prompt: "a lake [[stuck]]" };
const MINUTE = 60_000;

let owner: TestTenant;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Math.ceil(Date.now() / 3_600_000) * 3_600_000 + 86_400_000 });
  owner = await aTenant();
});
afterEach(async () => {
  vi.useRealTimers();
  await reset();
});

async function read(id: string, headers: Record<string, string> = {}): Promise<Response> {
  return call(`/v1/video/query?id=${id}`, { key: owner.key, headers });
}

async function createWith(headers: Record<string, string>, body: object = {}, key = owner.key): Promise<Response> {
  const init = { method: "POST", headers: { "content-type": "application/json", ...headers }, key };
  return call("/v1/video/create", { ...init, body: JSON.stringify({ model: "veo3", prompt: "a lake [[slow:0]]", ...body }) });
}

describe("Prefer: wait on query", () => {
  it("answers when the time is up with what there is, and says how long it waited", async () => {
    const id = await createdId(owner.key, STUCK);
    const reply = await read(id, { prefer: "wait=1" });
    expect(reply.status).toBe(200);
    expect(reply.headers.get("preference-applied")).toBe("wait=1");
    expect(reply.headers.get("retry-after")).toBe("2");
    expect(await reply.text()).toBe(await (await query(owner.key, id)).text());
  });

  it("goes with return=representation, and both are said to be applied", async () => {
    const id = await createdId(owner.key, STUCK);
    const known = await (await query(owner.key, id)).json();
    for (const [prefer, applied] of [
      ["return=representation", "return=representation"],
      ["wait=1, return=representation", "wait=1, return=representation"],
    ] as const) {
      const reply = await read(id, { prefer });
      expect(reply.headers.get("preference-applied")).toBe(applied);
      expect(await reply.json()).toMatchObject({ ...(known as object), progress: expect.any(Number), attempts: [] });
    }
  });

  it("answers as soon as the task has ended", async () => {
    const id = await createdId(owner.key);
    const waiting = read(id, { prefer: "wait=60" });
    await driveToEnd(owner, id);
    expect(await (await waiting).json<Video>()).toMatchObject({ id, status: "completed", video_url: expect.any(String) });
  });

  it.each([
    ["wait=61", "wait=60"],
    ["wait=1000000000", "wait=60"],
    ["respond-async, Wait=7", "wait=7"],
  ])("row 95: %s is %s", async (prefer, applied) => {
    const id = await createdId(owner.key);
    await driveToEnd(owner, id);
    expect((await read(id, { prefer })).headers.get("preference-applied")).toBe(applied);
  });

  it.each(["wait=-1", "wait=1e9", "wait=abc", "wait=0", "wait", "", "return=minimal"])(
    "row 95: %j is not heard, and no error",
    async (prefer) => {
      const id = await createdId(owner.key, STUCK);
      const reply = await read(id, { prefer });
      expect([reply.status, reply.headers.get("preference-applied")]).toEqual([200, null]);
    },
  );

  it("does not hold up a no", async () => {
    expect(await readError(await read("veo3:1704067200-abcdefghijklmnopqrstuvwxyz", { prefer: "wait=60" }))).toMatchObject({
      code: "task_not_found",
    });
  });
});

describe("Prefer: wait on create", () => {
  it("answers with what query answers, once the task has ended", async () => {
    const waiting = createWith({ prefer: "wait=60", "idempotency-key": "k1" });
    const id = await idBehind("k1");
    await driveToEnd(owner, id);
    const reply = await waiting;
    expect(reply.headers.get("preference-applied")).toBe("wait=60");
    expect(reply.headers.get("x-task-id")).toBe(id);
    expect(await reply.text()).toBe(await (await query(owner.key, id)).text());
  });

  it("answers when the time is up with what there is", async () => {
    const reply = await createWith({ prefer: "wait=1" }, STUCK);
    expect(await reply.json()).toMatchObject({ status: "pending", video_url: null });
  });

  it("is not heard from a key that may not read, which is told what every create tells", async () => {
    const { key } = await aTenant({ tenant: owner.tenant, scopes: ["create"] });
    const reply = await createWith({ prefer: "wait=60" }, STUCK, key);
    expect(reply.headers.get("preference-applied")).toBeNull();
    expect(Object.keys(await reply.json<object>())).toEqual(["id", "status", "status_update_time", "enhanced_prompt"]);
  });

  it("does not hold up a no, nor a quote", async () => {
    expect(await readError(await createWith({ prefer: "wait=60" }, { model: "nope" }))).toMatchObject({ code: "model_not_found" });
    expect(await (await createWith({ prefer: "wait=60" }, { dry_run: true })).json()).toMatchObject({ object: "quote" });
  });

  it("changes nothing of a create that does not ask for it", async () => {
    const reply = await create(owner.key, { model: "veo3", prompt: "a lake" });
    expect(Object.keys(await reply.json<object>())).toEqual(["id", "status", "status_update_time", "enhanced_prompt"]);
    for (const name of ["preference-applied", "retry-after", "etag"]) expect(reply.headers.get(name)).toBeNull();
  });

  /** The id that another request with the same key is told. */
  async function idBehind(key: string): Promise<string> {
    for (;;) {
      const twin = await createWith({ "idempotency-key": key });
      if (twin.status === 200) return (await twin.json<Video>()).id;
    }
  }
});

describe("Retry-After on query", () => {
  it("is there until the task has ended", async () => {
    const id = await createdId(owner.key);
    expect((await read(id)).headers.get("retry-after")).toBe("2");
    await runDurableObjectAlarm(taskStub(owner, id));
    expect((await read(id)).headers.get("retry-after")).toMatch(/^([2-9]|10)$/);
    await driveToEnd(owner, id);
    expect((await read(id)).headers.get("retry-after")).toBeNull();
  });
});

describe("If-None-Match on query", () => {
  it("is answered by 304 without a body, as long as nothing has changed", async () => {
    const id = await createdId(owner.key, STUCK);
    const first = await read(id);
    const etag = first.headers.get("etag") ?? "";
    expect(etag).toMatch(/^"[\w-]+"$/);
    for (const known of [etag, `W/${etag}`, `"x", ${etag}`, "*"]) {
      const again = await read(id, { "if-none-match": known });
      expect([again.status, await again.text()]).toEqual([304, ""]);
      expect(again.headers.get("etag")).toBe(etag);
      expect(again.headers.get("retry-after")).toBe("2");
      expect(again.headers.get("access-control-allow-origin")).toBe("*");
    }
    for (const known of ["", '"x"', etag.slice(1, -1), "garbage"]) {
      expect((await read(id, { "if-none-match": known })).status).toBe(200);
    }
  });

  it("is answered in full once the status has changed", async () => {
    const id = await createdId(owner.key, STUCK);
    const etag = (await read(id)).headers.get("etag") ?? "";
    await runDurableObjectAlarm(taskStub(owner, id));
    const reply = await read(id, { "if-none-match": etag });
    expect(await reply.json()).toMatchObject({ status: "processing" });
    expect(reply.headers.get("etag")).not.toBe(etag);
  });

  it("never leaves an expired link with who is told that nothing changed", async () => {
    const id = await createdId(owner.key);
    await driveToEnd(owner, id);
    let known = "";
    let link = "";
    let told = { changed: 0, unchanged: 0 };
    for (let minute = 0; minute <= 70; minute += 2) {
      const reply = await read(id, { "if-none-match": known });
      told = reply.status === 304 ? { ...told, unchanged: told.unchanged + 1 } : { ...told, changed: told.changed + 1 };
      known = reply.headers.get("etag") ?? "";
      if (reply.status === 200) link = (await reply.json<Video>()).video_url ?? "";
      expect((await call(link, { method: "HEAD" })).status).toBe(200);
      vi.setSystemTime(Date.now() + 2 * MINUTE);
    }
    expect(told.unchanged).toBeGreaterThan(told.changed);
  });

  it("says nothing of a task that is not there", async () => {
    expect(await readError(await read("veo3:1704067200-abcdefghijklmnopqrstuvwxyz", { "if-none-match": "*" }))).toMatchObject({
      status: 404,
    });
  });

  it("waits with Prefer: wait for what is not known yet", async () => {
    const id = await createdId(owner.key, STUCK);
    const etag = (await read(id)).headers.get("etag") ?? "";
    const waiting = read(id, { "if-none-match": etag, prefer: "wait=60" });
    await runDurableObjectAlarm(taskStub(owner, id));
    expect(await (await waiting).json()).toMatchObject({ status: "processing" });

    const now = (await read(id)).headers.get("etag") ?? "";
    const inVain = await read(id, { "if-none-match": now, prefer: "wait=1" });
    expect([inVain.status, inVain.headers.get("preference-applied")]).toEqual([304, "wait=1"]);
  });
});

it("a completed task's replies are the same for minutes, byte by byte", async () => {
  const id = await createdId(owner.key);
  const first = await finish(owner, id);
  vi.setSystemTime(Date.now() + 4 * MINUTE);
  expect(await (await query(owner.key, id)).json()).toEqual(first);
  vi.setSystemTime(Date.now() + 2 * MINUTE);
  const later = await (await query(owner.key, id)).json<Video>();
  expect({ ...later, video_url: first.video_url }).toEqual(first);
  expect(later.video_url).not.toBe(first.video_url);
});

it("a page of any origin may ask, wait and read what it was told", async () => {
  const asked = "authorization, prefer, if-none-match, last-event-id";
  const preflight = await call("/v1/video/query?id=x", {
    method: "OPTIONS",
    headers: { origin: "https://page.example", "access-control-request-method": "GET", "access-control-request-headers": asked },
  });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get("access-control-allow-headers")?.split(/, */)).toEqual(asked.split(", "));
  const reply = await read(await createdId(owner.key, STUCK), { origin: "https://page.example" });
  const exposed = reply.headers.get("access-control-expose-headers")?.split(",") ?? [];
  expect(exposed).toEqual(expect.arrayContaining(["ETag", "Preference-Applied", "Retry-After", "x-request-id"]));
});
