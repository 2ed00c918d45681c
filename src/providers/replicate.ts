// Replicate's predictions. What they made is deleted an hour after they end, and then a finished one has nothing to fetch.
import { z } from "zod";
import type { Json } from "../core/json.ts";
import type { ModelName } from "../core/models.ts";
import { RefusedError, RetryableError } from "../core/upstream-errors.ts";
import type { Callback, Job, PollResult, Provider, Submitted, Upstream } from "../ports.ts";
import { callJson, retryAfterMs, type JsonReply } from "./call-json.ts";
import { callsBackOf, hasStandardSignature, jsonIn } from "./callback-signature.ts";
import { endedBadly, foldStatus } from "./fold-status.ts";
import { imageRoles } from "./image-roles.ts";
import { accountError, failureOf, folded, isSuccess, outage, raise, refusalOf, unclear, withoutVideo } from "./judge-reply.ts";
import { resultOpener } from "./open-result.ts";
import { lenient, link, pathId, text } from "./reply-parts.ts";

export const BASE_URL = "https://api.replicate.com";

export const MODELS: Readonly<Record<ModelName, string>> = {
  veo2: "google/veo-3.1",
  "veo2-fast": "google/veo-3.1-fast",
  "veo2-pro": "google/veo-3.1",
  "veo2-fast-frames": "google/veo-3.1-fast",
  // There is no fast one that takes references.
  "veo2-fast-components": "google/veo-3.1",
  veo3: "google/veo-3.1",
  "veo3-fast": "google/veo-3.1-fast",
  "veo3-pro": "google/veo-3.1",
  "veo3-pro-frames": "google/veo-3.1",
  "veo3.1": "google/veo-3.1",
  "veo3.1-fast": "google/veo-3.1-fast",
};

const predictionId = pathId(255);

const operationSchema = z.object({ id: z.string() });
const sourceSchema = z.object({ url: z.string() });
const prediction = z.looseObject({
  id: predictionId,
  status: lenient(z.string()),
  /** Of a model that makes one file a URL; of others a list, of which only the first is ours: one was asked for. */
  output: z
    .union([z.string().transform((url) => link.parse(url)), z.array(z.unknown()).transform(([first]) => link.parse(first))])
    .catch(null),
  error: text,
  data_removed: lenient(z.boolean()),
});
const errorReply = z.looseObject({ title: text, detail: text, retry_after: lenient(z.number().nonnegative()) });
/** Its own errors are problem documents too, so the type does not tell them from those of the CDN in front of it. */
const cdnError = z.union([
  z.looseObject({ cloudflare_error: z.literal(true) }),
  z.looseObject({ ray_id: z.string() }),
  z.looseObject({ type: z.string().regex(/cloudflare/i) }),
]);

/** What models say when they filter. */
const FILTERED = /sensitive|polic(y|ies)|\be005\b/;
const RESETS = /resets in ~?(\d+) ?s/;

const RETENTION_MS = 60 * 60_000;

