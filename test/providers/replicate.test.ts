import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Json } from "../../src/core/json.ts";
import { MODEL_NAMES } from "../../src/core/models.ts";
import { RefusedError, RetryableError } from "../../src/core/upstream-errors.ts";
import type { Job } from "../../src/ports.ts";
import { BASE_URL, MODELS, replicate } from "../../src/providers/replicate.ts";
import { aJob, anUpstream } from "../support/upstreams.ts";

const T0 = Date.UTC(2026, 0, 1);
const KEY = "r8_upstream-secret";
const provider = replicate(anUpstream({ baseUrl: BASE_URL, credential: KEY }));
const signal = new AbortController().signal;
const ID = "gm3qorzdhgbfurvjtvhg6dckhu";
const operation = { id: ID };
const CREATE = `${BASE_URL}/v1/models/google/veo-3.1/predictions`;
const PREDICTION = `${BASE_URL}/v1/predictions/${ID}`;
const URLS = { get: PREDICTION, cancel: `${PREDICTION}/cancel`, web: "https://replicate.com/p/x" };
const CREATED = { id: ID, status: "starting", input: { prompt: "a lake" }, output: null, error: null, logs: "", urls: URLS };
const VIDEO = "https://replicate.delivery/xezq/output.mp4";
const HTML = "<html><title>502 Bad Gateway</title>cloudflare</html>";
const problem = (detail: string, title = "Oops") => ({ title, detail, status: 0 });

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
  aJob(generation, { model: "google/veo-3.1", ...job });
const submit = (job = ofVeo()) => provider.submit(job, signal);
const poll = (at: Json = operation) => provider.poll(at, signal);
const cancel = async () => provider.cancel?.(operation, signal);

