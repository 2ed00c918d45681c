// Replies that carry a video as base64 inside their JSON, tens of megabytes of it. They are read as a stream that is never in memory
// as a whole: once for what they say (`callOutlined`, long texts left out), and once more for the video (`openInline`).
import { AssetGoneError, RefusedError, SourceError, UnclearReplyError } from "../core/upstream-errors.ts";
import { ConnectionError, discard, quietFetch } from "../net/guarded-fetch.ts";
import type { VideoSource } from "../ports.ts";
import type { JsonCall, JsonReply } from "./call-json.ts";
import { nextOf, piecesOf, QUOTE, type JsonPath, type Piece, type Pieces } from "./json-pieces.ts";
import { accountError, outage } from "./judge-reply.ts";

/** Stands for a text that is too long to be read for what it says. */
export const CUT = "\0cut";
export interface OutlinedCall extends Omit<JsonCall, "form"> {
  /** Of the whole reply; a longer one is not readable. */
  readonly maxBytes?: number;
}

const CLOSING = new Uint8Array([QUOTE]);
const ESCAPED_CUT = new TextEncoder().encode(JSON.stringify(CUT).slice(1, -1));

const MAX_TEXT_BYTES = 16 * 1024;
const MAX_OUTLINE_BYTES = 1024 * 1024;
/** Of the whole reply, which is more of base64 than any video here is of bytes. */
const MAX_REPLY_BYTES = 512 * 1024 * 1024;
/** What is decoded at once: small pieces cost more than the decoding. A multiple of four. */
const DECODED_CHARS = 64 * 1024;

/** `callJson` for replies of which a few texts may be huge: those are CUT. */
export async function callOutlined(url: string, call: OutlinedCall): Promise<JsonReply> {
  const response = await send(url, call);
  const { status, headers } = response;
  if (status >= 300 && status < 400) {
    await discard(response);
    return { status, headers, body: null, readable: false };
  }
  return { status, headers, ...(await readOutline(response, call.signal, call.maxBytes)) };
}

/** Asks again for a reply and opens the base64 at `path` in it, which cannot be resumed. */
export async function openInline(
  url: string,
  call: OutlinedCall,
  path: JsonPath,
  maxBytes = MAX_REPLY_BYTES,
): Promise<VideoSource> {
  const response = await send(url, call);
  const { status, headers } = response;
  if (status !== 200 || response.body === null) {
    await discard(response);
    const reply = { status, headers, body: null, readable: false };
    throw accountError(reply) ?? outage(reply) ?? (status < 400 ? unreadable(status) : new AssetGoneError());
  }
  const pieces = piecesOf(response.body, call.signal, maxBytes);
  for (let next = await nextOf(pieces); next !== null; next = await nextOf(pieces)) {
    if (next.part === "text" && isSame(next.path, path)) {
      return { body: decoded(next, pieces), length: null, offset: 0, validator: null };
    }
  }
  throw new AssetGoneError();
}

/** `response`'s JSON as `callJson` would read it, without its long texts. */
export async function readOutline(
  response: Response,
  signal: AbortSignal,
  maxBytes = MAX_REPLY_BYTES,
): Promise<{ body: unknown; readable: boolean }> {
  if (response.body === null) return { body: null, readable: false };
  const outline = new Outline();
  /** Of the text that is being read: what came of it, and how much was kept before it. */
  let textBytes = 0;
  let before = 0;
  try {
    for await (const { part, bytes, isEnd } of piecesOf(response.body, signal, maxBytes)) {
      if (part === "syntax") outline.keep(bytes);
      else {
        if (textBytes === 0) before = outline.length;
        textBytes += bytes.byteLength;
        if (textBytes <= MAX_TEXT_BYTES) outline.keep(bytes);
        if (isEnd) {
          if (textBytes > MAX_TEXT_BYTES) {
            outline.length = before;
            outline.keep(ESCAPED_CUT);
          }
          outline.keep(CLOSING);
          textBytes = 0;
        }
      }
      if (outline.length > MAX_OUTLINE_BYTES) return { body: null, readable: false };
    }
    return { body: JSON.parse(outline.text()), readable: true };
  } catch (error) {
    if (error instanceof ConnectionError) throw error;
    return { body: null, readable: false };
  }
}

