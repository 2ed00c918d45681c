// Omni over real sockets, in both of its forms. Google's own client drives the emulator first, so that what our adapter is tested against
// is what that client takes for Google.
import { readFile } from "node:fs/promises";
import { GoogleGenAI, type Interactions } from "@google/genai";
import { GoogleGenAI as GoogleGenAI2 } from "google-genai-2";
import { afterEach, describe, expect, it } from "vitest";
import type { Json } from "../../src/core/json.ts";
import type { Job } from "../../src/ports.ts";
import { gemini, MODELS, VERTEX_MODELS } from "../../src/providers/gemini.ts";
import { startGoogleEmulator, type EmulatorOptions, type GoogleEmulator } from "../support/emulators/google.ts";
import { PUBLIC_KEY, serviceAccountJson } from "../support/emulators/google-credentials.ts";
import { aJob, anUpstream } from "../support/upstreams.ts";

const KEY = "AIza-upstream-secret";
const CLIP_BYTES = 146_831;
const STORAGE = "gs://reelay-videos/out/";
const PNG = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 1, 2, 3]);
const FORMS = ["developer", "vertex"] as const;
type Form = (typeof FORMS)[number];
const MODEL: Record<Form, string> = { developer: MODELS.veo3, vertex: VERTEX_MODELS.veo3 };

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
  const provider = gemini(anUpstream({ baseUrl: emulator.url, credential, storageUri, allowLoopback: true }));
  const signal = () => AbortSignal.timeout(20_000);
  const submit = async (job: Job = aJob({}, { model: MODEL[form] })) => (await provider.submit(job, signal())).operation;
  const sourceOf = async (operation: Json) => {
    const result = await provider.poll(operation, signal());
    if (result.status !== "succeeded") throw new Error(`not a video: ${result.status}`);
    return result.source;
  };
  const finish = async () => sourceOf(await submit());
  return { emulator, provider, signal, submit, sourceOf, finish };
}

/** Google's client, in the API version that we speak. */
function clientOf(form: Form, baseUrl: string, Client: typeof GoogleGenAI = GoogleGenAI): GoogleGenAI {
  if (form === "developer") return new Client({ apiKey: KEY, httpOptions: { baseUrl, apiVersion: "v1beta" } });
  return new Client({
    vertexai: true,
    project: "reelay-test",
    location: "global",
    httpOptions: { baseUrl, apiVersion: "v1beta1" },
    googleAuthOptions: {
      authClient: { getRequestHeaders: async () => new Headers({ authorization: "Bearer ya29.official" }) } as never,
    },
  });
}

type Create = Interactions.InteractionCreateParams.CreateModelInteractionParamsNonStreaming;

function paramsOf(form: Form, asked: { format?: object; images?: number; task?: string } = {}): Create {
  const delivery = form === "vertex" ? { delivery: "uri", gcs_uri: STORAGE } : { delivery: "uri" };
  const format = { type: "video", ...delivery, resolution: "720p", duration: "8s", ...asked.format } as const;
  const image = { type: "image", data: Buffer.from(PNG).toString("base64"), mime_type: "image/png" } as const;
  return {
    model: MODEL[form],
    background: true,
    store: true,
    input: [...Array.from({ length: asked.images ?? 0 }, () => image), { type: "text", text: "a lake" }],
    response_format: form === "vertex" ? [format] : format,
    generation_config: { video_config: { task: (asked.task ?? "text_to_video") as "text_to_video" } },
  };
}

async function bytesOf(body: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(body).arrayBuffer());
}

const clip = async () => new Uint8Array(await readFile(new URL("../../src/providers/clips/clip-16x9.mp4", import.meta.url)));

