// An upstream that speaks the seed API on loopback, and misbehaves as told: one entry of a script a call, then it behaves again.
import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import { jsonOf, plantIn } from "./canary.ts";
import { startMortalServer } from "./mortal-server.ts";

/**
 * What to do with one call. `create` only: no-id. `query` only: status:WORD, no-url, refused-by-policy, regress (back to pending),
 * not-found-just-after-create. `download` only: expire-url (dead from then on; the next query names another), wrong-length (announces
 * and sends half), no-length (chunked), json-body. retry-after and ms-times go with whatever else is said of the call.
 */
export type Instruction =
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
  /** Half of what was announced, then silence. */
  | "stall"
  | "bad-json"
  | "no-id"
  | "unknown-status"
  | `status:${string}`
  | "regress"
  | "no-url"
  | "refused-by-policy"
  | "not-found-just-after-create"
  | `redirect:${string}`
  | "expire-url"
  | "wrong-length"
  | "no-length"
  | "json-body"
  | "ms-times";

export type Call = "create" | "query" | "download";
/** Per call an instruction, or several that are to hold together. */
export type Script = Partial<Record<Call, readonly (Instruction | readonly Instruction[])[]>>;

export interface EmulatorOptions {
  readonly script?: Script;
  /** Asked for as a Bearer token on create and query; without it every key will do. */
  readonly apiKey?: string;
  /** How often a job answers "processing" before it is done. */
  readonly pollsBeforeDone?: number;
  readonly port?: number;
  /** Path of the video that every job turns out to be. */
  readonly file?: string;
  /** Whether every reply carries what nobody else may see: see canary.ts. */
  readonly canaries?: boolean;
}

export interface SeenRequest {
  readonly call: Call | "other";
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  /** What was sent as JSON; null where nothing was. */
  readonly body: unknown;
}

export interface SeedStyleEmulator {
  /** Without a trailing slash. */
  readonly url: string;
  /** Creates that arrived, whatever became of them. */
  creates(): number;
  /** Jobs that were started, and would be paid for. */
  jobs(): number;
  /** Downloads that stood still half-way, so far. */
  stalls(): number;
  requests(): readonly SeenRequest[];
  /** Dies: nobody listens any more, and every connection breaks off. */
  close(): Promise<void>;
  /** Comes back where it was, with its jobs. */
  reopen(): Promise<void>;
}

interface EmulatedJob {
  readonly id: string;
  readonly prompt: string;
  polls: number;
  /** Part of its link, so that an expired link differs from the next one. */
  link: number;
}

const CLIP = fileURLToPath(new URL("../../../src/providers/clips/clip-16x9.mp4", import.meta.url).href);
const SLOW_PIECES = 8;
const SLOW_PIECE_MS = 100;

