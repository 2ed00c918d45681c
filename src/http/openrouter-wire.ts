// OpenRouter's video wire: what its clients send, as a generation of ours, and a task and a model as they read them.
import { z } from "@hono/zod-openapi";
import type { Generation } from "../core/generation.ts";
import { ASPECT_RATIOS, catalogue, MODEL_NAMES, type AspectRatio, type Model, type ModelName } from "../core/models.ts";
import type { PublicTask } from "../core/public-task.ts";
import type { Metadata } from "../core/task.ts";
import { adjustedLength, adjustment, ofAnotherModel, VIDEO_SECONDS, type Adjustment } from "./adjustments.ts";
import type { FieldNames } from "./errors.ts";
import { metadata, metadataValue } from "./metadata.ts";
import { promptText } from "./prompt.ts";
import { SORA, SORA_PRO, type StandIn } from "./sora-models.ts";
import { strictBody, whole } from "./validation.ts";

/** The same models by its names for them. */
const SLUGS = {
  "google/veo-2": "veo2",
  "google/veo-3": "veo3",
  "google/veo-3-fast": "veo3-fast",
  "google/veo-3.1": "veo3.1",
  "google/veo-3.1-fast": "veo3.1-fast",
} as const satisfies Record<string, ModelName>;
type Slug = keyof typeof SLUGS;

/** Models that are not served here, and what stands in for them. */
const STAND_INS = { "openai/sora-2": SORA, "openai/sora-2-pro": SORA_PRO } as const satisfies Record<string, StandIn>;
type Absent = keyof typeof STAND_INS;

const RESOLUTIONS = ["720p", "1080p"] as const;
type Resolution = (typeof RESOLUTIONS)[number];

const SIZES = {
  "1280x720": { aspectRatio: "16:9", resolution: "720p" },
  "720x1280": { aspectRatio: "9:16", resolution: "720p" },
  "1920x1080": { aspectRatio: "16:9", resolution: "1080p" },
  "1080x1920": { aspectRatio: "9:16", resolution: "1080p" },
} as const satisfies Record<string, { aspectRatio: AspectRatio; resolution: Resolution }>;
type Size = keyof typeof SIZES;

const MODELS = catalogue();
const LONGEST_SECONDS = 600;

const imagePart = { type: z.literal("image_url"), image_url: strictBody({ url: z.string() }) };

const wish = strictBody({
  model: z.enum([...MODEL_NAMES, ...(Object.keys(SLUGS) as Slug[]), ...(Object.keys(STAND_INS) as Absent[])]),
  prompt: promptText,
  duration: whole(1, LONGEST_SECONDS)
    .nullish()
    .openapi({ description: `Every video has ${VIDEO_SECONDS} seconds` }),
  resolution: z.enum(RESOLUTIONS).nullish(),
  aspect_ratio: z.enum(ASPECT_RATIOS).nullish(),
  size: z
    .enum(Object.keys(SIZES) as [Size, ...Size[]])
    .nullish()
    .openapi({ description: "Instead of resolution and aspect_ratio" }),
  frame_images: z.array(strictBody({ ...imagePart, frame_type: z.enum(["first_frame", "last_frame"]) })).nullish(),
  input_references: z.array(strictBody(imagePart)).nullish(),
  callback_url: z.string().nullish().openapi({ description: "Called as the webhook_url of /v1/video/create is" }),
  metadata: metadata.nullish(),
  user: metadataValue.nullish().openapi({ description: "Kept with the task, as `user` of its metadata" }),
  seed: z.int().nullish().openapi({ description: "Has no effect" }),
  generate_audio: z.boolean().nullish().openapi({ description: "Has no effect: it is up to the model" }),
  provider: z.looseObject({}).nullish().openapi({ description: "Has no effect" }),
});

