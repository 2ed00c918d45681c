import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { hex } from "../../src/core/encoding.ts";
import { hmac } from "../../src/core/hmac.ts";
import type { Json } from "../../src/core/json.ts";
import { MODEL_NAMES } from "../../src/core/models.ts";
import { RefusedError, RetryableError } from "../../src/core/upstream-errors.ts";
import type { Job } from "../../src/ports.ts";
import { BASE_URL, MODELS, openrouter } from "../../src/providers/openrouter.ts";
import { aJob, anUpstream } from "../support/upstreams.ts";

const T0 = Date.UTC(2026, 0, 1);
const KEY = "sk-or-upstream-secret";
const BASE = "https://upstream.example/api";
const VIDEOS = `${BASE}/v1/videos`;
const provider = openrouter(anUpstream({ baseUrl: BASE, credential: KEY }));
const signal = new AbortController().signal;
const ID = "gen-vid-1767225600-abcdefghij0123456789";
const POLLING_URL = `/api/v1/videos/${ID}`;
const operation = { id: ID, pollingUrl: POLLING_URL };
const CREATED = { id: ID, polling_url: POLLING_URL, status: "pending" };
const CONTENT = `${VIDEOS}/${ID}/content?index=0`;
const SIGNED = "https://storage.example.com/v.mp4?signature=s";
const HTML = "<html><title>502 Bad Gateway</title>cloudflare</html>";
const oops = (code: number, message: string, metadata?: object) => ({ error: { code, message, ...(metadata && { metadata }) } });
const BAD = oops(400, "bad request");
const UNSAFE = oops(403, "Your input was flagged", { reasons: ["violence"], provider_name: "Google" });

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
const poll = (at: Json = operation) => provider.poll(at, signal);

describe("submit", () => {
  it("sends the least that says what was asked for, and what it costs", async () => {
    reply(202, CREATED);
    expect(await submit(aJob({}, { model: "google/veo-3.1" }))).toEqual({ operation, prompt: null });
    expect(calls).toMatchObject([{ url: VIDEOS, method: "POST" }]);
    expect(calls[0]?.body).toEqual({ model: "google/veo-3.1", prompt: "a lake", duration: 8, resolution: "720p" });
    expect(Object.fromEntries(calls[0]?.headers ?? [])).toEqual({
      authorization: `Bearer ${KEY}`,
      "content-type": "application/json",
    });
  });

  const part = (url: string) => ({ type: "image_url", image_url: { url } });
  const [a, b, c] = ["https://example.com/a.jpg", "https://example.com/b.jpg", "https://example.com/c.jpg"] as const;
  const first = { ...part(a), frame_type: "first_frame" };
  const last = { ...part(b), frame_type: "last_frame" };
  it.each([
    [aJob({ aspectRatio: "9:16" }), { aspect_ratio: "9:16" }],
    [aJob({ upsample: true }), { resolution: "1080p" }],
    [aJob({ enhancePrompt: true }), {}],
    [aJob({ enhancePrompt: true }, { prompt: "a lake at dawn" }), { prompt: "a lake at dawn" }],
    [aJob({ model: "veo3-pro-frames", images: [a] }, { model: "veo3" }), { frame_images: [first] }],
    [aJob({ model: "veo2-fast-frames", images: [a, b] }, { model: "veo3" }), { frame_images: [first, last] }],
    [aJob({ model: "veo2-fast-components", images: [a] }, { model: "veo3" }), { input_references: [part(a)] }],
    [
      aJob({ model: "veo2-fast-components", images: [a, b, c] }, { model: "veo3" }),
      { input_references: [part(a), part(b), part(c)] },
    ],
    [aJob({ model: "veo2-fast-components" }, { model: "veo3" }), {}],
    [aJob({}, { callbackUrl: "https://gateway.example/t" }), { callback_url: "https://gateway.example/t" }],
    [aJob({}, { callbackUrl: null }), {}],
  ] satisfies [Job, object][])("maps %j to %j", async (job, expected) => {
    reply(202, CREATED);
    await submit(job);
    expect(calls[0]?.body).toEqual({ model: "veo3", prompt: "a lake", duration: 8, resolution: "720p", ...expected });
  });

  it.each([
    [{ id: "x" }, { id: "x", pollingUrl: null }],
    [
      { id: "x", polling_url: 7, status: 7 },
      { id: "x", pollingUrl: null },
    ],
    [
      { ...CREATED, status: "failed", error: "no" },
      { id: ID, pollingUrl: POLLING_URL },
    ],
  ])("reads the reply %j", async (body, expected) => {
    reply(202, body);
    expect(await submit()).toEqual({ operation: expected, prompt: null });
  });

  it.each([200, 201, 202])("takes an id that comes with %i", async (status) => {
    reply(status, CREATED);
    expect((await submit()).operation).toEqual(operation);
  });

  it("sends a key for repetitions only where the operator says that it is honoured", async () => {
    const honouring = openrouter(anUpstream({ baseUrl: BASE, honoursIdempotencyKey: true }));
    reply(202, CREATED);
    await honouring.submit(aJob(), signal);
    expect(calls[0]?.headers.get("idempotency-key")).toBe("veo3:1-a/1");
    expect([honouring.traits.idempotentCreate, provider.traits.idempotentCreate]).toEqual([true, false]);
  });

  it("lets fetch follow no redirect, and passes the time limit on, as polls do", async () => {
    reply(202, CREATED);
    await submit();
    reply(200, CREATED);
    await poll();
    for (const [, init] of vi.mocked(fetch).mock.calls) expect(init).toMatchObject({ redirect: "manual", signal });
  });

  it("has a host, and a name for every model", async () => {
    expect(Object.keys(MODELS)).toEqual(MODEL_NAMES);
    reply(202, CREATED);
    await openrouter(anUpstream({ baseUrl: BASE_URL })).submit(aJob(), signal);
    expect(calls[0]?.url).toBe("https://openrouter.ai/api/v1/videos");
  });
});

