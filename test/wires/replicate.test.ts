// Replicate's own client vouches for the emulator, and the emulator for the adapter: over real sockets, where connections break and
// headers really go.
import Replicate, { validateWebhook } from "replicate";
import { afterEach, describe, expect, it } from "vitest";
import type { Json } from "../../src/core/json.ts";
import type { Job } from "../../src/ports.ts";
import { replicate } from "../../src/providers/replicate.ts";
import type { QueueEmulator } from "../support/emulators/queue-emulator.ts";
import { startReplicateEmulator, WEBHOOK_SECRET, type ReplicateOptions } from "../support/emulators/replicate.ts";
import { aJob, anUpstream } from "../support/upstreams.ts";

const KEY = "r8_upstream-secret";
const CLIP_BYTES = 146_831;
const CALLBACK = "https://gateway.example/callbacks/t";
const [FIRST, LAST, THIRD] = ["https://example.com/1.png", "https://example.com/2.png", "https://example.com/3.png"] as const;
const MODEL = "google/veo-3.1";
const job = aJob({ aspectRatio: "9:16" }, { model: MODEL });

const running: QueueEmulator[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((emulator) => emulator.close()));
});

async function start(options: ReplicateOptions = {}) {
  const emulator = await startReplicateEmulator({ apiKey: KEY, pollsBeforeDone: 0, ...options });
  running.push(emulator);
  const provider = replicate(anUpstream({ baseUrl: emulator.url, credential: KEY, allowLoopback: true }));
  const client = new Replicate({ auth: KEY, baseUrl: `${emulator.url}/v1`, useFileOutput: false });
  const signal = () => AbortSignal.timeout(20_000);
  const submitted = async () => (await provider.submit(job, signal())).operation;
  const sourceOf = async (operation: Json) => {
    const result = await provider.poll(operation, signal());
    if (result.status !== "succeeded") throw new Error(`not a video: ${result.status}`);
    return result.source;
  };
  const finish = async () => sourceOf(await submitted());
  return { emulator, provider, client, signal, submitted, sourceOf, finish };
}

const idOf = (operation: Json): string => (operation as { id: string }).id;

async function bytesOf(body: ReadableStream<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const chunk of body) bytes += chunk.byteLength;
  return bytes;
}

describe("Replicate's own client against the emulator", () => {
  it("takes a generation from create to bytes", async () => {
    const { client } = await start({ pollsBeforeDone: 2 });
    const created = await client.predictions.create({ model: MODEL, input: { prompt: "a lake" } });
    expect(created).toMatchObject({ status: "starting", output: null, input: { prompt: "a lake" } });
    const states: string[] = [];
    const done = await client.wait(created, { interval: 1 }, async ({ status }) => {
      states.push(status);
      return false;
    });
    expect([...states, done.status]).toEqual(["starting", "processing", "succeeded"]);
    const bytes = await (await fetch(done.output as string)).arrayBuffer();
    expect(bytes.byteLength).toBe(CLIP_BYTES);
  });

  it("runs a model in one go", async () => {
    const { client } = await start({ script: { query: ["ok", "list-output"] } });
    const input = { prompt: "a lake" };
    expect(await client.run(MODEL, { input, wait: { mode: "poll", interval: 1 } })).toMatch(/^http.*\.mp4$/);
    expect(await client.run(MODEL, { input, wait: { mode: "poll", interval: 1 } })).toHaveLength(1);
  });

  it("meets its errors", async () => {
    const { client } = await start({ script: { create: ["fails:flagged as sensitive (E005)"] } });
    const input = { prompt: "a lake" };
    await expect(client.run(MODEL, { input, wait: { mode: "poll", interval: 1 } })).rejects.toThrow("flagged as sensitive");
    const refused = client.predictions.create({ model: MODEL, input: { ...input, colour: "blue" } });
    await expect(refused).rejects.toMatchObject({ name: "ApiError", response: { status: 422 } });
  });

  it("cancels, and takes a callback for genuine", async () => {
    const { client, emulator } = await start();
    const { id } = await client.predictions.create({ model: MODEL, input: { prompt: "a lake" } });
    expect(await client.predictions.cancel(id)).toMatchObject({ id, status: "canceled" });
    const other = await client.predictions.create({ model: MODEL, input: { prompt: "a lake" } });
    const { headers, body } = await emulator.finish(other.id);
    const sent = {
      body,
      secret: WEBHOOK_SECRET,
      id: headers["webhook-id"] ?? "",
      timestamp: headers["webhook-timestamp"] ?? "",
      signature: headers["webhook-signature"] ?? "",
    };
    expect(await validateWebhook(sent)).toBe(true);
    expect(await validateWebhook({ ...sent, body: `${body} ` })).toBe(false);
  });
});

