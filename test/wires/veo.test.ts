// Veo over real sockets, in both of its forms. Google's own client drives the emulator first, so that what our adapter is tested against
// is what that client takes for Google.
import { readFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GoogleGenAI as GoogleGenAI3 } from "@google/genai";
import { GoogleGenAI as GoogleGenAI2, type GenerateVideosParameters } from "google-genai-2";
import { afterEach, describe, expect, it } from "vitest";
import type { Json } from "../../src/core/json.ts";
import type { Job } from "../../src/ports.ts";
import { veo } from "../../src/providers/veo.ts";
import { startGoogleEmulator, type EmulatorOptions, type GoogleEmulator, type SeenRequest } from "../support/emulators/google.ts";
import { PUBLIC_KEY, serviceAccountJson } from "../support/emulators/google-credentials.ts";
import { aJob, anUpstream } from "../support/upstreams.ts";

const KEY = "AIza-upstream-secret";
const CLIP_BYTES = 146_831;
const STORAGE = "gs://reelay-videos/out/";
const PNG = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 1, 2, 3]);
const IMAGE = { imageBytes: Buffer.from(PNG).toString("base64"), mimeType: "image/png" };
const FORMS = ["developer", "vertex"] as const;
type Form = (typeof FORMS)[number];
const MODEL: Record<Form, string> = { developer: "veo-3.1-generate-preview", vertex: "veo-3.1-generate-001" };

const running: GoogleEmulator[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((emulator) => emulator.close()));
});

async function emulate(options: EmulatorOptions = {}): Promise<GoogleEmulator> {
  const emulator = await startGoogleEmulator({ pollsBeforeDone: 0, ...options });
  running.push(emulator);
  return emulator;
}

async function start(form: Form, { storageUri = STORAGE, ...options }: EmulatorOptions & { storageUri?: string | null } = {}) {
  const emulator = await emulate({ apiKey: KEY, publicKey: PUBLIC_KEY, ...options });
  const credential = form === "developer" ? KEY : serviceAccountJson(emulator.url);
  const provider = veo(anUpstream({ baseUrl: emulator.url, credential, storageUri, allowLoopback: true }));
  const signal = () => AbortSignal.timeout(20_000);
  const submit = async (job: Job = aJob({}, { model: MODEL[form] })) => (await provider.submit(job, signal())).operation;
  const sourceOf = async (operation: Json) => {
    const result = await provider.poll(operation, signal());
    if (result.status !== "succeeded") throw new Error(`not a video: ${result.status}`);
    return result.source;
  };
  const finish = async () => sourceOf(await submit());
  return { emulator, provider, signal, submit, sourceOf, finish, credential };
}

const vertexOptions = (baseUrl: string) => ({
  vertexai: true,
  project: "reelay-test",
  location: "us-central1",
  httpOptions: { baseUrl, apiVersion: "v1" },
  googleAuthOptions: {
    authClient: { getRequestHeaders: async () => new Headers({ authorization: "Bearer ya29.official" }) } as never,
  },
});

async function bytesOf(body: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(body).arrayBuffer());
}

const clip = async () => new Uint8Array(await readFile(new URL("../../src/providers/clips/clip-16x9.mp4", import.meta.url)));

