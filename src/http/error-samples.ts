// One of each no, made by the code that makes the real ones, so that an example says what is really answered.
import type { Refusal } from "../core/errors.ts";
import type { z } from "@hono/zod-openapi";
import { invalidAdminToken, invalidIdempotencyKey, methodNotAllowed, uriTooLong } from "./edge-errors.ts";
import { internalError, notFound, toApiError, type ApiError } from "./errors.ts";
import { BODY_LIMITS, checkHeaders, largeBody, lateBody, parseBody } from "./json-body.ts";
import { INVALID_FORM } from "./openai-form.ts";
import { notAnImage } from "./openai-image.ts";
import { createVideo, queryVideo } from "./seed.ts";
import { faultOf } from "./validation.ts";

/** A kind without one does not build. */
const REFUSALS: { readonly [Kind in Refusal["kind"]]: Omit<Extract<Refusal, { kind: Kind }>, "kind"> } = {
  missing_api_key: {},
  invalid_api_key: {},
  api_key_revoked: {},
  api_key_expired: {},
  invalid_task_token: {},
  task_token_expired: {},
  account_suspended: {},
  insufficient_scope: { needed: "create" },
  model_not_allowed: { model: "veo3-pro", allowed: ["veo3", "veo3-fast"] },
  unsupported_parameter: { field: "aspectRatio", model: "veo2", hint: "The model chooses it by itself." },
  too_many_images: { model: "veo3-pro-frames", max: 1, given: 2 },
  image_url_not_allowed: { index: 0, why: "must be an https URL" },
  webhook_url_not_allowed: { why: "must be an https URL" },
  webhook_not_found: {},
  webhook_disabled: {},
  delivery_not_found: {},
  limit_reached: { what: "webhook endpoints", max: 16 },
  retention_not_allowed: { max: 7 },
  route_not_allowed: {},
  route_not_there: { tags: ["eu", "us"] },
  insufficient_quota: { needed: 40, available: 12 },
  key_budget_exceeded: { needed: 40, available: 12 },
  max_cost_exceeded: { cost: 40, maxCost: 20 },
  model_unavailable: { model: "veo3", reason: "the provider has an outage" },
  idempotency_in_progress: {},
  idempotency_key_reused: {},
  account_read_only: {},
  rate_limit_exceeded: { policy: "create", limit: 60, windowSeconds: 60, resetSeconds: 42 },
  concurrency_limit_exceeded: { limit: 5, live: 5 },
  not_found: {},
  task_not_found: {},
  tenant_not_found: {},
  key_not_found: {},
  orphan_not_found: {},
  provider_not_found: {},
  name_not_confirmed: { name: "Acme" },
  invalid_ip_range: { index: 0 },
  adjustment_too_large: { available: 12 },
  task_ended: {},
  task_not_ended: { isStopping: false },
  task_not_cancellable: { why: "provider" },
  invalid_cursor: {},
  video_not_ready: { why: "under_way" },
  links_not_revocable: {},
  video_expired: {},
  invalid_signature: {},
  url_expired: {},
  link_revoked: {},
  range_not_satisfiable: { size: 1_048_576 },
  provider_unavailable: { model: "veo3" },
  auth_unavailable: {},
  not_started: {},
  links_not_revoked: {},
};

const GOOD = { model: "veo3", prompt: "A lake at sunset" };

/** Where several have one code, the first is its best example. */
export function sampleErrors(): ApiError[] {
  const body = createVideo.request.body.content["application/json"].schema;
  const refused = Object.entries(REFUSALS).map(([kind, rest]) => toApiError({ kind, ...rest } as Refusal));
  return [
    ...[
      { ...GOOD, aspect_ratio: "1:1" },
      { ...GOOD, enhance_prompt: "true" },
      { ...GOOD, aspect_ration: "16:9" },
      { ...GOOD, model: "veo3-fats" },
      { ...GOOD, prompt: "long ".repeat(2_000) },
      { ...GOOD, prompt: "half an emoji: \ud83c" },
      { ...GOOD, prompt: "a bell: \u0007" },
      { model: "veo3" },
    ].map((input) => invalid(body, input, "json")),
    invalid(queryVideo.request.query, { id: ["veo3:1704067200-xxxxxxxx", "veo3:1704067300-yyyyyyyy"] }, "query"),
    ...['{"model": "veo3", "prompt": ', '{"model": "veo3", "model": "veo2"}', `${"[".repeat(9)}${"]".repeat(9)}`].map((text) =>
      unread(new TextEncoder().encode(text)),
    ),
    unread(new Uint8Array([0xfe, 0xff, 0x00, 0x7b])),
    unreadable({ "content-type": "text/plain" }),
    unreadable({ "content-encoding": "gzip" }),
    INVALID_FORM,
    notAnImage("input_reference"),
    lateBody(BODY_LIMITS),
    largeBody(BODY_LIMITS),
    invalidIdempotencyKey("must be 1 to 255 printable ASCII characters"),
    uriTooLong,
    methodNotAllowed("POST, OPTIONS"),
    notFound,
    internalError,
    invalidAdminToken,
    ...refused,
  ];
}

function invalid(schema: z.ZodType, input: unknown, target: string): ApiError {
  const { error } = schema.safeParse(input);
  if (error === undefined) throw new Error("a sample of a fault fits");
  return faultOf(error, input, target);
}

function unread(bytes: Uint8Array): ApiError {
  const read = parseBody(bytes);
  if (read.ok) throw new Error("a sample of an unreadable body is read");
  return read.error;
}

function unreadable(headers: Record<string, string>): ApiError {
  const wrong = checkHeaders(new Headers(headers));
  if (wrong === null) throw new Error("a sample of wrong headers is right");
  return wrong;
}
