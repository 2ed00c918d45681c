// Google's Veo over predictLongRunning: on Vertex, and in the Developer API's form, which resellers speak where Google itself no longer
// does. A job is an operation, whose reply names the video, its place in a bucket, or carries it.
import { z } from "zod";
import type { Json } from "../core/json.ts";
import type { ModelName } from "../core/models.ts";
import type { ImageType } from "../core/reference-image.ts";
import type { Job, JobImage, PollResult, Provider, Submitted, Upstream } from "../ports.ts";
import { MAX_REPLY_BYTES, retryAfterMs } from "./call-json.ts";
import { googleAccount, googleBaseUrl, type BareCall } from "./google-account.ts";
import { errorOf, googleError, googleFailure, googleRefusal, isAudioFilter, reasonToWait, saysNothing } from "./google-errors.ts";
import { isServiceAccount, readServiceAccount } from "./google-sign-in.ts";
import { imageRoles } from "./image-roles.ts";
import { base64 } from "./inline-video.ts";
import type { JsonPath } from "./json-pieces.ts";
import { folded, isSuccess, unclear } from "./judge-reply.ts";
import { lenient, link } from "./reply-parts.ts";

const DEFAULT_REGION = "us-central1";
const SECONDS = 8;

/** In the Developer API's form. */
export const MODELS: Readonly<Record<ModelName, string>> = {
  veo2: "veo-2.0-generate-001",
  "veo2-fast": "veo-2.0-generate-001",
  "veo2-pro": "veo-2.0-generate-001",
  "veo2-fast-frames": "veo-2.0-generate-001",
  "veo2-fast-components": "veo-2.0-generate-001",
  veo3: "veo-3.0-generate-001",
  "veo3-fast": "veo-3.0-fast-generate-001",
  "veo3-pro": "veo-3.0-generate-001",
  "veo3-pro-frames": "veo-3.0-generate-001",
  "veo3.1": "veo-3.1-generate-preview",
  "veo3.1-fast": "veo-3.1-fast-generate-preview",
};

/** On Vertex, which has no older ones any more. */
export const VERTEX_MODELS: Readonly<Record<ModelName, string>> = {
  veo2: "veo-3.1-generate-001",
  "veo2-fast": "veo-3.1-fast-generate-001",
  "veo2-pro": "veo-3.1-generate-001",
  "veo2-fast-frames": "veo-3.1-fast-generate-001",
  "veo2-fast-components": "veo-3.1-generate-001",
  veo3: "veo-3.1-generate-001",
  "veo3-fast": "veo-3.1-fast-generate-001",
  "veo3-pro": "veo-3.1-generate-001",
  "veo3-pro-frames": "veo-3.1-generate-001",
  "veo3.1": "veo-3.1-generate-001",
  "veo3.1-fast": "veo-3.1-fast-generate-001",
};

/** It has one resolution. */
export function isVeo2(model: string): boolean {
  return /^veo-2\b/.test(model);
}

/** The defaults for the credential's form. */
export function modelsOf(credential: string): Readonly<Record<ModelName, string>> {
  return isServiceAccount(credential) ? VERTEX_MODELS : MODELS;
}

/** Google's Developer API has no other; on Vertex newer models are said to. */
export function imageTypesOf(credential: string): readonly ImageType[] | null {
  return isServiceAccount(credential) ? null : ["image/jpeg", "image/png"];
}

export function baseUrlOf(credential: string, region: string | null): string {
  return googleBaseUrl(credential, region ?? DEFAULT_REGION);
}

/** An operation that Google does not have. On Vertex it is of the account's own project: another's would be refused, whatever the key. */
export function probeOf(credential: string, region: string | null): Json {
  if (!isServiceAccount(credential)) return { name: `models/${MODELS.veo3}/operations/reelay-check` };
  const project = readServiceAccount(credential, true)?.project_id ?? "reelay-check";
  const model = `projects/${project}/locations/${region ?? DEFAULT_REGION}/publishers/google/models/${VERTEX_MODELS.veo3}`;
  return { name: `${model}/operations/00000000-0000-4000-8000-000000000000` };
}