describe("Google's client against the emulator", () => {
  it("2.32.0 takes a job from create to bytes in the Developer API's form", async () => {
    const emulator = await emulate({ apiKey: KEY, pollsBeforeDone: 1 });
    const client = new GoogleGenAI2({ apiKey: KEY, httpOptions: { baseUrl: emulator.url } });
    let operation = await client.models.generateVideos({ model: MODEL.developer, prompt: "a lake" });
    operation = await client.operations.getVideosOperation({ operation });
    expect(operation.done).not.toBe(true);
    operation = await client.operations.getVideosOperation({ operation });
    // The client itself finds a file's name in https URLs only, and ours is on loopback.
    const [file = ""] = /files\/[a-z0-9]+/.exec(operation.response?.generatedVideos?.[0]?.video?.uri ?? "") ?? [];
    const folder = await mkdtemp(join(tmpdir(), "reelay-veo-"));
    await client.files.download({ file, downloadPath: join(folder, "v.mp4") });
    expect((await readFile(join(folder, "v.mp4"))).byteLength).toBe(CLIP_BYTES);
    await rm(folder, { recursive: true });
  });

  it.each([
    ["2.32.0", GoogleGenAI2],
    ["3.1.0", GoogleGenAI3],
  ])("%s takes a job from create to a place in a bucket on Vertex", async (_, Client) => {
    const emulator = await emulate({ pollsBeforeDone: 1 });
    const client = new Client(vertexOptions(emulator.url)) as GoogleGenAI2;
    const config = { outputGcsUri: STORAGE, generateAudio: true };
    let operation = await client.models.generateVideos({ model: MODEL.vertex, prompt: "a lake", config });
    operation = await client.operations.getVideosOperation({ operation });
    operation = await client.operations.getVideosOperation({ operation });
    const uri = operation.response?.generatedVideos?.[0]?.video?.uri ?? "";
    const [, bucket, object] = /^gs:\/\/([^/]+)\/(.+)$/.exec(uri) ?? [];
    const stored = await fetch(`${emulator.url}/storage/v1/b/${bucket}/o/${encodeURIComponent(object ?? "")}?alt=media`);
    expect((await bytesOf(stored.body as ReadableStream<Uint8Array>)).byteLength).toBe(CLIP_BYTES);
  });

  it.each(FORMS)("reads a video inside the reply in the form %s", async (form) => {
    const emulator = await emulate({ script: { query: ["inline"] } });
    const options = form === "vertex" ? vertexOptions(emulator.url) : { apiKey: KEY, httpOptions: { baseUrl: emulator.url } };
    const client = new GoogleGenAI2(options);
    const config = form === "vertex" ? { generateAudio: true } : {};
    let operation = await client.models.generateVideos({ model: MODEL[form], prompt: "a lake", config });
    operation = await client.operations.getVideosOperation({ operation });
    const bytes = operation.response?.generatedVideos?.[0]?.video?.videoBytes ?? "";
    expect(Buffer.from(bytes, "base64").byteLength).toBe(CLIP_BYTES);
  });
});

