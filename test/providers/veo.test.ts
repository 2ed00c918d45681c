import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Json } from "../../src/core/json.ts";
import { MODEL_NAMES, type ModelName } from "../../src/core/models.ts";
import { RefusedError, RetryableError } from "../../src/core/upstream-errors.ts";
import { base64, CUT } from "../../src/providers/inline-video.ts";
import { baseUrlOf, MODELS, modelsOf, veo, VERTEX_MODELS } from "../../src/providers/veo.ts";
import { aServiceAccount, spread, stubFetch, thrownBy, TOKEN, type Stub } from "../support/google-stub.ts";
import { aJob, anUpstream } from "../support/upstreams.ts";

const KEY = "AIza-upstream-secret";
const BASE = "https://upstream.example";
const HTML = "<html><title>502 Bad Gateway</title></html>";
const signal = new AbortController().signal;
const developer = veo(anUpstream({ baseUrl: BASE, credential: KEY }));
const credential = aServiceAccount();
const STORAGE = "gs://reelay-videos/out/";
const vertex = veo(anUpstream({ baseUrl: BASE, credential, storageUri: STORAGE, region: "europe-west4" }));
const NAME = "models/veo-3.1/operations/abc";
const VERTEX_MODEL = "projects/reelay-test/locations/europe-west4/publishers/google/models/veo-3.1-generate-001";
const VERTEX_NAME = `${VERTEX_MODEL}/operations/0f1e2d3c`;
const operation = { name: NAME };
const bytes = new Uint8Array([0x89, 0x50, 0x4e, 0x47]);
const images = (count: number) => ({
  images: Array.from({ length: count }, (_, n) => ({
    url: `https://example.com/${n}.png`,
    file: { bytes: new Uint8Array([...bytes, n]), mimeType: "image/png" as const },
  })),
});
const wireImage = (n: number) => ({ bytesBase64Encoded: base64(new Uint8Array([...bytes, n])), mimeType: "image/png" });

let stub: Stub;
beforeEach(() => {
  stub = stubFetch();
});
afterEach(() => void vi.restoreAllMocks());

/** Signs in where that is still to be done, and forgets that it did. */
async function signedIn(): Promise<void> {
  stub.reply(200, TOKEN);
  stub.reply(200, { name: VERTEX_NAME });
  await vertex.poll({ name: VERTEX_NAME }, signal).catch(() => undefined);
  stub = stubFetch();
}

describe("traits and defaults", () => {
  it("says what it does", () => {
    expect(developer.traits).toEqual({ images: "inline", callback: "none", idempotentCreate: false, retentionMs: 48 * 3_600_000 });
    expect(veo(anUpstream({ honoursIdempotencyKey: true })).traits.idempotentCreate).toBe(true);
    expect(veo(anUpstream({ credential: aServiceAccount() })).traits.retentionMs).toBeNull();
    expect(developer).not.toHaveProperty("cancel");
  });

  it("has a model for each of ours, and a place", () => {
    for (const models of [MODELS, VERTEX_MODELS]) expect(Object.keys(models).toSorted()).toEqual([...MODEL_NAMES].toSorted());
    expect(modelsOf(KEY)).toBe(MODELS);
    expect(modelsOf('{"type":"service_account"}')).toBe(VERTEX_MODELS);
    expect(baseUrlOf(KEY, null)).toBe("https://generativelanguage.googleapis.com");
    expect(baseUrlOf(credential, null)).toBe("https://us-central1-aiplatform.googleapis.com");
    expect(baseUrlOf(credential, "global")).toBe("https://aiplatform.googleapis.com");
  });
});

