// fal.ai's queue on loopback, as its own client (@fal-ai/client) takes it.
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { valueOf } from "./faults.ts";
import {
  fileUrl,
  startQueueEmulator,
  type Origins,
  type QueueEmulator,
  type QueueOptions,
  type QueueWire,
  type QueuedJob,
  type Reply,
  type SentCallback,
} from "./queue-emulator.ts";

export type FalOptions = QueueOptions<Bend>;

type Bend =
  /** Query: the status of a request that failed does not say so. */
  | "silent-failure"
  /** Create: the URLs of the reply are somebody else's. */
  | "foreign-urls"
  /** Result: what the queue says of a request that it has not seen end. */
  | "still-in-progress";

/** What a request answers that failed for these reasons; others are 500. */
const STATUSES: Readonly<Record<string, number>> = {
  content_policy_violation: 422,
  no_media_generated: 422,
  image_load_error: 422,
  value_error: 422,
  generation_timeout: 504,
  downstream_service_unavailable: 503,
};

/** Callbacks are signed with a key of this emulator's, which its /.well-known/jwks.json tells. */
export async function startFalEmulator(options: FalOptions = {}): Promise<QueueEmulator> {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const wire: QueueWire<Bend> = {
    scheme: "Key",
    createdStatus: 200,
    idName: "request_id",
    routes: [
      { call: "keys", method: "GET", path: /^(?<id>)\/\.well-known\/jwks\.json$/ },
      { call: "query", method: "GET", path: /^\/[\w.-]+\/[\w.-]+\/requests\/(?<id>[^/]+)\/status$/ },
      { call: "result", method: "GET", path: /^\/[\w.-]+\/[\w.-]+\/requests\/(?<id>[^/]+)$/ },
      { call: "cancel", method: "PUT", path: /^\/[\w.-]+\/[\w.-]+\/requests\/(?<id>[^/]+)\/cancel$/ },
      { call: "create", method: "POST", path: /^\/(?<model>[\w.-]+\/[\w.-]+(?:\/[\w./-]+)?)$/ },
    ],
    newId: () => crypto.randomUUID(),
    complaint: (asked, model) => {
      if (!/^(fal-ai\/veo\d|google\/)/.test(model)) return { status: 404, body: { detail: `Application "${model}" not found` } };
      const missing = required(model).find((name) => asked?.[name] === undefined);
      if (missing === undefined) return null;
      return { status: 422, body: { detail: [{ loc: ["body", missing], msg: "Field required", type: "missing" }] } };
    },
    callbackUrl: (_, target) => target.searchParams.get("fal_webhook"),
    answer: (call, job, told, origins) => {
      if (call === "create") return { status: 200, body: queued(job, told.has("foreign-urls") ? ELSEWHERE : origins) };
      if (call === "cancel") return job.phase === "done" || job.phase === "cancelled" ? TOO_LATE : STOPPING;
      if (call === "query") return state(job, told, origins);
      const isOver = job.phase === "done" || job.phase === "cancelled";
      if (!isOver || told.has("still-in-progress")) return { status: 400, body: { detail: "Request is still in progress" } };
      return result(job, origins);
    },
    // Never in words that mean anything: a script says what a call is to mean.
    error: (_, message) => ({ detail: message }),
    callback: async (job, origins, toJson) => signed(toJson(callbackBody(job, origins)), job.id, privateKey),
    keys: async () => ({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "k1", use: "sig", alg: "EdDSA" }] }),
  };
  return startQueueEmulator(wire, options);
}

const STOPPING: Reply = { status: 202, body: { status: "CANCELLATION_REQUESTED" } };
const TOO_LATE: Reply = { status: 400, body: { status: "ALREADY_COMPLETED" } };
const ELSEWHERE: Origins = { url: "https://elsewhere.example", filesUrl: "https://elsewhere.example" };

function required(model: string): readonly string[] {
  if (model.endsWith("/reference-to-video")) return ["prompt", "image_urls"];
  if (model.endsWith("/first-last-frame-to-video")) return ["prompt", "first_frame_url", "last_frame_url"];
  return model.endsWith("/image-to-video") ? ["prompt", "image_url"] : ["prompt"];
}

function urls({ id, model }: QueuedJob, { url }: Origins): object {
  const request = `${url}/${model.split("/").slice(0, 2).join("/")}/requests/${id}`;
  return { request_id: id, response_url: request, status_url: `${request}/status`, cancel_url: `${request}/cancel` };
}

function queued(job: QueuedJob, origins: Origins): object {
  return { status: "IN_QUEUE", queue_position: 0, gateway_request_id: job.id, ...urls(job, origins) };
}

function state(job: QueuedJob, told: ReadonlySet<string>, origins: Origins): Reply {
  const status = { queued: "IN_QUEUE", running: "IN_PROGRESS", done: "COMPLETED", cancelled: "COMPLETED" }[job.phase];
  const word = valueOf(told, "status:") ?? status;
  if (word !== "COMPLETED") {
    const progress = word === "IN_QUEUE" ? { queue_position: 1 } : { logs: [] };
    return { status: 202, body: { ...urls(job, origins), status: word, ...progress } };
  }
  const failure = job.phase === "cancelled" ? "client_cancelled" : job.failure;
  const error = failure === null || told.has("silent-failure") ? {} : { error: `it failed: ${failure}`, error_type: failure };
  return { status: 200, body: { ...urls(job, origins), status: word, logs: [], metrics: { inference_time: 41.2 }, ...error } };
}

function result(job: QueuedJob, origins: Origins): Reply {
  if (job.phase === "cancelled") return { status: 499, body: { detail: "Request cancelled", error_type: "client_cancelled" } };
  if (job.failure === null) return { status: 200, body: payload(job, origins) };
  return { status: STATUSES[job.failure] ?? 500, body: failed(job.failure) };
}

function payload(job: QueuedJob, origins: Origins): object {
  if (!job.hasVideo) return {};
  return { video: { url: fileUrl(origins, job), content_type: "video/mp4", file_name: "output.mp4", file_size: 146_831 } };
}

function failed(type: string): object {
  return { detail: [{ loc: ["body", "prompt"], msg: "it failed", type, url: `https://docs.fal.ai/errors#${type}` }] };
}

function callbackBody(job: QueuedJob, origins: Origins): object {
  const { id, failure } = job;
  const ids = { request_id: id, gateway_request_id: id };
  const outcome =
    failure === null
      ? { status: "OK", error: null, payload: payload(job, origins) }
      : { status: "ERROR", error: `Unexpected status code: ${STATUSES[failure] ?? 500}`, payload: failed(failure) };
  return { ...ids, ...outcome };
}

function signed(body: string, id: string, key: Parameters<typeof sign>[2]): SentCallback {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const digest = createHash("sha256").update(body).digest("hex");
  const message = [id, "user-1", timestamp, digest].join("\n");
  return {
    headers: {
      "content-type": "application/json",
      "x-fal-webhook-request-id": id,
      "x-fal-webhook-user-id": "user-1",
      "x-fal-webhook-timestamp": timestamp,
      "x-fal-webhook-signature": sign(null, Buffer.from(message), key).toString("hex"),
    },
    body,
  };
}
