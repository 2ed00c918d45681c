// The OpenAI dialect: /v1/videos, as OpenAI's Videos API had it until September 2026 and many servers have it still. It is enough
// that OpenAI's own client does all of it by another base URL and key. The wire is in openai-wire, the forms it comes in in openai-form.
import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Refusal } from "../core/errors.ts";
import { fail, type Result } from "../core/result.ts";
import type { SeenTask } from "../core/seen-task.ts";
import type { Caller } from "../service/authenticate.ts";
import { authenticated } from "./auth.ts";
import { baseOf } from "./base-url.ts";
import type { App, AppEnv, Services } from "./context.ts";
import { createFrom, seenAfterCreate } from "./creating.ts";
import { answer, errorBody, notFound, refuse } from "./errors.ts";
import { refuseUnknown } from "./misses.ts";
import { hasFile, jsonOrFormBody } from "./openai-form.ts";
import { imageIn } from "./openai-image.ts";
import { createBody, createForm, OPENAI_FIELDS, toGeneration, toVideo, videoList, videoObject } from "./openai-wire.ts";
import { replyWithContent } from "./reading-content.ts";
import { faultOf, wholeNumber } from "./validation.ts";
import { readPatiently, waitForCreated } from "./waiting.ts";

const errors = { default: { description: "An error", content: { "application/json": { schema: errorBody } } } };
const security = [{ bearer: [] }];
const bytes = { "video/mp4": { schema: z.string().openapi({ format: "binary" }) } };
const params = z.object({ id: z.string().openapi({ example: "veo3:1704067200-xxxxxxxx" }) });
const videoReply = (description: string) => ({ description, content: { "application/json": { schema: videoObject } } });

export const createOpenAIVideo = createRoute({
  method: "post",
  path: "/v1/videos",
  summary: "Create a video (OpenAI's wire)",
  security,
  request: {
    body: {
      required: true,
      content: { "application/json": { schema: createBody }, "multipart/form-data": { schema: createForm } },
    },
  },
  responses: { 200: videoReply("The video, queued"), ...errors },
});

export const listOpenAIVideos = createRoute({
  method: "get",
  path: "/v1/videos",
  summary: "List videos (OpenAI's wire)",
  security,
  request: {
    query: z.object({
      after: z.string().optional(),
      limit: wholeNumber(1, 100).default(20).openapi({ default: 20 }),
      order: z.enum(["desc"]).optional().openapi({ description: "Newest first" }),
    }),
  },
  responses: {
    200: { description: "A page; it may have fewer than limit", content: { "application/json": { schema: videoList } } },
    ...errors,
  },
});

export const retrieveOpenAIVideo = createRoute({
  method: "get",
  path: "/v1/videos/{id}",
  summary: "Retrieve a video (OpenAI's wire)",
  security,
  request: { params },
  responses: { 200: videoReply("The video"), ...errors },
});

export const deleteOpenAIVideo = createRoute({
  method: "delete",
  path: "/v1/videos/{id}",
  summary: "Delete a video (OpenAI's wire)",
  security,
  request: { params },
  responses: {
    200: {
      description: "It is gone; one that had not begun was cancelled first",
      content: {
        "application/json": {
          schema: z
            .strictObject({ id: z.string(), object: z.literal("video.deleted"), deleted: z.literal(true) })
            .openapi("OpenAIDeletedVideo"),
        },
      },
    },
    ...errors,
  },
});

const variant = z.string().superRefine((asked, context) => {
  if (asked === "video") return;
  const code = asked === "thumbnail" || asked === "spritesheet" ? "unsupported_parameter" : "invalid_value";
  context.addIssue({ code: "custom", message: "must be video: nothing else is made of one", params: { code } });
});

export const downloadOpenAIVideo = createRoute({
  method: "get",
  path: "/v1/videos/{id}/content",
  summary: "Download a video with the API key (OpenAI's wire)",
  security,
  request: { params, query: z.object({ variant: variant.optional().openapi({ enum: ["video"] }) }) },
  responses: {
    200: { description: "The video", content: bytes },
    206: { description: "A range of it", content: bytes },
    304: { description: "Not modified" },
    ...errors,
  },
});

/** What the API had besides, and no model here can do. */
const UNSERVED = [
  ["POST", "/v1/videos/:id/remix"],
  ["POST", "/v1/videos/edits"],
  ["POST", "/v1/videos/extensions"],
  ["POST", "/v1/videos/characters"],
  ["GET", "/v1/videos/characters/:id"],
] as const;
const unserved = { ...notFound, message: "Videos are not remixed, edited or extended here, and there are no characters." };