describe("submit", () => {
  const least = { sampleCount: 1, durationSeconds: 8 };

  it("sends the least that says what was asked for", async () => {
    stub.reply(200, operation);
    expect(await developer.submit(aJob({}, { model: "veo-3.1-generate-preview" }), signal)).toEqual({ operation, prompt: null });
    expect(stub.calls).toEqual([
      {
        url: `${BASE}/v1beta/models/veo-3.1-generate-preview:predictLongRunning`,
        method: "POST",
        headers: expect.any(Headers),
        body: { instances: [{ prompt: "a lake" }], parameters: least },
      },
    ]);
    expect(Object.fromEntries(stub.calls[0]?.headers ?? [])).toEqual({ "x-goog-api-key": KEY, "content-type": "application/json" });
  });

  it("sends it to Vertex with a token, a bucket and sound", async () => {
    await signedIn();
    stub.reply(200, { name: VERTEX_NAME });
    expect((await vertex.submit(aJob({}, { model: "veo-3.1-generate-001" }), signal)).operation).toEqual({ name: VERTEX_NAME });
    expect(stub.calls[0]).toMatchObject({
      url: `${BASE}/v1/${VERTEX_MODEL}:predictLongRunning`,
      body: { instances: [{ prompt: "a lake" }], parameters: { ...least, generateAudio: true, storageUri: STORAGE } },
    });
    expect(stub.calls[0]?.headers.get("authorization")).toBe("Bearer ya29.token-1");
    expect(stub.calls[0]?.headers.has("x-goog-api-key")).toBe(false);
  });

  it.each([
    [{ aspectRatio: "9:16" }, "veo-3.1", { ...least, aspectRatio: "9:16" }],
    [{ aspectRatio: "16:9" }, "veo-3.1", { ...least, aspectRatio: "16:9" }],
    [{ upsample: true }, "veo-3.1", { ...least, resolution: "1080p" }],
    [{ upsample: true }, "veo-2.0-generate-001", least],
    [{ enhancePrompt: true }, "veo-3.1", least],
    [{ enhancePrompt: true }, "veo-2.0-generate-001", least],
  ] as const)("maps %j for %s", async (generation, model, parameters) => {
    stub.reply(200, operation);
    await developer.submit(aJob(generation, { model }), signal);
    expect(stub.calls[0]?.body).toEqual({ instances: [{ prompt: "a lake" }], parameters });
  });

  it.each([
    [true, "a lake", "veo-2.0-generate-001", true],
    [false, "a lake", "veo-2.0-generate-001", false],
    [true, "a lake at dawn", "veo-2.0-generate-001", false],
    [false, "a lake", "veo-3.1-generate-001", undefined],
    [true, "a lake", "veo-3.1-generate-001", undefined],
  ])("with enhance_prompt %j and the prompt %j tells %s on Vertex: %j", async (enhancePrompt, prompt, model, expected) => {
    await signedIn();
    stub.reply(200, { name: VERTEX_NAME });
    await vertex.submit(aJob({ enhancePrompt }, { prompt, model }), signal);
    const { instances, parameters } = stub.sent<{ instances: object[]; parameters: Record<string, unknown> }>();
    expect(instances).toEqual([{ prompt }]);
    expect(parameters["enhancePrompt"]).toBe(expected);
    expect("generateAudio" in parameters).toBe(model.startsWith("veo-3"));
  });

  it.each([
    ["veo2-fast-frames", 0, {}],
    ["veo2-fast-frames", 1, { image: wireImage(0) }],
    ["veo2-fast-frames", 2, { image: wireImage(0), lastFrame: wireImage(1) }],
    ["veo3-pro-frames", 1, { image: wireImage(0) }],
    ["veo2-fast-components", 1, { referenceImages: [{ image: wireImage(0), referenceType: "ASSET" }] }],
    ["veo2-fast-components", 3, { referenceImages: [0, 1, 2].map((n) => ({ image: wireImage(n), referenceType: "ASSET" })) }],
  ] as [ModelName, number, object][])("sends %s %i images along", async (model, count, expected) => {
    stub.reply(200, operation);
    await developer.submit(aJob({ model }, { model: "veo-3.1", ...images(count) }), signal);
    expect(stub.calls[0]?.body).toMatchObject({ instances: [{ prompt: "a lake", ...expected }] });
    expect(Object.keys(stub.sent<{ instances: [object] }>().instances[0]).toSorted()).toEqual(
      ["prompt", ...Object.keys(expected)].toSorted(),
    );
  });

  it("sends an idempotency key where the operator says that the server honours it", async () => {
    stub.reply(200, operation);
    await veo(anUpstream({ honoursIdempotencyKey: true })).submit(aJob({}, { reference: "veo3:1-a/2" }), signal);
    expect(stub.calls[0]?.headers.get("idempotency-key")).toBe("veo3:1-a/2");
  });

  it("lets fetch follow no redirect, and passes the time limit on", async () => {
    stub.reply(200, operation);
    await developer.submit(aJob(), signal);
    expect(vi.mocked(fetch).mock.calls[0]?.[1]).toMatchObject({ redirect: "manual", signal });
  });

  it.each([
    ["models/veo-3.1-generate-preview/operations/abc123"],
    ["operations/0f1e2d3c-4b5a"],
    ["models/veo~3:1/operations/a.b_c-d@e"],
  ])("takes the operation %s", async (name) => {
    stub.reply(200, { name });
    expect((await developer.submit(aJob(), signal)).operation).toEqual({ name });
  });

  const error = (code: number, message: string, status = "") => ({ error: { code, message, status } });
  it.each([
    [400, error(400, "not supported", "INVALID_ARGUMENT"), new RefusedError("task", "upstream_rejected")],
    [400, error(400, "sensitive words. Support codes: 58061214"), new RefusedError("task", "content_policy")],
    [400, error(400, "API key not valid."), new RetryableError("unauthorized", 60_000)],
    [401, error(401, "x"), new RetryableError("unauthorized", 60_000)],
    [402, error(402, "x"), new RetryableError("out_of_credit", 60_000)],
    [403, error(403, "x"), new RefusedError("key", "upstream_rejected")],
    [404, [error(404, "is no longer available")], new RefusedError("route", "upstream_rejected")],
    [404, HTML, new RefusedError("route", "upstream_rejected")],
    [429, error(429, "x"), new RetryableError("rate_limited")],
    [503, error(503, "overloaded"), new RetryableError("unavailable")],
  ])("is refused by %i with %j", async (status, body, thrown) => {
    stub.reply(status, body);
    expect(await thrownBy(developer.submit(aJob(), signal))).toEqual(thrown);
    expect(stub.calls).toHaveLength(1);
  });

  it.each([
    [200, {}],
    [200, { name: "" }],
    [200, { name: 7 }],
    [200, { name: "../../admin" }],
    [200, { name: "models/../operations/x" }],
    [200, { name: "models//operations/x" }],
    [200, { name: "/models/x" }],
    [200, { name: "operations/x?key=1" }],
    [200, { name: "operations/x#y" }],
    [200, { name: "operations/%2e%2e" }],
    [200, { name: "https://elsewhere.example/operations/x" }],
    [200, { name: "operations/<script>alert(1)</script>" }],
    [200, { name: "x".repeat(1_025) }],
    [200, error(400, "sensitive words")],
    [200, []],
    [200, null],
    [200, HTML],
    [302, operation],
    [408, HTML],
    [409, HTML],
    [500, error(500, "unsafe")],
    [502, HTML],
    [503, HTML],
    [504, error(504, "x")],
  ])("is of unknown outcome after %i with %j", async (status, body) => {
    stub.reply(status, body, { location: "https://elsewhere.example/" });
    expect(await thrownBy(developer.submit(aJob(), signal))).toMatchObject({ name: "UnclearReplyError" });
    expect(stub.calls).toHaveLength(1);
  });

  it.each(["models/veo/operations/x", "projects/p/operations/x", `${VERTEX_MODEL}/x`])(
    "cannot ask Vertex for %s, so that the outcome is unknown",
    async (name) => {
      await signedIn();
      stub.reply(200, { name });
      expect(await thrownBy(vertex.submit(aJob(), signal))).toMatchObject({ name: "UnclearReplyError" });
    },
  );

  it("is of unknown outcome after a connection that fails", async () => {
    expect(await thrownBy(developer.submit(aJob(), signal))).toMatchObject({ name: "ConnectionError" });
    expect(await thrownBy(developer.submit(aJob(), AbortSignal.abort()))).toMatchObject({ name: "TimeoutError" });
  });

  it("asks nobody for a video without an image that it was to have", async () => {
    const job = aJob({ model: "veo3-pro-frames", images: ["https://example.com/1.png"] });
    await expect(developer.submit(job, signal)).rejects.toThrow("an image was not fetched");
    expect(stub.calls).toHaveLength(0);
  });
});