/** What is kept of a reply, copied: a view of a chunk, however small, would keep all of the chunk. */
class Outline {
  length = 0;
  #bytes = new Uint8Array(MAX_TEXT_BYTES);

  keep(part: Uint8Array): void {
    const needed = this.length + part.byteLength;
    if (needed > this.#bytes.byteLength) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.byteLength));
      larger.set(this.#bytes.subarray(0, this.length));
      this.#bytes = larger;
    }
    this.#bytes.set(part, this.length);
    this.length = needed;
  }

  text(): string {
    return new TextDecoder().decode(this.#bytes.subarray(0, this.length));
  }
}

/** For JSON that is sent: base64 of bytes too many to be a function's arguments. */
export function base64(bytes: Uint8Array): string {
  const STEP = 3 * 8192;
  let text = "";
  for (let at = 0; at < bytes.length; at += STEP) text += btoa(String.fromCharCode(...bytes.subarray(at, at + STEP)));
  return text;
}

async function send(url: string, { method, headers, body, signal }: OutlinedCall): Promise<Response> {
  return quietFetch(url, {
    method,
    headers: body === undefined ? headers : { ...headers, "content-type": "application/json" },
    body: body === undefined ? null : JSON.stringify(body),
    redirect: "manual",
    signal,
  });
}

function unreadable(status: number): UnclearReplyError {
  return new UnclearReplyError(`the video's reply answered ${status}, and nothing that could be understood`);
}

function isSame(a: JsonPath, b: JsonPath): boolean {
  return a.length === b.length && a.every((step, index) => step === b[index]);
}

/** The bytes that the text beginning with `first` stands for. */
function decoded(first: Piece, pieces: Pieces): ReadableStream<Uint8Array> {
  const decoder = new TextDecoder();
  let piece: Piece | null = first;
  let text = "";
  /** Null: that was all. */
  async function nextBytes(): Promise<Uint8Array | null> {
    for (;;) {
      for (; piece !== null && !piece.isEnd && text.length < DECODED_CHARS; piece = await nextOf(pieces)) {
        text += decoder.decode(piece.bytes);
      }
      if (piece === null) throw new SourceError("cut_short");
      const isLast = piece.isEnd && text.length < DECODED_CHARS;
      if (isLast) {
        text += decoder.decode(piece.bytes);
        piece = { ...piece, bytes: new Uint8Array() };
      }
      const { bytes, rest } = decodeSome(text, isLast);
      text = rest;
      if (bytes.byteLength > 0) return bytes;
      if (isLast) return null;
    }
  }
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const bytes = await nextBytes();
      if (bytes !== null) return controller.enqueue(bytes);
      controller.close();
      await pieces.return();
    },
    async cancel() {
      await pieces.return();
    },
  });
}

/** As much as makes whole bytes. JSON may escape `/`, `+` and `=`, and some servers do. */
function decodeSome(text: string, isLast: boolean): { bytes: Uint8Array; rest: string } {
  const cut = isLast ? text.length : text.length - (/\\[^\\]{0,5}$/.exec(text)?.[0].length ?? 0);
  const plain = text
    .slice(0, cut)
    .replace(/\\u([0-9a-f]{4})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    .replace(/\\[nrt]|\s/g, "")
    .replaceAll("\\/", "/")
    .replaceAll("-", "+")
    .replaceAll("_", "/");
  const whole = isLast ? plain.length : plain.length - (plain.length % 4);
  try {
    const binary = atob(plain.slice(0, whole));
    const bytes = new Uint8Array(binary.length);
    for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
    return { bytes, rest: plain.slice(whole) + text.slice(cut) };
  } catch {
    throw new RefusedError("task", "upstream_invalid_result");
  }
}
