// The OpenAI dialect on the wire. That OpenAI's own client can read it is tested by test/e2e/openai-client.test.ts; what every
// body can get wrong, by test/contract/openai-bad-input.test.ts.
import { env } from "cloudflare:workers";
import { reset, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Refusal } from "../../src/core/errors.ts";
import { VideoTask } from "../../src/durable/video-task.ts";
import { wire } from "../../src/wire.ts";
import { aTenant, call, createdId, query, type TestTenant } from "../support/gateway.ts";
import { driveToEnd, readBalances, readTask, taskStub } from "../support/objects.ts";
import { expectRefusal, readError } from "../support/refusals.ts";

interface VideoObject {
  readonly id: string;
  readonly status: string;
  readonly progress: number;
  readonly [name: string]: unknown;
}

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

const PROMPT = "a lake [[slow:0]]";

async function post(body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const init = { method: "POST", key: owner.key, body: JSON.stringify(body) };
  return call("/v1/videos", { ...init, headers: { "content-type": "application/json", ...headers } });
}

async function postForm(fields: Record<string, string>): Promise<Response> {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.set(name, value);
  return call("/v1/videos", { method: "POST", key: owner.key, body });
}

async function created(reply: Response): Promise<VideoObject> {
  expect(reply.status).toBe(200);
  return reply.json<VideoObject>();
}

async function get(path: string, headers: Record<string, string> = {}): Promise<Response> {
  return call(path, { key: owner.key, headers });
}

async function retrieve(id: string): Promise<VideoObject> {
  const reply = await get(`/v1/videos/${id}`);
  expect(reply.status).toBe(200);
  return reply.json<VideoObject>();
}

async function remove(id: string): Promise<Response> {
  return call(`/v1/videos/${id}`, { method: "DELETE", key: owner.key });
}