describe("submit, refused cleanly", () => {
  const contentPolicy = new RefusedError("task", "content_policy");
  const byTask = new RefusedError("task", "upstream_rejected");
  const byRoute = new RefusedError("route", "upstream_rejected");
  const byKey = new RefusedError("key", "upstream_rejected");
  const byModel = new RefusedError("model", "upstream_rejected");
  const unauthorized = new RetryableError("unauthorized", 60_000);
  const outOfCredit = new RetryableError("out_of_credit", 60_000);
  const limited = new RetryableError("rate_limited");
  const unavailable = new RetryableError("unavailable");

  it.each([
    [400, BAD, byTask],
    [400, oops(400, "resolution 4K is out of range"), byTask],
    [422, BAD, byTask],
    [403, UNSAFE, contentPolicy],
    [400, oops(400, "Provider returned error", { raw: "The prompt violates Google's Generative AI policy" }), contentPolicy],
    [400, oops(400, "Provider returned error", { raw: { message: "an object" } }), byTask],
    [401, oops(401, "Missing Authentication header"), unauthorized],
    [403, oops(403, "Key limit exceeded"), byKey],
    [402, oops(402, "Insufficient credits"), outOfCredit],
    [429, oops(429, "Rate limit exceeded"), limited],
    [429, oops(429, "your account was flagged"), limited],
    [503, oops(503, "No provider meets your routing requirements"), unavailable],
    [404, oops(404, "No endpoints found for google/veo-9"), byRoute],
    [400, oops(400, "google/veo-9 is not a valid model ID"), byModel],
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

  it.each([500, 502, 504, 520, 524])("%i, even in its own words", async (status) => {
    for (const body of [BAD, UNSAFE, HTML]) {
      reply(status, body);
      await isUnknown(submit());
    }
  });

  it.each([408, 409, 425, 499, 503])("%i with a proxy's page", async (status) => {
    reply(status, HTML);
    await isUnknown(submit());
  });

  it("503 in a CDN's JSON, or in no words", async () => {
    reply(503, BAD, { "content-type": "application/problem+json" });
    await isUnknown(submit());
    for (const body of [{}, { error: {} }, { error: { code: 503 } }, { error: [] }]) {
      reply(503, body);
      await isUnknown(submit());
    }
  });

  it.each([
    ["an error and no id", BAD],
    ["no id", { status: "pending", polling_url: POLLING_URL }],
    ["an empty id", { id: "" }],
    ["an id that is no text", { id: 7 }],
    ["an id that leads elsewhere", { id: ".." }],
    ["an id that is half a character", { id: "a\ud800" }],
    ["an id that is too long", { id: "x".repeat(256) }],
    ["a list", [CREATED]],
    ["null", null],
    ["a page", HTML],
    ["cut JSON", '{"id":"gen-vid'],
    ["more than 1 MiB", { ...CREATED, padding: "x".repeat(1024 * 1024) }],
  ])("202 with %s", async (_, body) => {
    reply(202, body);
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
  it.each([
    ["/api/v1/videos/elsewhen?x=1", "https://upstream.example/api/v1/videos/elsewhen?x=1"],
    [`${VIDEOS}/elsewhen`, `${VIDEOS}/elsewhen`],
    // What leads off the configured API is not followed, however it is spelt.
    ["https://elsewhere.example/api/v1/videos/x", null],
    ["//elsewhere.example/api/v1/videos/x", null],
    ["\\\\elsewhere.example\\api", null],
    ["https://upstream.example.elsewhere.example/api/v1/videos/x", null],
    ["https://upstream.example@elsewhere.example/api/v1/videos/x", null],
    ["https://user:password@upstream.example/api/v1/videos/x", null],
    ["http://upstream.example/api/v1/videos/x", null],
    ["https://upstream.example:8443/api/v1/videos/x", null],
    ["https://10.0.0.1/api/v1/videos/x", null],
    ["/apiary/v1/videos/x", null],
    ["/api/../admin", null],
    ["javascript:alert(1)", null],
    ["https://[", null],
    [null, null],
  ])("asked to poll %j, asks %j or else what it knows", async (pollingUrl, url) => {
    reply(200, CREATED);
    await poll({ id: "a/ü&x=1?#", pollingUrl });
    expect(calls).toMatchObject([{ url: url ?? `${VIDEOS}/a%2F%C3%BC%26x%3D1%3F%23`, method: "GET", body: null }]);
    expect(calls[0]?.headers.get("authorization")).toBe(`Bearer ${KEY}`);
  });

  it.each(["pending", "in_progress", "In Progress", "queued", "processing", "contemplating", "<script>alert(1)</script>", ""])(
    "takes %j for running",
    async (status) => {
      reply(200, { ...CREATED, status }, { "retry-after": "20" });
      expect(await poll()).toEqual({ status: "running", retryAfterMs: 20_000 });
    },
  );

  it.each(["failed", "FAILED", "error"])("takes %j for failed", async (status) => {
    reply(200, { ...CREATED, status });
    expect(await poll()).toEqual({ status: "failed", by: "route", reason: "upstream_rejected" });
  });

  it.each([
    ["The prompt was blocked by the safety system", "content_policy"],
    ["Request violates the provider's usage policies", "content_policy"],
    ["The provider had an internal error", "upstream_rejected"],
    [{ message: "flagged" }, "content_policy"],
    [7, "upstream_rejected"],
    [null, "upstream_rejected"],
  ])("reads the failure %j as %s", async (error, reason) => {
    reply(200, { ...CREATED, status: "failed", error });
    expect(await poll()).toEqual({ status: "failed", by: reason === "content_policy" ? "task" : "route", reason });
  });

  const own = (otherwise: string | null) => ({ status: "succeeded", source: { url: CONTENT, otherwise } });
  it.each([
    [{ unsigned_urls: [CONTENT] }, own(null)],
    [{ unsigned_urls: [CONTENT, `${VIDEOS}/${ID}/content?index=1`], error: "an attempt that was repeated" }, own(null)],
    [{ unsigned_urls: [`/api/v1/videos/${ID}/content?index=0`] }, own(null)],
    [{ unsigned_urls: [CONTENT], urls: [SIGNED] }, own(SIGNED)],
    // The key is asked for there, and must not go there.
    [{ unsigned_urls: ["https://elsewhere.example/v.mp4"], urls: [SIGNED] }, own(SIGNED)],
    [{ urls: [SIGNED] }, { status: "succeeded", source: { url: SIGNED, otherwise: null } }],
    [
      { unsigned_urls: [], urls: [SIGNED] },
      { status: "succeeded", source: { url: SIGNED, otherwise: null } },
    ],
    [{}, { status: "empty" }],
    [{ unsigned_urls: [], urls: [] }, { status: "empty" }],
    [{ error: "Blocked by the vendor's safety filter" }, { status: "failed", by: "task", reason: "content_policy" }],
    [{ error: "out of memory" }, { status: "empty" }],
    [{ unsigned_urls: [null], urls: [7] }, { status: "empty" }],
    [{ unsigned_urls: CONTENT, urls: { 0: SIGNED } }, { status: "empty" }],
  ])("reads %j as %j", async (finished, result) => {
    reply(200, { ...CREATED, status: "completed", ...finished });
    expect(await poll()).toEqual(result);
  });

  it.each([
    [404, oops(404, "Job not found")],
    [404, {}],
  ])("takes %i with %j for a job that it does not know", async (status, body) => {
    reply(status, body);
    expect(await poll()).toEqual({ status: "missing" });
  });

  it.each([
    [401, BAD, "unauthorized", 60_000],
    [403, UNSAFE, "unauthorized", 60_000],
    [402, BAD, "out_of_credit", 60_000],
    [429, BAD, "rate_limited", 3_000],
    [408, HTML, "unavailable", 3_000],
    [500, UNSAFE, "unavailable", 3_000],
    [502, HTML, "unavailable", 3_000],
    [524, HTML, "unavailable", 3_000],
  ])("asks again after %i with %j", async (status, body, code, retryAfterMs) => {
    reply(status, body, { "retry-after": "3" });
    expect(await thrownBy(poll())).toEqual(new RetryableError(code as RetryableError["code"], retryAfterMs));
  });

  it.each([
    [404, HTML],
    [400, UNSAFE],
    [200, HTML],
    [200, {}],
    [200, [CREATED]],
    [200, BAD],
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
    await expect(poll({ job: 1 })).rejects.toThrow();
    expect(calls).toHaveLength(0);
  });
});

describe("open", () => {
  const bytes = (status: number, body: string, headers: Record<string, string> = {}) =>
    replies.push(() => new Response(body, { status, headers: { "content-type": "video/mp4", ...headers } }));
  const open = (url: string, otherwise: string | null = null) => provider.open({ url, otherwise }, null, signal);
  const seen = () => calls.map(({ url, headers }) => [url, headers.get("authorization")]);

  it("asks for the content with the key, and follows to storage without it", async () => {
    replies.push(() => new Response(null, { status: 302, headers: { location: SIGNED } }));
    bytes(200, "0123456789", { "content-length": "10", etag: '"v1"' });
    const video = await open(CONTENT);
    expect(video).toMatchObject({ length: 10, offset: 0, validator: '"v1"' });
    expect(await new Response(video.body).text()).toBe("0123456789");
    expect(seen()).toEqual([
      [CONTENT, `Bearer ${KEY}`],
      [SIGNED, null],
    ]);
  });

  it.each([403, 404, 410])("takes the signed link, without the key, where the content answers %i", async (status) => {
    reply(status, BAD);
    bytes(200, "x");
    await open(CONTENT, SIGNED);
    expect(seen()).toEqual([
      [CONTENT, `Bearer ${KEY}`],
      [SIGNED, null],
    ]);
  });

  it("says that the result is gone where both are", async () => {
    reply(404, BAD);
    reply(200, BAD);
    await expect(open(CONTENT, SIGNED)).rejects.toMatchObject({ name: "AssetGoneError" });
  });

  it.each([400, 401, 409, 429, 451, 500, 502, 503])("takes the signed link where the content answers %i", async (status) => {
    reply(status, BAD);
    bytes(200, "x");
    await open(CONTENT, SIGNED);
    expect(calls.map(({ url }) => url)).toEqual([CONTENT, SIGNED]);
  });

  it.each([
    [503, 404],
    [503, 503],
    [404, 503],
  ])("tries again where the content answers %i and the signed link %i", async (first, second) => {
    reply(first, BAD);
    reply(second, BAD);
    await expect(open(CONTENT, SIGNED)).rejects.toMatchObject({ name: "UnclearReplyError", message: /503/ });
  });

  it.each([
    "http://storage.example.com/v.mp4",
    "https://10.0.0.1/v.mp4",
    "https://localhost/v",
    "file:///etc/passwd",
    "javascript:1",
  ])("refuses %s", async (url) => {
    await expect(open(url)).rejects.toEqual(new RefusedError("task", "upstream_invalid_result"));
    expect(calls).toEqual([]);
    reply(404, BAD);
    await expect(open(CONTENT, url)).rejects.toMatchObject({ name: "RefusedError" });
    expect(calls.map((call) => call.url)).toEqual([CONTENT]);
  });
});

describe("isGenuine", () => {
  const NOW = Math.floor(T0 / 1000);
  const SECRET = "the-secret-of-a-workspace";
  const event = (data: object) => JSON.stringify({ type: "video.generation.completed", created_at: "2026-01-01", data });
  const BODY = event({ id: ID, status: "completed", unsigned_urls: [CONTENT] });
  const trusting = openrouter(anUpstream({ baseUrl: BASE, credential: KEY, callbackSecrets: ["another-secret", SECRET] }));

  /** As OpenRouter's guide has it: of the time, a comma and the body. */
  const hashOf = async (secret: string, time: string, body: string) => hex(await hmac(secret, `${time},${body}`));
  const signedWith = async (secret: string, { body = BODY, time = String(NOW) } = {}) => {
    const signature = `t=${time},v1=${await hashOf(secret, time, body)}`;
    return { headers: new Headers({ "x-openrouter-signature": signature }), body };
  };
  const isGenuine = async (callback: { headers: Headers; body: string }) => trusting.isGenuine?.(callback, operation, signal);

  it("is for those who told us the workspace's secret", () => {
    expect("isGenuine" in provider).toBe(false);
  });

  it.each([SECRET, "another-secret"])("believes what %s has signed, asking nobody", async (secret) => {
    expect(await isGenuine(await signedWith(secret))).toBe(true);
    expect(calls).toEqual([]);
  });

  it("signs as the guide does", async () => {
    // Made with Python's hmac over '1767225600,{"data":{"id":"a"}}'.
    expect(await hashOf("k", "1767225600", '{"data":{"id":"a"}}')).toBe(
      "74442b1e88ed5db3ee4a08026384af0e5bb2bcbafc260656ab5758817ab9ee42",
    );
  });

  it.each([
    ["another secret's", "a-secret-of-nobody", {}],
    ["another job's", SECRET, { body: event({ id: "another", status: "completed" }) }],
    ["no JSON", SECRET, { body: ID }],
    ["nothing of a job", SECRET, { body: event([]) }],
    ["replayed when it was too old", SECRET, { time: String(NOW - 301) }],
    ["of the future", SECRET, { time: String(NOW + 301) }],
    ["of a time that is none", SECRET, { time: "soon" }],
  ])("does not believe one that is %s", async (_, secret, given) => {
    expect(await isGenuine(await signedWith(secret, given))).toBe(false);
  });

  it("believes no body that was changed, and no header that is not whole", async () => {
    const callback = await signedWith(SECRET);
    expect(await isGenuine({ ...callback, body: `${BODY} ` })).toBe(false);
    const whole = callback.headers.get("x-openrouter-signature") ?? "";
    const [time, hash] = whole.split(",");
    for (const other of ["", `${time}`, `${hash}`, `${time},v1=`, `${time},v1=zz`, `${whole}0`, `${time},v2=${hash?.slice(3)}`]) {
      const headers = new Headers({ "x-openrouter-signature": other });
      expect(await isGenuine({ headers, body: BODY }), other).toBe(false);
    }
    expect(await isGenuine({ headers: new Headers(), body: BODY })).toBe(false);
    for (const other of [`${hash},${time}`, `${time}, ${hash}`, `${whole},v2=more`]) {
      expect(await isGenuine({ headers: new Headers({ "x-openrouter-signature": other }), body: BODY }), other).toBe(true);
    }
  });
});

describe("what is thrown", () => {
  const CANARIES = ["CANARY-text", "canary.upstream.example", "canary-id-1", KEY, "upstream.example"];
  const says = `CANARY-text at canary.upstream.example for canary-id-1 with ${KEY}`;
  const planted = {
    id: null,
    status: "CANARY-text",
    polling_url: "https://canary.upstream.example/canary-id-1",
    error: { code: 400, message: says, metadata: { raw: says, reasons: [says], provider_name: says } },
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
    reply(200, { ...planted, id: "canary-id-1", status: "failed", error: says });
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
