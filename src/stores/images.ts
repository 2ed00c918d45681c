// Reference images of tasks under way, for wires that inline them. Few, small, and gone with the end of their task.
import type { ImageFile, ImageStore } from "../ports.ts";

const IMAGE_PREFIX = "images/";
const MIME_TYPES = ["image/jpeg", "image/png", "image/webp"] as const satisfies readonly ImageFile["mimeType"][];

export function r2Images(bucket: R2Bucket): ImageStore {
  return {
    async put({ id, tenant, mode }, index, { bytes, mimeType }) {
      await bucket.put(keyOf(id, index), bytes, {
        httpMetadata: { contentType: mimeType },
        customMetadata: { owner: `${tenant}/${mode}` },
      });
    },

    async read(taskId, index) {
      const found = await bucket.get(keyOf(taskId, index));
      const mimeType = MIME_TYPES.find((each) => each === found?.httpMetadata?.contentType);
      if (found === null || mimeType === undefined) return null;
      return { bytes: new Uint8Array(await found.arrayBuffer()), mimeType };
    },

    async remove(taskId, count) {
      if (count > 0) await bucket.delete(Array.from({ length: count }, (_, index) => keyOf(taskId, index)));
    },
  };
}

function keyOf(taskId: string, index: number): string {
  return `${IMAGE_PREFIX}${taskId}/${index}`;
}
