// One JSON call to a provider's API. Statuses are for the adapter to judge; only a connection that breaks is thrown.
import { ConnectionError, discard, quietFetch } from "../net/guarded-fetch.ts";
import type { Json } from "../core/json.ts";

/** Of one that carries no video. */
export const MAX_REPLY_BYTES = 1024 * 1024;

export interface JsonCall {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Json;
  /** Sent instead of `body`, as multipart/form-data. */
  readonly form?: FormData;
  readonly signal: AbortSignal;
}

export interface JsonReply {
  readonly status: number;
  readonly headers: Headers;
  /** Null where it is not readable. */
  readonly body: unknown;
  /** Whether the body was JSON. Never of a redirect: an API that moved is the operator's to configure, not ours to follow. */
  readonly readable: boolean;
}

export async function callJson(url: string, { method, headers, body, form, signal }: JsonCall): Promise<JsonReply> {
  const response = await quietFetch(url, {
    method,
    headers: body === undefined ? headers : { ...headers, "content-type": "application/json" },
    // Its content type is fetch's to set: it names the boundary.
    body: form ?? (body === undefined ? null : JSON.stringify(body)),
    redirect: "manual",
    signal,
  });
  const { status } = response;
  if (status >= 300 && status < 400) {
    await discard(response);
    return { status, headers: response.headers, body: null, readable: false };
  }
  return { status, headers: response.headers, ...parseJson(await readText(response, signal)) };
}

/** How long a reply asks to be left alone, in milliseconds; null: it does not say. */
export function retryAfterMs(headers: Headers, now: number): number | null {
  const value = headers.get("retry-after")?.trim() ?? "";
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value) * 1000;
  // Date.parse takes nearly anything for a date; an HTTP one begins with its weekday.
  const at = /^[A-Z][a-z]{2}/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? null : Math.max(at - now, 0);
}

/** Null: too long. Bytes are counted as they come, because a length that is announced may be a lie. */
async function readText(response: Response, signal: AbortSignal): Promise<string | null> {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let text = "";
  let bytes = 0;
  try {
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      bytes += chunk.value.byteLength;
      if (bytes > MAX_REPLY_BYTES) {
        await reader.cancel().catch(() => undefined);
        return null;
      }
      text += decoder.decode(chunk.value, { stream: true });
    }
    return text + decoder.decode();
  } catch {
    throw new ConnectionError(signal);
  }
}

function parseJson(text: string | null): { body: unknown; readable: boolean } {
  try {
    return text === null ? { body: null, readable: false } : { body: JSON.parse(text), readable: true };
  } catch {
    return { body: null, readable: false };
  }
}
