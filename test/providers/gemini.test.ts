import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { base64url } from "../../src/core/encoding.ts";
import type { Json } from "../../src/core/json.ts";
import { MODEL_NAMES, type ModelName } from "../../src/core/models.ts";
import { RefusedError, RetryableError } from "../../src/core/upstream-errors.ts";
import { baseUrlOf, gemini, MODELS, modelsOf, VERTEX_MODELS } from "../../src/providers/gemini.ts";
import { base64, CUT } from "../../src/providers/inline-video.ts";
import { aServiceAccount, spread, stubFetch, thrownBy, TOKEN, type Stub } from "../support/google-stub.ts";
import { aJob, anUpstream } from "../support/upstreams.ts";

const KEY = "AIza-upstream-secret";
const BASE = "https://upstream.example";
const HTML = "<html><title>502 Bad Gateway</title></html>";
const ID = "v1_ChdPU0F4YWFtNkFwS2kxZThQ";
const signal = new AbortController().signal;
const developer = gemini(anUpstream({ baseUrl: BASE, credential: KEY }));
const operation = { id: ID };
const error = (code: number | string, message: string, status = "") => ({ error: { code, message, status } });
const bytes = new Uint8Array([0x89, 0x50, 0x4e, 0x47]);
const images = (count: number) => ({
  images: Array.from({ length: count }, (_, n) => ({
    url: `https://example.com/${n}.webp`,
    file: { bytes: new Uint8Array([...bytes, n]), mimeType: "image/webp" as const },
  })),
});
const wireImage = (n: number) => ({ type: "image", data: base64(new Uint8Array([...bytes, n])), mime_type: "image/webp" });

let stub: Stub;
beforeEach(() => {
  stub = stubFetch();
});
afterEach(() => void vi.restoreAllMocks());

describe("traits and defaults", () => {
  it("says what it does", () => {
    expect(developer.traits).toEqual({ images: "inline", callback: "none", idempotentCreate: false, retentionMs: 48 * 3_600_000 });
    expect(gemini(anUpstream({ honoursIdempotencyKey: true })).traits.idempotentCreate).toBe(true);
    expect(gemini(anUpstream({ credential: aServiceAccount() })).traits.retentionMs).toBeNull();
  });

  it("has a model for each of ours, and a place", () => {
    for (const models of [MODELS, VERTEX_MODELS]) expect(Object.keys(models).toSorted()).toEqual([...MODEL_NAMES].toSorted());
    expect(modelsOf(KEY)).toBe(MODELS);
    expect(modelsOf('{"type":"service_account"}')).toBe(VERTEX_MODELS);
    expect(baseUrlOf(KEY, null)).toBe("https://generativelanguage.googleapis.com");
    expect(baseUrlOf("{}", null)).toBe("https://aiplatform.googleapis.com");
    expect(baseUrlOf("{}", "us-central1")).toBe("https://us-central1-aiplatform.googleapis.com");
  });
});

/** Google's own server, as an API key is used with. */
const google = (given: Parameters<typeof anUpstream>[0] = {}) =>
  gemini(anUpstream({ baseUrl: baseUrlOf(KEY, null), credential: KEY, ...given }));

