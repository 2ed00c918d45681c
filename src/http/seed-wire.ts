// The seed dialect's bodies, as the public API page has them, and what they are in core's words.
import { z } from "@hono/zod-openapi";
import type { Generation } from "../core/generation.ts";
import { ASPECT_RATIOS, MODEL_NAMES } from "../core/models.ts";
import type { Quote } from "../core/pricing.ts";
import type { PublicTask } from "../core/public-task.ts";
import type { SeenTask } from "../core/seen-task.ts";
import { queryBody } from "../service/query-body.ts";
import type { Wish } from "./creating.ts";
import { metadata } from "./metadata.ts";
import { promptText } from "./prompt.ts";
import { strictBody, whole } from "./validation.ts";

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

const maxCost = whole(0).nullish().openapi({ description: "Refuse if it costs more credits than this" });

/** All that a create takes, of which a quote says what it would come to. */
const asked = {
  ...wish,
  max_cost: maxCost,
  metadata: metadata.nullish(),
  webhook_url: z
    .string()
    .nullish()
    .openapi({ description: "Told of everything that happens to this task", example: "https://example.com/hooks/videos" }),
  retention_days: whole(1, 365).nullish().openapi({ description: "How long the finished video is kept; at most your plan's" }),
  route: strictBody({
    fallback: z.boolean().nullish().describe("false: no other provider takes over from the first"),
    only: z
      .array(z.string().regex(/^[a-z0-9-]{1,32}$/, "must be 1 to 32 of a-z, 0-9 and -"))
      .min(1)
      .max(10)
      .nullish()
      .describe("Tags, of which a provider must have one"),
  })
    .nullish()
    .describe("Which providers may serve it, where your plan lets you choose"),
};

export const quoteBody = strictBody(asked).openapi("QuoteVideo");

export const createBody = strictBody({
  ...asked,
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
      metadata: z.record(z.string(), z.string()),
      webhook_url: z.string().nullable(),
      retention_days: z.int().nullable().describe("Null: as long as your plan has it"),
      route: z.strictObject({ fallback: z.boolean(), only: z.array(z.string()).nullable() }),
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

/** `generation`: as it would be made, which may be otherwise than it was asked for. */
export function toQuote(asking: Required<Wish>, { generation, quote }: { generation: Generation; quote: Quote }) {
  const { model, prompt, enhancePrompt, upsample, aspectRatio, images } = generation;
  const { metadata: pairs, webhookUrl, retentionDays, route } = asking;
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
      metadata: { ...pairs },
      webhook_url: webhookUrl,
      retention_days: retentionDays,
      route: { fallback: route.fallback, only: route.only === null ? null : [...route.only] },
    },
  } satisfies z.infer<typeof quoteReply>;
}

export function toWish(body: z.infer<typeof quoteBody>): Required<Wish> {
  return {
    generation: {
      model: body.model,
      prompt: body.prompt,
      enhancePrompt: body.enhance_prompt ?? false,
      upsample: body.enable_upsample ?? false,
      aspectRatio: body.aspect_ratio ?? null,
      images: body.images ?? [],
    },
    uploads: [],
    maxCost: body.max_cost ?? null,
    retentionDays: body.retention_days ?? null,
    webhookUrl: body.webhook_url ?? null,
    metadata: body.metadata ?? {},
    route: { fallback: body.route?.fallback ?? true, only: body.route?.only ?? null },
  };
}

export function toCreated(task: PublicTask): z.infer<typeof createdTask> {
  return { id: task.id, status: task.status, status_update_time: task.statusChangedAt, enhanced_prompt: task.prompt };
}
