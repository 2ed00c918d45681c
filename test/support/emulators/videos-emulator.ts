// What the two wires that put their jobs under /v1/videos have in common, on loopback: one entry of a script a call, then it behaves
// again. What their bodies look like is in openai-style.ts and openrouter.ts.
import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import { plantIn } from "./canary.ts";
import { readBytes, sendJson, sendReply, sendVideo, toldOf, turnsAway, valueOf, type Fault, type Script } from "./faults.ts";
import { startMortalServer } from "./mortal-server.ts";

/** What to do with one call; `W`: the wire's own words. */
export type Instruction<W extends string> =
  | W
  | Fault
  /** Query: that word for the job's state. */
  | `status:${string}`
  /** Query: the job failed, for this reason. */
  | `failed:${string}`;

/** `storage` is where signed links lead. */
export type Call = "create" | "query" | "download" | "storage";
export type Told<W extends string> = ReadonlySet<Instruction<W>>;

export interface VideosOptions<W extends string> {
  readonly script?: Script<Call, Instruction<W>>;
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
  readonly error: (status: number, message: string) => object;
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

export async function startVideosEmulator<W extends string>(
  wire: VideosWire<W>,
  options: VideosOptions<W> = {},
): Promise<VideosEmulator> {
  const { script = {}, apiKey, pollsBeforeDone = 1, port = 0, canaries = false } = options;
  const bytes = await readFile(CLIP);
  const video = { bytes, etag: `"${bytes.byteLength}"` };
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
    const told: Told<W> = toldOf(script, call, nth);
    if (turnsAway(response, told, wire.error)) return;
    if (call !== "storage" && apiKey !== undefined && headers.authorization !== `Bearer ${apiKey}`) {
      return sendJson(response, 401, wire.error(401, "Missing Authentication header"));
    }
    const job = jobs.get(id);
    if (call === "download" || call === "storage") {
      if (job === undefined) return sendJson(response, 404, wire.error(404, `video ${id} not found`));
      return sendVideo(request, response, video, told, wire.error);
    }
    const reply = call === "create" ? create(body, told) : query(job, id, told);
    for (const [name, value] of Object.entries(wire.hints?.(told) ?? {})) response.setHeader(name, value);
    return sendReply(response, reply, told);
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

function callOf(method: string, path: string, prefix: string): { call: SeenRequest["call"]; id: string } {
  const inStorage = /^\/storage\/([^/]+)\.mp4$/.exec(path)?.[1];
  if (method === "GET" && inStorage !== undefined) return { call: "storage", id: decodeURIComponent(inStorage) };
  const [, id = "", content] = (path.startsWith(`${prefix}/videos`) ? path.slice(`${prefix}/videos`.length) : "?").split("/");
  if (method === "POST" && path === `${prefix}/videos`) return { call: "create", id: "" };
  if (method !== "GET" || id === "") return { call: "other", id: "" };
  return { call: content === "content" ? "download" : "query", id: decodeURIComponent(id) };
}

async function readBody(request: IncomingMessage): Promise<SeenRequest["body"]> {
  const type = request.headers["content-type"] ?? "";
  const body = new Response(new Uint8Array(await readBytes(request)), { headers: { "content-type": type } });
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
