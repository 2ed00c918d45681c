// Tells which text is where in JSON that comes as a stream, without having more of it in memory than its last chunk.
import { SourceError } from "../core/upstream-errors.ts";
import { ConnectionError } from "../net/guarded-fetch.ts";

/** Where in a JSON text a value is: members' names, and places in lists. */
export type JsonPath = readonly (string | number)[];

const MAX_DEPTH = 64;
export const QUOTE = 0x22;
const BACKSLASH = 0x5c;

export interface Piece {
  /** `key` and `text` come without their quotes; the opening one is syntax, the closing one is in no piece. */
  readonly part: "syntax" | "key" | "text";
  readonly bytes: Uint8Array;
  /** The last of its key or text, which may come in many pieces, and in empty ones. */
  readonly isEnd: boolean;
  readonly path: JsonPath;
}

export type Pieces = AsyncGenerator<Piece, void>;

/** Ends the reply's connection when it is not read on. Throws ConnectionError, or SourceError where the reply is too long. */
export async function* piecesOf(body: ReadableStream<Uint8Array>, signal: AbortSignal, maxBytes: number): Pieces {
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

export async function nextOf(pieces: Pieces): Promise<Piece | null> {
  const { done, value } = await pieces.next();
  return done === true ? null : value;
}

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