describe("callbacks", () => {
  const URL_OF_OURS = "https://gateway.example/v1/callbacks/t";
  const webhookOf = async (provider: ReturnType<typeof gemini>, callbackUrl: string | null) => {
    stub.reply(200, { id: ID });
    await provider.submit(aJob({}, { callbackUrl }), signal);
    const { body } = stub.calls.at(-1) ?? {};
    return (body as { webhook_config?: unknown }).webhook_config;
  };

  it("are asked for where Google itself is, for one request", async () => {
    expect(google().traits.callback).toBe("https");
    expect(await webhookOf(google(), URL_OF_OURS)).toEqual({ uris: [URL_OF_OURS] });
    expect(await webhookOf(google(), null)).toBeUndefined();
    expect(google({ baseUrl: "http://127.0.0.1:9" }).traits.callback).toBe("any");
  });

  it("are not asked for of others that speak the wire, nor on Vertex", async () => {
    expect(developer.traits.callback).toBe("none");
    expect(await webhookOf(developer, URL_OF_OURS)).toBeUndefined();
    expect(google({ credential: aServiceAccount() }).traits.callback).toBe("none");
  });

  const TIME = Date.UTC(2026, 0, 1) / 1000;
  beforeEach(() => void vi.setSystemTime(TIME * 1000));
  afterEach(() => void vi.useRealTimers());

  const KEYS = "https://generativelanguage.googleapis.com/.well-known/jwks.json";
  const event = (id: string) => JSON.stringify({ type: "interaction.completed", version: "v1", data: { id } });
  const ED25519 = { name: "Ed25519" };
  const RSA = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) };
  const aPair = async (algorithm: typeof ED25519 | typeof RSA) =>
    (await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as CryptoKeyPair;
  const publicOf = async ({ publicKey }: CryptoKeyPair) => (await crypto.subtle.exportKey("jwk", publicKey)) as JsonWebKey;
  const signatureOf = async ({ name }: { name: string }, { privateKey }: CryptoKeyPair, text: string) =>
    new Uint8Array(await crypto.subtle.sign(name, privateKey, new TextEncoder().encode(text)));

  const callbackOf = (body: string, signature: string, time = TIME) => ({
    headers: new Headers({ "webhook-id": "msg_1", "webhook-timestamp": String(time), "webhook-signature": signature }),
    body,
  });
  /** As it arrives. */
  const v1a = async (pair: CryptoKeyPair, { body = event(ID), time = TIME } = {}) =>
    callbackOf(body, `v1a,${base64(await signatureOf(ED25519, pair, `msg_1.${time}.${body}`))}`, time);
  /** As the guide says. */
  const jwt = async (pair: CryptoKeyPair, given: object = {}, head: object = { alg: "RS256", kid: "k1" }, time = TIME) => {
    const claims = { data: { id: ID }, exp: TIME + 60, ...given };
    const text = [head, claims].map((part) => base64url(new TextEncoder().encode(JSON.stringify(part)))).join(".");
    return callbackOf("{}", `${text}.${base64url(await signatureOf(RSA, pair, text))}`, time);
  };
  const judge = async (callback: ReturnType<typeof callbackOf>, keys: readonly object[], by = google()) => {
    stub.reply(200, { keys });
    return by.isGenuine?.(callback, operation, signal);
  };

  it("are believed if they are signed by a key that Google publishes, whichever way, and asked for without ours", async () => {
    const [ed25519, rsa] = [await aPair(ED25519), await aPair(RSA)];
    const keys = [await publicOf(await aPair(ED25519)), await publicOf(rsa), await publicOf(ed25519)];
    expect(await judge(await v1a(ed25519), keys)).toBe(true);
    expect(await judge(await jwt(rsa), keys)).toBe(true);
    expect(await judge(await v1a(ed25519, { body: event(`interactions/${ID}`) }), keys)).toBe(true);
    expect(stub.calls.map(({ url, headers }) => [url, [...headers]])).toEqual([
      [KEYS, []],
      [KEYS, []],
      [KEYS, []],
    ]);
  });

  it("are not believed of another signer, or changed", async () => {
    const [ed25519, rsa] = [await aPair(ED25519), await aPair(RSA)];
    const keys = [await publicOf(ed25519), await publicOf(rsa)];
    const provider = google();
    expect(await judge(await v1a(await aPair(ED25519)), keys, provider)).toBe(false);
    const genuine = async (callback: ReturnType<typeof callbackOf>) => provider.isGenuine?.(callback, operation, signal);
    expect(await genuine(await jwt(await aPair(RSA)))).toBe(false);
    expect(await genuine({ ...(await v1a(ed25519)), body: `${event(ID)} ` })).toBe(false);
    const moved = await v1a(ed25519);
    moved.headers.set("webhook-id", "msg_2");
    expect(await genuine(moved)).toBe(false);
    const later = await v1a(ed25519);
    later.headers.set("webhook-timestamp", String(TIME + 1));
    expect(await genuine(later)).toBe(false);
    expect([await genuine(await v1a(ed25519)), await genuine(await jwt(rsa))]).toEqual([true, true]);
    expect(stub.calls).toHaveLength(1);
  });

  it("are not worth asking for keys where they are old, about another interaction, or not signed", async () => {
    const [ed25519, rsa] = [await aPair(ED25519), await aPair(RSA)];
    const provider = google();
    const none = callbackOf(event(ID), "");
    const callbacks = [
      await v1a(ed25519, { time: TIME - 301 }),
      await v1a(ed25519, { body: event("v1_another") }),
      await v1a(ed25519, { body: "[]" }),
      await jwt(rsa, {}, { alg: "RS256" }, TIME - 301),
      await jwt(rsa, { exp: TIME - 1 }),
      await jwt(rsa, { exp: undefined }),
      await jwt(rsa, { data: { id: "v1_another" } }),
      await jwt(rsa, { data: undefined }),
      await jwt(rsa, {}, { alg: "none" }),
      await jwt(rsa, {}, { alg: "HS256" }),
      none,
      ...["v1a,", "v1a,AAAA", `v1,${"A".repeat(86)}==`, `v1a,${"!".repeat(88)}`, "a.b.c", "..", `v1a,${"A".repeat(88)}`].map(
        (each) => callbackOf(event(ID), each),
      ),
      { headers: new Headers(), body: event(ID) },
    ];
    for (const [index, callback] of callbacks.entries()) {
      expect(await provider.isGenuine?.(callback, operation, signal), `the callback ${index}`).toBe(false);
    }
    expect(stub.calls).toEqual([]);
  });
});

