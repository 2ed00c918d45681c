// A tenant's webhook endpoints under /v1/webhooks, and the secrets that messages are signed with. What was sent: webhook-deliveries.
import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Refusal } from "../core/errors.ts";
import { NEWS_TYPES } from "../core/news.ts";
import type { EndpointChange } from "../core/webhook.ts";
import { baseOf } from "./base-url.ts";
import type { App, AppEnv, Services } from "./context.ts";
import { answer, badRequest, refuse } from "./errors.ts";
import { jsonBody } from "./json-body.ts";
import { optionalJsonBody } from "./optional-body.ts";
import { mountWebhookDeliveries } from "./webhook-deliveries.ts";
import { guarded, params, replies, takes, TENANT } from "./webhook-routes.ts";
import {
  changeBody,
  DAY_SECONDS,
  createBody,
  deliveryDetailReply,
  endpointReply,
  madeEndpointReply,
  noQuery,
  rollBody,
  secretReply,
  testBody,
  toDeliveryDetail,
  toEndpoint,
  toMadeEndpoint,
  toSecret,
} from "./webhooks-wire.ts";

const createWebhook = createRoute({
  ...TENANT,
  method: "post",
  path: "/v1/webhooks",
  summary: "Add a webhook endpoint",
  request: { body: takes(createBody, true) },
  responses: replies("The endpoint, and once its secret", madeEndpointReply),
});

const listWebhooks = createRoute({
  ...TENANT,
  method: "get",
  path: "/v1/webhooks",
  summary: "List the webhook endpoints",
  request: { query: noQuery },
  responses: replies("All of them", z.strictObject({ object: z.literal("list"), data: z.array(endpointReply) })),
});

const getTaskSecret = createRoute({
  ...TENANT,
  method: "get",
  path: "/v1/webhooks/secret",
  summary: "The secret that messages to a task's own webhook_url are signed with",
  responses: replies("The secret", secretReply),
});

const rollTaskSecret = createRoute({
  ...TENANT,
  method: "post",
  path: "/v1/webhooks/secret/roll",
  summary: "Change that secret; the one before signs too for a while",
  request: { body: takes(rollBody, false) },
  responses: replies("The new secret", secretReply),
});

const getWebhook = createRoute({
  ...TENANT,
  method: "get",
  path: "/v1/webhooks/{id}",
  summary: "One webhook endpoint",
  request: { params },
  responses: replies("The endpoint", endpointReply),
});

const changeWebhook = createRoute({
  ...TENANT,
  method: "patch",
  path: "/v1/webhooks/{id}",
  summary: "Change, disable or enable a webhook endpoint",
  request: { params, body: takes(changeBody, true) },
  responses: replies("The endpoint", endpointReply),
});

const deleteWebhook = createRoute({
  ...TENANT,
  method: "delete",
  path: "/v1/webhooks/{id}",
  summary: "Delete a webhook endpoint; its deliveries stay in the log",
  request: { params },
  responses: replies(
    "It is deleted",
    z.strictObject({ id: z.string(), object: z.literal("webhook.deleted"), deleted: z.literal(true) }),
  ),
});

const rollWebhook = createRoute({
  ...TENANT,
  method: "post",
  path: "/v1/webhooks/{id}/roll",
  summary: "Change an endpoint's secret; the one before signs too for a while",
  request: { params, body: takes(rollBody, false) },
  responses: replies("The endpoint, and once its new secret", madeEndpointReply),
});

const testWebhook = createRoute({
  ...TENANT,
  method: "post",
  path: "/v1/webhooks/{id}/test",
  summary: "Send a sample now, once, and see how that goes",
  request: { params, body: takes(testBody, false) },
  responses: replies("The delivery, with what was answered", deliveryDetailReply),
});

