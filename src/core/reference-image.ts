// Reference images: which files are taken for one, and what one is called that came along with a create and has no URL.
import { hex } from "./encoding.ts";
import { sha256 } from "./hmac.ts";

export type ImageType = "image/jpeg" | "image/png" | "image/webp";
export const IMAGE_TYPES = ["image/jpeg", "image/png", "image/webp"] as const satisfies readonly ImageType[];

/** Three of them, in base64 and in JSON, have to fit into an isolate's memory. */
export const MAX_IMAGE_BYTES = 10 * 1024 * 1024;

const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const JPEG = [0xff, 0xd8, 0xff];
const RIFF = [0x52, 0x49, 0x46, 0x46];
const WEBP = [0x57, 0x45, 0x42, 0x50];

/** By its first bytes, whatever it is said to be; null: none that is taken. */
export function imageTypeOf(bytes: Uint8Array): ImageType | null {
  const has = (magic: readonly number[], at = 0): boolean => magic.every((byte, index) => bytes[at + index] === byte);
  if (has(PNG)) return "image/png";
  if (has(JPEG)) return "image/jpeg";
  return has(RIFF) && has(WEBP, 8) ? "image/webp" : null;
}

/** No URL that anybody may name has this scheme. */
const UPLOAD = "upload:";

/** What a generation has in place of a URL: the same for the same bytes, so that a repeated create is known by it. */
export async function uploadName(bytes: Uint8Array): Promise<string> {
  return UPLOAD + hex(await sha256(bytes));
}

export function isUpload(image: string): boolean {
  return image.startsWith(UPLOAD);
}