describe("submit", () => {
  const format = { type: "video", delivery: "uri", resolution: "720p", duration: "8s" };

  it("sends the least that says what was asked for", async () => {
    stub.reply(200, { id: ID, status: "queued" });
    expect(await developer.submit(aJob({}, { model: "gemini-omni-1.2-flash" }), signal)).toEqual({ operation, prompt: null });
    expect(stub.calls).toEqual([
      {
        url: `${BASE}/v1beta/interactions`,
        method: "POST",
        headers: expect.any(Headers),
        body: {
          model: "gemini-omni-1.2-flash",
          background: true,
          store: true,
          input: [{ type: "text", text: "a lake" }],
          response_format: format,
          generation_config: { video_config: { task: "text_to_video" } },
        },
      },
    ]);
    expect(Object.fromEntries(stub.calls[0]?.headers ?? [])).toEqual({ "x-goog-api-key": KEY, "content-type": "application/json" });
  });

  it.each([
    ["gs://reelay-videos/out/", { ...format, gcs_uri: "gs://reelay-videos/out/" }, null, "global"],
    [null, { ...format, delivery: "inline" }, "us-central1", "us-central1"],
  ])("sends it to Vertex, with a bucket %j", async (storageUri, expected, region, at) => {
    stub.reply(200, TOKEN);
    stub.reply(200, { id: ID });
    const vertex = gemini(anUpstream({ baseUrl: BASE, credential: aServiceAccount(), storageUri, region }));
    await vertex.submit(aJob({}, { model: "gemini-omni-1.1-flash-preview" }), signal);
    expect(stub.calls[1]).toMatchObject({
      url: `${BASE}/v1beta1/projects/reelay-test/locations/${at}/interactions`,
      body: { response_format: [expected] },
    });
    expect(stub.calls[1]?.headers.get("authorization")).toBe("Bearer ya29.token-1");
    stub.reply(200, { id: ID, status: "in_progress" });
    await vertex.poll(operation, signal);
    expect(stub.calls[2]?.url).toBe(`${BASE}/v1beta1/projects/reelay-test/locations/${at}/interactions/${ID}`);
  });

  it.each([
    [{ aspectRatio: "9:16" }, { ...format, aspect_ratio: "9:16" }],
    [{ aspectRatio: "16:9" }, { ...format, aspect_ratio: "16:9" }],
    [{ upsample: true }, { ...format, resolution: "1080p" }],
    [{ enhancePrompt: true }, format],
  ] as const)("maps %j", async (generation, expected) => {
    stub.reply(200, { id: ID });
    await developer.submit(aJob(generation), signal);
    expect(stub.calls[0]?.body).toMatchObject({ response_format: expected, input: [{ type: "text", text: "a lake" }] });
    expect(Object.keys(stub.sent<{ response_format: object }>().response_format).toSorted()).toEqual(
      Object.keys(expected).toSorted(),
    );
  });

  it("sends the prompt that we rewrote", async () => {
    stub.reply(200, { id: ID });
    await developer.submit(aJob({ enhancePrompt: true }, { prompt: "a lake at dawn" }), signal);
    expect(stub.calls[0]?.body).toMatchObject({ input: [{ type: "text", text: "a lake at dawn" }] });
  });

  it.each([
    ["veo2-fast-frames", 0, "text_to_video"],
    ["veo2-fast-frames", 1, "image_to_video"],
    ["veo2-fast-frames", 2, "image_to_video"],
    ["veo3-pro-frames", 1, "image_to_video"],
    ["veo2-fast-components", 0, "text_to_video"],
    ["veo2-fast-components", 1, "reference_to_video"],
    ["veo2-fast-components", 3, "reference_to_video"],
  ] as [ModelName, number, string][])("sends %s %i images before the prompt, as %s", async (model, count, task) => {
    stub.reply(200, { id: ID });
    await developer.submit(aJob({ model }, images(count)), signal);
    const { input, generation_config: config } = stub.sent<{ input: unknown; generation_config: unknown }>();
    expect(input).toEqual([...Array.from({ length: count }, (_, n) => wireImage(n)), { type: "text", text: "a lake" }]);
    expect(config).toEqual({ video_config: { task } });
  });

  it("sends an idempotency key where the operator says that the server honours it", async () => {
    stub.reply(200, { id: ID });
    await gemini(anUpstream({ honoursIdempotencyKey: true })).submit(aJob({}, { reference: "veo3:1-a/2" }), signal);
    expect(stub.calls[0]?.headers.get("idempotency-key")).toBe("veo3:1-a/2");
  });

  it("takes the id of a reply that repeats megabytes of what was sent", async () => {
    stub.reply(200, { steps: [{ type: "user_input", content: [{ data: "A".repeat(3 * 1024 * 1024) }] }], id: ID });
    expect((await developer.submit(aJob(), signal)).operation).toEqual(operation);
  });

  it.each([
    [400, error("invalid_request", "duration must be a string"), new RefusedError("task", "upstream_rejected")],
    [400, error("SAFETY", "blocked: violates policy"), new RefusedError("task", "content_policy")],
    [400, error("blocked", "PROHIBITED_CONTENT"), new RefusedError("task", "content_policy")],
    [400, error("BLOCKLIST", "blocked"), new RefusedError("task", "content_policy")],
    [400, error("invalid_request", "blocked: SPII"), new RefusedError("task", "content_policy")],
    [400, error(400, "API key not valid."), new RetryableError("unauthorized", 60_000)],
    [400, error("failed_precondition", "User location is not supported"), new RetryableError("unauthorized", 60_000)],
    [401, {}, new RetryableError("unauthorized", 60_000)],
    [403, error(403, "paid tier only"), new RefusedError("key", "upstream_rejected")],
    [404, error(404, "models/x is not found"), new RefusedError("model", "upstream_rejected")],
    [400, error("invalid_request", "unknown model: gemini-omni-flash-preview"), new RefusedError("route", "upstream_rejected")],
    [429, [error(429, "quota")], new RetryableError("rate_limited")],
    [503, error(503, "overloaded"), new RetryableError("unavailable")],
  ])("is refused by %i with %j", async (status, body, thrown) => {
    stub.reply(status, body);
    expect(await thrownBy(developer.submit(aJob(), signal))).toEqual(thrown);
    expect(stub.calls).toHaveLength(1);
  });

  it.each([
    [200, {}],
    [200, { id: "" }],
    [200, { id: 7 }],
    [200, { id: ".." }],
    [200, { id: "x?y" }],
    [200, { id: "<script>" }],
    [200, { id: "x".repeat(2_049) }],
    [200, { status: "completed" }],
    [200, error("SAFETY", "unsafe")],
    [200, []],
    [200, HTML],
    [302, { id: ID }],
    [409, HTML],
    [500, error(500, "unsafe")],
    [503, HTML],
    [504, error(504, "x")],
  ])("is of unknown outcome after %i with %j", async (status, body) => {
    stub.reply(status, body, { location: "https://elsewhere.example/" });
    expect(await thrownBy(developer.submit(aJob(), signal))).toMatchObject({ name: "UnclearReplyError" });
    expect(stub.calls).toHaveLength(1);
  });

  it("is of unknown outcome after a connection that fails", async () => {
    expect(await thrownBy(developer.submit(aJob(), signal))).toMatchObject({ name: "ConnectionError" });
    expect(await thrownBy(developer.submit(aJob(), AbortSignal.abort()))).toMatchObject({ name: "TimeoutError" });
  });

  it("asks nobody for a video without an image that it was to have", async () => {
    await expect(developer.submit(aJob({ images: ["https://example.com/1.png"] }), signal)).rejects.toThrow(
      "an image was not fetched",
    );
    expect(stub.calls).toHaveLength(0);
  });
});

