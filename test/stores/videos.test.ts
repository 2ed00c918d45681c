import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { hex } from "../../src/core/encoding.ts";
import { parseRange } from "../../src/core/range.ts";
import type { Upload } from "../../src/core/task.ts";
import { SourceError } from "../../src/core/upstream-errors.ts";
import type { ReadConditions, VideoRead, VideoStore } from "../../src/ports.ts";
import clip from "../../src/providers/clips/clip-16x9.mp4";
import { r2Videos } from "../../src/stores/videos.ts";
import { aSource, patternedBytes, watchedBucket } from "../support/video-sources.ts";

const MIB = 2 ** 20;
const PART = 8 * MIB;
const TASK = { id: "veo3:1704067200-abcdefghijklmnopqrstuvwxyz", tenant: "Tenant01", mode: "live" } as const;
const KEY = `videos/${TASK.id}`;
const video = new Uint8Array(clip);

afterEach(reset);

function videosOf(bucket: R2Bucket = env.VIDEOS, maxBytes = 64 * MIB): VideoStore {
  return r2Videos(bucket, { maxBytes });
}

const noCheckpoint = async (): Promise<void> => {
  throw new Error("there is nothing to put on record");
};

/** Remembers every upload put on record; dies at the `dyingAt`th, after it was written. */
function recorder(dyingAt = Infinity): { uploads: Upload[]; checkpoint: (upload: Upload) => Promise<void> } {
  const uploads: Upload[] = [];
  const checkpoint = async (upload: Upload): Promise<void> => {
    uploads.push(upload);
    if (uploads.length === dyingAt) throw new Error("died");
  };
  return { uploads, checkpoint };
}

async function stored(): Promise<Uint8Array | null> {
  const found = await env.VIDEOS.get(KEY);
  return found && new Uint8Array(await found.arrayBuffer());
}

/** toEqual on megabytes takes seconds. */
async function expectStored(bytes: Uint8Array): Promise<void> {
  const digest = async (of: Uint8Array): Promise<string> => hex(new Uint8Array(await crypto.subtle.digest("SHA-256", of)));
  const there = await stored();
  expect(there?.length).toBe(bytes.length);
  expect(await digest(there ?? new Uint8Array())).toBe(await digest(bytes));
}

describe("a source that says its length", () => {
  it("goes in with one put, under the task's id, with nothing but an owner beside it", async () => {
    const { bucket, asked } = watchedBucket(env.VIDEOS);
    await videosOf(bucket).store(TASK, aSource(video), null, noCheckpoint);
    await expectStored(video);
    expect(asked).toEqual(["put"]);
    const there = await env.VIDEOS.head(KEY);
    expect(there?.customMetadata).toEqual({ owner: "Tenant01/live" });
    expect(there?.httpMetadata).toEqual({ contentType: "video/mp4" });
  });

  it("is refused before it is read when it says too much", async () => {
    const source = aSource(video);
    const storing = videosOf(env.VIDEOS, video.length - 1).store(TASK, source, null, noCheckpoint);
    await expect(storing).rejects.toEqual(new SourceError("too_large"));
    expect(source.taken).toEqual({ bytes: 0, cancelled: true });
    expect(await stored()).toBeNull();
  });

  it("may be as large as allowed", async () => {
    await videosOf(env.VIDEOS, video.length).store(TASK, aSource(video), null, noCheckpoint);
    await expectStored(video);
  });

  it.each([0, 1, 50_000])("leaves nothing when it stops after %i of its bytes", async (length) => {
    const source = aSource(video.subarray(0, length), { length: video.length });
    await expect(videosOf().store(TASK, source, null, noCheckpoint)).rejects.toEqual(new SourceError("cut_short"));
    expect(await stored()).toBeNull();
  });

  it("leaves nothing when it breaks off, and keeps the error, so that it is asked again", async () => {
    const source = aSource(video.subarray(0, 100_000), {
      length: video.length,
      breaksOff: new TypeError("Network connection lost."),
    });
    await expect(videosOf().store(TASK, source, null, noCheckpoint)).rejects.toThrow("Network connection lost.");
    expect(await stored()).toBeNull();
  });

  it.each([1, 100_000])("leaves nothing when it sends %i bytes more", async (more) => {
    // In chunks that end where the announced length does: R2 would take those for the whole.
    const source = aSource(patternedBytes(100_000 + more), { length: 100_000, chunkBytes: 50_000 });
    await expect(videosOf().store(TASK, source, null, noCheckpoint)).rejects.toThrow("more than it announced");
    expect(await stored()).toBeNull();
    expect(source.taken.cancelled).toBe(true);
  });

  it("is cut short when it is empty", async () => {
    await expect(videosOf().store(TASK, aSource(new Uint8Array()), null, noCheckpoint)).rejects.toEqual(
      new SourceError("cut_short"),
    );
    expect(await stored()).toBeNull();
  });

  it("is let go when R2 fails, whose error it is then", async () => {
    const { bucket } = watchedBucket(env.VIDEOS, {
      put: () => Promise.reject(new Error("put: We encountered an internal error. (10001)")),
    });
    const source = aSource(patternedBytes(4 * MIB));
    await expect(videosOf(bucket).store(TASK, source, null, noCheckpoint)).rejects.toThrow("(10001)");
    expect(source.taken.cancelled).toBe(true);
  });
});

