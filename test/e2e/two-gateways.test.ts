import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FFPROBE } from "../support/programs.ts";
import { startReelay, type Server } from "../support/server.ts";
import { createVideo, untilEnded } from "../support/tenant-calls.ts";

describe("a gateway whose upstream is another one", () => {
  let upstream: Server;
  let gateway: Server;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "reelay-two-"));
    upstream = await startReelay();
    const wire = { kind: "seed-style", base_url: upstream.url, api_key_secret: "UP_KEY", honours_idempotency_key: true };
    const provider = { name: "up", ...wire, median_seconds: 6 };
    gateway = await startReelay({ env: { PROVIDERS: JSON.stringify([provider]), UP_KEY: upstream.testKey } });
  });
  afterAll(async () => {
    await Promise.all([gateway.stop(), upstream.stop()]);
    await rm(folder, { recursive: true });
  });

  it("delivers a file of its own that plays, and says nothing of where it came from", async () => {
    const { url, liveKey } = gateway;
    const id = await createVideo(url, liveKey, {
      model: "veo3",
      prompt: "a lake at sunset",
      aspect_ratio: "9:16",
      enhance_prompt: true,
    });
    const video = await untilEnded(url, liveKey, id);
    expect(video).toMatchObject({ id, status: "completed" });
    // The gateway has no enhancer of its own here, so it is the upstream that rewrites.
    expect(video.enhanced_prompt).toMatch(/^a lake at sunset\. Cinematic/);
    expect(JSON.stringify(video)).not.toContain(new URL(upstream.url).host);
    const link = video.video_url as string;
    expect(link.startsWith(url)).toBe(true);

    const file = join(folder, "video.mp4");
    await writeFile(file, new Uint8Array(await (await fetch(link)).arrayBuffer()));
    if (FFPROBE === null) return console.warn("no ffprobe here: the file's size is checked, not that it plays");
    const probe = spawnSync(FFPROBE, ["-v", "error", "-show_entries", "stream=codec_name,width,height", "-of", "csv=p=0", file]);
    expect(String(probe.stderr)).toBe("");
    expect(String(probe.stdout)).toContain("h264,720,1280");
  });

  it.each([
    ["[[refuse:content_policy]]", "content_policy"],
    ["[[slow:0]] [[fail:content_policy]]", "content_policy"],
  ])("tells a tenant of an upstream's refusal in its own words: %s", async (tags, code) => {
    const { url, liveKey } = gateway;
    const id = await createVideo(url, liveKey, { model: "veo3", prompt: `a lake ${tags}` });
    const video = await untilEnded(url, liveKey, id);
    expect(video).toMatchObject({ status: "failed", video_url: null, error: { code } });
    expect(video.error?.message).toContain("You were not charged.");
  });

  it("gives a hand-over that is repeated under its key the same task, as honours_idempotency_key has it", async () => {
    const body = JSON.stringify({ model: "veo3", prompt: "a lake [[slow:0]]" });
    const handOver = async (): Promise<{ id: string }> => {
      const headers = {
        authorization: `Bearer ${upstream.testKey}`,
        "content-type": "application/json",
        "idempotency-key": "veo3:1/1",
      };
      const reply = await fetch(`${upstream.url}/v1/video/create`, { method: "POST", headers, body });
      return (await reply.json()) as { id: string };
    };
    expect((await handOver()).id).toBe((await handOver()).id);
  });

  it("does not know a live task by a test key", async () => {
    const id = await createVideo(gateway.url, gateway.liveKey, { model: "veo3", prompt: "a lake [[slow:0]]" });
    const reply = await fetch(`${gateway.url}/v1/video/query?id=${id}`, {
      headers: { authorization: `Bearer ${gateway.testKey}` },
    });
    expect(reply.status).toBe(404);
  });
});