describe("poll", () => {
  const poll = () => developer.poll(operation, signal);
  const output = (...content: unknown[]) => ({ type: "model_output", content });
  const done = (...steps: unknown[]) => ({ id: ID, status: "completed", steps });
  const uri = `${BASE}/v1beta/files/abc`;
  const video = { type: "video", mime_type: "video/mp4", uri };
  const text = { type: "text", text: "I can't help with that." };
  const found = { status: "succeeded", source: { url: uri } };
  const refused = { status: "failed", by: "task", reason: "content_policy" };
  const input = { type: "user_input", content: [{ type: "video", data: "AAAA" }, text] };

  it("asks with the id encoded and the key", async () => {
    stub.reply(200, { status: "queued" });
    await developer.poll({ id: "projects/p/interactions/a:b=+" }, signal);
    expect(stub.calls[0]).toMatchObject({
      url: `${BASE}/v1beta/interactions/projects%2Fp%2Finteractions%2Fa%3Ab%3D%2B`,
      method: "GET",
      body: null,
    });
    expect(stub.calls[0]?.headers.get("x-goog-api-key")).toBe(KEY);
  });

  it.each(["queued", "in_progress", "IN_PROGRESS", "requires_continuation", "contemplating", ""])(
    "takes %j for running",
    async (status) => {
      stub.reply(200, { id: ID, status }, { "retry-after": "20" });
      expect(await poll()).toEqual({ status: "running", retryAfterMs: 20_000 });
    },
  );

  it.each(["failed", "FAILED", "incomplete", "budget_exceeded", "requires_action"])("takes %j for failed", async (status) => {
    stub.reply(200, { id: ID, status });
    expect(await poll()).toEqual({ status: "failed", by: "route", reason: "upstream_rejected" });
  });

  it.each([
    [done(output(video)), found],
    [{ ...done(output(video)), status: " Completed " }, found],
    [done(input, output(text, video)), found],
    [done(output(text), output(video)), found],
    [done(null, {}, output(null, {}, video)), found],
    [done(output({ mime_type: "video/mp4", uri })), found],
    [{ ...done(output(video)), error: { code: 13, message: "an earlier try" } }, found],
    [
      done(input, output(text, { type: "video", data: CUT })),
      { status: "succeeded", source: { inline: ["steps", 1, "content", 1, "data"], operation } },
    ],
    [
      done(output({ type: "video", data: "AAAA" })),
      { status: "succeeded", source: { inline: ["steps", 0, "content", 0, "data"], operation } },
    ],
    [done(output(text)), refused],
    [done(input, output(text)), refused],
    [done({ type: "model_output", error: { code: 3, message: "Blocked for safety" } }), refused],
    [done(input), { status: "empty" }],
    [done(), { status: "empty" }],
    [done(output()), { status: "empty" }],
    [done(output({ type: "text", text: " " })), { status: "empty" }],
    [done(output({ type: "video" })), { status: "empty" }],
    [done(output({ type: "video", uri: "" })), { status: "empty" }],
    [done(output({ type: "image", uri })), { status: "empty" }],
    [done({ type: "model_output", error: { code: 13, message: "internal" } }), { status: "empty" }],
    [{ status: "completed" }, { status: "empty" }],
    [{ status: "completed", steps: "x" }, { status: "empty" }],
    [{ status: "completed", steps: [{ type: "model_output", content: "x" }] }, { status: "empty" }],
  ])("reads %j as %j", async (body, result) => {
    stub.reply(200, body);
    expect(await poll()).toEqual(result);
  });

  it.each([
    [{ errors: [{ code: "x", message: "Blocked by safety filters" }] }, "content_policy"],
    [{ errors: [null, { message: "internal" }] }, "upstream_rejected"],
    [{ error: { code: "PROHIBITED_CONTENT" } }, "content_policy"],
    [{ error: { code: "BLOCKLIST" } }, "content_policy"],
    [{ errors: [{ message: "SPII" }] }, "content_policy"],
    [{ steps: [{ type: "model_output", error: { code: 3, message: "flagged" } }] }, "content_policy"],
    [{ steps: [input] }, "upstream_rejected"],
    [{ errors: "x", error: "x", steps: {} }, "upstream_rejected"],
  ])("takes the failure %j for %s", async (more, reason) => {
    stub.reply(200, { id: ID, status: "failed", ...more });
    expect(await poll()).toEqual({ status: "failed", by: reason === "content_policy" ? "task" : "route", reason });
  });

  it.each([
    [400, error("invalid_request", "Invalid interaction name")],
    [400, error("invalid_request", "Request contains an invalid argument.")],
    [404, error(404, "x")],
    [400, [error(400, "x")]],
  ])("takes %i with %j for a job that may be lost, and fails no task for one", async (status, body) => {
    stub.reply(status, body);
    expect(await poll()).toEqual({ status: "missing" });
  });

  it.each([
    [400, error(400, "API key not valid."), "unauthorized", 60_000],
    [401, {}, "unauthorized", 60_000],
    [403, HTML, "unauthorized", 60_000],
    [402, {}, "out_of_credit", 60_000],
    [429, [error(429, "quota")], "rate_limited", 3_000],
    [408, HTML, "unavailable", 3_000],
    [500, error(500, "unsafe"), "unavailable", 3_000],
    [503, HTML, "unavailable", 3_000],
  ] as const)("asks again after %i with %j", async (status, body, code, retryAfterMs) => {
    stub.reply(status, body, { "retry-after": "3" });
    expect(await thrownBy(poll())).toEqual(new RetryableError(code, retryAfterMs));
  });

  it.each([
    [400, HTML],
    [404, HTML],
    [200, {}],
    [200, { id: ID }],
    [200, { id: ID, status: 7 }],
    [200, []],
    [200, null],
    [200, HTML],
    [200, error("SAFETY", "unsafe")],
    [302, { status: "completed" }],
    [418, {}],
  ])("makes nothing of %i with %j", async (status, body) => {
    stub.reply(status, body, { location: "https://elsewhere.example/" });
    expect(await thrownBy(poll())).toMatchObject({ name: "UnclearReplyError" });
    expect(stub.calls).toHaveLength(1);
  });

  it.each([{ name: "x" }, { id: ".." }, { id: "../x" }, { id: "x?y" }, null] as Json[])(
    "refuses the operation %j, which is not its own",
    async (handle) => {
      await expect(developer.poll(handle, signal)).rejects.toThrow();
      await expect(developer.cancel?.(handle, signal)).rejects.toThrow();
      expect(stub.calls).toHaveLength(0);
    },
  );

  it("keeps a video of megabytes out of what is stored", async () => {
    stub.reply(200, done(output({ type: "video", data: "A".repeat(3 * 1024 * 1024) })));
    expect(await poll()).toEqual({ status: "succeeded", source: { inline: ["steps", 0, "content", 0, "data"], operation } });
  });
});

