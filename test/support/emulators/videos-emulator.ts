// What the two wires that put their jobs under /v1/videos have in common, on loopback: one entry of a script a call, then it behaves
// again. What their bodies look like is in openai-style.ts and openrouter.ts.
import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import { jsonOf, plantIn } from "./canary.ts";
import { startMortalServer } from "./mortal-server.ts";

/** What to do with one call: the words of every wire here, and `W`, the wire's own. */
export type Instruction<W extends string> =
  | W
  | "ok"
  /** That status with the provider's own error; `-html`: with a proxy's page. */
  | `return-${number}`
  | `return-${number}-html`
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
  | "bad-json"
  | `redirect:${string}`
  /** Create: a job, and no id in the reply. */
  | "no-id"
  /** Query: that word for the job's state. */
  | `status:${string}`
  /** Query: the job failed, for this reason. */
  | `failed:${string}`
  | "not-found-just-after-create"
  /** Download: announces and sends half. */
  | "wrong-length"
  /** Download: chunked. */
  | "no-length"
  /** Download: an error under 200. */
  | "json-body";

export type Call = "create" | "query" | "download" | "storage";
export type Told<W extends string> = ReadonlySet<Instruction<W>>;
/** Per call an instruction, or several that are to hold together. `storage` is where signed links lead. */
export type Script<W extends string> = Partial<Record<Call, readonly (Instruction<W> | readonly Instruction<W>[])[]>>;

export interface VideosOptions<W extends string> {
  readonly script?: Script<W>;
  /** Asked for as a Bearer token by all but the storage; without it every key will do. */
  readonly apiKey?: string;
  /** How often a job answers that it runs before it is done. */
  readonly pollsBeforeDone?: number;
  readonly port?: number;
  /** Whether every reply carries what nobody else may see: see canary.ts. */
  readonly canaries?: boolean;
}

export interface SentFile {
  readonly name: string;
  readonly type: string;
  readonly bytes: number[];
}

export interface SeenRequest {
  readonly call: Call | "other";
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  /** What was sent as JSON, or a form's fields by name; null where nothing was. */
  readonly body: Readonly<Record<string, unknown>> | null;
}

export interface EmulatedJob {
  readonly id: string;
  readonly asked: Readonly<Record<string, unknown>>;
  readonly createdAt: number;
  polls: number;
}

export type JobState = { readonly word: string; readonly failure: string | null };

/** A wire over the common mechanics. */
export interface VideosWire<W extends string> {
  /** What its paths begin with. */
  readonly prefix: string;
  readonly createdStatus: number;
  readonly words: { readonly queued: string; readonly running: string; readonly done: string; readonly failed: string };
  newId(): string;
  /** What is wrong with what was asked for; null: nothing. */
  complaint(asked: Readonly<Record<string, unknown>>): string | null;
  job(job: EmulatedJob, state: JobState, told: Told<W>, url: string): object;
  error(status: number, message: string): object;
  /** Headers of a reply to a query. */
  hints?(told: Told<W>): Record<string, string>;
}

export interface VideosEmulator {
  /** Without a trailing slash. */
  readonly url: string;
  /** Creates that arrived, whatever became of them. */
  creates(): number;
  /** Jobs that were started, and would be paid for. */
  jobs(): number;
  requests(): readonly SeenRequest[];
  /** Dies: nobody listens any more, and every connection breaks off. */
  close(): Promise<void>;
  /** Comes back where it was, with its jobs. */
  reopen(): Promise<void>;
}

const CLIP = fileURLToPath(new URL("../../../src/providers/clips/clip-16x9.mp4", import.meta.url).href);
const SLOW_PIECES = 8;
const SLOW_PIECE_MS = 20;

