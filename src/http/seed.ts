// The seed dialect: POST /v1/video/create and GET /v1/video/query, as the public API page has them. Its wire names go no further.
import { createRoute, z } from "@hono/zod-openapi";
import { wantsRepresentation } from "../core/prefer.ts";
import { queryBody } from "../service/query-body.ts";
import { authenticated, watching } from "./auth.ts";
import { baseOf } from "./base-url.ts";
import type { App, Services } from "./context.ts";
import { createFrom } from "./creating.ts";
import { errorBody, refuse } from "./errors.ts";
import { jsonBody } from "./json-body.ts";
import { refuseUnknown } from "./misses.ts";
import {
  createBody,
  createdTask,
  queriedTask,
  quoteBody,
  quoteReply,
  toCreated,
  toQuote,
  toRepresentation,
  toWish,
} from "./seed-wire.ts";
import { isKnown, readPatiently, waitForCreated } from "./waiting.ts";

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
    const wish = toWish(body);
    if (body.dry_run === true) {
      const quoted = await videos.quote(c.var.caller, { ...wish, base: baseOf(c, services) });
      return quoted.ok ? c.json(toQuote(wish, quoted.value), 200) : refuse(c, quoted.error);
    }
    const created = await createFrom(c, services, wish, (id) => `${queryVideo.path}?id=${id}`);
    if (!created.ok) return created.error;
    const waited = await waitForCreated(c, services, created.value.task.id);
    if (waited !== null) return c.json(queryBody(waited), 200);
    return c.json(toCreated(created.value.task), 200);
  });

  app.on("POST", quoteVideo.path, authenticated(authenticate, "read"), jsonBody);
  app.openapi(quoteVideo, async (c) => {
    const wish = toWish(c.req.valid("json"));
    const quoted = await videos.quote(c.var.caller, { ...wish, base: baseOf(c, services) });
    return quoted.ok ? c.json(toQuote(wish, quoted.value), 200) : refuse(c, quoted.error);
  });

  app.on("GET", queryVideo.path, watching(services));
  app.openapi(queryVideo, async (c) => {
    const found = await readPatiently(c, services, c.req.valid("query").id);
    if (!found.ok) return refuseUnknown(c, services, found.error);
    // Its extras change with every look, so that nothing about them could be known already.
    if (wantsRepresentation(c.req.header("prefer") ?? null)) {
      c.header("Preference-Applied", "return=representation", { append: true });
      return c.json(toRepresentation(found.value), 200);
    }
    return (await isKnown(c, found.value)) ? c.body(null, 304) : c.json(queryBody(found.value), 200);
  });
}
