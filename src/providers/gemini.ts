// Google's Omni models over Interactions, in the Developer API and on Vertex. A refused prompt comes as a completed interaction in which
// the model explains itself instead of making a video.
import { z } from "zod";
import type { Json } from "../core/json.ts";
import { MODEL_NAMES, type ModelName } from "../core/models.ts";
import type { Job, PollResult, Provider, Submitted, Upstream } from "../ports.ts";
import { callsBackOf } from "./callback-signature.ts";
import { retryAfterMs } from "./call-json.ts";
import { foldStatus, endedBadly } from "./fold-status.ts";
import { googleAccount, googleBaseUrl } from "./google-account.ts";
import { googleCallbacks } from "./google-callback.ts";
import { errorOf, googleError, googleFailure, googleRefusal, reasonToWait, wordsOf } from "./google-errors.ts";
import { isServiceAccount } from "./google-sign-in.ts";
import { base64 } from "./inline-video.ts";
import { isPolicy, isSuccess, raise, unclear } from "./judge-reply.ts";
import { lenient, link } from "./reply-parts.ts";

const DEFAULT_REGION = "global";
/** An interaction that was just created may repeat the images that it was given. */
const MAX_CREATED_BYTES = 64 * 1024 * 1024;

/** In the Developer API. */
export const MODELS = everyModel("gemini-omni-1.2-flash");
export const VERTEX_MODELS = everyModel("gemini-omni-1.1-flash-preview");

/** The defaults for the credential's form. */
export function modelsOf(credential: string): Readonly<Record<ModelName, string>> {
  return isServiceAccount(credential) ? VERTEX_MODELS : MODELS;
}

export function baseUrlOf(credential: string, region: string | null): string {
  return googleBaseUrl(credential, region ?? DEFAULT_REGION);
}

/** Becomes part of a path, encoded; one that began with dots would not stay that part. */
const interactionId = z
  .string()
  .max(2_048)
  .regex(/^[\w~-][\w.~:=+/-]*$/);
const operationSchema = z.object({ id: interactionId });
const jsonPath = z.array(z.union([z.string(), z.number()]));
const sourceSchema = z.union([z.object({ url: z.string() }), z.object({ inline: jsonPath, operation: operationSchema })]);

const status = lenient(z.string());
const created = z.looseObject({ id: interactionId, status });
const content = z.looseObject({
  type: lenient(z.string()),
  mime_type: lenient(z.string()),
  uri: link,
  data: lenient(z.string().min(1)),
  text: lenient(z.string()),
});
const step = z.looseObject({
  type: lenient(z.string()),
  content: lenient(z.array(lenient(content))),
  error: lenient(googleError),
});
const interaction = z.looseObject({
  status,
  steps: lenient(z.array(lenient(step))),
  error: lenient(googleError),
  errors: lenient(z.array(lenient(googleError))),
});
type Interaction = z.infer<typeof interaction>;
type Content = z.infer<typeof content>;

const OVER = /already|completed|finished|terminal|not (in progress|running|cancell?able|be cancell?ed)/;

