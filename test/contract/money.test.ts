// What a tenant sees of prices and of its account.
import { reset } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { aTenant, call, create, type TestTenant } from "../support/gateway.ts";
import { driveToEnd, readBooks } from "../support/objects.ts";

afterEach(async () => {
  vi.useRealTimers();
  await reset();
});

async function post(path: string, key: string, body: unknown): Promise<Response> {
  return call(path, { method: "POST", key, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
}

async function ended(owner: TestTenant, prompt: string): Promise<void> {
  const { id } = await (await create(owner.key, { model: "veo3", prompt })).json<{ id: string }>();
  await driveToEnd(owner, id);
}

const WISH = { model: "veo3", prompt: "a lake", enable_upsample: true };
const QUOTE = {
  object: "quote",
  credits: 60,
  formula: "40 per video + 20 upsampled = 60",
  parameters: {
    model: "veo3",
    prompt: "a lake",
    enhance_prompt: false,
    enable_upsample: true,
    aspect_ratio: null,
    images: [],
    metadata: {},
    webhook_url: null,
    retention_days: null,
    route: { fallback: true, only: null },
  },
};

describe("a quote", () => {
  it("is the exact price, how it comes about, and what was understood; it holds nothing", async () => {
    const owner = await aTenant();
    expect(await (await post("/v1/video/quote", owner.key, WISH)).json()).toEqual(QUOTE);
    expect(await (await post("/v1/video/create", owner.key, { ...WISH, dry_run: true })).json()).toEqual(QUOTE);
    expect((await readBooks(owner)).journal.filter(({ kind }) => kind === "hold")).toEqual([]);
  });

  it("is what is charged", async () => {
    const owner = await aTenant();
    const reply = await create(owner.key, { ...WISH, prompt: "a lake [[slow:0]]", max_cost: 60 });
    expect(reply.headers.get("X-Credits-Charged")).toBe("60");
    expect(reply.headers.get("X-Credits-Remaining")).toBe("9940");
    const { id } = await reply.json<{ id: string }>();
    await driveToEnd(owner, id);
    expect((await readBooks(owner)).account.spent).toBe(60);
  });

  it("judges the parameters as create does", async () => {
    const owner = await aTenant();
    const reply = await post("/v1/video/quote", owner.key, { ...WISH, model: "veo2", aspect_ratio: "16:9" });
    expect([reply.status, await reply.json()]).toMatchObject([
      400,
      { error: { code: "unsupported_parameter", param: "aspect_ratio" } },
    ]);
    const unknown = await post("/v1/video/quote", owner.key, { ...WISH, dry_run: true });
    expect(await unknown.json()).toMatchObject({ error: { code: "unknown_parameter", param: "dry_run" } });
  });
});

describe("max_cost", () => {
  it("refuses instead of surprising, and holds nothing", async () => {
    const owner = await aTenant();
    const reply = await create(owner.key, { ...WISH, max_cost: 59 });
    expect([reply.status, await reply.json()]).toMatchObject([400, { error: { code: "max_cost_exceeded", param: "max_cost" } }]);
    expect((await readBooks(owner)).account.held).toBe(0);
  });

  it.each([-1, 1.5, "60"])("must be a whole number: %j", async (maxCost) => {
    const owner = await aTenant();
    const reply = await create(owner.key, { ...WISH, max_cost: maxCost });
    expect([reply.status, await reply.json()]).toMatchObject([400, { error: { param: "max_cost" } }]);
  });
});

describe("the limits", () => {
  it("are told with every create", async () => {
    const owner = await aTenant({ limits: { createsPerMinute: 3 } });
    const reply = await create(owner.key, { model: "veo3", prompt: "a lake" });
    expect(reply.headers.get("RateLimit-Policy")).toBe('"create";q=3;w=60');
    expect(reply.headers.get("RateLimit")).toMatch(/^"create";r=2;t=(60|59)$/);
  });
});

describe("/v1/account", () => {
  it("adds up, and says when the month ends", async () => {
    const owner = await aTenant({ limits: { creditsPerPeriod: 100 } });
    await create(owner.key, { model: "veo3", prompt: "a lake [[stuck]]" });
    const account = await (await call("/v1/account", { key: owner.key })).json<{ period: { id: string; ends_at: number } }>();
    expect(account).toMatchObject({
      object: "account",
      mode: "test",
      status: "active",
      credits: { granted: 100, adjusted: 0, available: 60, held: 40, spent: 0, expired: 0 },
      plan: { credits: 100, models: null },
      live_tasks: 1,
    });
    expect(new Date(account.period.ends_at * 1000).toISOString()).toMatch(/-01T00:00:00\.000Z$/);
    expect(account.period.ends_at * 1000).toBeGreaterThan(Date.now());
  });

  it("shows the journal newest first, page by page", async () => {
    const owner = await aTenant();
    await ended(owner, "a lake [[slow:0]]");
    await ended(owner, "a lake [[refuse:content_policy]]");
    const first = await (
      await call("/v1/account/journal?limit=3", { key: owner.key })
    ).json<{ data: { kind: string }[]; last_id: string }>();
    expect(first).toMatchObject({ object: "list", has_more: true });
    expect(first.data.map(({ kind }) => kind)).toEqual(["release", "hold", "settle"]);
    const rest = await (
      await call(`/v1/account/journal?after=${first.last_id}`, { key: owner.key })
    ).json<{ data: { kind: string }[] }>();
    expect(rest).toMatchObject({ has_more: false });
    expect(rest.data.map(({ kind }) => kind)).toEqual(["hold", "grant"]);
  });

  it.each([
    ["limit=0", "invalid_value", "limit"],
    ["limit=101", "invalid_value", "limit"],
    ["limit=x", "invalid_value", "limit"],
    ["after=x", "invalid_cursor", "after"],
  ])("refuses %s", async (search, code, param) => {
    const owner = await aTenant();
    const reply = await call(`/v1/account/journal?${search}`, { key: owner.key });
    expect([reply.status, await reply.json()]).toMatchObject([400, { error: { code, param } }]);
  });
});

describe("/v1/usage", () => {
  it("counts ended tasks by day, model, key and status, as the ledger charged them", async () => {
    const owner = await aTenant();
    await ended(owner, "a lake [[slow:0]]");
    await ended(owner, "another [[slow:0]]");
    await ended(owner, "a lake [[refuse:content_policy]]");
    const day = new Date().toISOString().slice(0, 10);
    const usage = await (await call("/v1/usage", { key: owner.key })).json();
    const row = { day, model: "veo3", key_id: owner.keyId };
    expect(usage).toMatchObject({
      object: "usage",
      data: [
        { ...row, status: "completed", count: 2, credits: 80, seconds: 16 },
        { ...row, status: "failed", count: 1, credits: 0, seconds: 0 },
      ],
    });
    const csv = await call("/v1/usage", { key: owner.key, headers: { accept: "text/csv" } });
    expect(csv.headers.get("content-type")).toContain("text/csv");
    expect(await csv.text()).toBe(
      `day,model,key_id,status,count,credits,seconds\r\n${day},veo3,${owner.keyId},completed,2,80,16\r\n${day},veo3,${owner.keyId},failed,1,0,0\r\n`,
    );
  });

  it.each([
    ["from=2026-13-01", "from"],
    ["to=yesterday", "to"],
    ["from=2026-02-30", "from"],
    ["from=2026-03-02&to=2026-03-01", "from"],
    ["from=2020-01-01&to=2026-01-01", "from"],
  ])("refuses %s", async (search, param) => {
    const owner = await aTenant();
    const reply = await call(`/v1/usage?${search}`, { key: owner.key });
    expect([reply.status, await reply.json()]).toMatchObject([400, { error: { code: "invalid_value", param } }]);
  });

  it("shows a tenant its own numbers only", async () => {
    const [one, other] = [await aTenant(), await aTenant()];
    await ended(one, "a lake [[slow:0]]");
    expect(await (await call("/v1/usage", { key: other.key })).json()).toMatchObject({ data: [] });
  });
});
