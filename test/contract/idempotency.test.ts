// Repeating a create: rows 80-86 of the catalogue, twins at the same moment, and every point where a reply can be lost.
import { env } from "cloudflare:workers";
import { reset } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { VideoTask } from "../../src/durable/video-task.ts";
import { TenantLedger } from "../../src/durable/tenant-ledger.ts";
import { wire } from "../../src/wire.ts";
import { aTenant, call, type TestTenant } from "../support/gateway.ts";
import { driveToEnd, readBalances, readBooks } from "../support/objects.ts";

const BODY = { model: "veo3", prompt: "a lake [[slow:0]]", aspect_ratio: "16:9" };
const PRICE = 40;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 86_400_000 });
});

afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

async function send(key: string, headers: Record<string, string>, body: unknown = BODY): Promise<Response> {
  return call("/v1/video/create", {
    method: "POST",
    key,
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

async function idOf(reply: Response): Promise<string> {
  expect(reply.status).toBe(200);
  return (await reply.json<{ id: string }>()).id;
}

async function codeOf(reply: Response): Promise<[number, string]> {
  return [reply.status, (await reply.json<{ error: { code: string } }>()).error.code];
}

async function holds(owner: TestTenant): Promise<number> {
  return (await readBooks(owner)).journal.filter(({ kind }) => kind === "hold").length;
}

/** Puts `around` about the next so many calls of an object's method. */
function wrapOnce<Target extends object>(
  target: Target,
  method: keyof Target & string,
  times: number,
  around: (call: () => Promise<unknown>) => Promise<unknown>,
): void {
  const real = Reflect.get(target, method) as (...args: unknown[]) => Promise<unknown>;
  const spy = vi.spyOn(target as Record<string, (...args: unknown[]) => unknown>, method);
  for (let count = 0; count < times; count++) {
    spy.mockImplementationOnce(async function (this: unknown, ...args: unknown[]) {
      return around(async () => real.apply(this, args));
    });
  }
}

async function losingTheReply(call: () => Promise<unknown>): Promise<never> {
  await call();
  throw new Error("the connection was lost");
}

describe("row 80: a key that is none", () => {
  it.each(["", " ", "k".repeat(256), "a, b", '"a", "b"', "a\u0001b", '"unfinished'])("%j", async (value) => {
    const owner = await aTenant();
    expect(await codeOf(await send(owner.key, { "idempotency-key": value }))).toEqual([400, "invalid_idempotency_key"]);
    expect(await holds(owner)).toBe(0);
  });
});

describe("the same key", () => {
  it("row 81: gives the same task for the same JSON in another order, and says so", async () => {
    const owner = await aTenant();
    const first = await idOf(await send(owner.key, { "idempotency-key": "k1" }));
    const again = await send(owner.key, { "idempotency-key": "k1" }, Object.fromEntries(Object.entries(BODY).reverse()));
    expect(again.headers.get("Idempotent-Replayed")).toBe("true");
    expect(again.headers.get("X-Credits-Charged")).toBe("0");
    expect(await idOf(again)).toBe(first);
    expect(await holds(owner)).toBe(1);
  });

  it("row 82: is refused for another body", async () => {
    const owner = await aTenant();
    await send(owner.key, { "idempotency-key": "k1" });
    const other = { ...BODY, prompt: "a river" };
    expect(await codeOf(await send(owner.key, { "idempotency-key": "k1" }, other))).toEqual([422, "idempotency_key_reused"]);
  });

  it("row 83: is told to come back while the first is under way, and then gets its task", async () => {
    const owner = await aTenant();
    // A plain flag: a promise made here could not be waited for inside an object.
    let isHeldUp = true;
    wrapOnce(VideoTask.prototype, "start", 1, async (start) => {
      while (isHeldUp) await scheduler.wait(5);
      return start();
    });
    const first = send(owner.key, { "idempotency-key": "k1" });
    await vi.waitFor(async () => expect(await holds(owner)).toBe(1), { timeout: 20_000 });
    const early = await send(owner.key, { "idempotency-key": "k1" });
    expect(early.headers.get("Retry-After")).toBe("1");
    expect(await codeOf(early)).toEqual([409, "idempotency_in_progress"]);
    isHeldUp = false;
    const done = await idOf(await first);
    expect(await idOf(await send(owner.key, { "idempotency-key": "k1" }))).toBe(done);
  });

  it("row 84: of another tenant is another key", async () => {
    const [one, other] = [await aTenant(), await aTenant()];
    expect(await idOf(await send(one.key, { "idempotency-key": "k1" }))).not.toBe(
      await idOf(await send(other.key, { "idempotency-key": "k1" })),
    );
  });

  it("row 85: is the same in quotes and without", async () => {
    const owner = await aTenant();
    const bare = await idOf(await send(owner.key, { "idempotency-key": "abc" }));
    expect(await idOf(await send(owner.key, { "idempotency-key": '"abc"' }))).toBe(bare);
  });

  it("row 86: is not used up by a refusal", async () => {
    const owner = await aTenant({ limits: { creditsPerPeriod: 0 } });
    expect((await send(owner.key, { "idempotency-key": "k1" })).status).toBe(402);
    expect((await send(owner.key, { "idempotency-key": "k1" }, { ...BODY, model: "none" })).status).toBe(400);
    await wire(env).booksOf(owner.tenant, owner.mode).grant(100, "bought");
    const reply = await send(owner.key, { "idempotency-key": "k1" });
    expect([reply.status, reply.headers.get("Idempotent-Replayed")]).toEqual([200, null]);
  });

  it("is the tenant's, and survives its API keys", async () => {
    const owner = await aTenant();
    const second = await aTenant({ tenant: owner.tenant });
    const first = await idOf(await send(owner.key, { "idempotency-key": "k1" }));
    expect(await idOf(await send(second.key, { "idempotency-key": "k1" }))).toBe(first);
  });

  it("gives the ended task too, as it is by now, until a day has passed", async () => {
    const owner = await aTenant();
    const first = await idOf(await send(owner.key, { "idempotency-key": "k1" }));
    await driveToEnd(owner, first);
    const replay = await send(owner.key, { "idempotency-key": "k1" });
    expect(await replay.json()).toMatchObject({ id: first, status: "completed" });
    vi.setSystemTime(Date.now() + 24 * 60 * 60_000 + 1);
    expect(await idOf(await send(owner.key, { "idempotency-key": "k1" }))).not.toBe(first);
  });

  it("is answered when nothing is left to spend", async () => {
    const owner = await aTenant({ limits: { creditsPerPeriod: PRICE } });
    const first = await idOf(await send(owner.key, { "idempotency-key": "k1" }));
    vi.setSystemTime(Date.now() + 20_000);
    expect((await send(owner.key, {})).status).toBe(402);
    expect(await idOf(await send(owner.key, { "idempotency-key": "k1" }))).toBe(first);
  });

  it("is answered though its model was switched off since, or costs more than max_cost by now", async () => {
    const owner = await aTenant();
    const first = await idOf(await send(owner.key, { "idempotency-key": "k1" }));
    await wire(env).registry.switchModel("veo3", { off: "sold out", credits: null, upsampleCredits: null });
    vi.setSystemTime(Date.now() + 20_000);
    expect(await codeOf(await send(owner.key, {}))).toEqual([503, "model_unavailable"]);
    expect(await idOf(await send(owner.key, { "idempotency-key": "k1" }))).toBe(first);
    await wire(env).registry.switchModel("veo3", { off: null, credits: 90, upsampleCredits: null });
    vi.setSystemTime(Date.now() + 20_000);
    const capped = { ...BODY, max_cost: 50 };
    expect(await codeOf(await send(owner.key, { "idempotency-key": "k2" }, capped))).toEqual([400, "max_cost_exceeded"]);
    expect(await idOf(await send(owner.key, { "idempotency-key": "k1" }, capped))).toBe(first);
    await wire(env).registry.switchModel("veo3", null);
    vi.setSystemTime(Date.now() + 20_000);
  });

  it("starts one task for fifty twins at once", async () => {
    const owner = await aTenant();
    const twins = await Promise.all(Array.from({ length: 50 }, async () => send(owner.key, { "idempotency-key": "k1" })));
    const started = new Set<string>();
    for (const twin of twins) {
      if (twin.status === 200) started.add(await idOf(twin));
      else expect(await codeOf(twin)).toEqual([409, "idempotency_in_progress"]);
    }
    expect(started.size).toBe(1);
    expect(await readBalances(owner)).toMatchObject({ held: PRICE });
  });
});

describe("a reply that is lost", () => {
  it.each<[string, () => void]>([
    [
      "after the credits were held",
      // The call and its one retry.
      () => wrapOnce(TenantLedger.prototype, "reserve", 2, losingTheReply),
    ],
  ])("%s costs one task, which the repetition finds", async (_where, lose) => {
    const owner = await aTenant();
    lose();
    expect((await send(owner.key, { "idempotency-key": "k1" })).status).toBe(503);
    vi.setSystemTime(Date.now() + 20_000);
    const id = await idOf(await send(owner.key, { "idempotency-key": "k1" }));
    expect(await idOf(await send(owner.key, { "idempotency-key": "k1" }))).toBe(id);
    expect((await driveToEnd(owner, id)).status).toBe("completed");
    expect(await readBalances(owner)).toMatchObject({ held: 0, spent: PRICE });
    expect(await holds(owner)).toBe(1);
  });

  it("after the task was started is made good at once: the id could not be given up, so it runs", async () => {
    const owner = await aTenant();
    wrapOnce(VideoTask.prototype, "start", 2, losingTheReply);
    const id = await idOf(await send(owner.key, {}));
    expect((await driveToEnd(owner, id)).status).toBe("completed");
    expect(await readBalances(owner)).toMatchObject({ held: 0, spent: PRICE });
    expect(await holds(owner)).toBe(1);
  });

  it("before anything was started gives the credits back, and the repetition is a first", async () => {
    const owner = await aTenant();
    const start = vi.spyOn(VideoTask.prototype, "start").mockRejectedValue(new Error("no such object"));
    expect((await send(owner.key, { "idempotency-key": "k1" })).status).toBe(503);
    expect(await readBalances(owner)).toMatchObject({ held: 0, spent: 0 });
    start.mockRestore();
    const reply = await send(owner.key, { "idempotency-key": "k1" });
    expect([reply.status, reply.headers.get("Idempotent-Replayed")]).toEqual([200, null]);
  });
});

describe("an SDK's own retry, without a key", () => {
  const RETRY = { "x-stainless-retry-count": "1" };

  it("is folded into the task that the first try made, for two minutes", async () => {
    const owner = await aTenant();
    const first = await idOf(await send(owner.key, { "x-stainless-retry-count": "0" }));
    const retried = await send(owner.key, RETRY);
    expect(retried.headers.get("Idempotent-Replayed")).toBe("inferred");
    expect(await idOf(retried)).toBe(first);
    vi.setSystemTime(Date.now() + 2 * 60_000 + 1_000);
    expect(await idOf(await send(owner.key, RETRY))).not.toBe(first);
  });

  it("of another body, or of a first try that was refused, is a first", async () => {
    const owner = await aTenant();
    const first = await idOf(await send(owner.key, {}));
    expect(await idOf(await send(owner.key, RETRY, { ...BODY, prompt: "a river" }))).not.toBe(first);
  });

  it("is not what two equal wishes are", async () => {
    const owner = await aTenant();
    expect(await idOf(await send(owner.key, {}))).not.toBe(await idOf(await send(owner.key, {})));
    expect(await holds(owner)).toBe(2);
  });
});
