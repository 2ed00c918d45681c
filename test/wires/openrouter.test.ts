// OpenRouter's own client (@openrouter/sdk) is not among our packages, so nothing of theirs vouches for the emulator. Instead what goes
// over the wire in either direction is held against strict schemas of the documented shapes (API reference "videos", 2026-11):
// a member that the reference does not have, or a type that it has not, fails.
import { afterEach, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Json } from "../../src/core/json.ts";
import { openrouter } from "../../src/providers/openrouter.ts";
import type { Job } from "../../src/ports.ts";
import { openrouterCallback, startOpenrouterEmulator, type OpenrouterOptions } from "../support/emulators/openrouter.ts";
import type { VideosEmulator } from "../support/emulators/videos-emulator.ts";
import { aJob, anUpstream } from "../support/upstreams.ts";

const imagePart = { type: z.literal("image_url"), image_url: z.strictObject({ url: z.url({ protocol: /^https$/ }) }) };
const documentedRequest = z.strictObject({
  model: z.string().regex(/^[\w.-]+\/[\w.:-]+$/),
  prompt: z.string().min(1),
  duration: z.int().positive().optional(),
  resolution: z.enum(["480p", "720p", "1080p", "1K", "2K", "4K"]).optional(),
  aspect_ratio: z.enum(["16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9", "9:21"]).optional(),
  size: z.string().optional(),
  seed: z.int().optional(),
  generate_audio: z.boolean().optional(),
  frame_images: z
    .array(z.strictObject({ ...imagePart, frame_type: z.enum(["first_frame", "last_frame"]) }))
    .min(1)
    .optional(),
  input_references: z.array(z.strictObject(imagePart)).min(1).optional(),
  callback_url: z.url({ protocol: /^https$/ }).optional(),
  provider: z.looseObject({}).optional(),
});
const documentedJob = z.strictObject({
  id: z.string().regex(/^gen-vid-\d+-[A-Za-z0-9]{20}$/),
  polling_url: z.string(),
  status: z.enum(["pending", "in_progress", "completed", "failed", "cancelled", "expired"]),
  generation_id: z.string().optional(),
  unsigned_urls: z.array(z.url()).optional(),
  urls: z.array(z.url()).optional(),
  expires_at: z.int().optional(),
  usage: z.strictObject({ cost: z.number().nullable().optional(), is_byok: z.boolean().optional() }).optional(),
  error: z.string().optional(),
});
const documentedError = z.strictObject({ error: z.strictObject({ code: z.int(), message: z.string() }) });

const KEY = "sk-or-upstream-secret";
const CLIP_BYTES = 146_831;
const IMAGES = ["https://example.com/1.png", "https://example.com/2.png", "https://example.com/3.png"];
const MODEL = "google/veo-3.1-fast";
const job = aJob({ aspectRatio: "9:16" }, { model: MODEL });

const running: VideosEmulator[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((emulator) => emulator.close()));
});

async function start(options: OpenrouterOptions = {}) {
  const emulator = await startOpenrouterEmulator({ apiKey: KEY, pollsBeforeDone: 0, ...options });
  running.push(emulator);
  const baseUrl = `${emulator.url}/api`;
  const provider = openrouter(anUpstream({ baseUrl, credential: KEY, allowLoopback: true }));
  const signal = () => AbortSignal.timeout(20_000);
  const sourceOf = async (operation: Json) => {
    const result = await provider.poll(operation, signal());
    if (result.status !== "succeeded") throw new Error(`not a video: ${result.status}`);
    return result.source;
  };
  const finish = async () => sourceOf((await provider.submit(job, signal())).operation);
  return { emulator, provider, signal, sourceOf, finish };
}

async function bytesOf(body: ReadableStream<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const chunk of body) bytes += chunk.byteLength;
  return bytes;
}