export function mountOpenAI(app: App, services: Services): void {
  const { videos, authenticate } = services;

  for (const [method, path] of UNSERVED) app.on(method, path, (c) => answer(c, unserved));

  // Not by app.openapi, whose validators know a body by its Content-Type: what a form held is judged as the JSON that it stands for.
  app.openAPIRegistry.registerPath(createOpenAIVideo);
  app.on("POST", createOpenAIVideo.path, authenticated(authenticate, "create"), jsonOrFormBody, async (c) => {
    const input: unknown = await c.req.json();
    const body = (hasFile(input) ? createForm : createBody).safeParse(input);
    if (!body.success) return answer(c, faultOf(body.error, input, "json"));
    const image = await imageIn(body.data.input_reference ?? null);
    if (!image.ok) return answer(c, image.error);
    const uploads = image.value === null ? [] : [image.value];
    const { generation, adjustments } = toGeneration(body.data);
    const created = await createFrom(c, services, { generation, uploads }, pathOf, OPENAI_FIELDS);
    if (!created.ok) return created.error;
    const waited = await waitForCreated(c, services, created.value.task.id);
    const task = waited ?? (await seenAfterCreate(c, services, created.value));
    setPollAfter(c, task);
    return c.json({ ...toVideo(task), adjustments }, 200);
  });

  app.on("GET", listOpenAIVideos.path, authenticated(authenticate, "read"));
  app.openapi(listOpenAIVideos, async (c) => {
    const { after, limit } = c.req.valid("query");
    const asked = { status: null, model: null, from: null, to: null, metadata: null, after: after ?? null, limit };
    const found = await videos.list(c.var.caller, asked, baseOf(c, services));
    if (!found.ok) return refuse(c, found.error);
    const { tasks, hasMore, lastId } = found.value;
    const data = tasks.map(toVideo);
    return c.json({ object: "list" as const, data, first_id: data[0]?.id ?? null, last_id: lastId, has_more: hasMore }, 200);
  });

  app.on("GET", retrieveOpenAIVideo.getRoutingPath(), authenticated(authenticate, "read"));
  app.openapi(retrieveOpenAIVideo, async (c) => {
    const found = await readPatiently(c, services, c.req.valid("param").id);
    if (!found.ok) return refuseUnknown(c, services, found.error);
    setPollAfter(c, found.value);
    return c.json(toVideo(found.value), 200);
  });

  app.on("DELETE", deleteOpenAIVideo.getRoutingPath(), authenticated(authenticate, "create"));
  app.openapi(deleteOpenAIVideo, async (c) => {
    const { id } = c.req.valid("param");
    const deleted = await endAndDelete(c.var.caller, id, baseOf(c, services));
    if (deleted.ok) {
      c.set("taskId", id);
      return c.json({ id, object: "video.deleted" as const, deleted: true as const }, 200);
    }
    return refuseUnknown(c, services, deleted.error);
  });

  app.on("GET", downloadOpenAIVideo.getRoutingPath(), authenticated(authenticate, "read"));
  app.openapi(downloadOpenAIVideo, async (c): Promise<never> => {
    return (await replyWithContent(c, services, c.req.valid("param").id)) as never;
  });

  /** The API has no cancel: who deletes a video does not want it made. */
  async function endAndDelete(caller: Caller, id: string, base: string): Promise<Result<null, Refusal>> {
    const deleted = await videos.delete(caller, id);
    if (deleted.ok || deleted.error.kind !== "task_not_ended" || deleted.error.isStopping) return deleted;
    const cancelled = await videos.cancel(caller, id, base);
    if (!cancelled.ok) return cancelled;
    // Asked to stop, it ends by itself, and a client that comes back sees that.
    return cancelled.value.passedOn ? fail({ kind: "task_not_ended", isStopping: true }) : videos.delete(caller, id);
  }
}

function pathOf(id: string): string {
  return `/v1/videos/${id}`;
}

/** What OpenAI's poll helpers go by. */
function setPollAfter(c: Context<AppEnv>, { retryAfterSeconds }: SeenTask): void {
  if (retryAfterSeconds === null) return;
  c.header("openai-poll-after-ms", String(retryAfterSeconds * 1000));
  c.header("Retry-After", String(retryAfterSeconds));
}
