// The public API page, row by row and example by example: what it shows is what the gateway answers.
import { reset } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import { aTenant, call, create, createdId, finish, query, type Video } from "../support/gateway.ts";
import { readError } from "../support/refusals.ts";
import { curlCommands, examplesUnder, tableUnder } from "../support/seed-page.ts";

afterEach(reset);

const SEED_ID = /^veo3:\d{10}-[a-z0-9]{8,}$/;
/** What the page says of a value's type, as a judgement. */
const IS: Record<string, (value: unknown) => boolean> = {
  string: (value) => typeof value === "string",
  integer: (value) => Number.isSafeInteger(value),
  "string/null": (value) => value === null || typeof value === "string",
};

async function video(key: string, id: string): Promise<Video> {
  const reply = await query(key, id);
  expect(reply.status).toBe(200);
  return reply.json();
}

function expectFields(body: object, rows: string[][]): void {
  const given = body as Record<string, unknown>;
  for (const [name = "", type = ""] of rows) expect([name, IS[type]?.(given[name])]).toEqual([name, true]);
}

describe("POST /v1/video/create", () => {
  const [curl] = curlCommands();

  it("takes the page's curl command as it stands", async () => {
    const { key } = await aTenant();
    const { path = "", body = "", headers = {} } = curl ?? {};
    expect(path).toBe("/v1/video/create");
    const authorization = headers["Authorization"]?.replace("<APERTIS_API_KEY>", key) ?? "";
    const reply = await call(path, { method: "POST", body, headers: { ...headers, Authorization: authorization } });
    expect([reply.status, reply.headers.get("content-type")]).toEqual([200, "application/json"]);
    const task = await reply.json<Video>();
    expect(Object.keys(task)).toEqual(Object.keys(examplesUnder("Create Video")[0] ?? {}));
    expectFields(task, tableUnder("Response Fields"));
    expect(task.status).toBe("pending");
    expect(task.id).toMatch(SEED_ID);
    expect(task.enhanced_prompt).toContain("A serene lake with mountains in the background at sunset");
    expect(task.enhanced_prompt.length).toBeGreaterThan("A serene lake with mountains in the background at sunset".length);
  });

  it("counts its times in unix seconds, in the id and in status_update_time", async () => {
    const { key } = await aTenant();
    const before = Math.floor(Date.now() / 1000);
    const task = await (await create(key, { model: "veo3.1-fast", prompt: "a lake" })).json<Video>();
    const after = Math.floor(Date.now() / 1000);
    const inId = Number(/^veo3\.1-fast:(\d{10})-/.exec(task.id)?.[1]);
    for (const time of [inId, task.status_update_time]) {
      expect(time).toBeGreaterThanOrEqual(before);
      expect(time).toBeLessThanOrEqual(after);
    }
  });

  it("says where to ask for the task, for logs and for people with curl", async () => {
    const { key } = await aTenant();
    const reply = await create(key, { model: "veo3", prompt: "a lake" });
    const { id } = await reply.json<Video>();
    expect(reply.headers.get("X-Task-Id")).toBe(id);
    expect(reply.headers.get("Location")).toBe(`/v1/video/query?id=${id}`);
  });

  describe("required parameters", () => {
    it.each(tableUnder("Required Parameters"))("refuses a create without %s", async (name = "") => {
      const { key } = await aTenant();
      const { [name]: _, ...rest } = { model: "veo3", prompt: "a lake" } as Record<string, string>;
      expect(await readError(await create(key, rest))).toMatchObject({
        status: 400,
        code: "missing_required_parameter",
        param: name,
      });
    });
  });

  describe("optional parameters", () => {
    const examples: Record<string, unknown[]> = {
      enhance_prompt: [true, false],
      enable_upsample: [true, false],
      aspect_ratio: ["16:9", "9:16"],
      images: [["https://images.example/first.jpg"]],
    };

    it.each(tableUnder("Optional Parameters"))("takes %s, a %s, and does without it", async (name = "") => {
      const { key } = await aTenant();
      const model = name === "images" ? "veo3-pro-frames" : "veo3";
      expect(examples[name]).toBeDefined();
      for (const value of [...(examples[name] ?? []), undefined, null]) {
        expect([value, (await create(key, { model, prompt: "a lake", [name]: value })).status]).toEqual([value, 200]);
      }
    });

    it("gives the prompt as sent for enhanced_prompt unless enhance_prompt is true", async () => {
      const { key } = await aTenant();
      for (const given of [{}, { enhance_prompt: false }, { enhance_prompt: null }]) {
        const task = await (await create(key, { model: "veo3", prompt: " 一个湖 ", ...given })).json<Video>();
        expect(task.enhanced_prompt).toBe(" 一个湖 ");
      }
    });

    it("gives the same enhanced_prompt at every query", async () => {
      const { key } = await aTenant();
      const task = await (await create(key, { model: "veo3", prompt: "a lake", enhance_prompt: true })).json<Video>();
      expect(task.enhanced_prompt).not.toBe("a lake");
      expect((await video(key, task.id)).enhanced_prompt).toBe(task.enhanced_prompt);
    });
  });

  it("takes the page's frame references", async () => {
    const { key } = await aTenant();
    const images = ["https://example.com/first-frame.jpg", "https://example.com/last-frame.jpg"];
    const reply = await create(key, { model: "veo2-fast-frames", prompt: "A bird flying across the sky", images });
    expect([reply.status, (await reply.json<Video>()).status]).toEqual([200, "pending"]);
  });

  it.each(tableUnder("Image Reference Limits by Model"))("lets %s have %s images and no more", async (model = "", limit = "") => {
    const { key } = await aTenant();
    const images = Array.from({ length: Number(limit) + 1 }, (_, index) => `https://images.example/${index}.jpg`);
    expect((await create(key, { model, prompt: "a lake", images: images.slice(1) })).status).toBe(200);
    const told = await readError(await create(key, { model, prompt: "a lake", images }));
    expect(told).toMatchObject({ status: 400, code: "too_many_images", param: "images" });
    expect(told.message).toContain(`at most ${limit} image`);
  });
});

