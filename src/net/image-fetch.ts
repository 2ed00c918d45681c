// Fetches a reference image that a tenant named. What its server says of it is not believed: the first bytes tell what it is.
import { RefusedError } from "../core/upstream-errors.ts";
import type { FetchImage, ImageFile, JudgeUrl } from "../ports.ts";
import { discard, guardedFetch } from "./guarded-fetch.ts";

/** How much all of a task may have together is core's to say. */
export const MAX_IMAGE_BYTES = 10 * 1024 * 1024;
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
    const mimeType = bytes && sniff(bytes);
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

const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const JPEG = [0xff, 0xd8, 0xff];
const RIFF = [0x52, 0x49, 0x46, 0x46];
const WEBP = [0x57, 0x45, 0x42, 0x50];

function sniff(bytes: Uint8Array): ImageFile["mimeType"] | null {
  const has = (magic: readonly number[], at = 0): boolean => magic.every((byte, index) => bytes[at + index] === byte);
  if (has(PNG)) return "image/png";
  if (has(JPEG)) return "image/jpeg";
  return has(RIFF) && has(WEBP, 8) ? "image/webp" : null;
}

function refused(reason: "image_fetch_failed" | "image_invalid"): RefusedError {
  return new RefusedError("task", reason);
}
