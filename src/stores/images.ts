// Reference images of tasks under way: those that came along with a create, and those that were fetched for wires that inline them.
// Few, small, and gone with the end of their task.
import { IMAGE_TYPES } from "../core/reference-image.ts";
import type { ImageStore } from "../ports.ts";

export const IMAGE_PREFIX = "images/";

export function r2Images(bucket: R2Bucket): ImageStore {
  async function open(taskId: string, index: number) {
    const found = await bucket.get(keyOf(taskId, index));
    const mimeType = IMAGE_TYPES.find((each) => each === found?.httpMetadata?.contentType);
    return found === null || mimeType === undefined ? null : { found, mimeType };
  }

  return {
    async put({ id, tenant, mode }, index, { bytes, mimeType }) {
      await bucket.put(keyOf(id, index), bytes, {
        httpMetadata: { contentType: mimeType },
        customMetadata: { owner: `${tenant}/${mode}` },
      });
    },

    async read(taskId, index) {
      const opened = await open(taskId, index);
      return opened && { bytes: new Uint8Array(await opened.found.arrayBuffer()), mimeType: opened.mimeType };
    },

    async open(taskId, index) {
      const opened = await open(taskId, index);
      return opened && { body: opened.found.body, size: opened.found.size, mimeType: opened.mimeType };
    },

    async remove(taskId, count) {
      if (count > 0) await bucket.delete(Array.from({ length: count }, (_, index) => keyOf(taskId, index)));
    },
  };
}

function keyOf(taskId: string, index: number): string {
  return `${IMAGE_PREFIX}${taskId}/${index}`;
}