describe("what the adapter sends, and what Replicate's own client sends", () => {
  const least = { prompt: "a lake", duration: 8, resolution: "720p" };
  const cases: [string, Job, Parameters<Replicate["predictions"]["create"]>[0]][] = [
    ["the least", aJob({}, { model: MODEL }), { model: MODEL, input: least }],
    [
      "everything, and a callback",
      aJob({ enhancePrompt: true, upsample: true, aspectRatio: "9:16" }, { model: `${MODEL}-fast`, callbackUrl: CALLBACK }),
      {
        model: `${MODEL}-fast`,
        input: { ...least, resolution: "1080p", aspect_ratio: "9:16" },
        webhook: CALLBACK,
        webhook_events_filter: ["completed"],
      },
    ],
    [
      "a first frame",
      aJob({ model: "veo3-pro-frames", images: [FIRST] }, { model: MODEL }),
      { model: MODEL, input: { ...least, image: FIRST } },
    ],
    [
      "first and last frame",
      aJob({ model: "veo2-fast-frames", images: [FIRST, LAST] }, { model: `${MODEL}-fast` }),
      { model: `${MODEL}-fast`, input: { ...least, image: FIRST, last_frame: LAST } },
    ],
    [
      "references",
      aJob({ model: "veo2-fast-components", images: [FIRST, LAST, THIRD] }, { model: MODEL }),
      { model: MODEL, input: { ...least, aspect_ratio: "16:9", reference_images: [FIRST, LAST, THIRD] } },
    ],
  ];
  it.each(cases)("is the same for %s", async (_, asked, options) => {
    const { emulator, provider, client, signal } = await start();
    await provider.submit(asked, signal());
    await client.predictions.create(options);
    const [ours, theirs] = emulator.requests();
    expect(ours).toMatchObject({ call: "create", method: theirs?.method, path: theirs?.path });
    expect(ours?.body).toEqual(theirs?.body);
    for (const name of ["authorization", "content-type", "prefer", "cancel-after"]) {
      expect(ours?.headers[name]).toBe(theirs?.headers[name]);
    }
  });

  it("is the same for polls and cancels", async () => {
    const { emulator, provider, client, submitted, signal } = await start();
    const operation = await submitted();
    await provider.poll(operation, signal());
    await provider.cancel?.(operation, signal());
    const mark = emulator.requests().length;
    await client.predictions.get(idOf(operation));
    await client.predictions.cancel(idOf(operation));
    const seen = emulator.requests().map(({ method, path }) => `${method} ${path}`);
    expect(seen.slice(1, mark)).toEqual(seen.slice(mark));
    expect(seen.slice(mark)).toEqual([`GET /v1/predictions/${idOf(operation)}`, `POST /v1/predictions/${idOf(operation)}/cancel`]);
  });
});

