// The OpenRouter dialect on the wire: submit, poll, download, as its documentation has them.
import { reset, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { catalogue } from "../../src/core/models.ts";
import { wire } from "../../src/wire.ts";
import { aTenant, call, createdId, ORIGIN, query, type TestTenant } from "../support/gateway.ts";
import { driveToEnd, readTask, taskStub } from "../support/objects.ts";
import { expectRefusal, readError } from "../support/refusals.ts";

interface Job {
  readonly id: string;
  readonly polling_url: string;
  readonly status: string;
  readonly unsigned_urls?: readonly string[];
  readonly urls?: readonly string[];
  readonly [name: string]: unknown;
}

let owner: TestTenant;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 86_400_000 });
  owner = await aTenant();
});

afterEach(async () => {
  vi.useRealTimers();
  await reset();
});

const PROMPT = "a lake [[slow:0]]";
const A = "https://images.example/a.png";
const B = "https://images.example/b.png";

async function post(body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const init = { method: "POST", key: owner.key, body: JSON.stringify(body) };
  return call("/api/v1/videos", { ...init, headers: { "content-type": "application/json", ...headers } });
}

async function submitted(body: Record<string, unknown>, headers: Record<string, string> = {}): Promise<Job> {
  const reply = await post({ model: "google/veo-3.1", prompt: PROMPT, ...body }, headers);
  expect(reply.status).toBe(202);
  return reply.json<Job>();
}

/** As a client polls: by the URL that it was given. */
async function poll({ polling_url: url }: Job): Promise<Job> {
  const reply = await call(url, { key: owner.key });
  expect(reply.status).toBe(200);
  return reply.json<Job>();
}

it("keeps metadata and user with the task, as the list tells them", async () => {
  await submitted({ metadata: { order: "A-17" }, user: "u-1" });
  const reply = await call("/v1/video/list", { key: owner.key });
  expect(await reply.json()).toMatchObject({ data: [{ metadata: { order: "A-17", user: "u-1" } }] });
});

it.each([
  [{ user: "a", metadata: { user: "b" } }, "user"],
  [{ user: "x".repeat(513) }, "user"],
  [{ user: "a", metadata: Object.fromEntries(Array.from({ length: 16 }, (_, index) => [`k${index}`, ""])) }, "metadata"],
])("takes no metadata that cannot be kept: %j", async (body, param) => {
  const refused = { status: 400, code: "invalid_value", param };
  await expectRefusal(owner, async () => post({ model: "veo3", prompt: PROMPT, ...body }), refused);
});

it.each([
  ["openai/sora-2", "veo3.1-fast"],
  ["openai/sora-2-pro", "veo3.1"],
])("makes %s by the model that comes nearest, and says so", async (model, made) => {
  expect(await submitted({ model })).toMatchObject({ model: made, adjustments: [{ param: "model", from: model, to: made }] });
});

it("makes it with a model that takes images where there is one", async () => {
  const frames = { frame_images: [frame(A, "first_frame")] };
  expect(await submitted({ model: "openai/sora-2", ...frames })).toMatchObject({ model: "veo2-fast-frames" });
});

it("waits where it is asked to, on submit and on poll", async () => {
  const reply = await post({ model: "veo3", prompt: PROMPT }, { prefer: "wait=1" });
  expect([reply.status, reply.headers.get("preference-applied")]).toEqual([202, "wait=1"]);
  const { polling_url: url } = await reply.json<Job>();
  const polled = await call(url, { key: owner.key, headers: { prefer: "wait=1" } });
  expect([polled.status, polled.headers.get("preference-applied")]).toEqual([200, "wait=1"]);
});

function frame(url: string, type: string): unknown {
  return { type: "image_url", image_url: { url }, frame_type: type };
}

function reference(url: string): unknown {
  return { type: "image_url", image_url: { url } };
}