describe.each(FORMS)("veo in the form %s", (form) => {
  const isVertex = form === "vertex";
  const without = (path: string) => path.replace(/[0-9a-f-]{36}/g, "ID");
  const sent = (emulator: GoogleEmulator, call: "create" | "query" | "download") =>
    emulator.requests(call).map(({ method, path, body }: SeenRequest) => ({
      method,
      path: without(path),
      body: JSON.parse(without(JSON.stringify(body))) as unknown,
    }));

  const files = (count: number) => ({
    images: Array.from({ length: count }, (_, n) => ({
      url: `https://example.com/${n}.png`,
      file: { bytes: PNG, mimeType: "image/png" as const },
    })),
  });
  const reference = { image: IMAGE, referenceType: "ASSET" };
  it.each([
    ["a prompt", aJob(), { prompt: "a lake" }],
    ["an aspect ratio", aJob({ aspectRatio: "9:16" }), { prompt: "a lake", config: { aspectRatio: "9:16" } }],
    ["upsampling", aJob({ upsample: true }), { prompt: "a lake", config: { resolution: "1080p" } }],
    ["a first frame", aJob({ model: "veo3-pro-frames" }, files(1)), { prompt: "a lake", image: IMAGE }],
    ["two frames", aJob({ model: "veo2-fast-frames" }, files(2)), { prompt: "a lake", image: IMAGE, config: { lastFrame: IMAGE } }],
    [
      "components",
      aJob({ model: "veo2-fast-components" }, files(3)),
      { prompt: "a lake", config: { referenceImages: [reference, reference, reference] } },
    ],
  ] as [string, Job, Partial<GenerateVideosParameters>][])("asks as Google's client does, with %s", async (_, job, params) => {
    const theirs = await emulate();
    const options = isVertex ? vertexOptions(theirs.url) : { apiKey: KEY, httpOptions: { baseUrl: theirs.url } };
    const client = new GoogleGenAI2(options);
    const always = { numberOfVideos: 1, durationSeconds: 8, ...(isVertex ? { generateAudio: true, outputGcsUri: STORAGE } : {}) };
    const operation = await client.models.generateVideos({
      ...params,
      model: MODEL[form],
      config: { ...always, ...params.config },
    });
    await client.operations.getVideosOperation({ operation });
    const ours = await start(form);
    await ours.sourceOf(await ours.submit({ ...job, model: MODEL[form] }));
    expect(sent(ours.emulator, "create")).toEqual(sent(theirs, "create"));
    expect(sent(ours.emulator, "query")).toEqual(sent(theirs, "query"));
    const [mine, other] = [ours.emulator, theirs].map((each) => each.requests("create")[0]?.headers);
    if (!isVertex) expect(mine?.["x-goog-api-key"]).toBe(other?.["x-goog-api-key"]);
    expect(mine?.["content-type"]).toBe(other?.["content-type"]);
  });

  it("takes a job from submit to bytes", async () => {
    const { emulator, provider, signal, submit, sourceOf } = await start(form, {
      pollsBeforeDone: 1,
      script: { query: ["not-found-just-after-create"] },
    });
    const operation = await submit();
    expect(await provider.poll(operation, signal())).toEqual({ status: "missing" });
    expect(await provider.poll(operation, signal())).toMatchObject({ status: "running" });
    const source = await sourceOf(operation);
    expect(JSON.stringify(source).length).toBeLessThan(512);
    const video = await provider.open(source, null, signal());
    expect(video).toMatchObject({ length: CLIP_BYTES, offset: 0, validator: '"v1"' });
    expect(Buffer.compare(await bytesOf(video.body), await clip())).toBe(0);
    expect(emulator.jobs()).toBe(1);
    // One sign-in serves them all.
    expect(emulator.requests("token")).toHaveLength(isVertex ? 1 : 0);
  });

  it("resumes where it was told to", async () => {
    const { provider, finish, signal } = await start(form);
    const rest = await provider.open(await finish(), { offset: 100_000, validator: '"v1"' }, signal());
    expect(rest).toMatchObject({ offset: 100_000, length: CLIP_BYTES - 100_000 });
    expect((await bytesOf(rest.body)).byteLength).toBe(CLIP_BYTES - 100_000);
  });

  it("reads a video of more than the limit of replies from inside one, without holding it", async () => {
    const video = crypto.getRandomValues(new Uint8Array(48 * 1024));
    const large = new Uint8Array(64 * video.byteLength).map((_, at) => video[at % video.byteLength] ?? 0);
    const { provider, submit, sourceOf, signal } = await start(form, {
      storageUri: null,
      video: large,
      script: { query: ["inline", "inline"] },
    });
    const source = await sourceOf(await submit());
    expect(JSON.stringify(source).length).toBeLessThan(512);
    const opened = await provider.open(source, null, signal());
    expect(opened).toMatchObject({ length: null, offset: 0, validator: null });
    expect(Buffer.compare(await bytesOf(opened.body), large)).toBe(0);
  });

  it.each([
    [
      "error:400:INVALID_ARGUMENT:Your use case is currently not supported",
      0,
      { name: "RefusedError", by: "task", reason: "upstream_rejected" },
    ],
    ["error:400:INVALID_ARGUMENT:sensitive words. Support codes: 58061214", 0, { name: "RefusedError", reason: "content_policy" }],
    [
      "error:400:FAILED_PRECONDITION:User location is not supported for the API use.",
      0,
      { name: "RetryableError", code: "unauthorized" },
    ],
    ["error:404:NOT_FOUND:This model is no longer available.", 0, { name: "RefusedError", by: "model" }],
    [
      "error:429:RESOURCE_EXHAUSTED:You exceeded your current quota, please check your plan and billing details.",
      0,
      { name: "RetryableError", code: "rate_limited" },
    ],
    ["error:503:UNAVAILABLE:The model is overloaded.", 0, { name: "RetryableError", code: "unavailable" }],
    ["error:500:INTERNAL:An internal error has occurred.", 0, { name: "UnclearReplyError" }],
  ] as const)("a submit answered by %s makes %i jobs and throws %j", async (instruction, jobs, error) => {
    const { emulator, provider, signal } = await start(form, { script: { create: [instruction] } });
    await expect(provider.submit(aJob({}, { model: MODEL[form] }), signal())).rejects.toMatchObject(error);
    expect([emulator.requests("create").length, emulator.jobs()]).toEqual([1, jobs]);
  });

  it.each([
    [["error:503:UNAVAILABLE:overloaded", "retry-after:7"], { name: "RetryableError", code: "unavailable", retryAfterMs: 7_000 }],
    [["error:429:RESOURCE_EXHAUSTED:quota", "list"], { name: "RetryableError", code: "rate_limited" }],
  ] as const)("a poll answered by %j throws %j", async (instructions, error) => {
    const { provider, submit, signal } = await start(form, { script: { query: [instructions] } });
    await expect(provider.poll(await submit(), signal())).rejects.toMatchObject(error);
  });

  it.each([
    ["running", { status: "running" }],
    ["filtered", { status: "failed", by: "task", reason: "content_policy" }],
    ["audio-filtered", { status: "failed", by: "route", reason: "content_policy" }],
    ["no-video", { status: "empty" }],
    [
      "failure:3:The prompt could not be submitted. Support codes: 58061214",
      { status: "failed", by: "task", reason: "content_policy" },
    ],
    ["failure:3:Veo 3 prompt enhancement cannot be disabled.", { status: "failed", by: "task", reason: "upstream_rejected" }],
    ["failure:8:Resource has been exhausted", { status: "failed", by: "route", reason: "upstream_rejected" }],
    ["failure:13:Internal error", { status: "failed", by: "route", reason: "upstream_rejected" }],
    ["failure:14:Unavailable", { status: "failed", by: "route", reason: "upstream_rejected" }],
  ] as const)("a poll answered by %s is read as %j", async (instruction, result) => {
    const { provider, submit, signal } = await start(form, { script: { query: [instruction] } });
    expect(await provider.poll(await submit(), signal())).toMatchObject(result);
  });

  it.each([
    ["error:410:GONE:gone", "AssetGoneError"],
    ["error:404:NOT_FOUND:gone", "AssetGoneError"],
    ["error:503:UNAVAILABLE:later", "UnclearReplyError"],
  ] as const)("a download answered by %s throws %s", async (instruction, name) => {
    const { provider, finish, signal } = await start(form, { script: { download: [instruction] } });
    await expect(provider.open(await finish(), null, signal())).rejects.toMatchObject({ name });
  });

  it("carries the key to no other origin", async () => {
    const other = await start("developer", { apiKey: "another" });
    const { emulator, provider, finish, signal } = await start(form, {
      script: { download: [`redirect:${other.emulator.url}/v1beta/files/x:download?alt=media`] },
    });
    await expect(provider.open(await finish(), null, signal())).rejects.toMatchObject({ name: "UnclearReplyError" });
    const own = emulator.requests("download")[0]?.headers;
    expect(own?.["x-goog-api-key"] ?? own?.authorization).toMatch(isVertex ? /^Bearer ya29/ : KEY);
    const there = other.emulator.requests("download");
    expect(there).toHaveLength(1);
    expect(there[0]?.headers).not.toHaveProperty("x-goog-api-key");
    expect(there[0]?.headers).not.toHaveProperty("authorization");
  });

  it("lets a video that is cut short inside its reply fail where it is read", async () => {
    const script = { query: ["inline", ["inline", "truncate"]] } as const;
    const { provider, finish, signal } = await start(form, { storageUri: null, script });
    const video = await provider.open(await finish(), null, signal());
    await expect(bytesOf(video.body)).rejects.toMatchObject({ name: "ConnectionError" });
  });
});

