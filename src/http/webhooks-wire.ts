// Webhooks as the wire has them: what is taken, what is shown. A secret is shown when it is made, and not again.
import { z } from "@hono/zod-openapi";
import { NEWS_TYPES } from "../core/news.ts";
import { hookOf, isSigningSecret, placeOf, type Delivery, type Endpoint, type SigningSecrets } from "../core/webhook.ts";
import type { DeliveryView } from "../ports.ts";
import type { DeliveryDetail } from "../service/webhooks.ts";
import { line, toSeconds, toSecondsOrNull } from "./admin-wire.ts";
import { notEmpty, strictBody, whole, wholeNumber } from "./validation.ts";

export const DAY_SECONDS = 86_400;
const WEEK_SECONDS = 7 * DAY_SECONDS;

const events = z.array(z.enum(NEWS_TYPES)).min(1).max(NEWS_TYPES.length);
const description = line(200).nullable();
const secret = z.string().refine(isSigningSecret, "must be whsec_ and 24 to 64 bytes in base64");
/** Judged by its own rules; see net/url-policy. */
const url = z.string();

export const createBody = strictBody({
  url,
  events: events.optional().openapi({ description: "All of them where it is left out" }),
  description: description.optional(),
  secret: secret.nullish().openapi({ description: "One is made where it is left out" }),
}).openapi("CreateWebhook");

export const changeBody = strictBody({
  url: url.optional(),
  events: events.optional(),
  // Its example is the sample's: one that may be pasted, and changes nothing of where the events go.
  description: description.optional().openapi({ example: "Orders" }),
  status: z.enum(["enabled", "disabled"]).optional(),
}).openapi("ChangeWebhook");

export const rollBody = strictBody({
  overlap_seconds: whole(0, WEEK_SECONDS).optional().openapi({
    default: DAY_SECONDS,
    description: "How long the secret before signs too; 0 ends it at once",
  }),
  secret: secret.nullish(),
}).openapi("RollWebhookSecret");

export const testBody = strictBody({
  event: z.enum(NEWS_TYPES).optional().openapi({ default: "video.completed", description: "What the sample tells of" }),
}).openapi("TestWebhook");

export const emptyBody = strictBody({}).openapi("Nothing");

export const endpointReply = z
  .strictObject({
    object: z.literal("webhook"),
    id: z.string().openapi({ example: "whe_abcdefghijklmnop" }),
    url: z.string(),
    events: z.array(z.enum(NEWS_TYPES)),
    description: z.string().nullable(),
    status: z.enum(["enabled", "disabled"]),
    /** `gone`: it answered 410. `failing`: it took nothing for five days. */
    disabled_reason: z.enum(["by_tenant", "gone", "failing"]).nullable(),
    disabled_at: z.int().nullable(),
    /** Since when it takes nothing; null: the last try was taken. */
    failing_since: z.int().nullable(),
    previous_secret_expires_at: z.int().nullable(),
    created_at: z.int(),
  })
  .openapi("Webhook");

export const madeEndpointReply = endpointReply
  .extend({ secret: z.string().openapi({ description: "Shown this once", example: "whsec_…" }) })
  .openapi("WebhookWithSecret");

export const secretReply = z
  .strictObject({
    object: z.literal("webhook_secret"),
    secret: z.string(),
    previous_secret_expires_at: z.int().nullable(),
  })
  .openapi("WebhookSecret");

const deliveryFields = {
  object: z.literal("webhook_delivery"),
  /** The `webhook-id` of the message. */
  id: z.string().openapi({ example: "msg_abcdefghijklmnop-42" }),
  /** Null: to the task's own webhook_url. */
  endpoint: z.string().nullable(),
  task: z.string(),
  event: z.enum(NEWS_TYPES),
  test: z.boolean(),
  state: z.enum(["pending", "delivered", "failed"]),
  created_at: z.int(),
  next_attempt_at: z.int().nullable(),
  /** Of the latest attempt; null: there was none, or no answer. */
  last_status: z.int().nullable(),
  last_error: z.string().nullable(),
};

