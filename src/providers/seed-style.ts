// Any server that speaks the seed API, which many resellers do, each with words, envelopes and omissions of its own.
import { z } from "zod";
import { isPromptAgain } from "../core/generation.ts";
import type { Json } from "../core/json.ts";
import type { Job, PollResult, Provider, Submitted, Upstream } from "../ports.ts";
import { callJson, retryAfterMs, type JsonReply } from "./call-json.ts";
import { errorWords, ownErrorWords, readMiss, said } from "./borrowed-wire.ts";
import { endedBadly, foldStatus, statusWord } from "./fold-status.ts";
import { accountError, failureOf, folded, isSuccess, outage, raise, refusalOf, unclear, withoutVideo } from "./judge-reply.ts";
import { resultOpener } from "./open-result.ts";
import { lenient, link, pathId, text } from "./reply-parts.ts";

/** What resellers' links live for, usually. */
const LINK_LIFE_MS = 24 * 60 * 60_000;
const jobId = pathId(255);
const operationSchema = z.object({ id: z.string() });
const sourceSchema = z.object({ url: z.string() });
const made = z.looseObject({ id: jobId, task_id: jobId, enhanced_prompt: lenient(z.string()) });
const createReply = made.extend({ data: lenient(made) });
const jobReply = z.looseObject({
  id: jobId,
  task_id: jobId,
  status: lenient(z.string()),
  video_url: link,
  error: said,
  message: text,
  fail_reason: text,
  detail: lenient(
    z.looseObject({ video_url: link, upsample_video_url: link, error: said, error_message: text, video_generation_error: said }),
  ),
});
const queryReply = jobReply.extend({ data: lenient(jobReply) });
/** `upstream.baseUrl` is without the /v1. Bought as sold: what it calls the models is what we call them. */
export function seedStyle(upstream: Upstream): Provider {
  const { baseUrl } = upstream;
  const ownHeaders = { authorization: `Bearer ${upstream.credential}` };
  const openResult = resultOpener(upstream, ownHeaders);

  async function submit(job: Job, signal: AbortSignal): Promise<Submitted> {
    const headers = { ...ownHeaders, ...(upstream.honoursIdempotencyKey && { "idempotency-key": job.reference }) };
    const reply = await callJson(`${baseUrl}/v1/video/create`, { method: "POST", headers, body: wireJob(job), signal });
    const answer = isSuccess(reply)
      ? readCreated(reply.body, job, upstream)
      : raise(refusalOf(reply, ownErrorWords(reply), job.prompt) ?? unclear("submit", reply));
    return answer ?? raise(unclear("submit", reply));
  }

  async function poll(operation: Json, signal: AbortSignal): Promise<PollResult> {
    const { id } = operationSchema.parse(operation);
    const url = `${baseUrl}/v1/video/query?id=${encodeURIComponent(id)}`;
    const reply = await callJson(url, { method: "GET", headers: ownHeaders, signal });
    const later = accountError(reply) ?? outage(reply);
    if (later !== null) throw later;
    return (isSuccess(reply) ? readJob(reply) : readMiss(reply)) ?? raise(unclear("poll", reply));
  }

  return {
    traits: { images: "url", callback: "none", idempotentCreate: upstream.honoursIdempotencyKey, retentionMs: LINK_LIFE_MS },
    submit,
    poll,
    open: async (source, from, signal) => openResult(sourceSchema.parse(source).url, from, signal),
  };
}

/** Null and false are left out: servers differ in what they make of them, and agree on what absence means. */
function wireJob(job: Job): Json {
  const { model, prompt, generation, images } = job;
  const { upsample, aspectRatio } = generation;
  return {
    model,
    prompt,
    ...(rewrites(job) ? { enhance_prompt: true } : {}),
    ...(upsample ? { enable_upsample: true } : {}),
    ...(aspectRatio === null ? {} : { aspect_ratio: aspectRatio }),
    ...(images.length === 0 ? {} : { images: images.map(({ url }) => url) }),
  };
}

