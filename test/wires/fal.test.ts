// fal's own client vouches for the emulator, and the emulator for the adapter: over real sockets, where connections break and headers
// really go.
import { createFalClient, type FalClient } from "@fal-ai/client";
import { afterEach, describe, expect, it } from "vitest";
import type { Json } from "../../src/core/json.ts";
import type { Job } from "../../src/ports.ts";
import { fal } from "../../src/providers/fal.ts";
import { startFalEmulator, type FalOptions } from "../support/emulators/fal.ts";
import type { QueueEmulator } from "../support/emulators/queue-emulator.ts";
import { aJob, anUpstream } from "../support/upstreams.ts";

const KEY = "key-id:upstream-secret";
const CLIP_BYTES = 146_831;
const CALLBACK = "https://gateway.example/callbacks/t?x=1&y=2";
const [FIRST, LAST, THIRD] = ["https://example.com/1.png", "https://example.com/2.png", "https://example.com/3.png"] as const;
const MODEL = "fal-ai/veo3.1";
const job = aJob({ aspectRatio: "9:16" }, { model: MODEL });

const running: QueueEmulator[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((emulator) => emulator.close()));
});

async function start(options: FalOptions = {}) {
  const emulator = await startFalEmulator({ apiKey: KEY, pollsBeforeDone: 0, ...options });
  running.push(emulator);
  const provider = fal(anUpstream({ baseUrl: emulator.url, credential: KEY, allowLoopback: true }));
  const signal = () => AbortSignal.timeout(20_000);
  const submitted = async () => (await provider.submit(job, signal())).operation;
  const sourceOf = async (operation: Json) => {
    const result = await provider.poll(operation, signal());
    if (result.status !== "succeeded") throw new Error(`not a video: ${result.status}`);
    return result.source;
  };
  const finish = async () => sourceOf(await submitted());
  return { emulator, provider, signal, submitted, sourceOf, finish, client: clientOf(emulator) };
}

/** Its hosts are in its code; this is the one way to lead it elsewhere. */
function clientOf({ url }: QueueEmulator): FalClient {
  return createFalClient({
    credentials: KEY,
    requestMiddleware: async (request) => ({ ...request, url: request.url.replace("https://queue.fal.run", url) }),
  });
}

const idOf = (operation: Json): string => (operation as { id: string }).id;

async function bytesOf(body: ReadableStream<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const chunk of body) bytes += chunk.byteLength;
  return bytes;
}