export const createBody = wish
  .superRefine((body, context) => {
    const fault = (param: string, message: string, code = "invalid_value"): void =>
      context.addIssue({ code: "custom", message, path: [param], params: { code } });
    const { frame_images: frames, input_references: references, size, resolution, aspect_ratio: aspectRatio } = body;
    if (size != null) {
      const meant = SIZES[size];
      if ((resolution ?? meant.resolution) !== meant.resolution) fault("size", "contradicts resolution");
      if ((aspectRatio ?? meant.aspectRatio) !== meant.aspectRatio) fault("size", "contradicts aspect_ratio");
    }
    const { imageRole } = MODELS[modelOf(body)];
    if (imageRole === "components" && frames?.length) {
      fault("frame_images", `is nothing that ${body.model} takes: send input_references`, "unsupported_parameter");
    }
    if (imageRole === "frames" && references?.length) {
      fault("input_references", `is nothing that ${body.model} takes: send frame_images`, "unsupported_parameter");
    }
    const { user, metadata: pairs } = body;
    if (user != null && (pairs?.["user"] ?? user) !== user) fault("user", "contradicts metadata.user");
    if (!metadata.safeParse(metadataOf(body)).success) fault("metadata", "has no room left for user");
    const types = (frames ?? []).map((frame) => frame.frame_type);
    if (new Set(types).size < types.length) fault("frame_images", "has two of one frame_type");
    if (types.includes("last_frame") && !types.includes("first_frame")) fault("frame_images", "has no first_frame");
  })
  .openapi("OpenRouterCreateVideo");

type Body = z.infer<typeof createBody>;
type Named = Pick<z.infer<typeof wish>, "model" | "frame_images" | "input_references">;

export function toGeneration(body: Body): Generation {
  const meant = body.size == null ? null : SIZES[body.size];
  return {
    model: modelOf(body),
    prompt: body.prompt,
    enhancePrompt: false,
    upsample: (meant?.resolution ?? body.resolution) === "1080p",
    aspectRatio: meant?.aspectRatio ?? body.aspect_ratio ?? null,
    images: imagesOf(body).map(({ url }) => url),
  };
}

/** What a tenant says of the task, wherever in the body it says so. */
export function metadataOf({ metadata: pairs, user }: Pick<Body, "metadata" | "user">): Metadata {
  return { ...pairs, ...(user != null && { user }) };
}

/** This body's names for what is found wrong with it: which of two fields an image or a shape came in. */
export function fieldsOf(body: Body): FieldNames {
  const images = imagesOf(body);
  return {
    model: "model",
    prompt: "prompt",
    enhancePrompt: "enhance_prompt",
    upsample: body.size == null ? "resolution" : "size",
    aspectRatio: body.size == null ? "aspect_ratio" : "size",
    images: body.frame_images?.length ? "frame_images" : "input_references",
    image: (index) => images[index]?.path ?? "input_references",
    webhookUrl: "callback_url",
  };
}

export function adjustmentsOf(body: Body): Adjustment[] {
  const { model, duration, seed, generate_audio: audio, provider } = body;
  const adjustments = [
    isAbsent(model) ? ofAnotherModel(model, modelOf(body)) : null,
    duration == null ? null : adjustedLength("duration", duration, VIDEO_SECONDS),
    seed == null ? null : { param: "seed", from: seed, to: null, why: "No model here takes a seed." },
    audio == null ? null : { param: "generate_audio", from: audio, to: null, why: "Whether there is sound is up to the model." },
    provider == null
      ? null
      : { param: "provider", from: "{…}", to: null, why: "Which provider makes a video is chosen by the gateway." },
  ];
  return adjustments.filter((each) => each !== null);
}

/** The images in the order that a model takes them, the first frame before the last, and where each is in the body. */
function imagesOf({ frame_images: frames, input_references: references }: Body): { url: string; path: string }[] {
  const found = (frames ?? []).map((frame, index) => ({ ...frame, index }));
  found.sort((a, b) => (a.frame_type < b.frame_type ? -1 : 1));
  return [
    ...found.map(({ image_url: { url }, index }) => ({ url, path: `frame_images.${index}.image_url.url` })),
    ...(references ?? []).map(({ image_url: { url } }, index) => ({ url, path: `input_references.${index}.image_url.url` })),
  ];
}

