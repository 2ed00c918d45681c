// Any server that speaks OpenAI's video API (/v1/videos): vLLM-Omni, SGLang, LiteLLM, new-api, and many resellers, each with words and
// members of its own. Never OpenAI's own, which is closed: there is no default host, the operator names one.
import { z } from "zod";
import type { Json } from "../core/json.ts";
import { MODEL_NAMES, type ModelName } from "../core/models.ts";
import { RefusedError } from "../core/upstream-errors.ts";
import type { Job, PollResult, Provider, ResumePoint, Submitted, Upstream, VideoSource } from "../ports.ts";
import { callJson, retryAfterMs, type JsonReply } from "./call-json.ts";
import { errorWords, ownErrorWords, readMiss, said } from "./borrowed-wire.ts";
import { endedBadly, foldStatus, statusWord } from "./fold-status.ts";
import { accountError, failureOf, folded, isSuccess, outage, raise, refusalOf, unclear } from "./judge-reply.ts";
import { openEither, resultOpener } from "./open-result.ts";
import { lenient, link, pathId, text } from "./reply-parts.ts";

/** The wire fixes no names for models: until the operator says what the server calls them, they are called what we call them. */
export const MODELS = Object.fromEntries(MODEL_NAMES.map((name) => [name, name])) as Readonly<Record<ModelName, string>>;

/** One image has a place on this wire. */
export const MAX_IMAGES = 1;

/** LiteLLM packs its routing into the id, so that it is long. */
const jobId = pathId(2_048);

const operationSchema = z.object({ id: z.string() });
const sourceSchema = z.object({ url: z.string(), otherwise: z.string().nullable() });
// `progress` and the times are not read: in the wild they come as texts, in milliseconds, or not at all.
const video = z.looseObject({
  id: jobId,
  task_id: jobId,
  status: lenient(z.string()),
  url: link,
  video_url: link,
  metadata: lenient(z.looseObject({ url: link })),
  error: said,
  message: text,
  fail_reason: text,
});
/** Task layers put the video into an envelope of their own. */
const videoReply = video.extend({ data: lenient(video) });
// Both are what is charged by, and the wire's own defaults are 4 seconds of portrait.
const SECONDS = "8";
const SIZES = { "16:9": ["1280x720", "1792x1024"], "9:16": ["720x1280", "1024x1792"] } as const;

/** `upstream.baseUrl` is without the /v1. */
export function openaiStyle(upstream: Upstream): Provider {
  const videos = `${upstream.baseUrl}/v1/videos`;
  const ownHeaders = { authorization: `Bearer ${upstream.credential}` };
  const openResult = resultOpener(upstream, ownHeaders);

  async function submit(job: Job, signal: AbortSignal): Promise<Submitted> {
    const headers = { ...ownHeaders, ...(upstream.honoursIdempotencyKey && { "idempotency-key": job.reference }) };
    const reply = await callJson(videos, { method: "POST", headers, form: wireJob(job), signal });
    if (!isSuccess(reply)) throw refusalOf(reply, ownErrorWords(reply), job.prompt) ?? unclear("submit", reply);
    const { id, task_id, data } = videoReply.safeParse(reply.body).data ?? {};
    const known = id ?? task_id ?? data?.id ?? data?.task_id ?? raise(unclear("submit", reply));
    return { operation: { id: known }, prompt: null };
  }

  async function poll(operation: Json, signal: AbortSignal): Promise<PollResult> {
    const own = `${videos}/${encodeURIComponent(operationSchema.parse(operation).id)}`;
    const reply = await callJson(own, { method: "GET", headers: ownHeaders, signal });
    const later = accountError(reply) ?? outage(reply);
    if (later !== null) throw later;
    return (isSuccess(reply) ? readVideo(reply, own) : readMiss(reply)) ?? raise(unclear("poll", reply));
  }

  /** Servers differ in which of the two works: some name links that have expired or that only they can reach, some serve no content. */
  async function open(source: Json, from: ResumePoint | null, signal: AbortSignal): Promise<VideoSource> {
    return openEither(openResult, sourceSchema.parse(source), from, signal);
  }

  return {
    traits: { images: "inline", callback: "none", idempotentCreate: upstream.honoursIdempotencyKey, retentionMs: null },
    submit,
    poll,
    open,
  };
}

/** The wire has no word for rewriting prompts. */
function wireJob({ model, prompt, generation, images }: Job): FormData {
  const [plain, larger] = SIZES[generation.aspectRatio ?? "16:9"];
  const form = new FormData();
  form.set("model", model);
  form.set("prompt", prompt);
  form.set("seconds", SECONDS);
  form.set("size", generation.upsample ? larger : plain);
  const [image] = images;
  if (image === undefined) return form;
  if (image.file === null || images.length > MAX_IMAGES) throw new RefusedError("route", "upstream_rejected");
  const { bytes, mimeType } = image.file;
  form.set("input_reference", new File([bytes], `reference.${mimeType.slice("image/".length)}`, { type: mimeType }));
  return form;
}

/** `own`: where the server has the job. Null: the reply says nothing of it. */
function readVideo(reply: JsonReply, own: string): PollResult | null {
  const outer = videoReply.safeParse(reply.body).data;
  const job = outer?.status == null ? (outer?.data ?? outer) : outer;
  if (job?.status == null) return readMiss(reply);
  const word = statusWord(job.status);
  // Of a reply that names no job, "error" is the call's own status.
  if (word === "error" && (job.id ?? job.task_id) == null) return readMiss(reply);
  const state = foldStatus(job.status);
  if (state === "succeeded") {
    const content = `${own}/content`;
    const named = job.url ?? job.video_url ?? job.metadata?.url;
    const url = named == null ? null : (URL.parse(named, own)?.href ?? null);
    return { status: "succeeded", source: url === null ? { url: content, otherwise: null } : { url, otherwise: content } };
  }
  if (state === "running") return { status: "running", retryAfterMs: pollAfterMs(reply.headers) };
  const { error, message, fail_reason } = job;
  return endedBadly(state, () => failureOf(`${folded([error, message, fail_reason])} ${errorWords(reply)}`));
}

function pollAfterMs(headers: Headers): number | null {
  const hint = headers.get("openai-poll-after-ms") ?? "";
  return /^\d{1,9}$/.test(hint) ? Number(hint) : retryAfterMs(headers, Date.now());
}
