// Around every create, whatever its dialect: which repetition it is, and what its headers say.
import type { Context } from "hono";
import { parseIdempotencyKey } from "../core/idempotency.ts";
import { WINDOW_MS } from "../core/quota.ts";
import { fail, ok, type Result } from "../core/result.ts";
import type { SeenTask } from "../core/seen-task.ts";
import { ANY_ROUTE } from "../core/task.ts";
import type { Created, CreateRequest } from "../service/create-video.ts";
import { baseOf } from "./base-url.ts";
import type { AppEnv, Services } from "./context.ts";
import { invalidIdempotencyKey } from "./edge-errors.ts";
import { answer, refuse, SEED_FIELDS, type FieldNames } from "./errors.ts";

type Envelope = "base" | "requestId" | "idempotencyKey" | "isRetry";

/** What a dialect reads out of a body; what it has no word for is as usual. */
export type Wish = Pick<CreateRequest, "generation"> & Partial<Omit<CreateRequest, Envelope>>;

const AS_USUAL = { uploads: [], maxCost: null, retentionDays: null, webhookUrl: null, metadata: {}, route: ANY_ROUTE };

/** `pathOf`: where this dialect reads a task. A no is answered already. */
export async function createFrom(
  c: Context<AppEnv>,
  services: Pick<Services, "videos" | "publicUrl">,
  wish: Wish,
  pathOf: (id: string) => string,
  fields: FieldNames = SEED_FIELDS,
): Promise<Result<Created, ReturnType<typeof answer>>> {
  const key = parseIdempotencyKey(c.req.header("idempotency-key") ?? null);
  if (!key.ok) return fail(answer(c, invalidIdempotencyKey(key.error)));
  const created = await services.videos.create(c.var.caller, {
    ...AS_USUAL,
    ...wish,
    base: baseOf(c, services),
    requestId: c.var.requestId,
    idempotencyKey: key.value,
    isRetry: Number(c.req.header("x-stainless-retry-count") ?? 0) > 0,
  });
  if (!created.ok) return fail(refuse(c, created.error, fields));
  setHeaders(c, created.value, pathOf);
  return ok(created.value);
}

/** The task that a create gave, as a read would tell of it now. A new one need not be asked. */
export async function seenAfterCreate(
  c: Context<AppEnv>,
  services: Pick<Services, "videos" | "publicUrl">,
  { task, replayed }: Created,
): Promise<SeenTask> {
  const found = replayed === "no" ? null : await services.videos.get(c.var.caller, task.id, baseOf(c, services));
  return found?.ok ? found.value : { ...task, progress: 0, retryAfterSeconds: 1, queue: null, attempts: [] };
}

/** What a client may want to know without another call: the task, its price, and what is left. */
function setHeaders(c: Context<AppEnv>, { task, replayed, quote, usage }: Created, pathOf: (id: string) => string): void {
  c.set("taskId", task.id);
  c.header("X-Task-Id", task.id);
  c.header("Location", pathOf(task.id));
  if (replayed !== "no") c.header("Idempotent-Replayed", replayed === "key" ? "true" : "inferred");
  c.header("X-Credits-Charged", String(replayed === "no" ? quote.credits : 0));
  c.header("X-Credits-Remaining", String(usage.available));
  const { createsPerMinute } = usage.limits;
  const resetSeconds = Math.max(Math.ceil((usage.window.startedAt + WINDOW_MS - Date.now()) / 1000), 0);
  c.header("RateLimit-Policy", `"create";q=${createsPerMinute};w=${WINDOW_MS / 1000}`);
  c.header("RateLimit", `"create";r=${Math.max(createsPerMinute - usage.window.count, 0)};t=${resetSeconds}`);
}