describe("create", () => {
  it("answers with the whole object", async () => {
    const reply = await post({ model: "veo3", prompt: PROMPT, size: "1280x720", seconds: "8" });
    const video = await created(reply);
    expect(video).toEqual({
      id: expect.stringMatching(/^veo3:\d{10}-[a-z2-7]{26}$/),
      object: "video",
      model: "veo3",
      status: "queued",
      progress: 0,
      created_at: Math.floor(Date.now() / 1000),
      completed_at: null,
      expires_at: null,
      prompt: PROMPT,
      seconds: "8",
      size: "1280x720",
      remixed_from_video_id: null,
      error: null,
      adjustments: [],
    });
    expect(reply.headers.get("location")).toBe(`/v1/videos/${video.id}`);
    expect(reply.headers.get("openai-poll-after-ms")).toBe("1000");
  });

  it("takes the same from a form", async () => {
    const body = { model: "veo3", prompt: "a lake, ünïcode 🏔", size: "1280x720", seconds: "8" };
    const video = await created(await postForm(body));
    expect(video).toMatchObject({ model: "veo3", prompt: body.prompt, size: "1280x720", adjustments: [] });
  });

  it("needs no more than a prompt, and says nothing of what nobody asked for", async () => {
    const video = await created(await post({ prompt: PROMPT }));
    expect(video).toMatchObject({ model: "veo3.1-fast", seconds: "8", size: "720x1280", adjustments: [] });
    expect((await readTask(owner, video.id))?.generation).toMatchObject({ aspectRatio: "9:16", upsample: false });
  });

  it("takes null for what may be left out", async () => {
    const nothing = { model: null, seconds: null, size: null, input_reference: null };
    expect(await created(await post({ prompt: PROMPT, ...nothing }))).toMatchObject({ model: "veo3.1-fast", adjustments: [] });
  });

  it.each([
    ["sora-2", "veo3.1-fast"],
    ["sora-2-pro", "veo3.1"],
    ["sora-2-2025-12-08", "veo3.1-fast"],
    ["sora-2-pro-2025-10-06", "veo3.1"],
  ])("makes %s with %s, and says so", async (asked, model) => {
    const video = await created(await post({ prompt: PROMPT, model: asked }));
    expect(video).toMatchObject({ model, adjustments: [{ param: "model", from: asked, to: model, why: expect.any(String) }] });
  });

  it.each([
    ["1280x720", "16:9", false, null],
    ["720x1280", "9:16", false, null],
    ["1792x1024", "16:9", true, "1920x1080"],
    ["1024x1792", "9:16", true, "1080x1920"],
    ["1920x1080", "16:9", true, null],
    ["1080x1920", "9:16", true, null],
  ])("makes the size %s of %s, upsampled: %s", async (size, aspectRatio, upsample, adjusted) => {
    const video = await created(await post({ prompt: PROMPT, model: "veo3", size }));
    expect(video["size"]).toBe(adjusted ?? size);
    expect(video["adjustments"]).toEqual(
      adjusted === null ? [] : [{ param: "size", from: size, to: adjusted, why: expect.any(String) }],
    );
    expect((await readTask(owner, video.id))?.generation).toMatchObject({ aspectRatio, upsample });
  });

  it("leaves the shape to a model that takes none, and says so", async () => {
    const video = await created(await post({ prompt: PROMPT, model: "veo2", size: "1024x1792" }));
    expect(video["adjustments"]).toEqual([{ param: "size", from: "1024x1792", to: null, why: expect.stringContaining("veo2") }]);
    expect((await readTask(owner, video.id))?.generation).toMatchObject({ aspectRatio: null, upsample: true });
    expect((await created(await post({ prompt: PROMPT, model: "veo2" })))["adjustments"]).toEqual([]);
  });

  it.each([
    ["4", ["8"]],
    ["12", ["8"]],
    ["8", []],
    [4, ["8"]],
    [8, []],
  ])("takes %j seconds and says what is made", async (seconds, to) => {
    const video = await created(await post({ prompt: PROMPT, seconds }));
    const adjustments = to.map((made) => ({ param: "seconds", from: String(seconds), to: made, why: expect.any(String) }));
    expect(video).toMatchObject({ seconds: "8", adjustments });
  });

  it("takes an image by its URL, in JSON and in a form", async () => {
    const url = "https://images.example/a.png";
    const json = await created(await post({ model: "veo3-pro-frames", prompt: PROMPT, input_reference: { image_url: url } }));
    const form = await created(await postForm({ model: "veo3-pro-frames", prompt: PROMPT, "input_reference[image_url]": url }));
    for (const { id } of [json, form]) expect((await readTask(owner, id))?.generation.images).toEqual([url]);
  });

  it("makes one video of two with one Idempotency-Key, whichever form or dialect they come in", async () => {
    const headers = { "idempotency-key": "k1" };
    const first = await created(await post({ model: "veo3", prompt: PROMPT, size: "1280x720" }, headers));
    const again = await post({ prompt: PROMPT, size: "1280x720", seconds: "8", model: "veo3" }, headers);
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect((await created(again)).id).toBe(first.id);
    const seed = await call("/v1/video/create", {
      method: "POST",
      key: owner.key,
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ model: "veo3", prompt: PROMPT, aspect_ratio: "16:9" }),
    });
    expect(await seed.json()).toMatchObject({ id: first.id });
    expect((await readBalances(owner)).held).toBe(40);
  });

  it("makes one video of a request that the SDK repeats by itself, and tells how it is by now", async () => {
    const first = await created(await post({ prompt: PROMPT }, { "x-stainless-retry-count": "0" }));
    await driveToEnd(owner, first.id);
    const again = await post({ prompt: PROMPT }, { "x-stainless-retry-count": "1" });
    expect(again.headers.get("idempotent-replayed")).toBe("inferred");
    expect(await created(again)).toMatchObject({ id: first.id, status: "completed", progress: 100 });
  });
});

describe("retrieve", () => {
  it("follows a video to its end", async () => {
    const { id } = await created(await post({ prompt: "a lake [[slow:60]]", model: "veo3" }));
    const queued = await get(`/v1/videos/${id}`);
    expect(Number(queued.headers.get("openai-poll-after-ms"))).toBeGreaterThan(0);
    expect(await queued.json()).toMatchObject({ status: "queued", progress: 0 });

    await runDurableObjectAlarm(taskStub(owner, id));
    vi.setSystemTime(Date.now() + 3_000);
    const running = await retrieve(id);
    expect(running).toMatchObject({ status: "in_progress", completed_at: null });
    expect(running.progress).toBeGreaterThan(0);
    expect(running.progress).toBeLessThan(100);
    expect(running).not.toHaveProperty("adjustments");

    vi.setSystemTime(Date.now() + 60_000);
    await driveToEnd(owner, id);
    const done = await get(`/v1/videos/${id}`);
    expect(done.headers.get("openai-poll-after-ms")).toBeNull();
    const now = Math.floor(Date.now() / 1000);
    expect(await done.json()).toMatchObject({
      status: "completed",
      progress: 100,
      completed_at: now,
      expires_at: now + 7 * 86_400,
      seconds: "8",
      size: "720x1280",
      error: null,
    });
  });

  it("tells why a video failed", async () => {
    const { id } = await created(await post({ prompt: "a lake [[slow:0]] [[fail:content_policy]]" }));
    await driveToEnd(owner, id);
    expect(await retrieve(id)).toMatchObject({
      status: "failed",
      completed_at: null,
      expires_at: null,
      error: { code: "content_policy", message: expect.stringContaining("You were not charged.") },
    });
  });

  it("takes the colon of an id encoded too", async () => {
    const { id } = await created(await post({ prompt: PROMPT }));
    expect((await get(`/v1/videos/${encodeURIComponent(id)}`)).status).toBe(200);
  });

  it("reads what another dialect created, which reads what this one did", async () => {
    const theirs = await createdId(owner.key, { aspect_ratio: "9:16", enable_upsample: true });
    expect(await retrieve(theirs)).toMatchObject({ id: theirs, model: "veo3", status: "queued", size: "1080x1920" });
    const { id } = await created(await post({ prompt: PROMPT }));
    expect(await (await query(owner.key, id)).json()).toMatchObject({ id, status: "pending" });
    expect((await get(`/api/v1/videos/${id}`)).status).toBe(200);
  });
});

