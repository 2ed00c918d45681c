// fal.ai's queue. A request that is COMPLETED has ended, well or badly: only reading its result tells which.
import { z } from "zod";
import { fromHex, hex } from "../core/encoding.ts";
import { sha256 } from "../core/hmac.ts";
import type { Json } from "../core/json.ts";
import type { ModelName } from "../core/models.ts";
import { RefusedError } from "../core/upstream-errors.ts";
import type { Callback, Job, PollResult, Provider, Submitted, Upstream } from "../ports.ts";
import { callJson, retryAfterMs, type JsonReply } from "./call-json.ts";
import { isProblem } from "./borrowed-wire.ts";
import { callsBackOf, isFresh, jsonIn } from "./callback-signature.ts";
import { endedBadly, foldStatus } from "./fold-status.ts";
import { imageRoles, type ImageRoles } from "./image-roles.ts";
import { accountError, failureOf, folded, isSuccess, joined, outage, raise, refusalOf, unclear } from "./judge-reply.ts";
import { resultOpener } from "./open-result.ts";
import { keysUrlOf, publishedKeys, type SignedByPublished } from "./published-keys.ts";
import { lenient, link, pathId, text } from "./reply-parts.ts";

export const BASE_URL = "https://queue.fal.run";
const KEYS_URL = "https://rest.fal.ai/.well-known/jwks.json";

/** Without the mode (/image-to-video, ...), which a job's images decide. */
export const MODELS: Readonly<Record<ModelName, string>> = {
  veo2: "fal-ai/veo3.1",
  "veo2-fast": "fal-ai/veo3.1/fast",
  "veo2-pro": "fal-ai/veo3.1",
  "veo2-fast-frames": "fal-ai/veo3.1/fast",
  // There is no fast one that takes references.
  "veo2-fast-components": "fal-ai/veo3.1",
  veo3: "fal-ai/veo3.1",
  "veo3-fast": "fal-ai/veo3.1/fast",
  "veo3-pro": "fal-ai/veo3.1",
  "veo3-pro-frames": "fal-ai/veo3.1",
  "veo3.1": "fal-ai/veo3.1",
  "veo3.1-fast": "fal-ai/veo3.1/fast",
};

const MAX_DETAILS = 20;
const requestId = pathId(255);
const operationSchema = z.object({ id: z.string(), app: z.string() });
const sourceSchema = z.object({ url: z.string() });
const createReply = z.looseObject({ request_id: requestId });
const statusReply = z.looseObject({ status: lenient(z.string()), error: text, error_type: text });
const resultReply = z.looseObject({ video: lenient(z.looseObject({ url: link })) });
/** What a model says is a list, what the queue in front of it says is a text. */
const modelError = z.looseObject({ detail: z.array(lenient(z.looseObject({ msg: text, type: text }))).min(1) });
const queueError = z.looseObject({ detail: text, error: text, error_type: text });

const TIMED_OUT = /(generation|request|startup) timeout/;
const CANCELLED = /client cancell?ed/;
/** The model cannot do what was asked for, another may. */
const NOT_BY_THIS_MODEL = /feature not supported/;
/** A result that lags behind its status. */
const NOT_YET = /still in progress|not (yet )?completed/;

/** At least, unless the account has it otherwise. */
const RETENTION_MS = 7 * 24 * 60 * 60_000;