describe("a twin that was faster", () => {
  const other = patternedBytes(video.length);

  it.each([null, video.length])("wins when it is as long (source length %s)", async (length) => {
    await env.VIDEOS.put(KEY, other);
    await videosOf().store(TASK, aSource(video, { length }), null, noCheckpoint);
    await expectStored(other);
  });

  it("wins when it plays: its task may be completed already", async () => {
    await env.VIDEOS.put(KEY, video);
    await videosOf().store(TASK, aSource(patternedBytes(1_000)), null, noCheckpoint);
    await expectStored(video);
  });

  it("is removed when it is neither, and the next try goes in", async () => {
    await env.VIDEOS.put(KEY, "<html>");
    await expect(videosOf().store(TASK, aSource(video), null, noCheckpoint)).rejects.toThrow("in the way");
    await videosOf().store(TASK, aSource(video), null, noCheckpoint);
    await expectStored(video);
  });

  it("wins over an upload that is about to complete", async () => {
    const bytes = patternedBytes(PART + 1);
    const record = recorder();
    const { bucket, asked } = watchedBucket(env.VIDEOS, {
      uploadPart: async (go) => {
        await env.VIDEOS.put(KEY, video);
        return go();
      },
    });
    await videosOf(bucket).store(TASK, aSource(bytes, { length: null }), null, record.checkpoint);
    await expectStored(video);
    expect(asked).not.toContain("complete");
    await expectGone(record.uploads[0]);
  });
});

async function expectGone(upload: Upload | undefined): Promise<void> {
  const resumed = env.VIDEOS.resumeMultipartUpload(KEY, upload?.uploadId ?? "");
  await expect(resumed.uploadPart(1, new Uint8Array(1))).rejects.toThrow("(10024)");
}

describe("a body that the runtime made, read in larger pieces", () => {
  const bytes = patternedBytes(PART + 12_345);

  it.each([bytes.length, null])("goes in (length %s)", async (length) => {
    const body = new Response(bytes).body as ReadableStream<Uint8Array>;
    await videosOf().store(TASK, { body, length, offset: 0, validator: null }, null, recorder().checkpoint);
    await expectStored(bytes);
  });

  it("leaves nothing when it is cut short", async () => {
    const body = new Response(video).body as ReadableStream<Uint8Array>;
    const storing = videosOf().store(TASK, { body, length: video.length + 1, offset: 0, validator: null }, null, noCheckpoint);
    await expect(storing).rejects.toEqual(new SourceError("cut_short"));
    expect(await stored()).toBeNull();
  });
});

