// The log of what was sent to webhooks, and sending it again.
import { createRoute, z } from "@hono/zod-openapi";
import type { App, Services } from "./context.ts";
import { answer, badRequest, refuse } from "./errors.ts";
import { optionalJsonBody } from "./optional-body.ts";
import { listOf, page } from "./page.ts";
import { deliveryParams, guarded, params, replies, takes, TENANT } from "./webhook-routes.ts";
import { deliveriesQuery, deliveryDetailReply, deliveryReply, emptyBody, toDelivery, toDeliveryDetail } from "./webhooks-wire.ts";

const listDeliveries = createRoute({
  ...TENANT,
  method: "get",
  path: "/v1/webhooks/deliveries",
  summary: "What was sent, or is to be, newest first; kept for 30 days",
  request: { query: deliveriesQuery },
  responses: replies("A page", listOf(deliveryReply)),
});

const getDelivery = createRoute({
  ...TENANT,
  method: "get",
  path: "/v1/webhooks/deliveries/{id}",
  summary: "One delivery, with its request and what was answered",
  request: { params: deliveryParams },
  responses: replies("The delivery", deliveryDetailReply),
});

const replayDelivery = createRoute({
  ...TENANT,
  method: "post",
  path: "/v1/webhooks/deliveries/{id}/replay",
  summary: "Send it again, under the same webhook-id",
  request: { params: deliveryParams, body: takes(emptyBody, false) },
  responses: replies("The delivery, on its way", deliveryDetailReply),
});

const replayFailed = createRoute({
  ...TENANT,
  method: "post",
  path: "/v1/webhooks/{id}/replay",
  summary: "Send all again that failed, the oldest first",
  request: { params, body: takes(emptyBody, false) },
  responses: replies(
    "How many are on their way",
    z.strictObject({ object: z.literal("webhook.replay"), replayed: z.int(), has_more: z.boolean() }),
  ),
});

export function mountWebhookDeliveries(app: App, services: Services): void {
  const { webhooks } = services;
  const guard = guarded(app, services);
  for (const route of [listDeliveries, getDelivery]) guard(route, "read");
  for (const route of [replayDelivery, replayFailed]) guard(route, "manage", optionalJsonBody);

  app.openapi(listDeliveries, async (c) => {
    const { limit, after, endpoint, task, state } = c.req.valid("query");
    const to = endpoint === undefined ? null : endpoint === "task" ? ("task" as const) : { endpointId: endpoint };
    const filter = { to, task: task ?? null, state: state ?? null };
    const found = await webhooks.deliveries(c.var.caller, filter, after ?? null, limit + 1);
    if (!found.ok) return found.error.kind === "invalid_cursor" ? answer(c, badCursor) : refuse(c, found.error);
    return c.json(
      page(found.value, limit, toDelivery, ({ delivery }) => delivery.id),
      200,
    );
  });

  app.openapi(getDelivery, async (c) => {
    const found = await webhooks.delivery(c.var.caller, c.req.valid("param").id);
    return found.ok ? c.json(toDeliveryDetail(found.value), 200) : refuse(c, found.error);
  });

  app.openapi(replayDelivery, async (c) => {
    const replayed = await webhooks.replay(c.var.caller, c.req.valid("param").id);
    return replayed.ok ? c.json(toDeliveryDetail(replayed.value), 200) : refuse(c, replayed.error);
  });

  app.openapi(replayFailed, async (c) => {
    const replayed = await webhooks.replayFailed(c.var.caller, c.req.valid("param").id);
    if (!replayed.ok) return refuse(c, replayed.error);
    const { count, more } = replayed.value;
    return c.json({ object: "webhook.replay" as const, replayed: count, has_more: more }, 200);
  });
}

const badCursor = badRequest("invalid_cursor", "after must be the id of one of these deliveries, as last_id gives it.", "after");
