// What fal and Replicate have in common on loopback: a queue of jobs, results on an origin of their own, and callbacks. One entry of a
// script a call, then it behaves again. What their paths and bodies look like is in fal.ts and replicate.ts.
import { readFile } from "node:fs/promises";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import { planted, plantIn } from "./canary.ts";
import { readBytes, sendJson, sendReply, sendVideo, toldOf, turnsAway, valueOf, type Fault, type Script } from "./faults.ts";
import { startMortalServer } from "./mortal-server.ts";

/** What to do with one call; `W`: the wire's own words. */
export type Instruction<W extends string> =
  | W
  | Fault
  /** Create: the job will end so, for that reason in the wire's words. */
  | `fails:${string}`
  /** Create: the job will end well, and without a video. */
  | "no-video"
  /** Query: that word for the job's state. */
  | `status:${string}`;

/** `result` where it is read apart from the state; `keys`: what callbacks are signed with. */
export type Call = "create" | "query" | "result" | "cancel" | "download" | "keys";
type Told<W extends string> = ReadonlySet<Instruction<W>>;

export interface QueueOptions<W extends string> {
  readonly script?: Script<Call, Instruction<W>>;
  /** Asked for by all but downloads and keys; without it every key will do. */
  readonly apiKey?: string;
  /** How often a job answers that it waits or runs before it is done. */
  readonly pollsBeforeDone?: number;
  readonly port?: number;
  /** Whether every reply carries what nobody else may see: see canary.ts. */
  readonly canaries?: boolean;
}

export interface SeenRequest {
  readonly call: Call | "other";
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  /** What was sent as JSON; null where nothing was. */
  readonly body: Readonly<Record<string, unknown>> | null;
}

export interface QueuedJob {
  readonly id: string;
  readonly model: string;
  readonly asked: Readonly<Record<string, unknown>>;
  readonly createdAt: number;
  /** Where the one who asked wants to be told; null: nowhere. */
  readonly callbackUrl: string | null;
  /** What was said of its creation decides how it ends. */
  readonly failure: string | null;
  readonly hasVideo: boolean;
  phase: "queued" | "running" | "done" | "cancelled";
  polls: number;
}

export interface Reply {
  readonly status: number;
  readonly body: object;
}

export interface SentCallback {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Where the emulator is reached, without trailing slashes. */
export interface Origins {
  readonly url: string;
  readonly filesUrl: string;
}

/** A wire over the common mechanics. */
export interface QueueWire<W extends string> {
  /** What stands before the key. */
  readonly scheme: "Key" | "Bearer";
  readonly createdStatus: number;
  readonly idName: string;
  /** Paths with the groups `model` (of a create) and `id` (of the others). */
  readonly routes: readonly { readonly call: Call; readonly method: string; readonly path: RegExp }[];
  newId(): string;
  /** What is wrong with what was asked for; null: nothing. */
  complaint(asked: SeenRequest["body"], model: string): Reply | null;
  callbackUrl(asked: Readonly<Record<string, unknown>>, target: URL): string | null;
  /** Of create too. A cancelled job was running until then: the wire says what it answers to the cancel itself. */
  answer(call: Call, job: QueuedJob, told: Told<W>, origins: Origins): Reply;
  readonly error: (status: number, message: string) => object;
  /** `toJson`: how its body becomes what is signed. */
  callback(job: QueuedJob, origins: Origins, toJson: (body: object) => string): Promise<SentCallback>;
  keys?(): Promise<object>;
}

export interface QueueEmulator extends Origins {
  /** Creates that arrived, whatever became of them. */
  creates(): number;
  /** Jobs that were started, and would be paid for. */
  jobs(): number;
  requests(): readonly SeenRequest[];
  /** Ends the job, and tells who wants to know: what was sent, whether or not anybody listens. */
  finish(id: string): Promise<SentCallback>;
  /** Dies, with its files: nobody listens any more, and every connection breaks off. */
  close(): Promise<void>;
  /** Comes back where it was, with its jobs. */
  reopen(): Promise<void>;
}

const CLIP = fileURLToPath(new URL("../../../src/providers/clips/clip-16x9.mp4", import.meta.url).href);

export async function startQueueEmulator<W extends string>(
  wire: QueueWire<W>,
  options: QueueOptions<W> = {},
): Promise<QueueEmulator> {
  const { script = {}, apiKey, pollsBeforeDone = 1, port = 0, canaries = false } = options;
  const bytes = await readFile(CLIP);
  const video = { bytes, etag: `"${bytes.byteLength}"` };
  const jobs = new Map<string, QueuedJob>();
  const requests: SeenRequest[] = [];

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", headers, url: path = "/" } = request;
    if (canaries) plantIn(response);
    const target = new URL(path, origins.url);
    const { call, id, model } = callOf(wire, method, target.pathname);
    const asked = await readJson(request);
    const nth = requests.filter((seen) => seen.call === call).length;
    requests.push({ call, method, path, headers, body: asked });
    if (call === "other") return sendJson(response, 404, wire.error(404, "no such page"));
    const told: Told<W> = toldOf(script, call, nth);
    if (turnsAway(response, told, wire.error)) return;
    const job = jobs.get(id);
    if (call === "keys") return sendJson(response, 200, (await wire.keys?.()) ?? {});
    if (call === "download") {
      if (job === undefined) return sendJson(response, 404, wire.error(404, "no such file"));
      return sendVideo(request, response, video, told, wire.error);
    }
    if (apiKey !== undefined && headers.authorization !== `${wire.scheme} ${apiKey}`) {
      return sendJson(response, 401, wire.error(401, "no valid key"));
    }
    const reply = call === "create" ? create(asked, model, target, told) : readOrCancel(call, job, told);
    return sendReply(response, reply, told);
  }