/** Becomes a path as it is: steps of plain letters, none of them dots only. */
const operationName = z
  .string()
  .max(1_024)
  .regex(/^[\w~-][\w.~:@-]*(\/[\w~-][\w.~:@-]*)*$/);
const onVertex = operationName.regex(/^projects\/.+\/models\/[^/]+\/operations\/[^/]+$/);
const operationSchema = z.object({ name: operationName });
const jsonPath = z.array(z.union([z.string(), z.number()]));
const sourceSchema = z.union([z.object({ url: z.string() }), z.object({ inline: jsonPath, operation: operationSchema })]);

const inline = lenient(z.string().min(1));
const video = z.looseObject({
  uri: link,
  gcsUri: link,
  bytesBase64Encoded: inline,
  encodedVideo: inline,
  videoBytes: inline,
});
const videos = lenient(z.array(lenient(video.extend({ video: lenient(video) }))));
const outcome = z.looseObject({
  generatedSamples: videos,
  generatedVideos: videos,
  videos,
  raiMediaFilteredCount: lenient(z.union([z.number(), z.string().regex(/^\d+$/).transform(Number)])),
  raiMediaFilteredReasons: lenient(z.array(lenient(z.string()))),
});
const created = z.looseObject({ name: operationName });
const operationReply = z.looseObject({
  name: lenient(z.string()),
  done: lenient(z.union([z.boolean(), z.literal(["true", 1]).transform(() => true)])),
  error: lenient(googleError),
  response: lenient(outcome.extend({ generateVideoResponse: lenient(outcome) })),
});
type Outcome = z.infer<typeof outcome>;
type Video = z.infer<typeof video>;

const LISTS = ["generatedSamples", "videos", "generatedVideos"] as const;
const INLINE = ["bytesBase64Encoded", "encodedVideo", "videoBytes"] as const;

/** `upstream.baseUrl` is without the API's version. */
export function veo(upstream: Upstream): Provider {
  const { baseUrl, honoursIdempotencyKey } = upstream;
  const region = upstream.region ?? DEFAULT_REGION;
  const account = googleAccount(upstream);
  const { isVertex, project } = account;
  const models = isVertex ? `v1/${project}/locations/${region}/publishers/google/models` : "v1beta/models";

  async function submit(job: Job, signal: AbortSignal): Promise<Submitted> {
    const url = `${baseUrl}/${models}/${encodeURIComponent(job.model)}:predictLongRunning`;
    const headers = honoursIdempotencyKey ? { "idempotency-key": job.reference } : {};
    const reply = await account.call(url, { method: "POST", headers, body: wireJob(job), maxBytes: MAX_REPLY_BYTES, signal });
    if (!isSuccess(reply)) throw googleRefusal(reply, job.prompt) ?? unclear("submit", reply);
    const name = created.safeParse(reply.body).data?.name;
    if (name === undefined || (isVertex && !onVertex.safeParse(name).success)) throw unclear("submit", reply);
    return { operation: { name }, prompt: null };
  }

  /** The call that tells how an operation is doing. */
  function look({ name }: { name: string }, signal: AbortSignal): [url: string, call: BareCall] {
    if (!isVertex) return [`${baseUrl}/v1beta/${name}`, { method: "GET", signal }];
    const model = onVertex.parse(name).replace(/\/operations\/[^/]+$/, "");
    return [`${baseUrl}/v1/${model}:fetchPredictOperation`, { method: "POST", body: { operationName: name }, signal }];
  }

  async function poll(handle: Json, signal: AbortSignal): Promise<PollResult> {
    const operation = operationSchema.parse(handle);
    const reply = await account.call(...look(operation, signal));
    const later = reasonToWait(reply);
    if (later !== null) throw later;
    if (reply.status === 404 && errorOf(reply) !== null) return { status: "missing" };
    const answer = isSuccess(reply) ? readOperation(reply.body, operation) : null;
    if (answer === null) throw unclear("poll", reply);
    return answer.status === "running" ? { ...answer, retryAfterMs: retryAfterMs(reply.headers, Date.now()) } : answer;
  }

  return {
    traits: { images: "inline", callback: "none", idempotentCreate: honoursIdempotencyKey, retentionMs: account.retentionMs },
    submit,
    poll,
    open: async (handle, from, signal) => {
      const source = sourceSchema.parse(handle);
      if ("url" in source) return account.openUrl(source.url, from, signal);
      return account.openInline(...look(source.operation, signal), source.inline);
    },
  };

  function wireJob(job: Job): Json {
    const { prompt, model, generation } = job;
    const isOld = isVeo2(model);
    return {
      instances: [{ prompt, ...wireImages(job) }],
      parameters: {
        sampleCount: 1,
        durationSeconds: SECONDS,
        ...(generation.aspectRatio === null ? {} : { aspectRatio: generation.aspectRatio }),
        // Veo 2 has one resolution and refuses to be told.
        ...(generation.upsample && !isOld ? { resolution: "1080p" } : {}),
        ...(isVertex && !isOld ? { generateAudio: true } : {}),
        // Later ones always rewrite, and fail a job that asks them not to.
        ...(isVertex && isOld ? { enhancePrompt: generation.enhancePrompt && prompt === generation.prompt } : {}),
        ...(isVertex && upstream.storageUri !== null ? { storageUri: upstream.storageUri } : {}),
      },
    };
  }
}

