// OpenAI's video wire: what its clients send, as a generation of ours, and a task as they read it.
import { z } from "@hono/zod-openapi";
import type { Generation } from "../core/generation.ts";
import { catalogue, MODEL_NAMES, type ModelName } from "../core/models.ts";
import { MAX_IMAGE_BYTES } from "../core/reference-image.ts";
import type { SeenTask } from "../core/seen-task.ts";
import { adjustedLength, adjustment, ofAnotherModel, VIDEO_SECONDS, type Adjustment } from "./adjustments.ts";
import type { FieldNames } from "./errors.ts";
import { isDataUrl } from "./openai-image.ts";
import { promptText } from "./prompt.ts";
import { SORA, SORA_PRO, type StandIn } from "./sora-models.ts";
import { strictBody } from "./validation.ts";

/** What the API's own models were called, and the models here that come nearest, one of which takes images. */
const ALIASES = {
  "sora-2": SORA,
  "sora-2-pro": SORA_PRO,
  "sora-2-2025-10-06": SORA,
  "sora-2-2025-12-08": SORA,
  "sora-2-pro-2025-10-06": SORA_PRO,
} as const satisfies Record<string, StandIn>;
type Alias = keyof typeof ALIASES;

const PLAIN = { "16:9": "1280x720", "9:16": "720x1280" } as const;
const LARGE = { "16:9": "1920x1080", "9:16": "1080x1920" } as const;

/** Its four sizes, and those that we make of the large ones. */
const SIZES = {
  "720x1280": { aspectRatio: "9:16", upsample: false },
  "1280x720": { aspectRatio: "16:9", upsample: false },
  "1024x1792": { aspectRatio: "9:16", upsample: true },
  "1792x1024": { aspectRatio: "16:9", upsample: true },
  "1080x1920": { aspectRatio: "9:16", upsample: true },
  "1920x1080": { aspectRatio: "16:9", upsample: true },
} as const;
type Size = keyof typeof SIZES;

/** What the API made where nothing was said. */
const DEFAULT_MODEL: Alias = "sora-2";
const DEFAULT_SIZE: Size = "720x1280";

const MODELS = catalogue();

const names = <Name extends string>(table: Record<Name, unknown>): [Name, ...Name[]] => Object.keys(table) as [Name, ...Name[]];

const unsupported = (message: string) =>
  z.unknown().superRefine((given, context) => {
    if (given != null) context.addIssue({ code: "custom", message, params: { code: "unsupported_parameter" } });
  });

export const createBody = strictBody({
  prompt: promptText,
  model: z
    .enum([...MODEL_NAMES, ...names(ALIASES)])
    .nullish()
    .openapi({
      description: `${DEFAULT_MODEL} by default, which stands for ${SORA.plain}, and with an image for ${SORA.withImage}`,
    }),
  seconds: z
    .preprocess((given) => (typeof given === "number" ? String(given) : given), z.enum(["4", "8", "12"]).nullish())
    .openapi({ type: "string", enum: ["4", "8", "12"], description: `Every video has ${VIDEO_SECONDS} seconds` }),
  size: z
    .enum(names(SIZES))
    .nullish()
    .openapi({ description: `${DEFAULT_SIZE} by default` }),
  input_reference: strictBody({
    // First, because a body that has it lacks the other one.
    file_id: unsupported(
      "is not supported: send the image itself as a form's file input_reference, or its public https URL as image_url",
    )
      .optional()
      .openapi({ description: "Not supported" }),
    image_url: z
      .string()
      .openapi({ description: "A public https URL, or a data URL in Base64; in a form, the part input_reference[image_url]" }),
  }).nullish(),
}).openapi("OpenAICreateVideo");

const imageFile = z.instanceof(File).openapi({
  type: "string",
  format: "binary",
  description: `A JPEG, PNG or WebP image of at most ${MAX_IMAGE_BYTES} bytes; or its URL, as the part input_reference[image_url]`,
});

/** A form, as it may bring its image along. */
export const createForm = strictBody({ ...createBody.shape, input_reference: imageFile.optional() }).openapi(
  "OpenAICreateVideoForm",
);

