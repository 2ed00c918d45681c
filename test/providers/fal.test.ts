import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { hex } from "../../src/core/encoding.ts";
import { sha256 } from "../../src/core/hmac.ts";
import type { Json } from "../../src/core/json.ts";
import { MODEL_NAMES } from "../../src/core/models.ts";
import { RefusedError, RetryableError } from "../../src/core/upstream-errors.ts";
import type { Job } from "../../src/ports.ts";
import { BASE_URL, fal, MODELS } from "../../src/providers/fal.ts";
import { aJob, anUpstream } from "../support/upstreams.ts";

const T0 = Date.UTC(2026, 0, 1);
const KEY = "key-id:upstream-secret";
const provider = fal(anUpstream({ baseUrl: BASE_URL, credential: KEY }));
const signal = new AbortController().signal;
const ID = "764cabcf-b745-4b3e-ae38-1200304cf45b";
const operation = { id: ID, app: "fal-ai/veo3.1" };
const REQUEST = `${BASE_URL}/fal-ai/veo3.1/requests/${ID}`;
const CREATED = { request_id: ID, status: "IN_QUEUE", queue_position: 0, response_url: REQUEST, status_url: `${REQUEST}/status` };
const COMPLETED = { status: "COMPLETED", request_id: ID, metrics: { inference_time: 41.2 } };
const VIDEO = { video: { url: "https://v3.fal.media/files/a/output.mp4", content_type: "video/mp4" } };
const HTML = "<html><title>502 Bad Gateway</title>cloudflare</html>";
/** As a model says it, and as the queue does. */
const model = (type: string, msg = "it failed") => ({ detail: [{ loc: ["body", "prompt"], msg, type, input: "unsafe" }] });
const queue = (detail: string, errorType?: string) => ({ detail, ...(errorType && { error_type: errorType }) });

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
    const json: unknown = typeof body === "string" ? JSON.parse(body) : null;
    calls.push({ url: url as string, method, headers: new Headers(headers), body: json });
    const next = replies.shift();
    if (next === undefined) throw new TypeError(`connect ECONNREFUSED ${BASE_URL}`);
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
const ofVeo = (generation: Parameters<typeof aJob>[0] = {}, job: Partial<Job> = {}) =>
  aJob(generation, { model: "fal-ai/veo3.1", ...job });
const submit = (job = ofVeo()) => provider.submit(job, signal);
const poll = (at: Json = operation) => provider.poll(at, signal);
const cancel = async () => provider.cancel?.(operation, signal);
const brokenBody = () =>
  new ReadableStream({
    pull(controller) {
      controller.error(new Error("reset"));
    },
  });

