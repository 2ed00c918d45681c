import { afterEach, describe, expect, it, vi } from "vitest";
import { webhookSender } from "../../src/net/webhook-sender.ts";
import type { WebhookAnswer, WebhookMessage } from "../../src/ports.ts";
import { ANOTHER_SECRET, SECRET } from "../support/webhooks.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Of the specification's own example. */
const MESSAGE: WebhookMessage = {
  id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
  at: 1_614_265_330_000,
  body: '{"test": 2432232314}',
  secrets: [SECRET],
  event: "video.completed",
  isTest: false,
  url: "https://receiver.example/hook",
  ownHost: "gateway.example",
};
const SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

async function send(
  given: Partial<WebhookMessage> = {},
  reply: Response = new Response("ok"),
  judge = (_url: string): string | null => null,
) {
  const fetching = vi.spyOn(globalThis, "fetch").mockImplementation(async () => reply);
  const answer = await webhookSender(judge)({ ...MESSAGE, ...given }, new AbortController().signal);
  const [url, init] = fetching.mock.calls[0] ?? [];
  return { answer, url, init, headers: (init?.headers ?? {}) as Record<string, string>, calls: fetching.mock.calls.length };
}

function answered(answer: WebhookAnswer): Extract<WebhookAnswer, { kind: "answered" }> {
  if (answer.kind !== "answered") throw new Error(answer.kind);
  return answer;
}

describe("a webhook", () => {
  it("is signed as the specification's example is", async () => {
    const { headers } = await send();
    expect(headers).toMatchObject({
      "webhook-id": MESSAGE.id,
      "webhook-timestamp": "1614265330",
      "webhook-signature": SIGNATURE,
    });
  });

  it("carries a signature by each secret, the newest first", async () => {
    const { headers } = await send({ secrets: [ANOTHER_SECRET, SECRET] });
    const [first, second, ...more] = (headers["webhook-signature"] ?? "").split(" ");
    expect(first).toMatch(/^v1,[A-Za-z0-9+/]{43}=$/);
    expect([second, more]).toEqual([SIGNATURE, []]);
  });

  it("is a POST of the body as it is, which follows no redirect", async () => {
    const { init, answer } = await send({}, new Response(null, { status: 302, headers: { location: "http://169.254.169.254/" } }));
    expect(init).toMatchObject({ method: "POST", body: MESSAGE.body, redirect: "manual" });
    expect(answer).toMatchObject({ status: 302 });
  });

  it("goes where its URL was judged to lead, and nowhere where that is no", async () => {
    const judge = vi.fn((url: string) => (url.includes("good") ? null : "must name a public host"));
    expect(await send({ url: "https://GOOD.example:443/a/../b" }, undefined, judge)).toMatchObject({
      url: "https://good.example/b",
      calls: 1,
    });
    expect(judge).toHaveBeenCalledWith("https://good.example/b", "gateway.example");
    vi.restoreAllMocks();
    expect(await send({ url: "https://bad.example/" }, undefined, judge)).toMatchObject({
      answer: { kind: "not_allowed" },
      calls: 0,
    });
    vi.restoreAllMocks();
    expect(await send({ url: "not a URL" }, undefined, judge)).toMatchObject({ answer: { kind: "not_allowed" }, calls: 0 });
  });

  it.each([
    [null, null],
    ["120", 120_000],
    ["0", 0],
    ["Thu, 25 Feb 2021 15:03:10 GMT", 60_000],
    ["Thu, 25 Feb 2021 15:01:10 GMT", 0],
    ["9999999999", 9_999_999_999_000],
    ["99999999999", null],
    ["-5", null],
    ["1.5", null],
    ["soon", null],
  ])("reads Retry-After: %s as %s ms", async (header, ms) => {
    const { answer } = await send({}, new Response("", { status: 429, headers: header === null ? {} : { "retry-after": header } }));
    expect(answered(answer).retryAfterMs).toBe(ms);
  });

  it("keeps four KiB of the reply, and takes no more", async () => {
    let pulls = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => (pulls++, controller.enqueue(new Uint8Array(1_000).fill(120))),
    });
    const { answer } = await send({}, new Response(endless));
    expect(await answered(answer).excerpt(new AbortController().signal)).toBe("x".repeat(4_096));
    expect(pulls).toBeLessThan(10);
  });

  it.each(["broke off", "was no longer waited for"])("has what came of a reply that %s", async (how) => {
    const controller = new AbortController();
    let pulls = 0;
    const half = new ReadableStream<Uint8Array>(
      {
        pull(stream) {
          if (pulls++ === 0) stream.enqueue(new TextEncoder().encode("half"));
          else if (how === "broke off") stream.error(new Error("reset"));
          else controller.abort();
        },
      },
      { highWaterMark: 0 },
    );
    const { answer } = await send({}, new Response(half));
    expect(await answered(answer).excerpt(controller.signal)).toBe("half");
  });

  it("says nothing of where it could not go", async () => {
    vi.spyOn(globalThis, "fetch").mockRejectedValue(new Error("connect ECONNREFUSED https://receiver.example/hook?token=s3cret"));
    const sending = webhookSender(() => null)(MESSAGE, new AbortController().signal);
    await expect(sending).rejects.toThrow(/^the connection failed$/);
  });
});