describe("the emulator, held against the reference", () => {
  it("takes a generation from create to bytes in documented shapes", async () => {
    const { emulator } = await start({ pollsBeforeDone: 1, script: { query: ["ok", "signed-url", "failed:no luck"] } });
    const headers = { authorization: `Bearer ${KEY}`, "content-type": "application/json" };
    const body = JSON.stringify({ model: MODEL, prompt: "a lake" });
    const created = await fetch(`${emulator.url}/api/v1/videos`, { method: "POST", headers, body });
    expect(created.status).toBe(202);
    const { id, polling_url: pollingUrl, status } = documentedJob.parse(await created.json());
    expect([pollingUrl, status]).toEqual([`/api/v1/videos/${id}`, "pending"]);
    const read = async () => documentedJob.parse(await (await fetch(`${emulator.url}${pollingUrl}`, { headers })).json());
    expect(await read()).toMatchObject({ id, status: "in_progress" });
    const done = await read();
    expect(done).toMatchObject({ status: "completed", unsigned_urls: [`${emulator.url}/api/v1/videos/${id}/content?index=0`] });
    expect(await read()).toMatchObject({ status: "failed", error: "no luck" });
    const [content = ""] = done.unsigned_urls ?? [];
    // The naming trap: what is unsigned asks for the key, and what is signed does not.
    const withoutKey = await fetch(content);
    expect(withoutKey.status).toBe(401);
    expect(documentedError.parse(await withoutKey.json()).error.code).toBe(401);
    expect((await (await fetch(content, { headers })).arrayBuffer()).byteLength).toBe(CLIP_BYTES);
    const [signed = ""] = done.urls ?? [];
    expect((await (await fetch(signed)).arrayBuffer()).byteLength).toBe(CLIP_BYTES);
  });
});

describe("what the adapter sends, held against the reference", () => {
  const callbackUrl = "https://gateway.example/callbacks/t";
  it.each([
    ["least", aJob({}, { model: MODEL }), {}],
    ["an aspect ratio", job, { aspect_ratio: "9:16" }],
    ["upsampling", aJob({ upsample: true }, { model: MODEL }), { resolution: "1080p" }],
    ["a callback", aJob({}, { model: MODEL, callbackUrl }), { callback_url: callbackUrl }],
    [
      "frames",
      aJob({ model: "veo2-fast-frames", images: IMAGES.slice(0, 2) }, { model: MODEL }),
      {
        frame_images: [
          { type: "image_url", image_url: { url: IMAGES[0] }, frame_type: "first_frame" },
          { type: "image_url", image_url: { url: IMAGES[1] }, frame_type: "last_frame" },
        ],
      },
    ],
    [
      "components",
      aJob({ model: "veo2-fast-components", images: IMAGES }, { model: MODEL }),
      { input_references: IMAGES.map((url) => ({ type: "image_url", image_url: { url } })) },
    ],
  ] satisfies [string, Job, object][])("with %s", async (_, asked, expected) => {
    const { emulator, provider, signal } = await start();
    await provider.submit(asked, signal());
    const [sent] = emulator.requests();
    expect(sent).toMatchObject({ method: "POST", path: "/api/v1/videos" });
    expect(sent?.headers).toMatchObject({ authorization: `Bearer ${KEY}`, "content-type": "application/json" });
    expect(documentedRequest.parse(sent?.body)).toEqual({
      model: MODEL,
      prompt: "a lake",
      duration: 8,
      resolution: "720p",
      ...expected,
    });
  });
});

