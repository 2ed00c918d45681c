// The image that comes inside a create: a form's file, or a data URL. It is taken by its first bytes, whatever it is called.
import { imageTypeOf, MAX_IMAGE_BYTES } from "../core/reference-image.ts";
import { fail, ok, type Result } from "../core/result.ts";
import type { ImageFile } from "../ports.ts";
import { badRequest, type ApiError } from "./errors.ts";

const FILE = "input_reference";
const IN_TEXT = "input_reference.image_url";
const ALLOWED = `a JPEG, PNG or WebP image of at most ${MAX_IMAGE_BYTES / 2 ** 20} MB`;

export function isDataUrl(url: string): boolean {
  return /^\s*data:/i.test(url);
}

/** Null: nothing came along. */
export async function imageIn(reference: File | { image_url: string } | null): Promise<Result<ImageFile | null, ApiError>> {
  if (reference instanceof File) {
    if (reference.size > MAX_IMAGE_BYTES) return fail(tooLarge(FILE));
    return judged(new Uint8Array(await reference.arrayBuffer()), FILE);
  }
  if (reference === null || !isDataUrl(reference.image_url)) return ok(null);
  const bytes = decoded(reference.image_url);
  if (bytes === null)
    return fail(badRequest("image_invalid", `${IN_TEXT}, as a data URL, must be in Base64: data:image/png;base64,…`, IN_TEXT));
  return bytes.byteLength > MAX_IMAGE_BYTES ? fail(tooLarge(IN_TEXT)) : judged(bytes, IN_TEXT);
}

export function notAnImage(param: string): ApiError {
  return badRequest("image_invalid", `${param} must be ${ALLOWED}. This is none by its first bytes.`, param);
}

function judged(bytes: Uint8Array, param: string): Result<ImageFile, ApiError> {
  const mimeType = imageTypeOf(bytes);
  return mimeType === null ? fail(notAnImage(param)) : ok({ bytes, mimeType });
}

function tooLarge(param: string): ApiError {
  return badRequest("payload_too_large", `${param} must be ${ALLOWED}.`, param, 413);
}

/** What it says of its type is not believed. Null: it is not in Base64. */
function decoded(url: string): Uint8Array | null {
  const text = /^\s*data:[^,]{0,200};base64,/i.exec(url);
  if (text === null) return null;
  try {
    const chars = atob(url.slice(text[0].length));
    const bytes = new Uint8Array(chars.length);
    for (let index = 0; index < chars.length; index++) bytes[index] = chars.charCodeAt(index);
    return bytes;
  } catch {
    return null;
  }
}