describe("submit", () => {
  it("sends the least that says what was asked for, and leaves little to defaults", async () => {
    reply(200, CREATED);
    expect(await submit()).toEqual({ operation, prompt: null });
    expect(calls).toMatchObject([{ url: `${BASE_URL}/fal-ai/veo3.1`, method: "POST" }]);
    expect(calls[0]?.body).toEqual({ prompt: "a lake", duration: "8s", resolution: "720p", auto_fix: false });
    expect(Object.fromEntries(calls[0]?.headers ?? [])).toEqual({
      authorization: `Key ${KEY}`,
      "content-type": "application/json",
    });
  });

  const [a, b, c] = ["https://example.com/a.jpg", "https://example.com/b.jpg", "https://example.com/c.jpg"] as const;
  const FAST = { model: "fal-ai/veo3.1/fast" };
  it.each([
    [ofVeo({ aspectRatio: "9:16" }), "", { aspect_ratio: "9:16" }],
    [ofVeo({ upsample: true }), "", { resolution: "1080p" }],
    [ofVeo({ enhancePrompt: true }), "", { auto_fix: true }],
    [ofVeo({ enhancePrompt: true }, { prompt: "a lake at dawn" }), "", { prompt: "a lake at dawn" }],
    [ofVeo({}, FAST), "/fast", {}],
    [ofVeo({ model: "veo3-pro-frames" }), "", {}],
    [ofVeo({ model: "veo3-pro-frames", images: [a] }), "/image-to-video", { image_url: a }],
    [
      ofVeo({ model: "veo3-pro-frames", images: [a], aspectRatio: "16:9" }),
      "/image-to-video",
      { image_url: a, aspect_ratio: "16:9" },
    ],
    [ofVeo({ model: "veo2-fast-frames", images: [a] }, FAST), "/fast/image-to-video", { image_url: a }],
    [
      ofVeo({ model: "veo2-fast-frames", images: [a, b] }, FAST),
      "/fast/first-last-frame-to-video",
      { first_frame_url: a, last_frame_url: b },
    ],
    [ofVeo({ model: "veo2-fast-components", images: [a] }), "/reference-to-video", { image_urls: [a] }],
    [ofVeo({ model: "veo2-fast-components", images: [a, b, c] }), "/reference-to-video", { image_urls: [a, b, c] }],
    [ofVeo({ model: "veo2-fast-components" }), "", {}],
    [
      ofVeo({ model: "veo3-pro-frames", images: [a] }, { model: "fal-ai/veo3.1/image-to-video" }),
      "/image-to-video",
      { image_url: a },
    ],
  ] satisfies [Job, string, object][])("maps %j to %s with %j", async (job, path, expected) => {
    reply(200, CREATED);
    expect((await submit(job)).operation).toEqual(operation);
    expect(calls[0]?.url).toBe(`${BASE_URL}/fal-ai/veo3.1${path}`);
    expect(calls[0]?.body).toEqual({ prompt: "a lake", duration: "8s", resolution: "720p", auto_fix: false, ...expected });
  });

  it.each([
    [ofVeo({ enhancePrompt: true, upsample: true }, { model: "fal-ai/veo2" }), { enhance_prompt: true }],
    [ofVeo({ model: "veo2-fast-frames", images: [a] }, { model: "fal-ai/veo2" }), { image_url: a }],
  ] satisfies [Job, object][])("knows what Veo 2 takes: %j is %j", async (job, expected) => {
    reply(200, CREATED);
    expect((await submit(job)).operation).toEqual({ id: ID, app: "fal-ai/veo2" });
    expect(calls[0]?.body).toEqual({ prompt: "a lake", duration: "8s", ...expected });
  });

  it("looks for a workflow's requests under its namespace", async () => {
    reply(200, CREATED);
    const { operation: made } = await submit(ofVeo({}, { model: "workflows/me/mine/part" }));
    expect(made).toEqual({ id: ID, app: "workflows/me/mine" });
  });

  it.each([
    ["https://gateway.example/t?a=1&b=2", "?fal_webhook=https%3A%2F%2Fgateway.example%2Ft%3Fa%3D1%26b%3D2"],
    [null, ""],
  ])("asks to be called back at %s with %j", async (callbackUrl, query) => {
    reply(200, CREATED);
    await submit(ofVeo({}, { callbackUrl }));
    expect(calls[0]?.url).toBe(`${BASE_URL}/fal-ai/veo3.1${query}`);
  });

  it.each([
    [{ request_id: "x" }, "x"],
    [{ request_id: "..x" }, "..x"],
    [{ request_id: "x".repeat(255), status: 7, response_url: 7 }, "x".repeat(255)],
    [{ ...CREATED, response_url: "https://elsewhere.example/r", status_url: "javascript:alert(1)" }, ID],
    [{ ...CREATED, status: "COMPLETED", error: "no" }, ID],
  ])("reads the reply %j", async (body, id) => {
    reply(200, body);
    expect((await submit()).operation).toEqual({ id, app: "fal-ai/veo3.1" });
  });

  it.each([200, 201, 202])("takes an id that comes with %i", async (status) => {
    reply(status, CREATED);
    expect((await submit()).operation).toEqual(operation);
  });

  it("sends a key for repetitions only where the operator says that it is honoured", async () => {
    const honouring = fal(anUpstream({ baseUrl: BASE_URL, honoursIdempotencyKey: true }));
    reply(200, CREATED);
    await honouring.submit(ofVeo(), signal);
    expect(calls[0]?.headers.get("idempotency-key")).toBe("veo3:1-a/1");
    expect([honouring.traits.idempotentCreate, provider.traits.idempotentCreate]).toEqual([true, false]);
  });

  it("lets fetch follow no redirect, and passes the time limit on, as the others do", async () => {
    reply(200, CREATED);
    await submit();
    reply(200, COMPLETED);
    reply(200, VIDEO);
    await poll();
    reply(202, {});
    await cancel();
    const inits = vi.mocked(fetch).mock.calls.map(([, init]) => init);
    expect(inits).toHaveLength(4);
    for (const init of inits) expect(init).toMatchObject({ redirect: "manual", signal });
  });

  it("has a name for every model, and says what it can do", () => {
    expect(Object.keys(MODELS)).toEqual(MODEL_NAMES);
    expect(provider.traits).toEqual({ images: "url", callback: "https", idempotentCreate: false, retentionMs: 7 * 86_400_000 });
  });
});

