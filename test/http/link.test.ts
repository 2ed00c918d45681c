// POST /v1/video/link: a link with a life of its own, or none of those that are out any more.
import { evictDurableObject, reset, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CompletedTask, Task } from "../../src/core/task.ts";
import { aTenant, call, callWith, createdId, finish, query, type TestTenant, type Video } from "../support/gateway.ts";
import { post } from "../support/manage.ts";
import { driveToEnd, plantTask, readTask, taskStub } from "../support/objects.ts";
import { expectRefusal, readError } from "../support/refusals.ts";

const HOUR = 3_600;
const WEEK = 7 * 86_400;
const LINK = "/v1/video/link";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 86_400_000 });
});
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

/** `link`: as a query gave it. */
async function aVideo(body: Record<string, unknown> = {}): Promise<{ owner: TestTenant; id: string; link: string }> {
  const owner = await aTenant();
  const id = await createdId(owner.key, body);
  const { video_url: link } = await finish(owner, id);
  return { owner, id, link: link ?? "" };
}

async function linkOf(
  owner: TestTenant,
  id: string,
  expiresIn?: number,
): Promise<{ id: string; video_url: string; expires_at: number }> {
  const reply = await post(owner.key, LINK, { id, ...(expiresIn !== undefined && { expires_in: expiresIn }) });
  expect(reply.status).toBe(200);
  return reply.json();
}

async function queriedLink(owner: TestTenant, id: string): Promise<string> {
  return (await (await query(owner.key, id)).json<Video>()).video_url ?? "";
}

async function revoke(owner: TestTenant, id: string): Promise<Response> {
  return post(owner.key, LINK, { id, revoke: true });
}

/** What a link answers: its status, and the code where it is an error. */
async function opens(url: string, init: RequestInit = {}): Promise<string> {
  const reply = await call(url, init);
  const isError = reply.status >= 400 && init.method !== "HEAD";
  const code = isError ? (await readError(reply)).code : null;
  if (!isError) await reply.arrayBuffer();
  return code === null ? String(reply.status) : `${reply.status} ${code}`;
}

const REVOKED = "403 link_revoked";
const nowSeconds = (): number => Math.floor(Date.now() / 1000);

describe("a link with a life of its own", () => {
  it.each([
    [undefined, HOUR],
    [60, 60],
    [86_400, 86_400],
  ])("lives for expires_in %s, to the second", async (asked, lives) => {
    const { owner, id } = await aVideo();
    const made = await linkOf(owner, id, asked);
    expect(Object.keys(made)).toEqual(["id", "video_url", "expires_at"]);
    expect(made).toMatchObject({ id, expires_at: nowSeconds() + lives });
    expect(await opens(made.video_url)).toBe("200");
    vi.setSystemTime(made.expires_at * 1000 - 1);
    expect(await opens(made.video_url)).toBe("200");
    vi.setSystemTime(made.expires_at * 1000);
    expect(await opens(made.video_url)).toBe("403 url_expired");
  });

  it("never outlives its video", async () => {
    const { owner, id } = await aVideo({ retention_days: 1 });
    const { expiresAt } = (await readTask(owner, id)) as CompletedTask;
    expect((await linkOf(owner, id, WEEK)).expires_at).toBe(Math.floor(expiresAt / 1000));
    vi.setSystemTime(expiresAt - 30_000);
    const last = await linkOf(owner, id, WEEK);
    expect(last.expires_at).toBe(Math.floor(expiresAt / 1000));
    expect(await opens(last.video_url)).toBe("200");
    vi.setSystemTime(Math.floor(expiresAt / 1000) * 1000);
    await expectRefusal(owner, async () => post(owner.key, LINK, { id }), { status: 404, code: "task_not_found" });
  });

  it("leads straight to the bucket where the operator wants it so, for as long", async () => {
    const { owner, id } = await aVideo();
    const reply = await callWith(S3, LINK, { method: "POST", key: owner.key, ...json({ id, expires_in: WEEK - 86_400 }) });
    const { video_url: url, expires_at } = await reply.json<{ video_url: string; expires_at: number }>();
    expect(new URL(url).origin).toBe("https://account.r2.cloudflarestorage.com");
    expect(new URL(url).searchParams.get("X-Amz-Expires")).toBe(String(WEEK - 86_400));
    expect(expires_at).toBe(nowSeconds() + WEEK - 86_400);
  });

  it("costs one object call and touches no storage", async () => {
    const { owner, id } = await aVideo();
    const before = await readTask(owner, id);
    const gets = vi.spyOn(Object.getPrototypeOf(env.VIDEOS) as R2Bucket, "get");
    await linkOf(owner, id);
    expect(gets).not.toHaveBeenCalled();
    expect(await readTask(owner, id)).toEqual(before);
  });
});

