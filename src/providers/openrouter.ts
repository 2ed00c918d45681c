// OpenRouter's video API, which has many vendors' models behind one wire. Its `unsigned_urls` are not public: they are its own
// content endpoint, which asks for the key; what it signs is in `urls`.
import { z } from "zod";
import { fromHex } from "../core/encoding.ts";
import { verifyHmac } from "../core/hmac.ts";
import type { Json } from "../core/json.ts";
import { catalogue, type ModelName } from "../core/models.ts";
import { AssetGoneError, RefusedError } from "../core/upstream-errors.ts";
import type { Callback, Job, PollResult, Provider, ResumePoint, Submitted, Upstream, VideoSource } from "../ports.ts";
import { callJson, retryAfterMs, type JsonReply } from "./call-json.ts";
import { isFresh, jsonIn } from "./callback-signature.ts";
import { accountError, folded, isSuccess, joined, lenient, outage, POLICY, raise, refusalOf, unclear } from "./judge-reply.ts";
import { resultOpener } from "./open-result.ts";

export const BASE_URL = "https://openrouter.ai/api";

/** What it serves changes: GET /v1/videos/models is the list that counts. */
export const MODELS: Readonly<Record<ModelName, string>> = {
  veo2: "google/veo-3.1",
  "veo2-fast": "google/veo-3.1-fast",
  "veo2-pro": "google/veo-3.1",
  "veo2-fast-frames": "google/veo-3.1-fast",
  "veo2-fast-components": "google/veo-3.1",
  veo3: "google/veo-3.1",
  "veo3-fast": "google/veo-3.1-fast",
  "veo3-pro": "google/veo-3.1",
  "veo3-pro-frames": "google/veo-3.1",
  "veo3.1": "google/veo-3.1",
  "veo3.1-fast": "google/veo-3.1-fast",
};

const MAX_WORDS = 2_000;
const text = lenient(z.union([z.string(), z.number()]).transform((value) => String(value).slice(0, MAX_WORDS)));
/** Dots alone would lead out of the path that the id is put into. */
const jobId = lenient(
  z
    .string()
    .min(1)
    .max(255)
    .refine((id) => !/^\.+$/.test(id)),
);
const link = lenient(z.string().trim().min(1).max(8_192));
/** Only the first of a job's videos is ours: one was asked for. */
const links = lenient(z.array(z.unknown()).transform(([first]) => link.parse(first)));
/** Of a job a text, of a call an object, which may carry the vendor's own words. */
const said = lenient(
  z.union([
    z.string().transform((value) => value.slice(0, MAX_WORDS)),
    z
      .looseObject({
        message: text,
        metadata: lenient(
          z.looseObject({ raw: text, reasons: lenient(z.array(z.unknown()).transform((all) => text.parse(all[0]))) }),
        ),
      })
      .transform(({ message, metadata }) => joined([message, metadata?.raw, metadata?.reasons])),
  ]),
);

const operationSchema = z.object({ id: z.string(), pollingUrl: z.string().nullable() });
const sourceSchema = z.object({ url: z.string(), otherwise: z.string().nullable() });
const jobReply = z.looseObject({
  id: jobId,
  polling_url: link,
  status: lenient(z.string()),
  unsigned_urls: links,
  urls: links,
  error: said,
});

const callbackBody = z.looseObject({ data: z.looseObject({ id: jobId }) });
/** Its header, whose order and further members are open. */
const SIGNATURE = { time: /(?:^|,)\s*t=(\d{1,12})\s*(?:,|$)/, hash: /(?:^|,)\s*v1=([\da-f]{64})\s*(?:,|$)/ };

// Words that no list has mean running: the set is documented as open, and the deadline decides.
const FAILED = /^(failed|failure|error|cancell?ed|aborted|expired|incomplete)$/;
const SUCCEEDED = /^(completed|success|succeeded|done)$/;
/** Its way of saying that it does not serve the model, under a 400. */
const NO_SUCH_MODEL = /not a valid model/;

const CATALOGUE = catalogue();
// What it charges by, and vendors' defaults differ.
const SECONDS = 8;

