// Webhooks over real sockets, to receivers that behave and that do not (reliability, W2 to W5): what a stubbed fetch cannot show is
// how a connection breaks, and that nothing of a bad reply is waited for.
import OpenAI from "openai";
import { Webhook } from "standardwebhooks";
import { afterEach, describe, expect, it, vi } from "vitest";
import { judgeWebhookUrl } from "../../src/net/url-policy.ts";
import { webhookSender } from "../../src/net/webhook-sender.ts";
import { deliverer, type Outgoing } from "../../src/service/deliver.ts";
import { startReceiver, type Instruction, type Receiver } from "../support/emulators/receiver.ts";
import { ANOTHER_SECRET, SECRET, someNews } from "../support/webhooks.ts";

const running: Receiver[] = [];

afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await Promise.all(running.splice(0).map((receiver) => receiver.close()));
});

async function start(...script: Instruction[]) {
  const receiver = await startReceiver(...script);
  running.push(receiver);
  return receiver;
}

const deliver = deliverer({
  send: webhookSender((url, ownHost) => judgeWebhookUrl(url, [ownHost], true)),
  links: { revocable: true, sign: async ({ id }, base) => `${base}/v1/video/file/${id}?exp=1&kid=k1&sig=s` },
  clock: () => Date.now(),
});

function outgoing(receiver: Receiver, given: Partial<Outgoing> = {}): Outgoing {
  const news = someNews("video.completed", { task: { prompt: "Ein Löwe 🦁 \u2028 am See" } });
  return { id: "msg_abcdefghijklmnop-1", isTest: false, news, url: `${receiver.url}/hook?token=t`, secrets: [SECRET], ...given };
}

describe("a webhook that arrives", () => {
  it("is genuine to the library of Standard Webhooks and to the OpenAI SDK", async () => {
    const receiver = await start();
    expect(await deliver(outgoing(receiver))).toMatchObject({
      attempt: { status: 200, fault: null, reply: "thanks" },
      retryAfterMs: null,
    });
    const [{ headers, body } = { headers: {}, body: "" }] = receiver.received;
    const task = new Webhook(SECRET).verify(body, headers);
    expect(task).toEqual({
      id: someNews().task.id,
      status: "completed",
      video_url: `https://gateway.example/v1/video/file/${someNews().task.id}?exp=1&kid=k1&sig=s`,
      enhanced_prompt: "Ein Löwe 🦁 \u2028 am See",
      status_update_time: someNews().task.statusChangedAt,
    });
    const { webhooks } = new OpenAI({ apiKey: "none" });
    expect(await webhooks.unwrap(body, headers, SECRET)).toEqual(task);
    await expect(webhooks.unwrap(`${body} `, headers, SECRET)).rejects.toThrow();
    await expect(webhooks.unwrap(body, headers, ANOTHER_SECRET)).rejects.toThrow();
    expect(headers).toMatchObject({
      "content-type": "application/json",
      "webhook-event": "video.completed",
      "webhook-id": "msg_abcdefghijklmnop-1",
    });
    expect(headers).not.toHaveProperty("authorization");
  });

  it("is genuine by either secret while they are changed", async () => {
    const receiver = await start();
    await deliver(outgoing(receiver, { secrets: [ANOTHER_SECRET, SECRET] }));
    const [{ headers, body } = { headers: {}, body: "" }] = receiver.received;
    for (const secret of [SECRET, ANOTHER_SECRET]) {
      expect(new Webhook(secret).verify(body, headers)).toMatchObject({ status: "completed" });
      expect(await new OpenAI({ apiKey: "none" }).webhooks.unwrap(body, headers, secret)).toMatchObject({ status: "completed" });
    }
  });
});

describe("a receiver that misbehaves", () => {
  it.each<[Instruction, object]>([
    ["return-500", { status: 500, fault: null, reply: "answered 500" }],
    ["return-410", { status: 410, fault: null }],
    ["return-204", { status: 204, fault: null, reply: "" }],
    ["reset", { status: null, fault: "connection", reply: "" }],
    ["garbage", { status: null, fault: "connection", reply: "" }],
    ["huge-headers", { status: null, fault: "connection", reply: "" }],
    // It has said yes; what it says after that is for the log.
    ["reset-after-200", { status: 200, fault: null }],
  ])("%s is an attempt like any other", async (instruction, attempt) => {
    const receiver = await start(instruction);
    expect((await deliver(outgoing(receiver))).attempt).toMatchObject(attempt);
    expect(receiver.received).toHaveLength(1);
  });

  it("says when to come back", async () => {
    const receiver = await start("retry-after:90");
    expect(await deliver(outgoing(receiver))).toMatchObject({ attempt: { status: 429 }, retryAfterMs: 90_000 });
  });

  it("does not send us elsewhere", async () => {
    const other = await start();
    const receiver = await start(`redirect:${other.url}/`);
    expect((await deliver(outgoing(receiver))).attempt).toMatchObject({ status: 307 });
    expect(other.received).toEqual([]);
  });

  it("that never answers is given fifteen seconds", async () => {
    const receiver = await start("hang");
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const delivering = deliver(outgoing(receiver));
    await vi.waitUntil(() => receiver.received.length > 0, { timeout: 20_000 });
    // What is waited for above passes the time too, 50 ms at a look.
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await Promise.race([delivering, Promise.resolve("under way")])).toBe("under way");
    await vi.advanceTimersByTimeAsync(5_000);
    expect((await delivering).attempt).toMatchObject({ status: null, fault: "timeout" });
    vi.useRealTimers();
    await vi.waitUntil(() => receiver.hungUp() === 1, { timeout: 20_000 });
  });

  it("that says yes and does not stop talking is believed, and not listened to", async () => {
    const receiver = await start("endless");
    expect((await deliver(outgoing(receiver))).attempt).toMatchObject({ status: 200, reply: "x".repeat(1_024) });
    await vi.waitUntil(() => receiver.hungUp() === 1, { timeout: 20_000 });
    expect(receiver.bytesSent()).toBeLessThan(16 * 2 ** 20);
  });

  it("that says yes and stops in the middle of a word holds nobody up for long", async () => {
    const receiver = await start("stall");
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const fetching = vi.spyOn(globalThis, "fetch");
    const delivering = deliver(outgoing(receiver));
    await vi.waitUntil(() => fetching.mock.settledResults[0]?.type === "fulfilled", { timeout: 20_000 });
    await vi.advanceTimersByTimeAsync(5_000);
    expect((await delivering).attempt).toMatchObject({ status: 200, fault: null });
  });

  it("that is not there is a connection that failed", async () => {
    const receiver = await start();
    const message = outgoing(receiver);
    await receiver.close();
    expect((await deliver(message)).attempt).toMatchObject({ status: null, fault: "connection" });
  });

  it("on our own machines is never spoken to where that is not a developer's", async () => {
    const receiver = await start();
    const strict = deliverer({
      send: webhookSender((url, ownHost) => judgeWebhookUrl(url, [ownHost], false)),
      links: { revocable: true, sign: async () => "" },
      clock: () => Date.now(),
    });
    expect((await strict(outgoing(receiver))).attempt).toMatchObject({ status: null, fault: "url_not_allowed" });
    expect(receiver.received).toEqual([]);
  });
});
