// Replicate's predictions on loopback, as its own client (replicate) takes them.
import { createHmac, randomUUID } from "node:crypto";
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

export interface ReplicateOptions extends QueueOptions<Bend> {
  /** What callbacks are signed with, as the account's settings would show it. */
  readonly webhookSecret?: string;
}

type Bend =
  /** Query: the prediction ended an hour ago. */
  | "data-removed"
  /** Query: the output is a list. */
  | "list-output"
  /** Query: the output is in the reply itself. */
  | "inline-output";

export const WEBHOOK_SECRET = `whsec_${Buffer.from("an emulated secret, of no account").toString("base64")}`;

const INPUTS = ["prompt", "aspect_ratio", "duration", "image", "last_frame", "reference_images", "negative_prompt"].concat([
  "resolution",
  "generate_audio",
  "seed",
]);

const wireOf = (webhookSecret: string): QueueWire<Bend> => ({
  scheme: "Bearer",
  createdStatus: 201,
  idName: "id",
  routes: [
    { call: "create", method: "POST", path: /^\/v1\/models\/(?<model>[\w.-]+\/[\w.-]+)\/predictions$/ },
    { call: "query", method: "GET", path: /^\/v1\/predictions\/(?<id>[^/]+)$/ },
    { call: "cancel", method: "POST", path: /^\/v1\/predictions\/(?<id>[^/]+)\/cancel$/ },
  ],
  newId: () => randomUUID().replaceAll("-", "").slice(0, 26),
  complaint: (asked, model) => {
    if (!model.startsWith("google/")) return { status: 404, body: problem(404, "The requested resource could not be found.") };
    const { prompt, ...others } = (asked?.["input"] ?? {}) as Record<string, unknown>;
    if (typeof prompt !== "string") return invalid("- input: prompt is required\n");
    const unknown = Object.keys(others).find((name) => !INPUTS.includes(name));
    if (unknown !== undefined) return invalid(`- input: Additional property ${unknown} is not allowed\n`);
    const webhook = asked?.["webhook"];
    if (webhook === undefined) return null;
    // Loopback is this emulator's own concession.
    const isTaken = typeof webhook === "string" && /^(https:|http:\/\/127\.0\.0\.1[:/])/.test(webhook);
    return isTaken ? null : invalid("- webhook: Does not match format 'uri'\n");
  },
  callbackUrl: ({ webhook }) => (typeof webhook === "string" ? webhook : null),
  answer: (call, job, told, origins) => {
    const isLive = job.phase === "queued" || job.phase === "running";
    const status = call === "cancel" && isLive ? "canceled" : (valueOf(told, "status:") ?? statusOf(job));
    return { status: 200, body: prediction(job, status, told, origins) };
  },
  error: (status, message) => problem(status, message),
  callback: async (job, origins, toJson) => {
    const body = toJson(prediction(job, statusOf(job), new Set(), origins));
    return signedCallback(body, webhookSecret, `msg_${job.id}`);
  },
});

/** As Replicate signs them; `at` in unix milliseconds. */
export function signedCallback(body: string, secret: string, id: string, at = Date.now()): SentCallback {
  const timestamp = String(Math.floor(at / 1000));
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  const headers = { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` };
  return { headers: { "content-type": "application/json", ...headers }, body };
}

export const startReplicateEmulator = async ({
  webhookSecret = WEBHOOK_SECRET,
  ...options
}: ReplicateOptions = {}): Promise<QueueEmulator> => startQueueEmulator(wireOf(webhookSecret), options);

function problem(status: number, detail: string): object {
  return { title: `Emulated ${status}`, detail, status };
}

function invalid(detail: string): Reply {
  return { status: 422, body: { title: "Input validation failed", detail, status: 422, invalid_fields: [] } };
}

function statusOf(job: QueuedJob): string {
  if (job.phase === "done") return job.failure === null ? "succeeded" : "failed";
  return { queued: "starting", running: "processing", cancelled: "canceled" }[job.phase];
}

function prediction(job: QueuedJob, status: string, told: ReadonlySet<string>, origins: Origins): object {
  const { id, model, asked, createdAt, failure, hasVideo } = job;
  const isRemoved = told.has("data-removed");
  const api = `${origins.url}/v1/predictions/${id}`;
  return {
    id,
    model,
    version: "hidden",
    status,
    input: isRemoved ? {} : asked["input"],
    output: status === "succeeded" && hasVideo && !isRemoved ? output(job, told, origins) : null,
    error: status === "failed" ? failure : null,
    logs: "",
    metrics: status === "succeeded" ? { predict_time: 41.2 } : {},
    data_removed: isRemoved,
    created_at: new Date(createdAt).toISOString(),
    urls: { get: api, cancel: `${api}/cancel`, web: `https://replicate.com/p/${id}` },
  };
}

function output(job: QueuedJob, told: ReadonlySet<string>, origins: Origins): unknown {
  if (told.has("inline-output")) return "data:video/mp4;base64,AAAAIGZ0eXA=";
  return told.has("list-output") ? [fileUrl(origins, job)] : fileUrl(origins, job);
}
