// What a plan admits, as a tenant meets it: money, pace, tasks at a time, models.
import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import type { BooksPort } from "../../src/ports.ts";
import { wire } from "../../src/wire.ts";
import { aTenant, create, createdId, finish, query, type TestTenant } from "../support/gateway.ts";
import { readBalances, readBooks } from "../support/objects.ts";
import { expectRefusal, readError } from "../support/refusals.ts";

afterEach(reset);

/** 40 credits. */
const VEO3 = { model: "veo3", prompt: "a lake [[slow:0]]" };

function booksOf({ tenant, mode }: TestTenant): BooksPort {
  return wire(env).booksOf(tenant, mode);
}

describe("credits", () => {
  it("402 tells what it costs and what there is", async () => {
    const owner = await aTenant({ limits: { creditsPerPeriod: 39 } });
    const message = await expectRefusal(owner, async () => create(owner.key, VEO3), { status: 402, code: "insufficient_quota" });
    expect(message).toBe("This costs 40 credits, and 39 are available.");
    expect((await create(owner.key, VEO3)).headers.get("x-should-retry")).toBe("false");
  });

  it("upsampling has its price", async () => {
    const owner = await aTenant({ limits: { creditsPerPeriod: 59 } });
    const message = await expectRefusal(owner, async () => create(owner.key, { ...VEO3, enable_upsample: true }), {
      status: 402,
      code: "insufficient_quota",
    });
    expect(message).toContain("costs 60 credits");
    expect((await create(owner.key, VEO3)).status).toBe(200);
  });

  it("a completed task is charged once, however often it is queried", async () => {
    const owner = await aTenant({ limits: { creditsPerPeriod: 79 } });
    const id = await createdId(owner.key);
    expect(await readBalances(owner)).toMatchObject({ held: 40, spent: 0, available: 39 });
    await finish(owner, id);
    for (let times = 0; times < 5; times++) await query(owner.key, id);
    expect(await readBalances(owner)).toMatchObject({ held: 0, spent: 40, available: 39 });
    await expectRefusal(owner, async () => create(owner.key, VEO3), { status: 402, code: "insufficient_quota" });
  });

  it("a failed task gives its credits back for the next", async () => {
    const owner = await aTenant({ limits: { creditsPerPeriod: 40 } });
    expect(await finish(owner, await createdId(owner.key, { prompt: "[[refuse:content_policy]]" }))).toMatchObject({
      status: "failed",
    });
    expect(await readBalances(owner)).toMatchObject({ held: 0, spent: 0, available: 40 });
    expect((await create(owner.key, VEO3)).status).toBe(200);
  });

  it("50 creates at once against credit for 10 admit exactly 10", async () => {
    const owner = await aTenant({ limits: { creditsPerPeriod: 400 } });
    const replies = await Promise.all(Array.from({ length: 50 }, async () => create(owner.key, { ...VEO3, prompt: "[[stuck]]" })));
    const count = (status: number) => replies.filter((reply) => reply.status === status).length;
    expect([count(200), count(402)]).toEqual([10, 40]);
    expect(await readBalances(owner)).toMatchObject({ held: 400, available: 0, spent: 0 });
    expect((await readBooks(owner)).account.live).toBe(10);
  });
});

describe("pace", () => {
  it("429 tells when to come back, in each header that says it", async () => {
    const owner = await aTenant({ limits: { createsPerMinute: 2 } });
    for (let creates = 0; creates < 2; creates++) expect((await create(owner.key, VEO3)).status).toBe(200);
    const reply = await create(owner.key, VEO3);
    const seconds = Number(reply.headers.get("Retry-After"));
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThanOrEqual(60);
    expect(reply.headers.get("RateLimit-Policy")).toBe('"create";q=2;w=60');
    expect(reply.headers.get("RateLimit")).toBe(`"create";r=0;t=${seconds}`);
    expect(reply.headers.get("x-should-retry")).toBe("true");
    const told = await readError(reply);
    expect(told).toMatchObject({ status: 429, code: "rate_limit_exceeded", param: null });
    expect(told.message).toContain("2 creates in 60 seconds");
  });

  it("what is refused does not count", async () => {
    const owner = await aTenant({ limits: { createsPerMinute: 1 } });
    for (let tries = 0; tries < 3; tries++) expect((await create(owner.key, { ...VEO3, model: "nope" })).status).toBe(400);
    expect((await create(owner.key, VEO3)).status).toBe(200);
  });
});

describe("tasks at a time", () => {
  it("429 tells how many there may be", async () => {
    const owner = await aTenant({ limits: { liveTasks: 1 } });
    await createdId(owner.key, { prompt: "[[stuck]]" });
    const reply = await create(owner.key, VEO3);
    expect(Number(reply.headers.get("Retry-After"))).toBeGreaterThan(0);
    expect(reply.headers.get("RateLimit-Policy")).toBe('"live-tasks";q=1');
    expect(reply.headers.get("RateLimit")).toMatch(/^"live-tasks";r=0;t=\d+$/);
    const told = await readError(reply);
    expect(told).toMatchObject({ status: 429, code: "concurrency_limit_exceeded", param: null });
    expect(told.message).toContain("your plan allows 1 at a time");
  });

  it("one that ended makes room", async () => {
    const owner = await aTenant({ limits: { liveTasks: 1 } });
    await finish(owner, await createdId(owner.key));
    expect((await create(owner.key, VEO3)).status).toBe(200);
  });
});

describe("standing", () => {
  it("a suspended tenant neither creates nor reads", async () => {
    const owner = await aTenant();
    await booksOf(owner).configure({ status: "suspended" });
    const suspended = { status: 403, code: "account_suspended" };
    await expectRefusal(owner, async () => create(owner.key, VEO3), suspended);
    await expectRefusal(owner, async () => query(owner.key, "x"), suspended);
  });

  it("a tenant that is active again goes on", async () => {
    const owner = await aTenant();
    await booksOf(owner).configure({ status: "suspended" });
    await booksOf(owner).configure({ status: "active" });
    expect((await create(owner.key, VEO3)).status).toBe(200);
  });

  it("a model that is not in the plan is refused, and the plan told", async () => {
    const owner = await aTenant({ limits: { models: ["veo2"] } });
    const expected = { status: 403, code: "model_not_allowed", param: "model" };
    expect(await expectRefusal(owner, async () => create(owner.key, VEO3), expected)).toContain("It includes: veo2.");
  });

  it.each([
    ["expired", { expiresAt: Date.now() - 1_000 }, "api_key_expired"],
    ["read-only", { scopes: ["read"] as const }, "insufficient_scope"],
  ])("a key that is %s does not spend", async (_, spec, code) => {
    const owner = await aTenant(spec);
    expect((await readError(await create(owner.key, VEO3))).code).toBe(code);
  });
});
