// The seed dialect: POST /v1/video/create and GET /v1/video/query, as the public API page has them. Its wire names go no further.
import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { MAX_PROMPT_CODE_POINTS, type Generation } from "../core/generation.ts";
import { ASPECT_RATIOS, MODEL_NAMES } from "../core/models.ts";
import type { PublicTask } from "../service/public-task.ts";
import { authenticated } from "./auth.ts";
import type { App, AppEnv, Services } from "./context.ts";
import { errorBody, refuse, type FieldNames } from "./errors.ts";
import { jsonBody } from "./json-body.ts";
import { strictBody } from "./validation.ts";

export const SEED_FIELDS: FieldNames = {
  model: "model",
  prompt: "prompt",
  enhancePrompt: "enhance_prompt",
  upsample: "enable_upsample",
  aspectRatio: "aspect_ratio",
  images: "images",
};

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

const createBody = strictBody({
  model: z.enum(MODEL_NAMES),
  prompt: promptText,
  enhance_prompt: z.boolean().nullish(),
  enable_upsample: z.boolean().nullish(),
  aspect_ratio: z.enum(ASPECT_RATIOS).nullish(),
  images: z
    .array(z.string().refine((url) => url !== "", { message: "must not be empty", params: { code: "invalid_type" } }))
    .nullish(),
}).openapi("CreateVideo");

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
  responses: { 200: { description: "The task", content: { "application/json": { schema: createdTask } } }, ...errors },
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

  app.on("POST", createVideo.path, authenticated(authenticate, "create", SEED_FIELDS), jsonBody);
  app.openapi(createVideo, async (c) => {
    const created = await videos.create(c.var.caller, toGeneration(c.req.valid("json")), baseOf(c, services));
    if (!created.ok) return refuse(c, created.error, SEED_FIELDS);
    c.set("taskId", created.value.id);
    c.header("X-Task-Id", created.value.id);
    c.header("Location", `${queryVideo.path}?id=${created.value.id}`);
    return c.json(toCreated(created.value), 200);
  });

  app.on("GET", queryVideo.path, authenticated(authenticate, "read", SEED_FIELDS));
  app.openapi(queryVideo, async (c) => {
    const { caller } = c.var;
    const found = await videos.get(caller, c.req.valid("query").id, baseOf(c, services));
    if (found.ok) {
      c.set("taskId", found.value.id);
      return c.json(toQueried(found.value), 200);
    }
    const guessing = found.error.kind === "task_not_found" && !(await missShield(`${caller.tenant}/${caller.mode}`));
    const window = { windowSeconds: MISSES_WINDOW_SECONDS, resetSeconds: MISSES_WINDOW_SECONDS };
    return refuse(
      c,
      guessing ? { kind: "rate_limit_exceeded", policy: "tenant", limit: null, ...window } : found.error,
      SEED_FIELDS,
    );
  });
}

function toGeneration(body: z.infer<typeof createBody>): Generation {
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

function toQueried(task: PublicTask): z.infer<typeof queriedTask> {
  return {
    id: task.id,
    status: task.status,
    video_url: task.videoUrl,
    enhanced_prompt: task.prompt,
    status_update_time: task.statusChangedAt,
    ...(task.error !== null && { error: task.error }),
  };
}

function baseOf(c: Context<AppEnv>, { publicUrl }: Services): string {
  return publicUrl ?? new URL(c.req.url).origin;
}
