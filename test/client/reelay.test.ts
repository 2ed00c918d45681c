// The client against a gateway that breaks off, refuses and comes back. What takes a minute has a clock of its own and no sockets.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Reelay, ReelayError, type Video, type VideoEvent } from "../../src/client/reelay.ts";
import { hang, json, refusal, reset, startTinyGateway, stream, type Answer, type TinyGateway } from "./tiny-gateway.ts";

const ID = "veo3:1704067200-abcdefgh";
const SOON = { "retry-after-ms": "1" };

const video = (status: Video["status"], more: Partial<Video> = {}): Video => {
  const video_url = status === "completed" ? "https://gateway.example/video" : null;
  return { id: ID, status, video_url, enhanced_prompt: "a lake", status_update_time: 1_704_067_200, ...more };
};

const running: TinyGateway[] = [];
async function start(...answers: Answer[]): Promise<{ gateway: TinyGateway; reelay: Reelay }> {
  const gateway = await startTinyGateway(...answers);
  running.push(gateway);
  return { gateway, reelay: new Reelay({ baseUrl: `${gateway.url}/`, apiKey: "sk-test-1" }) };
}

afterEach(async () => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  await Promise.all(running.splice(0).map((gateway) => gateway.close()));
});

async function errorOf(promise: Promise<unknown>): Promise<ReelayError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ReelayError);
  return error as ReelayError;
}