describe("cancel", () => {
  const cancel = () => developer.cancel?.(operation, signal) ?? expect.unreachable("it cannot");

  it("asks by POST", async () => {
    stub.reply(200, { id: ID, status: "cancelled" });
    expect(await cancel()).toBe("stopping");
    expect(stub.calls[0]).toMatchObject({ url: `${BASE}/v1beta/interactions/${ID}/cancel`, method: "POST", body: null });
    expect(stub.calls[0]?.headers.get("x-goog-api-key")).toBe(KEY);
  });

  it.each([
    [200, {}, "stopping"],
    [202, "", "stopping"],
    [200, { status: "in_progress" }, "stopping"],
    [200, { status: "canceled" }, "stopping"],
    [200, { status: "completed" }, "too_late"],
    [200, { status: "failed" }, "too_late"],
    [400, error("invalid_request", "The interaction is not in progress."), "too_late"],
    [400, error("failed_precondition", "Interaction already completed"), "too_late"],
    [409, error(409, "cannot be cancelled"), "too_late"],
  ])("reads %i with %j as %s", async (status, body, answer) => {
    stub.reply(status, body);
    expect(await cancel()).toBe(answer);
  });

  it.each([
    [400, error("invalid_request", "Invalid interaction name"), "UnclearReplyError"],
    [404, HTML, "UnclearReplyError"],
    [302, {}, "UnclearReplyError"],
    [401, {}, "RetryableError"],
    [429, {}, "RetryableError"],
    [500, {}, "RetryableError"],
  ])("does not know after %i with %j", async (status, body, name) => {
    stub.reply(status, body, { location: "https://elsewhere.example/" });
    expect(await thrownBy(cancel())).toMatchObject({ name });
  });
});

