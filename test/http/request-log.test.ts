import { reset } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { aTenant, call, callWith, create, createdId, finish, query, type TestTenant } from "../support/gateway.ts";

const FIELDS = ["level", "event", "request_id", "method", "route", "status", "code", "tenant", "mode", "key", "task", "ms"];

const lines: string[] = [];
let owner: TestTenant;
beforeEach(async () => {
  owner = await aTenant();
  lines.length = 0;
  for (const level of ["log", "info", "warn", "error", "debug"] as const) {
    vi.spyOn(console, level).mockImplementation((...parts: unknown[]) => void lines.push(parts.map(String).join(" ")));
  }
});
afterEach(async () => {
  vi.restoreAllMocks();
  await reset();
});

function entries(event: string): Record<string, unknown>[] {
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter((entry) => entry["event"] === event);
}

async function entryOf(send: () => Promise<Response>): Promise<Record<string, unknown>> {
  lines.length = 0;
  const reply = await send();
  await reply.arrayBuffer();
  const [entry, ...others] = entries("request");
  expect(others).toEqual([]);
  expect(Object.keys(entry ?? {})).toEqual(FIELDS);
  expect(entry).toMatchObject({ status: reply.status, request_id: reply.headers.get("x-request-id"), ms: expect.any(Number) });
  return entry ?? {};
}

describe("a request leaves one line", () => {
  it("with who, what and how it ended", async () => {
    const { tenant, mode, keyId, key } = owner;
    const id = await createdId(key);
    const entry = await entryOf(async () => query(key, id));
    expect(entry).toMatchObject({
      level: "info",
      method: "GET",
      route: "/v1/video/query",
      code: null,
      tenant,
      mode,
      key: keyId,
      task: id,
    });
  });

  it("with the task that it made", async () => {
    const reply = await create(owner.key, { model: "veo3", prompt: "a lake" });
    const { id } = await reply.json<{ id: string }>();
    expect(entries("request")).toMatchObject([{ method: "POST", route: "/v1/video/create", status: 200, task: id }]);
  });

  it.each<[string, () => Promise<Response>, object]>([
    ["a bad body", async () => create(owner.key, { model: "nope" }), { status: 400, code: "model_not_found" }],
    ["no key", async () => call("/v1/video/query?id=x"), { status: 401, code: "missing_api_key", tenant: null, key: null }],
    ["no such task", async () => query(owner.key, "x"), { status: 404, code: "task_not_found", task: null }],
    ["no such path", async () => call("/secret/path"), { status: 404, code: "not_found", route: "/*" }],
    [
      "another method",
      async () => call("/v1/models", { method: "PUT" }),
      { status: 405, code: "method_not_allowed", method: "PUT" },
    ],
    ["a preflight", async () => call("/v1/models", { method: "OPTIONS" }), { status: 204, code: null, method: "OPTIONS" }],
    ["a long URL", async () => call(`/${"a".repeat(9_000)}`), { status: 414, code: "uri_too_long" }],
  ])("of %s", async (_, send, expected) => {
    expect(await entryOf(send)).toMatchObject({ level: "info", ...expected });
  });

  it("of what went wrong on our side as an error, beside one that names the kind of it", async () => {
    const id = await createdId(owner.key);
    const broken = {
      VIDEO_TASK: {
        getByName() {
          throw new TypeError(`a detail with ${owner.key}`);
        },
      },
    };
    const entry = await entryOf(async () => callWith(broken, `/v1/video/query?id=${id}`, { key: owner.key }));
    expect(entry).toMatchObject({ level: "error", status: 500, code: "internal_error" });
    expect(entries("surprise")).toEqual([
      { level: "error", event: "surprise", request_id: entry["request_id"], error: "TypeError" },
    ]);
  });
});

it("nothing that is a secret, or a tenant's words, is in any line of a task's life", async () => {
  const words = "a very private wish";
  const image = "https://images.example/private.jpg";
  const headers = { "content-type": "application/json", "user-agent": "private-agent" };
  const body = JSON.stringify({ model: "veo3-pro-frames", prompt: `${words} [[slow:0]]`, enhance_prompt: true, images: [image] });
  const reply = await call(`/v1/video/create?note=${encodeURIComponent(words)}`, { method: "POST", key: owner.key, headers, body });
  const { id } = await reply.json<{ id: string }>();
  const { video_url } = await finish(owner, id);
  const link = new URL(video_url ?? "");
  await (await call(link.href)).arrayBuffer();
  await call(link.href.replace(/.$/, "x"));
  await call(`/v1/video/query?id=x&api_key=${owner.key}`);
  await call(`/${encodeURIComponent(words)}`);
  await create(owner.key, { model: words, prompt: words });
  await create(owner.key, { [words]: 1 });

  expect(entries("request").length).toBeGreaterThanOrEqual(7);
  expect(entries("task_step").map(({ step }) => step)).toEqual(expect.arrayContaining(["submit", "poll", "store", "settle"]));
  const secrets = [words, "private", owner.key, owner.key.slice(20, 52), link.searchParams.get("sig") ?? "", link.search];
  for (const line of lines) {
    for (const secret of secrets) expect(line).not.toContain(secret);
    expect(line).not.toMatch(/test-(id|link)-secret|\n/);
  }
});
