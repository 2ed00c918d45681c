// How every emulated provider misbehaves, whatever its wire: one entry of a script a call, then it behaves again.
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { jsonOf } from "./canary.ts";

/** What every wire can be told to do with one call. */
export type Fault =
  | "ok"
  /** That status with the provider's own error; `-html`: with a proxy's page. */
  | `return-${number}`
  | `return-${number}-html`
  /** Goes with whatever else is said of the call. */
  | `retry-after:${number}`
  /** The connection is reset before anything happens. */
  | "reset"
  /** The call has its effect, and the connection is reset instead of an answer. */
  | "accept-then-drop"
  /** The call has its effect, and is never answered. */
  | "hang"
  | "slow-body"
  /** Half of what was announced, then a reset. */
  | "truncate"
  /** Half of what was announced, then silence. */
  | "stall"
  | "bad-json"
  | `redirect:${string}`
  /** Create: a job, and no id in the reply. */
  | "no-id"
  | "not-found-just-after-create"
  /** Download: announces and sends half. */
  | "wrong-length"
  /** Download: chunked. */
  | "no-length"
  /** Download: an error under 200. */
  | "json-body";

/** Per call an instruction, or several that are to hold together. */
export type Script<Call extends string, I> = Partial<Record<Call, readonly (I | readonly I[])[]>>;
export type Told<I> = ReadonlySet<I>;

/** What the call that is `nth` of its kind, from 0, is to do. */
export function toldOf<Call extends string, I>(script: Script<Call, I>, call: Call, nth: number): Told<I | "ok"> {
  return new Set([script[call]?.[nth] ?? "ok"].flat() as (I | "ok")[]);
}

/** What follows the colon, or the dash, of the instruction that begins so; null: none does. */
export function valueOf(told: ReadonlySet<string>, prefix: string): string | null {
  return [...told].find((each) => each.startsWith(prefix))?.slice(prefix.length) ?? null;
}

/** Whether that was all: a call that is turned away here has had no effect. `errorBody`: the provider's own error of that status. */
export function turnsAway(
  response: ServerResponse,
  told: ReadonlySet<string>,
  errorBody: (status: number, message: string) => object,
): boolean {
  const retryAfter = valueOf(told, "retry-after:");
  if (retryAfter !== null) response.setHeader("retry-after", retryAfter);
  const [status, page] = (valueOf(told, "return-") ?? "").split("-");
  const location = valueOf(told, "redirect:");
  if (told.has("reset")) reset(response);
  else if (page === "html") send(response, Number(status), "text/html", `<html><h1>${status}</h1></html>`);
  else if (status !== "") sendJson(response, Number(status), errorBody(Number(status), `emulated ${status}`));
  else if (location !== null) response.writeHead(302, { location }).end();
  else return false;
  return true;
}

/** The reply to a call that has had its effect. */
export async function sendReply(
  response: ServerResponse,
  { status, body }: { readonly status: number; readonly body: object },
  told: ReadonlySet<string>,
): Promise<void> {
  if (told.has("accept-then-drop")) return reset(response);
  if (told.has("hang")) return;
  const text = jsonOf(response, body);
  if (told.has("bad-json")) return send(response, status, "application/json", text.slice(0, -2));
  return sendBody(response, status, "application/json", Buffer.from(text), told);
}

/** A file of that version, whole or from where it was asked for. */
export async function sendVideo(
  request: IncomingMessage,
  response: ServerResponse,
  { bytes, etag }: { readonly bytes: Uint8Array; readonly etag: string },
  told: ReadonlySet<string>,
  errorBody: (status: number, message: string) => object,
): Promise<void> {
  if (told.has("accept-then-drop")) return reset(response);
  if (told.has("hang")) return;
  if (told.has("json-body")) return sendJson(response, 200, errorBody(500, "cannot fetch the video"));
  const size = bytes.byteLength;
  response.setHeader("etag", etag).setHeader("accept-ranges", "bytes");
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? Number.NaN);
  if (Number.isNaN(start) || (request.headers["if-range"] ?? etag) !== etag) {
    return sendBody(response, 200, "video/mp4", bytes, told);
  }
  response.setHeader("content-range", start < size ? `bytes ${start}-${size - 1}/${size}` : `bytes */${size}`);
  return sendBody(response, start < size ? 206 : 416, "video/mp4", bytes.subarray(start), told);
}

export function sendJson(response: ServerResponse, status: number, body: object): void {
  send(response, status, "application/json", jsonOf(response, body));
}

export function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { "content-type": type }).end(body);
}

export async function readBytes(request: IncomingMessage): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

const SLOW_PIECES = 8;
const SLOW_PIECE_MS = 20;

async function sendBody(
  response: ServerResponse,
  status: number,
  type: string,
  body: Uint8Array,
  told: ReadonlySet<string>,
): Promise<void> {
  const half = body.subarray(0, Math.floor(body.byteLength / 2));
  const sent = ["wrong-length", "truncate", "stall"].some((each) => told.has(each)) ? half : body;
  const announced = told.has("wrong-length") ? half : body;
  const length = told.has("no-length") ? {} : { "content-length": announced.byteLength };
  response.writeHead(status, { "content-type": type, ...length });
  const pieces = told.has("slow-body") ? SLOW_PIECES : 1;
  const size = Math.ceil(sent.byteLength / pieces);
  for (let piece = 0; piece < pieces; piece++) {
    if (piece > 0) await delay(SLOW_PIECE_MS);
    const part = sent.subarray(piece * size, (piece + 1) * size);
    await new Promise<void>((resolve) => response.write(part, () => resolve()));
  }
  if (told.has("stall")) return;
  if (told.has("truncate")) response.destroy();
  else response.end();
}

function reset(response: ServerResponse): void {
  response.socket?.resetAndDestroy();
}
