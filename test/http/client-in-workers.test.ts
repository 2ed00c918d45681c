// The client in the runtime that its users' Workers have, against the gateway itself.
import { reset } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Reelay, verifyWebhook } from "../../src/client/reelay.ts";
import { aTenant, ORIGIN, query, type TestTenant } from "../support/gateway.ts";
import { driveToEnd } from "../support/objects.ts";
import { SECRET } from "../support/webhooks.ts";

let owner: TestTenant;
let reelay: Reelay;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 86_400_000 });
  owner = await aTenant();
  reelay = new Reelay({ baseUrl: ORIGIN, apiKey: owner.key, fetch: async (url, init) => exports.default.fetch(url, init) });
});
afterEach(async () => {
  vi.useRealTimers();
  await reset();
});

it("creates, follows and waits", async () => {
  const { id, status } = await reelay.create({ model: "veo3", prompt: "a lake [[slow:0]]", metadata: { order: "A-17" } });
  expect(status).toBe("pending");
  const events = reelay.events(id);
  expect(await events.next()).toMatchObject({ value: { event: "status", data: { id, status: "pending" } } });
  await events.return();
  const waiting = reelay.wait(id);
  await driveToEnd(owner, id);
  const video = await waiting;
  expect(video).toEqual(await (await query(owner.key, id)).json());
  expect(await reelay.query(id)).toEqual(video);
});

it("throws why a task failed, and why a request was refused", async () => {
  const { id } = await reelay.create({ model: "veo3", prompt: "a lake [[slow:0]] [[fail:content_policy]]" });
  await driveToEnd(owner, id);
  await expect(reelay.wait(id)).rejects.toMatchObject({
    type: "task_failed",
    code: "content_policy",
    task: { id, video_url: null },
  });
  await expect(reelay.create({ model: "veo9", prompt: "a lake" })).rejects.toMatchObject({
    status: expect.any(Number),
    code: "model_not_found",
    param: "model",
    requestId: expect.any(String),
    isRetryable: false,
  });
});

it("makes one video of two creates with one key", async () => {
  const wish = { model: "veo3", prompt: "a lake" };
  const [one, other] = [await reelay.create(wish, { idempotencyKey: "k1" }), await reelay.create(wish, { idempotencyKey: "k1" })];
  expect(other.id).toBe(one.id);
});

it("knows a webhook of the gateway's from any other", async () => {
  const body = JSON.stringify({ id: "veo3:1-x", status: "completed" });
  const at = new Date();
  const headers = {
    "webhook-id": "msg_1",
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": new Webhook(SECRET).sign("msg_1", at, body),
  };
  expect(await verifyWebhook(body, headers, SECRET)).toMatchObject({ id: "msg_1", type: "video.completed" });
  await expect(verifyWebhook(`${body} `, headers, SECRET)).rejects.toMatchObject({ code: "invalid_signature" });
});
