// What a tenant does with tasks it has: GET /v1/video/list, POST /v1/video/cancel, /delete and /link.
import { createRoute, z } from "@hono/zod-openapi";
import { MODEL_NAMES } from "../core/models.ts";
import type { PublicTask } from "../core/public-task.ts";
import { queryBody } from "../service/query-body.ts";
import { authenticated } from "./auth.ts";
import { baseOf } from "./base-url.ts";
import type { App, Services } from "./context.ts";
import { answer, badRequest, errorBody, refuse } from "./errors.ts";
import { jsonBody } from "./json-body.ts";
import { metadataKey, metadataValue } from "./metadata.ts";
import { refuseUnknown } from "./misses.ts";
import { queriedTask } from "./seed-wire.ts";
import { strictBody, whole, wholeNumber } from "./validation.ts";

const MAX_LIMIT = 50;
const MIN_LINK_SECONDS = 60;
const MAX_LINK_SECONDS = 7 * 86_400;
const LATEST = 9_999_999_999;

const errors = { default: { description: "An error", content: { "application/json": { schema: errorBody } } } };
const security = [{ bearer: [] }];
const id = z.string().min(1).openapi({ example: "veo3:1704067200-xxxxxxxx" });

const listQuery = strictBody({
  status: z.enum(["pending", "processing", "completed", "failed"]).optional(),
  model: z.enum(MODEL_NAMES).optional(),
  from: wholeNumber(0, LATEST).optional().openapi({ description: "Created at this time or later, in unix seconds" }),
  to: wholeNumber(0, LATEST).optional().openapi({ description: "Created at this time or earlier, in unix seconds" }),
  metadata_key: metadataKey.optional().openapi({ description: "Whose metadata has this name" }),
  metadata_value: metadataValue.optional().openapi({ description: "Whose metadata has this value of metadata_key" }),
  after: z.string().optional().openapi({ description: "The last_id of the page before" }),
  limit: wholeNumber(1, MAX_LIMIT).default(20).openapi({ default: 20 }),
});

// Not extended: Scalar's validator does not take what that would be in the document, an allOf.
const listedTask = z
  .strictObject({ ...queriedTask.shape, model: z.string(), created_at: z.int(), metadata: z.record(z.string(), z.string()) })
  .openapi("ListedVideo");

const listReply = z
  .strictObject({
    object: z.literal("list"),
    data: z.array(listedTask),
    has_more: z.boolean(),
    first_id: z.string().nullable(),
    /** Where the next page begins: of the last task that was looked at, which a filter may have left out. */
    last_id: z.string().nullable(),
  })
  .openapi("VideoList");

const idBody = strictBody({ id }).openapi("VideoId");

const linkBody = strictBody({
  id,
  expires_in: whole(MIN_LINK_SECONDS, MAX_LINK_SECONDS).nullish().openapi({ description: "The link's life in seconds" }),
  revoke: z.boolean().nullish().openapi({ description: "Make every link that is out stop working, instead" }),
})
  .refine(({ revoke, expires_in }) => revoke !== true || (expires_in ?? null) === null, {
    message: "goes without revoke",
    path: ["expires_in"],
  })
  .openapi("LinkVideo");

const linkReply = z.union([
  z.strictObject({ id: z.string(), video_url: z.string(), expires_at: z.int() }).openapi("VideoLink"),
  z.strictObject({ id: z.string(), object: z.literal("video.links"), revoked: z.literal(true) }).openapi("RevokedLinks"),
]);

const deletedReply = z
  .strictObject({ id: z.string(), object: z.literal("video.deleted"), deleted: z.literal(true) })
  .openapi("DeletedVideo");

export const listVideos = createRoute({
  method: "get",
  path: "/v1/video/list",
  summary: "List videos, the newest first",
  security,
  request: { query: listQuery },
  responses: { 200: { description: "A page", content: { "application/json": { schema: listReply } } }, ...errors },
});

export const cancelVideo = createRoute({
  method: "post",
  path: "/v1/video/cancel",
  summary: "Cancel a video",
  security,
  request: { body: { required: true, content: { "application/json": { schema: idBody } } } },
  responses: {
    200: { description: "It ended, and nothing is charged", content: { "application/json": { schema: queriedTask } } },
    202: {
      description: "The provider is asked to stop; whether it did is told by the task's end",
      content: { "application/json": { schema: queriedTask } },
    },
    ...errors,
  },
});