describe("fal's own client against the emulator", () => {
  it("takes a generation from submit to bytes", async () => {
    const { emulator, client } = await start({ pollsBeforeDone: 2 });
    const { request_id: requestId, response_url: resultUrl } = await client.queue.submit("fal-ai/veo3.1/fast", {
      input: { prompt: "a lake" },
    });
    expect(resultUrl).toBe(`${emulator.url}/fal-ai/veo3.1/requests/${requestId}`);
    const states: string[] = [];
    await client.queue.subscribeToStatus("fal-ai/veo3.1/fast", {
      requestId,
      pollInterval: 1,
      onQueueUpdate: ({ status }) => states.push(status),
    });
    expect(states).toEqual(["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]);
    const { data } = await client.queue.result("fal-ai/veo3.1/fast", { requestId });
    expect(data.video).toMatchObject({ content_type: "video/mp4", file_size: CLIP_BYTES });
    expect((await (await fetch(data.video.url)).arrayBuffer()).byteLength).toBe(CLIP_BYTES);
  });

  it("meets its errors", async () => {
    const { client } = await start({ script: { create: ["fails:content_policy_violation"] } });
    const { request_id: requestId } = await client.queue.submit(MODEL, { input: { prompt: "a lake" } });
    expect(await client.queue.status(MODEL, { requestId })).toMatchObject({ status: "COMPLETED" });
    await expect(client.queue.result(MODEL, { requestId })).rejects.toMatchObject({
      name: "ValidationError",
      status: 422,
      fieldErrors: [{ type: "content_policy_violation" }],
    });
    const withoutPrompt = client.queue.submit(MODEL, { input: {} as { prompt: string } });
    await expect(withoutPrompt).rejects.toMatchObject({ status: 422, fieldErrors: [{ type: "missing" }] });
  });

  it("cancels, once", async () => {
    const { client } = await start();
    const { request_id: requestId } = await client.queue.submit(MODEL, { input: { prompt: "a lake" } });
    await client.queue.cancel(MODEL, { requestId });
    await expect(client.queue.cancel(MODEL, { requestId })).rejects.toMatchObject({ status: 400 });
  });
});

describe("what the adapter sends, and what fal's own client sends", () => {
  // The client's types know each endpoint's input, so the compiler judges these fields.
  const text = { prompt: "a lake", duration: "8s", resolution: "720p", auto_fix: false } as const;
  const cases: [string, Job, (client: FalClient) => Promise<unknown>][] = [
    ["the least", aJob({}, { model: MODEL }), async ({ queue }) => queue.submit("fal-ai/veo3.1", { input: text })],
    [
      "everything, and a callback",
      aJob({ enhancePrompt: true, upsample: true, aspectRatio: "9:16" }, { model: `${MODEL}/fast`, callbackUrl: CALLBACK }),
      async ({ queue }) =>
        queue.submit("fal-ai/veo3.1/fast", {
          input: { ...text, resolution: "1080p", auto_fix: true, aspect_ratio: "9:16" },
          webhookUrl: CALLBACK,
        }),
    ],
    [
      "a first frame",
      aJob({ model: "veo3-pro-frames", images: [FIRST] }, { model: MODEL }),
      async ({ queue }) => queue.submit("fal-ai/veo3.1/image-to-video", { input: { ...text, image_url: FIRST } }),
    ],
    [
      "first and last frame",
      aJob({ model: "veo2-fast-frames", images: [FIRST, LAST] }, { model: `${MODEL}/fast` }),
      async ({ queue }) =>
        queue.submit("fal-ai/veo3.1/fast/first-last-frame-to-video", {
          input: { ...text, first_frame_url: FIRST, last_frame_url: LAST },
        }),
    ],
    [
      "references",
      aJob({ model: "veo2-fast-components", images: [FIRST, LAST, THIRD] }, { model: MODEL }),
      async ({ queue }) =>
        queue.submit("fal-ai/veo3.1/reference-to-video", { input: { ...text, image_urls: [FIRST, LAST, THIRD] } }),
    ],
    [
      "Veo 2",
      aJob({ enhancePrompt: true }, { model: "fal-ai/veo2" }),
      async ({ queue }) => queue.submit("fal-ai/veo2", { input: { prompt: "a lake", duration: "8s", enhance_prompt: true } }),
    ],
  ];
  it.each(cases)("is the same for %s", async (_, asked, submitAsClient) => {
    const { emulator, provider, client, signal } = await start();
    await provider.submit(asked, signal());
    await submitAsClient(client);
    const [ours, theirs] = emulator.requests();
    expect(ours).toMatchObject({ call: "create", method: theirs?.method, path: theirs?.path });
    expect(ours?.body).toEqual(theirs?.body);
    for (const name of ["authorization", "content-type"]) expect(ours?.headers[name]).toBe(theirs?.headers[name]);
    // Theirs alone: what is the default anyway, and who they are.
    expect(theirs?.headers).toMatchObject({ "x-fal-queue-priority": "normal", accept: "application/json" });
    expect(Object.keys(ours?.headers ?? {}).filter((name) => name.startsWith("x-"))).toEqual([]);
  });

  it("is the same for status, result and cancel", async () => {
    const { emulator, provider, client, submitted, signal } = await start();
    const operation = await submitted();
    const requestId = idOf(operation);
    await provider.poll(operation, signal());
    await provider.cancel?.(operation, signal());
    const mark = emulator.requests().length;
    await client.queue.status(MODEL, { requestId });
    await client.queue.result(MODEL, { requestId });
    await client.queue.cancel(MODEL, { requestId }).catch(() => undefined);
    const seen = emulator.requests().map(({ method, path }) => `${method} ${path}`);
    // Theirs says that it wants no logs, which is the default.
    expect(seen.slice(1, mark)).toEqual(seen.slice(mark).map((each) => each.replace("?logs=0", "")));
    expect(seen.slice(1, mark)).toEqual([
      `GET /fal-ai/veo3.1/requests/${requestId}/status`,
      `GET /fal-ai/veo3.1/requests/${requestId}`,
      `PUT /fal-ai/veo3.1/requests/${requestId}/cancel`,
    ]);
  });
});

describe("fal against an emulated server", () => {
  it("takes a job from submit to bytes", async () => {
    const { emulator, provider, signal, submitted, sourceOf } = await start({
      pollsBeforeDone: 2,
      script: { query: ["not-found-just-after-create"] },
    });
    const operation = await submitted();
    expect(await provider.poll(operation, signal())).toEqual({ status: "missing" });
    for (const _ of ["IN_QUEUE", "IN_PROGRESS"])
      expect(await provider.poll(operation, signal())).toMatchObject({ status: "running" });
    const video = await provider.open(await sourceOf(operation), null, signal());
    expect(video).toMatchObject({ length: CLIP_BYTES, offset: 0, validator: `"${CLIP_BYTES}"` });
    expect(await bytesOf(video.body)).toBe(CLIP_BYTES);
    const calls = emulator.requests().map(({ call }) => call);
    expect(calls).toEqual(["create", "query", "query", "query", "query", "result", "download"]);
    expect([emulator.creates(), emulator.jobs()]).toEqual([1, 1]);
  });

  it.each([
    ["two frames", aJob({ model: "veo2-fast-frames", images: [FIRST, LAST] }, { model: `${MODEL}/fast` })],
    ["references", aJob({ model: "veo2-fast-components", images: [FIRST] }, { model: MODEL })],
    ["Veo 2 and a frame", aJob({ model: "veo2-fast-frames", images: [FIRST] }, { model: "fal-ai/veo2" })],
    ["a model with its mode", aJob({}, { model: "google/gemini-omni-flash/v1.1/text-to-video" })],
  ])("finds a job again that was submitted with %s", async (_, asked) => {
    const { provider, sourceOf, signal } = await start();
    const { operation } = await provider.submit(asked, signal());
    expect(await sourceOf(operation)).toMatchObject({ url: expect.stringContaining(idOf(operation)) });
  });

  it("asks at home, whatever URLs a reply names", async () => {
    const { emulator, provider, finish, signal } = await start({ script: { create: ["foreign-urls"] } });
    await finish();
    expect(emulator.requests().map(({ call }) => call)).toEqual(["create", "query", "result"]);
    await expect(provider.poll({ id: "x", app: "fal-ai/veo3.1" }, signal())).resolves.toEqual({ status: "missing" });
  });

  it.each([["return-404", 0, { name: "RefusedError", by: "model" }]] as const)(
    "a submit answered by %s makes %i jobs and throws %j",
    async (instruction, jobs, error) => {
      const { emulator, provider, signal } = await start({ script: { create: [instruction] } });
      await expect(provider.submit(job, signal())).rejects.toMatchObject(error);
      expect([emulator.creates(), emulator.jobs()]).toEqual([1, jobs]);
    },
  );

  it("leaves a model that is not served to another route", async () => {
    const { emulator, provider, signal } = await start();
    const refused = provider.submit(aJob({}, { model: "nobody/nothing" }), signal());
    await expect(refused).rejects.toMatchObject({ name: "RefusedError", by: "model" });
    expect(emulator.jobs()).toBe(0);
  });

  it.each([
    [{ query: [["return-503", "retry-after:7"]] }, { name: "RetryableError", code: "unavailable", retryAfterMs: 7_000 }],
    [{ query: [["return-429", "retry-after:9"]] }, { name: "RetryableError", code: "rate_limited", retryAfterMs: 9_000 }],
    [{ query: ["return-401"] }, { name: "RetryableError", code: "unauthorized" }],
    [{ query: ["return-404-html"] }, { name: "UnclearReplyError" }],
    [{ query: ["bad-json"] }, { name: "UnclearReplyError" }],
    [{ query: ["reset"] }, { name: "ConnectionError" }],
    [{ query: ["truncate"] }, { name: "ConnectionError" }],
    [{ result: [["return-503", "retry-after:7"]] }, { name: "RetryableError", code: "unavailable", retryAfterMs: 7_000 }],
    [{ result: ["return-502-html"] }, { name: "RetryableError", code: "unavailable" }],
    [{ result: ["return-401"] }, { name: "RetryableError", code: "unauthorized" }],
    [{ result: ["return-400-html"] }, { name: "UnclearReplyError" }],
    [{ result: ["bad-json"] }, { name: "UnclearReplyError" }],
    [{ result: ["redirect:https://elsewhere.example/"] }, { name: "UnclearReplyError" }],
    [{ result: ["truncate"] }, { name: "ConnectionError" }],
  ] satisfies [FalOptions["script"], object][])(
    "a poll answered by %j throws %j, and the next one finds the video",
    async (script, error) => {
      const { provider, submitted, sourceOf, signal } = await start({ script });
      const operation = await submitted();
      await expect(provider.poll(operation, signal())).rejects.toMatchObject(error);
      expect(await sourceOf(operation)).toHaveProperty("url");
    },
  );

  it.each([
    [{ query: ["status:CONTEMPLATING"] }, { status: "running" }],
    [{ query: ["slow-body"] }, { status: "succeeded" }],
    [{ result: ["still-in-progress"] }, { status: "running" }],
    [{ result: ["return-404"] }, { status: "missing" }],
    [{ create: ["no-video"] }, { status: "empty" }],
    [{ create: ["fails:content_policy_violation"] }, { status: "failed", by: "task", reason: "content_policy" }],
    [{ create: ["fails:no_media_generated"] }, { status: "failed", by: "task", reason: "content_policy" }],
    [{ create: ["fails:image_load_error"] }, { status: "failed", by: "task", reason: "image_fetch_failed" }],
    [{ create: ["fails:generation_timeout"] }, { status: "failed", by: "route", reason: "timeout" }],
    [{ create: ["fails:internal_server_error"] }, { status: "failed", by: "route", reason: "upstream_rejected" }],
    [
      { create: ["fails:content_policy_violation"], query: ["silent-failure"] },
      { status: "failed", by: "task", reason: "content_policy" },
    ],
    [
      { create: ["fails:internal_server_error"], query: ["silent-failure"] },
      { status: "failed", by: "route", reason: "upstream_rejected" },
    ],
  ] satisfies [FalOptions["script"], object][])("a poll with %j is read as %j", async (script, result) => {
    const { provider, submitted, signal } = await start({ script });
    expect(await provider.poll(await submitted(), signal())).toMatchObject(result);
  });

  it("cancels what still runs, and nothing else", async () => {
    const { provider, submitted, sourceOf, signal } = await start();
    const stopped = await submitted();
    expect(await provider.cancel?.(stopped, signal())).toBe("stopping");
    expect(await provider.poll(stopped, signal())).toMatchObject({ status: "failed" });
    const ended = await submitted();
    await sourceOf(ended);
    expect(await provider.cancel?.(ended, signal())).toBe("too_late");
  });

  it.each([
    ["reset", "ConnectionError"],
    ["return-503", "RetryableError"],
    ["return-400-html", "UnclearReplyError"],
    ["redirect:https://elsewhere.example/", "UnclearReplyError"],
  ] as const)("does not know what became of a cancel answered by %s", async (instruction, name) => {
    const { provider, submitted, signal } = await start({ script: { cancel: [instruction] } });
    await expect(provider.cancel?.(await submitted(), signal())).rejects.toMatchObject({ name });
  });

  it("carries the key to no other origin, by link or by redirect", async () => {
    const other = await start();
    const there = (await other.finish()) as { url: string };
    const { emulator, provider, finish, signal } = await start({ script: { download: ["ok", `redirect:${there.url}`] } });
    const source = (await finish()) as { url: string };
    expect(new URL(source.url).origin).not.toBe(emulator.url);
    const atHome = { url: source.url.replace(emulator.filesUrl, emulator.url) };
    for (const from of [source, atHome]) {
      const video = await provider.open(from, null, signal());
      expect(await bytesOf(video.body)).toBe(CLIP_BYTES);
    }
    const downloads = emulator.requests().filter(({ call }) => call === "download");
    expect(downloads.map(({ headers }) => headers.authorization)).toEqual([undefined, `Key ${KEY}`]);
    expect(other.emulator.requests().at(-1)).toMatchObject({ call: "download" });
    expect(JSON.stringify(other.emulator.requests().at(-1)?.headers)).not.toContain("upstream-secret");
  });
});

describe("callbacks", () => {
  it("come to a URL on this machine, and are genuine for their own job only", async () => {
    const { emulator, provider, submitted, signal } = await start();
    const receiver = await startFalEmulator();
    running.push(receiver);
    const callbackUrl = `${receiver.url}/fal-ai/veo3.1?token=t&n=1`;
    const { operation } = await provider.submit({ ...job, callbackUrl }, signal());
    const { headers, body } = await emulator.finish(idOf(operation));
    expect(receiver.requests()).toMatchObject([{ method: "POST", path: "/fal-ai/veo3.1?token=t&n=1", body: { status: "OK" } }]);
    const callback = { headers: new Headers(headers), body };
    expect(await provider.isGenuine?.(callback, operation, signal())).toBe(true);
    expect(await provider.isGenuine?.(callback, await submitted(), signal())).toBe(false);
    expect(await provider.isGenuine?.({ ...callback, body: `${body} ` }, operation, signal())).toBe(false);
    const keyCalls = emulator.requests().filter(({ call }) => call === "keys");
    expect(keyCalls.map(({ headers: sent }) => sent.authorization)).toEqual([undefined]);
  });

  it("are not genuine where another has signed them, or the keys cannot be had", async () => {
    const other = await start();
    const { emulator, provider, submitted, signal } = await start({ script: { keys: ["reset", "return-503", "bad-json"] } });
    const operation = await submitted();
    const own = await emulator.finish(idOf(operation));
    const genuine = async ({ headers, body }: typeof own) =>
      provider.isGenuine?.({ headers: new Headers(headers), body }, operation, signal());
    expect([await genuine(own), await genuine(own)]).toEqual([false, false]);
    const foreign = await other.emulator.finish(idOf(await other.submitted()));
    const forged = {
      headers: foreign.headers,
      body: foreign.body.replaceAll(/"request_id":"[^"]+"/g, `"request_id":"${idOf(operation)}"`),
    };
    expect(await genuine(forged)).toBe(false);
    expect(await genuine(own)).toBe(true);
  });
});
