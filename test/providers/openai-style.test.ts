import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Generation } from "../../src/core/generation.ts";
import type { Json } from "../../src/core/json.ts";
import { MODEL_NAMES } from "../../src/core/models.ts";
import { RefusedError, RetryableError } from "../../src/core/upstream-errors.ts";
import type { ImageFile } from "../../src/ports.ts";
import { MODELS, openaiStyle } from "../../src/providers/openai-style.ts";
import { aJob, anUpstream } from "../support/upstreams.ts";

const T0 = Date.UTC(2026, 0, 1);
const KEY = "sk-upstream-secret";
const BASE = "https://upstream.example";
const VIDEOS = `${BASE}/v1/videos`;
const provider = openaiStyle(anUpstream({ baseUrl: BASE, credential: KEY }));
const signal = new AbortController().signal;
const operation = { id: "video_1" };
const HTML = "<html><title>502 Bad Gateway</title>cloudflare</html>";
const CREATED = { id: "video_1", object: "video", status: "queued", progress: 0, seconds: "8", size: "1280x720", error: null };
const CONTENT = `${VIDEOS}/video_1/content`;
const oops = (code: string, message: string) => ({ error: { message, type: "invalid_request_error", param: null, code } });
/** Of the type that stands for any 4xx. */
const BAD = oops("bad_request", "bad request");
const UNSAFE = oops("moderation_blocked", "blocked by our moderation system");

interface Call {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  /** A form's fields, in the order they were set. */
  readonly form: readonly (readonly [string, unknown])[] | null;
}

let calls: Call[];
let replies: (() => Response)[];
/** Queues a reply: an object as JSON, a text as HTML. */
function reply(status: number, body: unknown, headers: Record<string, string> = {}) {
  const isText = typeof body === "string";
  const type = { "content-type": isText ? "text/html" : "application/json" };
  replies.push(() => new Response(isText ? body : JSON.stringify(body), { status, headers: { ...type, ...headers } }));
}