describe("openrouter against an emulated server", () => {
  it("takes a job from submit to bytes", async () => {
    const { emulator, provider, signal, sourceOf } = await start({
      pollsBeforeDone: 1,
      script: { query: ["not-found-just-after-create"] },
    });
    const { operation, prompt } = await provider.submit(job, signal());
    expect(prompt).toBeNull();
    expect(await provider.poll(operation, signal())).toEqual({ status: "missing" });
    expect(await provider.poll(operation, signal())).toEqual({ status: "running", retryAfterMs: null });
    const video = await provider.open(await sourceOf(operation), null, signal());
    expect(video).toMatchObject({ length: CLIP_BYTES, offset: 0, validator: `"${CLIP_BYTES}"` });
    expect(await bytesOf(video.body)).toBe(CLIP_BYTES);
    const calls = emulator.requests().map(({ call }) => call);
    expect(calls).toEqual(["create", "query", "query", "query", "download"]);
    expect([emulator.creates(), emulator.jobs()]).toEqual([1, 1]);
  });

  it.each([
    "absolute-polling-url",
    "polling-url:https://elsewhere.example/api/v1/videos/x",
    "polling-url://elsewhere.example/x",
  ] as const)("polls at home with %s", async (bend) => {
    const { emulator, finish } = await start({ script: { create: [bend] } });
    await finish();
    expect(emulator.requests().map(({ call }) => call)).toEqual(["create", "query"]);
  });

  it.each([
    ["signed-url", ["download"]],
    ["only-signed-url", ["storage"]],
    ["content-url:https://elsewhere.example/v.mp4", ["download"]],
  ] as const)("fetches a video with %s from its %j", async (bend, calls) => {
    const { emulator, provider, finish, signal } = await start({ script: { query: [bend] } });
    const video = await provider.open(await finish(), null, signal());
    expect(await bytesOf(video.body)).toBe(CLIP_BYTES);
    const fetched = emulator.requests().slice(2);
    expect(fetched.map(({ call }) => call)).toEqual(calls);
  });

  it("takes the signed link where the content is gone", async () => {
    const { emulator, provider, finish, signal } = await start({ script: { query: ["signed-url"], download: ["return-410"] } });
    const video = await provider.open(await finish(), null, signal());
    expect(await bytesOf(video.body)).toBe(CLIP_BYTES);
    expect(emulator.requests().map(({ call }) => call)).toEqual(["create", "query", "download", "storage"]);
  });

  it.each([["return-404", 0, { name: "RefusedError", by: "route" }]] as const)(
    "a submit answered by %s makes %i jobs and throws %j",
    async (instruction, jobs, error) => {
      const { emulator, provider, signal } = await start({ script: { create: [instruction] } });
      await expect(provider.submit(job, signal())).rejects.toMatchObject(error);
      expect([emulator.creates(), emulator.jobs()]).toEqual([1, jobs]);
    },
  );

  it("leaves a model that is not served to another route", async () => {
    const { emulator, provider, signal } = await start();
    const refused = provider.submit(aJob({}, { model: "veo3" }), signal());
    await expect(refused).rejects.toMatchObject({ name: "RefusedError", by: "model" });
    expect(emulator.jobs()).toBe(0);
  });

  it.each([
    ["status:contemplating", { status: "running" }],
    ["status:expired", { status: "failed", by: "route", reason: "timeout" }],
    ["failed:The request was flagged by moderation", { status: "failed", by: "task", reason: "content_policy" }],
    ["failed:The provider had an internal error", { status: "failed", by: "route", reason: "upstream_rejected" }],
    ["no-url", { status: "empty" }],
    ["slow-body", { status: "succeeded" }],
  ] as const)("a poll answered by %s is read as %j", async (instruction, result) => {
    const { provider, signal } = await start({ script: { query: [instruction] } });
    const { operation } = await provider.submit(job, signal());
    expect(await provider.poll(operation, signal())).toMatchObject(result);
  });

  it("carries the key to no other origin, by redirect or by link", async () => {
    const other = await start();
    const { operation } = await other.provider.submit(job, other.signal());
    const there = `${other.emulator.url}/storage/${(operation as { id: string }).id}.mp4`;
    const { emulator, provider, finish, signal } = await start({ script: { download: [`redirect:${there}`] } });
    const video = await provider.open(await finish(), null, signal());
    expect(await bytesOf(video.body)).toBe(CLIP_BYTES);
    const signed = await provider.open({ url: there, otherwise: null }, null, signal());
    expect(await bytesOf(signed.body)).toBe(CLIP_BYTES);
    expect(emulator.requests().at(-1)?.headers.authorization).toBe(`Bearer ${KEY}`);
    expect(other.emulator.requests().slice(1)).toMatchObject([{ call: "storage" }, { call: "storage" }]);
    for (const { headers } of other.emulator.requests().slice(1)) expect(JSON.stringify(headers)).not.toContain(KEY);
  });
});

describe("callbacks", () => {
  const documentedEvent = z.strictObject({
    type: z.enum([
      "video.generation.completed",
      "video.generation.failed",
      "video.generation.cancelled",
      "video.generation.expired",
    ]),
    created_at: z.iso.datetime(),
    data: z.looseObject({ id: z.string(), status: documentedJob.shape.status, generation_id: z.string().nullable() }),
  });

  it("are believed if signed with the workspace's secret, of this job, and lately", async () => {
    const { emulator, provider, signal } = await start();
    const { operation } = await provider.submit(job, signal());
    const { id } = operation as { id: string };
    const upstream = anUpstream({ baseUrl: `${emulator.url}/api`, callbackSecrets: ["workspace-secret"] });
    const judge = async ({ headers, body }: ReturnType<typeof openrouterCallback>) =>
      openrouter(upstream).isGenuine?.({ headers: new Headers(headers), body }, operation, signal());
    const callback = openrouterCallback(id, "workspace-secret");
    expect(documentedEvent.safeParse(JSON.parse(callback.body)).error).toBeUndefined();
    expect(await judge(callback)).toBe(true);
    const forged = [
      openrouterCallback(id, "another-secret"),
      openrouterCallback("gen-vid-another", "workspace-secret"),
      openrouterCallback(id, "workspace-secret", Date.now() - 301_000),
    ];
    expect(await Promise.all(forged.map(judge))).toEqual([false, false, false]);
  });
});