export function fal(upstream: Upstream): Provider {
  const { baseUrl, credential, honoursIdempotencyKey } = upstream;
  const ownHeaders = { authorization: `Key ${credential}` };
  const openResult = resultOpener(upstream, ownHeaders);
  const isSigned = callbackVerifier(publishedKeys(keysUrlOf(upstream, KEYS_URL)));

  async function submit(job: Job, signal: AbortSignal): Promise<Submitted> {
    const url = new URL(`${baseUrl}/${endpointOf(job)}`);
    if (job.callbackUrl !== null) url.searchParams.set("fal_webhook", job.callbackUrl);
    const headers = { ...ownHeaders, ...(honoursIdempotencyKey && { "idempotency-key": job.reference }) };
    const reply = await callJson(url.href, { method: "POST", headers, body: wireJob(job), signal });
    if (!isSuccess(reply)) throw refusal(reply, job.prompt) ?? unclear("submit", reply);
    const id = createReply.safeParse(reply.body).data?.request_id ?? raise(unclear("submit", reply));
    return { operation: { id, app: appOf(job.model) }, prompt: null };
  }

  /** Not the URLs of the reply: this is how fal's own client makes them, and nobody else can name them. */
  function requestUrl(operation: Json): string {
    const { id, app } = operationSchema.parse(operation);
    return `${baseUrl}/${app}/requests/${encodeURIComponent(id)}`;
  }

  async function poll(operation: Json, signal: AbortSignal): Promise<PollResult> {
    const url = requestUrl(operation);
    const reply = await callJson(`${url}/status`, { method: "GET", headers: ownHeaders, signal });
    const later = accountError(reply) ?? outage(reply);
    if (later !== null) throw later;
    if (reply.status === 404 && reply.readable) return { status: "missing" };
    const { status, error, error_type } = (isSuccess(reply) ? statusReply.safeParse(reply.body).data : null) ?? {};
    if (status == null) throw unclear("poll", reply);
    const state = foldStatus(status);
    const said = plain([error_type, error]);
    if (state === "running") return { status: "running", retryAfterMs: retryAfterMs(reply.headers, Date.now()) };
    if (state !== "succeeded") return endedBadly(state, () => failure(said));
    const result = await callJson(url, { method: "GET", headers: ownHeaders, signal });
    return readResult(result, said) ?? raise(unclear("poll", result));
  }

  async function cancel(operation: Json, signal: AbortSignal): Promise<"stopping" | "too_late"> {
    const reply = await callJson(`${requestUrl(operation)}/cancel`, { method: "PUT", headers: ownHeaders, signal });
    const later = accountError(reply) ?? outage(reply);
    if (later !== null) throw later;
    if (!reply.readable) throw unclear("cancel", reply);
    // Whatever else it says, it knows of none that runs: polls tell what became of it.
    return isSuccess(reply) ? "stopping" : "too_late";
  }

  return {
    traits: {
      images: "url",
      callback: callsBackOf(upstream),
      idempotentCreate: honoursIdempotencyKey,
      retentionMs: RETENTION_MS,
    },
    submit,
    poll,
    open: async (source, from, signal) => openResult(sourceSchema.parse(source).url, from, signal),
    cancel,
    isGenuine: async (callback, operation, signal) =>
      isAbout(callback, operationSchema.parse(operation).id) && (await isSigned(callback, signal)),
  };
}

/** A model that is configured with its mode is taken at its word. */
function endpointOf(job: Job): string {
  const { model, images } = job;
  if (images.length === 0 || model.endsWith("-to-video")) return model;
  const { last, references } = imageRoles(job);
  if (references.length > 0) return `${model}/reference-to-video`;
  return last === null ? `${model}/image-to-video` : `${model}/first-last-frame-to-video`;
}

/** It has one resolution. */
export function isVeo2(model: string): boolean {
  return appOf(model).endsWith("/veo2");
}

/** What requests are filed under: owner and app, of a workflow with its namespace, never the path within. */
function appOf(model: string): string {
  const parts = model.split("/");
  const hasNamespace = parts[0] === "workflows" || parts[0] === "comfy";
  return parts.slice(0, hasNamespace ? 3 : 2).join("/");
}

/** Without an aspect ratio the model takes the first frame's, or 16:9. Nothing else is left to its defaults, which differ. */
function wireJob(job: Job): Json {
  const { model, prompt, generation, images } = job;
  const { enhancePrompt, upsample, aspectRatio } = generation;
  // A prompt that we rewrote is not to be rewritten again.
  const rewrites = enhancePrompt && prompt === generation.prompt;
  const isOld = isVeo2(model);
  return {
    prompt,
    duration: "8s",
    ...(isOld ? {} : { resolution: upsample ? "1080p" : "720p", auto_fix: rewrites }),
    ...(isOld && images.length === 0 ? { enhance_prompt: rewrites } : {}),
    ...(aspectRatio === null ? {} : { aspect_ratio: aspectRatio }),
    ...wireImages(imageRoles(job)),
  };
}