export function mountWebhooks(app: App, services: Services): void {
  const { webhooks } = services;
  const guard = guarded(app, services);
  // Before `{id}`, which would take their names for an endpoint's.
  mountWebhookDeliveries(app, services);
  // Whoever makes tasks with a webhook_url has to know what their messages are signed with.
  guard(getTaskSecret, "create");
  app.openapi(getTaskSecret, async (c) => c.json(toSecret(await webhooks.taskSecrets(c.var.caller)), 200));

  guard(rollTaskSecret, "manage", optionalJsonBody);
  app.openapi(rollTaskSecret, async (c) =>
    c.json(toSecret(await webhooks.rollTaskSecret(c.var.caller, toRoll(c.req.valid("json")))), 200),
  );

  for (const route of [listWebhooks, getWebhook]) guard(route, "read");
  for (const route of [createWebhook, changeWebhook]) guard(route, "manage", jsonBody);
  for (const route of [rollWebhook, testWebhook]) guard(route, "manage", optionalJsonBody);
  guard(deleteWebhook, "manage");

  app.openapi(createWebhook, async (c) => {
    const { url, events = NEWS_TYPES, description = null, secret = null } = c.req.valid("json");
    const wish = { url, events: [...new Set(events)], description, secret };
    const made = await webhooks.create(c.var.caller, wish, baseOf(c, services));
    return made.ok ? c.json(toMadeEndpoint(made.value), 200) : refuseUrl(c, made.error);
  });

  app.openapi(listWebhooks, async (c) => {
    const found = await webhooks.list(c.var.caller);
    return c.json({ object: "list" as const, data: found.map(toEndpoint) }, 200);
  });

  app.openapi(getWebhook, async (c) => {
    const found = await webhooks.find(c.var.caller, c.req.valid("param").id);
    return found.ok ? c.json(toEndpoint(found.value), 200) : refuse(c, found.error);
  });

  app.openapi(changeWebhook, async (c) => {
    const change = toChange(c.req.valid("json"));
    const changed = await webhooks.change(c.var.caller, c.req.valid("param").id, change, baseOf(c, services));
    return changed.ok ? c.json(toEndpoint(changed.value), 200) : refuseUrl(c, changed.error);
  });

  app.openapi(deleteWebhook, async (c) => {
    const { id } = c.req.valid("param");
    const removed = await webhooks.remove(c.var.caller, id);
    if (!removed.ok) return refuse(c, removed.error);
    return c.json({ id, object: "webhook.deleted" as const, deleted: true as const }, 200);
  });

  app.openapi(rollWebhook, async (c) => {
    const rolled = await webhooks.roll(c.var.caller, c.req.valid("param").id, toRoll(c.req.valid("json")));
    return rolled.ok ? c.json(toMadeEndpoint(rolled.value), 200) : refuse(c, rolled.error);
  });

  app.openapi(testWebhook, async (c) => {
    const { event } = c.req.valid("json");
    const tested = await webhooks.tryOut(c.var.caller, c.req.valid("param").id, event, baseOf(c, services));
    return tested.ok ? c.json(toDeliveryDetail(tested.value), 200) : refuse(c, tested.error);
  });
}

// Where there is no body at all, the schema is not asked, and fills in nothing.
function toRoll({ overlap_seconds: seconds = DAY_SECONDS, secret = null }: z.infer<typeof rollBody>) {
  return { overlapMs: seconds * 1000, secret };
}

function toChange({ url, events, description, status }: z.infer<typeof changeBody>): EndpointChange {
  return {
    ...(url !== undefined && { url }),
    ...(events !== undefined && { events: [...new Set(events)] }),
    ...(description !== undefined && { description }),
    ...(status !== undefined && { enabled: status === "enabled" }),
  };
}

/** What is said of a task's field elsewhere is said of an endpoint's here. */
function refuseUrl(c: Context<AppEnv>, refusal: Refusal) {
  if (refusal.kind !== "webhook_url_not_allowed") return refuse(c, refusal);
  return answer(c, badRequest(refusal.kind, `url ${refusal.why}.`, "url"));
}
