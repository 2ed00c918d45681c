// The order in which a request is handled, and what answers when nothing else does.
import { OpenAPIHono } from "@hono/zod-openapi";
import { cors } from "hono/cors";
import { mountAccount } from "./http/account.ts";
import { mountAdmin } from "./http/admin.ts";
import { mountCallbacks } from "./http/callbacks.ts";
import type { App, AppEnv, Services } from "./http/context.ts";
import { mountDocs } from "./http/docs.ts";
import { MAX_URL_LENGTH, methodNotAllowed, uriTooLong } from "./http/edge-errors.ts";
import { answer, internalError, notFound } from "./http/errors.ts";
import { mountErrorsPage } from "./http/errors-page.tsx";
import { mountEvents } from "./http/events.ts";
import { mountFiles } from "./http/files.ts";
import { mountImageFile } from "./http/image-file.ts";
import { mountManage } from "./http/manage.ts";
import { mountModels } from "./http/models.ts";
import { mountOpenAI } from "./http/openai.ts";
import { mountOpenRouter } from "./http/openrouter.ts";
import { requestLog } from "./http/request-log.ts";
import { mountSeed } from "./http/seed.ts";
import { mountTaskToken } from "./http/task-token.ts";
import { invalidRequest } from "./http/validation.ts";
import { mountWebhooks } from "./http/webhooks.ts";

const EXPOSED_HEADERS = `x-request-id Retry-After retry-after-ms x-should-retry RateLimit RateLimit-Policy X-Task-Id
  X-Credits-Charged X-Credits-Remaining Idempotent-Replayed openai-poll-after-ms Location ETag Content-Range
  Preference-Applied`.split(/\s+/);
const METHODS = ["GET", "HEAD", "POST", "PATCH", "DELETE"];
const PREFLIGHT_SECONDS = 86_400;

export function createApp(services: Services): App {
  const app: App = new OpenAPIHono<AppEnv>({ defaultHook: invalidRequest });

  app.use(requestLog(services.telemetry));
  // Any page may call, with its own key; there are no cookies that could be borrowed.
  app.use(cors({ origin: "*", allowMethods: METHODS, exposeHeaders: EXPOSED_HEADERS, maxAge: PREFLIGHT_SECONDS }));
  app.use(async (c, next) => {
    if (c.req.url.length > MAX_URL_LENGTH) return answer(c, uriTooLong);
    return next();
  });

  mountSeed(app, services);
  mountManage(app, services);
  mountEvents(app, services);
  mountTaskToken(app, services);
  mountOpenAI(app, services);
  mountOpenRouter(app, services);
  mountModels(app, services);
  mountFiles(app, services);
  mountImageFile(app, services);
  mountAccount(app, services);
  mountCallbacks(app, services);
  mountWebhooks(app, services);
  mountAdmin(app, services);
  mountDocs(app, services);
  mountErrorsPage(app);
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
    app.all(path, (c) => answer(c, methodNotAllowed(allow)));
  }
}
