// An image that comes along with a create in OpenAI's wire: kept before the task starts, given to its provider as that takes images,
// told to nobody else, and gone with the end of its task.
import { env } from "cloudflare:workers";
import { reset, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { hex } from "../../src/core/encoding.ts";
import { sha256 } from "../../src/core/hmac.ts";
import { signLink } from "../../src/core/signing.ts";
import type { TaskSpec } from "../../src/core/task.ts";
import { VideoTask } from "../../src/durable/video-task.ts";
import type { Job, Provider, ProviderTraits } from "../../src/ports.ts";
import { wire } from "../../src/wire.ts";
import { aTenant, call, callWith, ORIGIN, query, type TestTenant } from "../support/gateway.ts";
import { houseOf, plantProvider } from "../support/manage.ts";
import { driveToEnd, readBalances, readBooks, readTask, taskStub } from "../support/objects.ts";
import { readError } from "../support/refusals.ts";

const PNG = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 1, 2, 0xff]);
const JPEG = new Uint8Array([0xff, 0xd8, 0xff, 0xe0, 1, 2, 3]);
const WEBP = new TextEncoder().encode("RIFF\x10\0\0\0WEBPVP8 ");
const PROMPT = "a lake [[slow:0]]";

let owner: TestTenant;
const undo: (() => void)[] = [];
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 86_400_000 });
  owner = await aTenant();
});
afterEach(async () => {
  for (const each of undo.splice(0)) each();
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

/** What a form may hold: a text, or a file. */
type Fields = Record<string, string | Uint8Array>;

function aForm(fields: Fields): FormData {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === "string") body.set(name, value);
    // Its name and type are the caller's words, and none of them is true.
    else body.set(name, new File([value], "../a.html", { type: "text/html" }));
  }
  return body;
}

async function upload(fields: Fields = {}, headers: Record<string, string> = {}): Promise<Response> {
  const body = aForm({ prompt: PROMPT, model: "veo3-pro-frames", input_reference: PNG, ...fields });
  return call("/v1/videos", { method: "POST", key: owner.key, body, headers });
}

async function createdId(reply: Response): Promise<string> {
  const text = await reply.text();
  expect(reply.status, text).toBe(200);
  expect(text).not.toMatch(/upload:|\/image\/|data:/);
  return (JSON.parse(text) as { id: string }).id;
}

async function keys(): Promise<string[]> {
  return (await env.VIDEOS.list()).objects.map(({ key }) => key);
}

async function kept(id: string): Promise<[type: string | undefined, bytes: Uint8Array] | null> {
  const found = await env.VIDEOS.get(`images/${id}/0`);
  return found && [found.httpMetadata?.contentType, new Uint8Array(await found.arrayBuffer())];
}

function dataUrl(bytes: Uint8Array, type = "image/gif"): string {
  return `data:${type};base64,${btoa(String.fromCharCode(...bytes))}`;
}