describe("submit", () => {
  it("answers 202 with where to poll", async () => {
    const job = await submitted({ duration: 8, resolution: "720p", aspect_ratio: "16:9" });
    expect(job).toEqual({
      id: expect.stringMatching(/^veo3\.1:\d{10}-[a-z2-7]{26}$/),
      polling_url: `${ORIGIN}/api/v1/videos/${job.id}`,
      status: "pending",
      model: "veo3.1",
      adjustments: [],
    });
  });

  it.each([
    ["google/veo-3.1", "veo3.1"],
    ["google/veo-3.1-fast", "veo3.1-fast"],
    ["google/veo-3", "veo3"],
    ["google/veo-2", "veo2"],
    ["veo3-pro", "veo3-pro"],
  ])("knows %s", async (model, ours) => {
    expect((await submitted({ model }))["model"]).toBe(ours);
  });

  it.each([
    [{}, { aspectRatio: null, upsample: false }],
    [{ resolution: "1080p" }, { aspectRatio: null, upsample: true }],
    [{ aspect_ratio: "9:16" }, { aspectRatio: "9:16", upsample: false }],
    [{ size: "1280x720" }, { aspectRatio: "16:9", upsample: false }],
    [{ size: "1080x1920" }, { aspectRatio: "9:16", upsample: true }],
    [
      { size: "1920x1080", resolution: "1080p", aspect_ratio: "16:9" },
      { aspectRatio: "16:9", upsample: true },
    ],
  ])("understands %j", async (shape, generation) => {
    const { id } = await submitted(shape);
    expect((await readTask(owner, id))?.generation).toMatchObject(generation);
  });

  it("says what has no effect, or another one", async () => {
    const given = { duration: 4, seed: 42, generate_audio: false, provider: { options: {} } };
    const { adjustments } = await submitted(given);
    const why = expect.any(String);
    expect(adjustments).toEqual([
      { param: "duration", from: 4, to: 8, why },
      { param: "seed", from: 42, to: null, why },
      { param: "generate_audio", from: false, to: null, why },
      { param: "provider", from: "{…}", to: null, why },
    ]);
  });

  it("puts the first frame before the last, whichever comes first", async () => {
    const frames = [frame(B, "last_frame"), frame(A, "first_frame")];
    const { id } = await submitted({ model: "veo2-fast-frames", frame_images: frames });
    expect((await readTask(owner, id))?.generation.images).toEqual([A, B]);
  });

  it("takes references, in their order", async () => {
    const references = [reference(B), reference(A)];
    const { id } = await submitted({ model: "veo2-fast-components", input_references: references, frame_images: [] });
    expect((await readTask(owner, id))?.generation.images).toEqual([B, A]);
  });

  it("has the callback told of the task", async () => {
    const { id } = await submitted({ callback_url: "https://hooks.example/video" });
    expect((await readTask(owner, id))?.webhookUrl).toBe("https://hooks.example/video");
  });

  it("gives one job for one Idempotency-Key, as it is by now", async () => {
    const headers = { "idempotency-key": "k1" };
    const first = await submitted({}, headers);
    await driveToEnd(owner, first.id);
    const again = await submitted({}, headers);
    expect(again).toMatchObject({ id: first.id, status: "completed", urls: [expect.any(String)] });
  });
});

describe("poll", () => {
  it("follows a job to its end, its links and its price", async () => {
    const job = await submitted({ prompt: "a lake [[slow:60]]", resolution: "1080p" });
    expect(await poll(job)).toMatchObject({ status: "pending" });
    await runDurableObjectAlarm(taskStub(owner, job.id));
    expect(await poll(job)).toEqual({ id: job.id, polling_url: job.polling_url, status: "in_progress", model: "veo3.1" });

    vi.setSystemTime(Date.now() + 60_000);
    await driveToEnd(owner, job.id);
    const { model, unsigned_urls: unsigned = [], urls = [], ...done } = await poll(job);
    expect(done).toEqual({
      id: job.id,
      polling_url: job.polling_url,
      status: "completed",
      usage: { cost: catalogue()["veo3.1"].credits + catalogue()["veo3.1"].upsampleCredits, is_byok: false },
    });
    expect(model).toBe("veo3.1");
    expect(unsigned).toEqual([`${ORIGIN}/api/v1/videos/${job.id}/content?index=0`]);

    const withKey = await call(unsigned[0] as string, { key: owner.key });
    const signed = await call(urls[0] as string);
    const bytes = await withKey.arrayBuffer();
    expect(bytes).toEqual(await signed.arrayBuffer());
    expect(new TextDecoder().decode(bytes.slice(4, 8))).toBe("ftyp");
    expect((await call(unsigned[0] as string)).status).toBe(401);
  });

  it("tells why a job failed in a text, and that it cost nothing", async () => {
    const job = await submitted({ prompt: "a lake [[slow:0]] [[fail:content_policy]]" });
    await driveToEnd(owner, job.id);
    const failed = await poll(job);
    expect(failed).toMatchObject({ status: "failed", usage: { cost: 0 }, error: expect.stringContaining("content policy") });
    expect(failed).not.toHaveProperty("urls");
    expect(failed).not.toHaveProperty("unsigned_urls");
  });

  it("tells of a cancelled job in its own word", async () => {
    const job = await submitted({});
    expect((await wire(env).taskOf(owner.tenant, job.id).cancel()).ok).toBe(true);
    await driveToEnd(owner, job.id);
    expect(await poll(job)).toMatchObject({ status: "cancelled" });
  });

  it("reads what the seed's dialect created, which reads what this one did", async () => {
    const theirs = await createdId(owner.key);
    expect((await call(`/api/v1/videos/${theirs}`, { key: owner.key })).status).toBe(200);
    const { id } = await submitted({});
    expect(await (await query(owner.key, id)).json()).toMatchObject({ id });
  });
});