describe("list", () => {
  interface Page {
    readonly object: string;
    readonly data: readonly VideoObject[];
    readonly first_id: string | null;
    readonly last_id: string | null;
    readonly has_more: boolean;
  }

  async function list(search: string): Promise<Page> {
    const reply = await get(`/v1/videos${search}`);
    expect(reply.status).toBe(200);
    return reply.json<Page>();
  }

  it("is empty before there is anything", async () => {
    expect(await list("")).toEqual({ object: "list", data: [], first_id: null, last_id: null, has_more: false });
  });

  it("gives the newest first, page by page, each once", async () => {
    const ids: string[] = [];
    for (let count = 0; count < 5; count++) {
      ids.unshift((await created(await post({ prompt: PROMPT }))).id);
      vi.setSystemTime(Date.now() + 1_000);
    }
    const first = await list("?limit=2");
    expect(first).toMatchObject({ first_id: ids[0], last_id: ids[1], has_more: true });
    const second = await list(`?limit=2&order=desc&after=${first.last_id}`);
    const third = await list(`?limit=2&after=${second.last_id}`);
    expect(third.has_more).toBe(false);
    expect([first, second, third].flatMap(({ data }) => data.map(({ id }) => id))).toEqual(ids);
    expect(first.data[0]).toEqual(await retrieve(ids[0] as string));
  });

  it.each([
    ["?limit=0", "invalid_value", "limit"],
    ["?limit=101", "invalid_value", "limit"],
    ["?limit=x", "invalid_value", "limit"],
    ["?limit=1&limit=2", "duplicate_parameter", "limit"],
    ["?order=asc", "invalid_value", "order"],
    ["?order=up", "invalid_value", "order"],
    ["?after=", "invalid_cursor", "after"],
    ["?after=veo3:1704067200-abcdefghijklmnopqrstuvwxyz", "invalid_cursor", "after"],
  ])("refuses %s", async (search, code, param) => {
    await expectRefusal(owner, async () => get(`/v1/videos${search}`), { status: 400, code, param });
  });
});

describe("delete", () => {
  it("removes an ended video for good", async () => {
    const { id } = await created(await post({ prompt: PROMPT }));
    await driveToEnd(owner, id);
    const reply = await remove(id);
    expect([reply.status, await reply.json()]).toEqual([200, { id, object: "video.deleted", deleted: true }]);
    expect((await get(`/v1/videos/${id}`)).status).toBe(404);
    expect((await get(`/v1/videos/${id}/content`)).status).toBe(404);
    expect((await remove(id)).status).toBe(404);
  });

  it("cancels one that has not begun, and gives its credits back", async () => {
    const { id } = await created(await post({ prompt: PROMPT }));
    expect((await remove(id)).status).toBe(200);
    expect((await get(`/v1/videos/${id}`)).status).toBe(404);
    expect(await readBalances(owner)).toMatchObject({ held: 0, spent: 0 });
  });

  it("leaves one that a provider works on and will not stop, says why, and keeps clients from repeating it", async () => {
    const { id } = await created(await post({ prompt: "a lake [[stuck]]" }));
    const no: Refusal = { kind: "task_not_cancellable", why: "provider" };
    vi.spyOn(VideoTask.prototype, "cancel").mockResolvedValue({ ok: false, error: no });
    const reply = await remove(id);
    expect(reply.headers.get("x-should-retry")).toBe("false");
    expect(await readError(reply)).toMatchObject({ status: 409, code: "task_not_cancellable" });
    expect((await get(`/v1/videos/${id}`)).status).toBe(200);
  });

  it("lets clients come back for one that its provider was asked to stop", async () => {
    const { id } = await created(await post({ prompt: "a lake [[stuck]]" }));
    vi.spyOn(VideoTask.prototype, "cancel").mockResolvedValue({ ok: true, value: "passed_on" });
    const reply = await remove(id);
    expect([reply.headers.get("x-should-retry"), reply.headers.get("retry-after")]).toEqual(["true", "2"]);
    expect(await readError(reply)).toMatchObject({ status: 409, code: "task_not_ended" });
  });
});