describe("open", () => {
  const source = { inline: ["steps", 1, "content", 0, "data"], operation };

  it("asks its own origin for the file's bytes", async () => {
    stub.queue(() => new Response("0123456789", { headers: { "content-type": "video/mp4", etag: '"v1"' } }));
    const opened = await developer.open({ url: `${BASE}/v1beta/files/abc` }, null, signal);
    expect(await new Response(opened.body).text()).toBe("0123456789");
    expect(stub.calls[0]?.url).toBe(`${BASE}/v1beta/files/abc?alt=media`);
    expect(stub.calls[0]?.headers.get("x-goog-api-key")).toBe(KEY);
  });

  it("asks for the interaction again to open what is inside its reply", async () => {
    const steps = [{ content: [{ data: btoa("image") }] }, { content: [{ type: "video", data: btoa("video") }] }];
    stub.reply(200, { id: ID, steps });
    const opened = await developer.open(source, { offset: 2, validator: '"v1"' }, signal);
    expect(opened).toMatchObject({ offset: 0, length: null, validator: null });
    expect(await new Response(opened.body).text()).toBe("video");
    expect(stub.calls[0]).toMatchObject({ url: `${BASE}/v1beta/interactions/${ID}`, method: "GET" });
  });

  it.each([{ uri: "x" }, { inline: "x", operation }, { inline: [], operation: { id: ".." } }, null] as Json[])(
    "refuses the source %j, which is not its own",
    async (handle) => {
      await expect(developer.open(handle, null, signal)).rejects.toThrow();
      expect(stub.calls).toHaveLength(0);
    },
  );

  it.each(["http://10.0.0.1/v.mp4", "https://169.254.169.254/", "file:///etc/passwd", "gs://b/o.mp4"])(
    "refuses %s",
    async (url) => {
      expect(await thrownBy(developer.open({ url }, null, signal))).toMatchObject({
        name: "RefusedError",
        reason: "upstream_invalid_result",
      });
      expect(stub.calls).toHaveLength(0);
    },
  );
});