describe("replicate against an emulated server", () => {
  it("takes a job from submit to bytes", async () => {
    const { emulator, provider, signal, submitted, sourceOf } = await start({
      pollsBeforeDone: 2,
      script: { query: ["not-found-just-after-create"] },
    });
    const operation = await submitted();
    expect(await provider.poll(operation, signal())).toEqual({ status: "missing" });
    for (const _ of ["starting", "processing"])
      expect(await provider.poll(operation, signal())).toMatchObject({ status: "running" });
    const video = await provider.open(await sourceOf(operation), null, signal());
    expect(video).toMatchObject({ length: CLIP_BYTES, offset: 0, validator: `"${CLIP_BYTES}"` });
    expect(await bytesOf(video.body)).toBe(CLIP_BYTES);
    const calls = emulator.requests().map(({ call }) => call);
    expect(calls).toEqual(["create", "query", "query", "query", "query", "download"]);
    expect([emulator.creates(), emulator.jobs()]).toEqual([1, 1]);
  });

  it.each([
    ["two frames", aJob({ model: "veo2-fast-frames", images: [FIRST, LAST] }, { model: `${MODEL}-fast` })],
    ["references", aJob({ model: "veo2-fast-components", images: [FIRST] }, { model: MODEL })],
  ])("takes a job with %s to its video", async (_, asked) => {
    const { provider, sourceOf, signal } = await start();
    const { operation } = await provider.submit(asked, signal());
    expect(await sourceOf(operation)).toMatchObject({ url: expect.stringContaining(idOf(operation)) });
  });

  it.each([
    ["return-422", 0, { name: "RefusedError", by: "task" }],
    ["return-404", 0, { name: "RefusedError", by: "model" }],
  ] as const)("a submit answered by %s makes %i jobs and throws %j", async (instruction, jobs, error) => {
    const { emulator, provider, signal } = await start({ script: { create: [instruction] } });
    await expect(provider.submit(job, signal())).rejects.toMatchObject(error);
    expect([emulator.creates(), emulator.jobs()]).toEqual([1, jobs]);
  });

  it("leaves a model that is not served to another route", async () => {
    const { emulator, provider, signal } = await start();
    const refused = provider.submit(aJob({}, { model: "nobody/nothing" }), signal());
    await expect(refused).rejects.toMatchObject({ name: "RefusedError", by: "model" });
    expect(emulator.jobs()).toBe(0);
  });

  it.each([
    [{ query: ["status:contemplating"] }, { status: "running" }],
    [{ query: ["slow-body"] }, { status: "succeeded" }],
    [{ query: ["list-output"] }, { status: "succeeded" }],
    [{ query: ["data-removed"] }, { status: "empty" }],
    [{ create: ["no-video"] }, { status: "empty" }],
    [{ create: ["fails:The input was flagged as sensitive (E005)"] }, { status: "failed", by: "task", reason: "content_policy" }],
    [
      { create: ["fails:Service is temporarily unavailable (E004)"] },
      { status: "failed", by: "route", reason: "upstream_rejected" },
    ],
    [{ query: ["status:aborted"] }, { status: "failed", by: "task", reason: "cancelled" }],
  ] satisfies [ReplicateOptions["script"], object][])("a poll with %j is read as %j", async (script, result) => {
    const { provider, submitted, signal } = await start({ script });
    expect(await provider.poll(await submitted(), signal())).toMatchObject(result);
  });

  it("opens no video that is in the reply itself", async () => {
    const { provider, finish, signal } = await start({ script: { query: ["inline-output"] } });
    await expect(provider.open(await finish(), null, signal())).rejects.toMatchObject({ name: "RefusedError" });
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

  it("is called back on this machine when it is done, and only then", async () => {
    const { emulator, provider, signal } = await start();
    const receiver = await startReplicateEmulator();
    running.push(receiver);
    const callbackUrl = `${receiver.url}/callbacks/t`;
    const { operation } = await provider.submit({ ...job, callbackUrl }, signal());
    expect(receiver.requests()).toEqual([]);
    await emulator.finish(idOf(operation));
    expect(receiver.requests()).toMatchObject([
      { method: "POST", path: "/callbacks/t", body: { id: idOf(operation), status: "succeeded" } },
    ]);
  });

  it("believes what the emulator signed with the secret that both were told, and no other", async () => {
    const webhookSecret = `whsec_${btoa("the secret of another account")}`;
    const { emulator, submitted, signal } = await start({ webhookSecret });
    const operation = await submitted();
    const { headers, body } = await emulator.finish(idOf(operation));
    const judge = async (secret: string) => {
      const upstream = anUpstream({ baseUrl: emulator.url, allowLoopback: true, callbackSecrets: [secret] });
      return replicate(upstream).isGenuine?.({ headers: new Headers(headers), body }, operation, signal());
    };
    expect([await judge(webhookSecret), await judge(WEBHOOK_SECRET)]).toEqual([true, false]);
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
    expect(downloads.map(({ headers }) => headers.authorization)).toEqual([undefined, `Bearer ${KEY}`]);
    expect(other.emulator.requests().at(-1)).toMatchObject({ call: "download" });
    expect(JSON.stringify(other.emulator.requests().at(-1)?.headers)).not.toContain("upstream-secret");
  });
});
