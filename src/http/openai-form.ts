// Reads a create's body in either form that OpenAI's clients send: JSON, or the multipart form of its own libraries. A form becomes
// the object that the same request would be in JSON, so that one schema judges both; an image that came along is a File in it, which
// no JSON can have.
import type { MiddlewareHandler } from "hono";
import { MAX_IMAGE_BYTES } from "../core/reference-image.ts";
import { fail, ok, type Result } from "../core/result.ts";
import type { AppEnv } from "./context.ts";
import { answer, badRequest, type ApiError } from "./errors.ts";
import {
  BODY_LIMITS,
  checkHeaders,
  COMPRESSED_BODY,
  FORM_LIMITS,
  isCompressed,
  jsonBody,
  largeBody,
  NOT_UTF8,
  printable,
  readBytes,
} from "./json-body.ts";
import { isDataUrl } from "./openai-image.ts";

const IMAGE = "input_reference";
const SMALLER = `input_reference may be a file of ${MAX_IMAGE_BYTES / 2 ** 20} MB; a URL, as input_reference[image_url], takes no room.`;

export const INVALID_FORM = badRequest("invalid_form", "The body is not a multipart form, or is cut off.");

export const jsonOrFormBody: MiddlewareHandler<AppEnv> = async (c, next) => {
  const type = c.req.header("content-type") ?? "";
  if (!/^multipart\/form-data\s*(;|$)/i.test(type)) {
    const wrong = checkHeaders(c.req.raw.headers);
    if (wrong?.code === "unsupported_media_type")
      return answer(c, { ...wrong, message: `${wrong.message} Or a form, as multipart/form-data.` });
    return jsonBody(c, next);
  }
  if (isCompressed(c.req.raw.headers)) return answer(c, COMPRESSED_BODY);
  const bytes = await readBytes(c.req.raw.body, FORM_LIMITS);
  if (!bytes.ok) {
    const { status, message } = bytes.error;
    return answer(c, status === 413 ? { ...bytes.error, message: `${message} ${SMALLER}` } : bytes.error);
  }
  const value = await parseForm(bytes.value, type);
  if (!value.ok) return answer(c, value.error);
  c.req.json = async () => value.value as never;
  return next();
};

/** Whether a body came as a form that brought its image along. */
export function hasFile(body: unknown): boolean {
  return typeof body === "object" && body !== null && IMAGE in body && body[IMAGE] instanceof File;
}

async function parseForm(bytes: Uint8Array, type: string): Promise<Result<unknown, ApiError>> {
  let form: FormData;
  try {
    form = await new Response(bytes, { headers: { "content-type": type } }).formData();
  } catch {
    return fail(INVALID_FORM);
  }
  const parts = [...form];
  const fault = faultOfTexts(parts, bytes);
  if (fault !== null) return fail(fault);
  const given = new Map<string, unknown>();
  const reference = new Map<string, unknown>();
  for (const [name, value] of parts) {
    const inner = /^input_reference\[([^[\]]*)\]$/.exec(name)?.[1];
    const [fields, field] = inner === undefined ? [given, name] : [reference, inner];
    if (fields.has(field)) return fail(badRequest("duplicate_parameter", "The part is given twice.", printable(name)));
    // Where text is expected, a file is of the wrong type.
    fields.set(field, typeof value === "string" || name === IMAGE ? value : {});
  }
  if (reference.size > 0 && given.get(IMAGE) instanceof File) {
    return fail(badRequest("duplicate_parameter", "The image is given twice: as a file, and otherwise.", IMAGE));
  }
  if (reference.size > 0 && !given.has(IMAGE)) given.set(IMAGE, Object.fromEntries(reference));
  return ok(Object.fromEntries(given));
}

/** All but the image may be as long as in JSON; and the parser puts a replacement character for what it cannot read. */
function faultOfTexts(parts: readonly (readonly [string, string | File])[], bytes: Uint8Array): ApiError | null {
  const images = parts.map(([, value]) => (typeof value !== "string" ? value.size : isDataUrl(value) ? value.length : 0));
  if (images.reduce((rest, size) => rest - size, bytes.length) > BODY_LIMITS.maxBytes) return largeBody(BODY_LIMITS);
  if (parts.every(([, value]) => typeof value === "string")) return isUtf8(bytes) ? null : NOT_UTF8;
  // A file may be anything, and where it lies is not told. Who means that character sends it without one.
  return parts.some(([name, value]) => name.includes(UNREADABLE) || (typeof value === "string" && value.includes(UNREADABLE)))
    ? NOT_UTF8
    : null;
}

const UNREADABLE = "\ufffd";

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