describe("poll", () => {
  const poll = () => developer.poll(operation, signal);
  const done = (response: unknown) => ({ name: NAME, done: true, response });
  const uri = `${BASE}/v1beta/files/abc:download?alt=media`;
  const found = { status: "succeeded", source: { url: uri } };
  const inline = (...path: (string | number)[]) => ({ status: "succeeded", source: { inline: path, operation } });

  it("asks for the operation by its name", async () => {
    stub.reply(200, operation);
    await poll();
    expect(stub.calls[0]).toMatchObject({ url: `${BASE}/v1beta/${NAME}`, method: "GET", body: null });
    expect(stub.calls[0]?.headers.get("x-goog-api-key")).toBe(KEY);
  });

  it("asks Vertex by POST, of the operation's model", async () => {
    await signedIn();
    stub.reply(200, { name: VERTEX_NAME });
    await vertex.poll({ name: VERTEX_NAME }, signal);
    expect(stub.calls[0]).toMatchObject({
      url: `${BASE}/v1/${VERTEX_MODEL}:fetchPredictOperation`,
      method: "POST",
      body: { operationName: VERTEX_NAME },
    });
  });

  it.each([
    [{ name: NAME }],
    [{ name: NAME, done: false }],
    [{ name: NAME, metadata: { "@type": "x" } }],
    [{ name: NAME, done: "perhaps" }],
    [{ name: NAME, done: null, response: null, error: null }],
    [{ name: NAME, done: false, error: { code: 0, message: "" } }],
    [{ name: NAME, response: { videos: [{ uri: "x" }] } }],
  ])("takes %j for running", async (body) => {
    stub.reply(200, body, { "retry-after": "20" });
    expect(await poll()).toEqual({ status: "running", retryAfterMs: 20_000 });
  });

  it.each([
    [done({ generateVideoResponse: { generatedSamples: [{ video: { uri } }] } }), found],
    [{ ...done({ generateVideoResponse: { generatedSamples: [{ video: { uri } }] } }), done: "true" }, found],
    [{ ...done({ generateVideoResponse: { generatedSamples: [{ video: { uri } }] } }), error: { code: 0 } }, found],
    [done({ generateVideoResponse: { generatedSamples: [null, {}, { video: "x" }, { video: { uri } }] } }), found],
    [done({ generateVideoResponse: { generatedSamples: [{ video: { uri } }], raiMediaFilteredCount: 1 } }), found],
    [done({ generatedSamples: [{ video: { uri } }] }), found],
    [done({ generatedVideos: [{ video: { uri } }] }), found],
    [done({ videos: [{ uri }] }), found],
    [
      done({ videos: [{ gcsUri: "gs://b/o.mp4", mimeType: "video/mp4" }] }),
      { status: "succeeded", source: { url: "gs://b/o.mp4" } },
    ],
    [done({ videos: [{ bytesBase64Encoded: "AAAA" }] }), inline("response", "videos", 0, "bytesBase64Encoded")],
    [done({ videos: [{}, { bytesBase64Encoded: CUT }] }), inline("response", "videos", 1, "bytesBase64Encoded")],
    [
      done({ generateVideoResponse: { generatedSamples: [{ video: { encodedVideo: "AAAA" } }] } }),
      inline("response", "generateVideoResponse", "generatedSamples", 0, "video", "encodedVideo"),
    ],
    [
      done({ generatedVideos: [{ video: { videoBytes: "AAAA" } }] }),
      inline("response", "generatedVideos", 0, "video", "videoBytes"),
    ],
    [done({ generateVideoResponse: { raiMediaFilteredCount: 1 } }), { status: "failed", by: "task", reason: "content_policy" }],
    [
      done({ generateVideoResponse: { raiMediaFilteredReasons: ["issue with the audio"] } }),
      { status: "failed", by: "route", reason: "content_policy" },
    ],
    [done({ raiMediaFilteredCount: "1", videos: [] }), { status: "failed", by: "task", reason: "content_policy" }],
    [done({ raiMediaFilteredReasons: ["Support codes: 1"] }), { status: "failed", by: "task", reason: "content_policy" }],
    [done({ raiMediaFilteredCount: 0, raiMediaFilteredReasons: [], videos: [] }), { status: "empty" }],
    [done({}), { status: "empty" }],
    [done(null), { status: "empty" }],
    [done("x"), { status: "empty" }],
    [done({ videos: "x", generateVideoResponse: [] }), { status: "empty" }],
    [done({ videos: [{ uri: "" }, { uri: 7 }, { bytesBase64Encoded: "" }] }), { status: "empty" }],
    [{ name: NAME, done: true }, { status: "empty" }],
    [{ name: NAME, done: "true" }, { status: "empty" }],
    [{ name: NAME, done: 1 }, { status: "empty" }],
    [
      { name: NAME, done: 0 },
      { status: "running", retryAfterMs: null },
    ],
  ])("reads %j as %j", async (body, result) => {
    stub.reply(200, body);
    expect(await poll()).toEqual(result);
  });

  it.each([
    [{ code: 3, message: "The prompt could not be submitted. Support codes: 1" }, "task", "content_policy"],
    [{ code: 13, message: "violates our policies" }, "task", "content_policy"],
    [{ code: 13, message: "We encountered an issue with the audio for your prompt" }, "route", "content_policy"],
    [{ code: 3, message: "Veo 3 prompt enhancement cannot be disabled." }, "task", "upstream_rejected"],
    [{ code: 3, message: "Unable to decode the image" }, "task", "image_invalid"],
    [{ code: 8, message: "x" }, "route", "upstream_rejected"],
    [{ code: 13, message: "x" }, "route", "upstream_rejected"],
    [{ code: 14, message: "x" }, "route", "upstream_rejected"],
    [{ code: "INTERNAL", message: "x" }, "route", "upstream_rejected"],
    [{ code: 1, message: "cancelled" }, "task", "cancelled"],
    [{ code: 9 }, "task", "upstream_rejected"],
    [{ code: 11, message: "out of range" }, "task", "upstream_rejected"],
    [{ code: 9, message: "The service agent has no permission on the bucket" }, "route", "upstream_rejected"],
    [{ message: "something" }, "route", "upstream_rejected"],
    [{ code: 4, message: "x" }, "route", "timeout"],
    [{ code: 504, message: "x" }, "route", "timeout"],
    [{ code: "DEADLINE_EXCEEDED" }, "route", "timeout"],
  ])("takes the failure %j for the %s's, %s", async (error, by, reason) => {
    stub.reply(200, { name: NAME, done: true, error });
    expect(await poll()).toEqual({ status: "failed", by, reason });
  });

  it.each([{ code: 5 }, { code: 404 }, { code: "NOT_FOUND" }, { code: 9, status: "NOT_FOUND" }])(
    "takes %j for a job that is not known",
    async (error) => {
      stub.reply(200, { name: NAME, done: true, error });
      expect(await poll()).toEqual({ status: "missing" });
    },
  );

  it("takes a 404 in Google's words for a job that is not known", async () => {
    stub.reply(404, { error: { code: 404, message: "x" } });
    expect(await poll()).toEqual({ status: "missing" });
  });

  const error = (code: number, message: string, status = "") => ({ error: { code, message, status } });
  it.each([
    [400, error(400, "API key not valid."), "unauthorized", 60_000],
    [400, error(400, "User location is not supported", "FAILED_PRECONDITION"), "unauthorized", 60_000],
    [401, {}, "unauthorized", 60_000],
    [403, HTML, "unauthorized", 60_000],
    [402, {}, "out_of_credit", 60_000],
    [429, error(429, "quota"), "rate_limited", 3_000],
    [429, error(429, "prepayment credits are depleted"), "out_of_credit", 60_000],
    [408, HTML, "unavailable", 3_000],
    [500, error(500, "unsafe"), "unavailable", 3_000],
    [503, HTML, "unavailable", 3_000],
    [504, {}, "unavailable", 3_000],
  ] as const)("asks again after %i with %j", async (status, body, code, retryAfterMs) => {
    stub.reply(status, body, { "retry-after": "3" });
    expect(await thrownBy(poll())).toEqual(new RetryableError(code, retryAfterMs));
  });

  it.each([
    [404, HTML],
    [400, error(400, "unsafe")],
    [200, {}],
    [200, []],
    [200, null],
    [200, HTML],
    [200, error(400, "unsafe")],
    [302, operation],
    [418, {}],
  ])("makes nothing of %i with %j, and fails no task for it", async (status, body) => {
    stub.reply(status, body, { location: "https://elsewhere.example/" });
    expect(await thrownBy(poll())).toMatchObject({ name: "UnclearReplyError" });
    expect(stub.calls).toHaveLength(1);
  });

  it.each([{ id: 1 }, { name: "../x" }, { name: "a/../../x" }, { name: "x?y" }, null] as Json[])(
    "refuses the operation %j, which is not its own",
    async (handle) => {
      await expect(developer.poll(handle, signal)).rejects.toThrow();
      expect(stub.calls).toHaveLength(0);
    },
  );

  it("keeps a video of megabytes out of what is stored", async () => {
    stub.reply(200, done({ videos: [{ bytesBase64Encoded: "A".repeat(3 * 1024 * 1024) }] }));
    expect(await poll()).toEqual(inline("response", "videos", 0, "bytesBase64Encoded"));
  });
});

