// The OpenAPI document as the routes of this tree make it, and the routes themselves.
import type { z } from "@hono/zod-openapi";
import { createApp } from "../../src/app.ts";
import { openApiDocument, type OpenApiDocument } from "../../src/http/openapi.ts";

/** A route object, as far as it says what is taken and given. */
export interface Route {
  readonly method: string;
  readonly path: string;
  readonly hide?: boolean;
  readonly request?: { readonly body?: { readonly content: Readonly<Record<string, { readonly schema: z.ZodType }>> } };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema: z.ZodType }>> }>>;
}

/** Every route is mounted, and no request is made: what the routes would call is never there. */
function bareApp() {
  const nothing: unknown = new Proxy(() => nothing, { get: () => nothing });
  return createApp(nothing as Parameters<typeof createApp>[0]);
}

export function drawnDocument(): OpenApiDocument {
  return openApiDocument(bareApp());
}

/** By method and path, as `post /v1/video/create`. */
export function routes(): ReadonlyMap<string, Route> {
  const found = bareApp().openAPIRegistry.definitions.flatMap((each) =>
    each.type === "route" ? [each.route as unknown as Route] : [],
  );
  return new Map(found.map((route) => [`${route.method} ${route.path}`, route]));
}