describe("revoking", () => {
  it("stops every link that is out, however it is opened; what is asked for later works", async () => {
    const { owner, id, link } = await aVideo();
    const lasting = (await linkOf(owner, id, WEEK / 2)).video_url;
    expect([await opens(link), await opens(lasting)]).toEqual(["200", "200"]);
    const { headers } = await call(link, { method: "HEAD" });
    const reply = await revoke(owner, id);
    expect([reply.status, await reply.json()]).toEqual([200, { id, object: "video.links", revoked: true }]);
    for (const old of [link, lasting]) {
      expect(await opens(old)).toBe(REVOKED);
      expect(await opens(old, { method: "HEAD" })).toBe("403");
      expect(await opens(old, { headers: { range: "bytes=0-9" } })).toBe(REVOKED);
      expect(await opens(old, { headers: { range: "bytes=999999999-" } })).toBe(REVOKED);
      expect(await opens(old, { headers: { "if-none-match": headers.get("etag") ?? "" } })).toBe(REVOKED);
    }
    const fresh = [await queriedLink(owner, id), (await linkOf(owner, id)).video_url];
    for (const url of fresh) expect(await opens(url)).toBe("200");
    await revoke(owner, id);
    for (const url of fresh) expect(await opens(url)).toBe(REVOKED);
    expect(await opens(await queriedLink(owner, id))).toBe("200");
  });

  it("changes neither the bytes nor the ETag, so that a download goes on with a fresh link; nor anything a query tells", async () => {
    const { owner, id, link } = await aVideo();
    const before = await call(link);
    const bytes = await before.bytes();
    const told = await (await query(owner.key, id)).json<Video>();
    await revoke(owner, id);
    const fresh = await queriedLink(owner, id);
    const ifRange = { "if-range": before.headers.get("etag") ?? "", range: "bytes=100-" };
    const rest = await call(fresh, { headers: ifRange });
    expect(rest.status).toBe(206);
    expect(await rest.bytes()).toEqual(bytes.subarray(100));
    expect({ ...(await (await query(owner.key, id)).json<Video>()), video_url: null }).toEqual({ ...told, video_url: null });
    expect((await env.VIDEOS.head(`videos/${id}`))?.customMetadata).toEqual({
      owner: `${owner.tenant}/test`,
      "link-revision": "1",
    });
  });

  it("leaves a download at one R2 operation, no KV and no object", async () => {
    const { owner, id, link } = await aVideo();
    await revoke(owner, id);
    const fresh = await queriedLink(owner, id);
    const gets = vi.spyOn(Object.getPrototypeOf(env.VIDEOS) as R2Bucket, "get");
    const kv = vi.spyOn(Object.getPrototypeOf(env.TENANTS) as KVNamespace, "get");
    expect([await opens(fresh), await opens(link)]).toEqual(["200", REVOKED]);
    expect([gets.mock.calls.length, kv.mock.calls.length]).toEqual([2, 0]);
  });

  it("is refused honestly where links lead straight to the bucket", async () => {
    const { owner, id } = await aVideo();
    const before = await readTask(owner, id);
    const message = await expectRefusal(
      owner,
      async () => callWith(S3, LINK, { method: "POST", key: owner.key, ...json({ id, revoke: true }) }),
      { status: 409, code: "links_not_revocable" },
    );
    expect(message).toMatch(/until they expire\. Nothing was changed\.$/);
    expect(await readTask(owner, id)).toEqual(before);
  });

  it("works for a video of release 0.1.0", async () => {
    const { owner, id, link } = await aVideo();
    const { linkRevision: _, ...task } = (await readTask(owner, id)) as CompletedTask;
    await plantTask(owner, { ...task, schema: 1 } as unknown as Task);
    expect(await opens(await queriedLink(owner, id))).toBe("200");
    expect((await revoke(owner, id)).status).toBe(200);
    expect([await opens(link), await opens(await queriedLink(owner, id))]).toEqual([REVOKED, "200"]);
  });

  it("survives the object's memory", async () => {
    const { owner, id, link } = await aVideo();
    await revoke(owner, id);
    await evictDurableObject(taskStub(owner, id));
    expect([await opens(link), await opens(await queriedLink(owner, id))]).toEqual([REVOKED, "200"]);
  });

  it("does not change when the video goes", async () => {
    const { owner, id } = await aVideo();
    const before = (await readTask(owner, id)) as CompletedTask;
    await revoke(owner, id);
    const after = (await readTask(owner, id)) as CompletedTask;
    expect(after).toEqual({ ...before, linkRevision: 1 });
    vi.setSystemTime(after.expiresAt);
    await runDurableObjectAlarm(taskStub(owner, id));
    expect(await env.VIDEOS.head(`videos/${id}`)).toBeNull();
  });
});

