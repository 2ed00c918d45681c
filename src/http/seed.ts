// The seed dialect: POST /v1/video/create and GET /v1/video/query, as the public API page has them. Its wire names go no further.
import { createRoute, z } from "@hono/zod-openapi";
import type { Generation } from "../core/generation.ts";
import { ASPECT_RATIOS, MODEL_NAMES } from "../core/models.ts";
import type { Quote } from "../core/pricing.ts";
import { queryBody } from "../service/query-body.ts";
import { wantsRepresentation } from "../core/prefer.ts";
import type { PublicTask } from "../core/public-task.ts";
import type { SeenTask } from "../core/seen-task.ts";
import { authenticated, watching } from "./auth.ts";
import { baseOf } from "./base-url.ts";
import type { App, Services } from "./context.ts";
import { createFrom } from "./creating.ts";
import { errorBody, refuse } from "./errors.ts";
import { jsonBody } from "./json-body.ts";
import { metadata } from "./metadata.ts";
import { refuseUnknown } from "./misses.ts";
import { promptText } from "./prompt.ts";
import { strictBody } from "./validation.ts";
import { isKnown, readPatiently, waitForCreated } from "./waiting.ts";

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

const quoteBody = strictBody({ ...wish, max_cost: maxCost }).openapi("QuoteVideo");

const createBody = strictBody({
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

const quoteReply = z
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

const createdTask = z
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
      .array(z.strictObject({ started_at: z.int(), outcome: z.enum(["under_way", "refused", "failed"]) }))
      .optional()
      .describe("The hand-overs to providers so far"),
  })
  .openapi("Video");

const errors = { default: { description: "An error", content: { "application/json": { schema: errorBody } } } };

export const createVideo = createRoute({
  method: "post",
  path: "/v1/video/create",
  summary: "Create a video",
  security: [{ bearer: [] }],
  request: {
    headers: z.object({
      "idempotency-key": z.string().optional().describe("The same value makes the same task, and one charge; for 24 hours"),
      prefer: z.string().optional().describe("`wait=N`: answer when the task has ended, or after N seconds, 60 at most"),
    }),
    body: { required: true, content: { "application/json": { schema: createBody } } },
  },
  responses: {
    200: {
      description: "The task, as query has it where Prefer: wait asks to wait for it; the quote, where dry_run asks for that",
      content: { "application/json": { schema: z.union([createdTask, queriedTask, quoteReply]) } },
    },
    ...errors,
  },
});

export const quoteVideo = createRoute({
  method: "post",
  path: "/v1/video/quote",
  summary: "Price a video",
  security: [{ bearer: [] }],
  request: { body: { required: true, content: { "application/json": { schema: quoteBody } } } },
  responses: { 200: { description: "The price", content: { "application/json": { schema: quoteReply } } }, ...errors },
});

export const queryVideo = createRoute({
  method: "get",
  path: "/v1/video/query",
  summary: "Query a video",
  security: [{ bearer: [] }],
  request: {
    query: z.object({
      id: z.string().min(1).openapi({ example: "veo3:1704067200-xxxxxxxx" }),
      token: z.string().optional().openapi({ description: "A token of the task, for what can set no header" }),
    }),
    headers: z.object({
      prefer: z
        .string()
        .optional()
        .describe(
          "`wait=N`: answer when the task has ended (with If-None-Match: has changed), or after N seconds, 60 at most; `return=representation`: with extras",
        ),
      "if-none-match": z.string().optional().describe("The ETag of an earlier reply: 304 while nothing has changed"),
    }),
  },
  responses: {
    200: { description: "The task", content: { "application/json": { schema: queriedTask } } },
    304: { description: "As If-None-Match knows it" },
    ...errors,
  },
});

export function mountSeed(app: App, services: Services): void {
  const { videos, authenticate } = services;

  app.on("POST", createVideo.path, authenticated(authenticate, "create"), jsonBody);
  app.openapi(createVideo, async (c) => {
    const body = c.req.valid("json");
    const generation = toGeneration(body);
    if (body.dry_run === true) {
      const quoted = await videos.quote(c.var.caller, { generation, base: baseOf(c, services), maxCost: body.max_cost ?? null });
      return quoted.ok ? c.json(toQuote(quoted.value), 200) : refuse(c, quoted.error);
    }
    const wish = {
      generation,
      maxCost: body.max_cost ?? null,
      retentionDays: body.retention_days ?? null,
      webhookUrl: body.webhook_url ?? null,
      metadata: body.metadata ?? {},
      route: { fallback: body.route?.fallback ?? true, only: body.route?.only ?? null },
    };
    const created = await createFrom(c, services, wish, (id) => `${queryVideo.path}?id=${id}`);
    if (!created.ok) return created.error;
    const waited = await waitForCreated(c, services, created.value.task.id);
    if (waited !== null) return c.json(queryBody(waited), 200);
    return c.json(toCreated(created.value.task), 200);
  });

  app.on("POST", quoteVideo.path, authenticated(authenticate, "read"), jsonBody);
  app.openapi(quoteVideo, async (c) => {
    const body = c.req.valid("json");
    const asked = { generation: toGeneration(body), base: baseOf(c, services), maxCost: body.max_cost ?? null };
    const quoted = await videos.quote(c.var.caller, asked);
    return quoted.ok ? c.json(toQuote(quoted.value), 200) : refuse(c, quoted.error);
  });

  app.on("GET", queryVideo.path, watching(services));
  app.openapi(queryVideo, async (c) => {
    const found = await readPatiently(c, services, c.req.valid("query").id);
    if (!found.ok) return refuseUnknown(c, services, found.error);
    // Its extras change with every look, so that nothing about them could be known already.
    if (wantsRepresentation(c.req.header("prefer") ?? null)) return c.json(toRepresentation(found.value), 200);
    return (await isKnown(c, found.value)) ? c.body(null, 304) : c.json(queryBody(found.value), 200);
  });
}

function toRepresentation(task: SeenTask): z.infer<typeof queriedTask> {
  const { progress, queue, attempts } = task;
  return {
    ...queryBody(task),
    progress,
    queue: queue && { position: queue.position, estimated_seconds: queue.estimatedSeconds },
    attempts: attempts.map(({ startedAt, outcome }) => ({ started_at: startedAt, outcome })),
  };
}

function toQuote({ generation, quote }: { generation: Generation; quote: Quote }): z.infer<typeof quoteReply> {
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

function toGeneration(body: z.infer<typeof quoteBody>): Generation {
  return {
    model: body.model,
    prompt: body.prompt,
    enhancePrompt: body.enhance_prompt ?? false,
    upsample: body.enable_upsample ?? false,
    aspectRatio: body.aspect_ratio ?? null,
    images: body.images ?? [],
  };
}

function toCreated(task: PublicTask): z.infer<typeof createdTask> {
  return { id: task.id, status: task.status, status_update_time: task.statusChangedAt, enhanced_prompt: task.prompt };
}
