// Fetches a reference image that a tenant named. What its server says of it is not believed: the first bytes tell what it is.
import { imageTypeOf, MAX_IMAGE_BYTES } from "../core/reference-image.ts";
import { RefusedError } from "../core/upstream-errors.ts";
import type { FetchImage, JudgeUrl } from "../ports.ts";
import { discard, guardedFetch } from "./guarded-fetch.ts";

/** These may pass; every other failure is the URL's own. */
const MAY_PASS = [408, 425, 429, 500, 502, 503, 504];

/** `judge` is asked of the URL and of every redirect. */
export function imageFetcher(judge: JudgeUrl): FetchImage {
  return async (url, ownHost, signal) => {
    const fetchImage = guardedFetch({ judge: (each) => judge(each, ownHost), ownOrigin: null, ownHeaders: {} });
    const response = await fetchImage(url, { headers: { accept: "image/*" }, signal }).catch((error: unknown) => {
      throw error instanceof RefusedError ? refused("image_fetch_failed") : error;
    });
    if (!response.ok) {
      await discard(response);
      if (MAY_PASS.includes(response.status)) throw new Error("the image's server is not to be had");
      throw refused("image_fetch_failed");
    }
    const bytes = await readCapped(response);
    const mimeType = bytes && imageTypeOf(bytes);
    if (bytes === null || mimeType === null) throw refused("image_invalid");
    return { bytes, mimeType };
  };
}

/** Null: too large. Bytes are counted as they come, because a length that is announced may be a lie. */
async function readCapped(response: Response): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = response.body?.getReader();
  for (let chunk = await reader?.read(); chunk !== undefined && !chunk.done; chunk = await reader?.read()) {
    size += chunk.value.byteLength;
    if (size > MAX_IMAGE_BYTES) {
      await reader?.cancel().catch(() => undefined);
      return null;
    }
    chunks.push(chunk.value);
  }
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

function refused(reason: "image_fetch_failed" | "image_invalid"): RefusedError {
  return new RefusedError("task", reason);
}
