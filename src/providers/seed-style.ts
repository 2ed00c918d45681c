// Any server that speaks the seed API, which many resellers do, each with words, envelopes and omissions of its own.
// The rule that matters most is in `refusal`: what is not clearly a no may be a job that is being paid for.
import { z } from "zod";
import type { Json } from "../core/json.ts";
import { discard, guardedFetch } from "../net/guarded-fetch.ts";
import { resultUrlJudge } from "../net/url-policy.ts";
import { AssetGoneError, RefusedError, RetryableError, UnclearReplyError } from "../core/upstream-errors.ts";
import type { Job, PollResult, Provider, ResumePoint, Submitted, VideoSource } from "../ports.ts";
import { callJson, retryAfterMs, type JsonReply } from "./call-json.ts";

export interface SeedStyleConfig {
  readonly name: string;
  /** Without a trailing slash, and without the /v1. */
  readonly baseUrl: string;
  readonly apiKey: string;
  /** Where its results may be besides its own origin: names or `*.suffix`; null: any public host. */
  readonly resultHosts: readonly string[] | null;
  /** Local runs only. */
  readonly allowLoopback: boolean;
}

/** A member of an unexpected type is as good as absent: a server that adds or changes one must not break the others. */
function lenient<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().catch(null);
}

const MAX_WORDS = 2_000;
const text = lenient(z.union([z.string(), z.number()]).transform((value) => String(value).slice(0, MAX_WORDS)));
const jobId = lenient(z.string().min(1).max(255));
const link = lenient(z.string().trim().min(1).max(8_192));
/** An error is a text, an object of texts, or a list of them. */
const said = lenient(
  z.union([
    z.string().transform((value) => value.slice(0, MAX_WORDS)),
    z.looseObject({ message: text, code: text, type: text }).transform(({ message, code, type }) => joined([code, type, message])),
    z.array(z.looseObject({ msg: text })).transform((items) => joined(items.map(({ msg }) => msg)).slice(0, MAX_WORDS)),
  ]),
);

const operationSchema = z.object({ id: z.string() });
const sourceSchema = z.object({ url: z.string() });
const made = z.looseObject({ id: jobId, task_id: jobId, enhanced_prompt: lenient(z.string().max(20_000)) });
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
const errorReply = z.looseObject({ error: said, detail: said, code: text, message: text });

// Words that no list has mean running: a server with a new one is at work, and the deadline decides.
const SUCCEEDED = /^(completed|success|succeeded|done|video_upsampling_completed)$/;
const FAILED =
  /^(failed|failure|error|video_generation_failed|video_upsampling_failed|cancell?ed|aborted|expired|incomplete|budget_exceeded|requires_action)$/;

// All of these are matched against `folded` words.
const POLICY =
  /support code|responsible ai|usage guidelines|safety|sensitive words|prohibited|unsafe|moderation|flagged|violat.{0,200}polic|polic.{0,200}violat|content policy|prompt blocked/;
const OUT_OF_CREDIT = /insufficient (user )?(quota|balance|credit|fund)|depleted|billing/;
const NO_SUCH_MODEL =
  /model not found|no available (channel|key)|model access denied|(unknown|unsupported|invalid) model|model .{0,80}(not found|not exist|not supported|not available|no longer available)/;
const INVALID = /invalid request|invalid image|invalid parameter|missing parameter/;
const NO_SUCH_JOB =
  /(task|video|job|record)\b.{0,300}\b(not exist|not found|no longer exist)|(no such|unknown|invalid) (task|video|job)\b/;

/**
 * Refusals that are clean even where no provider's own words come with them, as from a proxy or firewall in front of it: who answers
 * these has looked at the request and not begun it. Others (408, 409, 425, 499, ...) may stand for a request that was passed on.
 */
const CLEAN_WITHOUT_WORDS = [400, 401, 402, 403, 404, 405, 413, 414, 415, 422, 429];
/** These are about the operator's account, whatever words come with them. */
const ABOUT_THE_ACCOUNT = [401, 402, 429];
/** An operator has to act first; until then other routes are tried. */
const ACCOUNT_WAIT_MS = 60_000;