describe("a call", () => {
  it("brings the key and the body, and gives back the reply", async () => {
    const { gateway, reelay } = await start(json(200, video("pending")));
    expect(await reelay.create({ model: "veo3", prompt: "a lake", metadata: { order: "A-17" } })).toEqual(video("pending"));
    expect(gateway.asked[0]).toMatchObject({
      method: "POST",
      url: "/v1/video/create",
      headers: { authorization: "Bearer sk-test-1", "content-type": "application/json" },
      body: JSON.stringify({ model: "veo3", prompt: "a lake", metadata: { order: "A-17" } }),
    });
    await reelay.query("a b&c");
    expect(gateway.asked[1]).toMatchObject({ method: "GET", url: "/v1/video/query?id=a%20b%26c", body: "" });
  });

  it("makes one video of a create whose reply was lost, and two of two creates", async () => {
    const { gateway, reelay } = await start(reset, json(200, video("pending")));
    await reelay.create({ model: "veo3", prompt: "a lake" });
    await reelay.create({ model: "veo3", prompt: "a lake" });
    const [lost, repeated, another] = gateway.asked.map(({ headers }) => headers["idempotency-key"]);
    expect(lost).toMatch(/^[\w-]{36}$/);
    expect(repeated).toBe(lost);
    expect(another).not.toBe(lost);
  });

  it("creates under the caller's own key where there is one", async () => {
    const { gateway, reelay } = await start(json(200, video("pending")));
    await reelay.create({ model: "veo3", prompt: "a lake" }, { idempotencyKey: "order-17" });
    expect(gateway.asked[0]?.headers["idempotency-key"]).toBe("order-17");
  });

  it.each([408, 409, 429, 500, 502, 503])("is repeated after %i", async (status) => {
    const { gateway, reelay } = await start(refusal(status, "busy", SOON), json(200, video("pending")));
    expect(await reelay.query(ID)).toEqual(video("pending"));
    expect(gateway.asked).toHaveLength(2);
  });

  it("is repeated where the reply broke off", async () => {
    const half: Answer = (response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write('{"id"', () => response.socket?.destroy());
    };
    const { reelay } = await start(half, json(200, video("pending")));
    expect(await reelay.query(ID)).toEqual(video("pending"));
  });

  it.each([400, 401, 402, 404])("is not repeated after %i", async (status) => {
    const { gateway, reelay } = await start(refusal(status, "no"));
    expect(await errorOf(reelay.query(ID))).toMatchObject({ status, code: "no", isRetryable: false });
    expect(gateway.asked).toHaveLength(1);
  });

  it("is repeated twice at most, and then says all that the gateway said", async () => {
    const { gateway, reelay } = await start(refusal(429, "rate_limit_exceeded", { ...SOON, "x-request-id": "req-1" }));
    expect(await errorOf(reelay.query(ID))).toMatchObject({
      name: "ReelayError",
      message: "No: rate_limit_exceeded.",
      status: 429,
      code: "rate_limit_exceeded",
      type: "some_error",
      param: "images.0",
      requestId: "req-1",
      retryAfterMs: 1,
      isRetryable: true,
    });
    expect(gateway.asked).toHaveLength(3);
  });

  it("does as x-should-retry says, whatever the status", async () => {
    const never = await start(refusal(503, "no", { "x-should-retry": "false" }));
    expect(await errorOf(never.reelay.query(ID))).toMatchObject({ status: 503, isRetryable: false });
    expect(never.gateway.asked).toHaveLength(1);
    const always = await start(refusal(400, "no", { ...SOON, "x-should-retry": "true" }), json(200, video("pending")));
    expect(await always.reelay.query(ID)).toEqual(video("pending"));
  });

  it("waits as long as Retry-After says, but no longer than a minute", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(2026, 0, 1) });
    const { gateway, reelay } = await start(
      refusal(503, "no", { "retry-after": "61" }),
      refusal(503, "no", { "retry-after": "Thu, 01 Jan 2026 00:02:00 GMT" }),
      refusal(503, "no", { "retry-after": "Wed, 31 Dec 2025 00:00:00 GMT", "x-should-retry": "false" }),
      refusal(503, "no", { "retry-after": "soon", "x-should-retry": "false" }),
      refusal(503, "no", { "retry-after": "0" }),
    );
    for (const retryAfterMs of [61_000, 120_000, 0, null, 0]) {
      expect(await errorOf(reelay.query(ID))).toMatchObject({ retryAfterMs });
    }
    expect(gateway.asked).toHaveLength(4 + 3);
  });

  it("makes an error of what something before the gateway said", async () => {
    const page: Answer = (response) => response.writeHead(403, { "content-type": "text/html" }).end("<h1>No</h1>");
    const { gateway, reelay } = await start(page, json(403, { error: "no" }), json(403, null));
    for (let each = 0; each < 3; each++) {
      expect(await errorOf(reelay.query(ID))).toMatchObject({ status: 403, code: "unknown", message: "The gateway answered 403." });
    }
    expect(gateway.asked).toHaveLength(3);
  });

  it("says that nobody answers, and why", async () => {
    const refused = new TypeError("fetch failed");
    const reelay = new Reelay({ baseUrl: "https://gateway.example", apiKey: "k", fetch: async () => Promise.reject(refused) });
    vi.useFakeTimers();
    const failing = errorOf(reelay.query(ID));
    await vi.runAllTimersAsync();
    expect(await failing).toMatchObject({ status: null, type: "connection_error", isRetryable: true, cause: refused });
  });

  it("ends with the signal's reason, wherever it is", async () => {
    const before = await start(json(200, video("pending")));
    await expect(before.reelay.query(ID, { signal: AbortSignal.abort("before") })).rejects.toBe("before");
    expect(before.gateway.asked).toEqual([]);
    const busy = refusal(503, "no", SOON);
    for (const answers of [[hang], [busy, busy, hang], [refusal(503, "no", { "retry-after": "50" })]]) {
      const { gateway, reelay } = await start(...answers);
      const leaving = new AbortController();
      const waiting = expect(reelay.query(ID, { signal: leaving.signal })).rejects.toBe("enough");
      await vi.waitUntil(() => gateway.asked.length === answers.length, { timeout: 20_000 });
      leaving.abort("enough");
      await waiting;
      expect(gateway.asked).toHaveLength(answers.length);
    }
  });
});

describe("a client", () => {
  it("needs a key or a token, and an address", () => {
    expect(() => new Reelay({ baseUrl: "https://gateway.example" })).toThrow("apiKey");
    expect(() => new Reelay({ baseUrl: "gateway", apiKey: "k" })).toThrow(TypeError);
  });

  it("takes no API key in a web page, but a task token", async () => {
    const { gateway } = await start(json(200, video("pending")));
    vi.stubGlobal("document", {});
    expect(() => new Reelay({ baseUrl: gateway.url, apiKey: "sk-live-1" })).toThrow("taskToken");
    await new Reelay({ baseUrl: gateway.url, taskToken: "vt_1" }).query(ID);
    expect(gateway.asked[0]?.headers.authorization).toBe("Bearer vt_1");
  });
});

