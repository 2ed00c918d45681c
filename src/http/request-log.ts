// First in and last out: the request's id, the headers every reply has, and one line in the log.
import type { MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import { base32 } from "../core/encoding.ts";
import type { Telemetry } from "../ports.ts";
import type { AppEnv } from "./context.ts";

export function requestLog(telemetry: Telemetry): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const startedAt = Date.now();
    const requestId = requestIdOf(c.req.raw.headers);
    c.set("requestId", requestId);
    await next();
    const { headers } = c.res;
    headers.set("x-request-id", requestId);
    headers.set("X-Content-Type-Options", "nosniff");
    headers.set("Referrer-Policy", "no-referrer");
    headers.set("Strict-Transport-Security", "max-age=31536000");
    // What is answered here is about money or somebody's task; what may be cached says so itself.
    if (!headers.has("Cache-Control")) headers.set("Cache-Control", "no-store");
    const { caller, taskId, errorCode } = c.var;
    telemetry.log(c.res.status >= 500 ? "error" : "info", {
      event: "request",
      request_id: requestId,
      method: c.req.method,
      // The pattern, not the path: a path is the caller's words.
      route: routePath(c, -1),
      status: c.res.status,
      code: errorCode ?? null,
      tenant: caller?.tenant ?? null,
      mode: caller?.mode ?? null,
      key: caller?.keyId ?? null,
      task: taskId ?? null,
      ms: Date.now() - startedAt,
    });
  };
}

/** The caller's own, if it is harmless to repeat. */
export function requestIdOf(headers: Headers): string {
  const given = headers.get("x-request-id") ?? "";
  return /^[\w-]{1,64}$/.test(given) ? given : `req_${base32(crypto.getRandomValues(new Uint8Array(13))).slice(0, 20)}`;
}