describe("a source that does not say its length", () => {
  const long = patternedBytes(PART + 300_000);
  const longer = patternedBytes(2 * PART + 300_000);

  it.each([1, 1_000_000, PART])("goes in with one put when it is %i bytes, which fit into one part", async (length) => {
    const { bucket, asked } = watchedBucket(env.VIDEOS);
    const bytes = patternedBytes(length);
    await videosOf(bucket).store(TASK, aSource(bytes, { length: null }), null, noCheckpoint);
    await expectStored(bytes);
    expect(asked).toEqual(["put"]);
  });

  it("goes in by parts, on record before the first and after each but the last", async () => {
    const { bucket, asked } = watchedBucket(env.VIDEOS);
    const record = recorder();
    await videosOf(bucket).store(TASK, aSource(longer, { length: null, validator: '"v1"' }), null, record.checkpoint);
    await expectStored(longer);
    expect(record.uploads.map(({ parts, bytes, validator }) => [parts.length, bytes, validator])).toEqual([
      [0, 0, '"v1"'],
      [1, PART, '"v1"'],
      [2, 2 * PART, '"v1"'],
    ]);
    expect(asked).toEqual(["createMultipartUpload", "uploadPart", "uploadPart", "uploadPart", "head", "complete"]);
    const there = await env.VIDEOS.head(KEY);
    expect(there?.customMetadata).toEqual({ owner: "Tenant01/live" });
    expect(there?.httpMetadata).toEqual({ contentType: "video/mp4" });
  });

  it("may end with a full part", async () => {
    const bytes = patternedBytes(2 * PART);
    await videosOf().store(TASK, aSource(bytes, { length: null }), null, recorder().checkpoint);
    await expectStored(bytes);
  });

  it("never runs more than a part and a chunk ahead of R2", async () => {
    const source = aSource(longer, { length: null });
    const ahead: number[] = [];
    let put = 0;
    const { bucket } = watchedBucket(env.VIDEOS, {
      uploadPart: async (go) => {
        ahead.push(source.taken.bytes - put);
        put += PART;
        return go();
      },
    });
    await videosOf(bucket).store(TASK, source, null, recorder().checkpoint);
    expect(Math.max(...ahead)).toBeLessThanOrEqual(PART + 200_000);
  });

  it.each([1, 2, 3])("goes on after a crash at record %i from where that says", async (dyingAt) => {
    const first = recorder(dyingAt);
    const shape = { length: null, validator: '"v1"' };
    await expect(videosOf().store(TASK, aSource(longer, shape), null, first.checkpoint)).rejects.toThrow("died");
    expect(await stored()).toBeNull();

    const saved = first.uploads.at(-1) as Upload;
    expect(saved.bytes).toBe((dyingAt - 1) * PART);
    const rest = aSource(longer, { ...shape, offset: saved.bytes });
    const second = recorder();
    await videosOf().store(TASK, rest, saved, second.checkpoint);
    await expectStored(longer);
    expect(rest.taken.bytes).toBe(longer.length - saved.bytes);
    expect(second.uploads.every(({ uploadId }) => uploadId === saved.uploadId)).toBe(true);
  });

  it("goes on by parts when the rest comes with a length", async () => {
    const first = recorder(2);
    await expect(
      videosOf().store(TASK, aSource(long, { length: null, validator: '"v1"' }), null, first.checkpoint),
    ).rejects.toThrow("died");
    await videosOf().store(
      TASK,
      aSource(long, { offset: PART, validator: '"v1"' }),
      first.uploads[1] ?? null,
      recorder().checkpoint,
    );
    await expectStored(long);
  });

  it("goes on after it broke off", async () => {
    const first = recorder();
    const broken = aSource(long.subarray(0, PART + 200_000), {
      length: null,
      validator: '"v1"',
      breaksOff: new TypeError("Network connection lost."),
    });
    await expect(videosOf().store(TASK, broken, null, first.checkpoint)).rejects.toThrow("Network connection lost.");
    const saved = first.uploads.at(-1) as Upload;
    expect(saved.bytes).toBe(PART);
    await videosOf().store(TASK, aSource(long, { length: null, validator: '"v1"', offset: PART }), saved, recorder().checkpoint);
    await expectStored(long);
  });

  it("sends its last part again when R2 failed to complete", async () => {
    const first = recorder();
    const { bucket } = watchedBucket(env.VIDEOS, { complete: () => Promise.reject(new Error("complete: internal error (10001)")) });
    await expect(videosOf(bucket).store(TASK, aSource(long, { length: null }), null, first.checkpoint)).rejects.toThrow("(10001)");
    const saved = first.uploads.at(-1) as Upload;
    expect(saved.bytes).toBe(PART);
    await videosOf().store(TASK, aSource(long, { length: null, offset: saved.bytes }), saved, recorder().checkpoint);
    await expectStored(long);
  });

  it("is complete when only R2's word for it was lost", async () => {
    const { bucket } = watchedBucket(env.VIDEOS, {
      complete: async (go) => {
        await go();
        throw new Error("complete: The specified multipart upload does not exist. (10024)");
      },
    });
    await videosOf(bucket).store(TASK, aSource(long, { length: null }), null, recorder().checkpoint);
    await expectStored(long);
  });

  it("is not read again when we died after completing it", async () => {
    const first = recorder();
    await videosOf().store(TASK, aSource(long, { length: null }), null, first.checkpoint);
    const again = aSource(long, { length: null, offset: PART });
    await videosOf().store(TASK, again, first.uploads.at(-1) ?? null, noCheckpoint);
    expect(again.taken).toEqual({ bytes: 0, cancelled: true });
    await expectStored(long);
  });

  it.each([null, long.length])("begins anew when it cannot go on, and gives the old upload up (length %s)", async (length) => {
    const first = recorder(2);
    await expect(videosOf().store(TASK, aSource(long, { length: null }), null, first.checkpoint)).rejects.toThrow("died");
    await videosOf().store(TASK, aSource(long, { length }), first.uploads[1] ?? null, recorder().checkpoint);
    await expectStored(long);
    await expectGone(first.uploads[1]);
  });

  it.each([
    ["it went on as another video", { offset: PART, validator: '"v2"' }, false],
    ["it went on somewhere else", { offset: 5, validator: '"v1"' }, false],
    ["the upload is gone", { offset: PART, validator: '"v1"' }, true],
  ])("starts over with the next try when %s", async (_, shape, isGone) => {
    const first = recorder(2);
    await expect(
      videosOf().store(TASK, aSource(long, { length: null, validator: '"v1"' }), null, first.checkpoint),
    ).rejects.toThrow("died");
    const old = first.uploads[1] as Upload;
    if (isGone) await env.VIDEOS.resumeMultipartUpload(KEY, old.uploadId).abort();

    const second = recorder();
    await expect(videosOf().store(TASK, aSource(long, { length: null, ...shape }), old, second.checkpoint)).rejects.toThrow();
    const fresh = second.uploads.at(-1) as Upload;
    expect(fresh).toMatchObject({ parts: [], bytes: 0 });
    expect(fresh.uploadId).not.toBe(old.uploadId);

    await videosOf().store(TASK, aSource(long, { length: null, validator: '"v2"' }), fresh, recorder().checkpoint);
    await expectStored(long);
    await expectGone(old);
  });

  it("is given up with its upload as soon as it is too large", async () => {
    const record = recorder();
    const source = aSource(patternedBytes(4 * PART), { length: null });
    await expect(videosOf(env.VIDEOS, PART + MIB).store(TASK, source, null, record.checkpoint)).rejects.toEqual(
      new SourceError("too_large"),
    );
    expect(source.taken.cancelled).toBe(true);
    expect(source.taken.bytes).toBeLessThan(PART + MIB + 200_001);
    expect(await stored()).toBeNull();
    await expectGone(record.uploads[0]);
  });

  it("is cut short when it is empty", async () => {
    await expect(videosOf().store(TASK, aSource(new Uint8Array(), { length: null }), null, noCheckpoint)).rejects.toEqual(
      new SourceError("cut_short"),
    );
  });
});