describe("a service account", () => {
  it("signs in anew when its token is refused, and submits once", async () => {
    const { emulator, provider, signal, submit, sourceOf } = await start("vertex");
    await submit();
    emulator.revokeTokens();
    const operation = await submit();
    expect([emulator.jobs(), emulator.requests("token").length]).toEqual([2, 2]);
    emulator.revokeTokens();
    const source = await sourceOf(operation);
    emulator.revokeTokens();
    await expect(provider.open(source, null, signal())).rejects.toMatchObject({ name: "UnclearReplyError" });
    const video = await provider.open(source, null, signal());
    expect((await bytesOf(video.body)).byteLength).toBe(CLIP_BYTES);
    expect(emulator.requests("token")).toHaveLength(4);
  });

  it.each([
    "reset",
    "return-500-html",
    "error:429:RESOURCE_EXHAUSTED:slow down",
    "bad-json",
    "error:400:invalid_grant:clock",
    "redirect:https://elsewhere.example/token",
  ] as const)("asks for no video when its sign-in is answered by %s, so that it may be tried again", async (instruction) => {
    const { emulator, provider, signal } = await start("vertex", { script: { token: [instruction] } });
    const job = aJob({}, { model: MODEL.vertex });
    await expect(provider.submit(job, signal())).rejects.toMatchObject({ name: "RetryableError" });
    expect(emulator.requests("create")).toHaveLength(0);
    await provider.submit(job, signal());
    expect(emulator.jobs()).toBe(1);
  });
});