function modelOf({ model, frame_images: frames, input_references: references }: Named): ModelName {
  if (isAbsent(model)) return STAND_INS[model][frames?.length || references?.length ? "withImage" : "plain"];
  return isSlug(model) ? SLUGS[model] : model;
}

function isAbsent(name: string): name is Absent {
  return Object.hasOwn(STAND_INS, name);
}

function isSlug(name: string): name is Slug {
  return Object.hasOwn(SLUGS, name);
}

export const jobReply = z
  .strictObject({
    id: z.string(),
    polling_url: z.string(),
    status: z.enum(["pending", "in_progress", "completed", "failed", "cancelled"]),
    model: z.string(),
    unsigned_urls: z.array(z.string()).optional().openapi({ description: "Where the video is, for a request with the API key" }),
    urls: z.array(z.string()).optional().openapi({ description: "Signed links to it, fresh at each read" }),
    usage: z.strictObject({ cost: z.int().openapi({ description: "Credits" }), is_byok: z.literal(false) }).optional(),
    error: z.string().optional(),
    adjustments: z.array(adjustment).optional().openapi({ description: "In the reply to a create: what is made otherwise" }),
  })
  .openapi("OpenRouterVideo");

const STATUSES = { pending: "pending", processing: "in_progress", completed: "completed", failed: "failed" } as const;

/** `base`: the gateway's own origin. `path`: where this dialect reads the task. */
export function toJob(task: PublicTask, base: string, path: string): z.infer<typeof jobReply> {
  const { error, status, videoUrl } = task;
  const isCompleted = status === "completed";
  return {
    id: task.id,
    polling_url: `${base}${path}`,
    status: error?.code === "cancelled" ? "cancelled" : STATUSES[status],
    model: task.model,
    ...(isCompleted && { unsigned_urls: [`${base}${path}/content?index=0`] }),
    ...(videoUrl !== null && { urls: [videoUrl] }),
    ...((isCompleted || error !== null) && { usage: { cost: isCompleted ? task.credits : 0, is_byok: false as const } }),
    ...(error !== null && { error: error.message }),
  };
}

export const modelReply = z
  .strictObject({
    id: z.string(),
    canonical_slug: z.string(),
    name: z.string(),
    description: z.string(),
    created: z.int(),
    supported_durations: z.array(z.int()),
    supported_resolutions: z.array(z.enum(RESOLUTIONS)),
    supported_aspect_ratios: z.array(z.enum(ASPECT_RATIOS)).nullable(),
    supported_sizes: z.array(z.string()).nullable(),
    supported_frame_images: z.array(z.enum(["first_frame", "last_frame"])).nullable(),
    generate_audio: z.null(),
    seed: z.literal(false),
    allowed_passthrough_parameters: z.array(z.string()),
    pricing_skus: z
      .strictObject({ credits_per_video: z.string(), credits_per_video_1080p: z.string() })
      .openapi({ description: "Whole credits for one video, as text" }),
  })
  .openapi("OpenRouterVideoModel");

export function toModelReply(model: Model, created: number): z.infer<typeof modelReply> {
  const { name, description, aspectRatios, imageRole, maxImages, credits, upsampleCredits } = model;
  const [slug = name] = (Object.keys(SLUGS) as Slug[]).filter((each) => SLUGS[each] === name);
  return {
    id: slug,
    canonical_slug: name,
    name: description,
    description,
    created,
    supported_durations: [VIDEO_SECONDS],
    supported_resolutions: [...RESOLUTIONS],
    supported_aspect_ratios: aspectRatios.length === 0 ? null : [...aspectRatios],
    supported_sizes: aspectRatios.length === 0 ? null : Object.keys(SIZES),
    supported_frame_images: imageRole === "frames" ? (["first_frame", "last_frame"] as const).slice(0, maxImages) : null,
    generate_audio: null,
    seed: false,
    allowed_passthrough_parameters: [],
    pricing_skus: { credits_per_video: String(credits), credits_per_video_1080p: String(credits + upsampleCredits) },
  };
}