describe("the supported models", () => {
  const rows = tableUnder("Supported Models").map(([name = "", description = "", ratios = ""]) => ({ name, description, ratios }));

  it("are eleven", () => expect(rows).toHaveLength(11));

  it.each(rows)("$name: $description", async ({ name, description, ratios }) => {
    const { key } = await aTenant();
    const ask = async (extra: object) => create(key, { model: name, prompt: "a lake", ...extra });
    const task = await (await ask({})).json<Video>();
    expect(task.id.startsWith(`${name}:`)).toBe(true);

    for (const aspect_ratio of ["16:9", "9:16"]) {
      const reply = await ask({ aspect_ratio });
      if (ratios.startsWith("Yes")) expect(reply.status).toBe(200);
      else expect(await readError(reply)).toMatchObject({ status: 400, code: "unsupported_parameter", param: "aspect_ratio" });
    }
    const limit = Number(/max (\d) image/.exec(description)?.[1] ?? 0);
    const images = (count: number) => Array.from({ length: count }, (_, index) => `https://images.example/${index}.jpg`);
    expect((await ask({ images: images(limit) })).status).toBe(200);
    const code = limit === 0 ? "unsupported_parameter" : "too_many_images";
    expect(await readError(await ask({ images: images(limit + 1) }))).toMatchObject({ status: 400, code, param: "images" });
  });
});