describe("Google's client against the emulator", () => {
  it.each([
    ["3.1.0", GoogleGenAI],
    ["2.32.0", GoogleGenAI2 as unknown as typeof GoogleGenAI],
  ])("%s takes an interaction from create to bytes", async (_, Client) => {
    const emulator = await emulate({ apiKey: KEY, pollsBeforeDone: 1 });
    const client = clientOf("developer", emulator.url, Client);
    const made = await client.interactions.create(paramsOf("developer"), { maxRetries: 0 });
    expect(made.status).toBe("in_progress");
    expect((await client.interactions.get(made.id)).status).toBe("in_progress");
    const done = await client.interactions.get(made.id);
    const uri = done.output_video?.uri ?? "";
    const stored = await fetch(`${uri}?alt=media`, { headers: { "x-goog-api-key": KEY } });
    expect((await bytesOf(stored.body as ReadableStream<Uint8Array>)).byteLength).toBe(CLIP_BYTES);
  });

  it("takes one on Vertex, to a place in a bucket", async () => {
    const emulator = await emulate();
    const client = clientOf("vertex", emulator.url);
    const made = await client.interactions.create(paramsOf("vertex"), { maxRetries: 0 });
    const uri = (await client.interactions.get(made.id)).output_video?.uri ?? "";
    expect(uri.startsWith(STORAGE)).toBe(true);
  });

  it("reads a video inside the reply, and cancels", async () => {
    const emulator = await emulate({ script: { query: ["inline"] } });
    const client = clientOf("developer", emulator.url);
    const made = await client.interactions.create(paramsOf("developer"), { maxRetries: 0 });
    const done = await client.interactions.get(made.id);
    expect(Buffer.from(done.output_video?.data ?? "", "base64").byteLength).toBe(CLIP_BYTES);
    const other = await client.interactions.create(paramsOf("developer"), { maxRetries: 0 });
    expect((await client.interactions.cancel(other.id)).status).toBe("cancelled");
  });

  it("repeats a create on its own where it is let, which is why we do not use it", async () => {
    const emulator = await emulate({ script: { create: ["accept-then-drop"] } });
    await clientOf("developer", emulator.url).interactions.create(paramsOf("developer"));
    expect(emulator.jobs()).toBe(2);
  });
});

