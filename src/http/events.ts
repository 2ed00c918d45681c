// GET /v1/video/events: one task as a stream of events, or, without an id, all of the tenant's.
import { createRoute, z } from "@hono/zod-openapi";
import { queryBody } from "../service/query-body.ts";
import type { Watcher } from "../service/watch.ts";
import type { FeedEvent } from "../service/watch-feed.ts";
import type { TaskEvent } from "../service/watch-task.ts";
import { watching } from "./auth.ts";
import { baseOf } from "./base-url.ts";
import type { App, Services } from "./context.ts";
import { errorBody } from "./errors.ts";
import { eventStream, type Block } from "./event-stream.ts";
import { refuseUnknown } from "./misses.ts";
import { notEmpty, strictBody } from "./validation.ts";

export const videoEvents = createRoute({
  method: "get",
  path: "/v1/video/events",
  summary: "Watch one video, or all of them, as server-sent events",
  description: [
    "With `id`: `status` (data: what query answers) and `progress`, until the task has ended.",
    "Without: `video.created`, `video.processing`, `video.completed` and `video.failed` of every task from now on; `gap` where some that",
    "were missed are not kept any more. A stream is closed after 15 minutes: come back with the `Last-Event-ID`, as EventSource does by itself.",
  ].join(" "),
  security: [{ bearer: [] }],
  request: {
    query: strictBody({
      id: notEmpty.optional().openapi({ example: "veo3:1704067200-xxxxxxxx" }),
      token: z.string().optional().openapi({ description: "A token of the task, for what can set no header" }),
    }),
    headers: z.object({ "last-event-id": z.string().optional().openapi({ description: "The last event that you have seen" }) }),
  },
  responses: {
    200: { description: "The events", content: { "text/event-stream": { schema: z.string() } } },
    204: { description: "You have seen the end already; EventSource then stays away" },
    default: { description: "An error", content: { "application/json": { schema: errorBody } } },
  },
});

export function mountEvents(app: App, services: Services): void {
  const { watch } = services;

  app.on("GET", videoEvents.path, watching(services));
  app.openapi(videoEvents, async (c): Promise<never> => {
    const { caller, isStillAllowed } = c.var;
    const { id } = c.req.valid("query");
    const gone = new AbortController();
    const watcher: Watcher = {
      lastEventId: c.req.header("last-event-id") ?? null,
      base: baseOf(c, services),
      isStillAllowed,
      signal: AbortSignal.any([gone.signal, c.req.raw.signal]),
    };
    if (id === undefined) {
      const events = await watch.tenant(caller, watcher);
      return eventStream(c, events, feedBlock, gone, services) as never;
    }
    const opened = await watch.task(caller, id, watcher);
    if (!opened.ok) return (await refuseUnknown(c, services, opened.error)) as never;
    c.set("taskId", id);
    return (opened.value === null ? c.body(null, 204) : eventStream(c, opened.value, taskBlock, gone, services)) as never;
  });
}

function taskBlock(event: TaskEvent): Block {
  switch (event.type) {
    case "heartbeat":
      return {};
    case "status":
      return { event: "status", id: event.mark, data: queryBody(event.video) };
    case "progress": {
      const { id, percent: progress, elapsedSeconds, estimatedSeconds } = event;
      const data = { id, progress, elapsed_seconds: elapsedSeconds, estimated_seconds: estimatedSeconds };
      return { event: "progress", id: event.mark, data };
    }
  }
}

function feedBlock(event: FeedEvent): Block {
  switch (event.type) {
    case "heartbeat":
      return {};
    case "from":
      return { id: String(event.seq) };
    case "gap":
      return { event: "gap", id: String(event.seq), data: {} };
    default:
      return { event: event.type, id: String(event.seq), data: queryBody(event.video) };
  }
}