describe("content", () => {
  it("is refused before there is any", async () => {
    const { id } = await submitted({ prompt: "a lake [[stuck]]" });
    const reply = await call(`/api/v1/videos/${id}/content?index=0`, { key: owner.key });
    expect(await readError(reply)).toMatchObject({ status: 409, code: "video_not_ready" });
  });

  it.each(["1", "-1", "x", "0&index=0"])("has no index %s", async (index) => {
    const { id } = await submitted({});
    const send = async () => call(`/api/v1/videos/${id}/content?index=${index}`, { key: owner.key });
    const code = index.includes("&") ? "duplicate_parameter" : "invalid_value";
    await expectRefusal(owner, send, { status: 400, code, param: "index" });
  });
});

it("lists the models with what they can and what they cost, to anybody", async () => {
  const reply = await call("/api/v1/videos/models");
  const { data } = await reply.json<{ data: { id: string }[] }>();
  expect(data).toHaveLength(Object.keys(catalogue()).length);
  const { credits, upsampleCredits, description } = catalogue()["veo3.1"];
  expect(data.find(({ id }) => id === "google/veo-3.1")).toEqual({
    id: "google/veo-3.1",
    canonical_slug: "veo3.1",
    name: description,
    description,
    created: expect.any(Number),
    supported_durations: [8],
    supported_resolutions: ["720p", "1080p"],
    supported_aspect_ratios: ["16:9", "9:16"],
    supported_sizes: ["1280x720", "720x1280", "1920x1080", "1080x1920"],
    supported_frame_images: null,
    generate_audio: null,
    seed: false,
    allowed_passthrough_parameters: [],
    pricing_skus: { credits_per_video: String(credits), credits_per_video_1080p: String(credits + upsampleCredits) },
  });
  expect(data.find(({ id }) => id === "veo3-pro-frames")).toMatchObject({ supported_frame_images: ["first_frame"] });
  expect(data.find(({ id }) => id === "veo2-fast-frames")).toMatchObject({
    supported_frame_images: ["first_frame", "last_frame"],
    supported_aspect_ratios: null,
  });
});