describe("submit, refused cleanly", () => {
  const contentPolicy = new RefusedError("task", "content_policy");
  const byTask = new RefusedError("task", "upstream_rejected");
  const byRoute = new RefusedError("route", "upstream_rejected");
  const byKey = new RefusedError("key", "upstream_rejected");
  const byModel = new RefusedError("model", "upstream_rejected");
  const unread = new RefusedError("task", "image_fetch_failed");
  const badImage = new RefusedError("task", "image_invalid");
  const unauthorized = new RetryableError("unauthorized", 60_000);
  const outOfCredit = new RetryableError("out_of_credit", 60_000);
  const limited = new RetryableError("rate_limited");
  const unavailable = new RetryableError("unavailable");

  it.each([
    [422, model("missing"), byTask],
    [422, model("value_error"), byTask],
    [422, model("image_load_error"), unread],
    [422, model("file_download_error"), unread],
    [422, model("image_too_large"), badImage],
    [422, model("unsupported_image_format"), badImage],
    [422, { detail: [null, 7, "x", { type: "value_error" }] }, byTask],
    [400, queue("bad request"), byTask],
    [422, model("feature_not_supported"), byRoute],
    [422, model("content_policy_violation"), contentPolicy],
    [422, model("no_media_generated"), contentPolicy],
    [403, model("content_policy_violation"), contentPolicy],
    [400, queue("The prompt could not be submitted. Support codes: 58061214"), contentPolicy],
    [401, queue("No user found for Key ID and Secret"), unauthorized],
    [403, queue("Cannot access application"), byKey],
    [403, queue("User is locked. Reason: Exhausted balance."), outOfCredit],
    [403, queue("User is locked. Top up at fal.ai/dashboard/billing."), outOfCredit],
    [402, queue("pay"), outOfCredit],
    [404, queue('Application "veo9" not found'), byModel],
    [404, model("not_found"), byModel],
    [405, queue("Method Not Allowed"), byRoute],
    [429, queue("Too many requests"), limited],
    [429, queue("flagged", "concurrent_requests_limit"), limited],
    [503, queue("no runner", "runner_scheduling_failure"), unavailable],
  ])("%i with %j", async (status, body, error) => {
    reply(status, body);
    expect(await thrownBy(submit())).toEqual(error);
  });

  it.each([
    [400, byRoute],
    [401, unauthorized],
    [402, outOfCredit],
    [404, byRoute],
    [413, byRoute],
    [422, byRoute],
    [429, limited],
  ] as const)("%i with a proxy's page: it was looked at, and not begun", async (status, error) => {
    reply(status, HTML);
    expect(await thrownBy(submit())).toEqual(error);
  });

  it("waits as Retry-After says", async () => {
    reply(429, queue("slow down"), { "retry-after": "7" });
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

  it.each([500, 502, 504, 520, 524])("%i, even in fal's own words", async (status) => {
    for (const body of [model("internal_server_error"), model("content_policy_violation"), queue("no", "x"), HTML]) {
      reply(status, body);
      await isUnknown(submit());
    }
  });

  it.each([408, 409, 425, 499, 503])("%i that is not fal's", async (status) => {
    for (const body of [HTML, {}, { detail: [] }, { detail: null }, { message: "Service Unavailable" }]) {
      reply(status, body);
      await isUnknown(submit());
    }
    reply(status, { status, detail: "it is down" }, { "content-type": "application/problem+json; charset=utf-8" });
    await isUnknown(submit());
  });

  it.each([
    ["an error and no id", model("missing")],
    ["no id", { status: "IN_QUEUE" }],
    ["an empty id", { request_id: "" }],
    ["an id that leads elsewhere", { request_id: ".." }],
    ["an id that is half a character", { request_id: "a\ud800" }],
    ["an id that is no text", { request_id: 7 }],
    ["an id of 256 characters", { request_id: "x".repeat(256) }],
    ["a list", []],
    ["null", null],
    ["a page", HTML],
    ["cut JSON", '{"request_id":"76'],
    ["more than 1 MiB", { request_id: ID, padding: "x".repeat(1024 * 1024) }],
  ])("200 with %s", async (_, body) => {
    reply(200, body);
    await isUnknown(submit());
  });

  it.each([301, 302, 307, 308])("a redirect (%i), which is not followed", async (status) => {
    reply(status, CREATED, { location: `${BASE_URL}/v2` });
    await isUnknown(submit());
    expect(calls).toHaveLength(1);
  });

  it("a connection that fails, or breaks inside the reply", async () => {
    await isUnknown(submit());
    replies.push(() => new Response(brokenBody(), { status: 400 }));
    await isUnknown(submit());
  });
});

describe("poll", () => {
  const running = { status: "running", retryAfterMs: null };
  const succeeded = { status: "succeeded", source: { url: VIDEO.video.url } };
  const rejected = { status: "failed", by: "route", reason: "upstream_rejected" };
  const contentPolicy = { status: "failed", by: "task", reason: "content_policy" };
  const invalid = { status: "failed", by: "task", reason: "upstream_rejected" };
  const unread = { status: "failed", by: "task", reason: "image_fetch_failed" };
  const timeout = { status: "failed", by: "route", reason: "timeout" };
  const cancelled = { status: "failed", by: "task", reason: "cancelled" };

  it("asks for the status with the id encoded and the key", async () => {
    reply(202, { status: "IN_QUEUE" });
    expect(await poll({ id: "a/ü?&", app: "fal-ai/veo3.1" })).toEqual(running);
    expect(calls).toMatchObject([{ url: `${BASE_URL}/fal-ai/veo3.1/requests/a%2F%C3%BC%3F%26/status`, method: "GET", body: null }]);
    expect(calls[0]?.headers.get("authorization")).toBe(`Key ${KEY}`);
  });

  it.each(["IN_QUEUE", "IN_PROGRESS", "in_progress", "PENDING", "CANCELLATION_REQUESTED", "CONTEMPLATING", ""])(
    "takes %j for running",
    async (status) => {
      reply(202, { status, logs: null });
      expect(await poll()).toEqual(running);
      expect(calls).toHaveLength(1);
    },
  );

  it.each(["COMPLETED", "completed", " Completed ", "OK", "SUCCESS"])("reads the result after %j", async (status) => {
    reply(200, { ...COMPLETED, status });
    reply(200, VIDEO);
    expect(await poll()).toEqual(succeeded);
    expect(calls.map(({ url }) => url)).toEqual([`${REQUEST}/status`, REQUEST]);
    expect(calls[1]?.headers.get("authorization")).toBe(`Key ${KEY}`);
  });

  it.each(["FAILED", "ERROR"])("takes %j for failed", async (status) => {
    reply(200, { status });
    expect(await poll()).toEqual(rejected);
    reply(200, { status, error_type: "content_policy_violation" });
    expect(await poll()).toEqual(contentPolicy);
  });

  it("passes on when to come back", async () => {
    reply(202, { status: "IN_PROGRESS" }, { "retry-after": "20" });
    expect(await poll()).toEqual({ status: "running", retryAfterMs: 20_000 });
  });

  const failedWith = (type: string) => ({ ...COMPLETED, error: "it failed", error_type: type });
  it.each([
    [COMPLETED, 200, {}, { status: "empty" }],
    [COMPLETED, 200, { video: null }, { status: "empty" }],
    [COMPLETED, 200, { video: { url: "" } }, { status: "empty" }],
    [COMPLETED, 200, { video: { url: 7 } }, { status: "empty" }],
    [COMPLETED, 200, { video: [] }, { status: "empty" }],
    [COMPLETED, 200, [], { status: "empty" }],
    [COMPLETED, 200, model("no_media_generated"), contentPolicy],
    [failedWith("x"), 200, VIDEO, succeeded],
    [failedWith("x"), 200, {}, rejected],
    [COMPLETED, 422, model("content_policy_violation"), contentPolicy],
    [COMPLETED, 422, model("no_media_generated"), contentPolicy],
    [COMPLETED, 422, model("value_error", "flagged by the safety filter"), contentPolicy],
    [COMPLETED, 422, model("image_load_error"), unread],
    [COMPLETED, 422, model("value_error"), invalid],
    [COMPLETED, 422, model("feature_not_supported"), rejected],
    [COMPLETED, 400, queue("bad"), rejected],
    [COMPLETED, 400, queue("Request is still in progress"), { status: "running" }],
    [COMPLETED, 404, queue("Request not found"), { status: "missing" }],
    [COMPLETED, 500, model("internal_server_error"), rejected],
    [COMPLETED, 504, model("generation_timeout"), timeout],
    [COMPLETED, 503, model("downstream_service_unavailable"), rejected],
    [failedWith("request_timeout"), 504, queue("timed out"), timeout],
    [failedWith("startup_timeout"), 504, HTML, timeout],
    [failedWith("runner_disconnected"), 503, queue("gone"), rejected],
    [failedWith("runner_disconnected"), 404, queue("gone"), rejected],
    [failedWith("request_error"), 422, model("content_policy_violation"), contentPolicy],
    [failedWith("client_cancelled"), 499, queue("gone"), cancelled],
    [failedWith("client_cancelled"), 200, {}, cancelled],
    [COMPLETED, 499, queue("cancelled", "client_cancelled"), cancelled],
    [failedWith("x"), 401, queue("no"), rejected],
    [failedWith("x"), 429, HTML, rejected],
    [COMPLETED, 403, model("content_policy_violation"), contentPolicy],
    [COMPLETED, 504, queue("late", "generation_timeout"), timeout],
    [COMPLETED, 504, queue("late", "request_timeout"), timeout],
    [COMPLETED, 503, queue("late", "startup_timeout"), timeout],
  ])("after %j a result of %i with %j is %j", async (status, code, body, expected) => {
    reply(200, status);
    reply(code, body);
    expect(await poll()).toEqual(expected);
  });

  it.each([
    [401, queue("no"), "unauthorized", 60_000],
    [403, HTML, "unauthorized", 60_000],
    [402, queue("no"), "out_of_credit", 60_000],
    [429, queue("no"), "rate_limited", 3_000],
    [408, HTML, "unavailable", 3_000],
    [500, queue("no", "internal_server_error"), "unavailable", 3_000],
    [502, HTML, "unavailable", 3_000],
    [503, queue("unsafe"), "unavailable", 3_000],
    [524, HTML, "unavailable", 3_000],
  ] as const)("asks again after %i with %j, of the status or the result", async (status, body, code, retryAfterMs) => {
    reply(status, body, { "retry-after": "3" });
    expect(await thrownBy(poll())).toEqual(new RetryableError(code, retryAfterMs));
    reply(200, COMPLETED);
    reply(status, body, { "retry-after": "3" });
    expect(await thrownBy(poll())).toEqual(new RetryableError(code, retryAfterMs));
  });

  it.each([
    [404, queue("Request not found")],
    [404, {}],
  ])("takes %i with %j for a job that fal does not know", async (status, body) => {
    reply(status, body);
    expect(await poll()).toEqual({ status: "missing" });
  });

  it.each([
    [404, HTML],
    [400, queue("bad")],
    [422, model("content_policy_violation")],
    [200, HTML],
    [200, {}],
    [200, []],
    [200, { status: 7 }],
    [200, model("internal_server_error")],
    [302, COMPLETED],
  ])("makes nothing of a status of %i with %j, and fails no task for it", async (status, body) => {
    reply(status, body, { location: "https://elsewhere.example/" });
    expect(await thrownBy(poll())).toMatchObject({ name: "UnclearReplyError" });
    expect(calls).toHaveLength(1);
  });

  it.each([
    [404, HTML],
    [400, HTML],
    [400, {}],
    [200, HTML],
    [302, VIDEO],
  ])("makes nothing of a result of %i with %j", async (status, body) => {
    reply(200, COMPLETED);
    reply(status, body, { location: "https://elsewhere.example/" });
    expect(await thrownBy(poll())).toMatchObject({ name: "UnclearReplyError" });
    expect(calls).toHaveLength(2);
  });

  it("refuses an operation that is not its own", async () => {
    await expect(poll({ id: ID })).rejects.toThrow();
    expect(calls).toHaveLength(0);
  });
});

describe("cancel", () => {
  it.each([
    [202, { status: "CANCELLATION_REQUESTED" }, "stopping"],
    [200, {}, "stopping"],
    [400, { status: "ALREADY_COMPLETED" }, "too_late"],
    [404, { status: "NOT_FOUND" }, "too_late"],
  ])("reads %i with %j as %s", async (status, body, answer) => {
    reply(status, body);
    expect(await cancel()).toBe(answer);
    expect(calls).toMatchObject([{ url: `${REQUEST}/cancel`, method: "PUT", body: null }]);
    expect(calls[0]?.headers.get("authorization")).toBe(`Key ${KEY}`);
  });

  it.each([
    [401, queue("no"), "RetryableError"],
    [429, queue("no"), "RetryableError"],
    [500, HTML, "RetryableError"],
    [404, HTML, "UnclearReplyError"],
    [302, {}, "UnclearReplyError"],
  ])("does not know after %i with %j", async (status, body, name) => {
    reply(status, body);
    expect(await thrownBy(cancel())).toMatchObject({ name });
  });
});

describe("open", () => {
  const open = (url: string) => provider.open({ url }, null, signal);

  it("opens a video without the key, which is fal's own origin's only", async () => {
    replies.push(
      () => new Response("0123456789", { headers: { "content-type": "video/mp4", "content-length": "10", etag: '"v1"' } }),
    );
    expect(await open(VIDEO.video.url)).toMatchObject({ length: 10, offset: 0, validator: '"v1"' });
    expect(calls[0]?.headers.has("authorization")).toBe(false);
    replies.push(() => new Response("x", { headers: { "content-type": "video/mp4" } }));
    await open(`${BASE_URL}/files/v.mp4`);
    expect(calls[1]?.headers.get("authorization")).toBe(`Key ${KEY}`);
  });

  it.each([
    "http://v3.fal.media/v.mp4",
    "https://10.0.0.1/v.mp4",
    "https://169.254.169.254/latest/meta-data",
    "https://localhost/v.mp4",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "data:video/mp4;base64,AAAA",
    "<script>alert(1)</script>",
  ])("refuses %s, though a result named it", async (url) => {
    reply(200, COMPLETED);
    reply(200, { video: { url } });
    expect(await poll()).toEqual({ status: "succeeded", source: { url } });
    await expect(open(url)).rejects.toMatchObject({ name: "RefusedError", by: "task", reason: "upstream_invalid_result" });
    expect(calls).toHaveLength(2);
  });
});

describe("isGenuine", () => {
  const NOW = Math.floor(T0 / 1000);
  const BODY = JSON.stringify({ request_id: ID, gateway_request_id: ID, status: "OK", error: null, payload: VIDEO });
  const makePair = async () => (await crypto.subtle.generateKey({ name: "Ed25519" }, true, ["sign", "verify"])) as CryptoKeyPair;
  const publicOf = async ({ publicKey }: CryptoKeyPair) => ({
    ...((await crypto.subtle.exportKey("jwk", publicKey)) as JsonWebKey),
    kid: "k",
    use: "sig",
    key_ops: undefined,
    ext: undefined,
  });

  interface Claim {
    readonly body: string;
    readonly requestId: string;
    readonly timestamp: string;
  }
  const signedWith = async (pair: CryptoKeyPair, given: Partial<Claim> = {}) => {
    const { body, requestId, timestamp } = { body: BODY, requestId: ID, timestamp: String(NOW), ...given };
    const message = [requestId, "user-1", timestamp, hex(await sha256(body))].join("\n");
    const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", pair.privateKey, new TextEncoder().encode(message)));
    const headers = new Headers({
      "X-Fal-Webhook-Request-Id": requestId,
      "X-Fal-Webhook-User-Id": "user-1",
      "X-Fal-Webhook-Timestamp": timestamp,
      "X-Fal-Webhook-Signature": hex(signature),
    });
    return { headers, body };
  };
  /** Each with keys of its own, which are remembered. */
  const fresh = (given: Parameters<typeof anUpstream>[0] = {}) => {
    const own = fal(anUpstream({ baseUrl: BASE_URL, credential: KEY, ...given }));
    return async (callback: { headers: Headers; body: string }, of: Json = operation) => own.isGenuine?.(callback, of, signal);
  };

  it("believes what fal has signed, by keys that it asks for without its own", async () => {
    const pair = await makePair();
    reply(200, { keys: [await publicOf(await makePair()), await publicOf(pair)] });
    expect(await fresh()(await signedWith(pair))).toBe(true);
    expect(calls).toMatchObject([{ url: "https://rest.fal.ai/.well-known/jwks.json", method: "GET" }]);
    expect(Object.fromEntries(calls[0]?.headers ?? [])).toEqual({});
  });

  it.each([
    [{ baseUrl: "http://127.0.0.1:9000", allowLoopback: true }, "http://127.0.0.1:9000/.well-known/jwks.json"],
    [{ baseUrl: "http://127.0.0.1:9000/fal", allowLoopback: true }, "http://127.0.0.1:9000/.well-known/jwks.json"],
    [{ baseUrl: "http://127.0.0.1:9000", allowLoopback: false }, "https://rest.fal.ai/.well-known/jwks.json"],
    [{ baseUrl: "https://proxy.example", allowLoopback: true }, "https://rest.fal.ai/.well-known/jwks.json"],
  ])("with %j asks %s for keys", async (given, url) => {
    const pair = await makePair();
    reply(200, { keys: [await publicOf(pair)] });
    expect(await fresh(given)(await signedWith(pair))).toBe(true);
    expect(calls[0]?.url).toBe(url);
  });

  it("takes the queue's id from the signed body: the header may name a retry", async () => {
    const pair = await makePair();
    reply(200, { keys: [await publicOf(pair)] });
    expect(await fresh()(await signedWith(pair, { requestId: "the-second-try" }))).toBe(true);
  });

  it.each([
    ["another job's", { body: BODY.replaceAll(ID, "another") }],
    ["no JSON", { body: "request_id" }],
    ["nothing of a request", { body: "[]" }],
    ["an id that is no text", { body: '{"request_id":7}' }],
    ["too old", { timestamp: String(NOW - 301) }],
    ["too new", { timestamp: String(NOW + 301) }],
    ["of no time", { timestamp: "soon" }],
    ["of a fractional time", { timestamp: `${NOW}.5` }],
    ["of no year", { timestamp: "" }],
  ])("asks for no keys where a callback is %s", async (_, given) => {
    expect(await fresh()(await signedWith(await makePair(), given))).toBe(false);
    expect(calls).toHaveLength(0);
  });

  it.each([String(NOW - 300), String(NOW + 300)])("takes a clock that is off by five minutes: %s", async (timestamp) => {
    const pair = await makePair();
    reply(200, { keys: [await publicOf(pair)] });
    expect(await fresh()(await signedWith(pair, { timestamp }))).toBe(true);
  });

  it.each(["request-id", "user-id", "timestamp", "signature"])("believes nothing without, or with another, %s", async (name) => {
    const pair = await makePair();
    const genuine = fresh();
    reply(200, { keys: [await publicOf(pair)] });
    const callback = await signedWith(pair);
    expect(await genuine(callback)).toBe(true);
    const value = callback.headers.get(`x-fal-webhook-${name}`) ?? "";
    const last = value.endsWith("1") ? "2" : "1";
    for (const other of [`${value.slice(0, -1)}${last}`, `${value}0`, "", "zz"]) {
      const headers = new Headers(callback.headers);
      headers.set(`x-fal-webhook-${name}`, other);
      expect(await genuine({ ...callback, headers })).toBe(false);
    }
    callback.headers.delete(`x-fal-webhook-${name}`);
    expect(await genuine(callback)).toBe(false);
  });

  it("believes no other body, and no other signer", async () => {
    const pair = await makePair();
    const genuine = fresh();
    reply(200, { keys: [await publicOf(pair)] });
    const callback = await signedWith(pair);
    expect(await genuine({ ...callback, body: BODY.replace("OK", "ERROR") })).toBe(false);
    expect(await genuine(await signedWith(await makePair()))).toBe(false);
    expect(await genuine(callback, { ...operation, id: "another" })).toBe(false);
    expect(await genuine(callback)).toBe(true);
  });

  it("remembers keys for an hour", async () => {
    const pair = await makePair();
    const genuine = fresh();
    const at = async (now: number) => {
      vi.setSystemTime(now);
      return genuine(await signedWith(pair, { timestamp: String(Math.floor(now / 1000)) }));
    };
    reply(200, { keys: [await publicOf(pair)] });
    expect([await at(T0), await at(T0 + 3_599_000)]).toEqual([true, true]);
    expect(calls).toHaveLength(1);
    reply(200, { keys: [await publicOf(await makePair())] });
    expect(await at(T0 + 3_600_000)).toBe(false);
    expect(calls).toHaveLength(2);
  });

  const bad = { kty: "OKP", crv: "Ed25519", x: "short" };
  it.each([
    ["an outage", 503, HTML],
    ["a page", 200, HTML],
    ["a redirect", 302, {}],
    ["no keys", 200, { keys: [] }],
    ["no list", 200, { keys: "x" }],
    ["keys of other kinds", 200, { keys: [null, 7, {}, bad, { ...bad, crv: "X25519" }, { kty: "RSA", n: "x", e: "AQAB" }] }],
    ["a huge reply", 200, { keys: [], padding: "x".repeat(1024 * 1024) }],
  ])("believes nothing while it has %s for keys, and asks again", async (_, status, body) => {
    const pair = await makePair();
    const genuine = fresh();
    reply(status, body, { location: "https://elsewhere.example/" });
    expect(await genuine(await signedWith(pair))).toBe(false);
    reply(200, { keys: [bad, await publicOf(pair)] });
    expect(await genuine(await signedWith(pair))).toBe(true);
    expect(calls).toHaveLength(2);
  });

  it("believes nothing while the keys cannot be reached", async () => {
    expect(await fresh()(await signedWith(await makePair()))).toBe(false);
    expect(calls).toHaveLength(1);
  });
});

describe("what is thrown", () => {
  const CANARIES = ["CANARY-text", "canary.upstream.example", "canary-id-1", "upstream-secret", "queue.fal.run"];
  const says = "CANARY-text at canary.upstream.example for canary-id-1 by upstream-secret";
  const planted = [
    { request_id: null, status: 7, detail: says, error: says, error_type: says },
    { detail: [{ loc: [says], msg: says, type: says, input: says, ctx: { url: says } }] },
    `<html>${says}</html>`,
  ];
  const spread = (error: unknown) =>
    error instanceof Error
      ? [error.name, error.message, error.stack, JSON.stringify(error), String(error.cause)].join("\n")
      : String(error);
  const expectNoCanary = (error: unknown) => {
    for (const canary of CANARIES) expect(spread(error)).not.toContain(canary);
  };
  const outcomeOf = async (work: Promise<unknown>) =>
    work.then(
      (result) => new Error(JSON.stringify(result)),
      (error: unknown) => error,
    );

  it.each([200, 302, 400, 401, 402, 403, 404, 409, 418, 422, 429, 499, 500, 502, 503, 504])(
    "carries nothing of a %i",
    async (status) => {
      const headers = { location: "https://canary.upstream.example/", "retry-after": says };
      for (const body of planted) {
        for (const work of [submit, poll, cancel]) {
          reply(status, body, headers);
          expectNoCanary(await outcomeOf(work()));
        }
        reply(200, { ...COMPLETED, error: says });
        reply(status, body, headers);
        expectNoCanary(await outcomeOf(poll()));
      }
      reply(status, planted[0], headers);
      expectNoCanary(await outcomeOf(provider.open({ url: "https://canary.upstream.example/canary-id-1.mp4" }, null, signal)));
    },
  );

  it("carries nothing of a connection's own error", async () => {
    for (const work of [submit, poll, cancel]) expectNoCanary(await thrownBy(work()));
    await expect(provider.submit(ofVeo(), AbortSignal.abort())).rejects.toMatchObject({ name: "TimeoutError" });
  });
});