/** A client whose gateway is a script: what it was asked, and when. */
function scripted(...script: (() => Response | Promise<Response>)[]) {
  const asked: { at: number; headers: Headers; signal: AbortSignal }[] = [];
  const ask = async (_: string, init: RequestInit): Promise<Response> => {
    const answer = script[Math.min(asked.length, script.length - 1)];
    asked.push({ at: Date.now() - T0, headers: new Headers(init.headers), signal: init.signal as AbortSignal });
    return (answer as () => Response)();
  };
  return { asked, reelay: new Reelay({ baseUrl: "https://gateway.example", apiKey: "k", fetch: ask }) };
}

const T0 = Date.UTC(2026, 0, 1);
const held = { "preference-applied": "wait=60" };
const seen =
  (task: Video, headers: Record<string, string> = {}) =>
  (): Response =>
    Response.json(task, { headers });

describe("wait", () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: T0 });
  });

  it("lets the gateway hold its replies back, and asks for news only", async () => {
    const { asked, reelay } = scripted(
      seen(video("processing"), { ...held, etag: '"a"' }),
      () => new Response(null, { status: 304, headers: { ...held, etag: '"a"' } }),
      seen(video("completed"), held),
    );
    const waiting = reelay.wait(ID);
    await vi.runAllTimersAsync();
    expect(await waiting).toEqual(video("completed"));
    expect(asked.map(({ at, headers }) => [at, headers.get("prefer"), headers.get("if-none-match")])).toEqual([
      [0, "wait=60", null],
      [1_000, "wait=60", '"a"'],
      [2_000, "wait=60", '"a"'],
    ]);
  });

  it("keeps a pace of its own where the gateway holds nothing back", async () => {
    const { asked, reelay } = scripted(
      seen(video("pending")),
      seen(video("pending"), { "retry-after": "7" }),
      seen(video("processing"), held),
      seen(video("completed")),
    );
    const waiting = reelay.wait(ID);
    await vi.runAllTimersAsync();
    await waiting;
    expect(asked.map(({ at }) => at)).toEqual([0, 2_000, 9_000, 10_000]);
  });

  it("throws what became of a task that failed", async () => {
    const failed = video("failed", { error: { code: "content_policy", message: "Refused. You were not charged." } });
    const { reelay } = scripted(seen(failed));
    expect(await errorOf(reelay.wait(ID))).toMatchObject({
      type: "task_failed",
      code: "content_policy",
      message: "Refused. You were not charged.",
      status: null,
      isRetryable: false,
      task: failed,
    });
  });

  it("outlives a restart of the gateway", async () => {
    const down = (): Response => new Response("", { status: 502 });
    const { reelay } = scripted(down, down, down, down, down, down, seen(video("completed")));
    const waiting = reelay.wait(ID);
    await vi.runAllTimersAsync();
    expect(await waiting).toEqual(video("completed"));
  });

  it("asks again where a reply never comes", async () => {
    const never = async () => new Promise<Response>((_, reject) => asked[0]?.signal.addEventListener("abort", reject));
    const { asked, reelay } = scripted(never, seen(video("completed")));
    const waiting = reelay.wait(ID);
    await vi.advanceTimersByTimeAsync(89_000);
    expect(asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await waiting).toEqual(video("completed"));
  });

  it("gives up after timeoutMs with the task as it was, which may be waited for again", async () => {
    const { reelay } = scripted(seen(video("processing")));
    const waiting = errorOf(reelay.wait(ID, { timeoutMs: 5_000 }));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await waiting).toMatchObject({ type: "wait_timeout", isRetryable: true, task: video("processing") });
  });

  it("ends with the signal's reason", async () => {
    const { asked, reelay } = scripted(seen(video("processing")));
    const leaving = new AbortController();
    const waiting = expect(reelay.wait(ID, { signal: leaving.signal, timeoutMs: 60_000 })).rejects.toBe("enough");
    await vi.advanceTimersByTimeAsync(1_000);
    leaving.abort("enough");
    await waiting;
    expect(asked).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("events", () => {
  const block = (event: string, id: string, data: unknown) => `event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`;
  const progress = (share: number) => ({ id: ID, progress: share, elapsed_seconds: 1, estimated_seconds: 2 });
  const lion = video("processing", { enhanced_prompt: "Ein Löwe 🦁" });

  async function all(events: AsyncIterable<VideoEvent>): Promise<[string, string][]> {
    const told: [string, string][] = [];
    for await (const { event, eventId, data } of events) {
      told.push([eventId, event === "status" ? `${data.status} ${data.enhanced_prompt}` : `${data.progress} %`]);
    }
    return told;
  }

  /** One chunk a byte, and no end. */
  const streamed = (text: string) => (): Response => {
    const bytes = new TextEncoder().encode(text);
    const body = new ReadableStream({ start: (controller) => bytes.forEach((byte) => controller.enqueue(Uint8Array.of(byte))) });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  };

  it("are read however the stream is cut", async () => {
    const { asked, reelay } = scripted(streamed(block("status", "p.0", lion) + block("status", "completed.0", video("completed"))));
    expect(await all(reelay.events(ID))).toEqual([
      ["p.0", "processing Ein Löwe 🦁"],
      ["completed.0", "completed a lake"],
    ]);
    expect(asked).toHaveLength(1);
  });

  it("go on where the stream broke off, until the end", async () => {
    const { gateway, reelay } = await start(
      stream([`retry: 1\n\n:\n\n${block("status", "processing.0", lion)}`]),
      stream(
        [block("progress", "processing.40", progress(40)), block("progress", "processing.60", progress(60)).slice(0, -1)],
        "break",
      ),
      refusal(503, "restarting", SOON),
      stream(
        [block("news", "processing.61", {}), block("status", "completed.61", video("completed")).replaceAll("\n", "\r\n")],
        "stay",
      ),
    );
    expect(await all(reelay.events(ID))).toEqual([
      ["processing.0", "processing Ein Löwe 🦁"],
      ["processing.40", "40 %"],
      ["completed.61", "completed a lake"],
    ]);
    expect(gateway.asked.map(({ url, headers }) => [url, headers.accept, headers["last-event-id"]])).toEqual(
      [undefined, "processing.0", "processing.40", "processing.40"].map((last) => [
        `/v1/video/events?id=${encodeURIComponent(ID)}`,
        "text/event-stream",
        last,
      ]),
    );
  });

  it("end at once for who has seen the end", async () => {
    const { gateway, reelay } = await start((response) => response.writeHead(204).end());
    expect(await all(reelay.events(ID, { lastEventId: "completed.61" }))).toEqual([]);
    expect(gateway.asked[0]?.headers["last-event-id"]).toBe("completed.61");
  });

  it("are a refusal where there is no such task", async () => {
    const { reelay } = await start(refusal(404, "task_not_found"));
    expect(await errorOf(all(reelay.events(ID)))).toMatchObject({ status: 404, code: "task_not_found" });
  });

  it("are not looked for in a web page", async () => {
    const { gateway, reelay } = await start((response) =>
      response.writeHead(200, { "content-type": "text/html" }).end("<h1>Hi</h1>"),
    );
    expect(await errorOf(all(reelay.events(ID)))).toMatchObject({ type: "connection_error" });
    expect(gateway.asked).toHaveLength(1);
  });

  it("hang up when nobody listens any more", async () => {
    let hungUp = 0;
    const open: Answer = (response) => {
      response.on("close", () => hungUp++);
      return stream([block("status", "processing.0", lion)], "stay")(response);
    };
    const { gateway, reelay } = await start(open);
    for await (const _ of reelay.events(ID)) break;
    await vi.waitUntil(() => hungUp === 1, { timeout: 20_000 });

    const leaving = new AbortController();
    const listening = reelay.events(ID, { signal: leaving.signal });
    await listening.next();
    const waiting = expect(listening.next()).rejects.toBe("enough");
    leaving.abort("enough");
    await waiting;
    await vi.waitUntil(() => hungUp === 2, { timeout: 20_000 });
    expect(gateway.asked).toHaveLength(2);
  });

  it("are asked for anew where not even a heartbeat comes", async () => {
    vi.useFakeTimers({ now: T0 });
    const { asked, reelay } = scripted(streamed(":\n\n"), streamed(block("status", "completed.0", video("completed"))));
    const told = all(reelay.events(ID));
    await vi.runAllTimersAsync();
    expect(await told).toEqual([["completed.0", "completed a lake"]]);
    expect(asked.map(({ at }) => at)).toEqual([0, 47_000]);
  });
});