describe("submit", () => {
  it("sends the least that says what was asked for, and leaves little to defaults", async () => {
    reply(201, CREATED);
    expect(await submit()).toEqual({ operation, prompt: null });
    expect(calls).toMatchObject([{ url: CREATE, method: "POST" }]);
    expect(calls[0]?.body).toEqual({ input: { prompt: "a lake", duration: 8, resolution: "720p" } });
    // Nothing that would make it wait, or bound the run.
    expect(Object.fromEntries(calls[0]?.headers ?? [])).toEqual({
      authorization: `Bearer ${KEY}`,
      "content-type": "application/json",
    });
  });

  const [a, b, c] = ["https://example.com/a.jpg", "https://example.com/b.jpg", "https://example.com/c.jpg"] as const;
  it.each([
    [ofVeo({ aspectRatio: "9:16" }), { aspect_ratio: "9:16" }],
    [ofVeo({ upsample: true }), { resolution: "1080p" }],
    [ofVeo({ enhancePrompt: true }), {}],
    [ofVeo({ enhancePrompt: true }, { prompt: "a lake at dawn" }), { prompt: "a lake at dawn" }],
    [ofVeo({ model: "veo3-pro-frames" }), {}],
    [ofVeo({ model: "veo3-pro-frames", images: [a], aspectRatio: "9:16" }), { image: a, aspect_ratio: "9:16" }],
    [ofVeo({ model: "veo2-fast-frames", images: [a] }), { image: a }],
    [ofVeo({ model: "veo2-fast-frames", images: [a, b] }), { image: a, last_frame: b }],
    [ofVeo({ model: "veo2-fast-components", images: [a] }), { reference_images: [a], aspect_ratio: "16:9" }],
    [ofVeo({ model: "veo2-fast-components", images: [a, b, c] }), { reference_images: [a, b, c], aspect_ratio: "16:9" }],
    [ofVeo({ model: "veo2-fast-components", images: [a], aspectRatio: "9:16" }), { reference_images: [a], aspect_ratio: "16:9" }],
    [ofVeo({ model: "veo2-fast-components" }), {}],
  ] satisfies [Job, object][])("maps %j to %j", async (job, expected) => {
    reply(201, CREATED);
    await submit(job);
    expect(calls[0]?.body).toEqual({ input: { prompt: "a lake", duration: 8, resolution: "720p", ...expected } });
  });

  it("names the provider's model in the path", async () => {
    reply(201, CREATED);
    await submit(ofVeo({}, { model: "google/veo-3.1-fast" }));
    expect(calls[0]?.url).toBe(`${BASE_URL}/v1/models/google/veo-3.1-fast/predictions`);
  });

  const url = "https://gateway.example/t?a=1";
  it.each([
    [url, { webhook: url, webhook_events_filter: ["completed"] }],
    [null, {}],
  ])("asks to be called back at %s with %j", async (callbackUrl, expected) => {
    reply(201, CREATED);
    await submit(ofVeo({}, { callbackUrl }));
    expect(calls[0]?.body).toEqual({ input: expect.anything(), ...expected });
  });

  it.each([
    [{ id: "x" }, "x"],
    [{ id: "x".repeat(255), status: 7, output: {}, error: [] }, "x".repeat(255)],
    [{ ...CREATED, urls: { get: "https://elsewhere.example/p", cancel: "javascript:alert(1)" } }, ID],
    [{ ...CREATED, status: "failed", error: "no" }, ID],
  ])("reads the reply %j", async (body, id) => {
    reply(201, body);
    expect((await submit()).operation).toEqual({ id });
  });

  it.each([200, 201, 202])("takes an id that comes with %i", async (status) => {
    reply(status, CREATED);
    expect((await submit()).operation).toEqual(operation);
  });

  it("sends a key for repetitions only where the operator says that it is honoured", async () => {
    const honouring = replicate(anUpstream({ baseUrl: BASE_URL, honoursIdempotencyKey: true }));
    reply(201, CREATED);
    await honouring.submit(ofVeo(), signal);
    expect(calls[0]?.headers.get("idempotency-key")).toBe("veo3:1-a/1");
    expect([honouring.traits.idempotentCreate, provider.traits.idempotentCreate]).toEqual([true, false]);
  });

  it("lets fetch follow no redirect, and passes the time limit on, as the others do", async () => {
    reply(201, CREATED);
    await submit();
    reply(200, CREATED);
    await poll();
    reply(200, CREATED);
    await cancel();
    const inits = vi.mocked(fetch).mock.calls.map(([, init]) => init);
    expect(inits).toHaveLength(3);
    for (const init of inits) expect(init).toMatchObject({ redirect: "manual", signal });
  });

  it("has a name for every model, and says what it can do", () => {
    expect(Object.keys(MODELS)).toEqual(MODEL_NAMES);
    expect(provider.traits).toEqual({ images: "url", callback: "https", idempotentCreate: false, retentionMs: 3_600_000 });
    // Its secret would have to be configured, and there is no place for it.
    expect("isGenuine" in provider).toBe(false);
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
  const limited = (retryAfterMs: number | null) => new RetryableError("rate_limited", retryAfterMs);
  const unavailable = new RetryableError("unavailable");

  it.each([
    [422, { ...problem("- input: prompt is required\n", "Input validation failed"), invalid_fields: [] }, byTask],
    [400, problem("bad request"), byTask],
    [422, problem("The prompt was flagged by our moderation"), contentPolicy],
    [400, problem("it violates the acceptable use policy"), contentPolicy],
    [401, problem("You did not pass a valid authentication token", "Unauthenticated"), unauthorized],
    [403, problem("You do not have permission"), byKey],
    [402, problem("You have insufficient credit to run this model.", "Insufficient credit"), outOfCredit],
    [402, { detail: "pay" }, outOfCredit],
    [404, { detail: "The requested resource could not be found." }, byModel],
    [503, problem("try again"), unavailable],
    [429, { detail: "Request was throttled. Your rate limit resets in ~30s." }, limited(30_000)],
    [429, { detail: "Request was throttled.", retry_after: 12 }, limited(12_000)],
    [429, { detail: "Request was throttled. Your rate limit resets in ~30s.", retry_after: -1 }, limited(30_000)],
    [429, { detail: "Request was throttled while you have insufficient credit: see billing." }, limited(null)],
    [429, problem("flagged"), limited(null)],
    [429, { detail: 7, retry_after: "soon" }, limited(null)],
  ])("%i with %j", async (status, body, error) => {
    reply(status, body);
    expect(await thrownBy(submit())).toEqual(error);
  });

  it("takes problem documents for Replicate's own, as it sends them", async () => {
    reply(503, problem("try again"), { "content-type": "application/problem+json" });
    expect(await thrownBy(submit())).toEqual(unavailable);
  });

  it.each([
    [400, byRoute],
    [401, unauthorized],
    [402, outOfCredit],
    [404, byRoute],
    [413, byRoute],
    [422, byRoute],
    [429, limited(null)],
  ] as const)("%i with a proxy's page: it was looked at, and not begun", async (status, error) => {
    reply(status, HTML);
    expect(await thrownBy(submit())).toEqual(error);
  });

  it("waits as Retry-After says before all else", async () => {
    reply(429, { detail: "resets in ~30s", retry_after: 12 }, { "retry-after": "7" });
    expect(await thrownBy(submit())).toEqual(limited(7_000));
    reply(503, problem("try again"), { "retry-after": "7" });
    expect(await thrownBy(submit())).toMatchObject({ code: "unavailable", retryAfterMs: 7_000 });
  });
});

describe("submit, outcome unknown", () => {
  const isUnknown = async (work: Promise<unknown>) => {
    const error = await thrownBy(work);
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(RetryableError);
    expect(error).not.toBeInstanceOf(RefusedError);
  };

  it.each([500, 502, 504, 520, 524])("%i, even in Replicate's own words", async (status) => {
    for (const body of [problem("it broke"), problem("flagged as sensitive"), HTML]) {
      reply(status, body);
      await isUnknown(submit());
    }
  });

  const ofCdn = { title: "Error 1105: Temporarily unavailable", status: 503, detail: "The service is temporarily unavailable." };
  const cdnType = "https://developers.cloudflare.com/support/troubleshooting/http-status-codes/";
  it.each([408, 409, 425, 499, 503])("%i that is not Replicate's", async (status) => {
    const ofCdns = [
      { ...ofCdn, type: cdnType },
      { ...ofCdn, cloudflare_error: true },
      { ...ofCdn, ray_id: "8f" },
    ];
    for (const body of [HTML, {}, [], { detail: null }, { title: "Service Unavailable" }, ...ofCdns]) {
      reply(status, body, { "content-type": typeof body === "string" ? "text/html" : "application/problem+json" });
      await isUnknown(submit());
    }
  });

  it.each([
    ["an error and no id", problem("no")],
    ["no id", { status: "starting" }],
    ["an empty id", { id: "" }],
    ["an id that leads elsewhere", { id: ".." }],
    ["an id that is half a character", { id: "a\ud800" }],
    ["an id that is no text", { id: 7 }],
    ["an id of 256 characters", { id: "x".repeat(256) }],
    ["a list", []],
    ["null", null],
    ["a page", HTML],
    ["cut JSON", '{"id":"gm3qorz'],
    ["more than 1 MiB", { id: ID, logs: "x".repeat(1024 * 1024) }],
  ])("201 with %s", async (_, body) => {
    reply(201, body);
    await isUnknown(submit());
  });

  it.each([301, 302, 307, 308])("a redirect (%i), which is not followed", async (status) => {
    reply(status, CREATED, { location: `${BASE_URL}/v2` });
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
  const running = { status: "running", retryAfterMs: null };
  const succeeded = { status: "succeeded", source: { url: VIDEO } };
  const rejected = { status: "failed", by: "route", reason: "upstream_rejected" };
  const contentPolicy = { status: "failed", by: "task", reason: "content_policy" };
  const empty = { status: "empty" };

  it("asks at home, with the id encoded and the key", async () => {
    reply(200, CREATED);
    expect(await poll({ id: "a/ü?&" })).toEqual(running);
    expect(calls).toMatchObject([{ url: `${BASE_URL}/v1/predictions/a%2F%C3%BC%3F%26`, method: "GET", body: null }]);
    expect(calls[0]?.headers.get("authorization")).toBe(`Bearer ${KEY}`);
  });

  it.each(["starting", "processing", "Processing", "queued", "booting", "contemplating", ""])(
    "takes %j for running",
    async (status) => {
      reply(200, { ...CREATED, status, output: VIDEO });
      expect(await poll()).toEqual(running);
    },
  );

  it.each(["succeeded", "Succeeded", "successful", " completed "])("takes %j for succeeded", async (status) => {
    reply(200, { ...CREATED, status, output: VIDEO });
    expect(await poll()).toEqual(succeeded);
  });

  it.each(["failed", "FAILED", "error"])("takes %j for failed", async (status) => {
    reply(200, { ...CREATED, status, output: VIDEO });
    expect(await poll()).toEqual(rejected);
  });

  it.each([
    [{ output: VIDEO, data_removed: false }, succeeded],
    [{ output: VIDEO, error: "left over" }, succeeded],
    [{ output: [VIDEO, "https://replicate.delivery/2.mp4"] }, succeeded],
    [{ output: ` ${VIDEO} ` }, succeeded],
    [{ output: null, data_removed: true }, empty],
    [{ output: VIDEO, data_removed: true }, empty],
    [{ output: null }, empty],
    [
      { output: null, error: "flagged as unsafe" },
      { status: "failed", by: "task", reason: "content_policy" },
    ],
    [{ output: null, error: "out of memory" }, empty],
    [{ output: undefined }, empty],
    [{ output: "" }, empty],
    [{ output: [] }, empty],
    [{ output: [7] }, empty],
    [{ output: { url: 7 } }, empty],
    [{ output: 7 }, empty],
    [{ output: `https://x.example/${"x".repeat(8_192)}` }, empty],
  ])("reads a success with %j as %j", async (members, result) => {
    reply(200, { ...CREATED, status: "succeeded", ...members });
    expect(await poll()).toEqual(result);
  });

  it.each([
    ["The input or output was flagged as sensitive. Please try again with different inputs. (E005)", contentPolicy],
    ["Prompt contains SENSITIVE words", contentPolicy],
    ["blocked for safety reasons", contentPolicy],
    ["It goes against our usage policies", contentPolicy],
    ["Refused (E005)", contentPolicy],
    ["Service is temporarily unavailable. (E004)", rejected],
    ["Prediction interrupted; please retry (code: PA)", rejected],
    ["CUDA out of memory: E0051", rejected],
    ["", rejected],
    [null, rejected],
    [{ message: "an object" }, rejected],
  ])("reads the failure %j as %j", async (error, result) => {
    reply(200, { ...CREATED, status: "failed", error });
    expect(await poll()).toEqual(result);
  });

  it("passes on when to come back", async () => {
    reply(200, CREATED, { "retry-after": "20" });
    expect(await poll()).toEqual({ status: "running", retryAfterMs: 20_000 });
  });

  it.each([
    [401, problem("no"), "unauthorized", 60_000],
    [403, HTML, "unauthorized", 60_000],
    [402, problem("no"), "out_of_credit", 60_000],
    [429, problem("no"), "rate_limited", 3_000],
    [408, HTML, "unavailable", 3_000],
    [500, problem("flagged"), "unavailable", 3_000],
    [502, HTML, "unavailable", 3_000],
    [503, problem("no"), "unavailable", 3_000],
    [524, HTML, "unavailable", 3_000],
  ] as const)("asks again after %i with %j", async (status, body, code, retryAfterMs) => {
    reply(status, body, { "retry-after": "3" });
    expect(await thrownBy(poll())).toEqual(new RetryableError(code, retryAfterMs));
  });

  it("asks again when a throttled poll says so", async () => {
    reply(429, { detail: "Request was throttled. Your rate limit resets in ~4s." });
    expect(await thrownBy(poll())).toEqual(new RetryableError("rate_limited", 4_000));
  });

  it.each([problem("The requested resource could not be found."), {}])(
    "takes 404 with %j for a job that is not known",
    async (body) => {
      reply(404, body);
      expect(await poll()).toEqual({ status: "missing" });
    },
  );

  it.each([
    [404, HTML],
    [400, problem("bad")],
    [422, problem("flagged")],
    [200, HTML],
    [200, {}],
    [200, []],
    [200, { status: 7, output: VIDEO }],
    [200, problem("no")],
    [302, { ...CREATED, status: "succeeded", output: VIDEO }],
  ])("makes nothing of %i with %j, and fails no task for it", async (status, body) => {
    reply(status, body, { location: "https://elsewhere.example/" });
    expect(await thrownBy(poll())).toMatchObject({ name: "UnclearReplyError" });
    expect(calls).toHaveLength(1);
  });

  it("refuses an operation that is not its own", async () => {
    await expect(poll({ job: ID })).rejects.toThrow();
    expect(calls).toHaveLength(0);
  });
});

describe("cancel", () => {
  it.each([
    [200, { ...CREATED, status: "canceled" }, "stopping"],
    [200, { ...CREATED, status: "aborted" }, "stopping"],
    [200, { ...CREATED, status: "processing" }, "stopping"],
    [200, {}, "stopping"],
    [200, { ...CREATED, status: "succeeded" }, "too_late"],
    [200, { ...CREATED, status: "failed" }, "too_late"],
    [404, problem("not found"), "too_late"],
    [422, problem("it has ended"), "too_late"],
  ])("reads %i with %j as %s", async (status, body, answer) => {
    reply(status, body);
    expect(await cancel()).toBe(answer);
    expect(calls).toMatchObject([{ url: `${PREDICTION}/cancel`, method: "POST", body: null }]);
    expect(calls[0]?.headers.get("authorization")).toBe(`Bearer ${KEY}`);
  });

  it.each([
    [401, problem("no"), "RetryableError"],
    [429, problem("no"), "RetryableError"],
    [500, HTML, "RetryableError"],
    [404, HTML, "UnclearReplyError"],
    [200, HTML, "UnclearReplyError"],
    [302, {}, "UnclearReplyError"],
  ])("does not know after %i with %j", async (status, body, name) => {
    reply(status, body);
    expect(await thrownBy(cancel())).toMatchObject({ name });
  });
});

describe("open", () => {
  const open = (url: string) => provider.open({ url }, null, signal);

  it("opens a video without the key, which is Replicate's own origin's only", async () => {
    replies.push(
      () => new Response("0123456789", { headers: { "content-type": "video/mp4", "content-length": "10", etag: '"v1"' } }),
    );
    expect(await open(VIDEO)).toMatchObject({ length: 10, offset: 0, validator: '"v1"' });
    expect(calls[0]?.headers.has("authorization")).toBe(false);
    replies.push(() => new Response("x", { headers: { "content-type": "video/mp4" } }));
    await open(`${BASE_URL}/v1/files/x/download`);
    expect(calls[1]?.headers.get("authorization")).toBe(`Bearer ${KEY}`);
  });

  it.each([
    "http://replicate.delivery/v.mp4",
    "https://10.0.0.1/v.mp4",
    "https://169.254.169.254/latest/meta-data",
    "https://localhost/v.mp4",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "data:video/mp4;base64,AAAA",
    "<script>alert(1)</script>",
  ])("refuses %s, though an output named it", async (url) => {
    reply(200, { ...CREATED, status: "succeeded", output: url });
    expect(await poll()).toEqual({ status: "succeeded", source: { url } });
    await expect(open(url)).rejects.toMatchObject({ name: "RefusedError", by: "task", reason: "upstream_invalid_result" });
    expect(calls).toHaveLength(1);
  });
});

describe("isGenuine", () => {
  const NOW = Math.floor(T0 / 1000);
  const SECRET = `whsec_${btoa("the secret of an account")}`;
  const BODY = JSON.stringify({ ...CREATED, status: "succeeded", output: VIDEO });
  const trusting = replicate(anUpstream({ baseUrl: BASE_URL, credential: KEY, callbackSecrets: [SECRET] }));

  /** As Replicate's page on verifying has it, by WebCrypto. */
  const signedWith = async (secret: string, given: { body?: string; id?: string; timestamp?: string } = {}) => {
    const { body, id, timestamp } = { body: BODY, id: "msg_1", timestamp: String(NOW), ...given };
    const bytes = Uint8Array.from(atob(secret.replace("whsec_", "")), (char) => char.charCodeAt(0));
    const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    const mac = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(`${id}.${timestamp}.${body}`));
    const signature = `v1,${btoa(String.fromCharCode(...new Uint8Array(mac)))}`;
    const headers = { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature };
    return { headers: new Headers(headers), body };
  };
  const isGenuine = async (callback: { headers: Headers; body: string }, by = trusting) =>
    by.isGenuine?.(callback, operation, signal);

  it("is for those who told us the account's secret", () => {
    expect("isGenuine" in provider).toBe(false);
  });

  it("believes what the account's secret has signed, asking nobody", async () => {
    expect(await isGenuine(await signedWith(SECRET))).toBe(true);
    expect(calls).toEqual([]);
  });

  it("believes any of several secrets, and one good signature among others", async () => {
    const other = `whsec_${btoa("the secret of another one")}`;
    const both = replicate(anUpstream({ baseUrl: BASE_URL, callbackSecrets: [other, SECRET] }));
    expect([await isGenuine(await signedWith(SECRET), both), await isGenuine(await signedWith(other), both)]).toEqual([true, true]);
    const callback = await signedWith(SECRET);
    callback.headers.set("webhook-signature", `v1a,AAAA v1,AAAA ${callback.headers.get("webhook-signature")}`);
    expect(await isGenuine(callback)).toBe(true);
  });

  it.each([
    ["another secret's", `whsec_${btoa("a secret of nobody's account")}`, {}],
    ["another prediction's", SECRET, { body: JSON.stringify({ ...CREATED, id: "another" }) }],
    ["no JSON", SECRET, { body: ID }],
    ["nothing of a prediction", SECRET, { body: "[]" }],
    ["replayed when it was too old", SECRET, { timestamp: String(NOW - 301) }],
    ["of the future", SECRET, { timestamp: String(NOW + 301) }],
    ["of a time that is none", SECRET, { timestamp: `${NOW}x` }],
    ["of milliseconds", SECRET, { timestamp: String(T0) }],
  ])("does not believe one that is %s", async (_, secret, given) => {
    expect(await isGenuine(await signedWith(secret, given))).toBe(false);
  });

  it.each([-300, 300])("takes a clock that is off by %i s", async (seconds) => {
    expect(await isGenuine(await signedWith(SECRET, { timestamp: String(NOW + seconds) }))).toBe(true);
  });

  it.each(["webhook-id", "webhook-timestamp", "webhook-signature"])(
    "believes nothing without, or with another, %s",
    async (name) => {
      const callback = await signedWith(SECRET);
      const value = callback.headers.get(name) ?? "";
      for (const other of [`${value}0`, "", "v1", "v1,", "v1,zz", `v2,${value.slice(3)}`]) {
        const headers = new Headers(callback.headers);
        headers.set(name, other);
        expect(await isGenuine({ ...callback, headers }), other).toBe(false);
      }
      callback.headers.delete(name);
      expect(await isGenuine(callback)).toBe(false);
    },
  );

  it("believes no body that was changed", async () => {
    const callback = await signedWith(SECRET);
    expect(await isGenuine({ ...callback, body: BODY.replace("succeeded", "failed") })).toBe(false);
  });
});

describe("what is thrown", () => {
  const CANARIES = ["CANARY-text", "canary.upstream.example", "canary-id-1", "upstream-secret", "api.replicate.com"];
  const says = "CANARY-text at canary.upstream.example for canary-id-1 by upstream-secret";
  const planted = [
    { id: null, status: 7, title: says, detail: says, error: says, invalid_fields: [{ type: says, field: says }], logs: says },
    { detail: [says], retry_after: says, urls: { get: says } },
    { id: "canary-id-1", status: "failed", error: says, output: says },
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
        for (const work of [poll, cancel]) {
          reply(status, body, headers);
          expectNoCanary(await outcomeOf(work()));
        }
        // The id of a job that was taken is the operation's to keep.
        reply(status, typeof body === "string" ? body : { ...body, id: null }, headers);
        expectNoCanary(await thrownBy(submit()));
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