describe("what a body can get wrong leaves nothing behind", () => {
  const FRAMES = { model: "veo2-fast-frames" };
  const first = "frame_images.0.image_url.url";

  it.each<[string, Record<string, unknown>, string, string]>([
    ["no model", { model: undefined }, "missing_required_parameter", "model"],
    ["no such model", { model: "google/veo-4" }, "model_not_found", "model"],
    ["a method as model", { model: "toString" }, "model_not_found", "model"],
    ["no prompt", { prompt: undefined }, "missing_required_parameter", "prompt"],
    ["a blank prompt", { prompt: " " }, "invalid_value", "prompt"],
    ["no time at all", { duration: 0 }, "invalid_value", "duration"],
    ["half a second", { duration: 0.5 }, "invalid_type", "duration"],
    ["a text as duration", { duration: "8" }, "invalid_type", "duration"],
    ["another resolution", { resolution: "4K" }, "invalid_value", "resolution"],
    ["another shape", { aspect_ratio: "1:1" }, "invalid_value", "aspect_ratio"],
    ["another size", { size: "640x480" }, "invalid_value", "size"],
    ["a size that every object has", { size: "constructor" }, "invalid_value", "size"],
    ["two resolutions", { size: "1280x720", resolution: "1080p" }, "invalid_value", "size"],
    ["two shapes", { size: "1280x720", aspect_ratio: "9:16" }, "invalid_value", "size"],
    ["a shape that the model chooses", { model: "veo2", aspect_ratio: "16:9" }, "unsupported_parameter", "aspect_ratio"],
    ["a size that the model chooses", { model: "veo2", size: "1280x720" }, "unsupported_parameter", "size"],
    ["an image for a model without", { frame_images: [frame(A, "first_frame")] }, "unsupported_parameter", "frame_images"],
    ["a reference for a model without", { input_references: [reference(A)] }, "unsupported_parameter", "input_references"],
    [
      "references as frames",
      { model: "veo2-fast-components", frame_images: [frame(A, "first_frame")] },
      "unsupported_parameter",
      "frame_images",
    ],
    ["frames as references", { ...FRAMES, input_references: [reference(A)] }, "unsupported_parameter", "input_references"],
    ["one object as frames", { ...FRAMES, frame_images: frame(A, "first_frame") }, "invalid_type", "frame_images"],
    ["a frame of no type", { ...FRAMES, frame_images: [reference(A)] }, "missing_required_parameter", "frame_images.0.frame_type"],
    [
      "a frame with a position",
      { ...FRAMES, frame_images: [{ ...(frame(A, "first_frame") as object), position: 0 }] },
      "unknown_parameter",
      "frame_images.0.position",
    ],
    [
      "two first frames",
      { ...FRAMES, frame_images: [frame(A, "first_frame"), frame(B, "first_frame")] },
      "invalid_value",
      "frame_images",
    ],
    ["a last frame alone", { ...FRAMES, frame_images: [frame(A, "last_frame")] }, "invalid_value", "frame_images"],
    [
      "too many frames",
      { model: "veo3-pro-frames", frame_images: [frame(A, "first_frame"), frame(B, "last_frame")] },
      "too_many_images",
      "frame_images",
    ],
    [
      "a data URL",
      { ...FRAMES, frame_images: [frame("data:image/png;base64,AA==", "first_frame")] },
      "image_url_not_allowed",
      first,
    ],
    [
      "the name of an upload",
      { ...FRAMES, frame_images: [frame(`upload:${"0".repeat(64)}`, "first_frame")] },
      "image_url_not_allowed",
      first,
    ],
    [
      "a private address second in the body",
      { ...FRAMES, frame_images: [frame(A, "last_frame"), frame("https://10.0.0.1/x", "first_frame")] },
      "image_url_not_allowed",
      "frame_images.1.image_url.url",
    ],
    [
      "a video as reference",
      { model: "veo2-fast-components", input_references: [{ type: "video_url", video_url: { url: A } }] },
      "invalid_value",
      "input_references.0.type",
    ],
    ["a callback over http", { callback_url: "http://hooks.example/" }, "webhook_url_not_allowed", "callback_url"],
    ["a callback to us", { callback_url: `${ORIGIN}/v1/video/create` }, "webhook_url_not_allowed", "callback_url"],
    ["half a seed", { seed: 0.5 }, "invalid_type", "seed"],
    ["a text for true", { generate_audio: "true" }, "invalid_type", "generate_audio"],
    ["a list as provider", { provider: [] }, "invalid_type", "provider"],
    ["a field of another dialect", { seconds: "8" }, "unknown_parameter", "seconds"],
    ["a plain image", { image: A }, "unknown_parameter", "image"],
  ])("%s", async (_name, body, code, param) => {
    const send = async () => post({ model: "google/veo-3.1", prompt: PROMPT, ...body });
    await expectRefusal(owner, send, { status: 400, code, param });
  });

  it("JSON only", async () => {
    const send = async () => call("/api/v1/videos", { method: "POST", key: owner.key, body: new FormData() });
    await expectRefusal(owner, send, { status: 415, code: "unsupported_media_type" });
  });

  it.each([
    ["POST", "/api/v1/videos"],
    ["GET", "/api/v1/videos/x"],
    ["GET", "/api/v1/videos/x/content"],
  ])("no key for %s %s", async (method, path) => {
    await expectRefusal(owner, async () => call(path, { method }), { status: 401, code: "missing_api_key" });
  });

  it("somebody else's id, or none", async () => {
    const theirs = await createdId((await aTenant()).key);
    for (const id of ["x", "%00", "..%2f..%2fadmin", theirs]) {
      for (const suffix of ["", "/content"]) {
        const send = async () => call(`/api/v1/videos/${id}${suffix}`, { key: owner.key });
        await expectRefusal(owner, send, { status: 404, code: "task_not_found" });
      }
    }
  });

  it.each([
    ["GET", "/api/v1/videos", "POST, OPTIONS"],
    ["DELETE", "/api/v1/videos/x", "GET, HEAD, OPTIONS"],
    ["POST", "/api/v1/videos/models", "GET, HEAD, OPTIONS"],
  ])("%s %s, which is told what is allowed there", async (method, path, allow) => {
    const send = async () => call(path, { method, key: owner.key });
    await expectRefusal(owner, send, { status: 405, code: "method_not_allowed" });
    expect((await send()).headers.get("allow")).toBe(allow);
  });
});
