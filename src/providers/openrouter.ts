// OpenRouter's video API, which has many vendors' models behind one wire. Its `unsigned_urls` are not public: they are its own
// content endpoint, which asks for the key; what it signs is in `urls`.
import { z } from "zod";
import { fromHex } from "../core/encoding.ts";
import { verifyHmac } from "../core/hmac.ts";
import type { Json } from "../core/json.ts";
import type { ModelName } from "../core/models.ts";
import { RefusedError } from "../core/upstream-errors.ts";
import type { Callback, Job, JobImage, PollResult, Provider, ResumePoint, Submitted, Upstream, VideoSource } from "../ports.ts";
import { callJson, retryAfterMs, type JsonReply } from "./call-json.ts";
import { isProblem } from "./borrowed-wire.ts";
import { isFresh, jsonIn } from "./callback-signature.ts";
import { endedBadly, foldStatus } from "./fold-status.ts";
import { imageRoles } from "./image-roles.ts";
import {
  accountError,
  failureOf,
  folded,
  isSuccess,
  joined,
  outage,
  raise,
  refusalOf,
  says,
  unclear,
  withoutVideo,
} from "./judge-reply.ts";
import { openEither, resultOpener } from "./open-result.ts";
import { lenient, link, pathId, text, words } from "./reply-parts.ts";

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

const jobId = pathId(255);
/** Only the first of a job's videos is ours: one was asked for. */
const links = lenient(z.array(z.unknown()).transform(([first]) => link.parse(first)));
/** Of a job a text, of a call an object, which may carry the vendor's own words. */
const said = lenient(
  z.union([
    words,
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

/** Its way of saying that it does not serve the model, under a 400. */
const NO_SUCH_MODEL = /not a valid model/;

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
    if (!isSuccess(reply)) throw refusal(reply, job.prompt) ?? unclear("submit", reply);
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
    const state = foldStatus(job.status);
    if (state === "running") return { status: "running", retryAfterMs: retryAfterMs(reply.headers, Date.now()) };
    if (state !== "succeeded") return endedBadly(state, () => failureOf(folded([job.error])));
    const { unsigned_urls: unsigned, urls: signed } = job;
    if (unsigned == null) {
      if (signed == null) return withoutVideo(folded([job.error]));
      return { status: "succeeded", source: { url: signed, otherwise: null } };
    }
    return { status: "succeeded", source: { url: ownUrl(unsigned) ?? `${own}/content?index=0`, otherwise: signed ?? null } };
  }

  /** Its endpoint passes on what the vendor still has, its storage what it kept itself: one may be gone before the other. */
  async function open(source: Json, from: ResumePoint | null, signal: AbortSignal): Promise<VideoSource> {
    return openEither(openResult, sourceSchema.parse(source), from, signal);
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
    // Other callback URLs than https are refused, and with them the job.
    traits: { images: "url", callback: "https", idempotentCreate: upstream.honoursIdempotencyKey, retentionMs: null },
    submit,
    poll,
    open,
    // A workspace without a secret sends them unsigned. The URL is secret, too, and what comes there only a hint.
    ...(upstream.callbackSecrets.length > 0 && { isGenuine }),
  };
}

/** The wire has no word for rewriting prompts. */
function wireJob(job: Job): Json {
  const { model, prompt, generation, callbackUrl } = job;
  const { aspectRatio, upsample } = generation;
  const { first, last, references } = imageRoles(job);
  const frames = [wireFrame(first, "first_frame"), wireFrame(last, "last_frame")].flat();
  return {
    model,
    prompt,
    duration: SECONDS,
    resolution: upsample ? "1080p" : "720p",
    ...(aspectRatio === null ? {} : { aspect_ratio: aspectRatio }),
    ...(references.length > 0 ? { input_references: references.map(wireImage) } : {}),
    ...(frames.length > 0 ? { frame_images: frames } : {}),
    ...(callbackUrl === null ? {} : { callback_url: callbackUrl }),
  };
}

function wireImage({ url }: JobImage): Record<string, Json> {
  return { type: "image_url", image_url: { url } };
}

function wireFrame(image: JobImage | null, type: "first_frame" | "last_frame"): Json[] {
  return image === null ? [] : [{ ...wireImage(image), frame_type: type }];
}

/** Null: it cannot be told from a job that was started. */
function refusal(reply: JsonReply, prompt: string): Error | null {
  const error = isProblem(reply) ? null : jobReply.safeParse(reply.body).data?.error;
  const own = error ? folded([error]) : null;
  if (reply.status === 400 && says(own ?? "", NO_SUCH_MODEL, prompt)) return new RefusedError("model", "upstream_rejected");
  return refusalOf(reply, own, prompt);
}