describe("content", () => {
  async function aFinishedVideo(): Promise<string> {
    const { id } = await created(await post({ prompt: PROMPT, size: "1280x720" }));
    await driveToEnd(owner, id);
    return id;
  }

  it("gives the bytes that the link gives, whole and in ranges", async () => {
    const id = await aFinishedVideo();
    const { video_url: link } = await (await query(owner.key, id)).json<{ video_url: string }>();
    const behindLink = await (await call(link)).arrayBuffer();
    const whole = await get(`/v1/videos/${id}/content?variant=video`, { accept: "application/binary" });
    expect([whole.status, whole.headers.get("content-type"), whole.headers.get("cache-control")]).toEqual([
      200,
      "video/mp4",
      "no-store",
    ]);
    const bytes = await whole.arrayBuffer();
    expect(bytes).toEqual(behindLink);
    const part = await get(`/v1/videos/${id}/content`, { range: "bytes=4-7" });
    expect([part.status, part.headers.get("content-range")]).toEqual([206, `bytes 4-7/${bytes.byteLength}`]);
    expect(await part.text()).toBe("ftyp");
    const etag = whole.headers.get("etag") as string;
    expect((await get(`/v1/videos/${id}/content`, { "if-none-match": etag })).status).toBe(304);
    const beyond = await get(`/v1/videos/${id}/content`, { range: "bytes=99999999-" });
    expect(await readError(beyond)).toMatchObject({ status: 416, code: "range_not_satisfiable" });
    const head = await call(`/v1/videos/${id}/content`, { method: "HEAD", key: owner.key });
    expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([200, String(bytes.byteLength), ""]);
  });

  it("is nobody else's", async () => {
    const id = await aFinishedVideo();
    const other = await aTenant();
    const live = await aTenant({ tenant: owner.tenant, mode: "live" });
    for (const { key } of [other, live]) {
      expect(await readError(await call(`/v1/videos/${id}/content`, { key }))).toMatchObject({ code: "task_not_found" });
    }
    expect(await readError(await call(`/v1/videos/${id}/content`))).toMatchObject({ status: 401 });
  });

  it("is refused before there is a video, in a way that clients do not repeat by themselves", async () => {
    const { id } = await created(await post({ prompt: "a lake [[stuck]]" }));
    const reply = await get(`/v1/videos/${id}/content`);
    expect(reply.headers.get("x-should-retry")).toBe("false");
    expect(await readError(reply)).toMatchObject({ status: 409, code: "video_not_ready", param: null });
    expect((await call(`/v1/videos/${id}/content`, { method: "HEAD", key: owner.key })).status).toBe(409);
  });

  it("of a failed video says why there is none", async () => {
    const { id } = await created(await post({ prompt: "a lake [[slow:0]] [[fail:content_policy]]" }));
    await driveToEnd(owner, id);
    const { message, ...told } = await readError(await get(`/v1/videos/${id}/content`));
    expect(told).toEqual({ status: 409, code: "video_not_ready", param: null });
    expect(message).toContain("failed");
  });

  it("whose file is gone says so", async () => {
    const id = await aFinishedVideo();
    await wire(env).videos.remove(id, null);
    expect(await readError(await get(`/v1/videos/${id}/content`))).toMatchObject({ status: 404, code: "video_expired" });
  });

  it.each([
    ["thumbnail", "unsupported_parameter"],
    ["spritesheet", "unsupported_parameter"],
    ["x", "invalid_value"],
    ["", "invalid_value"],
  ])("has no variant %j", async (variant, code) => {
    const id = await aFinishedVideo();
    const send = async () => get(`/v1/videos/${id}/content?variant=${variant}`);
    expect(await expectRefusal(owner, send, { status: 400, code, param: "variant" })).toContain("must be video");
  });
});

it.each([
  ["POST", "/v1/videos/x/remix"],
  ["POST", "/v1/videos/edits"],
  ["POST", "/v1/videos/extensions"],
  ["POST", "/v1/videos/characters"],
  ["GET", "/v1/videos/characters/x"],
])("says of %s %s that it is not done here", async (method, path) => {
  const send = async () => call(path, { method, key: owner.key });
  expect(await expectRefusal(owner, send, { status: 404, code: "not_found" })).toContain("remixed");
});
