// All that is kept in R2, videos and reference images alike, as the sweep walks it.
import type { Mode } from "../core/api-key.ts";
import type { StoredObject, StoredObjects } from "../ports.ts";
import { IMAGE_PREFIX } from "./images.ts";
import { VIDEO_PREFIX } from "./video-key.ts";

export function r2Objects(bucket: R2Bucket): StoredObjects {
  return {
    // The place is a key, not R2's own cursor: it stays good whatever becomes of the objects about it.
    async list(after, limit) {
      const page = await bucket.list({
        limit,
        // With metadata a page may be shorter than `limit`, so only `truncated` says whether it was the last.
        include: ["customMetadata"],
        ...(after === null ? {} : { startAfter: after }),
      });
      const last = page.objects.at(-1)?.key ?? null;
      return { objects: page.objects.flatMap(storedObject), last: page.truncated ? last : null };
    },

    async remove(keys) {
      if (keys.length > 0) await bucket.delete([...keys]);
    },
  };
}

/** Nothing for what is none of ours. */
function storedObject({ key, customMetadata, uploaded }: R2Object): StoredObject[] {
  const taskId = taskOf(key);
  if (taskId === null) return [];
  const [, tenant, mode] = /^([^/]+)\/(live|test)$/.exec(customMetadata?.["owner"] ?? "") ?? [];
  const owner = tenant === undefined ? null : { tenant, mode: mode as Mode };
  return [{ key, taskId, owner, uploadedAt: uploaded.getTime() }];
}

function taskOf(key: string): string | null {
  if (key.startsWith(VIDEO_PREFIX)) return key.slice(VIDEO_PREFIX.length);
  return key.startsWith(IMAGE_PREFIX) ? key.slice(IMAGE_PREFIX.length).replace(/\/\d+$/, "") : null;
}