/** `upstream.baseUrl` is without the /v1. */
export function openrouter(upstream: Upstream): Provider {
  const root = new URL(upstream.baseUrl).href.replace(/\/+$/, "");
  const videos = `${root}/v1/videos`;
  const ownHeaders = { authorization: `Bearer ${upstream.credential}` };
  const openResult = resultOpener(upstream, ownHeaders);

  /** A URL of a reply, where it leads to the configured API and nowhere else. Relative ones are documented. */
  function ownUrl(url: string | null | undefined): string | null {
    const href = url == null ? undefined : URL.parse(url, `${root}/`)?.href;
    return href?.startsWith(`${root}/`) === true ? href : null;
  }

  async function submit(job: Job, signal: AbortSignal): Promise<Submitted> {
    const headers = { ...ownHeaders, ...(upstream.honoursIdempotencyKey && { "idempotency-key": job.reference }) };
    const reply = await callJson(videos, { method: "POST", headers, body: wireJob(job), signal });
    if (!isSuccess(reply)) throw refusal(reply) ?? unclear("submit", reply);
    const { id, polling_url } = jobReply.safeParse(reply.body).data ?? {};
    return { operation: { id: id ?? raise(unclear("submit", reply)), pollingUrl: polling_url ?? null }, prompt: null };
  }

  async function poll(operation: Json, signal: AbortSignal): Promise<PollResult> {
    const { id, pollingUrl } = operationSchema.parse(operation);
    const own = `${videos}/${encodeURIComponent(id)}`;
    const reply = await callJson(ownUrl(pollingUrl) ?? own, { method: "GET", headers: ownHeaders, signal });
    const later = accountError(reply) ?? outage(reply);
    if (later !== null) throw later;
    if (reply.status === 404 && reply.readable) return { status: "missing" };
    const job = isSuccess(reply) ? jobReply.safeParse(reply.body).data : null;
    if (job?.status == null) throw unclear("poll", reply);
    const word = job.status
      .trim()
      .toLowerCase()
      .replace(/[\s-]+/g, "_");
    if (FAILED.test(word)) {
      return { status: "failed", reason: POLICY.test(folded([job.error])) ? "content_policy" : "upstream_rejected" };
    }
    if (!SUCCEEDED.test(word)) return { status: "running", retryAfterMs: retryAfterMs(reply.headers, Date.now()) };
    const { unsigned_urls: unsigned, urls: signed } = job;
    if (unsigned == null)
      return signed == null ? { status: "empty" } : { status: "succeeded", source: { url: signed, otherwise: null } };
    return { status: "succeeded", source: { url: ownUrl(unsigned) ?? `${own}/content?index=0`, otherwise: signed ?? null } };
  }

  /** Its endpoint passes on what the vendor still has, its storage what it kept itself: one may be gone before the other. */
  async function open(source: Json, from: ResumePoint | null, signal: AbortSignal): Promise<VideoSource> {
    const { url, otherwise } = sourceSchema.parse(source);
    try {
      return await openResult(url, from, signal);
    } catch (error) {
      if (!(error instanceof AssetGoneError) || otherwise === null) throw error;
      return openResult(otherwise, from, signal);
    }
  }

  async function isGenuine(callback: Callback, operation: Json): Promise<boolean> {
    const { id } = operationSchema.parse(operation);
    if (callbackBody.safeParse(jsonIn(callback)).data?.data.id !== id) return false;
    const header = callback.headers.get("x-openrouter-signature") ?? "";
    const time = SIGNATURE.time.exec(header)?.[1] ?? "";
    const hash = fromHex(SIGNATURE.hash.exec(header)?.[1] ?? "");
    if (!isFresh(time) || hash === null) return false;
    const checks = upstream.callbackSecrets.map(async (secret) => verifyHmac(secret, `${time},${callback.body}`, hash));
    return (await Promise.all(checks)).includes(true);
  }

  return {
    traits: { images: "url", callback: true, idempotentCreate: upstream.honoursIdempotencyKey, retentionMs: null },
    submit,
    poll,
    open,
    // A workspace without a secret sends them unsigned. The URL is secret, too, and what comes there only a hint.
    ...(upstream.callbackSecrets.length > 0 && { isGenuine }),
  };
}

/** The wire has no word for rewriting prompts. */
function wireJob({ model, prompt, generation, images, callbackUrl }: Job): Json {
  const { aspectRatio, upsample } = generation;
  const parts = images.map(({ url }) => ({ type: "image_url", image_url: { url } }));
  const areReferences = CATALOGUE[generation.model].imageRole === "components";
  return {
    model,
    prompt,
    duration: SECONDS,
    resolution: upsample ? "1080p" : "720p",
    ...(aspectRatio === null ? {} : { aspect_ratio: aspectRatio }),
    ...(areReferences && parts.length > 0 ? { input_references: parts } : {}),
    ...(!areReferences && parts.length > 0 ? { frame_images: framesOf(parts) } : {}),
    // Others than https are refused, and with them the job.
    ...(callbackUrl?.startsWith("https:") === true ? { callback_url: callbackUrl } : {}),
  };
}

function framesOf(parts: readonly Record<string, Json>[]): Json {
  return parts.map((part, index) => ({ ...part, frame_type: index === 0 ? "first_frame" : "last_frame" }));
}

/** Null: it cannot be told from a job that was started. */
function refusal(reply: JsonReply): Error | null {
  // CDNs answer in JSON too, while what is behind them may have taken the request: problem documents are theirs.
  const isCdn = reply.headers.get("content-type")?.includes("problem+json") === true;
  const error = isCdn ? null : jobReply.safeParse(reply.body).data?.error;
  const words = error ? folded([error]) : null;
  if (reply.status === 400 && words !== null && NO_SUCH_MODEL.test(words)) return new RefusedError("route", "upstream_rejected");
  return refusalOf(reply, words);
}