export const deleteVideo = createRoute({
  method: "post",
  path: "/v1/video/delete",
  summary: "Delete an ended task and its video",
  security,
  request: { body: { required: true, content: { "application/json": { schema: idBody } } } },
  responses: { 200: { description: "It is gone", content: { "application/json": { schema: deletedReply } } }, ...errors },
});

export const linkVideo = createRoute({
  method: "post",
  path: "/v1/video/link",
  summary: "Make a link with a life of its own, or revoke all links",
  security,
  request: { body: { required: true, content: { "application/json": { schema: linkBody } } } },
  responses: { 200: { description: "The link", content: { "application/json": { schema: linkReply } } }, ...errors },
});

export function mountManage(app: App, services: Services): void {
  const { videos, videoLinks, authenticate } = services;

  app.on("GET", listVideos.path, authenticated(authenticate, "read"));
  app.openapi(listVideos, async (c) => {
    const { metadata_key: key, metadata_value: value, ...asked } = c.req.valid("query");
    const { status = null, model = null, from = null, to = null, after = null, limit } = asked;
    if (key === undefined && value !== undefined)
      return answer(c, badRequest("missing_required_parameter", "metadata_value needs metadata_key.", "metadata_key"));
    if (from !== null && to !== null && from > to)
      return answer(c, badRequest("invalid_value", "from must not be after to.", "from"));
    const metadata = key === undefined ? null : { key, value: value ?? null };
    const page = await videos.list(c.var.caller, { status, model, from, to, after, limit, metadata }, baseOf(c, services));
    if (!page.ok) return refuse(c, page.error);
    const { tasks, hasMore, lastId } = page.value;
    const data = tasks.map(toListed);
    return c.json({ object: "list" as const, data, has_more: hasMore, first_id: data[0]?.id ?? null, last_id: lastId }, 200);
  });

  app.on("POST", cancelVideo.path, authenticated(authenticate, "create"), jsonBody);
  app.openapi(cancelVideo, async (c) => {
    const cancelled = await videos.cancel(c.var.caller, c.req.valid("json").id, baseOf(c, services));
    if (!cancelled.ok) return refuseUnknown(c, services, cancelled.error);
    const { task, passedOn } = cancelled.value;
    c.set("taskId", task.id);
    return passedOn ? c.json(queryBody(task), 202) : c.json(queryBody(task), 200);
  });

  app.on("POST", deleteVideo.path, authenticated(authenticate, "create"), jsonBody);
  app.openapi(deleteVideo, async (c) => {
    const { id: given } = c.req.valid("json");
    const deleted = await videos.delete(c.var.caller, given);
    if (!deleted.ok) return refuseUnknown(c, services, deleted.error);
    c.set("taskId", given);
    return c.json({ id: given, object: "video.deleted" as const, deleted: true as const }, 200);
  });

  app.on("POST", linkVideo.path, authenticated(authenticate, "read"), jsonBody);
  app.openapi(linkVideo, async (c) => {
    const { caller } = c.var;
    const { id: given, revoke, expires_in: life } = c.req.valid("json");
    if (revoke === true) {
      // Whoever may read may have a link; only who may change something takes others' away.
      if (!caller.scopes.includes("create")) return refuse(c, { kind: "insufficient_scope", needed: "create" });
      const revoked = await videoLinks.revoke(caller, given);
      if (!revoked.ok) return refuseUnknown(c, services, revoked.error);
      c.set("taskId", given);
      return c.json({ id: given, object: "video.links" as const, revoked: true as const }, 200);
    }
    const made = await videoLinks.make(caller, given, life ?? null, baseOf(c, services));
    if (!made.ok) return refuseUnknown(c, services, made.error);
    c.set("taskId", given);
    return c.json({ id: given, video_url: made.value.url, expires_at: made.value.expiresAt }, 200);
  });
}

function toListed(task: PublicTask): z.infer<typeof listedTask> {
  return { ...queryBody(task), model: task.model, created_at: task.createdAt, metadata: { ...task.metadata } };
}