describe("GET /v1/video/query", () => {
  const [unfinished = {}, completed = {}] = examplesUnder("Query Video Status");
  const fields = tableUnder("Response Fields");

  function expectVideo(body: Video): void {
    expectFields(body, [...fields, ["video_url", "string/null"]]);
    expect(body.id).toMatch(SEED_ID);
  }

  it("takes the page's curl command as it stands", async () => {
    const { key } = await aTenant();
    const id = await createdId(key);
    const { path = "", headers = {} } = curlCommands()[1] ?? {};
    const authorization = headers["Authorization"]?.replace("<APERTIS_API_KEY>", key) ?? "";
    const reply = await call(path.replace("veo3:1234567890-abcdefgh", id), { headers: { Authorization: authorization } });
    expect([reply.status, reply.headers.get("content-type")]).toEqual([200, "application/json"]);
    expect((await reply.json<Video>()).id).toBe(id);
  });

  it("tells pending and processing in the page's shape, without a video and without an error", async () => {
    const { key } = await aTenant();
    const waiting = await createdId(key, { prompt: "a lake [[busy]]" });
    const running = await createdId(key, { prompt: "a lake [[stuck]]" });
    for (const [id, status] of [
      [waiting, "pending"],
      [running, "processing"],
    ] as const) {
      await expect.poll(async () => (await video(key, id)).status).toBe(status);
      const body = await video(key, id);
      expect(Object.keys(body)).toEqual(Object.keys(unfinished));
      expectVideo(body);
      expect(body.video_url).toBeNull();
    }
  });

  it("tells completed in the page's shape, with a link that gives the video", async () => {
    const owner = await aTenant();
    const body = await finish(owner, await createdId(owner.key, { aspect_ratio: "9:16" }));
    expect(Object.keys(body)).toEqual(Object.keys(completed));
    expectVideo(body);
    expect(body.status).toBe("completed");
    expect(body.video_url).toMatch(/^https:\/\/gateway\.example\/v1\/video\/file\/veo3:/);
    const file = await call(body.video_url ?? "");
    expect([file.status, file.headers.get("content-type")]).toEqual([200, "video/mp4"]);
    const bytes = new Uint8Array(await file.arrayBuffer());
    expect(bytes.byteLength).toBe(Number(file.headers.get("content-length")));
    expect(new TextDecoder().decode(bytes.subarray(4, 8))).toBe("ftyp");
  });

  it.each([
    ["[[fail:content_policy]]", "content_policy"],
    ["[[refuse:content_policy]]", "content_policy"],
    ["[[fail:upstream_rejected]]", "upstream_rejected"],
    ["[[lost_submit]]", "upstream_ambiguous"],
  ])("tells failed for %s, without a video, and adds why", async (tag, code) => {
    const owner = await aTenant();
    const body = await finish(owner, await createdId(owner.key, { prompt: `a lake [[slow:0]] ${tag}` }));
    expect(Object.keys(body)).toEqual([...Object.keys(unfinished), "error"]);
    expectVideo(body);
    expect(body).toMatchObject({ status: "failed", video_url: null, error: { code } });
    expect(Object.keys(body.error ?? {})).toEqual(["code", "message"]);
    expect(body.error?.message).toContain("You were not charged.");
  });

  it("knows the page's four statuses in their order, and its time never goes back", async () => {
    const owner = await aTenant();
    const created = await (await create(owner.key, { model: "veo3", prompt: "a lake [[slow:1]]" })).json<Video>();
    const seen: Video[] = [created];
    await expect
      .poll(
        async () => {
          seen.push(await video(owner.key, created.id));
          return seen.at(-1)?.status;
        },
        { interval: 50, timeout: 5_000 },
      )
      .toBe("processing");
    seen.push(await finishSoon(owner, created.id));
    expect([...new Set(seen.map(({ status }) => status))]).toEqual(["pending", "processing", "completed"]);
    const times = seen.map(({ status_update_time: time }) => time);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it("tells a terminal task's state unchanged for ever", async () => {
    const owner = await aTenant();
    const first = await finish(owner, await createdId(owner.key));
    const second = await video(owner.key, first.id);
    expect({ ...second, video_url: null }).toEqual({ ...first, video_url: null });
  });
});

/** As `finish`, for a generation of a second. */
async function finishSoon(owner: Parameters<typeof finish>[0], id: string): Promise<Video> {
  await scheduler.wait(1_000);
  return finish(owner, id);
}
