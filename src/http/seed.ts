// The seed dialect: POST /v1/video/create and GET /v1/video/query, as the public API page has them. Its wire names go no further.
import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { MAX_PROMPT_CODE_POINTS, type Generation } from "../core/generation.ts";
import { ASPECT_RATIOS, MODEL_NAMES } from "../core/models.ts";
import { parseIdempotencyKey } from "../core/idempotency.ts";
import type { Quote } from "../core/pricing.ts";
import { WINDOW_MS } from "../core/quota.ts";
import type { Created } from "../service/create-video.ts";
import { queryBody } from "../service/query-body.ts";
import type { PublicTask } from "../core/public-task.ts";
import { authenticated } from "./auth.ts";
import type { App, AppEnv, Services } from "./context.ts";
import { answer, badRequest, errorBody, refuse } from "./errors.ts";
import { jsonBody } from "./json-body.ts";
import { strictBody } from "./validation.ts";

const promptText = z.string().superRefine((text, context) => {
  const fault = (code: string, message: string): void => context.addIssue({ code: "custom", message, params: { code } });
  if (!text.isWellFormed()) return fault("invalid_unicode", "holds half of a surrogate pair");
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.test(text)) return fault("invalid_characters", "holds control characters");
  // Spaces of every kind, and what has no width.
  if (!/[^\s\u200b-\u200f\u2060-\u2064\ufeff\u00ad]/u.test(text)) return fault("invalid_value", "must not be blank");
  const length = [...text].length;
  if (length > MAX_PROMPT_CODE_POINTS) fault("prompt_too_long", `has ${length} characters; ${MAX_PROMPT_CODE_POINTS} are allowed`);
});

/** What a video is to be: the same fields wherever one is described. */
const wish = {
  model: z.enum(MODEL_NAMES),
  prompt: promptText,
  enhance_prompt: z.boolean().nullish(),
  enable_upsample: z.boolean().nullish(),
  aspect_ratio: z.enum(ASPECT_RATIOS).nullish(),
  images: z
    .array(z.string().refine((url) => url !== "", { message: "must not be empty", params: { code: "invalid_type" } }))
    .nullish(),
};
const MAX_PAIRS = 16;
const MAX_VALUE_LENGTH = 512;
/** As OpenAI and Stripe have it. */
const metadata = z
  .record(z.string().regex(/^[\w.-]{1,64}$/, "has 1 to 64 letters, digits, _, . or -"), z.string().max(MAX_VALUE_LENGTH))
  .refine((pairs) => Object.keys(pairs).length <= MAX_PAIRS, `takes at most ${MAX_PAIRS} pairs`)
  .openapi({ description: "Your own words about the task, given back with it", example: { order: "A-17" } });

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

const createdTask = z
  .strictObject({ id: z.string(), status, status_update_time: z.int(), enhanced_prompt: z.string() })
  .openapi("CreatedVideo");

const queriedTask = z
  .strictObject({
    id: z.string(),
    status,
    video_url: z.string().nullable(),
    enhanced_prompt: z.string(),
    status_update_time: z.int(),
    error: z.strictObject({ code: z.string(), message: z.string() }).optional(),
  })
  .openapi("Video");

const errors = { default: { description: "An error", content: { "application/json": { schema: errorBody } } } };

