// A JSON body that may be left out, where every field of it has a default: `curl -X POST` says enough.
import type { MiddlewareHandler } from "hono";
import type { AppEnv } from "./context.ts";
import { jsonBody } from "./json-body.ts";

export const optionalJsonBody: MiddlewareHandler<AppEnv> = async (c, next) => {
  const { body, headers } = c.req.raw;
  if (body !== null && headers.get("content-length") !== "0") return jsonBody(c, next);
  // The validator asks for it where the type says that there is one.
  c.req.json = async () => ({}) as never;
  return next();
};