describe("verify", () => {
  it("tells what is stored, for one put and two ranged reads in all", async () => {
    const { bucket, asked } = watchedBucket(env.VIDEOS);
    const videos = videosOf(bucket);
    await videos.store(TASK, aSource(video), null, noCheckpoint);
    expect(await videos.verify(TASK.id)).toEqual({ bytes: video.length, durationMs: 8_000, width: 1280, height: 720 });
    expect(asked).toEqual(["put", "get", "get"]);
  });

  it.each([
    ["a web page", "<!DOCTYPE html>"],
    ["a clip cut short", video.subarray(0, video.length - 1)],
  ])("is null for %s", async (_, body) => {
    await env.VIDEOS.put(KEY, body);
    expect(await videosOf().verify(TASK.id)).toBeNull();
  });

  it("is null where nothing is stored", async () => {
    expect(await videosOf().verify(TASK.id)).toBeNull();
  });

  it("throws when R2 fails, which says nothing of the video", async () => {
    await env.VIDEOS.put(KEY, video);
    let gets = 0;
    const { bucket } = watchedBucket(env.VIDEOS, {
      get: (go) => (++gets === 2 ? Promise.reject(new Error("get: internal error (10001)")) : go()),
    });
    await expect(videosOf(bucket).verify(TASK.id)).rejects.toThrow("(10001)");
  });
});

