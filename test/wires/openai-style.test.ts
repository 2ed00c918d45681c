// The official client shows that the emulator speaks the wire; the adapter then has to get on with the same emulator, and to send what
// the client sends.
import OpenAI, { toFile } from "openai";
import { afterEach, describe, expect, it } from "vitest";
import type { Json } from "../../src/core/json.ts";
import { openaiStyle } from "../../src/providers/openai-style.ts";
import { startOpenaiStyleEmulator, type OpenaiStyleOptions } from "../support/emulators/openai-style.ts";
import type { SeenRequest, VideosEmulator } from "../support/emulators/videos-emulator.ts";
import { aJob, anUpstream } from "../support/upstreams.ts";

const KEY = "sk-upstream-secret";
const CLIP_BYTES = 146_831;
const PNG = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0xff, 0x00]);
const job = aJob({ aspectRatio: "9:16" }, { model: "veo_3_1-fast" });
const withImage = aJob(
  { model: "veo3-pro-frames", upsample: true },
  { images: [{ url: "https://example.com/first.png", file: { bytes: PNG, mimeType: "image/png" } }] },
);

const running: VideosEmulator[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((emulator) => emulator.close()));
});

async function start(options: OpenaiStyleOptions = {}) {
  const emulator = await startOpenaiStyleEmulator({ apiKey: KEY, pollsBeforeDone: 0, ...options });
  running.push(emulator);
  const provider = openaiStyle(anUpstream({ baseUrl: emulator.url, credential: KEY, allowLoopback: true }));
  const client = new OpenAI({ apiKey: KEY, baseURL: `${emulator.url}/v1`, maxRetries: 0 });
  const signal = () => AbortSignal.timeout(20_000);
  const sourceOf = async (operation: Json) => {
    const result = await provider.poll(operation, signal());
    if (result.status !== "succeeded") throw new Error(`not a video: ${result.status}`);
    return result.source;
  };
  const finish = async () => sourceOf((await provider.submit(job, signal())).operation);
  return { emulator, provider, client, signal, sourceOf, finish };
}

async function bytesOf(body: ReadableStream<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const chunk of body) bytes += chunk.byteLength;
  return bytes;
}

/** Of the client's other headers (its name, its version, its retries) a server makes nothing. */
const essence = ({ method, path, headers, body }: SeenRequest) => ({
  method,
  path,
  authorization: headers.authorization,
  contentType: headers["content-type"]?.split(";")[0],
  body,
});

describe("the official client against the emulator", () => {
  it("takes a generation from create to bytes", async () => {
    const { emulator, client } = await start({ pollsBeforeDone: 1 });
    const created = await client.videos.create({ model: "veo_3_1-fast", prompt: "a lake", seconds: "8", size: "720x1280" });
    expect(created).toMatchObject({ object: "video", status: "queued", progress: 0, prompt: "a lake", seconds: "8", error: null });
    expect((await client.videos.retrieve(created.id)).status).toBe("in_progress");
    expect(await client.videos.retrieve(created.id)).toMatchObject({ status: "completed", progress: 100 });
    const content = await client.videos.downloadContent(created.id);
    expect((await content.arrayBuffer()).byteLength).toBe(CLIP_BYTES);
    expect(emulator.requests().map(({ call }) => call)).toEqual(["create", "query", "query", "download"]);
  });

  it("reads the emulator's failures and errors", async () => {
    const { client } = await start({ script: { create: ["ok", "return-429"], query: ["failed:moderation_blocked"] } });
    const { id } = await client.videos.create({ model: "m", prompt: "a lake" });
    expect(await client.videos.retrieve(id)).toMatchObject({ status: "failed", error: { code: "moderation_blocked" } });
    await expect(client.videos.create({ model: "m", prompt: "a lake" })).rejects.toBeInstanceOf(OpenAI.RateLimitError);
    await expect(client.videos.retrieve("video_unknown")).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    await expect(client.videos.create({ model: "m", prompt: "" })).rejects.toBeInstanceOf(OpenAI.BadRequestError);
  });
});

describe("what the adapter sends, beside what the official client sends", () => {
  it("is the same of a whole generation", async () => {
    const { emulator, provider, client, signal, finish } = await start();
    const { id } = await client.videos.create({ model: "veo_3_1-fast", prompt: "a lake", seconds: "8", size: "720x1280" });
    await client.videos.retrieve(id);
    await (await client.videos.downloadContent(id)).arrayBuffer();
    const theirs = emulator.requests().map(essence);
    const video = await provider.open(await finish(), null, signal());
    await video.body.cancel();
    const ours = emulator.requests().slice(theirs.length).map(essence);
    const ownId = ours[1]?.path.split("/").at(-1) ?? "";
    expect(ownId).not.toBe(id);
    // Every create makes another job.
    expect(ours).toEqual(theirs.map((each) => ({ ...each, path: each.path.replace(id, ownId) })));
    expect(ours[0]?.body).toEqual({ model: "veo_3_1-fast", prompt: "a lake", seconds: "8", size: "720x1280" });
  });

  it("is the same of an image", async () => {
    const { emulator, provider, client, signal } = await start();
    const input_reference = await toFile(PNG, "reference.png", { type: "image/png" });
    await client.videos.create({ model: "veo3-pro-frames", prompt: "a lake", seconds: "8", size: "1792x1024", input_reference });
    await provider.submit(withImage, signal());
    const [theirs, ours] = emulator.requests().map(essence);
    expect(ours).toEqual(theirs);
    expect(ours?.body?.["input_reference"]).toEqual({ name: "reference.png", type: "image/png", bytes: [...PNG] });
  });
});

