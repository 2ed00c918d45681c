// The error envelope, and the one place where a refusal gets a status. A new kind of refusal does not build until it has one.
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Refusal } from "../core/errors.ts";
import type { GenerationField } from "../core/generation.ts";
import type { AppEnv } from "./context.ts";
import type { ErrorCode } from "./error-texts.ts";

export const errorBody = z
  .strictObject({
    error: z.strictObject({
      message: z.string(),
      type: z.string(),
      code: z.string(),
      /** The field at fault, as `images.0`; null where none is. */
      param: z.string().nullable(),
    }),
  })
  .openapi("Error");

/** Every status that is not a success; a route's replies are typed with it. */
export type ErrorStatus = 400 | 401 | 402 | 403 | 404 | 405 | 408 | 409 | 413 | 414 | 415 | 416 | 422 | 429 | 500 | 503;

export interface ApiError {
  readonly status: ErrorStatus;
  readonly type: string;
  /** Every code is told about in error-texts.ts, or it does not build. */
  readonly code: ErrorCode;
  readonly message: string;
  readonly param?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

const REQUEST_ERROR = "invalid_request_error";

/** What a dialect calls what it takes, so that `param` names what the caller wrote. */
export interface FieldNames extends Readonly<Record<GenerationField | "webhookUrl", string>> {
  readonly image: (index: number) => string;
}

export const SEED_FIELDS: FieldNames = {
  model: "model",
  prompt: "prompt",
  enhancePrompt: "enhance_prompt",
  upsample: "enable_upsample",
  aspectRatio: "aspect_ratio",
  images: "images",
  image: (index) => `images.${index}`,
  webhookUrl: "webhook_url",
};

export function answer(c: Context<AppEnv>, error: ApiError) {
  const { status, type, code, message, param = null, headers } = error;
  c.set("errorCode", code);
  // Many SDKs repeat every 409 by themselves, and more than that.
  if (!mayRepeat(error)) c.header("x-should-retry", "false");
  for (const [name, value] of Object.entries(headers ?? {})) c.header(name, value);
  return c.json({ error: { message, type, code, param } }, status);
}

/** Whether the same request may get another answer in a while. */
export function mayRepeat({ status, headers = {} }: ApiError): boolean {
  return "Retry-After" in headers || status === 408 || status >= 500;
}

export function refuse(c: Context<AppEnv>, refusal: Refusal, fields: FieldNames = SEED_FIELDS) {
  return answer(c, toApiError(refusal, fields));
}

/** A request that cannot be read or lacks what it must have; 400 unless said otherwise. */
export function badRequest(code: ErrorCode, message: string, param: string | null = null, status: ErrorStatus = 400): ApiError {
  return { status, type: REQUEST_ERROR, code, message, param };
}

export const notFound = badRequest("not_found", "There is nothing here. The API begins at /v1/video/create.", null, 404);

export const internalError: ApiError = {
  status: 500,
  type: "server_error",
  code: "internal_error",
  message: "Something went wrong on our side. If it happens again, tell us the x-request-id of this reply.",
};

export function toApiError(refusal: Refusal, fields: FieldNames = SEED_FIELDS): ApiError {
  switch (refusal.kind) {
    case "missing_api_key":
      return unauthenticated(refusal.kind, "Send your API key in the header: Authorization: Bearer sk-…");
    case "invalid_api_key":
      return unauthenticated(refusal.kind, "This is not a valid API key. The header is: Authorization: Bearer sk-…");
    case "api_key_revoked":
      return unauthenticated(refusal.kind, "This API key was revoked. Use another one.");
    case "api_key_expired":
      return unauthenticated(refusal.kind, "This API key has expired. Use another one.");
    case "invalid_task_token":
      return unauthenticated(
        refusal.kind,
        "This is not a task token for this task. POST /v1/video/token makes one, for one task each.",
      );
    case "task_token_expired":
      return unauthenticated(refusal.kind, "This task token has expired. Make a new one with your API key: POST /v1/video/token.");
    case "account_suspended":
      return forbidden(refusal.kind, "This account is suspended. Ask the operator of this service.");
    case "insufficient_scope":
      return forbidden(refusal.kind, `This API key does not have the scope "${refusal.needed}".`);
    case "model_not_allowed":
      return forbidden(
        refusal.kind,
        `Your plan does not include ${refusal.model}. It includes: ${refusal.allowed.join(", ")}.`,
        fields.model,
      );
    case "unsupported_parameter":
      return badRequest(
        refusal.kind,
        `${refusal.model} does not take ${fields[refusal.field]}. ${refusal.hint}`,
        fields[refusal.field],
      );
    case "too_many_images":
      return badRequest(
        refusal.kind,
        `${refusal.model} takes at most ${images(refusal.max)}; there are ${refusal.given}.`,
        fields.images,
      );
    case "image_url_not_allowed":
      return badRequest(refusal.kind, `${fields.image(refusal.index)} ${refusal.why}.`, fields.image(refusal.index));
    case "webhook_url_not_allowed":
      return badRequest(refusal.kind, `${fields.webhookUrl} ${refusal.why}.`, fields.webhookUrl);
    case "webhook_not_found":
      return badRequest(refusal.kind, "There is no such webhook endpoint.", null, 404);
    case "webhook_disabled":
      return badRequest(refusal.kind, "This webhook endpoint is disabled. Enable it first.", null, 409);
    case "delivery_not_found":
      return badRequest(refusal.kind, "There is no such delivery. They are kept for 30 days.", null, 404);
    case "limit_reached":
      return badRequest(refusal.kind, `There may be at most ${refusal.max} ${refusal.what}.`);
    case "route_not_allowed":
      return forbidden(refusal.kind, "Your plan does not let you choose providers. Leave route out.", "route");
    case "route_not_there":
      return badRequest(
        "invalid_value",
        refusal.tags.length === 0
          ? "route.only must be left out: no provider of what you ask for has a tag."
          : `route.only must have at least one of ${refusal.tags.join(", ")}: no other tag leads to a provider of what you ask for.`,
        "route.only",
      );
    case "retention_not_allowed":
      return badRequest("invalid_value", `retention_days must be at most ${refusal.max}, as your plan has it.`, "retention_days");
    case "insufficient_quota":
      return {
        status: 402,
        type: refusal.kind,
        code: refusal.kind,
        message: `This costs ${refusal.needed} credits, and ${refusal.available} are available.`,
      };
    case "key_budget_exceeded":
      return {
        status: 402,
        type: "insufficient_quota",
        code: refusal.kind,
        message: `This costs ${refusal.needed} credits, and ${refusal.available} are left of this API key's budget for the month.`,
      };
    case "max_cost_exceeded":
      return badRequest(
        refusal.kind,
        `This costs ${refusal.cost} credits, more than max_cost allows (${refusal.maxCost}).`,
        "max_cost",
      );
    case "model_unavailable":
      return unavailable(refusal.kind, `${refusal.model} is switched off for now: ${refusal.reason}. Nothing was charged.`, 60);
    case "idempotency_in_progress":
      return {
        status: 409,
        type: "idempotency_error",
        code: refusal.kind,
        message: "The first request with this Idempotency-Key is still under way. Repeat it in a second.",
        headers: retryAfter(1),
      };
    case "idempotency_key_reused":
      return {
        status: 422,
        type: "idempotency_error",
        code: refusal.kind,
        message: "This Idempotency-Key was used with another body. Use a new key for a new request.",
      };
    case "account_read_only":
      return unavailable(refusal.kind, "This account takes no new tasks until the operator has looked at its books.", 60);
    case "rate_limit_exceeded":
      return limited(refusal.kind, limitMessage(refusal), refusal.resetSeconds, {
        ...(refusal.limit !== null && { "RateLimit-Policy": `"${refusal.policy}";q=${refusal.limit};w=${refusal.windowSeconds}` }),
        RateLimit: `"${refusal.policy}";r=0;t=${refusal.resetSeconds}`,
      });
    case "concurrency_limit_exceeded":
      return limited(
        refusal.kind,
        `${refusal.live} of your tasks are under way, and your plan allows ${refusal.limit} at a time. Wait for one to end.`,
        RETRY_CONCURRENCY_SECONDS,
        { "RateLimit-Policy": `"live-tasks";q=${refusal.limit}`, RateLimit: `"live-tasks";r=0;t=${RETRY_CONCURRENCY_SECONDS}` },
      );
    case "not_found":
      return notFound;
    case "task_not_found":
      return badRequest(refusal.kind, "There is no such task.", null, 404);
    case "tenant_not_found":
      return badRequest(refusal.kind, "There is no such tenant.", null, 404);
    case "key_not_found":
      return badRequest(refusal.kind, "This tenant has no such API key.", null, 404);
    case "orphan_not_found":
      return badRequest(refusal.kind, "There is no such orphan.", null, 404);
    case "provider_not_found":
      return badRequest(refusal.kind, "There is no such provider.", null, 404);
    case "name_not_confirmed":
      return badRequest("invalid_value", `confirm must be the tenant's name, ${JSON.stringify(refusal.name)}.`, "confirm");
    case "invalid_ip_range":
      return badRequest(
        "invalid_value",
        `ips.${refusal.index} must be an address or a CIDR range, as 203.0.113.0/24.`,
        `ips.${refusal.index}`,
      );
    case "adjustment_too_large":
      return badRequest(
        "invalid_value",
        `amount takes away more than the ${refusal.available} credits that are available.`,
        "amount",
      );
    case "task_ended":
      return badRequest(refusal.kind, "This task has ended, and an end is final.", null, 409);
    case "task_not_ended":
      return refusal.isStopping
        ? inAMoment(badRequest(refusal.kind, "This task is just being stopped. Ask again in a moment.", null, 409))
        : badRequest(refusal.kind, "This task has not ended. Cancel it first, or wait for its end.", null, 409);
    case "task_not_cancellable": {
      const no = badRequest(refusal.kind, `${NOT_CANCELLABLE[refusal.why]} Nothing was changed.`, null, 409);
      return refusal.why === "handing_over" ? inAMoment(no) : no;
    }
    case "invalid_cursor":
      return badRequest(refusal.kind, "after must be the id of one of your tasks, as last_id gives it.", "after");
    case "video_expired":
      return badRequest(refusal.kind, "This video is no longer there: it was deleted, or its retention time has ended.", null, 404);
    case "video_not_ready":
      return badRequest(refusal.kind, VIDEO_NOT_READY[refusal.why], null, 409);
    case "links_not_revocable":
      return badRequest(refusal.kind, LINKS_NOT_REVOCABLE, null, 409);
    case "links_not_revoked":
      return unavailable("service_unavailable", "The links could not be revoked just now, and those that are out still work.", 2);
    case "invalid_signature":
      return forbidden(refusal.kind, "This link was not made by us, or was changed. Query the task for a fresh one.");
    case "url_expired":
      return forbidden(refusal.kind, "This link has expired. Query the task for a fresh one.");
    case "link_revoked":
      return forbidden(refusal.kind, "This link was revoked. Query the task for a fresh one.");
    case "range_not_satisfiable":
      return {
        ...badRequest(refusal.kind, `The file has ${refusal.size} bytes.`, null, 416),
        headers: { "Content-Range": `bytes */${refusal.size}` },
      };
    case "provider_unavailable":
      return unavailable(refusal.kind, `No provider is configured for ${refusal.model} at the moment. Nothing was charged.`, 30);
    case "auth_unavailable":
      return unavailable(refusal.kind, "API keys cannot be checked at the moment. Nothing was done.", 1);
    case "not_started":
      return unavailable("service_unavailable", "The task could not be started. Credits that were held for it are given back.", 2);
  }
}

const RETRY_CONCURRENCY_SECONDS = 5;
/** A hand-over, or the end of what was asked to stop. */
const MOMENT_SECONDS = 2;

const LINKS_NOT_REVOCABLE =
  "Links of this gateway lead straight to its storage, which does not call them back: they work until they expire. Nothing was changed.";

const VIDEO_NOT_READY: Record<Extract<Refusal, { kind: "video_not_ready" }>["why"], string> = {
  under_way: "This task has no video yet. Query it until it is completed.",
  failed: "This task failed and has no video.",
};

const NOT_CANCELLABLE: Record<Extract<Refusal, { kind: "task_not_cancellable" }>["why"], string> = {
  ended: "This task has ended, and an end is final.",
  handing_over: "This task is just being handed over to a provider; ask again in a moment.",
  copying: "The video of this task is finished and being copied.",
  provider: "The provider that works on this task cannot be told to stop.",
};

function limitMessage({ policy, limit, windowSeconds, resetSeconds }: Extract<Refusal, { kind: "rate_limit_exceeded" }>): string {
  const promise =
    limit === null ? `Too many requests by this ${policy}.` : `At most ${limit} creates in ${windowSeconds} seconds are allowed.`;
  return `${promise} Try again in ${resetSeconds} s.`;
}

function images(count: number): string {
  return count === 1 ? "1 image" : `${count} images`;
}

function unauthenticated(code: ErrorCode, message: string): ApiError {
  return { status: 401, type: "authentication_error", code, message, headers: { "WWW-Authenticate": "Bearer" } };
}

function forbidden(code: ErrorCode, message: string, param: string | null = null): ApiError {
  return { status: 403, type: "permission_error", code, message, param };
}

function limited(code: ErrorCode, message: string, seconds: number, headers: Record<string, string>): ApiError {
  return { status: 429, type: "rate_limit_error", code, message, headers: { ...retryAfter(seconds), ...headers } };
}

function inAMoment(error: ApiError): ApiError {
  return { ...error, headers: retryAfter(MOMENT_SECONDS) };
}

function unavailable(code: ErrorCode, message: string, seconds: number): ApiError {
  return { status: 503, type: "server_error", code, message, headers: retryAfter(seconds) };
}

function retryAfter(seconds: number): Record<string, string> {
  // The second is what the OpenAI SDK looks at first.
  return { "Retry-After": String(seconds), "retry-after-ms": String(seconds * 1000), "x-should-retry": "true" };
}
