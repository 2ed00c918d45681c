// Code written for OpenAI's client, and for OpenRouter, against a running server: nothing is changed in it but base URL and key.
import { execFileSync } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI, { APIError, AuthenticationError, BadRequestError, ConflictError, NotFoundError, toFile } from "openai";
import type { Video } from "openai/resources/videos";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PNG } from "../support/image-server.ts";
import { FFPROBE } from "../support/programs.ts";
import { startReelay, type Server } from "../support/server.ts";

let server: Server;
let client: OpenAI;
beforeAll(async () => {
  server = await startReelay();
  client = new OpenAI({ apiKey: server.testKey, baseURL: `${server.url}/v1` });
});
afterAll(() => server.stop());

const PROMPT = "a lake at sunset [[slow:1]]";

async function untilEnded(id: string): Promise<Video> {
  for (;;) {
    const { data: video, response } = await client.videos.retrieve(id).withResponse();
    if (video.status === "completed" || video.status === "failed") return video;
    expect(video.progress).toBeLessThan(100);
    await sleep(Number(response.headers.get("openai-poll-after-ms")));
  }
}

async function idsOf(prompt: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const video of client.videos.list({ limit: 3 })) if (video.prompt === prompt) ids.push(video.id);
  return ids;
}

async function refusalOf(call: Promise<unknown>): Promise<APIError> {
  const error = await call.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(APIError);
  return error as APIError;
}