export function seedStyle(config: SeedStyleConfig): Provider {
  const { baseUrl, resultHosts, allowLoopback } = config;
  const ownHeaders = { authorization: `Bearer ${config.apiKey}` };
  const ownOrigin = new URL(baseUrl).origin;
  const fetchResult = guardedFetch({
    judge: resultUrlJudge({ ownOrigin, hosts: resultHosts, allowLoopback }),
    ownOrigin,
    ownHeaders,
  });
  const unclear = (verb: string, { status }: { status: number }): Error =>
    new UnclearReplyError(`${verb} answered ${status}, and nothing that could be understood`);

  async function submit(job: Job, signal: AbortSignal): Promise<Submitted> {
    const reply = await callJson(`${baseUrl}/v1/video/create`, { method: "POST", headers: ownHeaders, body: wireJob(job), signal });
    const answer = isSuccess(reply) ? readCreated(reply.body) : raise(refusal(reply) ?? unclear("submit", reply));
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

  async function open(source: Json, from: ResumePoint | null, signal: AbortSignal): Promise<VideoSource> {
    const { url } = sourceSchema.parse(source);
    const range: Record<string, string> = from === null ? {} : { range: `bytes=${from.offset}-`, "if-range": from.validator };
    const response = await fetchResult(url, { headers: range, signal });
    const video = readVideo(response, from);
    if (video !== null) return video;
    await discard(response);
    // Whatever is wrong with a part, the whole may still be had.
    if (from !== null && [206, 416].includes(response.status)) return open(source, null, signal);
    if ([200, 403, 404, 410].includes(response.status)) throw new AssetGoneError();
    throw unclear("download", response);
  }

  return { submit, poll, open };
}

/** Null and false are left out: servers differ in what they make of them, and agree on what absence means. */
function wireJob({ model, prompt, generation }: Job): Json {
  const { enhancePrompt, upsample, aspectRatio, images } = generation;
  return {
    model,
    prompt,
    // A prompt that we rewrote is not to be rewritten again.
    ...(enhancePrompt && prompt === generation.prompt ? { enhance_prompt: true } : {}),
    ...(upsample ? { enable_upsample: true } : {}),
    ...(aspectRatio === null ? {} : { aspect_ratio: aspectRatio }),
    ...(images.length === 0 ? {} : { images }),
  };
}

function readCreated(body: unknown): Submitted | null {
  const created = createReply.safeParse(body).data;
  const id = created?.id ?? created?.task_id ?? created?.data?.task_id ?? created?.data?.id;
  if (id == null) return null;
  const rewritten = created?.enhanced_prompt ?? created?.data?.enhanced_prompt ?? "";
  return { operation: { id }, prompt: rewritten.trim() === "" ? null : rewritten };
}

/** Null: it cannot be told from a job that was started, so that the submit must not be repeated. */
function refusal(reply: JsonReply): RetryableError | RefusedError | null {
  const { status } = reply;
  const clean = isOwnError(reply) ? (status >= 400 && status < 500) || status === 503 : CLEAN_WITHOUT_WORDS.includes(status);
  if (!clean) return null;
  const words = errorWords(reply);
  // Words before numbers: providers send policy blocks, and models that they do not serve, under nearly any status.
  if (POLICY.test(words) && !ABOUT_THE_ACCOUNT.includes(status)) return new RefusedError("task", "content_policy");
  if (OUT_OF_CREDIT.test(words)) return new RetryableError("out_of_credit", ACCOUNT_WAIT_MS);
  if (NO_SUCH_MODEL.test(words)) return new RefusedError("route", "upstream_rejected");
  const later = accountError(reply) ?? outage(reply);
  if (later !== null) return later;
  const invalid = status === 400 || status === 422 || INVALID.test(words);
  return new RefusedError(invalid ? "task" : "route", "upstream_rejected");
}

function accountError({ status, headers }: JsonReply): RetryableError | null {
  if (status === 401 || status === 403) return new RetryableError("unauthorized", ACCOUNT_WAIT_MS);
  if (status === 402) return new RetryableError("out_of_credit", ACCOUNT_WAIT_MS);
  return status === 429 ? new RetryableError("rate_limited", retryAfterMs(headers, Date.now())) : null;
}

function outage({ status, headers }: JsonReply): RetryableError | null {
  const passes = status >= 500 || status === 408 || status === 425;
  return passes ? new RetryableError("unavailable", retryAfterMs(headers, Date.now())) : null;
}

/** Whether the provider itself answers with an error, in one of the envelopes that seed-style servers use. */
function isOwnError({ body, headers }: JsonReply): boolean {
  // CDNs answer in JSON too, while what is behind them may have taken the request: problem documents are theirs.
  if (headers.get("content-type")?.includes("problem+json") === true) return false;
  const { error, detail, code, message } = errorReply.safeParse(body).data ?? {};
  return Boolean(error) || Boolean(detail) || (Boolean(code) && message != null);
}

function errorWords({ body }: JsonReply): string {
  const { error, detail, code, message } = errorReply.safeParse(body).data ?? {};
  return folded([error, detail, code, message]);
}

/** A job that the provider, in its own words, does not know. A proxy's page saying 404 is no news of the job. */
function readMiss(reply: JsonReply): PollResult | null {
  const misses = reply.status === 404 ? reply.readable : NO_SUCH_JOB.test(errorWords(reply));
  return misses ? { status: "missing" } : null;
}

/** Null: it says nothing of the job. */
function readJob(reply: JsonReply): PollResult | null {
  const outer = queryReply.safeParse(reply.body).data;
  const job = outer?.status == null ? (outer?.data ?? outer) : outer;
  if (job?.status == null) return readMiss(reply);
  const word = job.status
    .trim()
    .toLowerCase()
    .replace(/[\s-]+/g, "_");
  // Of a reply that names no job, "error" is the call's own status.
  if (word === "error" && (job.id ?? job.task_id) == null) return readMiss(reply);
  const { detail } = job;
  if (SUCCEEDED.test(word)) {
    // Error texts of earlier, internal attempts stay in the reply of a job that succeeded.
    const url = job.video_url ?? detail?.upsample_video_url ?? detail?.video_url;
    return url == null ? { status: "empty" } : { status: "succeeded", source: { url } };
  }
  if (!FAILED.test(word)) return { status: "running", retryAfterMs: retryAfterMs(reply.headers, Date.now()) };
  // The video is there, only not enlarged.
  const plain = word === "video_upsampling_failed" ? (job.video_url ?? detail?.video_url) : null;
  if (plain != null) return { status: "succeeded", source: { url: plain } };
  const { error, message, fail_reason } = job;
  const words = folded([error, message, fail_reason, detail?.error, detail?.error_message, detail?.video_generation_error]);
  const isPolicy = POLICY.test(words) || POLICY.test(errorWords(reply));
  return { status: "failed", reason: isPolicy ? "content_policy" : "upstream_rejected" };
}

/** Null: there is no video in it, or not the part of it that was asked for. */
function readVideo(response: Response, from: ResumePoint | null): VideoSource | null {
  const { status, headers, body } = response;
  // Gateways and buckets put their errors under 200, too.
  const isProse = /^(text\/|application\/([\w.-]+\+)?(json|xml))/i.test(headers.get("content-type") ?? "");
  if (body === null || isProse || (status !== 200 && status !== 206)) return null;
  const isPlain = (headers.get("content-encoding") ?? "identity") === "identity";
  const etag = headers.get("etag") ?? "";
  const validator = isPlain && /^"[^"]*"$/.test(etag) ? etag : null;
  if (status === 206) {
    const [start, last, size] =
      /^bytes (\d+)-(\d+)\/(\d+)$/
        .exec(headers.get("content-range") ?? "")
        ?.slice(1)
        .map(Number) ?? [];
    // All of the rest, and of the same file: a server that ignores If-Range would send the end of another.
    const isRest = start === from?.offset && last !== undefined && last + 1 === size;
    if (!isRest || validator === null || validator !== from?.validator) return null;
  }
  const length = headers.get("content-length") ?? "";
  return {
    body,
    length: isPlain && /^\d{1,15}$/.test(length) ? Number(length) : null,
    offset: status === 206 && from !== null ? from.offset : 0,
    validator,
  };
}

function isSuccess({ status }: JsonReply): boolean {
  return status >= 200 && status < 300;
}

function joined(words: readonly (string | null | undefined)[]): string {
  return words.filter(Boolean).join(" ");
}

function folded(words: readonly (string | null | undefined)[]): string {
  return joined(words)
    .toLowerCase()
    .replace(/[_\s:-]+/g, " ");
}

function raise(error: Error): never {
  throw error;
}
