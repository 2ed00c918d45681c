// Reads a JSON body: bounded in bytes, time and depth, in UTF-8, each name once. The route's validator gets what it finds.
import type { MiddlewareHandler } from "hono";
import { MAX_IMAGE_BYTES } from "../core/reference-image.ts";
import { fail, ok, type Result } from "../core/result.ts";
import type { AppEnv } from "./context.ts";
import { answer, badRequest, type ApiError } from "./errors.ts";
import { findJsonFault } from "./json-text.ts";

export interface BodyLimits {
  readonly maxBytes: number;
  readonly timeoutMs: number;
}

/** Of every body, and of the texts in a form. */
export const BODY_LIMITS: BodyLimits = { maxBytes: 256 * 1024, timeoutMs: 15_000 };
/** Of a form, which may bring an image along. */
export const FORM_LIMITS: BodyLimits = { maxBytes: MAX_IMAGE_BYTES + BODY_LIMITS.maxBytes, timeoutMs: 60_000 };
const MAX_DEPTH = 8;

export function lateBody({ timeoutMs }: BodyLimits): ApiError {
  return badRequest("request_timeout", `The body did not arrive in ${timeoutMs / 1000} s.`, null, 408);
}

export function largeBody({ maxBytes }: BodyLimits): ApiError {
  return badRequest("payload_too_large", `The body has more than ${maxBytes} bytes.`, null, 413);
}

export const COMPRESSED_BODY = badRequest("unsupported_encoding", "Send the body as it is, without Content-Encoding.", null, 415);

export const jsonBody: MiddlewareHandler<AppEnv> = async (c, next) => {
  const wrong = checkHeaders(c.req.raw.headers);
  if (wrong !== null) return answer(c, wrong);
  const bytes = await readBytes(c.req.raw.body);
  if (!bytes.ok) return answer(c, bytes.error);
  const value = parseBody(bytes.value);
  if (!value.ok) return answer(c, value.error);
  // Not by way of Hono's cache, which writes the value out and parses it again: 1e999 would become null, and pass for absent.
  c.req.json = async () => value.value as never;
  await next();
};

export function checkHeaders(headers: Headers): ApiError | null {
  if (isCompressed(headers)) return COMPRESSED_BODY;
  const [type = "", ...parameters] = (headers.get("content-type") ?? "").toLowerCase().split(";");
  const charset = parameters.map((each) => each.trim()).find((each) => each.startsWith("charset="));
  if (type.trim() !== "application/json" || !/^(charset="?utf-8"?)?$/.test(charset ?? "")) {
    return badRequest("unsupported_media_type", "Send JSON in UTF-8, with the header Content-Type: application/json.", null, 415);
  }
  return null;
}

export function isCompressed(headers: Headers): boolean {
  const encoding = headers.get("content-encoding");
  return encoding !== null && encoding !== "identity";
}

export async function readBytes(
  body: ReadableStream<Uint8Array> | null,
  limits: BodyLimits = BODY_LIMITS,
): Promise<Result<Uint8Array, ApiError>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = body?.getReader();
  const late = timeout(limits.timeoutMs);
  try {
    while (reader !== undefined) {
      const read = await Promise.race([reader.read(), late.promise]);
      if (read === "late") return give(lateBody(limits));
      if (read.done) break;
      size += read.value.byteLength;
      if (size > limits.maxBytes) return give(largeBody(limits));
      chunks.push(read.value);
    }
  } finally {
    late.clear();
  }
  return ok(joined(chunks, size));

  function give(error: ApiError): Result<Uint8Array, ApiError> {
    // The rest is not wanted; whether the client hears of that makes no difference.
    reader?.cancel().catch(() => undefined);
    return fail(error);
  }
}

export function parseBody(bytes: Uint8Array): Result<unknown, ApiError> {
  // UTF-16 has a zero in its first two bytes where JSON begins with an ASCII character, and UTF-8 never does.
  if (bytes[0] === 0 || bytes[1] === 0) return fail(NOT_UTF8);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    return fail(NOT_UTF8);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail(
      badRequest("invalid_json", text.trim() === "" ? "The body is empty; send a JSON object." : "The body is not valid JSON."),
    );
  }
  const fault = findJsonFault(text, MAX_DEPTH);
  if (fault?.kind === "too_deep") return fail(badRequest("too_deep", `The body is nested more than ${MAX_DEPTH} deep.`));
  if (fault?.kind === "duplicate_key")
    return fail(badRequest("duplicate_key", `${printable(fault.name)} is given twice.`, printable(fault.name)));
  return ok(value);
}

export const NOT_UTF8 = badRequest("invalid_encoding", "The body is not UTF-8.");

/** A name that a caller made up, short and without control characters. */
export function printable(name: string): string {
  return name.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 64);
}

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

function timeout(ms: number): { promise: Promise<"late">; clear: () => void } {
  let timer: ReturnType<typeof setTimeout>;
  const promise = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), ms);
  });
  return { promise, clear: () => clearTimeout(timer) };
}
