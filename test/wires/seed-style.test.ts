// The adapter over real sockets: what a stubbed fetch cannot show is how a connection breaks, and where a header really goes.
import { afterEach, describe, expect, it } from "vitest";
import { seedStyle } from "../../src/providers/seed-style.ts";
import type { Json } from "../../src/core/json.ts";
import { startSeedStyleEmulator, type EmulatorOptions, type SeedStyleEmulator } from "../support/emulators/seed-style.ts";
import { aJob, anUpstream } from "../support/upstreams.ts";

const KEY = "sk-upstream-secret";
const CLIP_BYTES = 146_831;
const job = aJob({ enhancePrompt: true, aspectRatio: "16:9" }, { model: "veo3.1-fast" });

const running: SeedStyleEmulator[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((emulator) => emulator.close()));
});

async function start(options: EmulatorOptions = {}) {
  const emulator = await startSeedStyleEmulator({ apiKey: KEY, pollsBeforeDone: 0, ...options });
  running.push(emulator);
  const provider = seedStyle(anUpstream({ baseUrl: emulator.url, credential: KEY, allowLoopback: true }));
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

describe("seedStyle against an emulated server", () => {
  it("takes a job from submit to bytes", async () => {
    const { emulator, provider, signal, sourceOf } = await start({
      pollsBeforeDone: 1,
      script: { query: ["not-found-just-after-create", "ms-times"] },
    });
    const { operation, prompt } = await provider.submit(job, signal());
    expect(prompt).toBe("a lake");
    expect(await provider.poll(operation, signal())).toEqual({ status: "missing" });
    expect(await provider.poll(operation, signal())).toMatchObject({ status: "running" });
    const video = await provider.open(await sourceOf(operation), null, signal());
    expect(video).toMatchObject({ length: CLIP_BYTES, offset: 0, validator: `"${CLIP_BYTES}-0"` });
    expect(await bytesOf(video.body)).toBe(CLIP_BYTES);
    expect(emulator.requests()[0]?.body).toEqual({
      model: "veo3.1-fast",
      prompt: "a lake",
      enhance_prompt: true,
      aspect_ratio: "16:9",
    });
    expect([emulator.creates(), emulator.jobs()]).toEqual([1, 1]);
  });

  it.each([
    ["unknown-status", { status: "running" }],
    ["regress", { status: "running" }],
    ["status:video_upsampling", { status: "running" }],
    ["no-url", { status: "empty" }],
    ["refused-by-policy", { status: "failed", by: "task", reason: "content_policy" }],
    ["slow-body", { status: "succeeded" }],
  ] as const)("a poll answered by %s is read as %j", async (instruction, result) => {
    const { provider, signal } = await start({ script: { query: [instruction] } });
    const { operation } = await provider.submit(job, signal());
    expect(await provider.poll(operation, signal())).toMatchObject(result);
  });

  it("resumes where it was told to, and from zero when the file has changed", async () => {
    const { provider, finish, signal } = await start();
    const source = await finish();
    const validator = `"${CLIP_BYTES}-0"`;
    const rest = await provider.open(source, { offset: 100_000, validator }, signal());
    expect(rest).toMatchObject({ offset: 100_000, length: CLIP_BYTES - 100_000, validator });
    expect(await bytesOf(rest.body)).toBe(CLIP_BYTES - 100_000);
    const whole = await provider.open(source, { offset: 100_000, validator: '"another"' }, signal());
    expect(whole).toMatchObject({ offset: 0, length: CLIP_BYTES, validator });
    await whole.body.cancel();
    const past = await provider.open(source, { offset: CLIP_BYTES, validator }, signal());
    expect(past).toMatchObject({ offset: 0, length: CLIP_BYTES });
    await past.body.cancel();
  });

  it("carries the key to no other origin", async () => {
    const other = await start();
    const there = (await other.finish()) as { url: string };
    const { emulator, provider, finish, signal } = await start({ script: { download: [`redirect:${there.url}`] } });
    const video = await provider.open(await finish(), null, signal());
    await video.body.cancel();
    expect(emulator.requests().at(-1)?.headers.authorization).toBe(`Bearer ${KEY}`);
    expect(other.emulator.requests().at(-1)?.headers.authorization).toBeUndefined();
  });

  it("asks for a fresh link when one has expired", async () => {
    const { provider, sourceOf, signal } = await start({ script: { download: ["expire-url"] } });
    const { operation } = await provider.submit(job, signal());
    const stale = await sourceOf(operation);
    await expect(provider.open(stale, null, signal())).rejects.toMatchObject({ name: "AssetGoneError" });
    await expect(provider.open(stale, null, signal())).rejects.toMatchObject({ name: "AssetGoneError" });
    const video = await provider.open(await sourceOf(operation), null, signal());
    expect(await bytesOf(video.body)).toBe(CLIP_BYTES);
  });
});