describe("open", () => {
  const source = { inline: ["response", "videos", 0, "bytesBase64Encoded"], operation };

  it("opens a URL", async () => {
    stub.queue(() => new Response("0123456789", { headers: { "content-type": "video/mp4", etag: '"v1"' } }));
    const opened = await developer.open({ url: `${BASE}/v1beta/files/abc:download?alt=media` }, null, signal);
    expect(opened).toMatchObject({ offset: 0, validator: '"v1"' });
    expect(await new Response(opened.body).text()).toBe("0123456789");
  });

  it("asks for the operation again to open what is inside its reply", async () => {
    stub.reply(200, { name: NAME, done: true, response: { videos: [{ bytesBase64Encoded: btoa("video") }] } });
    const opened = await developer.open(source, { offset: 2, validator: '"v1"' }, signal);
    expect(opened).toMatchObject({ offset: 0, length: null, validator: null });
    expect(await new Response(opened.body).text()).toBe("video");
    expect(stub.calls[0]).toMatchObject({ url: `${BASE}/v1beta/${NAME}`, method: "GET" });
  });

  it("asks Vertex again by POST", async () => {
    await signedIn();
    stub.reply(200, { done: true, response: { videos: [{ bytesBase64Encoded: btoa("video") }] } });
    await vertex.open({ ...source, operation: { name: VERTEX_NAME } }, null, signal);
    expect(stub.calls[0]).toMatchObject({ method: "POST", body: { operationName: VERTEX_NAME } });
  });

  it.each([{ uri: "x" }, { inline: "x", operation }, { inline: [], operation: { name: "../x" } }, null] as Json[])(
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
    name: says,
    done: true,
    error: { code: 418, status: "CANARY-text", message: says, details: [{ reason: says, retryDelay: says }] },
  };
  const expectNoCanary = (thrown: unknown) => expect(spread(thrown)).not.toMatch(/canary|AIza-upstream|upstream\.example/i);
  const caught = async (work: Promise<unknown>) => work.catch((error: unknown) => error);

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
        expectNoCanary(await caught(developer.open({ inline: ["name", 0], operation }, null, signal)));
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