describe("openaiStyle against an emulated server", () => {
  it("takes a job from submit to bytes", async () => {
    const { emulator, provider, signal, sourceOf } = await start({
      pollsBeforeDone: 1,
      script: { query: ["not-found-just-after-create", ["progress-as-text", "ms-times", "poll-after-ms:7000"]] },
    });
    const { operation, prompt } = await provider.submit(job, signal());
    expect(prompt).toBeNull();
    expect(await provider.poll(operation, signal())).toEqual({ status: "missing" });
    expect(await provider.poll(operation, signal())).toEqual({ status: "running", retryAfterMs: 7_000 });
    const video = await provider.open(await sourceOf(operation), null, signal());
    expect(video).toMatchObject({ length: CLIP_BYTES, offset: 0, validator: `"${CLIP_BYTES}"` });
    expect(await bytesOf(video.body)).toBe(CLIP_BYTES);
    expect([emulator.creates(), emulator.jobs()]).toEqual([1, 1]);
  });

  it.each([
    ["names:url", "storage"],
    ["names:video_url", "storage"],
    ["names:metadata.url", "storage"],
    ["names:path", "storage"],
    ["names:private", "download"],
    ["enveloped", "download"],
    ["status:succeeded", "download"],
  ] as const)("finds the video of a job that %s in its %s", async (bend, call) => {
    const { emulator, provider, finish, signal } = await start({ script: { query: [bend] } });
    const video = await provider.open(await finish(), null, signal());
    expect(await bytesOf(video.body)).toBe(CLIP_BYTES);
    expect(emulator.requests().at(-1)?.call).toBe(call);
  });

  it.each(["task-id", "enveloped"] as const)("reads a created job that is %s", async (bend) => {
    const { provider, finish, signal } = await start({ script: { create: [bend] } });
    const video = await provider.open(await finish(), null, signal());
    expect(await bytesOf(video.body)).toBe(CLIP_BYTES);
  });

  it("takes the content where the link is gone", async () => {
    const { emulator, provider, finish, signal } = await start({ script: { query: ["names:url"], storage: ["return-410"] } });
    const video = await provider.open(await finish(), null, signal());
    expect(await bytesOf(video.body)).toBe(CLIP_BYTES);
    expect(emulator.requests().map(({ call }) => call)).toEqual(["create", "query", "storage", "download"]);
  });

  it.each([
    ["return-404", 0, { name: "RefusedError", by: "route" }],
    ["return-409-html", 0, { name: "UnclearReplyError" }],
  ] as const)("a submit answered by %s makes %i jobs and throws %j", async (instruction, jobs, error) => {
    const { emulator, provider, signal } = await start({ script: { create: [instruction] } });
    await expect(provider.submit(withImage, signal())).rejects.toMatchObject(error);
    expect([emulator.creates(), emulator.jobs()]).toEqual([1, jobs]);
  });

  it("sends nothing of a job with two images", async () => {
    const { emulator, provider, signal } = await start();
    const two = { ...withImage, images: [...withImage.images, ...withImage.images] };
    await expect(provider.submit(two, signal())).rejects.toMatchObject({ name: "RefusedError", by: "route" });
    expect(emulator.requests()).toEqual([]);
  });

  it.each([
    ["status:contemplating", { status: "running" }],
    ["status:unknown", { status: "running" }],
    ["failed:moderation_blocked", { status: "failed", by: "task", reason: "content_policy" }],
    ["failed:video_generation_failed", { status: "failed", by: "route", reason: "upstream_rejected" }],
    ["slow-body", { status: "succeeded" }],
  ] as const)("a poll answered by %s is read as %j", async (instruction, result) => {
    const { provider, signal } = await start({ script: { query: [instruction] } });
    const { operation } = await provider.submit(job, signal());
    expect(await provider.poll(operation, signal())).toMatchObject(result);
  });

  it("resumes where it was told to, and from zero when the file has changed", async () => {
    const { provider, finish, signal } = await start();
    const source = await finish();
    const rest = await provider.open(source, { offset: 100_000, validator: `"${CLIP_BYTES}"` }, signal());
    expect(rest).toMatchObject({ offset: 100_000, length: CLIP_BYTES - 100_000 });
    expect(await bytesOf(rest.body)).toBe(CLIP_BYTES - 100_000);
    const whole = await provider.open(source, { offset: 100_000, validator: '"another"' }, signal());
    expect(whole).toMatchObject({ offset: 0, length: CLIP_BYTES });
    await whole.body.cancel();
  });

  it("carries the key to no other origin, by redirect or by link", async () => {
    const other = await start();
    const { operation } = await other.provider.submit(job, other.signal());
    const there = `${other.emulator.url}/storage/${(operation as { id: string }).id}.mp4`;
    const { emulator, provider, finish, signal } = await start({ script: { download: [`redirect:${there}`] } });
    const video = await provider.open(await finish(), null, signal());
    expect(await bytesOf(video.body)).toBe(CLIP_BYTES);
    const named = await provider.open({ url: there, otherwise: null }, null, signal());
    expect(await bytesOf(named.body)).toBe(CLIP_BYTES);
    expect(emulator.requests().at(-1)?.headers.authorization).toBe(`Bearer ${KEY}`);
    expect(other.emulator.requests().slice(1)).toMatchObject([{ call: "storage" }, { call: "storage" }]);
    for (const { headers } of other.emulator.requests().slice(1)) expect(JSON.stringify(headers)).not.toContain(KEY);
  });

  it.each([
    // Not ready yet, as different servers say it.
    ["return-400", "UnclearReplyError"],
    ["return-409", "UnclearReplyError"],
  ] as const)("a download answered by %s throws %s", async (instruction, name) => {
    const { provider, finish, signal } = await start({ script: { download: [instruction] } });
    await expect(provider.open(await finish(), null, signal())).rejects.toMatchObject({ name });
  });
});