describe("when something goes wrong while revoking", () => {
  it("a crash half way leaves links that all work, and the next try completes it", async () => {
    const { owner, id, link } = await aVideo();
    // Written down in the task, not yet beside the bytes.
    await plantTask(owner, { ...((await readTask(owner, id)) as CompletedTask), linkRevision: 1 });
    const between = await queriedLink(owner, id);
    expect([await opens(link), await opens(between)]).toEqual(["200", "200"]);
    expect((await revoke(owner, id)).status).toBe(200);
    expect([await opens(link), await opens(between), await opens(await queriedLink(owner, id))]).toEqual([REVOKED, REVOKED, "200"]);
  });

  it("says that it did not happen where R2 does not take it, and no link breaks", async () => {
    const { owner, id, link } = await aVideo();
    const put = vi.spyOn(Object.getPrototypeOf(env.VIDEOS) as R2Bucket, "put").mockRejectedValueOnce(new Error("put: (10058)"));
    const reply = await revoke(owner, id);
    expect(reply.headers.get("retry-after")).toBe("2");
    expect(await readError(reply)).toMatchObject({ status: 503, code: "service_unavailable" });
    expect([await opens(link), await opens(await queriedLink(owner, id))]).toEqual(["200", "200"]);
    put.mockRestore();
    expect((await revoke(owner, id)).status).toBe(200);
    expect([await opens(link), await opens(await queriedLink(owner, id))]).toEqual([REVOKED, "200"]);
  });

  it("two at once do not undo one another", async () => {
    const { owner, id, link } = await aVideo();
    const proto = Object.getPrototypeOf(env.VIDEOS) as R2Bucket;
    const original = Reflect.get(proto, "put") as (...all: unknown[]) => Promise<unknown>;
    let goOn = (): void => undefined;
    const waits = new Promise<void>((resolve) => (goOn = resolve));
    const put = vi.spyOn(proto, "put").mockImplementationOnce(async function (this: R2Bucket, ...args: unknown[]) {
      await waits;
      return original.apply(this, args);
    } as never);
    const first = revoke(owner, id);
    await vi.waitFor(() => expect(put).toHaveBeenCalled(), { timeout: 20_000 });
    const second = revoke(owner, id);
    // Time for the second to overtake the first, which it must not.
    for (let looks = 0; looks < 20; looks++) await readTask(owner, id);
    goOn();
    const replies = await Promise.all([first, second]);
    expect(replies.map(({ status }) => status)).toEqual([200, 200]);
    expect((await env.VIDEOS.head(`videos/${id}`))?.customMetadata).toMatchObject({ "link-revision": "2" });
    expect([await opens(link), await opens(await queriedLink(owner, id))]).toEqual([REVOKED, "200"]);
  });

  it("a video that is deleted meanwhile stays deleted", async () => {
    const { owner, id } = await aVideo();
    const proto = Object.getPrototypeOf(env.VIDEOS) as R2Bucket;
    const original = Reflect.get(proto, "put") as (...all: unknown[]) => Promise<unknown>;
    vi.spyOn(proto, "put").mockImplementationOnce(async function (this: R2Bucket, ...args: unknown[]) {
      expect((await post(owner.key, "/v1/video/delete", { id })).status).toBe(200);
      return original.apply(this, args);
    } as never);
    expect(await readError(await revoke(owner, id))).toMatchObject({ status: 404, code: "task_not_found" });
    expect((await env.VIDEOS.list()).objects).toEqual([]);
    expect(await readTask(owner, id)).toBeNull();
  });
});

describe("no link, and nothing to revoke", () => {
  it.each([
    ["a lake [[stuck]]", /no video yet/],
    ["a lake [[refuse:content_policy]]", /failed and has no video/],
  ])("of a task without a video: %s", async (prompt, why) => {
    const owner = await aTenant();
    const id = await createdId(owner.key, { prompt });
    if (prompt.includes("refuse")) await driveToEnd(owner, id);
    for (const body of [{ id }, { id, revoke: true }]) {
      const refusal = { status: 409, code: "video_not_ready" };
      expect(await expectRefusal(owner, async () => post(owner.key, LINK, body), refusal)).toMatch(why);
    }
  });

  it("of another tenant's video, the other mode's, or one whose id is forged", async () => {
    const { owner, id, link } = await aVideo();
    const strangers = [await aTenant(), await aTenant({ tenant: owner.tenant, mode: "live" })];
    for (const stranger of strangers) {
      for (const body of [{ id }, { id, revoke: true }])
        await expectRefusal(stranger, async () => post(stranger.key, LINK, body), { status: 404, code: "task_not_found" });
    }
    expect(await opens(link)).toBe("200");
  });

  it("a key that may only read makes links, and revokes none", async () => {
    const { owner, id, link } = await aVideo();
    const reader = await aTenant({ tenant: owner.tenant, scopes: ["read"] });
    expect(await opens((await linkOf(reader, id)).video_url)).toBe("200");
    expect(await readError(await revoke(reader, id))).toMatchObject({ status: 403, code: "insufficient_scope" });
    expect(await opens(link)).toBe("200");
  });
});

const S3 = {
  S3_ENDPOINT: "https://account.r2.cloudflarestorage.com",
  S3_BUCKET: "reelay-videos",
  S3_ACCESS_KEY_ID: "AKID",
  S3_SECRET_ACCESS_KEY: "secret",
};

function json(body: unknown): RequestInit {
  return { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}
