// Finished videos in R2. Reads cost one operation each, two where the answer is a 416 or an outdated If-Range.
import { resolveRange } from "../core/range.ts";
import type { ReadConditions, VideoRead, VideoStore } from "../ports.ts";
import { probeMp4, READ_AHEAD_BYTES } from "./mp4.ts";
import { r2ErrorCode, RANGE_NOT_SATISFIABLE, videoMeta, videoMetadata } from "./r2-objects.ts";
import { revokeLinks } from "./revoke-links.ts";
import { abandonUpload, copyVideo } from "./video-copy.ts";
import { videoKey } from "./video-key.ts";

export function r2Videos(bucket: R2Bucket, { maxBytes }: { maxBytes: number }): VideoStore {
  const store: VideoStore = {
    async store(task, source, upload, checkpoint) {
      const key = videoKey(task.id);
      const yieldsTo = async (bytes: number): Promise<boolean> => {
        const there = await bucket.head(key);
        if (there === null) return false;
        // Whoever stored one that plays may have said so already: a completed task's video is never taken away.
        if (there.size === bytes || (await store.verify(task.id)) !== null) return true;
        await bucket.delete(key);
        return false;
      };
      await copyVideo({ bucket, key, metadata: videoMetadata(task), maxBytes, yieldsTo }, source, upload, checkpoint);
    },

    async verify(taskId) {
      const key = videoKey(taskId);
      // The first bytes tell the size as well.
      const opening = await bucket.get(key, { range: { offset: 0, length: READ_AHEAD_BYTES } });
      if (opening === null) return null;
      const first = new Uint8Array(await opening.arrayBuffer());
      const read = async (start: number, end: number): Promise<Uint8Array> => {
        if (end <= first.length) return first.subarray(start, end);
        const found = await bucket.get(key, { range: { offset: start, length: end - start } });
        if (found === null) throw new Error("the video went away while it was verified");
        return new Uint8Array(await found.arrayBuffer());
      };
      const facts = await probeMp4(read, opening.size);
      return facts && { bytes: opening.size, ...facts };
    },

    async read(taskId, conditions) {
      return readVideo(bucket, videoKey(taskId), conditions);
    },

    async head(taskId) {
      const found = await bucket.head(videoKey(taskId));
      return found && videoMeta(found);
    },

    async revokeLinks(taskId, linkRevision, signal) {
      return revokeLinks(bucket, videoKey(taskId), linkRevision, signal);
    },

    async remove(taskId, upload) {
      const key = videoKey(taskId);
      // The upload first: what was nearly complete must not appear after the delete.
      if (upload !== null) await abandonUpload(bucket, key, upload);
      await bucket.delete(key);
    },
  };
  return store;
}

async function readVideo(bucket: R2Bucket, key: string, { range, ifRange, ifNoneMatch }: ReadConditions): Promise<VideoRead> {
  // Only a strong ETag can vouch for a part (RFC 9110, section 13.1.5); a date or a weak one means the whole.
  const wanted = ifRange === null || STRONG_ETAG.test(ifRange) ? range : null;
  const onlyIf = new Headers();
  const unwanted = readEtags(ifNoneMatch);
  if (unwanted.length > 0) onlyIf.set("if-none-match", unwanted.join());
  if (wanted !== null && ifRange !== null) onlyIf.set("if-match", ifRange);

  const found = await getOrHead(bucket, key, { onlyIf, ...(wanted === null ? {} : { range: wanted }) });
  if (found === null) return { kind: "missing" };
  const meta = videoMeta(found);
  if ("body" in found) {
    return { kind: "body", body: found.body, meta, range: wanted && resolveRange(wanted, found.size) };
  }
  // R2 does not say which condition it was.
  if (unwanted.includes("*") || unwanted.includes(meta.etag)) return { kind: "not_modified", meta };
  if (wanted !== null && ifRange !== null && ifRange !== meta.etag) {
    return readVideo(bucket, key, { range: null, ifRange: null, ifNoneMatch });
  }
  return { kind: "unsatisfiable", meta };
}

/** R2 throws where a range has none of the bytes, and does not tell how many there are. */
async function getOrHead(bucket: R2Bucket, key: string, options: R2GetOptions): Promise<R2ObjectBody | R2Object | null> {
  try {
    return await bucket.get(key, options);
  } catch (error) {
    if (r2ErrorCode(error) !== RANGE_NOT_SATISFIABLE) throw error;
    return bucket.head(key);
  }
}

const STRONG_ETAG = /^"[\x21\x23-\x7e]*"$/;

/**
 * The ETags of an If-None-Match. It compares weakly, so "W/" is dropped. What is none is left out, because R2 throws on it.
 */
function readEtags(header: string | null): string[] {
  if (header?.trim() === "*") return ["*"];
  return [...(header ?? "").matchAll(/"[\x21\x23-\x7e]*"/g)].map(([etag]) => etag);
}