describe("an upload", () => {
  it.each([
    ["image/png", PNG],
    ["image/jpeg", JPEG],
    ["image/webp", WEBP],
  ])("of %s is kept by what it is, whatever it is called, until its task ends", async (type, bytes) => {
    const id = await createdId(await upload({ input_reference: bytes }));
    expect((await readTask(owner, id))?.generation.images).toEqual([`upload:${hex(await sha256(bytes))}`]);
    expect(await kept(id)).toEqual([type, bytes]);
    const { customMetadata } = (await env.VIDEOS.head(`images/${id}/0`)) as R2Object;
    expect(customMetadata).toEqual({ owner: `${owner.tenant}/test` });
    expect((await driveToEnd(owner, id)).status).toBe("completed");
    expect(await keys()).toEqual([`videos/${id}`]);
  });

  it.each(["failed", "cancelled"])("is gone when its task is %s", async (how) => {
    const id = await createdId(await upload({ prompt: how === "failed" ? "a lake [[refuse]]" : PROMPT }));
    if (how === "cancelled") await call(`/v1/videos/${id}`, { method: "DELETE", key: owner.key });
    else expect((await driveToEnd(owner, id)).status).toBe("failed");
    expect(await keys()).toEqual([]);
  });

  it("may be as large as an image may be", async () => {
    const bytes = new Uint8Array(10 * 2 ** 20);
    bytes.set(PNG);
    const id = await createdId(await upload({ input_reference: bytes }));
    expect((await env.VIDEOS.head(`images/${id}/0`))?.size).toBe(bytes.length);
  });

  it("may be a data URL, in JSON and in a form", async () => {
    const headers = { "idempotency-key": "k1" };
    const id = await createdId(await upload({}, headers));
    const url = dataUrl(PNG);
    const { input_reference: _, ...texts } = { prompt: PROMPT, model: "veo3-pro-frames", input_reference: null };
    const json = { method: "POST", key: owner.key, headers: { "content-type": "application/json", ...headers } };
    const body = JSON.stringify({ ...texts, input_reference: { image_url: url } });
    expect(await createdId(await call("/v1/videos", { ...json, body }))).toBe(id);
    const form = aForm({ ...texts, "input_reference[image_url]": url });
    expect(await createdId(await call("/v1/videos", { method: "POST", key: owner.key, headers, body: form }))).toBe(id);
    expect(await kept(id)).toEqual(["image/png", PNG]);
  });

  it.each([
    ["sora-2", "veo2-fast-frames"],
    ["sora-2-pro", "veo3-pro-frames"],
    ["sora-2-2025-12-08", "veo2-fast-frames"],
    ["sora-2-pro-2025-10-06", "veo3-pro-frames"],
  ])("makes %s with %s, and says so", async (asked, model) => {
    const adjusted = { model, adjustments: [{ param: "model", from: asked, to: model, why: expect.stringContaining(model) }] };
    expect(await (await upload({ model: asked })).json()).toMatchObject(adjusted);
    const body = aForm({ prompt: PROMPT, model: asked, "input_reference[image_url]": "https://images.example/a.png" });
    expect(await (await call("/v1/videos", { method: "POST", key: owner.key, body })).json()).toMatchObject(adjusted);
  });

  it("needs no model either", async () => {
    const body = aForm({ prompt: PROMPT, input_reference: PNG });
    const reply = await call("/v1/videos", { method: "POST", key: owner.key, body });
    expect(await reply.json()).toMatchObject({ model: "veo2-fast-frames", adjustments: [] });
  });

  it("is told of to nobody", async () => {
    const log = vi.spyOn(console, "info");
    const id = await createdId(await upload());
    await driveToEnd(owner, id);
    const told = [
      await (await query(owner.key, id)).text(),
      await (await call(`/v1/videos/${id}`, { key: owner.key })).text(),
      await (await call("/v1/video/list", { key: owner.key })).text(),
      JSON.stringify(log.mock.calls),
    ];
    for (const text of told) expect(text).not.toMatch(/upload:|\/v1\/video\/image|images\//);
  });
});

describe("repeated", () => {
  it("with its Idempotency-Key it is the same task, and with other bytes another wish", async () => {
    const headers = { "idempotency-key": "k1" };
    const id = await createdId(await upload({}, headers));
    const again = await upload({}, headers);
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect(await createdId(again)).toBe(id);
    const other = await upload({ input_reference: JPEG }, headers);
    expect(await readError(other)).toMatchObject({ status: 422, code: "idempotency_key_reused" });
    expect(await kept(id)).toEqual(["image/png", PNG]);
    expect(await keys()).toEqual([`images/${id}/0`]);
  });

  it("after its task has ended it leaves nothing behind", async () => {
    const headers = { "idempotency-key": "k1" };
    const id = await createdId(await upload({}, headers));
    await driveToEnd(owner, id);
    expect(await createdId(await upload({}, headers))).toBe(id);
    expect(await keys()).toEqual([`videos/${id}`]);
  });

  it("after the first died before its task started, it is finished under the id that was held", async () => {
    const headers = { "idempotency-key": "k1" };
    const down = async () => Promise.reject(new Error("down"));
    vi.spyOn(VideoTask.prototype, "start").mockImplementation(down);
    vi.spyOn(VideoTask.prototype, "tombstone").mockImplementation(down);
    expect((await upload({}, headers)).status).toBe(503);
    vi.restoreAllMocks();
    const [left] = Object.keys((await readBooks(owner)).rows);
    vi.setSystemTime(Date.now() + 60_000);
    expect(await createdId(await upload({}, headers))).toBe(left);
    expect(await kept(left as string)).toEqual(["image/png", PNG]);
  });
});

describe("where it cannot be kept, or the task not be started", () => {
  const UNTOUCHED = { held: 0, spent: 0 };
  const bucket = (changes: object) => ({
    VIDEOS: new Proxy(env.VIDEOS, {
      get: (target, name) => {
        const own = Reflect.get(changes, name) as unknown;
        const real = Reflect.get(target, name) as unknown;
        return own ?? (typeof real === "function" ? (real.bind(target) as unknown) : real);
      },
    }),
  });
  const init = () => ({
    method: "POST",
    key: owner.key,
    body: aForm({ prompt: PROMPT, model: "veo3-pro-frames", input_reference: PNG }),
  });

  it("a store that is down is a 503, and the credits are given back", async () => {
    const put = vi.fn(async () => Promise.reject(new Error("down")));
    const reply = await callWith(bucket({ put }), "/v1/videos", init());
    expect(await readError(reply)).toMatchObject({ status: 503, code: "service_unavailable" });
    expect(put).toHaveBeenCalledTimes(2);
    expect(await readBalances(owner)).toMatchObject(UNTOUCHED);
    expect(Object.values((await readBooks(owner)).rows)).toEqual(["withdrawn"]);
  });

  it("a store that fails once is asked again", async () => {
    const put = vi.fn(env.VIDEOS.put.bind(env.VIDEOS)).mockRejectedValueOnce(new Error("down"));
    const id = await createdId(await callWith(bucket({ put }), "/v1/videos", init()));
    expect(await kept(id)).toEqual(["image/png", PNG]);
  });

  it.each([
    ["removes it", {}],
    ["leaves it to the sweep where the store is down", { delete: async () => Promise.reject(new Error("down")) }],
  ])("a task that does not start %s", async (_name, changes) => {
    vi.spyOn(VideoTask.prototype, "start").mockRejectedValue(new Error("down"));
    const reply = await callWith(bucket(changes), "/v1/videos", init());
    expect(await readError(reply)).toMatchObject({ status: 503, code: "service_unavailable" });
    expect(await readBalances(owner)).toMatchObject(UNTOUCHED);
    expect(await keys()).toHaveLength("delete" in changes ? 1 : 0);
    vi.restoreAllMocks();
    vi.setSystemTime(Date.now() + 2 * 3_600_000);
    await wire(env).runSweep();
    if ("delete" in changes) expect(await keys()).toEqual([]);
  });

  it("a task whose reply was lost has started, and keeps it", async () => {
    const start = Reflect.get(VideoTask.prototype, "start") as (this: VideoTask, spec: TaskSpec) => Promise<boolean>;
    vi.spyOn(VideoTask.prototype, "start").mockImplementation(async function (this: VideoTask, spec) {
      await start.call(this, spec);
      throw new Error("the reply was lost");
    });
    const id = await createdId(await upload());
    expect(await kept(id)).toEqual(["image/png", PNG]);
  });
});

/** A provider of that kind that takes the job, and what it was given. */
async function handedOver(id: string, images: ProviderTraits["images"]): Promise<Job> {
  const submit = vi.fn<Provider["submit"]>(async () => ({ operation: { job: "j1" }, prompt: null }));
  const provider: Provider = {
    traits: { images, callback: "none", idempotentCreate: false, retentionMs: null },
    submit,
    poll: async () => ({ status: "running" }),
    open: async () => Promise.reject(new Error("there is nothing yet")),
  };
  undo.push(await plantProvider(owner, id, provider));
  const house = (await houseOf(owner, id)) as { routes: Awaited<ReturnType<typeof houseOf>>["routes"] };
  const { routes } = house;
  house.routes = routes.map((route) => ({ ...route, images }));
  undo.push(() => (house.routes = routes));
  await runDurableObjectAlarm(taskStub(owner, id));
  expect((await readTask(owner, id))?.status).toBe("running");
  return submit.mock.calls[0]?.[0] as Job;
}

describe("at its provider", () => {
  it("one that inlines images gets the bytes", async () => {
    const id = await createdId(await upload());
    const { images } = await handedOver(id, "inline");
    expect(images).toMatchObject([{ file: { bytes: PNG, mimeType: "image/png" } }]);
  });

  it("one that takes URLs gets a link that delivers the bytes until the task has ended", async () => {
    const id = await createdId(await upload());
    const link = await linkTo(id);
    expect(link.origin + link.pathname).toBe(`${ORIGIN}/v1/video/image/${id}/0`);
    const reply = await call(link.href);
    expect([reply.status, new Uint8Array(await reply.arrayBuffer())]).toEqual([200, PNG]);
    expect(Object.fromEntries(reply.headers)).toMatchObject({
      "content-type": "image/png",
      "content-length": String(PNG.length),
      "x-content-type-options": "nosniff",
      "cache-control": expect.stringMatching(/^private, max-age=\d+$/),
      "content-security-policy": "default-src 'none'; sandbox",
    });
    const head = await call(link.href, { method: "HEAD" });
    expect([head.status, head.headers.get("content-type"), await head.text()]).toEqual([200, "image/png", ""]);

    await wire(env).taskOf(owner.tenant, id).abandon();
    await driveToEnd(owner, id);
    expect(await readError(await call(link.href))).toMatchObject({ status: 404, code: "not_found" });
  });

  it("one that takes URLs gets a tenant's own as it came", async () => {
    const url = "https://images.example/a.png";
    const body = aForm({ prompt: PROMPT, model: "veo3-pro-frames", "input_reference[image_url]": url });
    const id = await createdId(await call("/v1/videos", { method: "POST", key: owner.key, body }));
    expect((await handedOver(id, "url")).images).toEqual([{ url, file: null }]);
  });
});

async function linkTo(id: string): Promise<URL> {
  const { images } = await handedOver(id, "url");
  expect(images).toEqual([{ url: expect.any(String), file: null }]);
  return new URL(images[0]?.url ?? "");
}

describe("the link", () => {
  async function refusalOf(url: URL): Promise<string> {
    return (await readError(await call(url.href))).code;
  }

  it("opens nothing once it was changed, is over, or is another kind's", async () => {
    const id = await createdId(await upload());
    const other = await createdId(await upload());
    const link = await linkTo(id);
    const changed = (change: (url: URL) => void): URL => {
      const url = new URL(link);
      change(url);
      return url;
    };
    const { searchParams } = link;
    const exp = Number(searchParams.get("exp"));
    const forged = [
      changed((url) => (url.pathname = `/v1/video/image/${other}/0`)),
      changed((url) => (url.pathname = `/v1/video/image/${id}/1`)),
      changed((url) => url.searchParams.set("exp", String(exp + 1))),
      changed((url) => url.searchParams.set("kid", "k2")),
      changed((url) => url.searchParams.set("sig", "A".repeat(43))),
      changed((url) => url.searchParams.append("rev", "1")),
      changed((url) => (url.search = "")),
      // Neither kind opens the other.
      changed((url) => (url.pathname = `/v1/video/file/${id}`)),
    ];
    const file = await signLink(wire(env).settings.linkKeys, id, exp);
    forged.push(changed((url) => (url.search = `${new URLSearchParams({ ...file })}`)));
    for (const url of forged) expect(await refusalOf(url), url.href).toBe("invalid_signature");
    for (const path of ["00", "-1", "x", "0/"]) {
      expect(await refusalOf(changed((url) => (url.pathname = `/v1/video/image/${id}/${path}`)))).toBe("not_found");
    }

    const task = await readTask(owner, id);
    expect(exp * 1000).toBe(Math.ceil(((task?.deadlineAt ?? 0) + 15 * 60_000) / 1000) * 1000);
    vi.setSystemTime(exp * 1000);
    expect(await refusalOf(link)).toBe("url_expired");
  });

  it("costs one read of R2, and neither KV nor an object", async () => {
    const link = await linkTo(await createdId(await upload()));
    const get = vi.fn(env.VIDEOS.get.bind(env.VIDEOS));
    const nothing = new Proxy({}, { get: () => () => expect.unreachable() });
    const reply = await callWith({ VIDEOS: { get }, TENANTS: nothing, VIDEO_TASK: nothing, TENANT_LEDGER: nothing }, link.href);
    expect(new Uint8Array(await reply.arrayBuffer())).toEqual(PNG);
    expect(get).toHaveBeenCalledTimes(1);
  });

  it("has the operator's own address, where there is one", async () => {
    const { imageUrlOf } = wire({ ...env, PUBLIC_URL: "https://videos.example" } as Cloudflare.Env);
    const task = { id: "veo3:1704067200-xxxxxxxx", base: ORIGIN, deadlineAt: Date.now() };
    expect(await imageUrlOf(task, 0)).toMatch(/^https:\/\/videos\.example\/v1\/video\/image\/veo3:1704067200-xxxxxxxx\/0\?exp=/);
  });
});