describe("OpenAI's client", () => {
  it("creates a video, follows it and downloads it", async () => {
    const created = await client.videos.create({ model: "sora-2", prompt: PROMPT, size: "720x1280", seconds: "4" });
    expect(created).toMatchObject({ object: "video", status: "queued", model: "veo3.1-fast", seconds: "8", size: "720x1280" });
    expect(created).toMatchObject({ adjustments: [{ param: "model" }, { param: "seconds", from: "4", to: "8" }] });

    const done = await untilEnded(created.id);
    expect(done).toMatchObject({ status: "completed", progress: 100, size: "720x1280", error: null });

    const reply = await client.videos.downloadContent(created.id, { variant: "video" });
    const bytes = Buffer.from(await reply.arrayBuffer());
    expect(bytes.equals(await readFile("src/providers/clips/clip-9x16.mp4"))).toBe(true);
    const part = await client.videos.downloadContent(created.id, {}, { headers: { range: "bytes=4-7" } });
    expect([part.status, await part.text()]).toEqual([206, "ftyp"]);
    if (FFPROBE === null) return;
    const args = ["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", "-"];
    expect(Number(execFileSync(FFPROBE, args, { input: bytes, encoding: "utf8" }))).toBeCloseTo(8, 0);
  });

  it("creates from an image's URL, and as JSON", async () => {
    const image = { image_url: "https://images.example/a.png" };
    const form = await client.videos.create({ model: "veo3-pro-frames", prompt: PROMPT, input_reference: image });
    expect(form.model).toBe("veo3-pro-frames");
    const body = { model: "veo3-pro-frames", prompt: PROMPT, input_reference: image };
    const json = await client.post<Video>("/videos", { body });
    expect(json.status).toBe("queued");
  });

  it("creates from an image on disk, or in memory", async () => {
    const folder = await mkdtemp(join(tmpdir(), "reelay-upload-"));
    const path = join(folder, "first.png");
    await writeFile(path, PNG);
    const files = [createReadStream(path), await toFile(PNG, "first.jpg", { type: "image/jpeg" })];
    for (const input_reference of files) {
      const created = await client.videos.create({ model: "sora-2", prompt: PROMPT, input_reference });
      expect(created).toMatchObject({
        status: "queued",
        model: "veo2-fast-frames",
        adjustments: [{ param: "model", from: "sora-2" }],
      });
      expect(await untilEnded(created.id)).toMatchObject({ status: "completed", progress: 100, error: null });
      const reply = await client.videos.downloadContent(created.id);
      const clip = await readFile("src/providers/clips/clip-16x9.mp4");
      expect(Buffer.from(await reply.arrayBuffer()).equals(clip)).toBe(true);
    }
    await rm(folder, { recursive: true });
  });

  it("lists every video once, page by page, and deletes them", async () => {
    const prompt = "one of several [[slow:600]]";
    const created: string[] = [];
    for (let count = 0; count < 4; count++) {
      const size = count % 2 === 0 ? "1280x720" : "720x1280";
      created.unshift((await client.videos.create({ model: "veo2-fast", prompt, size }, { maxRetries: 0 })).id);
    }
    expect((await idsOf(prompt)).sort()).toEqual([...created].sort());

    const ended = await client.videos.create({ prompt: "soon done [[slow:0]]" });
    await untilEnded(ended.id);
    const deleted = await client.videos.delete(ended.id);
    expect(deleted).toEqual({ id: ended.id, object: "video.deleted", deleted: true });
    expect(await refusalOf(client.videos.retrieve(ended.id))).toBeInstanceOf(NotFoundError);
  });

  it("throws its own classes, with our code and the parameter", async () => {
    const noModel = await refusalOf(client.videos.create({ model: "sora-3", prompt: PROMPT }));
    expect(noModel).toBeInstanceOf(BadRequestError);
    expect(noModel).toMatchObject({ status: 400, code: "model_not_found", param: "model", type: "invalid_request_error" });
    expect(noModel.message).toContain("Did you mean sora-2?");
    expect(noModel.requestID).toMatch(/^req_/);

    const file = await toFile(Buffer.from("<svg/>"), "a.png", { type: "image/png" });
    const upload = await refusalOf(client.videos.create({ model: "sora-2", prompt: PROMPT, input_reference: file }));
    expect(upload).toBeInstanceOf(BadRequestError);
    expect(upload).toMatchObject({ code: "image_invalid", param: "input_reference" });

    const stranger = new OpenAI({ apiKey: "sk-nobody", baseURL: `${server.url}/v1` });
    expect(await refusalOf(stranger.videos.list().then((page) => page.data))).toBeInstanceOf(AuthenticationError);
    expect(await refusalOf(client.videos.retrieve("video_123"))).toBeInstanceOf(NotFoundError);
    expect(await refusalOf(client.videos.remix("video_123", { prompt: PROMPT }))).toBeInstanceOf(NotFoundError);

    const { id } = await client.videos.create({ prompt: "never [[stuck]]" });
    expect(await refusalOf(client.videos.downloadContent(id))).toBeInstanceOf(ConflictError);
  });

  it("creates one video where it had to ask twice", async () => {
    const prompt = "asked for twice [[slow:600]]";
    const retries: (string | null)[] = [];
    const flaky = new OpenAI({
      apiKey: server.testKey,
      baseURL: `${server.url}/v1`,
      fetch: async (url, init) => {
        const reply = await fetch(url, init);
        if (url === "data:,") return reply; // how it finds out whether this fetch knows forms
        retries.push(new Headers(init?.headers).get("x-stainless-retry-count"));
        if (retries.length === 1) throw new TypeError("the reply was lost");
        return reply;
      },
    });
    const { id } = await flaky.videos.create({ prompt });
    expect(retries).toEqual(["0", "1"]);
    expect(await idsOf(prompt)).toEqual([id]);
  });
});

it("code for OpenRouter gets a video by another base URL and key", async () => {
  const baseUrl = `${server.url}/api/v1`;
  const headers = { authorization: `Bearer ${server.testKey}` };
  interface Job {
    readonly polling_url: string;
    readonly status: string;
    readonly unsigned_urls?: readonly string[];
    readonly urls?: readonly string[];
  }

  const submit = await fetch(`${baseUrl}/videos`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify({ model: "google/veo-3.1", prompt: PROMPT, duration: 8, aspect_ratio: "16:9", resolution: "720p" }),
  });
  expect(submit.status).toBe(202);
  let job = (await submit.json()) as Job;
  while (job.status === "pending" || job.status === "in_progress") {
    await sleep(500);
    job = (await (await fetch(new URL(job.polling_url, baseUrl), { headers })).json()) as Job;
  }
  expect(job.status).toBe("completed");
  const clip = await readFile("src/providers/clips/clip-16x9.mp4");
  const unsigned = await fetch(job.unsigned_urls?.[0] ?? "", { headers, redirect: "error" });
  const signed = await fetch(job.urls?.[0] ?? "");
  for (const reply of [unsigned, signed]) {
    expect([reply.status, reply.headers.get("content-type")]).toEqual([200, "video/mp4"]);
    expect(Buffer.from(await reply.arrayBuffer()).equals(clip)).toBe(true);
  }
});
