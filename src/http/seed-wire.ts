// The seed dialect's bodies, as the public API page has them, and what they are in core's words.
import { z } from "@hono/zod-openapi";
import type { Generation } from "../core/generation.ts";
import { ASPECT_RATIOS, MODEL_NAMES } from "../core/models.ts";
import type { Quote } from "../core/pricing.ts";
import type { PublicTask } from "../core/public-task.ts";
import type { SeenTask } from "../core/seen-task.ts";
import { queryBody } from "../service/query-body.ts";
import { metadata } from "./metadata.ts";
import { promptText } from "./prompt.ts";
import { strictBody } from "./validation.ts";

/** What a video is to be: the same fields wherever one is described. */
const wish = {
  model: z.enum(MODEL_NAMES).describe("The model to use; `GET /v1/models` says what each one can do and costs"),
  prompt: promptText.describe("What the video shows, in any language"),
  enhance_prompt: z.boolean().nullish().describe("Improve and translate the prompt first. Default: false"),
  enable_upsample: z.boolean().nullish().describe("Upscale the video. Default: false"),
  aspect_ratio: z.enum(ASPECT_RATIOS).nullish().describe("Only for veo3 models. Default: the model chooses"),
  images: z
    .array(z.string().refine((url) => url !== "", { message: "must not be empty", params: { code: "invalid_type" } }))
    .nullish()
    .describe("https URLs of reference images: first and last frame, or elements, as the model has them"),
};

const maxCost = z.int().min(0).nullish().openapi({ description: "Refuse if it costs more credits than this" });

export const quoteBody = strictBody({ ...wish, max_cost: maxCost }).openapi("QuoteVideo");

export const createBody = strictBody({
  ...wish,
  max_cost: maxCost,
  metadata: metadata.nullish(),
  webhook_url: z
    .string()
    .nullish()
    .openapi({ description: "Told of everything that happens to this task", example: "https://example.com/hooks/videos" }),
  retention_days: z
    .int()
    .min(1)
    .max(365)
    .nullish()
    .openapi({ description: "How long the finished video is kept; at most your plan's" }),
  route: strictBody({
    fallback: z.boolean().nullish().describe("false: no other provider takes over from the first"),
    only: z
      .array(z.string().regex(/^[a-z0-9-]{1,32}$/))
      .min(1)
      .max(10)
      .nullish()
      .describe("Tags, of which a provider must have one"),
  })
    .nullish()
    .describe("Which providers may serve it, where your plan lets you choose"),
  dry_run: z.boolean().nullish().openapi({ description: "Answer with the quote, and do nothing" }),
}).openapi("CreateVideo");

export const quoteReply = z
  .strictObject({
    object: z.literal("quote"),
    /** Whole credits: what would be held, and charged when the video is completed. */
    credits: z.int(),
    formula: z.string(),
    /** As they were understood, with every default filled in. */
    parameters: z.strictObject({
      model: z.enum(MODEL_NAMES),
      prompt: z.string(),
      enhance_prompt: z.boolean(),
      enable_upsample: z.boolean(),
      aspect_ratio: z.enum(ASPECT_RATIOS).nullable(),
      images: z.array(z.string()),
    }),
  })
  .openapi("Quote");

const status = z.enum(["pending", "processing", "completed", "failed"]);

const taskId = z.string().describe("The task's id; all that needs to be kept of it");
const statusUpdateTime = z.int().describe("When the status last changed, in unix seconds");
const enhancedPrompt = z.string().describe("The prompt as it is used: improved, where that was asked for");

export const createdTask = z
  .strictObject({ id: taskId, status, status_update_time: statusUpdateTime, enhanced_prompt: enhancedPrompt })
  .openapi("CreatedVideo");

export const queriedTask = z
  .strictObject({
    id: taskId,
    status,
    video_url: z.string().nullable().describe("A signed link to the video, made fresh at each query; null until it is completed"),
    enhanced_prompt: enhancedPrompt,
    status_update_time: statusUpdateTime,
    error: z
      .strictObject({ code: z.string(), message: z.string() })
      .optional()
      .describe("On a failed task: why it failed. It was not charged. Every code is at /errors"),
    progress: z
      .int()
      .optional()
      .describe("0 to 100, by the time it has taken. This and what follows: with `Prefer: return=representation`"),
    queue: z
      .strictObject({
        position: z.int().nullable().describe("How many tasks are before it; null where that is not known"),
        estimated_seconds: z.int().describe("In how many seconds it will probably have ended"),
      })
      .nullish()
      .describe("While no provider has it"),
    attempts: z
      .array(z.strictObject({ started_at: z.int(), outcome: z.enum(["under_way", "refused", "failed", "completed"]) }))
      .optional()
      .describe("The hand-overs to providers so far"),
  })
  .openapi("Video");

export function toRepresentation(task: SeenTask): z.infer<typeof queriedTask> {
  const { progress, queue, attempts } = task;
  return {
    ...queryBody(task),
    progress,
    queue: queue && { position: queue.position, estimated_seconds: queue.estimatedSeconds },
    attempts: attempts.map(({ startedAt, outcome }) => ({ started_at: startedAt, outcome })),
  };
}

export function toQuote({ generation, quote }: { generation: Generation; quote: Quote }): z.infer<typeof quoteReply> {
  const { model, prompt, enhancePrompt, upsample, aspectRatio, images } = generation;
  return {
    object: "quote",
    credits: quote.credits,
    formula: quote.formula,
    parameters: {
      model,
      prompt,
      enhance_prompt: enhancePrompt,
      enable_upsample: upsample,
      aspect_ratio: aspectRatio,
      images: [...images],
    },
  };
}

export function toGeneration(body: z.infer<typeof quoteBody>): Generation {
  return {
    model: body.model,
    prompt: body.prompt,
    enhancePrompt: body.enhance_prompt ?? false,
    upsample: body.enable_upsample ?? false,
    aspectRatio: body.aspect_ratio ?? null,
    images: body.images ?? [],
  };
}

export function toCreated(task: PublicTask): z.infer<typeof createdTask> {
  return { id: task.id, status: task.status, status_update_time: task.statusChangedAt, enhanced_prompt: task.prompt };
}