describe.each(FORMS)("gemini in the form %s", (form) => {
  const isVertex = form === "vertex";
  const without = (text: string) => text.replace(/v1_[0-9a-f]{32}/g, "ID");
  const sent = (emulator: GoogleEmulator, call: "create" | "query" | "cancel") =>
    // The client says that it wants no stream, which is what saying nothing means.
    emulator.requests(call).map(({ method, path, body }) => ({ method, path: without(path).replace("?stream=false", ""), body }));
  const files = (count: number) => ({
    images: Array.from({ length: count }, (_, n) => ({
      url: `https://example.com/${n}.png`,
      file: { bytes: PNG, mimeType: "image/png" as const },
    })),
  });

  it.each([
    ["a prompt", aJob(), {}],
    ["an aspect ratio", aJob({ aspectRatio: "9:16" }), { format: { aspect_ratio: "9:16" } }],
    ["upsampling", aJob({ upsample: true }), { format: { resolution: "1080p" } }],
    ["a first frame", aJob({ model: "veo3-pro-frames" }, files(1)), { images: 1, task: "image_to_video" }],
    ["two frames", aJob({ model: "veo2-fast-frames" }, files(2)), { images: 2, task: "image_to_video" }],
    ["components", aJob({ model: "veo2-fast-components" }, files(3)), { images: 3, task: "reference_to_video" }],
  ] as [string, Job, Parameters<typeof paramsOf>[1]][])("asks as Google's client does, with %s", async (_, job, asked) => {
    const theirs = await emulate({ pollsBeforeDone: 5 });
    const client = clientOf(form, theirs.url);
    const { id } = await client.interactions.create(paramsOf(form, asked), { maxRetries: 0 });
    await client.interactions.get(id);
    await client.interactions.cancel(id);
    const { emulator, provider, submit, signal } = await start(form, { pollsBeforeDone: 5 });
    const operation = await submit({ ...job, model: MODEL[form] });
    await provider.poll(operation, signal());
    await provider.cancel?.(operation, signal());
    for (const call of ["create", "query", "cancel"] as const) expect(sent(emulator, call)).toEqual(sent(theirs, call));
    const [mine, other] = [emulator, theirs].map((each) => each.requests("create")[0]?.headers);
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
    const video = await provider.open(source, null, signal());
    expect(video).toMatchObject({ length: CLIP_BYTES, offset: 0, validator: '"v1"' });
    expect(Buffer.compare(await bytesOf(video.body), await clip())).toBe(0);
    expect(emulator.jobs()).toBe(1);
    expect(emulator.requests("token")).toHaveLength(isVertex ? 1 : 0);
  });

  it("reads a video inside a reply that repeats megabytes of images, without holding either", async () => {
    const script = { query: ["running", ["echo", "inline"], ["echo", "inline"]] } as const;
    const { provider, signal, submit, sourceOf } = await start(form, { storageUri: null, script });
    const bytes = new Uint8Array(2 * 1024 * 1024).fill(7);
    const images = [{ url: "https://example.com/1.png", file: { bytes, mimeType: "image/png" as const } }];
    const operation = await submit(aJob({ model: "veo3-pro-frames" }, { model: MODEL[form], images }));
    expect(await provider.poll(operation, signal())).toMatchObject({ status: "running" });
    const source = await sourceOf(operation);
    expect(JSON.stringify(source).length).toBeLessThan(512);
    const video = await provider.open(source, null, signal());
    expect(video).toMatchObject({ length: null, offset: 0, validator: null });
    expect(Buffer.compare(await bytesOf(video.body), await clip())).toBe(0);
  });

  it.each([
    ["error:400:INVALID_ARGUMENT:duration must be a text", 0, { name: "RefusedError", by: "task", reason: "upstream_rejected" }],
    ["error:400:INVALID_ARGUMENT:Blocked: PROHIBITED_CONTENT", 0, { name: "RefusedError", reason: "content_policy" }],
    [
      "error:400:INVALID_ARGUMENT:API key not valid. Please pass a valid API key.",
      0,
      { name: "RetryableError", code: "unauthorized" },
    ],
    ["error:404:NOT_FOUND:models/x is not found for API version v1beta", 0, { name: "RefusedError", by: "model" }],
    ["error:429:RESOURCE_EXHAUSTED:Your prepayment credits are depleted.", 0, { name: "RetryableError", code: "out_of_credit" }],
    ["error:503:UNAVAILABLE:overloaded", 0, { name: "RetryableError", code: "unavailable" }],
    ["error:500:INTERNAL:An internal error has occurred.", 0, { name: "UnclearReplyError" }],
    ["error:504:DEADLINE_EXCEEDED:late", 0, { name: "UnclearReplyError" }],
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
    ["state:contemplating", { status: "running" }],
    ["error:400:INVALID_ARGUMENT:Request contains an invalid argument.", { status: "missing" }],
    ["text-only", { status: "failed", by: "task", reason: "content_policy" }],
    ["no-video", { status: "empty" }],
    ["failure:safety:Blocked by safety filters", { status: "failed", by: "task", reason: "content_policy" }],
    ["failure:internal:try later", { status: "failed", by: "route", reason: "upstream_rejected" }],
    ["state:budget_exceeded", { status: "failed", by: "route", reason: "upstream_rejected" }],
  ] as const)("a poll answered by %s is read as %j", async (instruction, result) => {
    const { provider, submit, signal } = await start(form, { script: { query: [instruction] } });
    expect(await provider.poll(await submit(), signal())).toMatchObject(result);
  });

  it("cancels what runs, and is late for what has ended", async () => {
    const { provider, submit, sourceOf, signal } = await start(form);
    const operation = await submit();
    expect(await provider.cancel?.(operation, signal())).toBe("stopping");
    expect(await provider.poll(operation, signal())).toEqual({ status: "failed", by: "task", reason: "cancelled" });
    const other = await submit();
    await sourceOf(other);
    expect(await provider.cancel?.(other, signal())).toBe("too_late");
  });

  it.each([
    ["error:410:GONE:gone", "AssetGoneError"],
    ["error:400:FAILED_PRECONDITION:The file is not in an ACTIVE state.", "UnclearReplyError"],
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
});

describe("callbacks", () => {
  const callbackUrl = "https://gateway.example/v1/callbacks/t";

  it("are asked for as Google's own client does", async () => {
    const { emulator, submit } = await start("developer");
    await submit(aJob({}, { model: MODEL.developer, callbackUrl }));
    const params = { ...paramsOf("developer"), webhook_config: { uris: [callbackUrl] } };
    await clientOf("developer", emulator.url).interactions.create(params, { maxRetries: 0 });
    const [ours, theirs] = emulator.requests("create").map(({ body }) => body);
    expect(ours).toEqual(theirs);
  });

  it("come to this machine when it is done, and are believed of this interaction only", async () => {
    const { emulator, provider, submit, signal } = await start("developer", { pollsBeforeDone: 1_000 });
    const receiver = await emulate();
    const job = aJob({}, { model: MODEL.developer, callbackUrl: `${receiver.url}/v1/callbacks/t` });
    const [operation, other] = [await submit(job), await submit()];
    const { id } = operation as { id: string };
    expect(receiver.requests()).toEqual([]);
    const { headers, body } = await emulator.finish(id);
    expect(receiver.requests()).toMatchObject([{ method: "POST", path: "/v1/callbacks/t", body: { data: { id } } }]);
    const callback = { headers: new Headers(headers), body };
    expect(await provider.isGenuine?.(callback, operation, signal())).toBe(true);
    expect(await provider.isGenuine?.(callback, other, signal())).toBe(false);
    expect(await provider.isGenuine?.({ ...callback, body: `${body} ` }, operation, signal())).toBe(false);
    expect(await provider.poll(operation, signal())).toMatchObject({ status: "succeeded" });
    // Its keys are asked for without ours.
    expect(emulator.requests("keys").map(({ headers: sent }) => sent["x-goog-api-key"])).toEqual([undefined]);
  });
});