export async function startVideosEmulator<W extends string>(
  wire: VideosWire<W>,
  options: VideosOptions<W> = {},
): Promise<VideosEmulator> {
  const { script = {}, apiKey, pollsBeforeDone = 1, port = 0, canaries = false } = options;
  const video = await readFile(CLIP);
  const jobs = new Map<string, EmulatedJob>();
  const requests: SeenRequest[] = [];
  let url = "";

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (canaries) plantIn(response);
    const { method = "", headers, url: path = "/" } = request;
    const { call, id } = callOf(method, new URL(path, url).pathname, wire.prefix);
    const body = await readBody(request);
    const nth = requests.filter((seen) => seen.call === call).length;
    requests.push({ call, method, path, headers, body });
    if (call === "other") return sendJson(response, 404, wire.error(404, "no such page"));
    const told: Told<W> = new Set([script[call]?.[nth] ?? "ok"].flat()) as Told<W>;
    const retryAfter = valueOf(told, "retry-after:");
    if (retryAfter !== null) response.setHeader("retry-after", retryAfter);
    if (told.has("reset")) return reset(response);
    const status = valueOf(told, "return-");
    if (status !== null) return sendError(response, status);
    const location = valueOf(told, "redirect:");
    if (location !== null) return void response.writeHead(302, { location }).end();
    if (call !== "storage" && apiKey !== undefined && headers.authorization !== `Bearer ${apiKey}`) {
      return sendJson(response, 401, wire.error(401, "Missing Authentication header"));
    }
    const job = jobs.get(id);
    if (call === "download" || call === "storage") {
      if (job === undefined) return sendJson(response, 404, wire.error(404, `video ${id} not found`));
      return download(request, response, told);
    }
    const reply = call === "create" ? create(body, told) : query(job, id, told);
    if (told.has("accept-then-drop")) return reset(response);
    if (told.has("hang")) return;
    for (const [name, value] of Object.entries(wire.hints?.(told) ?? {})) response.setHeader(name, value);
    const text = jsonOf(response, reply.body);
    if (told.has("bad-json")) return send(response, reply.status, "application/json", text.slice(0, -2));
    return sendBody(response, reply.status, "application/json", Buffer.from(text), told);
  }

  function create(asked: SeenRequest["body"], told: Told<W>): { status: number; body: object } {
    const complaint = asked === null ? "the body is neither JSON nor a form" : wire.complaint(asked);
    if (asked === null || complaint !== null) return { status: 400, body: wire.error(400, complaint ?? "") };
    const job = { id: wire.newId(), asked, createdAt: Date.now(), polls: 0 };
    jobs.set(job.id, job);
    const body = wire.job(job, { word: wire.words.queued, failure: null }, told, url);
    return { status: wire.createdStatus, body: told.has("no-id") ? { ...body, id: undefined } : body };
  }

  function query(job: EmulatedJob | undefined, id: string, told: Told<W>): { status: number; body: object } {
    if (job === undefined || told.has("not-found-just-after-create")) {
      return { status: 404, body: wire.error(404, `video ${id} not found`) };
    }
    const { running, done, failed } = wire.words;
    const isDone = job.polls++ >= pollsBeforeDone;
    const failure = valueOf(told, "failed:");
    const word = valueOf(told, "status:") ?? (failure !== null ? failed : isDone ? done : running);
    return { status: 200, body: wire.job(job, { word, failure }, told, url) };
  }

  async function download(request: IncomingMessage, response: ServerResponse, told: Told<W>): Promise<void> {
    if (told.has("accept-then-drop")) return reset(response);
    if (told.has("hang")) return;
    if (told.has("json-body")) return sendJson(response, 200, wire.error(500, "cannot fetch the video"));
    const size = video.byteLength;
    const etag = `"${size}"`;
    response.setHeader("etag", etag).setHeader("accept-ranges", "bytes");
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? Number.NaN);
    if (Number.isNaN(start) || (request.headers["if-range"] ?? etag) !== etag) {
      return sendBody(response, 200, "video/mp4", video, told);
    }
    response.setHeader("content-range", start < size ? `bytes ${start}-${size - 1}/${size}` : `bytes */${size}`);
    return sendBody(response, start < size ? 206 : 416, "video/mp4", video.subarray(start), told);
  }

  function sendError(response: ServerResponse, instruction: string): void {
    const status = Number.parseInt(instruction, 10);
    if (instruction.endsWith("-html")) return send(response, status, "text/html", `<html><h1>${status}</h1></html>`);
    sendJson(response, status, wire.error(status, `emulated ${status}`));
  }

  const server = await startMortalServer(port, (request, response) => {
    // A client that went away is no failure of the emulator's.
    void answer(request, response).catch(() => response.destroy());
  });
  url = server.url;
  return {
    url,
    creates: () => requests.filter(({ call }) => call === "create").length,
    jobs: () => jobs.size,
    requests: () => requests,
    close: async () => server.close(),
    reopen: async () => server.reopen(),
  };
}

export function valueOf(told: ReadonlySet<string>, prefix: string): string | null {
  return [...told].find((each) => each.startsWith(prefix))?.slice(prefix.length) ?? null;
}

function callOf(method: string, path: string, prefix: string): { call: SeenRequest["call"]; id: string } {
  const inStorage = /^\/storage\/([^/]+)\.mp4$/.exec(path)?.[1];
  if (method === "GET" && inStorage !== undefined) return { call: "storage", id: decodeURIComponent(inStorage) };
  const [, id = "", content] = (path.startsWith(`${prefix}/videos`) ? path.slice(`${prefix}/videos`.length) : "?").split("/");
  if (method === "POST" && path === `${prefix}/videos`) return { call: "create", id: "" };
  if (method !== "GET" || id === "") return { call: "other", id: "" };
  return { call: content === "content" ? "download" : "query", id: decodeURIComponent(id) };
}

async function readBody(request: IncomingMessage): Promise<SeenRequest["body"]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk as Uint8Array);
  const type = request.headers["content-type"] ?? "";
  const body = new Response(Buffer.concat(chunks), { headers: { "content-type": type } });
  try {
    if (type.startsWith("multipart/form-data")) return await readForm(await body.formData());
    const json: unknown = type.startsWith("application/json") ? await body.json() : null;
    return typeof json === "object" ? (json as Record<string, unknown> | null) : null;
  } catch {
    return null;
  }
}

async function readForm(form: FormData): Promise<Record<string, string | SentFile>> {
  const fields: Record<string, string | SentFile> = {};
  for (const [name, value] of form) {
    fields[name] =
      typeof value === "string"
        ? value
        : { name: value.name, type: value.type, bytes: [...new Uint8Array(await value.arrayBuffer())] };
  }
  return fields;
}

async function sendBody(
  response: ServerResponse,
  status: number,
  type: string,
  body: Uint8Array,
  told: ReadonlySet<string>,
): Promise<void> {
  const half = body.subarray(0, Math.floor(body.byteLength / 2));
  const sent = told.has("wrong-length") || told.has("truncate") ? half : body;
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
  if (told.has("truncate")) response.destroy();
  else response.end();
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  send(response, status, "application/json", jsonOf(response, body));
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { "content-type": type }).end(body);
}

function reset(response: ServerResponse): void {
  response.socket?.resetAndDestroy();
}