const attempt = z.strictObject({
  at: z.int(),
  duration_ms: z.int(),
  url: z.string(),
  status: z.int().nullable(),
  error: z.enum(["timeout", "connection", "url_not_allowed"]).nullable(),
  /** How the receiver's reply begins. */
  reply: z.string(),
});

export const deliveryReply = z.strictObject(deliveryFields).openapi("WebhookDelivery");

export const deliveryDetailReply = z
  .strictObject({
    ...deliveryFields,
    request: z.strictObject({
      headers: z.record(z.string(), z.string()),
      /** With a link made now: each attempt carries a fresh one. */
      body: z.record(z.string(), z.unknown()),
    }),
    attempts: z.array(attempt),
  })
  .openapi("WebhookDeliveryDetail");

export const noQuery = strictBody({});

export const deliveriesQuery = strictBody({
  limit: wholeNumber(1, 100).default(20).openapi({ default: 20 }),
  after: z
    .string()
    .refine((id) => placeOf(id) !== null, { message: "is not a cursor of this list", params: { code: "invalid_cursor" } })
    .optional(),
  endpoint: z
    .string()
    .refine((id) => id === "task" || hookOf(id) !== null, "must be an endpoint's id, as whe_abcdefghijklmnop, or task")
    .optional()
    .openapi({ description: "An endpoint's id, or `task`: to tasks' own webhook_url" }),
  task: notEmpty.optional(),
  state: z.enum(["pending", "delivered", "failed"]).optional(),
});

export function toEndpoint({ id, url: to, events: types, ...endpoint }: Endpoint): z.infer<typeof endpointReply> {
  const { disabled, failing } = endpoint;
  return {
    object: "webhook",
    id,
    url: to,
    events: [...types],
    description: endpoint.description,
    status: disabled === null ? "enabled" : "disabled",
    disabled_reason: disabled?.reason ?? null,
    disabled_at: toSecondsOrNull(disabled?.at ?? null),
    failing_since: toSecondsOrNull(failing?.since ?? null),
    previous_secret_expires_at: previousUntil(endpoint.secrets),
    created_at: toSeconds(endpoint.createdAt),
  };
}

export function toMadeEndpoint(endpoint: Endpoint): z.infer<typeof madeEndpointReply> {
  return { ...toEndpoint(endpoint), secret: endpoint.secrets.current };
}

export function toSecret(secrets: SigningSecrets): z.infer<typeof secretReply> {
  return { object: "webhook_secret", secret: secrets.current, previous_secret_expires_at: previousUntil(secrets) };
}

export function toDelivery({ delivery, news, createdAt }: DeliveryView): z.infer<typeof deliveryReply> {
  const last = delivery.attempts.at(-1);
  return {
    object: "webhook_delivery",
    id: delivery.id,
    endpoint: delivery.endpointId,
    task: news.task.id,
    event: news.type,
    test: delivery.isTest,
    state: delivery.state,
    created_at: toSeconds(createdAt),
    next_attempt_at: toSecondsOrNull(delivery.nextAt),
    last_status: last?.status ?? null,
    last_error: last?.fault ?? null,
  };
}

export function toDeliveryDetail(detail: DeliveryDetail): z.infer<typeof deliveryDetailReply> {
  const { headers, body } = detail.request;
  return {
    ...toDelivery(detail),
    request: { headers: { ...headers }, body: { ...body } },
    attempts: detail.delivery.attempts.map(toAttempt),
  };
}

function toAttempt({ at, ms, url: to, status, fault, reply }: Delivery["attempts"][number]): z.infer<typeof attempt> {
  return { at: toSeconds(at), duration_ms: ms, url: to, status, error: fault, reply };
}

/** One that is over is none. */
function previousUntil({ previous }: SigningSecrets): number | null {
  return previous === null || previous.until <= Date.now() ? null : toSeconds(previous.until);
}
