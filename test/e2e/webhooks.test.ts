// A tenant's webhooks against a running gateway: real alarms, real sockets, and a receiver on this machine.
import OpenAI from "openai";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startReceiver, type Receiver } from "../support/emulators/receiver.ts";
import { startReelay, type Server } from "../support/server.ts";
import { createVideo, untilEnded } from "../support/tenant-calls.ts";

let server: Server;
const receivers: Receiver[] = [];

beforeAll(async () => {
  server = await startReelay();
});

afterAll(async () => {
  await Promise.all(receivers.map((receiver) => receiver.close()));
  await server.stop();
});

async function receive(...script: Parameters<typeof startReceiver>): Promise<Receiver> {
  const receiver = await startReceiver(...script);
  receivers.push(receiver);
  return receiver;
}

async function call<Reply>(method: string, path: string, body?: unknown): Promise<Reply> {
  const reply = await fetch(`${server.url}/v1/webhooks${path}`, {
    method,
    headers: { authorization: `Bearer ${server.testKey}`, ...(body !== undefined && { "content-type": "application/json" }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  if (reply.status !== 200) throw new Error(`${method} ${path} answered ${reply.status}: ${await reply.text()}`);
  return (await reply.json()) as Reply;
}

/** Gives up by the test's own time limit. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(100);
}

it("tells an endpoint and a task's own webhook what happens to a task, signed, whoever else hangs or breaks off", async () => {
  const [endpoint, own, hanging, flaky] = await Promise.all([
    receive(),
    receive(),
    receive("hang", "hang", "hang"),
    receive("reset", "ok", "return-500"),
  ]);
  const { id, secret } = await call<{ id: string; secret: string }>("POST", "", { url: `${endpoint.url}/hook` });
  await call("POST", "", { url: hanging.url });
  const { id: flakyId } = await call<{ id: string }>("POST", "", { url: flaky.url, events: ["video.completed"] });
  const { secret: taskSecret } = await call<{ secret: string }>("GET", "/secret");

  const body = { model: "veo3", prompt: "a lake [[slow:1]]", webhook_url: own.url };
  const task = await createVideo(server.url, server.testKey, body);
  const video = await untilEnded(server.url, server.testKey, task);
  expect(video.status).toBe("completed");

  const { webhooks } = new OpenAI({ apiKey: "none" });
  for (const [receiver, key] of [
    [endpoint, secret],
    [own, taskSecret],
  ] as const) {
    await until(() => receiver.received.some(({ headers }) => headers["webhook-event"] === "video.completed"));
    const told = await Promise.all(receiver.received.map(({ headers, body: sent }) => webhooks.unwrap(sent, headers, key)));
    expect(new Set(receiver.received.map(({ headers }) => headers["webhook-event"]))).toEqual(
      new Set(["video.created", "video.processing", "video.completed"]),
    );
    const last = told.find((each) => (each as unknown as { status: string }).status === "completed") as unknown as Record<
      string,
      string
    >;
    expect(last).toMatchObject({ id: task, enhanced_prompt: "a lake [[slow:1]]" });
    expect((await fetch(last["video_url"] ?? "")).status).toBe(200);
  }

  // The first try broke off; the next comes five seconds later, under the same id.
  await until(() => flaky.received.length >= 2);
  expect(new Set(flaky.received.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  const log = await call<{ data: { id: string; state: string }[] }>(
    "GET",
    `/deliveries?endpoint=${id}&task=${encodeURIComponent(task)}`,
  );
  expect(log.data.map(({ state }) => state)).toEqual(["delivered", "delivered", "delivered"]);
  await call("POST", `/deliveries/${log.data[0]?.id}/replay`);
  await until(() => endpoint.received.length === 4);
  expect(endpoint.received.at(-1)?.headers["webhook-id"]).toBe(log.data[0]?.id);
  expect(await call("POST", `/${flakyId}/test`)).toMatchObject({ test: true, state: "failed", last_status: 500 });
});
