import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Json } from "../../src/core/json.ts";
import { RefusedError, RetryableError } from "../../src/core/upstream-errors.ts";
import { seedStyle } from "../../src/providers/seed-style.ts";
import created from "../fixtures/seed-style/create.json";
import errors from "../fixtures/seed-style/errors.json";
import queried from "../fixtures/seed-style/query.json";
import { aJob, anUpstream } from "../support/upstreams.ts";

const T0 = Date.UTC(2026, 0, 1);
const KEY = "sk-upstream-secret";
const BASE = "https://upstream.example";
const provider = seedStyle(anUpstream({ baseUrl: BASE, credential: KEY }));
const signal = new AbortController().signal;
const operation = { id: "veo3:1-a" };
const HTML = "<html><title>502 Bad Gateway</title>cloudflare</html>";

interface Call {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: unknown;
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
    calls.push({
      url: url as string,
      method,
      headers: new Headers(headers),
      body: typeof body === "string" ? JSON.parse(body) : null,
    });
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

describe("submit", () => {
  it("sends the least that says what was asked for", async () => {
    reply(200, created.seed);
    await submit();
    expect(calls).toEqual([
      { url: `${BASE}/v1/video/create`, method: "POST", headers: expect.any(Headers), body: { model: "veo3", prompt: "a lake" } },
    ]);
    expect(Object.fromEntries(calls[0]?.headers ?? [])).toEqual({
      authorization: `Bearer ${KEY}`,
      "content-type": "application/json",
    });
  });

  it("sends all six fields, with the provider's name for the model", async () => {
    reply(200, created.seed);
    const images = ["https://example.com/first-frame.jpg", "https://example.com/last-frame.jpg"];
    await submit(aJob({ enhancePrompt: true, upsample: true, aspectRatio: "9:16", images }, { model: "veo3.1-pro" }));
    expect(calls[0]?.body).toEqual({
      model: "veo3.1-pro",
      prompt: "a lake",
      enhance_prompt: true,
      enable_upsample: true,
      aspect_ratio: "9:16",
      images,
    });
  });

  it("asks for no second rewriting of a prompt that we rewrote", async () => {
    reply(200, created.seed);
    await submit(aJob({ enhancePrompt: true }, { prompt: "a lake at dawn" }));
    expect(calls[0]?.body).toEqual({ model: "veo3", prompt: "a lake at dawn" });
  });

  it.each([
    ["seed", "veo3:1234567890-abcdefgh", created.seed.enhanced_prompt],
    ["milliseconds", "veo3.1-fast:1770350082-trii1OXZc3", null],
    ["null_prompt", "veo3:1-a", null],
    ["bare", "veo3:1-a", null],
    ["task_id", "0f1e2d3c", null],
    ["nested", "0f1e2d3c", "a lake, enhanced"],
    ["nested_id", "0f1e2d3c", null],
    ["odd_types", "veo3:1-a", null],
  ] as const)("reads the reply %s", async (name, id, prompt) => {
    reply(200, created[name]);
    expect(await submit(aJob({ enhancePrompt: true }))).toEqual({ operation: { id }, prompt });
  });

  it.each([
    "x".repeat(8_001),
    " \n",
    `a lake, made at ${BASE}/gpu/7`,
    "a lake from Upstream.Example",
    "a lake, see www.reseller.example",
    `a lake for ${KEY}`,
    "a lake for sk-live-abc",
    "a lake \ud800",
    "a lake [at gpu-7.canary-upstream.example]",
    "a lake from veo.internal:8443, at dawn",
    "a lake by 10.20.30.40:8080",
    "a lake by 10.20.30.40",
    "a lake (trace cnry-trace-81f2c0d4)",
    "a lake for key_5f3a9c1e7b2d",
    "a lake, 550e8400-e29b-41d4-a716-446655440000",
  ])("keeps to the prompt as sent where the rewritten one is %j", async (enhanced_prompt) => {
    reply(200, { ...created.seed, enhanced_prompt });
    expect((await submit(aJob({ enhancePrompt: true }))).prompt).toBeNull();
  });

  it.each([
    ["a lake", "A 19th-century lake... at f/1.8, 35mm-film, 3.5 miles wide, e.g. at dawn."],
    ["a lake for example.com and user-1234567890x", "A lake at dawn for Example.com, user-1234567890x."],
    ["a screen showing 192.168.0.1", "A glowing screen showing 192.168.0.1"],
  ])("for %j takes %j", async (prompt, enhanced_prompt) => {
    reply(200, { ...created.seed, enhanced_prompt });
    expect((await submit(aJob({ prompt, enhancePrompt: true }))).prompt).toBe(enhanced_prompt);
  });

  it("takes no rewritten prompt that it was not asked for", async () => {
    for (const job of [aJob(), aJob({ enhancePrompt: true }, { prompt: "a lake at dawn" })]) {
      reply(200, created.seed);
      expect((await submit(job)).prompt).toBeNull();
    }
  });

  it("reads a rewritten prompt that was made to be slow within a moment", async () => {
    for (const enhanced_prompt of ["x".repeat(8_000), "x.".repeat(4_000), "x-".repeat(4_000)]) {
      reply(200, { ...created.seed, enhanced_prompt });
      await submit(aJob({ enhancePrompt: true }));
    }
  });

  it("takes a rewritten prompt of 8,000 code points", async () => {
    reply(200, { ...created.seed, enhanced_prompt: "🌊".repeat(8_000) });
    expect((await submit(aJob({ enhancePrompt: true }))).prompt).toHaveLength(16_000);
  });

  it.each([201, 202])("takes an id that comes with %i", async (status) => {
    reply(status, created.seed);
    expect((await submit()).operation).toEqual({ id: created.seed.id });
  });

  it("lets fetch follow no redirect, and passes the time limit on, as polls do", async () => {
    reply(200, created.seed);
    await submit();
    reply(200, queried.processing);
    await poll();
    for (const [, init] of vi.mocked(fetch).mock.calls) expect(init).toMatchObject({ redirect: "manual", signal });
  });

  it("takes an id of 255 characters, and none of 256", async () => {
    reply(200, { id: "x".repeat(255) });
    expect((await submit()).operation).toEqual({ id: "x".repeat(255) });
    reply(200, { id: "x".repeat(256) });
    await expect(submit()).rejects.toThrow();
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
    [400, "relay", byTask],
    [400, "relay_code_null", byTask],
    [400, "relay_code_number", byTask],
    [400, "flat", byTask],
    [400, "text", byTask],
    [400, "detail", byTask],
    [422, "detail_list", byTask],
    [400, "invalid_image", badImage],
    [413, "invalid_image", badImage],
    [400, "sensitive", contentPolicy],
    [403, "sensitive", contentPolicy],
    [400, "prompt_blocked", contentPolicy],
    [403, "violation", contentPolicy],
    [400, "unsafe", contentPolicy],
    [503, "unsafe", contentPolicy],
    [422, "support_codes", contentPolicy],
    [401, "bad_key", unauthorized],
    [403, "access_denied", byKey],
    [403, "relay", byKey],
    [402, "no_balance", outOfCredit],
    [402, "relay", outOfCredit],
    [403, "no_quota", outOfCredit],
    [429, "no_quota", outOfCredit],
    [429, "limited", limited],
    [429, "account_flagged", limited],
    [503, "overloaded", unavailable],
    [503, "flat", unavailable],
    [404, "no_model", byModel],
    [400, "no_model", byRoute],
    [503, "no_model", byModel],
    [503, "no_channel", byModel],
    [503, "no_key", byModel],
    [403, "model_denied", byRoute],
    [404, "relay", byRoute],
    [410, "relay", byRoute],
  ] as const)("%i with %s", async (status, name, error) => {
    reply(status, errors[name]);
    expect(await thrownBy(submit())).toEqual(error);
  });

  it.each([
    [400, byRoute],
    [401, unauthorized],
    [402, outOfCredit],
    [403, byRoute],
    [404, byRoute],
    [405, byRoute],
    [413, byRoute],
    [414, byRoute],
    [415, byRoute],
    [422, byRoute],
    [429, limited],
  ] as const)("%i with a proxy's page: it was looked at, and not begun", async (status, error) => {
    reply(status, HTML);
    expect(await thrownBy(submit())).toEqual(error);
  });

  it.each([
    ["7", 7_000],
    ["0", 0],
    ["1.5", 1_500],
    ["Thu, 01 Jan 2026 00:00:30 GMT", 30_000],
    ["Wed, 31 Dec 2025 00:00:00 GMT", 0],
    ["-5", null],
    ["soon", null],
  ])("waits as Retry-After says: %s", async (value, retryAfterMs) => {
    reply(429, errors.limited, { "retry-after": value });
    expect(await thrownBy(submit())).toMatchObject({ code: "rate_limited", retryAfterMs });
    reply(503, errors.overloaded, { "retry-after": value });
    expect(await thrownBy(submit())).toMatchObject({ code: "unavailable", retryAfterMs });
  });
});

describe("submit, outcome unknown", () => {
  const isUnknown = async (work: Promise<unknown>) => {
    const error = await thrownBy(work);
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(RetryableError);
    expect(error).not.toBeInstanceOf(RefusedError);
  };

  it.each([500, 501, 502, 504, 520, 522, 524, 529])("%i, even in the provider's own words", async (status) => {
    reply(status, errors.relay);
    await isUnknown(submit());
    reply(status, errors.unsafe);
    await isUnknown(submit());
    reply(status, HTML);
    await isUnknown(submit());
  });

  it.each([408, 409, 410, 425, 451, 499, 503])("%i with a proxy's page", async (status) => {
    reply(status, HTML);
    await isUnknown(submit());
  });

  it.each([408, 409, 425, 499])("%i in the provider's own words: it may have passed the request on", async (status) => {
    reply(status, errors.relay);
    await isUnknown(submit());
  });

  it("503 in a CDN's JSON", async () => {
    reply(503, errors.problem, { "content-type": "application/problem+json; charset=utf-8" });
    await isUnknown(submit());
    reply(503, errors.gateway_message);
    await isUnknown(submit());
    reply(503, {});
    await isUnknown(submit());
  });

  it.each([
    ["an error and no id", errors.relay],
    ["a policy error and no id", errors.unsafe],
    ["a flat error", errors.flat],
    ["no id", { status: "pending" }],
    ["an empty id", { id: "" }],
    ["an id that is half a character", { id: "a\ud800" }],
    ["an id that is no text", { id: 7 }],
    ["a list", []],
    ["null", null],
    ["a page", HTML],
    ["cut JSON", '{"id":"veo3:1-'],
  ])("200 with %s", async (_, body) => {
    reply(200, body);
    await isUnknown(submit());
  });

  it("a reply of more than 1 MiB", async () => {
    reply(200, { id: "veo3:1-a", padding: "x".repeat(1024 * 1024) });
    await isUnknown(submit());
  });

  it.each([301, 302, 307, 308])("a redirect (%i), which is not followed", async (status) => {
    reply(status, created.seed, { location: `${BASE}/v2/video/create` });
    await isUnknown(submit());
    expect(calls).toHaveLength(1);
  });

  it("a connection that fails, or breaks inside the reply", async () => {
    await isUnknown(submit());
    const broken = new ReadableStream({
      pull(controller) {
        controller.error(new Error("reset"));
      },
    });
    replies.push(() => new Response(broken, { status: 400 }));
    await isUnknown(submit());
  });
});

describe("poll", () => {
  it("asks with the id encoded and the key", async () => {
    reply(200, queried.processing);
    await provider.poll({ id: "veo3:1/ü&x=1" }, signal);
    expect(calls[0]).toMatchObject({ url: `${BASE}/v1/video/query?id=veo3%3A1%2F%C3%BC%26x%3D1`, method: "GET", body: null });
    expect(calls[0]?.headers.get("authorization")).toBe(`Bearer ${KEY}`);
  });

  it.each(
    ["pending", "queued", "in_queue", "submitted", "NOT_START", "SUBMITTED", "starting", "created"]
      .concat([
        "processing",
        "in_progress",
        "IN_PROGRESS",
        "In Progress",
        "running",
        "generating",
        "image_downloading",
        "video_generating",
      ])
      .concat(["video_generation_completed", "video_upsampling", "requires_continuation", "UNKNOWN", "contemplating", ""]),
  )("takes %j for running", async (status) => {
    reply(200, { id: "veo3:1-a", status, video_url: null });
    expect(await poll()).toEqual({ status: "running", retryAfterMs: null });
  });

  it.each(["completed", "Completed", "SUCCESS", "succeeded", "done", "video_upsampling_completed", " completed "])(
    "takes %j for succeeded",
    async (status) => {
      reply(200, { id: "veo3:1-a", status, video_url: "https://storage.example.com/v.mp4" });
      expect(await poll()).toEqual({ status: "succeeded", source: { url: "https://storage.example.com/v.mp4" } });
    },
  );

  it.each(
    ["failed", "FAILURE", "error", "video_generation_failed", "video_upsampling_failed"].concat([
      "incomplete",
      "budget_exceeded",
      "requires_action",
    ]),
  )("takes %j for failed", async (status) => {
    reply(200, { id: "veo3:1-a", status, video_url: null });
    expect(await poll()).toEqual({ status: "failed", by: "route", reason: "upstream_rejected" });
  });

  const found = (file: string): unknown => ({ status: "succeeded", source: { url: `https://storage.example.com/videos/${file}` } });
  it.each([
    ["completed", found("output.mp4")],
    ["retried_inside", found("upsampled.mp4")],
    ["url_in_detail", found("base.mp4")],
    ["upsampling_failed", { status: "failed", by: "route", reason: "upstream_invalid_result" }],
    ["task_layer", found("output.mp4")],
    ["processing", { status: "running", retryAfterMs: null }],
    ["completed_without_url", { status: "empty" }],
    ["completed_with_empty_url", { status: "empty" }],
    ["completed_with_list", { status: "empty" }],
    ["upsampling_failed_without_video", { status: "failed", by: "route", reason: "upstream_rejected" }],
    ["task_layer_failed", { status: "failed", by: "task", reason: "content_policy" }],
    ["refused_google", { status: "failed", by: "task", reason: "content_policy" }],
    ["refused_object", { status: "failed", by: "task", reason: "content_policy" }],
    ["refused_message", { status: "failed", by: "task", reason: "content_policy" }],
    ["refused_detail", { status: "failed", by: "task", reason: "content_policy" }],
    ["refused_detail_text", { status: "failed", by: "task", reason: "content_policy" }],
    ["failed_plainly", { status: "failed", by: "route", reason: "upstream_rejected" }],
    ["failed_unsafe_request_only", { status: "failed", by: "route", reason: "upstream_rejected" }],
  ] as const)("reads the reply %s", async (name, result) => {
    reply(200, queried[name]);
    expect(await poll()).toEqual(result);
  });

  it("takes a completed job without a video that says it was filtered for content_policy", async () => {
    reply(200, { ...queried.completed_without_url, error: "your request contains unsafe prompt or images" });
    expect(await poll()).toEqual({ status: "failed", by: "task", reason: "content_policy" });
  });

  it("passes on when to come back", async () => {
    reply(200, queried.processing, { "retry-after": "20" });
    expect(await poll()).toEqual({ status: "running", retryAfterMs: 20_000 });
  });

  it.each([
    [404, errors.task_not_exist],
    [404, errors.relay],
    [404, {}],
    [400, errors.task_not_exist],
    [400, errors.task_not_found],
    [410, errors.task_not_found],
    [200, errors.task_not_exist],
    [200, errors.status_error_not_found],
  ])("takes %i with %j for a job that the provider does not know", async (status, body) => {
    reply(status, body);
    expect(await poll()).toEqual({ status: "missing" });
  });

  it.each([
    [401, errors.bad_key, "unauthorized", 60_000],
    [403, HTML, "unauthorized", 60_000],
    [403, errors.task_not_found, "unauthorized", 60_000],
    [402, errors.no_balance, "out_of_credit", 60_000],
    [429, errors.limited, "rate_limited", 3_000],
    [408, HTML, "unavailable", 3_000],
    [500, errors.fetch_failed, "unavailable", 3_000],
    [500, errors.unsafe, "unavailable", 3_000],
    [502, HTML, "unavailable", 3_000],
    [503, errors.overloaded, "unavailable", 3_000],
    [524, HTML, "unavailable", 3_000],
  ])("asks again after %i with %j", async (status, body, code, retryAfterMs) => {
    reply(status, body, { "retry-after": "3" });
    expect(await thrownBy(poll())).toEqual(new RetryableError(code as RetryableError["code"], retryAfterMs));
  });

  it.each([
    [404, HTML],
    [400, errors.relay],
    [400, errors.unsafe],
    [200, HTML],
    [200, {}],
    [200, []],
    [200, errors.relay],
    [200, errors.status_error],
    [302, ""],
    [302, errors.task_not_exist],
    [302, queried.completed],
  ])("makes nothing of %i with %j, and fails no task for it", async (status, body) => {
    reply(status, body, { location: "https://elsewhere.example/" });
    expect(await thrownBy(poll())).toMatchObject({ name: "UnclearReplyError" });
    expect(calls).toHaveLength(1);
  });

  it("refuses an operation that is not its own", async () => {
    await expect(provider.poll({ job: 1 } as Json, signal)).rejects.toThrow();
    expect(calls).toHaveLength(0);
  });
});

describe("open", () => {
  const source = { url: "https://storage.example.com/v.mp4" };
  const from = { offset: 5, validator: '"v1"' };
  const VIDEO = { "content-type": "video/mp4" };
  const open = (at: Json = source, resume: typeof from | null = null) => provider.open(at, resume, signal);
  const bytes = (status: number, body: string, headers: Record<string, string>) =>
    replies.push(() => new Response(body, { status, headers: { ...VIDEO, ...headers } }));

  it("opens the whole, with what the source says of it", async () => {
    bytes(200, "0123456789", { "content-length": "10", etag: '"v1"' });
    const video = await open();
    expect(video).toMatchObject({ length: 10, offset: 0, validator: '"v1"' });
    expect(await new Response(video.body).text()).toBe("0123456789");
    expect(Object.fromEntries(calls[0]?.headers ?? [])).toEqual({ "accept-encoding": "identity" });
  });

  it("sends the key to its own origin only", async () => {
    bytes(200, "x", {});
    await open({ url: `${BASE}/files/v.mp4` });
    expect(calls[0]?.headers.get("authorization")).toBe(`Bearer ${KEY}`);
    replies.push(() => new Response(null, { status: 302, headers: { location: source.url } }));
    bytes(200, "x", {});
    await open({ url: `${BASE}/files/v.mp4` });
    expect(calls.slice(1).map(({ headers }) => headers.has("authorization"))).toEqual([true, false]);
  });

  it.each([
    [{}, { length: null, validator: null }],
    [
      { "content-length": "10", "content-encoding": "gzip", etag: '"v1"' },
      { length: null, validator: null },
    ],
    [{ "content-length": "10", "content-encoding": "identity" }, { length: 10 }],
    [{ "content-length": "ten" }, { length: null }],
    [{ etag: 'W/"v1"' }, { validator: null }],
    [{ etag: "v1" }, { validator: null }],
    [{ "content-type": "application/octet-stream", etag: '"v1"' }, { validator: '"v1"' }],
  ])("reads %j as %j", async (headers, expected) => {
    bytes(200, "0123456789", headers as Record<string, string>);
    expect(await open()).toMatchObject(expected);
  });

  it("resumes where the reply begins there, in the same file", async () => {
    bytes(206, "56789", { "content-range": "bytes 5-9/10", "content-length": "5", etag: '"v1"' });
    expect(await open(source, from)).toMatchObject({ offset: 5, length: 5, validator: '"v1"' });
    expect(calls[0]?.headers.get("range")).toBe("bytes=5-");
    expect(calls[0]?.headers.get("if-range")).toBe('"v1"');
  });

  it("begins again where the whole is sent", async () => {
    bytes(200, "0123456789", { "content-length": "10", etag: '"v2"' });
    expect(await open(source, from)).toMatchObject({ offset: 0, length: 10, validator: '"v2"' });
  });

  it.each([
    [206, { "content-range": "bytes 4-9/10", etag: '"v1"' }],
    [206, { "content-range": "bytes 5-7/10", etag: '"v1"' }],
    [206, { "content-range": "bytes 5-9/*", etag: '"v1"' }],
    [206, { "content-range": "bytes 5-9/10", etag: '"v2"' }],
    [206, { "content-range": "bytes 5-9/10" }],
    [206, { etag: '"v1"' }],
    [416, { "content-range": "bytes */3" }],
  ])("asks for the whole where a part is of no use: %i %j", async (status, headers) => {
    bytes(status, "56789", headers as Record<string, string>);
    bytes(200, "0123456789", { "content-length": "10" });
    expect(await open(source, from)).toMatchObject({ offset: 0, length: 10 });
    expect(calls.map((call) => call.headers.get("range"))).toEqual(["bytes=5-", null]);
  });

  it.each([403, 404, 410])("says that the result is gone at %i", async (status) => {
    reply(status, HTML);
    await expect(open()).rejects.toMatchObject({ name: "AssetGoneError", message: "" });
  });

  it.each([
    "application/json",
    "Application/JSON; charset=utf-8",
    "application/problem+json",
    "text/html",
    "text/plain",
    "application/xml",
  ])("takes %s under 200 for an error", async (type) => {
    bytes(200, "{}", { "content-type": type });
    await expect(open()).rejects.toMatchObject({ name: "AssetGoneError" });
  });

  it.each([202, 401, 429, 500, 503])("tries again after %i", async (status) => {
    bytes(status, "later", {});
    await expect(open()).rejects.toMatchObject({ name: "UnclearReplyError" });
  });

  it.each([
    "http://storage.example.com/v.mp4",
    "https://10.0.0.1/v.mp4",
    "file:///etc/passwd",
    "data:video/mp4;base64,AAAA",
    "v.mp4",
  ])("refuses %s", async (url) => {
    await expect(open({ url })).rejects.toMatchObject({ name: "RefusedError", by: "task", reason: "upstream_invalid_result" });
    expect(calls).toHaveLength(0);
  });

  it("refuses hosts that are not on the operator's list", async () => {
    const listed = seedStyle(anUpstream({ baseUrl: BASE, resultHosts: ["*.cdn.example"] }));
    await expect(listed.open(source, null, signal)).rejects.toMatchObject({ name: "RefusedError" });
    bytes(200, "x", {});
    expect(await listed.open({ url: "https://a.cdn.example/v.mp4" }, null, signal)).toMatchObject({ offset: 0 });
  });
});

describe("what is thrown", () => {
  const CANARIES = ["CANARY-text", "canary.upstream.example", "canary-id-1", KEY, "upstream.example"];
  const says = "CANARY-text at canary.upstream.example for canary-id-1";
  const planted = {
    id: null,
    status: "CANARY-text",
    error: { code: "CANARY-text", type: "CANARY-text", message: says, param: says },
    message: says,
    detail: says,
    fail_reason: says,
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
        const headers = { location: "https://canary.upstream.example/", "retry-after": says };
        reply(status, body, headers);
        expectNoCanary(await thrownBy(submit()));
        reply(status, body, headers);
        expectNoCanary(
          await poll().then(
            (result) => new Error(JSON.stringify(result)),
            (error: unknown) => error,
          ),
        );
      }
    },
  );

  it("carries nothing of a download", async () => {
    for (const status of [200, 206, 302, 400, 403, 404, 500]) {
      reply(status, planted, { location: "http://canary.upstream.example/" });
      expectNoCanary(await thrownBy(provider.open({ url: "https://canary.upstream.example/canary-id-1.mp4" }, null, signal)));
    }
  });

  it("carries nothing of a connection's own error", async () => {
    expectNoCanary(await thrownBy(submit()));
    expectNoCanary(await thrownBy(poll()));
    expectNoCanary(await thrownBy(provider.open({ url: `${BASE}/v.mp4` }, null, signal)));
  });

  it("tells a time limit from a broken connection", async () => {
    const over = AbortSignal.abort();
    await expect(provider.submit(aJob(), over)).rejects.toMatchObject({ name: "TimeoutError" });
    await expect(submit()).rejects.toMatchObject({ name: "ConnectionError" });
  });
});
