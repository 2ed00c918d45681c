// An upstream that speaks the seed API on loopback, and misbehaves as told: one entry of a script a call, then it behaves again.
import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import { plantIn } from "./canary.ts";
import {
  readBytes,
  send,
  sendJson,
  sendReply,
  sendVideo,
  toldOf,
  turnsAway,
  valueOf,
  type Fault,
  type Script,
  type Told,
} from "./faults.ts";
import { startMortalServer } from "./mortal-server.ts";

/** What to do with one call. */
export type Instruction =
  | Fault
  /** Times in milliseconds, as some do. */
  | "ms-times"
  /** Query: that word for the job's state. */
  | `status:${string}`
  | "unknown-status"
  /** Query: back to pending. */
  | "regress"
  | "no-url"
  | "refused-by-policy"
  /** Download: dead from then on; the next query names another link. */
  | "expire-url";

export type Call = "create" | "query" | "download";

export interface EmulatorOptions {
  readonly script?: Script<Call, Instruction>;
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
    const text = (await readBytes(request)).toString("utf8");
    const nth = requests.filter((seen) => seen.call === call).length;
    requests.push({ call, url: target.href, headers: request.headers, body: text === "" ? null : parse(text) });
    if (call === "other") return sendJson(response, 404, envelope("not_found", "no such page"));
    const told = toldOf(script, call, nth);
    if (turnsAway(response, told, errorOf)) return;
    if (call === "download") return download(target, request, response, told);
    if (apiKey !== undefined && request.headers.authorization !== `Bearer ${apiKey}`) {
      return sendJson(response, 401, envelope("invalid_api_key", "invalid api key"));
    }
    const reply = call === "create" ? create(parse(text), told) : query(target.searchParams.get("id") ?? "", told);
    return sendReply(response, reply, told);
  }

  function create(body: unknown, told: Told<Instruction>): { status: number; body: object } {
    const { model, prompt } = (body ?? {}) as { model?: unknown; prompt?: unknown };
    if (typeof model !== "string" || typeof prompt !== "string") {
      return { status: 400, body: envelope("missing_parameter", "model and prompt are required") };
    }
    const id = `${model}:${Math.floor(Date.now() / 1000)}-${crypto.randomUUID().slice(0, 8)}`;
    jobs.set(id, { id, prompt, polls: 0, link: 0 });
    const rest = { status: "pending", status_update_time: timeOf(told), enhanced_prompt: prompt };
    return { status: 200, body: told.has("no-id") ? rest : { id, ...rest } };
  }

  function query(id: string, told: Told<Instruction>): { status: number; body: object } {
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

  async function download(target: URL, request: IncomingMessage, response: ServerResponse, told: Told<Instruction>) {
    const [, , id = "", link = ""] = target.pathname.split("/");
    const job = jobs.get(decodeURIComponent(id));
    if (job !== undefined && told.has("expire-url")) job.link++;
    if (job === undefined || link !== `${job.link}.mp4`)
      return send(response, 403, "application/xml", "<Error><Code>AccessDenied</Code></Error>");
    const etag = `"${video.byteLength}-${job.link}"`;
    await sendVideo(request, response, { bytes: video, etag }, told, errorOf);
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

function errorOf(status: number, message: string): object {
  return envelope(`emulated_${status}`, message);
}

function envelope(code: string, message: string): object {
  return { error: { message, type: "emulator_error", param: null, code } };
}

function timeOf(told: Told<Instruction>): number {
  return told.has("ms-times") ? Date.now() : Math.floor(Date.now() / 1000);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