export const createVideo = createRoute({
  method: "post",
  path: "/v1/video/create",
  summary: "Create a video",
  security: [{ bearer: [] }],
  request: { body: { required: true, content: { "application/json": { schema: createBody } } } },
  responses: {
    200: {
      description: "The task; the quote, where dry_run asks for that",
      content: { "application/json": { schema: z.union([createdTask, quoteReply]) } },
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
  request: { query: z.object({ id: z.string().min(1).openapi({ example: "veo3:1704067200-xxxxxxxx" }) }) },
  responses: { 200: { description: "The task", content: { "application/json": { schema: queriedTask } } }, ...errors },
});

const MISSES_WINDOW_SECONDS = 60;

export function mountSeed(app: App, services: Services): void {
  const { videos, authenticate, missShield } = services;

  app.on("POST", createVideo.path, authenticated(authenticate, "create"), jsonBody);
  app.openapi(createVideo, async (c) => {
    const body = c.req.valid("json");
    const generation = toGeneration(body);
    const base = baseOf(c, services);
    const priced = { generation, base, maxCost: body.max_cost ?? null };
    if (body.dry_run === true) {
      const quoted = await videos.quote(c.var.caller, priced);
      return quoted.ok ? c.json(toQuote(quoted.value), 200) : refuse(c, quoted.error);
    }
    const key = parseIdempotencyKey(c.req.header("idempotency-key") ?? null);
    if (!key.ok) return answer(c, badRequest("invalid_idempotency_key", `Idempotency-Key ${key.error}.`));
    const isRetry = Number(c.req.header("x-stainless-retry-count") ?? 0) > 0;
    const created = await videos.create(c.var.caller, {
      ...priced,
      retentionDays: body.retention_days ?? null,
      webhookUrl: body.webhook_url ?? null,
      metadata: body.metadata ?? {},
      requestId: c.var.requestId,
      idempotencyKey: key.value,
      isRetry,
    });
    if (!created.ok) return refuse(c, created.error);
    setCreatedHeaders(c, created.value);
    return c.json(toCreated(created.value.task), 200);
  });

  app.on("POST", quoteVideo.path, authenticated(authenticate, "read"), jsonBody);
  app.openapi(quoteVideo, async (c) => {
    const body = c.req.valid("json");
    const asked = { generation: toGeneration(body), base: baseOf(c, services), maxCost: body.max_cost ?? null };
    const quoted = await videos.quote(c.var.caller, asked);
    return quoted.ok ? c.json(toQuote(quoted.value), 200) : refuse(c, quoted.error);
  });

  app.on("GET", queryVideo.path, authenticated(authenticate, "read"));
  app.openapi(queryVideo, async (c) => {
    const { caller } = c.var;
    const found = await videos.get(caller, c.req.valid("query").id, baseOf(c, services));
    if (found.ok) {
      c.set("taskId", found.value.id);
      return c.json(queryBody(found.value), 200);
    }
    const guessing = found.error.kind === "task_not_found" && !(await missShield(`${caller.tenant}/${caller.mode}`));
    const window = { windowSeconds: MISSES_WINDOW_SECONDS, resetSeconds: MISSES_WINDOW_SECONDS };
    return refuse(c, guessing ? { kind: "rate_limit_exceeded", policy: "tenant", limit: null, ...window } : found.error);
  });
}

/** What a client may want to know without another call: the task, its price, and what is left. */
function setCreatedHeaders(c: Context<AppEnv>, { task, replayed, quote, usage }: Created): void {
  c.set("taskId", task.id);
  c.header("X-Task-Id", task.id);
  c.header("Location", `${queryVideo.path}?id=${task.id}`);
  if (replayed !== "no") c.header("Idempotent-Replayed", replayed === "key" ? "true" : "inferred");
  c.header("X-Credits-Charged", String(replayed === "no" ? quote.credits : 0));
  c.header("X-Credits-Remaining", String(usage.available));
  const { createsPerMinute } = usage.limits;
  const resetSeconds = Math.max(Math.ceil((usage.window.startedAt + WINDOW_MS - Date.now()) / 1000), 0);
  c.header("RateLimit-Policy", `"create";q=${createsPerMinute};w=${WINDOW_MS / 1000}`);
  c.header("RateLimit", `"create";r=${Math.max(createsPerMinute - usage.window.count, 0)};t=${resetSeconds}`);
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

function baseOf(c: Context<AppEnv>, { publicUrl }: Services): string {
  return publicUrl ?? new URL(c.req.url).origin;
}