  function create(asked: SeenRequest["body"], model: string, target: URL, told: Told<W>): Reply {
    const complaint = wire.complaint(asked, model);
    if (complaint !== null) return complaint;
    const known = asked ?? {};
    const job: QueuedJob = {
      id: wire.newId(),
      model,
      asked: known,
      createdAt: Date.now(),
      callbackUrl: wire.callbackUrl(known, target),
      failure: valueOf(told, "fails:"),
      hasVideo: !told.has("no-video"),
      phase: "queued",
      polls: 0,
    };
    jobs.set(job.id, job);
    const { body } = wire.answer("create", job, told, origins);
    return { status: wire.createdStatus, body: told.has("no-id") ? { ...body, [wire.idName]: undefined } : body };
  }

  function readOrCancel(call: Call, job: QueuedJob | undefined, told: Told<W>): Reply {
    if (job === undefined || told.has("not-found-just-after-create")) {
      return { status: 404, body: wire.error(404, "Request not found") };
    }
    const isLive = job.phase === "queued" || job.phase === "running";
    if (call === "query" && isLive) {
      job.phase = job.polls >= pollsBeforeDone ? "done" : job.polls === 0 ? "queued" : "running";
      job.polls++;
    }
    const reply = wire.answer(call, job, told, origins);
    if (call === "cancel" && isLive) job.phase = "cancelled";
    return reply;
  }

  const listener: RequestListener = (request, response) => {
    // A client that went away is no failure of the emulator's.
    void answer(request, response).catch(() => response.destroy());
  };
  const api = await startMortalServer(port, listener);
  const files = await startMortalServer(0, listener);
  const origins: Origins = { url: api.url, filesUrl: files.url };

  return {
    ...origins,
    creates: () => requests.filter(({ call }) => call === "create").length,
    jobs: () => jobs.size,
    requests: () => requests,
    finish: async (id) => {
      const job = jobs.get(id);
      if (job === undefined) throw new Error(`no such job: ${id}`);
      job.phase = "done";
      const callback = await wire.callback(job, origins, canaries ? planted : JSON.stringify);
      const { headers, body } = callback;
      // Nobody listens: it would be sent again, and is not missed here.
      if (job.callbackUrl !== null) await fetch(job.callbackUrl, { method: "POST", headers, body }).catch(() => undefined);
      return callback;
    },
    close: async () => void (await Promise.all([api.close(), files.close()])),
    reopen: async () => void (await Promise.all([api.reopen(), files.reopen()])),
  };
}

export function fileUrl({ filesUrl }: Origins, { id }: QueuedJob): string {
  return `${filesUrl}/files/${id}.mp4`;
}

function callOf<W extends string>(
  { routes }: QueueWire<W>,
  method: string,
  path: string,
): { call: SeenRequest["call"]; id: string; model: string } {
  const file = /^\/files\/(?<id>[^/]+)\.mp4$/.exec(path)?.groups;
  if (method === "GET" && file !== undefined) return { call: "download", id: file["id"] ?? "", model: "" };
  for (const route of routes) {
    const groups = method === route.method ? route.path.exec(path)?.groups : undefined;
    if (groups !== undefined) return { call: route.call, id: groups["id"] ?? "", model: groups["model"] ?? "" };
  }
  return { call: "other", id: "", model: "" };
}

async function readJson(request: IncomingMessage): Promise<SeenRequest["body"]> {
  try {
    const json: unknown = JSON.parse((await readBytes(request)).toString("utf8"));
    return typeof json === "object" ? (json as Record<string, unknown> | null) : null;
  } catch {
    return null;
  }
}
