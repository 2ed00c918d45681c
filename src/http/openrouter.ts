// The OpenRouter dialect: /api/v1/videos, submit, poll and download as OpenRouter has them. Errors have the envelope of every other
// route here, with the code as a text; only a failed job tells its `error` as OpenRouter does, as a plain text.
import { createRoute, z } from "@hono/zod-openapi";
import { authenticated } from "./auth.ts";
import { baseOf } from "./base-url.ts";
import type { App, Services } from "./context.ts";
import { createFrom, seenAfterCreate } from "./creating.ts";
import { errorBody } from "./errors.ts";
import { jsonBody } from "./json-body.ts";
import { refuseUnknown } from "./misses.ts";
import { CATALOGUE_SINCE } from "./models.ts";
import {
  adjustmentsOf,
  createBody,
  fieldsOf,
  jobReply,
  metadataOf,
  modelReply,
  toGeneration,
  toJob,
  toModelReply,
} from "./openrouter-wire.ts";
import { replyWithContent } from "./reading-content.ts";
import { readPatiently, waitForCreated } from "./waiting.ts";

const errors = { default: { description: "An error", content: { "application/json": { schema: errorBody } } } };
const security = [{ bearer: [] }];
const bytes = { "video/mp4": { schema: z.string().openapi({ format: "binary" }) } };
const headers = z.object({
  prefer: z.string().optional().describe("`wait=N`: answer when the task has ended, or after N seconds, 60 at most"),
});
const params = z.object({ id: z.string().openapi({ example: "veo3:1704067200-xxxxxxxx" }) });

export const submitOpenRouterVideo = createRoute({
  method: "post",
  path: "/api/v1/videos",
  summary: "Submit a video (OpenRouter's wire)",
  security,
  request: { headers, body: { required: true, content: { "application/json": { schema: createBody } } } },
  responses: { 202: { description: "The job", content: { "application/json": { schema: jobReply } } }, ...errors },
});

export const listOpenRouterModels = createRoute({
  method: "get",
  path: "/api/v1/videos/models",
  summary: "List the models (OpenRouter's wire)",
  responses: {
    200: {
      description: "Those that can be used now",
      content: { "application/json": { schema: z.strictObject({ data: z.array(modelReply) }).openapi("OpenRouterVideoModels") } },
    },
  },
});

export const pollOpenRouterVideo = createRoute({
  method: "get",
  path: "/api/v1/videos/{id}",
  summary: "Poll a video (OpenRouter's wire)",
  security,
  request: { params, headers },
  responses: { 200: { description: "The job", content: { "application/json": { schema: jobReply } } }, ...errors },
});

const index = z
  .string()
  .refine((asked) => asked === "0", "must be 0: a job makes one video")
  .openapi({ type: "integer", enum: [0] });

export const downloadOpenRouterVideo = createRoute({
  method: "get",
  path: "/api/v1/videos/{id}/content",
  summary: "Download a video with the API key (OpenRouter's wire)",
  security,
  request: { params, query: z.object({ index: index.optional() }) },
  responses: {
    200: { description: "The video", content: bytes },
    206: { description: "A range of it", content: bytes },
    304: { description: "Not modified" },
    ...errors,
  },
});

export function mountOpenRouter(app: App, services: Services): void {
  const { models, authenticate } = services;

  app.on("POST", submitOpenRouterVideo.path, authenticated(authenticate, "create"), jsonBody);
  app.openapi(submitOpenRouterVideo, async (c) => {
    const body = c.req.valid("json");
    const wish = { generation: toGeneration(body), webhookUrl: body.callback_url ?? null, metadata: metadataOf(body) };
    const created = await createFrom(c, services, wish, pathOf, fieldsOf(body));
    if (!created.ok) return created.error;
    const waited = await waitForCreated(c, services, created.value.task.id);
    const task = waited ?? (await seenAfterCreate(c, services, created.value));
    return c.json({ ...toJob(task, baseOf(c, services), pathOf(task.id)), adjustments: adjustmentsOf(body) }, 202);
  });

  // Before the route of one video, whose id could be any word.
  app.openapi(listOpenRouterModels, async (c) => {
    const { models: table, switches } = await models();
    const sold = Object.values(table).filter(({ name }) => switches[name]?.off == null);
    return c.json({ data: sold.map((model) => toModelReply(model, CATALOGUE_SINCE)) }, 200);
  });

  app.on("GET", pollOpenRouterVideo.getRoutingPath(), authenticated(authenticate, "read"));
  app.openapi(pollOpenRouterVideo, async (c) => {
    const base = baseOf(c, services);
    const found = await readPatiently(c, services, c.req.valid("param").id);
    if (!found.ok) return refuseUnknown(c, services, found.error);
    return c.json(toJob(found.value, base, pathOf(found.value.id)), 200);
  });

  app.on("GET", downloadOpenRouterVideo.getRoutingPath(), authenticated(authenticate, "read"));
  app.openapi(downloadOpenRouterVideo, async (c): Promise<never> => {
    return (await replyWithContent(c, services, c.req.valid("param").id)) as never;
  });
}

function pathOf(id: string): string {
  return `/api/v1/videos/${id}`;
}
