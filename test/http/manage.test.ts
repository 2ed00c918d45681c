// What the routes that manage tasks refuse, and that a refusal changes nothing. What they do is in contract/cancel,
// durable/listing and http/link.
import { reset, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { Task } from "../../src/core/task.ts";
import { aTenant, call, callWith, createdId, finish, query, type TestTenant } from "../support/gateway.ts";
import { cancel, list, post } from "../support/manage.ts";
import { plantTask, readBalances, readBooks, readTask, taskStub } from "../support/objects.ts";
import { expectRefusal, readError } from "../support/refusals.ts";

const POSTS = ["/v1/video/cancel", "/v1/video/delete", "/v1/video/link"];
const invalid = (code: string, param: string | null) => ({ status: 400, code, param });

describe("bad input", () => {
  let owner: TestTenant;
  let id: string;
  beforeAll(async () => {
    owner = await aTenant();
    id = await createdId(owner.key, { prompt: "a lake [[stuck]]" });
  });
  afterAll(reset);

  describe.each(POSTS)("POST %s", (path) => {
    it.each<[unknown, { code: string; param: string | null }]>([
      [{}, invalid("missing_required_parameter", "id")],
      [{ id: "" }, invalid("missing_required_parameter", "id")],
      [{ id: null }, invalid("invalid_type", "id")],
      [{ id: 17 }, invalid("invalid_type", "id")],
      [{ id: ["x"] }, invalid("invalid_type", "id")],
      [{ id: { $gt: "" } }, invalid("invalid_type", "id")],
      [[], invalid("invalid_type", null)],
      ['"id"', invalid("invalid_type", null)],
      ["null", invalid("invalid_type", null)],
      ["", invalid("invalid_json", null)],
      ['{"id":"a","id":"b"}', invalid("duplicate_key", "id")],
      ['{"id":"a","__proto__":{"revoke":true}}', invalid("unknown_parameter", "__proto__")],
      [{ id: "a", tenant: "b" }, invalid("unknown_parameter", "tenant")],
      [{ id: "a", Id: "a" }, invalid("unknown_parameter", "Id")],
      [{ id: "a", "in\r\nject": 1 }, invalid("unknown_parameter", "in??ject")],
    ])("refuses %j", async (body, expected) => {
      await expectRefusal(owner, async () => post(owner.key, path, body), { status: 400, ...expected });
    });

    it.each([
      "nothing-like-an-id",
      "veo3:1704067200-abcdefghijklmnopqrstuvwxyz",
      "../../admin",
      "%00",
      "a".repeat(4_000),
      "veo3:1704067200-\u0000\r\n",
      "ID",
    ])("knows no task %j, and wakes none", async (given) => {
      const sent = given === "ID" ? id.toUpperCase() : given;
      await expectRefusal(owner, async () => post(owner.key, path, { id: sent }), { status: 404, code: "task_not_found" });
    });

    it("is refused without a key, with a wrong method, and with another type of body", async () => {
      expect(await readError(await call(path, { method: "POST", body: "{}" }))).toMatchObject({ code: "missing_api_key" });
      const got = await call(path, { key: owner.key });
      expect([got.headers.get("allow"), (await readError(got)).status]).toEqual(["POST, OPTIONS", 405]);
      const form = await call(path, { method: "POST", key: owner.key, body: new URLSearchParams({ id }) });
      expect((await readError(form)).status).toBe(415);
    });

    it("counts ids that are not the caller's, and stops a guesser", async () => {
      const full = { SHIELD_MISSES: { limit: async () => ({ success: false }) } };
      const headers = { "content-type": "application/json" };
      const guess = async (given: string) =>
        callWith(full, path, { method: "POST", key: owner.key, headers, body: JSON.stringify({ id: given }) });
      expect(await readError(await guess("nothing"))).toMatchObject({ status: 429, code: "rate_limit_exceeded" });
      // What is the caller's own is no guess.
      expect((await guess(id)).status).not.toBe(429);
    });
  });

  it.each<[Record<string, unknown>, { code: string; param: string | null }]>([
    [{ expires_in: 59 }, invalid("invalid_value", "expires_in")],
    [{ expires_in: 604_801 }, invalid("invalid_value", "expires_in")],
    [{ expires_in: -60 }, invalid("invalid_value", "expires_in")],
    [{ expires_in: 60.5 }, invalid("invalid_type", "expires_in")],
    [{ expires_in: "60" }, invalid("invalid_type", "expires_in")],
    [{ expires_in: true }, invalid("invalid_type", "expires_in")],
    [{ expires_in: [60] }, invalid("invalid_type", "expires_in")],
    [{ revoke: "true" }, invalid("invalid_type", "revoke")],
    [{ revoke: 1 }, invalid("invalid_type", "revoke")],
    [{ revoke: true, expires_in: 60 }, invalid("invalid_value", "expires_in")],
    [{ ttl: 60 }, invalid("unknown_parameter", "ttl")],
  ])("a link is refused with %j", async (fields, expected) => {
    const before = await readTask(owner, id);
    await expectRefusal(owner, async () => post(owner.key, "/v1/video/link", { id, ...fields }), { status: 400, ...expected });
    expect(await readTask(owner, id)).toEqual(before);
  });

  it("a link's life beyond what a number holds is refused", async () => {
    for (const life of ["1e999", "9".repeat(400)]) {
      const reply = await post(owner.key, "/v1/video/link", `{"id":"${id}","expires_in":${life}}`);
      expect(await readError(reply)).toMatchObject({ status: 400, param: "expires_in" });
    }
  });

  it.each([{ expires_in: null, revoke: null }, { revoke: false }])("a link takes %j as left out", async (fields) => {
    const refused = { status: 409, code: "video_not_ready" };
    await expectRefusal(owner, async () => post(owner.key, "/v1/video/link", { id, ...fields }), refused);
  });

  it.each<[string, string, string]>([
    ["limit=0", "invalid_value", "limit"],
    ["limit=-1", "invalid_value", "limit"],
    ["limit=51", "invalid_value", "limit"],
    ["limit=1e9", "invalid_value", "limit"],
    ["limit=1e1", "invalid_value", "limit"],
    ["limit=x", "invalid_value", "limit"],
    ["limit=", "invalid_value", "limit"],
    ["limit=%2010", "invalid_value", "limit"],
    ["limit=0x10", "invalid_value", "limit"],
    ["limit=2.5", "invalid_value", "limit"],
    ["limit=Infinity", "invalid_value", "limit"],
    ["limit=10&limit=20", "duplicate_parameter", "limit"],
    ["from=yesterday", "invalid_value", "from"],
    ["from=-1", "invalid_value", "from"],
    ["from=99999999999", "invalid_value", "from"],
    ["to=2026-11-22", "invalid_value", "to"],
    ["to=1&to=2", "duplicate_parameter", "to"],
    ["from=2&to=1", "invalid_value", "from"],
    ["status=done", "invalid_value", "status"],
    ["status=", "invalid_value", "status"],
    ["status=COMPLETED", "invalid_value", "status"],
    ["status=pending&status=failed", "duplicate_parameter", "status"],
    ["status[]=pending", "unknown_parameter", "status[]"],
    ["model=veo9", "model_not_found", "model"],
    ["model=VEO3", "model_not_found", "model"],
    ["metadata_key=", "invalid_value", "metadata_key"],
    [`metadata_key=${"k".repeat(65)}`, "invalid_value", "metadata_key"],
    ["metadata_key=a%20b", "invalid_value", "metadata_key"],
    ["metadata_key=a&metadata_key=b", "duplicate_parameter", "metadata_key"],
    ["metadata_value=x", "missing_required_parameter", "metadata_key"],
    [`metadata_key=a&metadata_value=${"v".repeat(513)}`, "invalid_value", "metadata_value"],
    ["after=", "invalid_cursor", "after"],
    ["after=x", "invalid_cursor", "after"],
    ["after=1", "invalid_cursor", "after"],
    ["after=veo3:1704067200-abcdefghijklmnopqrstuvwxyz", "invalid_cursor", "after"],
    [`after=${"a".repeat(4_000)}`, "invalid_cursor", "after"],
    ["after=%00", "invalid_cursor", "after"],
    ["after=a&after=b", "duplicate_parameter", "after"],
    ["state=held", "unknown_parameter", "state"],
    ["order=asc", "unknown_parameter", "order"],
    ["tenant=other", "unknown_parameter", "tenant"],
    ["__proto__=x", "unknown_parameter", "__proto__"],
    ["%0D%0Ax=1", "unknown_parameter", "??x"],
  ])("a list is refused with ?%s", async (asked, code, param) => {
    await expectRefusal(owner, async () => call(`/v1/video/list?${asked}`, { key: owner.key }), invalid(code, param));
  });

  it("a list is refused with a cursor that is another tenant's, the other mode's, or edited", async () => {
    const stranger = await aTenant();
    const theirs = await createdId(stranger.key);
    const live = await aTenant({ tenant: owner.tenant, mode: "live" });
    const edited = id.slice(0, -1) + (id.endsWith("a") ? "b" : "a");
    const ask = async (key: string, after: string) => call(`/v1/video/list?after=${after}`, { key });
    await expectRefusal(owner, async () => ask(owner.key, theirs), invalid("invalid_cursor", "after"));
    await expectRefusal(owner, async () => ask(owner.key, edited), invalid("invalid_cursor", "after"));
    await expectRefusal(live, async () => ask(live.key, id), invalid("invalid_cursor", "after"));
  });

  it("a name that was nearly right is told", async () => {
    const reply = await call("/v1/video/list?stauts=failed", { key: owner.key });
    expect((await readError(reply)).message).toMatch(/Did you mean status\?/);
  });

  it("a list is for keys that may read", async () => {
    const blind = await aTenant({ tenant: owner.tenant, scopes: ["create"] });
    expect(await readError(await call("/v1/video/list", { key: blind.key }))).toMatchObject({ code: "insufficient_scope" });
    expect(await readError(await call("/v1/video/list"))).toMatchObject({ code: "missing_api_key" });
    expect((await readError(await post(owner.key, "/v1/video/list", {}))).status).toBe(405);
  });

  it("a list takes zeroes and ends as they come", async () => {
    expect((await list(owner, { from: 0, to: 9_999_999_999, limit: 50 })).data).toHaveLength(1);
    expect((await list(owner, { limit: 1 })).has_more).toBe(false);
  });
});

describe("POST /v1/video/delete", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 86_400_000 });
  });
  afterEach(async () => {
    vi.useRealTimers();
    vi.restoreAllMocks();
    await reset();
  });

  const remove = async (owner: TestTenant, id: string) => post(owner.key, "/v1/video/delete", { id });

  it("removes the video, its links, its row and everything known of it before it answers; what was paid stays paid", async () => {
    const owner = await aTenant();
    const { id, video_url: link } = await finish(owner, await createdId(owner.key, { metadata: { order: "A-17" } }));
    const reply = await remove(owner, id);
    expect([reply.status, await reply.json()]).toEqual([200, { id, object: "video.deleted", deleted: true }]);
    expect(await env.VIDEOS.head(`videos/${id}`)).toBeNull();
    expect(await readTask(owner, id)).toBeNull();
    expect((await readBooks(owner)).rows).toEqual({});
    expect((await query(owner.key, id)).status).toBe(404);
    expect(await readError(await call(link ?? ""))).toMatchObject({ status: 404, code: "video_expired" });
    expect((await list(owner)).data).toEqual([]);
    expect(await readBalances(owner)).toMatchObject({ held: 0, spent: 40 });
    expect(await readError(await remove(owner, id))).toMatchObject({ status: 404, code: "task_not_found" });
  });

  it("removes a failed task, too", async () => {
    const owner = await aTenant();
    const id = await createdId(owner.key);
    await cancel(owner, id);
    expect((await remove(owner, id)).status).toBe(200);
    expect((await readBooks(owner)).rows).toEqual({});
    expect(await readBalances(owner)).toMatchObject({ available: 10_000, held: 0, spent: 0 });
  });

  it("hides it at once and removes it later, where R2 cannot be reached", async () => {
    const owner = await aTenant();
    const { id } = await finish(owner, await createdId(owner.key));
    const broken = vi.spyOn(Object.getPrototypeOf(env.VIDEOS) as R2Bucket, "delete").mockRejectedValue(new Error("not now"));
    expect((await remove(owner, id)).status).toBe(200);
    expect((await query(owner.key, id)).status).toBe(404);
    expect((await list(owner)).data).toEqual([]);
    broken.mockRestore();
    vi.setSystemTime(Date.now() + 60_000);
    await runDurableObjectAlarm(taskStub(owner, id));
    expect(await env.VIDEOS.head(`videos/${id}`)).toBeNull();
    expect(await readTask(owner, id)).toBeNull();
  });

  it("is refused while the task is under way, and changes nothing", async () => {
    const owner = await aTenant();
    const id = await createdId(owner.key, { prompt: "a lake [[stuck]]" });
    for (const status of ["queued", "running"]) {
      const before = await readTask(owner, id);
      expect(before?.status).toBe(status);
      await expectRefusal(owner, async () => remove(owner, id), { status: 409, code: "task_not_ended" });
      expect(await readTask(owner, id)).toEqual(before);
      await runDurableObjectAlarm(taskStub(owner, id));
    }
  });

  it("may be asked for again in a moment where the task is just being stopped", async () => {
    const owner = await aTenant();
    const id = await createdId(owner.key, { prompt: "a lake [[stuck]]" });
    await runDurableObjectAlarm(taskStub(owner, id));
    const running = (await readTask(owner, id)) as Extract<Task, { status: "running" }>;
    expect((await remove(owner, id)).headers.get("x-should-retry")).toBe("false");
    await plantTask(owner, { ...running, cancel: "passed_on" });
    const asked = [await remove(owner, id), await call(`/v1/videos/${id}`, { method: "DELETE", key: owner.key })];
    for (const reply of asked) {
      expect([reply.headers.get("x-should-retry"), reply.headers.get("retry-after")]).toEqual(["true", "2"]);
      expect(await readError(reply)).toMatchObject({ status: 409, code: "task_not_ended" });
    }
  });

  it("is refused to a stranger and to a key that may only read", async () => {
    const owner = await aTenant();
    const { id } = await finish(owner, await createdId(owner.key));
    const before = await readTask(owner, id);
    const strangers = [await aTenant(), await aTenant({ tenant: owner.tenant, mode: "live" })];
    for (const stranger of strangers)
      await expectRefusal(stranger, async () => remove(stranger, id), { status: 404, code: "task_not_found" });
    const reader = await aTenant({ tenant: owner.tenant, scopes: ["read"] });
    expect(await readError(await remove(reader, id))).toMatchObject({ status: 403, code: "insufficient_scope" });
    expect(await readTask(owner, id)).toEqual(before);
  });
});