function wireImages(job: Job): Record<string, Json> {
  const { first, last, references } = imageRoles(job);
  if (references.length > 0) {
    return { referenceImages: references.map((image) => ({ image: wireImage(image), referenceType: "ASSET" })) };
  }
  if (first === null) return {};
  return { image: wireImage(first), ...(last === null ? {} : { lastFrame: wireImage(last) }) };
}

function wireImage({ file }: JobImage): Json {
  if (file === null) throw new Error("an image was not fetched");
  return { bytesBase64Encoded: base64(file.bytes), mimeType: file.mimeType };
}

/** Null: it says nothing of the operation. */
function readOperation(body: unknown, operation: { name: string }): PollResult | null {
  const { name, done, error, response } = operationReply.safeParse(body).data ?? {};
  if (name == null && done == null) return null;
  if (error != null && !saysNothing(error)) return googleFailure([error]);
  if (done !== true) return { status: "running" };
  const outcomes: [JsonPath, Outcome | null | undefined][] = [
    [["response", "generateVideoResponse"], response?.generateVideoResponse],
    [["response"], response],
  ];
  for (const [path, each] of outcomes) {
    const source = videoIn(each, path, operation);
    if (source !== null) return { status: "succeeded", source };
  }
  const reasons = outcomes.flatMap(([, each]) => each?.raiMediaFilteredReasons ?? []);
  const isFiltered = reasons.length > 0 || outcomes.some(([, each]) => (each?.raiMediaFilteredCount ?? 0) > 0);
  if (!isFiltered) return { status: "empty" };
  return { status: "failed", by: isAudioFilter(folded(reasons)) ? "route" : "task", reason: "content_policy" };
}

function videoIn(from: Outcome | null | undefined, path: JsonPath, operation: { name: string }): Json | null {
  for (const list of LISTS) {
    for (const [place, item] of (from?.[list] ?? []).entries()) {
      const source =
        sourceOf(item?.video, [...path, list, place, "video"], operation) ?? sourceOf(item, [...path, list, place], operation);
      if (source !== null) return source;
    }
  }
  return null;
}

function sourceOf(at: Video | null | undefined, path: JsonPath, operation: { name: string }): Json | null {
  const url = at?.gcsUri ?? at?.uri;
  if (url != null) return { url };
  const member = INLINE.find((each) => at?.[each] != null);
  return member === undefined ? null : { inline: [...path, member], operation };
}
