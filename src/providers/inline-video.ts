// Replies that carry a video as base64 inside their JSON, tens of megabytes of it. They are read as a stream that is never in memory
// as a whole: once for what they say (`callOutlined`, long texts left out), and once more for the video (`openInline`).
import { AssetGoneError, RefusedError, SourceError, UnclearReplyError } from "../core/upstream-errors.ts";
import { ConnectionError, discard, quietFetch } from "../net/guarded-fetch.ts";
import type { VideoSource } from "../ports.ts";
import type { JsonCall, JsonReply } from "./call-json.ts";
import { accountError, outage } from "./judge-reply.ts";

/** Stands for a text that is too long to be read for what it says. */
export const CUT = "\0cut";
/** Where in a JSON text a value is: members' names, and places in lists. */
export type JsonPath = readonly (string | number)[];
export type OutlinedCall = Omit<JsonCall, "form">;

const MAX_TEXT_BYTES = 16 * 1024;
const MAX_OUTLINE_BYTES = 1024 * 1024;
/** Of the whole reply, which is more of base64 than any video here is of bytes. */
const MAX_REPLY_BYTES = 512 * 1024 * 1024;
const MAX_DEPTH = 64;
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
  return { status, headers, ...(await readOutline(response, call.signal)) };
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
export async function readOutline(response: Response, signal: AbortSignal): Promise<{ body: unknown; readable: boolean }> {
  if (response.body === null) return { body: null, readable: false };
  const kept: Uint8Array[] = [];
  const quote = new Uint8Array([QUOTE]);
  let bytes = 0;
  const keep = (part: Uint8Array): void => {
    kept.push(part);
    bytes += part.byteLength;
  };
  /** Of the text that is being read: what came of it, and how much was kept before it. */
  let textBytes = 0;
  let before = 0;
  try {
    for await (const { part, bytes: piece, isEnd } of piecesOf(response.body, signal, MAX_REPLY_BYTES)) {
      if (part === "syntax") keep(piece);
      else {
        if (textBytes === 0) before = kept.length;
        textBytes += piece.byteLength;
        if (textBytes <= MAX_TEXT_BYTES) keep(piece);
        if (isEnd) {
          if (textBytes > MAX_TEXT_BYTES) {
            for (const dropped of kept.splice(before)) bytes -= dropped.byteLength;
            keep(ESCAPED_CUT);
          }
          keep(quote);
          textBytes = 0;
        }
      }
      if (bytes > MAX_OUTLINE_BYTES) return { body: null, readable: false };
    }
    const decoder = new TextDecoder();
    const text = kept.map((part) => decoder.decode(part, { stream: true })).join("");
    return { body: JSON.parse(text + decoder.decode()), readable: true };
  } catch (error) {
    if (error instanceof ConnectionError) throw error;
    return { body: null, readable: false };
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

interface Piece {
  /** `key` and `text` come without their quotes; the opening one is syntax, the closing one is in no piece. */
  readonly part: "syntax" | "key" | "text";
  readonly bytes: Uint8Array;
  /** The last of its key or text, which may come in many pieces, and in empty ones. */
  readonly isEnd: boolean;
  readonly path: JsonPath;
}

type Pieces = AsyncGenerator<Piece, void>;

/** Ends the reply's connection when it is not read on. Throws ConnectionError, or SourceError where the reply is too long. */
async function* piecesOf(body: ReadableStream<Uint8Array>, signal: AbortSignal, maxBytes: number): Pieces {
  const walk = new JsonWalk();
  const reader = body.getReader();
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((): never => {
        throw new ConnectionError(signal);
      });
      if (done) return;
      bytes += value.byteLength;
      if (bytes > maxBytes) throw new SourceError("too_large");
      yield* walk.pieces(value);
    }
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}

async function nextOf(pieces: Pieces): Promise<Piece | null> {
  const { done, value } = await pieces.next();
  return done === true ? null : value;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ESCAPED_CUT = new TextEncoder().encode(JSON.stringify(CUT).slice(1, -1));

interface Level {
  readonly isList: boolean;
  at: string | number;
  /** Whether the next text is a member's name. */
  beforeKey: boolean;
}

/** Follows JSON as it comes, as far as telling which text is where. What is no JSON is told apart by who parses what is left of it. */
class JsonWalk {
  readonly #levels: Level[] = [];
  #inside: "syntax" | "key" | "text" = "syntax";
  #isEscaped = false;
  #key: Uint8Array[] = [];
  #path: JsonPath = [];

  *pieces(chunk: Uint8Array): Generator<Piece, void> {
    for (let at = 0; at < chunk.length;) {
      const part = this.#inside;
      const end = part === "syntax" ? this.#passSyntax(chunk, at) : this.#passText(chunk, at);
      const isEnd = end < chunk.length;
      // The opening quote is syntax too.
      const bytes = chunk.subarray(at, part === "syntax" && isEnd ? end + 1 : end);
      if (part === "key") this.#readKey(bytes, isEnd);
      yield { part, bytes, isEnd, path: this.#path };
      if (isEnd) this.#cross(part);
      at = end + 1;
    }
  }

  /** The place of the quote that opens a text, or the chunk's length. */
  #passSyntax(chunk: Uint8Array, from: number): number {
    for (let at = from; at < chunk.length; at++) {
      const level = this.#levels.at(-1);
      switch (chunk[at]) {
        case QUOTE:
          return at;
        case 0x7b: // {
        case 0x5b: // [
          if (this.#levels.length === MAX_DEPTH) throw new SourceError("too_large");
          this.#levels.push(
            chunk[at] === 0x5b ? { isList: true, at: 0, beforeKey: false } : { isList: false, at: "", beforeKey: true },
          );
          break;
        case 0x7d: // }
        case 0x5d: // ]
          this.#levels.pop();
          break;
        case 0x2c: // ,
          if (level?.isList === true) level.at = Number(level.at) + 1;
          else if (level !== undefined) level.beforeKey = true;
          break;
        default:
      }
    }
    return chunk.length;
  }

  /** The place of the quote that closes the text, or the chunk's length. */
  #passText(chunk: Uint8Array, from: number): number {
    for (let at = from; at < chunk.length; at++) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (chunk[at] === BACKSLASH) this.#isEscaped = true;
      else if (chunk[at] === QUOTE) return at;
    }
    return chunk.length;
  }

  /** At a quote: from syntax into a text, or out of one. */
  #cross(part: Piece["part"]): void {
    const level = this.#levels.at(-1);
    if (part !== "syntax") this.#inside = "syntax";
    else if (level?.beforeKey === true) this.#inside = "key";
    else {
      this.#inside = "text";
      this.#path = this.#levels.map(({ at }) => at);
    }
  }

  #readKey(bytes: Uint8Array, isEnd: boolean): void {
    // Longer ones lead to nothing that is looked for.
    if (this.#key.length < 8) this.#key.push(bytes.slice(0, 256));
    const level = this.#levels.at(-1);
    if (!isEnd || level === undefined) return;
    level.at = this.#key.map((part) => new TextDecoder().decode(part)).join("");
    level.beforeKey = false;
    this.#key = [];
  }
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