/** Whether it is asked to rewrite the prompt. One that we rewrote is not to be rewritten again. */
function rewrites({ prompt, generation }: Job): boolean {
  return generation.enhancePrompt && prompt === generation.prompt;
}

function readCreated(body: unknown, job: Job, upstream: Upstream): Submitted | null {
  const created = createReply.safeParse(body).data;
  const id = created?.id ?? created?.task_id ?? created?.data?.task_id ?? created?.data?.id;
  if (id == null) return null;
  const rewritten = created?.enhanced_prompt ?? created?.data?.enhanced_prompt ?? "";
  return { operation: { id }, prompt: rewrites(job) && isFit(rewritten, job.prompt, upstream) ? rewritten : null };
}

/** A tenant gets to read it: nothing that says who serves it, leads anywhere, or was ours to keep; but for what the `prompt` says too. */
function isFit(rewritten: string, prompt: string, { baseUrl, credential }: Upstream): boolean {
  const said = rewritten.toLowerCase();
  const asked = prompt.toLowerCase();
  const isNew = (word: string): boolean => !asked.includes(word);
  if ([...dotted(said).filter(isHost), ...wordsIn(said).filter(isToken)].some(isNew)) return false;
  const isTelling = /https?:\/\/|\bwww\.|\bsk-\w/.test(said) || said.includes(new URL(baseUrl).hostname);
  return isPromptAgain(rewritten) && !isTelling && !rewritten.includes(credential);
}

/** Words and what dots join. One pass over the text: it may be long, and made to be slow to search. */
function dotted(text: string): string[] {
  return (text.match(/[\p{L}\p{N}_.-]+/gu) ?? []).map((each) => each.replace(/^[._-]+|[._-]+$/g, ""));
}

function wordsIn(text: string): string[] {
  return text.match(/[\p{L}\p{N}_-]+/gu) ?? [];
}

function isHost(text: string): boolean {
  const labels = text.split(".");
  const isName = labels.length > 1 && labels.at(-2) !== "" && /^\p{L}{2,}$/u.test(labels.at(-1) ?? "");
  return isName || /^\d{1,3}(\.\d{1,3}){3}$/.test(text);
}

/** As ids and keys look, which is not how "19th-century" does. */
function isToken(word: string): boolean {
  const isPlain = /^\d{1,4}(st|nd|rd|th|s|k|mm|fps)(-\p{L}+)*$/u.test(word);
  return word.length >= 12 && /\p{L}/u.test(word) && /\p{N}/u.test(word) && !isPlain;
}

/** Null: it says nothing of the job. */
function readJob(reply: JsonReply): PollResult | null {
  const outer = queryReply.safeParse(reply.body).data;
  const job = outer?.status == null ? (outer?.data ?? outer) : outer;
  if (job?.status == null) return readMiss(reply);
  const word = statusWord(job.status);
  // Of a reply that names no job, "error" is the call's own status.
  if (word === "error" && (job.id ?? job.task_id) == null) return readMiss(reply);
  const { detail, error, message, fail_reason } = job;
  const told = folded([error, message, fail_reason, detail?.error, detail?.error_message, detail?.video_generation_error]);
  const words = `${told} ${errorWords(reply)}`;
  const state = foldStatus(job.status);
  if (state === "succeeded") {
    // Error texts of earlier, internal attempts stay in the reply of a job that succeeded.
    const url = job.video_url ?? detail?.upsample_video_url ?? detail?.video_url;
    return url == null ? withoutVideo(words) : { status: "succeeded", source: { url } };
  }
  if (state === "running") return { status: "running", retryAfterMs: retryAfterMs(reply.headers, Date.now()) };
  // The video is there, and smaller than what was sold. It is paid for over there, which the reason keeps on record.
  const isSmaller = word === "video_upsampling_failed" && (job.video_url ?? detail?.video_url) != null;
  if (isSmaller) return { status: "failed", by: "route", reason: "upstream_invalid_result" };
  return endedBadly(state, () => failureOf(words));
}