/** `upstream.baseUrl` is without the /v1; models are "owner/name". */
export function replicate(upstream: Upstream): Provider {
  const { baseUrl, credential, honoursIdempotencyKey, callbackSecrets } = upstream;
  const ownHeaders = { authorization: `Bearer ${credential}` };
  const openResult = resultOpener(upstream, ownHeaders);

  async function submit(job: Job, signal: AbortSignal): Promise<Submitted> {
    const headers = { ...ownHeaders, ...(honoursIdempotencyKey && { "idempotency-key": job.reference }) };
    const webhook: Json = job.callbackUrl !== null ? { webhook: job.callbackUrl, webhook_events_filter: ["completed"] } : {};
    const body = { input: wireInput(job), ...webhook };
    const reply = await callJson(`${baseUrl}/v1/models/${job.model}/predictions`, { method: "POST", headers, body, signal });
    if (!isSuccess(reply)) throw refusal(reply, job.prompt) ?? unclear("submit", reply);
    const id = prediction.safeParse(reply.body).data?.id ?? raise(unclear("submit", reply));
    return { operation: { id }, prompt: null };
  }

  function predictionUrl(operation: Json): string {
    return `${baseUrl}/v1/predictions/${encodeURIComponent(operationSchema.parse(operation).id)}`;
  }

  async function poll(operation: Json, signal: AbortSignal): Promise<PollResult> {
    const reply = await callJson(predictionUrl(operation), { method: "GET", headers: ownHeaders, signal });
    const later = throttled(reply) ?? accountError(reply) ?? outage(reply);
    if (later !== null) throw later;
    if (reply.status === 404 && reply.readable) return { status: "missing" };
    return readPrediction(reply) ?? raise(unclear("poll", reply));
  }

  async function cancel(operation: Json, signal: AbortSignal): Promise<"stopping" | "too_late"> {
    const reply = await callJson(`${predictionUrl(operation)}/cancel`, { method: "POST", headers: ownHeaders, signal });
    const later = throttled(reply) ?? accountError(reply) ?? outage(reply);
    if (later !== null) throw later;
    if (!reply.readable) throw unclear("cancel", reply);
    // It knows of none that runs, whatever became of it: polls tell.
    if (!isSuccess(reply)) return "too_late";
    const state = foldStatus(prediction.safeParse(reply.body).data?.status ?? "");
    return state === "succeeded" || state === "failed" ? "too_late" : "stopping";
  }

  /** What it signs is the prediction. */
  async function isGenuine(callback: Callback, operation: Json): Promise<boolean> {
    const { id } = operationSchema.parse(operation);
    return prediction.safeParse(jsonIn(callback)).data?.id === id && hasStandardSignature(callback, callbackSecrets);
  }

  return {
    traits: {
      images: "url",
      // It refuses others than https, and with them the job.
      callback: callsBackOf(upstream),
      idempotentCreate: honoursIdempotencyKey,
      retentionMs: RETENTION_MS,
    },
    submit,
    poll,
    open: async (source, from, signal) => openResult(sourceSchema.parse(source).url, from, signal),
    cancel,
    // Every account has a secret to sign with. Where we were not told it, the URL is secret too, and what comes there only a hint.
    ...(callbackSecrets.length > 0 && { isGenuine }),
  };
}

/** The wire has no word for rewriting prompts. */
function wireInput(job: Job): Json {
  const { prompt, generation } = job;
  const { aspectRatio, upsample } = generation;
  const { first, last, references } = imageRoles(job);
  // References go with this shape only.
  const shape = references.length > 0 ? "16:9" : aspectRatio;
  return {
    prompt,
    duration: 8,
    // Its own default is the dearer one.
    resolution: upsample ? "1080p" : "720p",
    ...(shape === null ? {} : { aspect_ratio: shape }),
    ...(references.length > 0 ? { reference_images: references.map(({ url }) => url) } : {}),
    ...(first === null ? {} : { image: first.url }),
    ...(last === null ? {} : { last_frame: last.url }),
  };
}

/** Null: it cannot be told from a prediction that was started. */
function refusal(reply: JsonReply, prompt: string): Error | null {
  const words = errorWords(reply);
  // All that its address names is the model.
  if (reply.status === 404 && words !== "") return new RefusedError("model", "upstream_rejected");
  return throttled(reply) ?? refusalOf(reply, words === "" ? null : words, prompt);
}

/** When to come back is in the body, in a member or in the text. */
function throttled(reply: JsonReply): RetryableError | null {
  if (reply.status !== 429) return null;
  const { detail, retry_after } = errorReply.safeParse(reply.body).data ?? {};
  const seconds = retry_after ?? RESETS.exec(detail ?? "")?.[1];
  const told = seconds === undefined ? null : Number(seconds) * 1000;
  return new RetryableError("rate_limited", retryAfterMs(reply.headers, Date.now()) ?? told);
}

/** Empty: the reply is no error of Replicate's. */
function errorWords({ body }: JsonReply): string {
  if (cdnError.safeParse(body).success) return "";
  const { title, detail } = errorReply.safeParse(body).data ?? {};
  return detail == null ? "" : folded([title, detail]);
}

/** Null: it says nothing of the prediction. */
function readPrediction(reply: JsonReply): PollResult | null {
  const found = isSuccess(reply) ? prediction.safeParse(reply.body).data : null;
  if (found?.status == null) return null;
  const { status, output, error, data_removed } = found;
  const state = foldStatus(status);
  if (state === "running") return { status: "running", retryAfterMs: retryAfterMs(reply.headers, Date.now()) };
  if (state !== "succeeded") return endedBadly(state, () => failure(folded([error])));
  const isGone = output == null || data_removed === true;
  return isGone ? withoutVideo(folded([error])) : { status: "succeeded", source: { url: output } };
}

function failure(words: string): PollResult {
  const found = failureOf(words);
  return FILTERED.test(words) ? { ...found, by: "task", reason: "content_policy" } : found;
}
