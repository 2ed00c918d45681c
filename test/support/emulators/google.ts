// Google on loopback: sign-in, Veo and Omni in both of their forms, files and buckets. It misbehaves as told: one entry of a script a
// call, then it behaves again. What the wires answer is in google-veo.ts and google-interactions.ts.
import { createVerify, generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import { planted, plantIn } from "./canary.ts";
import { readBytes, sendJson, sendReply, sendVideo, toldOf, turnsAway, valueOf, type Script, type Told } from "./faults.ts";
import { interactionOf, refuseInteraction } from "./google-interactions.ts";
import { fileOf, type EmulatedJob, type Instruction, type JobView } from "./google-jobs.ts";
import { operationOf, refuseVeo } from "./google-veo.ts";
import { startMortalServer } from "./mortal-server.ts";

/** `keys`: what callbacks are signed with. */
export type Call = "token" | "create" | "query" | "cancel" | "download" | "keys";

export interface EmulatorOptions {
  readonly script?: Script<Call, Instruction>;
  /** Asked for by the Developer API's form; without it every key will do. */
  readonly apiKey?: string;
  /** Of the service account that may sign in; without it every token will do. */
  readonly publicKey?: string;
  /** How often a job answers that it is running before it is done. */
  readonly pollsBeforeDone?: number;
  /** The video that every job turns out to be, instead of our clip. */
  readonly video?: Uint8Array;
  /** Whether every reply carries what nobody else may see: see canary.ts. */
  readonly canaries?: boolean;
}

export interface SeenRequest {
  readonly call: Call | "other";
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  /** What was sent as JSON, or as a form; null where nothing was. */
  readonly body: unknown;
}

export interface GoogleEmulator {
  /** Without a trailing slash. */
  readonly url: string;
  /** Jobs that were started, and would be paid for. */
  jobs(): number;
  requests(call?: Call): readonly SeenRequest[];
  /** Ends an interaction, and tells who wants to know: what was sent, whether or not anybody listens. */
  finish(id: string): Promise<SentCallback>;
  /** Makes every token that was given out worth nothing. */
  revokeTokens(): void;
  /** Dies: nobody listens any more, and every connection breaks off. */
  close(): Promise<void>;
  /** Comes back where it was, with its jobs. */
  reopen(): Promise<void>;
}

export interface SentCallback {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const STATUSES: Readonly<Record<number, string>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  429: "RESOURCE_EXHAUSTED",
  500: "INTERNAL",
  503: "UNAVAILABLE",
  504: "DEADLINE_EXCEEDED",
};

const CLIP = fileURLToPath(new URL("../../../src/providers/clips/clip-16x9.mp4", import.meta.url).href);

export async function startGoogleEmulator(options: EmulatorOptions = {}): Promise<GoogleEmulator> {
  const { script = {}, apiKey, publicKey, pollsBeforeDone = 1, canaries = false } = options;
  const video = options.video ?? (await readFile(CLIP));
  const jobs = new Map<string, EmulatedJob>();
  const requests: SeenRequest[] = [];
  const keys = generateKeyPairSync("ed25519");
  let tokens: string[] = [];
  let url = "";

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (canaries) plantIn(response);
    const target = new URL(request.url ?? "/", url);
    const { method = "", headers } = request;
    const call = callOf(method, target.pathname);
    const body = parse((await readBytes(request)).toString("utf8"));
    const nth = requests.filter((seen) => seen.call === call).length;
    requests.push({ call, method, path: target.pathname + target.search, headers, body });
    if (call === "other") return sendError(response, 404, "NOT_FOUND", "no such page", false);
    const told = toldOf(script, call, nth);
    if (turnsAway(response, told, errorOf)) return;
    const error = /^(\d+):([^:]*):(.*)$/s.exec(valueOf(told, "error:") ?? "");
    if (error !== null) return sendError(response, Number(error[1]), error[2] ?? "", error[3] ?? "", told.has("list"));
    if (call === "token") return signIn(body, response, told);
    if (call === "keys") return sendJson(response, 200, { keys: [{ ...keys.publicKey.export({ format: "jwk" }), kid: "k1" }] });
    if (!isLetIn(target.pathname, headers)) {
      return sendError(
        response,
        headers["x-goog-api-key"] === undefined ? 401 : 400,
        "UNAUTHENTICATED",
        "API key not valid.",
        false,
      );
    }
    if (call === "download") return download(target, request, response, told);
    const reply = call === "create" ? create(target.pathname, body) : ask(call, target.pathname, body, told);
    return sendReply(response, told.has("no-id") ? { ...reply, body: {} } : reply, told);
  }

  async function signIn(form: unknown, response: ServerResponse, told: Told<Instruction>): Promise<void> {
    const { grant_type: grant, assertion = "" } = form as Record<string, string | undefined>;
    const [head = "", claims = "", signature = ""] = assertion.split(".");
    const { aud, iat, exp, scope } = parse(Buffer.from(claims, "base64url").toString()) as Record<string, unknown>;
    const signed = createVerify("RSA-SHA256").update(`${head}.${claims}`);
    const isGood =
      grant === "urn:ietf:params:oauth:grant-type:jwt-bearer" &&
      aud === `${url}/token` &&
      scope === "https://www.googleapis.com/auth/cloud-platform" &&
      Number(exp) - Number(iat) <= 3600 &&
      (publicKey === undefined || signed.verify(publicKey, Buffer.from(signature, "base64url")));
    if (!isGood) return sendJson(response, 400, { error: "invalid_grant", error_description: "Invalid JWT Signature." });
    const token = `ya29.${crypto.randomUUID()}`;
    tokens.push(token);
    const body = { access_token: token, expires_in: 3599, token_type: "Bearer" };
    return sendReply(response, { status: 200, body }, told);
  }

  function isLetIn(path: string, headers: IncomingMessage["headers"]): boolean {
    const isVertex = path.includes("/projects/") || path.startsWith("/storage/");
    if (!isVertex) return apiKey === undefined || headers["x-goog-api-key"] === apiKey;
    return publicKey === undefined || tokens.some((token) => headers.authorization === `Bearer ${token}`);
  }

  function create(path: string, body: unknown): Reply {
    const asked = (body ?? {}) as Record<string, unknown>;
    const isVertex = path.includes("/projects/");
    const [, resource = "", model = ""] = /^\/v[^/]+\/((?:projects\/.*)?models\/([^/:]+)):predictLongRunning$/.exec(path) ?? [];
    const why = resource === "" ? refuseInteraction(asked, isVertex) : refuseVeo(asked, model, isVertex);
    if (why !== null) return { status: 400, body: envelope(400, "INVALID_ARGUMENT", why) };
    const id = crypto.randomUUID();
    const name = resource === "" ? `v1_${id.replaceAll("-", "")}` : `${resource}/operations/${id}`;
    const job = { name, isVertex, body: asked, polls: 0, isCancelled: false };
    jobs.set(name, job);
    return { status: 200, body: resource === "" ? interactionOf({ ...job, ...viewOf(job, new Set()), isDone: false }) : { name } };
  }

  function ask(call: "query" | "cancel", path: string, body: unknown, told: Told<Instruction>): Reply {
    const [, id] = /\/interactions\/([^/]+)/.exec(path) ?? [];
    const isPost = path.endsWith(":fetchPredictOperation");
    const name = isPost ? String((body as Record<string, unknown>)["operationName"]) : path.replace(/^\/v[^/]+\//, "");
    const job = jobs.get(id === undefined ? name : decodeURIComponent(id));
    // Operations of Vertex are only to be had by the POST, and under their own model.
    const isAskable =
      job !== undefined && (id !== undefined || !job.isVertex || (isPost && path.includes(name.split("/operations/")[0] ?? "")));
    if (!isAskable || told.has("not-found-just-after-create")) {
      if (id !== undefined)
        return { status: 400, body: { error: { code: "invalid_request", message: "Invalid interaction name" } } };
      return { status: 404, body: envelope(404, "NOT_FOUND", "Operation was not found.") };
    }
    const isOver = job.polls > pollsBeforeDone;
    if (call === "cancel") {
      if (isOver)
        return { status: 400, body: { error: { code: "invalid_request", message: "The interaction is not in progress." } } };
      job.isCancelled = true;
    } else job.polls++;
    const view = { ...job, ...viewOf(job, told) };
    return { status: 200, body: id === undefined ? operationOf(view) : interactionOf(view) };
  }

  function viewOf(job: EmulatedJob, told: Told<Instruction>): Pick<JobView, "isDone" | "told" | "video" | "uri"> {
    const isDone = job.polls > pollsBeforeDone && !told.has("running");
    return { isDone, told, video, uri: `${url}/v1beta/files/${fileOf(job.name)}` };
  }

  async function download(target: URL, request: IncomingMessage, response: ServerResponse, told: Told<Instruction>) {
    if (target.searchParams.get("alt") !== "media") return sendJson(response, 200, { name: "files/x", state: "ACTIVE" });
    const isKnown = [...jobs.keys()].some((name) => decodeURIComponent(target.pathname).includes(fileOf(name)));
    if (!isKnown) return sendError(response, 403, "PERMISSION_DENIED", "You do not have permission to access the File.", false);
    return sendVideo(request, response, { bytes: video, etag: '"v1"' }, told, errorOf);
  }

  const server = await startMortalServer(0, (request, response) => {
    // A client that went away is no failure of the emulator's.
    void answer(request, response).catch(() => response.destroy());
  });
  url = server.url;

  async function finish(id: string): Promise<SentCallback> {
    const job = jobs.get(id);
    if (job === undefined) throw new Error(`no such interaction: ${id}`);
    job.polls = pollsBeforeDone + 1;
    const { uris = [] } = (job.body["webhook_config"] ?? {}) as { uris?: readonly string[] };
    const callback = signedCallback(id, keys.privateKey, canaries ? planted : JSON.stringify);
    // Nobody listens: it would be sent again, and is not missed here.
    for (const uri of uris) await fetch(uri, { method: "POST", ...callback }).catch(() => undefined);
    return callback;
  }

  return {
    url,
    jobs: () => jobs.size,
    requests: (call) => requests.filter((seen) => call === undefined || seen.call === call),
    finish,
    revokeTokens: () => void (tokens = []),
    close: async () => server.close(),
    reopen: async () => server.reopen(),
  };
}

interface Reply {
  readonly status: number;
  readonly body: object;
}

/** As it arrives at those that `webhook_config` names: not the JWT of the guide, but Standard Webhooks' v1a. */
function signedCallback(id: string, key: KeyObject, toJson: (body: object) => string): SentCallback {
  const body = toJson({
    type: "interaction.completed",
    version: "v1",
    timestamp: new Date().toISOString(),
    data: { id },
  });
  const message = `msg_${crypto.randomUUID()}`;
  const time = String(Math.floor(Date.now() / 1000));
  const signature = sign(null, Buffer.from(`${message}.${time}.${body}`), key).toString("base64");
  const own = { "webhook-id": message, "webhook-timestamp": time, "webhook-signature": `v1a,${signature}` };
  return { headers: { "content-type": "application/json", ...own }, body };
}

function callOf(method: string, path: string): SeenRequest["call"] {
  if (method === "GET") {
    if (path === "/.well-known/jwks.json") return "keys";
    if (/\/interactions\/|\/operations\//.test(path)) return "query";
    return /^\/storage\/v1\/b\/|\/files\//.test(path) ? "download" : "other";
  }
  if (method !== "POST") return "other";
  if (path === "/token") return "token";
  if (/:predictLongRunning$|\/interactions$/.test(path)) return "create";
  if (path.endsWith(":fetchPredictOperation")) return "query";
  return /\/interactions\/[^/]+\/cancel$/.test(path) ? "cancel" : "other";
}

function sendError(response: ServerResponse, status: number, word: string, message: string, isList: boolean): void {
  const body = envelope(status, word, message);
  sendJson(response, status, isList ? [body] : body);
}

/** Never in words that mean anything: a script says what a call is to mean. */
function errorOf(status: number, message: string): object {
  return envelope(status, STATUSES[status] ?? "UNKNOWN", message);
}

function envelope(code: number, status: string, message: string): object {
  return { error: { code, message, status } };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text === "" ? null : Object.fromEntries(new URLSearchParams(text));
  }
}