beforeEach(() => {
  calls = [];
  replies = [];
  vi.setSystemTime(T0);
  vi.spyOn(globalThis, "fetch").mockImplementation(async (url, init = {}) => {
    const { method = "GET", headers, body } = init;
    const form = body instanceof FormData ? [...body] : null;
    calls.push({ url: url as string, method, headers: new Headers(headers), form });
    const next = replies.shift();
    if (next === undefined) throw new TypeError(`connect ECONNREFUSED ${BASE}`);
    return next();
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const thrownBy = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    (value) => expect.unreachable(`it resolved: ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
const submit = (job = aJob()) => provider.submit(job, signal);
const poll = () => provider.poll(operation, signal);
const file = (mimeType: ImageFile["mimeType"]): ImageFile => ({ bytes: new Uint8Array([1, 2, 255]), mimeType });
const anImage = (mimeType: ImageFile["mimeType"] = "image/png") => ({ url: "https://example.com/i", file: file(mimeType) });

describe("submit", () => {
  it("sends a form, and leaves its content type to fetch", async () => {
    reply(200, CREATED);
    expect(await submit()).toEqual({ operation, prompt: null });
    expect(calls).toMatchObject([{ url: VIDEOS, method: "POST" }]);
    expect(calls[0]?.form).toEqual([
      ["model", "veo3"],
      ["prompt", "a lake"],
      ["seconds", "8"],
      ["size", "1280x720"],
    ]);
    expect(Object.fromEntries(calls[0]?.headers ?? [])).toEqual({ authorization: `Bearer ${KEY}` });
  });

  it.each([
    [{}, { size: "1280x720" }],
    [{ aspectRatio: "16:9" }, { size: "1280x720" }],
    [{ aspectRatio: "9:16" }, { size: "720x1280" }],
    [{ upsample: true }, { size: "1792x1024" }],
    [{ upsample: true, aspectRatio: "9:16" }, { size: "1024x1792" }],
    [{ enhancePrompt: true }, { size: "1280x720", prompt: "a lake" }],
    [{ prompt: "“a lake”\r\n--boundary 🦢" }, { prompt: "“a lake”\r\n--boundary 🦢" }],
  ] satisfies [Partial<Generation>, object][])("maps %j to %j", async (generation, expected) => {
    reply(200, CREATED);
    await submit(aJob(generation));
    expect(Object.fromEntries(calls[0]?.form ?? [])).toMatchObject(expected);
    expect(calls[0]?.form).toHaveLength(4);
  });

  it("sends the prompt that we rewrote, and the server's name for the model", async () => {
    reply(200, CREATED);
    await submit(aJob({ enhancePrompt: true }, { prompt: "a lake at dawn", model: "veo_3_1" }));
    expect(Object.fromEntries(calls[0]?.form ?? [])).toMatchObject({ prompt: "a lake at dawn", model: "veo_3_1" });
  });

  it.each([
    ["image/png", "reference.png"],
    ["image/jpeg", "reference.jpeg"],
    ["image/webp", "reference.webp"],
  ] as const)("sends an image as a file of type %s", async (type, name) => {
    reply(200, CREATED);
    await submit(aJob({ model: "veo3-pro-frames" }, { images: [anImage(type)] }));
    const sent = Object.fromEntries(calls[0]?.form ?? [])["input_reference"] as File;
    expect(sent).toBeInstanceOf(File);
    expect([sent.type, sent.name]).toEqual([type, name]);
    expect(new Uint8Array(await sent.arrayBuffer())).toEqual(new Uint8Array([1, 2, 255]));
  });

  it.each(["veo2-fast-frames", "veo2-fast-components"] as const)("leaves %s with two images to another route", async (model) => {
    const error = await thrownBy(submit(aJob({ model }, { images: [anImage(), anImage()] })));
    expect(error).toEqual(new RefusedError("route", "upstream_rejected"));
    expect(calls).toEqual([]);
  });

  it("leaves an image that nobody fetched to another route", async () => {
    const error = await thrownBy(submit(aJob({ model: "veo3-pro-frames", images: ["https://example.com/i"] })));
    expect(error).toEqual(new RefusedError("route", "upstream_rejected"));
    expect(calls).toEqual([]);
  });

  it("sends a key for repetitions only to a server that honours them", async () => {
    const honouring = openaiStyle(anUpstream({ baseUrl: BASE, honoursIdempotencyKey: true }));
    reply(200, CREATED);
    await honouring.submit(aJob(), signal);
    expect(calls[0]?.headers.get("idempotency-key")).toBe("veo3:1-a/1");
    expect([honouring.traits.idempotentCreate, provider.traits.idempotentCreate]).toEqual([true, false]);
  });

  it.each([
    [{ id: "video_1" }, "video_1"],
    [{ task_id: "t1", status: "queued" }, "t1"],
    [{ id: "v1", task_id: "t1" }, "v1"],
    [{ code: "success", message: "", data: { id: "v1" } }, "v1"],
    [{ code: "success", data: { task_id: "t1" } }, "t1"],
    [{ ...CREATED, progress: "0%", created_at: 1_767_225_600_000, seconds: 8, error: {} }, "video_1"],
    [{ ...CREATED, status: "failed", error: { code: "moderation_blocked", message: "no" } }, "video_1"],
  ])("reads the reply %j", async (body, id) => {
    reply(200, body);
    expect(await submit()).toEqual({ operation: { id }, prompt: null });
  });

  it("takes a long id, as LiteLLM makes them", async () => {
    reply(200, { id: "x".repeat(2_048) });
    expect((await submit()).operation).toEqual({ id: "x".repeat(2_048) });
  });

  it.each([201, 202])("takes an id that comes with %i", async (status) => {
    reply(status, CREATED);
    expect((await submit()).operation).toEqual(operation);
  });

  it("lets fetch follow no redirect, and passes the time limit on, as polls do", async () => {
    reply(200, CREATED);
    await submit();
    reply(200, CREATED);
    await poll();
    for (const [, init] of vi.mocked(fetch).mock.calls) expect(init).toMatchObject({ redirect: "manual", signal });
  });

  it("has a name for every model", () => {
    expect(Object.keys(MODELS)).toEqual(MODEL_NAMES);
  });
});

describe("submit, refused cleanly", () => {
  const contentPolicy = new RefusedError("task", "content_policy");
  const byTask = new RefusedError("task", "upstream_rejected");
  const byRoute = new RefusedError("route", "upstream_rejected");
  const byKey = new RefusedError("key", "upstream_rejected");
  const byModel = new RefusedError("model", "upstream_rejected");
  const badImage = new RefusedError("task", "image_invalid");
  const unauthorized = new RetryableError("unauthorized", 60_000);
  const outOfCredit = new RetryableError("out_of_credit", 60_000);
  const limited = new RetryableError("rate_limited");
  const unavailable = new RetryableError("unavailable");

  it.each([
    [400, BAD, byTask],
    [422, { detail: [{ loc: ["body", "size"], msg: "not a size", type: "value_error" }] }, byTask],
    [400, { detail: "seconds must be 4, 8 or 12" }, byTask],
    [400, oops("invalid_image", "cannot decode"), badImage],
    [413, oops("invalid_image", "too large"), badImage],
    [400, UNSAFE, contentPolicy],
    [403, oops("sensitive_words_detected", "no"), contentPolicy],
    [503, UNSAFE, contentPolicy],
    [400, { code: "content_policy_violation", message: "no", data: null }, contentPolicy],
    [400, { error: "the prompt violates our usage policies" }, contentPolicy],
    [401, oops("invalid_api_key", "Incorrect API key"), unauthorized],
    [403, BAD, byKey],
    [402, BAD, outOfCredit],
    [403, oops("insufficient_user_quota", "not enough"), outOfCredit],
    [429, oops("insufficient_quota", "You exceeded your current quota, check your billing details"), outOfCredit],
    [429, oops("rate_limit_exceeded", "slow down"), limited],
    [429, oops("rate_limit_exceeded", "your account was flagged"), limited],
    [503, BAD, unavailable],
    [404, oops("model_not_found", "The model `x` does not exist"), byModel],
    [400, oops("model_not_found", "no"), byRoute],
    [503, oops("model_not_found", "no available channel for model x"), byModel],
    [404, BAD, byRoute],
  ])("%i with %j", async (status, body, error) => {
    reply(status, body);
    expect(await thrownBy(submit())).toEqual(error);
  });

  it.each([
    [400, byRoute],
    [401, unauthorized],
    [402, outOfCredit],
    [404, byRoute],
    [405, byRoute],
    [413, byRoute],
    [415, byRoute],
    [429, limited],
  ] as const)("%i with a proxy's page: it was looked at, and not begun", async (status, error) => {
    reply(status, HTML);
    expect(await thrownBy(submit())).toEqual(error);
  });

  it("waits as Retry-After says", async () => {
    reply(429, BAD, { "retry-after": "7" });
    expect(await thrownBy(submit())).toMatchObject({ code: "rate_limited", retryAfterMs: 7_000 });
  });
});

describe("submit, outcome unknown", () => {
  const isUnknown = async (work: Promise<unknown>) => {
    const error = await thrownBy(work);
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(RetryableError);
    expect(error).not.toBeInstanceOf(RefusedError);
  };

  it.each([500, 502, 504, 520, 524])("%i, even in the server's own words", async (status) => {
    for (const body of [BAD, UNSAFE, HTML]) {
      reply(status, body);
      await isUnknown(submit());
    }
  });

  it.each([408, 409, 425, 499, 503])("%i with a proxy's page", async (status) => {
    reply(status, HTML);
    await isUnknown(submit());
  });

  it("503 in a CDN's JSON", async () => {
    reply(503, { title: "Error", detail: "bad gateway" }, { "content-type": "application/problem+json" });
    await isUnknown(submit());
    reply(503, {});
    await isUnknown(submit());
  });

  it.each([
    ["an error and no id", BAD],
    ["no id", { status: "queued" }],
    ["an empty id", { id: "" }],
    ["an id that is no text", { id: 7 }],
    ["an id that leads elsewhere", { id: ".." }],
    ["an id that is half a character", { id: "a\ud800" }],
    ["an id that is too long", { id: "x".repeat(2_049) }],
    ["a list", [CREATED]],
    ["null", null],
    ["a page", HTML],
    ["cut JSON", '{"id":"video_'],
    ["more than 1 MiB", { ...CREATED, padding: "x".repeat(1024 * 1024) }],
  ])("200 with %s", async (_, body) => {
    reply(200, body);
    await isUnknown(submit());
  });

  it.each([302, 307, 308])("a redirect (%i), which is not followed", async (status) => {
    reply(status, CREATED, { location: `${BASE}/v2/videos` });
    await isUnknown(submit());
    expect(calls).toHaveLength(1);
  });

  it("a connection that fails", async () => {
    await isUnknown(submit());
  });
});

describe("poll", () => {
  it("asks with the id encoded and the key", async () => {
    reply(200, CREATED);
    await provider.poll({ id: "video/ü&x=1?#" }, signal);
    expect(calls).toMatchObject([{ url: `${VIDEOS}/video%2F%C3%BC%26x%3D1%3F%23`, method: "GET", form: null }]);
    expect(calls[0]?.headers.get("authorization")).toBe(`Bearer ${KEY}`);
  });

  it.each(
    ["queued", "in_progress", "IN_PROGRESS", "In Progress", "pending", "processing", "running", "NOT_START", "submitted"].concat([
      "unknown",
      "UNKNOWN",
      "requires_continuation",
      "contemplating",
      "<script>alert(1)</script>",
      "",
    ]),
  )("takes %j for running", async (status) => {
    reply(200, { ...CREATED, status, progress: "35%" });
    expect(await poll()).toEqual({ status: "running", retryAfterMs: null });
  });

  it.each(["completed", "Completed", "SUCCESS", "succeeded", "done", " completed "])("takes %j for succeeded", async (status) => {
    reply(200, { ...CREATED, status, progress: "100%", error: { code: "earlier", message: "an attempt that was repeated" } });
    expect(await poll()).toEqual({ status: "succeeded", source: { url: CONTENT, otherwise: null } });
  });

  it.each(["failed", "FAILURE", "error", "incomplete", "budget_exceeded"].concat(["requires_action"]))(
    "takes %j for failed",
    async (status) => {
      reply(200, { ...CREATED, status });
      expect(await poll()).toEqual({ status: "failed", by: "route", reason: "upstream_rejected" });
    },
  );

  const STORED = "https://storage.example.com/v.mp4";
  it.each([
    [{ url: STORED }, STORED],
    [{ video_url: STORED }, STORED],
    [{ metadata: { url: STORED } }, STORED],
    [{ url: "", video_url: null, metadata: { url: STORED } }, STORED],
    [{ url: "/files/v.mp4" }, `${BASE}/files/v.mp4`],
    [{ url: ` ${STORED} ` }, STORED],
  ])("finds the video named by %j, with its content in reserve", async (named, url) => {
    reply(200, { ...CREATED, status: "completed", ...named });
    expect(await poll()).toEqual({ status: "succeeded", source: { url, otherwise: CONTENT } });
  });

  it.each([{ url: 7 }, { url: [STORED] }, { metadata: "no" }, { url: "https://[" }])(
    "takes the content where %j names nothing",
    async (named) => {
      reply(200, { ...CREATED, status: "completed", ...named });
      expect(await poll()).toEqual({ status: "succeeded", source: { url: CONTENT, otherwise: null } });
    },
  );

  it.each([
    [{ error: { code: "moderation_blocked", message: "no" } }, "content_policy"],
    [{ error: { code: "x", message: "The prompt violates our content policy" } }, "content_policy"],
    [{ error: "rejected by the safety system" }, "content_policy"],
    [{ fail_reason: "contains sensitive_words" }, "content_policy"],
    [{ message: "flagged" }, "content_policy"],
    [{ error: { code: "server_error", message: "no luck" } }, "upstream_rejected"],
    [{ error: { code: "video_generation_failed", message: null } }, "upstream_rejected"],
    [{ error: null, prompt: "safety first" }, "upstream_rejected"],
  ])("reads the failure %j as %s", async (failure, reason) => {
    reply(200, { ...CREATED, status: "failed", ...failure });
    expect(await poll()).toEqual({ status: "failed", by: reason === "content_policy" ? "task" : "route", reason });
  });

  it("reads a task layer's envelope", async () => {
    reply(200, { code: "success", message: "", data: { task_id: "t1", status: "SUCCESS", progress: "100%", url: STORED } });
    expect(await poll()).toMatchObject({ status: "succeeded", source: { url: STORED } });
    reply(200, { code: "success", data: { task_id: "t1", status: "FAILURE", fail_reason: "unsafe prompt" } });
    expect(await poll()).toEqual({ status: "failed", by: "task", reason: "content_policy" });
  });

  it.each([
    [{ "openai-poll-after-ms": "2500" }, 2_500],
    [{ "retry-after": "20" }, 20_000],
    [{ "openai-poll-after-ms": "2500", "retry-after": "20" }, 2_500],
    [{ "openai-poll-after-ms": "soon" }, null],
    [{ "openai-poll-after-ms": "-1" }, null],
  ])("passes on when to come back: %j", async (headers, retryAfterMs) => {
    reply(200, CREATED, headers as Record<string, string>);
    expect(await poll()).toEqual({ status: "running", retryAfterMs });
  });

  it.each([
    [404, oops("not_found", "Video with id 'video_1' not found")],
    [404, {}],
    [400, { code: "task_not_exist", message: "task_not_exist" }],
    [400, oops("invalid_request_error", "no such video")],
    [200, { status: "error", error: { message: "task not found" } }],
  ])("takes %i with %j for a job that the server does not know", async (status, body) => {
    reply(status, body);
    expect(await poll()).toEqual({ status: "missing" });
  });

  it.each([
    [401, BAD, "unauthorized", 60_000],
    [403, HTML, "unauthorized", 60_000],
    [402, BAD, "out_of_credit", 60_000],
    [429, BAD, "rate_limited", 3_000],
    [408, HTML, "unavailable", 3_000],
    [500, UNSAFE, "unavailable", 3_000],
    [502, HTML, "unavailable", 3_000],
    [503, BAD, "unavailable", 3_000],
    [524, HTML, "unavailable", 3_000],
  ])("asks again after %i with %j", async (status, body, code, retryAfterMs) => {
    reply(status, body, { "retry-after": "3" });
    expect(await thrownBy(poll())).toEqual(new RetryableError(code as RetryableError["code"], retryAfterMs));
  });

  it.each([
    [404, HTML],
    [400, UNSAFE],
    [409, BAD],
    [200, HTML],
    [200, {}],
    [200, [CREATED]],
    [200, BAD],
    [200, { status: "error", error: { message: "cannot read" } }],
    [200, { ...CREATED, status: { word: "completed" } }],
    [302, { ...CREATED, status: "completed" }],
  ])("makes nothing of %i with %j, and fails no task for it", async (status, body) => {
    reply(status, body, { location: "https://elsewhere.example/" });
    expect(await thrownBy(poll())).toMatchObject({ name: "UnclearReplyError" });
    expect(calls).toHaveLength(1);
  });

  it("makes nothing of more than 1 MiB", async () => {
    reply(200, { ...CREATED, padding: "x".repeat(1024 * 1024) });
    expect(await thrownBy(poll())).toMatchObject({ name: "UnclearReplyError" });
  });

  it("refuses an operation that is not its own", async () => {
    await expect(provider.poll({ job: 1 } as Json, signal)).rejects.toThrow();
    expect(calls).toHaveLength(0);
  });
});

describe("open", () => {
  const VIDEO = { "content-type": "video/mp4" };
  const bytes = (status: number, body: string, headers: Record<string, string> = {}) =>
    replies.push(() => new Response(body, { status, headers: { ...VIDEO, ...headers } }));
  const open = (url: string, otherwise: string | null = null) => provider.open({ url, otherwise }, null, signal);

  it("asks for the content with the key, and follows to storage without it", async () => {
    replies.push(() => new Response(null, { status: 302, headers: { location: "https://storage.example.com/v.mp4?s=1" } }));
    bytes(200, "0123456789", { "content-length": "10", etag: '"v1"' });
    const video = await open(CONTENT);
    expect(video).toMatchObject({ length: 10, offset: 0, validator: '"v1"' });
    expect(await new Response(video.body).text()).toBe("0123456789");
    expect(calls.map(({ url, headers }) => [url, headers.get("authorization")])).toEqual([
      [CONTENT, `Bearer ${KEY}`],
      ["https://storage.example.com/v.mp4?s=1", null],
    ]);
  });

  it.each([
    "http://storage.example.com/v.mp4",
    "https://10.0.0.1/v.mp4",
    "https://localhost/v.mp4",
    "https://metadata.google.internal/v.mp4",
    "file:///etc/passwd",
    "data:video/mp4;base64,AAAA",
    "javascript:alert(1)",
    "not a url",
  ])("never asks %s", async (url) => {
    await expect(open(url)).rejects.toEqual(new RefusedError("task", "upstream_invalid_result"));
    expect(calls).toEqual([]);
    bytes(200, "x");
    await open(url, CONTENT);
    expect(calls.map((call) => call.url)).toEqual([CONTENT]);
  });

  it.each([400, 401, 403, 404, 410, 425, 429, 451, 500, 503])("takes the content where the link answers %i", async (status) => {
    reply(status, HTML);
    bytes(200, "0123456789", { "content-length": "10" });
    const from = { offset: 5, validator: '"v1"' };
    const video = await provider.open({ url: "https://storage.example.com/v.mp4", otherwise: CONTENT }, from, signal);
    expect(video).toMatchObject({ offset: 0, length: 10 });
    expect(calls.map((call) => call.headers.get("range"))).toEqual(["bytes=5-", "bytes=5-"]);
  });

  it("says that the result is gone where both are", async () => {
    reply(404, HTML);
    reply(200, oops("not_found", "no content"));
    await expect(open("https://storage.example.com/v.mp4", CONTENT)).rejects.toMatchObject({ name: "AssetGoneError" });
    expect(calls).toHaveLength(2);
  });

  const LINK = "https://storage.example.com/v.mp4";
  it("takes the content where the link's host cannot be reached", async () => {
    replies.push(() => {
      throw new TypeError("getaddrinfo ENOTFOUND storage.example.com");
    });
    bytes(200, "x");
    await open(LINK, CONTENT);
    expect(calls.map(({ url }) => url)).toEqual([LINK, CONTENT]);
  });

  it("asks nobody else once its time is up", async () => {
    const limit = new AbortController();
    replies.push(() => {
      limit.abort();
      throw new TypeError("aborted");
    });
    await thrownBy(provider.open({ url: LINK, otherwise: CONTENT }, null, limit.signal));
    expect(calls).toHaveLength(1);
  });

  it.each([400, 401, 409, 425, 429, 500, 503])("tries again after %i, whatever the other says", async (status) => {
    for (const [first, second] of [
      [status, 404],
      [404, status],
    ] as const) {
      reply(first, BAD);
      reply(second, BAD);
      await expect(open(LINK, CONTENT)).rejects.toMatchObject({ name: "UnclearReplyError" });
    }
    expect(calls).toHaveLength(4);
  });

  it("keeps to the hosts on the operator's list, and its own", async () => {
    const listed = openaiStyle(anUpstream({ baseUrl: BASE, resultHosts: ["*.cdn.example"] }));
    bytes(200, "x");
    await listed.open({ url: "https://elsewhere.example/v.mp4", otherwise: CONTENT }, null, signal);
    bytes(200, "x");
    await listed.open({ url: "https://a.cdn.example/v.mp4", otherwise: CONTENT }, null, signal);
    expect(calls.map(({ url }) => url)).toEqual([CONTENT, "https://a.cdn.example/v.mp4"]);
  });
});

describe("what is thrown", () => {
  const CANARIES = ["CANARY-text", "canary.upstream.example", "canary-id-1", KEY, "upstream.example"];
  const says = `CANARY-text at canary.upstream.example for canary-id-1 with ${KEY}`;
  const planted = {
    id: null,
    status: "CANARY-text",
    error: { code: "CANARY-text", type: "CANARY-text", message: says, param: says },
    message: says,
    detail: says,
    fail_reason: says,
    metadata: { url: "https://canary.upstream.example/canary-id-1.mp4" },
  };
  const spread = (error: unknown) =>
    error instanceof Error
      ? [error.name, error.message, error.stack, JSON.stringify(error), String(error.cause)].join("\n")
      : String(error);
  /** The stack names this file and its lines, never what is in a reply. */
  const expectNoCanary = (error: unknown) => {
    for (const canary of CANARIES) expect(spread(error)).not.toContain(canary);
  };

  it.each([200, 302, 400, 401, 402, 403, 404, 409, 410, 418, 422, 429, 500, 502, 503, 504])(
    "carries nothing of a %i",
    async (status) => {
      for (const body of [planted, `<html>${says}</html>`]) {
        const headers = { location: "https://canary.upstream.example/", "retry-after": "CANARY-text" };
        reply(status, body, headers);
        expectNoCanary(await thrownBy(submit()));
        reply(status, body, headers);
        const polled = poll().then(
          (result) => new Error(JSON.stringify(result)),
          (error: unknown) => error,
        );
        expectNoCanary(await polled);
      }
    },
  );

  it("carries nothing of a failed job", async () => {
    reply(200, { ...planted, id: "canary-id-1", status: "failed" });
    expect(await poll()).toEqual({ status: "failed", by: "route", reason: "upstream_rejected" });
  });

  it("carries nothing of a download", async () => {
    for (const status of [200, 206, 302, 400, 403, 404, 409, 500]) {
      reply(status, planted, { location: "http://canary.upstream.example/" });
      const source = { url: "https://canary.upstream.example/canary-id-1.mp4", otherwise: null };
      expectNoCanary(await thrownBy(provider.open(source, null, signal)));
    }
  });

  it("carries nothing of a connection's own error", async () => {
    expectNoCanary(await thrownBy(submit()));
    expectNoCanary(await thrownBy(poll()));
    expectNoCanary(await thrownBy(provider.open({ url: CONTENT, otherwise: null }, null, signal)));
  });
});