/** `upstream.baseUrl` is without the API's version. */
export function gemini(upstream: Upstream): Provider {
  const { baseUrl, honoursIdempotencyKey, storageUri } = upstream;
  const account = googleAccount(upstream);
  const { isVertex, project } = account;
  const parent = isVertex ? `v1beta1/${project}/locations/${upstream.region ?? DEFAULT_REGION}` : "v1beta";
  const interactions = `${baseUrl}/${parent}/interactions`;
  // Of the Developer API; another server of this wire may refuse what it does not know.
  const isGoogles = baseUrl.startsWith("http:") || baseUrl === baseUrlOf(upstream.credential, null);
  const callback = !isVertex && isGoogles ? callsBackOf(upstream) : "none";
  const isSigned = googleCallbacks(upstream);
  const urlOf = ({ id }: { id: string }): string => `${interactions}/${encodeURIComponent(id)}`;

  async function submit(job: Job, signal: AbortSignal): Promise<Submitted> {
    const headers = honoursIdempotencyKey ? { "idempotency-key": job.reference } : {};
    const reply = await account.call(interactions, {
      method: "POST",
      headers,
      body: wireJob(job),
      maxBytes: MAX_CREATED_BYTES,
      signal,
    });
    if (!isSuccess(reply)) throw googleRefusal(reply, job.prompt) ?? unclear("submit", reply);
    const id = created.safeParse(reply.body).data?.id ?? raise(unclear("submit", reply));
    return { operation: { id }, prompt: null };
  }

  async function poll(handle: Json, signal: AbortSignal): Promise<PollResult> {
    const operation = operationSchema.parse(handle);
    const reply = await account.call(urlOf(operation), { method: "GET", signal });
    const later = reasonToWait(reply);
    if (later !== null) throw later;
    // An unknown id is a 400 here, and running ones get one now and then: only a few in a row say that it is lost.
    if ((reply.status === 400 || reply.status === 404) && errorOf(reply) !== null) return { status: "missing" };
    const answer = isSuccess(reply) ? readInteraction(reply.body, operation) : null;
    if (answer === null) throw unclear("poll", reply);
    return answer.status === "running" ? { ...answer, retryAfterMs: retryAfterMs(reply.headers, Date.now()) } : answer;
  }

  async function cancel(handle: Json, signal: AbortSignal): Promise<"stopping" | "too_late"> {
    const reply = await account.call(`${urlOf(operationSchema.parse(handle))}/cancel`, { method: "POST", signal });
    if (isSuccess(reply)) {
      const state = foldStatus(interaction.safeParse(reply.body).data?.status ?? "");
      return state === "running" || state === "cancelled" ? "stopping" : "too_late";
    }
    const later = reasonToWait(reply);
    if (later !== null) throw later;
    if (OVER.test(wordsOf(errorOf(reply)))) return "too_late";
    throw unclear("cancel", reply);
  }

  return {
    traits: { images: "inline", callback, idempotentCreate: honoursIdempotencyKey, retentionMs: account.retentionMs },
    submit,
    poll,
    cancel,
    open: async (handle, from, signal) => {
      const source = sourceSchema.parse(handle);
      if ("url" in source) return account.openUrl(source.url, from, signal);
      return account.openInline(urlOf(source.operation), { method: "GET", signal }, source.inline);
    },
    isGenuine: async (called, handle, signal) => isSigned(called, operationSchema.parse(handle).id, signal),
  };

  function wireJob({ model, prompt, generation, images, callbackUrl }: Job): Json {
    const format = {
      type: "video",
      // Vertex puts a video nowhere but in a bucket that is named.
      ...(isVertex
        ? storageUri === null
          ? { delivery: "inline" }
          : { delivery: "uri", gcs_uri: storageUri }
        : { delivery: "uri" }),
      ...(generation.aspectRatio === null ? {} : { aspect_ratio: generation.aspectRatio }),
      resolution: generation.upsample ? "1080p" : "720p",
      duration: "8s",
    };
    return {
      model,
      // Without these the call would last as long as the rendering, and could not be asked about.
      background: true,
      store: true,
      input: [
        ...images.map(({ file }) => {
          if (file === null) throw new Error("an image was not fetched");
          return { type: "image", data: base64(file.bytes), mime_type: file.mimeType };
        }),
        { type: "text", text: prompt },
      ],
      response_format: isVertex ? [format] : format,
      generation_config: { video_config: { task: taskOf(generation.model, images.length) } },
      ...(callback !== "none" && callbackUrl !== null ? { webhook_config: { uris: [callbackUrl] } } : {}),
    };
  }
}

function everyModel(name: string): Readonly<Record<ModelName, string>> {
  return Object.fromEntries(MODEL_NAMES.map((each) => [each, name])) as Record<ModelName, string>;
}

function taskOf(model: ModelName, images: number): string {
  if (images === 0) return "text_to_video";
  return model.endsWith("-components") ? "reference_to_video" : "image_to_video";
}

/** Null: it says nothing of the interaction. */
function readInteraction(body: unknown, operation: { id: string }): PollResult | null {
  const read = interaction.safeParse(body).data;
  if (read?.status == null) return null;
  const state = foldStatus(read.status);
  if (state === "succeeded") return readOutput(read, operation);
  if (state === "running") return { status: "running" };
  const errors = [read.error, ...(read.errors ?? []), ...(read.steps ?? []).map((each) => each?.error)];
  return endedBadly(state, () => googleFailure(errors));
}

function readOutput({ steps }: Interaction, operation: { id: string }): PollResult {
  let explains = false;
  for (const [nth, each] of (steps ?? []).entries()) {
    // Steps of the user's may carry a video, too.
    if (each?.type !== "model_output") continue;
    for (const [place, part] of (each.content ?? []).entries()) {
      if (part === null || part === undefined) continue;
      if (isVideo(part)) {
        if (part.uri != null) return { status: "succeeded", source: { url: part.uri } };
        if (part.data != null) {
          return { status: "succeeded", source: { inline: ["steps", nth, "content", place, "data"], operation } };
        }
      }
      explains ||= (part.text ?? "").trim() !== "";
    }
    explains ||= isPolicy(wordsOf(each.error));
  }
  return explains ? { status: "failed", by: "task", reason: "content_policy" } : { status: "empty" };
}

function isVideo({ type, mime_type }: Content): boolean {
  return type === "video" || mime_type?.startsWith("video/") === true;
}