/** Its name of each field, as a body in JSON has it. What there is no name for is never refused. */
export const OPENAI_FIELDS: FieldNames = {
  model: "model",
  prompt: "prompt",
  enhancePrompt: "enhance_prompt",
  upsample: "size",
  aspectRatio: "size",
  images: "input_reference",
  image: () => "input_reference.image_url",
  webhookUrl: "webhook_url",
};

type Body = z.infer<typeof createBody> | z.infer<typeof createForm>;

/** An image that came along has no URL, and is none of the generation's yet. */
export function toGeneration(body: Body): { generation: Generation; adjustments: Adjustment[] } {
  const { model: asked, seconds, size, input_reference: reference } = body;
  const named = asked ?? DEFAULT_MODEL;
  const model = isAlias(named) ? ALIASES[named][reference == null ? "plain" : "withImage"] : named;
  const { aspectRatio, upsample } = SIZES[size ?? DEFAULT_SIZE];
  const shapes = MODELS[model].aspectRatios.length > 0;
  const adjustments = [
    asked == null || model === asked ? null : ofAnotherModel(asked, model),
    seconds == null ? null : adjustedLength("seconds", seconds, String(VIDEO_SECONDS)),
    size == null ? null : adjustedSize(size, model, shapes),
  ];
  return {
    generation: {
      model,
      prompt: body.prompt,
      enhancePrompt: false,
      upsample,
      aspectRatio: shapes ? aspectRatio : null,
      images: reference == null || reference instanceof File || isDataUrl(reference.image_url) ? [] : [reference.image_url],
    },
    adjustments: adjustments.filter((each) => each !== null),
  };
}

function adjustedSize(size: Size, model: ModelName, shapes: boolean): Adjustment | null {
  if (!shapes) return { param: "size", from: size, to: null, why: `${model} chooses the aspect ratio itself.` };
  const { aspectRatio, upsample } = SIZES[size];
  const made = upsample ? LARGE[aspectRatio] : PLAIN[aspectRatio];
  return made === size ? null : { param: "size", from: size, to: made, why: "The nearest size that the models make." };
}

function isAlias(name: ModelName | Alias): name is Alias {
  return Object.hasOwn(ALIASES, name);
}

export const videoObject = z
  .strictObject({
    id: z.string(),
    object: z.literal("video"),
    model: z.string(),
    status: z.enum(["queued", "in_progress", "completed", "failed"]),
    progress: z.int().min(0).max(100),
    created_at: z.int(),
    completed_at: z.int().nullable(),
    /** Until when the video can be downloaded; null where there is none. */
    expires_at: z.int().nullable(),
    prompt: z.string(),
    seconds: z.string(),
    /** As it is, once it is completed; until then, as it will probably be. */
    size: z.string(),
    remixed_from_video_id: z.null(),
    error: z.strictObject({ code: z.string(), message: z.string() }).nullable(),
    adjustments: z.array(adjustment).optional().openapi({ description: "In the reply to a create: what is made otherwise" }),
  })
  .openapi("OpenAIVideo");

export const videoList = z
  .strictObject({
    object: z.literal("list"),
    data: z.array(videoObject),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
    has_more: z.boolean(),
  })
  .openapi("OpenAIVideoList");

const STATUSES = { pending: "queued", processing: "in_progress", completed: "completed", failed: "failed" } as const;

export function toVideo(task: SeenTask): z.infer<typeof videoObject> {
  const { video, aspectRatio, upsample } = task;
  const expected = (upsample ? LARGE : PLAIN)[aspectRatio ?? "16:9"];
  const isCompleted = task.status === "completed";
  return {
    id: task.id,
    object: "video",
    model: task.model,
    status: STATUSES[task.status],
    progress: task.progress,
    created_at: task.createdAt,
    completed_at: isCompleted ? task.statusChangedAt : null,
    expires_at: isCompleted ? task.expiresAt : null,
    prompt: task.prompt,
    seconds: String(video === null ? VIDEO_SECONDS : Math.round(video.durationMs / 1000)),
    size: video === null ? expected : `${video.width}x${video.height}`,
    remixed_from_video_id: null,
    error: task.error,
  };
}
