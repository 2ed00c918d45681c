import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { r2Videos } from "../../src/stores/videos.ts";
import { patternedBytes, watchedBucket } from "../support/video-sources.ts";

const ID = "veo3:1704067200-abcdefghijklmnopqrstuvwxyz";
const KEY = `videos/${ID}`;
const BYTES = patternedBytes(300_001);
const METADATA = { httpMetadata: { contentType: "video/mp4" }, customMetadata: { owner: "Tenant01/live" } };
const NEVER = new AbortController().signal;

beforeEach(async () => {
  await env.VIDEOS.put(KEY, BYTES, METADATA);
});
afterEach(reset);

async function revoke(revision: number, bucket: R2Bucket = env.VIDEOS, signal: AbortSignal = NEVER): Promise<boolean> {
  return r2Videos(bucket, { maxBytes: 1e9 }).revokeLinks(ID, revision, signal);
}

async function there() {
  const found = await env.VIDEOS.get(KEY);
  if (found === null) return null;
  const { etag, size, httpMetadata, customMetadata } = found;
  return { etag, size, httpMetadata, customMetadata, bytes: new Uint8Array(await found.arrayBuffer()) };
}

async function revisionNow(): Promise<number | undefined> {
  return (await r2Videos(env.VIDEOS, { maxBytes: 1e9 }).head(ID))?.linkRevision;
}

const isSame = (a: Uint8Array | undefined): boolean => a?.length === BYTES.length && a.every((byte, at) => byte === BYTES[at]);

describe("revokeLinks", () => {
  it("writes the revision beside bytes that stay as they are, ETag included, with one get and one put", async () => {
    const before = await there();
    const { bucket, asked } = watchedBucket(env.VIDEOS);
    expect(await revoke(1, bucket)).toBe(true);
    expect(asked).toEqual(["get", "put"]);
    const after = await there();
    expect(isSame(after?.bytes)).toBe(true);
    expect(after?.etag).toBe(before?.etag);
    expect(after?.httpMetadata).toEqual(METADATA.httpMetadata);
    expect(after?.customMetadata).toEqual({ owner: "Tenant01/live", "link-revision": "1" });
    expect(await revisionNow()).toBe(1);
  });

  it("never goes back, and need not write what is there", async () => {
    await revoke(3);
    const { bucket, asked } = watchedBucket(env.VIDEOS);
    expect([await revoke(3, bucket), await revoke(2, bucket)]).toEqual([true, true]);
    expect(asked).toEqual(["get", "get"]);
    expect(await revisionNow()).toBe(3);
  });

  it("does the same for a video that came in parts, whose ETag becomes that of a whole", async () => {
    const upload = await env.VIDEOS.createMultipartUpload(KEY, METADATA);
    await upload.complete([await upload.uploadPart(1, BYTES)]);
    expect((await there())?.etag).toMatch(/-1$/);
    expect(await revoke(1)).toBe(true);
    const after = await there();
    expect(after?.etag).toMatch(/^[0-9a-f]{32}$/);
    expect([isSame(after?.bytes), await revisionNow()]).toEqual([true, 1]);
  });

  it("says that there is nothing, and puts nothing there", async () => {
    await env.VIDEOS.delete(KEY);
    expect(await revoke(1)).toBe(false);
    expect(await there()).toBeNull();
  });

  it("brings nothing back that was purged while it copied", async () => {
    const { bucket } = watchedBucket(env.VIDEOS, {
      put: async (go) => {
        await env.VIDEOS.delete(KEY);
        return go();
      },
    });
    expect(await revoke(1, bucket)).toBe(false);
    expect(await there()).toBeNull();
  });

  it("does not write over another video, and says that something is wrong", async () => {
    const { bucket } = watchedBucket(env.VIDEOS, {
      put: async (go) => {
        await env.VIDEOS.put(KEY, "another", METADATA);
        return go();
      },
    });
    await expect(revoke(1, bucket)).rejects.toThrow("the video changed");
    expect((await there())?.size).toBe(7);
  });

  it("leaves all as it was where R2 does not take it, or time is up", async () => {
    const full = watchedBucket(env.VIDEOS, {
      put: () => {
        throw new Error("put: reduce your concurrent request rate (10058)");
      },
    });
    await expect(revoke(1, full.bucket)).rejects.toThrow("10058");
    for (const at of ["get", "put"] as const) {
      const late = new AbortController();
      const { bucket } = watchedBucket(env.VIDEOS, {
        [at]: (go: () => Promise<unknown>) => {
          late.abort(new Error("late"));
          return go();
        },
      });
      await expect(revoke(1, bucket, late.signal)).rejects.toThrow();
    }
    expect(isSame((await there())?.bytes)).toBe(true);
    expect(await revisionNow()).toBe(0);
  });
});