describe("what is thrown", () => {
  const says = "CANARY-text at canary.upstream.example for canary-id-1";
  const planted = {
    id: says,
    status: 7,
    error: { code: "CANARY-text", status: says, message: says, details: [{ reason: says, retryDelay: says }] },
    errors: [{ message: says }],
  };
  const expectNoCanary = (thrown: unknown) => expect(spread(thrown)).not.toMatch(/canary|AIza-upstream|upstream\.example/i);
  const caught = async (work: Promise<unknown>) => work.catch((thrown: unknown) => thrown);

  it.each([200, 302, 400, 401, 402, 403, 404, 409, 410, 418, 422, 429, 500, 502, 503, 504])(
    "carries nothing of a %i",
    async (status) => {
      for (const body of [planted, [planted], says]) {
        const headers = { location: "https://canary.upstream.example/", "retry-after": says };
        stub.reply(status, body, headers);
        expectNoCanary(await thrownBy(developer.submit(aJob(), signal)));
        stub.reply(status, body, headers);
        expectNoCanary(await caught(developer.poll(operation, signal)));
        stub.reply(status, body, headers);
        expectNoCanary(await caught(Promise.resolve(developer.cancel?.(operation, signal))));
        stub.reply(status, body, headers);
        expectNoCanary(await caught(developer.open({ inline: ["steps", 0], operation }, null, signal)));
      }
    },
  );

  it("carries nothing of a connection's own error, nor of a download", async () => {
    expectNoCanary(await thrownBy(developer.submit(aJob(), signal)));
    expectNoCanary(await thrownBy(developer.poll(operation, signal)));
    for (const status of [200, 302, 400, 403, 500]) {
      stub.reply(status, planted, { location: "http://canary.upstream.example/" });
      expectNoCanary(await thrownBy(developer.open({ url: "https://canary.upstream.example/canary-id-1.mp4" }, null, signal)));
    }
  });
});