describe("read", () => {
  const HUNDRED = Uint8Array.from({ length: 100 }, (_, index) => index);

  /** What `read` answers for a stored 100 bytes, and the R2 operations that took. */
  async function read(
    conditions: Partial<ReadConditions>,
  ): Promise<{ found: VideoRead; bytes: number[] | null; asked: string[]; etag: string }> {
    await env.VIDEOS.put(KEY, HUNDRED);
    const etag = (await env.VIDEOS.head(KEY))?.httpEtag ?? "";
    const { bucket, asked } = watchedBucket(env.VIDEOS);
    const resolved = Object.entries(conditions).map(([name, value]) => [
      name,
      typeof value === "string" ? value.replaceAll("ETAG", etag) : value,
    ]);
    const found = await videosOf(bucket).read(TASK.id, {
      range: null,
      ifRange: null,
      ifNoneMatch: null,
      ...Object.fromEntries(resolved),
    });
    const bytes = found.kind === "body" ? [...new Uint8Array(await new Response(found.body).arrayBuffer())] : null;
    return { found, bytes, asked, etag };
  }

  it("gives the whole with one operation", async () => {
    const { found, bytes, asked, etag } = await read({});
    expect(found).toMatchObject({ kind: "body", range: null, meta: { size: 100, etag } });
    expect(bytes).toEqual([...HUNDRED]);
    expect(etag).toMatch(/^"[0-9a-f]{32}"$/);
    expect(asked).toEqual(["get"]);
  });

  it.each([
    ["bytes=0-0", 0, 1],
    ["bytes=-1", 99, 1],
    ["bytes=5-", 5, 95],
    ["bytes=0-", 0, 100],
    ["bytes=90-200", 90, 10],
    ["bytes=-500", 0, 100],
    ["bytes=10-999999999999999", 10, 90],
  ])("gives the part that %s means with one operation", async (header, offset, length) => {
    const { found, bytes, asked } = await read({ range: parseRange(header) });
    expect(found).toMatchObject({ kind: "body", range: { offset, length }, meta: { size: 100 } });
    expect(bytes).toEqual([...HUNDRED.subarray(offset, offset + length)]);
    expect(asked).toEqual(["get"]);
  });

  it.each(["bytes=100-", "bytes=200-300", "bytes=-0", "bytes=999999999999999-"])(
    "tells the size where %s has none of it, with two operations",
    async (header) => {
      const { found, asked } = await read({ range: parseRange(header) });
      expect(found).toMatchObject({ kind: "unsatisfiable", meta: { size: 100 } });
      expect(asked).toEqual(["get", "head"]);
    },
  );

  it.each([
    "bytes=3-1",
    "items=0-1",
    "rubbish",
    `bytes=${Array.from({ length: 1_000 }, (_, index) => `${index}-${index}`).join()}`,
  ])("gives the whole for a range that is none: %s", async (header) => {
    expect((await read({ range: parseRange(header) })).found).toMatchObject({ kind: "body", range: null });
  });

  it.each(["ETAG", "W/ETAG", '"other", ETAG', '"other",W/ETAG , "third"', "*", "ETAG, rubbish"])(
    "is not modified for If-None-Match: %s, with one operation",
    async (ifNoneMatch) => {
      const { found, asked, etag } = await read({ ifNoneMatch });
      expect(found).toEqual({ kind: "not_modified", meta: { size: 100, etag, linkRevision: 0 } });
      expect(asked).toEqual(["get"]);
    },
  );

  it.each(['"other"', 'W/"other"', "rubbish", "", '"unclosed', '"*"', "ETAG".slice(0, 3)])(
    "gives the whole for If-None-Match: %s",
    async (ifNoneMatch) => {
      const { found, asked } = await read({ ifNoneMatch });
      expect(found).toMatchObject({ kind: "body" });
      expect(asked).toEqual(["get"]);
    },
  );

  it("is not modified even where the range has none of it", async () => {
    expect((await read({ ifNoneMatch: "ETAG", range: { offset: 100 } })).found.kind).toBe("not_modified");
  });

  it("gives the part where If-Range is still true, with one operation", async () => {
    const { found, asked } = await read({ range: { offset: 5 }, ifRange: "ETAG" });
    expect(found).toMatchObject({ kind: "body", range: { offset: 5, length: 95 } });
    expect(asked).toEqual(["get"]);
  });

  it.each([
    ['"old"', 2],
    ["W/ETAG", 1],
    ["Wed, 21 Oct 2026 07:28:00 GMT", 1],
    ["", 1],
  ])("gives the whole where If-Range is %s, with %i operations", async (ifRange, operations) => {
    const { found, bytes, asked } = await read({ range: { offset: 5, length: 1 }, ifRange });
    expect(found).toMatchObject({ kind: "body", range: null });
    expect(bytes).toHaveLength(100);
    expect(asked).toHaveLength(operations);
  });

  it("gives the whole where If-Range is old and the range has none of it", async () => {
    expect((await read({ range: { offset: 100 }, ifRange: '"old"' })).found).toMatchObject({ kind: "body", range: null });
  });

  it("looks at If-Range and If-None-Match each on its own", async () => {
    const part = { range: { offset: 5 }, ifNoneMatch: '"other"' };
    expect((await read({ ...part, ifRange: "ETAG" })).found).toMatchObject({ kind: "body", range: { offset: 5 } });
    expect((await read({ ...part, ifRange: '"old"' })).found).toMatchObject({ kind: "body", range: null });
    expect((await read({ ...part, ifRange: '"old"', ifNoneMatch: "ETAG" })).found.kind).toBe("not_modified");
  });

  it.each([null, { offset: 5 }, { suffix: 0 }])("is missing where nothing is (range %j)", async (range) => {
    const found = await videosOf().read("veo3:1-nothing", { range, ifRange: null, ifNoneMatch: '"any"' });
    expect(found).toEqual({ kind: "missing" });
  });
});

describe("head, remove and list", () => {
  it("heads what is there", async () => {
    await env.VIDEOS.put(KEY, video);
    expect(await videosOf().head(TASK.id)).toEqual({
      size: video.length,
      linkRevision: 0,
      etag: expect.stringMatching(/^"[0-9a-f]{32}"$/),
    });
    expect(await videosOf().head("veo3:1-nothing")).toBeNull();
  });

  it("removes a video, and once more", async () => {
    await env.VIDEOS.put(KEY, video);
    await videosOf().remove(TASK.id, null);
    await videosOf().remove(TASK.id, null);
    expect(await stored()).toBeNull();
  });

  it("gives an unfinished upload up, and once more", async () => {
    const record = recorder(2);
    const source = aSource(patternedBytes(2 * PART), { length: null });
    await expect(videosOf().store(TASK, source, null, record.checkpoint)).rejects.toThrow("died");
    const upload = record.uploads[1] as Upload;
    await videosOf().remove(TASK.id, upload);
    await videosOf().remove(TASK.id, upload);
    await expectGone(upload);
  });
});