function wireImages({ first, last, references }: ImageRoles): Record<string, Json> {
  if (references.length > 0) return { image_urls: references.map(({ url }) => url) };
  if (first === null) return {};
  return last === null ? { image_url: first.url } : { first_frame_url: first.url, last_frame_url: last.url };
}

/** Null: it cannot be told from a request that was taken. */
function refusal(reply: JsonReply, prompt: string): Error | null {
  const words = isProblem(reply) ? "" : errorWords(reply);
  if (reply.status === 422 && NOT_BY_THIS_MODEL.test(words)) return new RefusedError("route", "upstream_rejected");
  // All that its address names is the model.
  const isModel = reply.status === 404 && words !== "" && !/image|file|url/.test(words);
  return isModel ? new RefusedError("model", "upstream_rejected") : refusalOf(reply, words === "" ? null : words, prompt);
}

/** `said`: what the status had to say of an error. Null: it says nothing of the request. */
function readResult(reply: JsonReply, said: string): PollResult | null {
  const url = isSuccess(reply) ? resultReply.safeParse(reply.body).data?.video?.url : null;
  if (url != null) return { status: "succeeded", source: { url } };
  const words = errorWords(reply);
  // The request failed, with that status: 401 and 5xx, too.
  const hasFailed = said !== "" || modelError.safeParse(reply.body).success || hasEnded(reply);
  if (hasFailed) return failure(joined([said, words]), reply.status);
  const later = accountError(reply) ?? outage(reply);
  if (later !== null) throw later;
  if (!reply.readable) return null;
  if (reply.status === 404) return { status: "missing" };
  if (words === "") return isSuccess(reply) ? { status: "empty" } : null;
  return NOT_YET.test(words) ? { status: "running" } : failure(words);
}

/** Whether its error is one that only a run ends with; others may be of the call that asks for the result. */
function hasEnded({ body }: JsonReply): boolean {
  const type = folded([queueError.safeParse(body).data?.error_type]);
  return TIMED_OUT.test(type) || CANCELLED.test(type);
}

/** `status`: of the result, where the request has failed with one. */
function failure(words: string, status?: number): PollResult {
  if (CANCELLED.test(words)) return { status: "failed", by: "task", reason: "cancelled" };
  if (TIMED_OUT.test(words)) return { status: "failed", by: "route", reason: "timeout" };
  const found = failureOf(words);
  // The model has looked at what it was given, and cannot make anything of it; nobody could.
  const isInvalid = status === 422 && found.by === "route" && !NOT_BY_THIS_MODEL.test(words);
  return isInvalid ? { ...found, by: "task" } : found;
}

/** Empty: the reply is no error of fal's. */
function errorWords({ body }: JsonReply): string {
  const details = modelError.safeParse(body).data?.detail ?? [];
  const { detail, error, error_type } = queueError.safeParse(body).data ?? {};
  return plain([...details.slice(0, MAX_DETAILS).flatMap((each) => [each?.type, each?.msg]), error_type, error, detail]);
}

/** What it has words of its own for, in those that judge-reply knows. */
function plain(words: readonly (string | null | undefined)[]): string {
  return folded(words).replace("no media generated", "content policy").replace("exhausted balance", "insufficient balance");
}

/** Whether it is about the request, as its signed body says. The header may name a retry of fal's own. */
function isAbout(callback: Callback, id: string): boolean {
  return createReply.safeParse(jsonIn(callback)).data?.request_id === id;
}

/** Signed over the body's hash and three of the headers. */
function callbackVerifier(isSigned: SignedByPublished): (callback: Callback, signal: AbortSignal) => Promise<boolean> {
  return async ({ headers, body }, signal) => {
    const header = (name: string): string => headers.get(`x-fal-webhook-${name}`) ?? "";
    const signature = fromHex(header("signature"));
    if (!isFresh(header("timestamp")) || signature?.length !== 64) return false;
    const signed = [header("request-id"), header("user-id"), header("timestamp"), hex(await sha256(body))].join("\n");
    return isSigned("Ed25519", [signature], signed, signal);
  };
}
