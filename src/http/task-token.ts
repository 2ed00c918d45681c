// POST /v1/video/token: what a web page may hold instead of the API key, to watch one task and play its video.
import { createRoute, z } from "@hono/zod-openapi";
import { TOKEN_SECONDS } from "../core/task-token.ts";
import { authenticated } from "./auth.ts";
import type { App, Services } from "./context.ts";
import { errorBody } from "./errors.ts";
import { jsonBody } from "./json-body.ts";
import { refuseUnknown } from "./misses.ts";
import { strictBody, whole } from "./validation.ts";

const tokenBody = strictBody({
  id: z.string().min(1).openapi({ example: "veo3:1704067200-xxxxxxxx" }),
  expires_in: whole(TOKEN_SECONDS.min, TOKEN_SECONDS.max)
    .nullish()
    .openapi({ description: `Seconds, ${TOKEN_SECONDS.usual} if not given` }),
}).openapi("CreateTaskToken");

const tokenReply = z
  .strictObject({
    id: z.string(),
    /** Good for GET /v1/video/query and /v1/video/events of this task, as `Authorization: Bearer` or `?token=`. */
    token: z.string(),
    /** Unix seconds. */
    expires_at: z.int(),
  })
  .openapi("TaskToken");

export const createTaskToken = createRoute({
  method: "post",
  path: "/v1/video/token",
  summary: "Make a token for a web page to watch one task",
  security: [{ bearer: [] }],
  request: { body: { required: true, content: { "application/json": { schema: tokenBody } } } },
  responses: {
    200: { description: "The token", content: { "application/json": { schema: tokenReply } } },
    default: { description: "An error", content: { "application/json": { schema: errorBody } } },
  },
});

export function mountTaskToken(app: App, services: Services): void {
  app.on("POST", createTaskToken.path, authenticated(services.authenticate, "read"), jsonBody);
  app.openapi(createTaskToken, async (c) => {
    const { id, expires_in: seconds } = c.req.valid("json");
    const issued = await services.taskTokens.issue(c.var.caller, id, seconds ?? TOKEN_SECONDS.usual);
    if (!issued.ok) return refuseUnknown(c, services, issued.error);
    c.set("taskId", id);
    return c.json({ id, token: issued.value.token, expires_at: issued.value.expiresAt }, 200);
  });
}
