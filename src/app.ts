// The order in which a request is handled, and what answers when nothing else does.
import { OpenAPIHono } from "@hono/zod-openapi";
import { cors } from "hono/cors";
import { mountAccount } from "./http/account.ts";
import { mountAdmin } from "./http/admin.ts";
import type { App, AppEnv, Services } from "./http/context.ts";
import { answer, badRequest, internalError, notFound } from "./http/errors.ts";
import { mountFiles } from "./http/files.ts";
import { mountModels } from "./http/models.ts";
import { requestLog } from "./http/request-log.ts";
import { mountSeed } from "./http/seed.ts";
import { invalidRequest } from "./http/validation.ts";

const MAX_URL_LENGTH = 8 * 1024;
const EXPOSED_HEADERS = `x-request-id Retry-After retry-after-ms x-should-retry RateLimit RateLimit-Policy X-Task-Id
  X-Credits-Charged X-Credits-Remaining Idempotent-Replayed Location ETag Content-Range`.split(/\s+/);
const METHODS = ["GET", "HEAD", "POST", "PATCH", "DELETE"];
const PREFLIGHT_SECONDS = 86_400;

export function createApp(services: Services): App {
  const app: App = new OpenAPIHono<AppEnv>({ defaultHook: invalidRequest });

  app.use(requestLog(services.telemetry));
  // Any page may call, with its own key; there are no cookies that could be borrowed.
  app.use(cors({ origin: "*", allowMethods: METHODS, exposeHeaders: EXPOSED_HEADERS, maxAge: PREFLIGHT_SECONDS }));
  app.use(async (c, next) => {
    if (c.req.url.length > MAX_URL_LENGTH) {
      return answer(c, badRequest("uri_too_long", `The URL has more than ${MAX_URL_LENGTH} characters.`, null, 414));
    }
    return next();
  });

  mountSeed(app, services);
  mountModels(app, services);
  mountFiles(app, services);
  mountAccount(app, services);
  mountAdmin(app, services);
  app.get("/healthz", (c) => c.json({ status: "ok" }));

  refuseOtherMethods(app);
  app.notFound((c) => answer(c, notFound));
  app.onError((error, c) => {
    // Its name only: a message may hold anything.
    services.telemetry.log("error", { event: "surprise", request_id: c.var.requestId, error: error.name });
    return answer(c, internalError);
  });
  return app;
}

/** Every path that exists says which methods it has. */
function refuseOtherMethods(app: App): void {
  const methods = new Map<string, Set<string>>();
  for (const { path, method } of app.routes) {
    if (method === "ALL") continue;
    methods.set(path, (methods.get(path) ?? new Set()).add(method));
  }
  for (const [path, allowed] of methods) {
    const allow = [...allowed, ...(allowed.has("GET") ? ["HEAD"] : []), "OPTIONS"].join(", ");
    app.all(path, (c) =>
      answer(c, { ...badRequest("method_not_allowed", `Use ${allow} here.`, null, 405), headers: { Allow: allow } }),
    );
  }
}