export async function startSeedStyleEmulator(options: EmulatorOptions = {}): Promise<SeedStyleEmulator> {
  const { script = {}, apiKey, pollsBeforeDone = 1, port = 0, file = CLIP, canaries = false } = options;
  const video = await readFile(file);
  const jobs = new Map<string, EmulatedJob>();
  const requests: SeenRequest[] = [];
  let url = "";
  let stalls = 0;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (canaries) plantIn(response);
    const target = new URL(request.url ?? "/", url);
    const call = callOf(request.method ?? "", target.pathname);
    const text = await readText(request);
    const nth = requests.filter((seen) => seen.call === call).length;
    requests.push({ call, url: target.href, headers: request.headers, body: text === "" ? null : parse(text) });
    if (call === "other") return sendJson(response, 404, envelope("not_found", "no such page"));
    const told = new Set([script[call]?.[nth] ?? "ok"].flat());
    const retryAfter = valueOf(told, "retry-after:");
    if (retryAfter !== null) response.setHeader("retry-after", retryAfter);
    if (told.has("reset")) return reset(response);
    const status = valueOf(told, "return-");
    if (status !== null) return sendError(response, status);
    const location = valueOf(told, "redirect:");
    if (location !== null) return void response.writeHead(302, { location }).end();
    if (call === "download") return download(target, request, response, told);
    if (apiKey !== undefined && request.headers.authorization !== `Bearer ${apiKey}`) {
      return sendJson(response, 401, envelope("invalid_api_key", "invalid api key"));
    }
    const reply = call === "create" ? create(parse(text), told) : query(target.searchParams.get("id") ?? "", told);
    if (told.has("accept-then-drop")) return reset(response);
    if (told.has("hang")) return;
    const body = jsonOf(response, reply.body);
    if (told.has("bad-json")) return send(response, reply.status, "application/json", body.slice(0, -2));
    return sendBody(response, reply.status, "application/json", Buffer.from(body), told);
  }

  function create(body: unknown, told: ReadonlySet<Instruction>): { status: number; body: object } {
    const { model, prompt } = (body ?? {}) as { model?: unknown; prompt?: unknown };
    if (typeof model !== "string" || typeof prompt !== "string") {
      return { status: 400, body: envelope("missing_parameter", "model and prompt are required") };
    }
    const id = `${model}:${Math.floor(Date.now() / 1000)}-${crypto.randomUUID().slice(0, 8)}`;
    jobs.set(id, { id, prompt, polls: 0, link: 0 });
    const rest = { status: "pending", status_update_time: timeOf(told), enhanced_prompt: prompt };
    return { status: 200, body: told.has("no-id") ? rest : { id, ...rest } };
  }

  function query(id: string, told: ReadonlySet<Instruction>): { status: number; body: object } {
    const job = jobs.get(id);
    if (job === undefined || told.has("not-found-just-after-create")) {
      return { status: 400, body: { code: "task_not_exist", message: "task_not_exist", data: null } };
    }
    const done = job.polls++ >= pollsBeforeDone;
    const failed = told.has("refused-by-policy");
    const word = told.has("unknown-status") ? "contemplating" : told.has("regress") ? "pending" : null;
    const status = word ?? valueOf(told, "status:") ?? (failed ? "failed" : done ? "completed" : "processing");
    const hasVideo = done && !failed && !told.has("no-url") && !told.has("regress");
    return {
      status: 200,
      body: {
        id,
        status,
        video_url: hasVideo ? `${url}/files/${encodeURIComponent(id)}/${job.link}.mp4` : null,
        enhanced_prompt: job.prompt,
        status_update_time: timeOf(told),
        ...(failed ? { error: "your request contains unsafe prompt or images, has been rejected" } : {}),
      },
    };
  }

  async function download(target: URL, request: IncomingMessage, response: ServerResponse, told: ReadonlySet<Instruction>) {
    const [, , id = "", link = ""] = target.pathname.split("/");
    const job = jobs.get(decodeURIComponent(id));
    if (job !== undefined && told.has("expire-url")) job.link++;
    if (job === undefined || link !== `${job.link}.mp4`)
      return send(response, 403, "application/xml", "<Error><Code>AccessDenied</Code></Error>");
    if (told.has("accept-then-drop")) return reset(response);
    if (told.has("hang")) return;
    if (told.has("json-body")) return sendJson(response, 200, envelope("fail_to_fetch_task", "cannot fetch the video"));
    const etag = `"${video.byteLength}-${job.link}"`;
    response.setHeader("etag", etag).setHeader("accept-ranges", "bytes");
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? Number.NaN);
    if (Number.isNaN(start) || (request.headers["if-range"] ?? etag) !== etag) return sendVideo(response, 200, video, told);
    response.setHeader(
      "content-range",
      start < video.byteLength ? `bytes ${start}-${video.byteLength - 1}/${video.byteLength}` : `bytes */${video.byteLength}`,
    );
    return sendVideo(response, start < video.byteLength ? 206 : 416, video.subarray(start), told);
  }

  async function sendVideo(response: ServerResponse, status: number, body: Uint8Array, told: ReadonlySet<Instruction>) {
    await sendBody(response, status, "video/mp4", body, told);
    if (told.has("stall")) stalls++;
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
    stalls: () => stalls,
    requests: () => requests,
    close: async () => server.close(),
    reopen: async () => server.reopen(),
  };
}

function callOf(method: string, path: string): SeenRequest["call"] {
  if (method === "POST" && path === "/v1/video/create") return "create";
  if (method !== "GET") return "other";
  if (path === "/v1/video/query") return "query";
  return path.startsWith("/files/") ? "download" : "other";
}

async function sendBody(
  response: ServerResponse,
  status: number,
  type: string,
  body: Uint8Array,
  told: ReadonlySet<Instruction>,
): Promise<void> {
  const half = body.subarray(0, Math.floor(body.byteLength / 2));
  const sent = told.has("wrong-length") || told.has("truncate") || told.has("stall") ? half : body;
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

function sendError(response: ServerResponse, instruction: string): void {
  const status = Number.parseInt(instruction, 10);
  if (instruction.endsWith("-html")) return send(response, status, "text/html", `<html><h1>${status}</h1></html>`);
  sendJson(response, status, envelope(`emulated_${status}`, `emulated ${status}`));
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

function envelope(code: string, message: string): object {
  return { error: { message, type: "emulator_error", param: null, code } };
}

function timeOf(told: ReadonlySet<Instruction>): number {
  return told.has("ms-times") ? Date.now() : Math.floor(Date.now() / 1000);
}

function valueOf(told: ReadonlySet<Instruction>, prefix: string): string | null {
  return [...told].find((each) => each.startsWith(prefix))?.slice(prefix.length) ?? null;
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks).toString("utf8");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
