// Reads a create's body in either form that OpenAI's clients send: JSON, or the multipart form of its own libraries. A form becomes
// the object that the same request would be in JSON, so that one schema judges both.
import type { MiddlewareHandler } from "hono";
import { fail, ok, type Result } from "../core/result.ts";
import type { AppEnv } from "./context.ts";
import { answer, badRequest, type ApiError } from "./errors.ts";
import { checkHeaders, COMPRESSED_BODY, isCompressed, jsonBody, NOT_UTF8, printable, readBytes } from "./json-body.ts";

const IMAGE_BY_URL = "Put the image at a public https address, and send that as input_reference[image_url].";

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
  const bytes = await readBytes(c.req.raw.body);
  if (!bytes.ok) {
    const isLarge = bytes.error.status === 413;
    return answer(c, isLarge ? { ...bytes.error, message: `${bytes.error.message} ${IMAGE_BY_URL}` } : bytes.error);
  }
  const value = await parseForm(bytes.value, type);
  if (!value.ok) return answer(c, value.error);
  c.req.json = async () => value.value as never;
  return next();
};

async function parseForm(bytes: Uint8Array, type: string): Promise<Result<unknown, ApiError>> {
  let form: FormData;
  try {
    form = await new Response(bytes, { headers: { "content-type": type } }).formData();
  } catch {
    return fail(INVALID_FORM);
  }
  const parts = [...form];
  if (parts.some(([name, value]) => name === "input_reference" && typeof value !== "string")) {
    return fail(badRequest("unsupported_parameter", `input_reference takes no file. ${IMAGE_BY_URL}`, "input_reference"));
  }
  // Only now, because a file may be anything; the parser itself would put a replacement character for what it cannot read.
  if (parts.every(([, value]) => typeof value === "string") && !isUtf8(bytes)) return fail(NOT_UTF8);
  const given = new Map<string, unknown>();
  const reference = new Map<string, unknown>();
  for (const [name, value] of parts) {
    const inner = /^input_reference\[([^[\]]*)\]$/.exec(name)?.[1];
    const [fields, field] = inner === undefined ? [given, name] : [reference, inner];
    if (fields.has(field)) return fail(badRequest("duplicate_parameter", "The part is given twice.", printable(name)));
    // Where text is expected, a file is of the wrong type.
    fields.set(field, typeof value === "string" ? value : {});
  }
  if (reference.size > 0 && !given.has("input_reference")) given.set("input_reference", Object.fromEntries(reference));
  return ok(Object.fromEntries(given));
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
