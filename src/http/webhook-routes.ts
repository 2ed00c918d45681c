// What the routes of webhooks have in common.
import { z } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import type { Scope } from "../core/api-key.ts";
import { authenticated } from "./auth.ts";
import type { App, AppEnv, Services } from "./context.ts";
import { errorBody } from "./errors.ts";

export const TENANT = { tags: ["webhooks"], security: [{ bearer: [] }] };
const errors = { default: { description: "An error", content: { "application/json": { schema: errorBody } } } };

export function replies<Schema extends z.ZodType>(description: string, schema: Schema) {
  return { 200: { description, content: { "application/json": { schema } } }, ...errors };
}

export function takes<Schema extends z.ZodType, Required extends boolean>(schema: Schema, required: Required) {
  return { required, content: { "application/json": { schema } } } as const;
}

/** Ids of any form: one that does not exist is told so. */
export const params = idLike("whe_abcdefghijklmnop");
export const deliveryParams = idLike("msg_abcdefghijklmnop-42");

function idLike(example: string) {
  return z.object({ id: z.string().openapi({ param: { name: "id", in: "path" }, example }) });
}

/** Asks for a key with that scope, and then for a body, before the route itself looks at anything. */
export function guarded(app: App, { authenticate }: Services) {
  return (route: { method: string; getRoutingPath(): string }, scope: Scope, ...body: MiddlewareHandler<AppEnv>[]): void => {
    app.on(route.method.toUpperCase(), route.getRoutingPath(), authenticated(authenticate, scope), ...body);
  };
}
