// The opt-in fields of POST /v1/video/create: metadata, webhook_url and retention_days.
import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CompletedTask } from "../../src/core/task.ts";
import { TenantLedger } from "../../src/durable/tenant-ledger.ts";
import { wire } from "../../src/wire.ts";
import { aTenant, call, create, createdId, finish, ORIGIN, type TestTenant } from "../support/gateway.ts";
import { list } from "../support/manage.ts";
import { readTask } from "../support/objects.ts";
import { expectRefusal, readError } from "../support/refusals.ts";

const DAY = 86_400_000;
const VALID = { model: "veo3", prompt: "a lake [[slow:0]]" };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + DAY });
});
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

async function createRaw({ key }: TestTenant, body: string, headers: Record<string, string> = {}): Promise<Response> {
  return call("/v1/video/create", { method: "POST", key, headers: { "content-type": "application/json", ...headers }, body });
}

const pairs = (count: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`key${index}`, `value ${index}`]));

describe("metadata", () => {
  it.each<[string, Record<string, string>]>([
    ["nothing", {}],
    ["16 pairs", pairs(16)],
    ["a name of 64 characters", { ["k".repeat(64)]: "x" }],
    ["a value of 512 characters, however wide", { emoji: "🎬".repeat(512), family: "👩‍👩‍👧" }],
    ["an empty value", { empty: "" }],
    ["names that objects have anyway", { constructor: "a", toString: "b", hasOwnProperty: "c", prototype: "d" }],
    [
      "values that would mean something elsewhere",
      { html: "<script>", sql: "'; DROP TABLE tasks; --", line: "a\r\nb: c", nul: "\0" },
    ],
  ])("is given back as it came: %s", async (_, metadata) => {
    const owner = await aTenant();
    const id = await createdId(owner.key, { metadata });
    expect((await readTask(owner, id))?.metadata).toEqual(metadata);
    expect((await list(owner)).data).toMatchObject([{ id, metadata }]);
  });

  it("may be null, as every optional field", async () => {
    const owner = await aTenant();
    const id = await createdId(owner.key, { metadata: null, webhook_url: null, retention_days: null });
    expect(await readTask(owner, id)).toMatchObject({ metadata: {}, webhookUrl: null, retentionMs: 7 * DAY });
  });

  it.each<[string, string, string, string]>([
    ["__proto__", '{"__proto__":"x"}', "invalid_value", "metadata.__proto__"],
    ["__proto__ by way of an escape", '{"\\u005f_proto__":{"a":"b"}}', "invalid_value", "metadata.__proto__"],
    ["an empty name", '{"":"x"}', "invalid_value", 'metadata.""'],
    ["a name of 65 characters", JSON.stringify({ ["k".repeat(65)]: "x" }), "invalid_value", `metadata.${"k".repeat(64)}`],
    ["a name with a space", '{"a b":"x"}', "invalid_value", "metadata.a b"],
    ["an emoji as a name", '{"🎬":"x"}', "invalid_value", "metadata.??"],
    ["a name with a line break", '{"a\\r\\nb":"x"}', "invalid_value", "metadata.a??b"],
    ["a name given twice", '{"a":"x","a":"y"}', "duplicate_key", "a"],
    ["17 pairs", JSON.stringify(pairs(17)), "invalid_value", "metadata"],
    ["a value of 513 characters", JSON.stringify({ a: "x".repeat(513) }), "invalid_value", "metadata.a"],
    ["513 wide characters", JSON.stringify({ a: "🎬".repeat(513) }), "invalid_value", "metadata.a"],
    ["half of a surrogate pair", '{"a":"\\ud800"}', "invalid_unicode", "metadata.a"],
    ["a number", '{"a":1}', "invalid_type", "metadata.a"],
    ["a boolean", '{"a":true}', "invalid_type", "metadata.a"],
    ["null", '{"a":null}', "invalid_type", "metadata.a"],
    ["a list", '{"a":["x"]}', "invalid_type", "metadata.a"],
    ["an object", '{"a":{"b":"c"}}', "invalid_type", "metadata.a"],
    ["text instead", '"order=A-17"', "invalid_type", "metadata"],
    ["a list instead", '[["a","b"]]', "invalid_type", "metadata"],
  ])("is refused with %s", async (_, metadata, code, param) => {
    const owner = await aTenant();
    const body = JSON.stringify(VALID).replace("}", `,"metadata":${metadata}}`);
    await expectRefusal(owner, async () => createRaw(owner, body), { status: 400, code, param });
    expect("a" in {}).toBe(false);
  });

  it("says what a name may be", async () => {
    const owner = await aTenant();
    const { message } = await readError(await create(owner.key, { ...VALID, metadata: { "a b": "x" } }));
    expect(message).toBe("metadata.a b must have 1 to 64 letters, digits, _, . or -.");
  });
});

describe("webhook_url", () => {
  it("is kept with the task, for the URLs that a webhook may have", async () => {
    const owner = await aTenant();
    const id = await createdId(owner.key, { webhook_url: "https://example.com/hooks?token=a#b" });
    expect((await readTask(owner, id))?.webhookUrl).toBe("https://example.com/hooks?token=a#b");
  });

  it.each([
    "",
    "example.com",
    "//example.com",
    "http://example.com/hooks",
    "ftp://example.com",
    "javascript:alert(1)",
    "https://user:password@example.com",
    "https://example.com:8443",
    "https://localhost",
    "https://service.internal",
    "https://10.0.0.1",
    "https://2130706433",
    "https://[::1]",
    "https://[::ffff:10.0.0.1]",
    "https://169.254.169.254/latest/meta-data",
    "https://8.8.8.8",
    "https://metadata.google.internal",
    `${ORIGIN}/v1/video/create`,
    "https://other.workers.dev",
    "https://example.com\\@10.0.0.1",
    `https://example.com/${"a".repeat(2_048)}`,
  ])("is refused for %s", async (webhook_url) => {
    const owner = await aTenant();
    const refused = { status: 400, code: "webhook_url_not_allowed", param: "webhook_url" };
    const message = await expectRefusal(owner, async () => create(owner.key, { ...VALID, webhook_url }), refused);
    if (webhook_url !== "") expect(message).not.toContain(webhook_url);
  });

  it.each([17, true, ["https://example.com"], { url: "https://example.com" }])("is refused as %j", async (webhook_url) => {
    const owner = await aTenant();
    const refused = { status: 400, code: "invalid_type", param: "webhook_url" };
    await expectRefusal(owner, async () => create(owner.key, { ...VALID, webhook_url }), refused);
  });
});

describe("retention_days", () => {
  it("ends the video sooner than the plan, and the plan's is the default", async () => {
    const owner = await aTenant();
    for (const [days, kept] of [
      [1, 1],
      [7, 7],
      [undefined, 7],
    ]) {
      const id = await createdId(owner.key, days === undefined ? {} : { retention_days: days });
      await finish(owner, id);
      const { expiresAt, timeline } = (await readTask(owner, id)) as CompletedTask;
      expect(expiresAt - (timeline.at(-1)?.at ?? 0)).toBe((kept ?? 0) * DAY);
    }
  });

  it.each<[unknown, string]>([
    [0, "invalid_value"],
    [-1, "invalid_value"],
    [366, "invalid_value"],
    [1.5, "invalid_type"],
    ["3", "invalid_type"],
    [true, "invalid_type"],
    [[3], "invalid_type"],
  ])("is refused as %j", async (retention_days, code) => {
    const owner = await aTenant();
    const refused = { status: 400, code, param: "retention_days" };
    await expectRefusal(owner, async () => create(owner.key, { ...VALID, retention_days }), refused);
  });

  it("beyond the plan is refused alike by KV's copy and by the ledger, naming the plan's", async () => {
    const owner = await aTenant({ limits: { retentionDays: 3 } });
    const tooLong = { ...VALID, retention_days: 4 };
    const refused = { status: 400, code: "invalid_value", param: "retention_days" };
    const reserve = vi.spyOn(TenantLedger.prototype, "reserve");
    const byCopy = await expectRefusal(owner, async () => create(owner.key, tooLong), refused);
    expect(reserve).not.toHaveBeenCalled();
    // What could be a repetition is the ledger's to judge, and its alone.
    const byLedger = await expectRefusal(
      owner,
      async () => createRaw(owner, JSON.stringify(tooLong), { "idempotency-key": "retention" }),
      refused,
    );
    expect(reserve).toHaveBeenCalledOnce();
    expect(byLedger).toBe(byCopy);
    expect(byLedger).toMatch(/at most 3\b/);
    await createdId(owner.key, { retention_days: 3 });
  });

  it("is held against a plan that has grown or shrunk since", async () => {
    const owner = await aTenant({ limits: { retentionDays: 3 } });
    const books = wire(env).booksOf(owner.tenant, owner.mode);
    const { limits } = (await books.account())!;
    await books.configure({ limits: { ...limits, retentionDays: 30 } });
    const id = await createdId(owner.key, { retention_days: 30 });
    await books.configure({ limits: { ...limits, retentionDays: 1 } });
    const refused = { status: 400, code: "invalid_value", param: "retention_days" };
    await expectRefusal(owner, async () => create(owner.key, { ...VALID, retention_days: 2 }), refused);
    // What was sold stays sold.
    expect((await readTask(owner, id))?.retentionMs).toBe(30 * DAY);
  });
});

describe("an Idempotency-Key", () => {
  const FIRST = { ...VALID, metadata: { a: "1", b: "2" }, webhook_url: "https://example.com/a", retention_days: 3 };
  const send = async (owner: TestTenant, body: unknown) => createRaw(owner, JSON.stringify(body), { "idempotency-key": "the-one" });

  it("stands for the same extras, in whatever order", async () => {
    const owner = await aTenant();
    const first = await (await send(owner, FIRST)).json<{ id: string }>();
    const again = await send(owner, { metadata: { b: "2", a: "1" }, retention_days: 3, webhook_url: FIRST.webhook_url, ...VALID });
    expect([again.status, again.headers.get("idempotent-replayed")]).toEqual([200, "true"]);
    expect((await again.json<{ id: string }>()).id).toBe(first.id);
  });

  it.each<[string, Record<string, unknown>]>([
    ["another value", { metadata: { a: "1", b: "3" } }],
    ["another name", { metadata: { a: "1", c: "2" } }],
    ["a pair less", { metadata: { a: "1" } }],
    ["no metadata", { metadata: null }],
    ["another webhook_url", { webhook_url: "https://example.com/b" }],
    ["no webhook_url", { webhook_url: null }],
    ["another retention_days", { retention_days: 2 }],
    ["no retention_days", { retention_days: null }],
  ])("is refused with %s", async (_, change) => {
    const owner = await aTenant();
    expect((await send(owner, FIRST)).status).toBe(200);
    const refused = { status: 422, code: "idempotency_key_reused" };
    await expectRefusal(owner, async () => send(owner, { ...FIRST, ...change }), refused);
  });

  it("takes no metadata and empty metadata for the same", async () => {
    const owner = await aTenant();
    const ids = await Promise.all(
      [VALID, { ...VALID, metadata: {} }, { ...VALID, metadata: null }].map(
        async (body) => (await (await send(owner, body)).json<{ id?: string }>()).id,
      ),
    );
    expect(new Set(ids.filter((id) => id !== undefined)).size).toBe(1);
  });
});

describe("a quote, and a create with dry_run", () => {
  const send = async (owner: TestTenant, path: string, body: object) =>
    call(path, { method: "POST", key: owner.key, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const ways: [string, (owner: TestTenant, extra: object) => Promise<Response>][] = [
    ["quote", async (owner, extra) => send(owner, "/v1/video/quote", { ...VALID, ...extra })],
    ["dry_run", async (owner, extra) => send(owner, "/v1/video/create", { ...VALID, ...extra, dry_run: true })],
  ];

  it.each(ways)("%s: shows all of them as they were understood", async (_, ask) => {
    const owner = await aTenant({ limits: { choosesRoutes: true } });
    const extras = {
      metadata: { a: "1" },
      webhook_url: "https://example.com/a",
      retention_days: 3,
      route: { fallback: false, only: ["eu"] },
    };
    expect(await (await ask(owner, extras)).json()).toMatchObject({ object: "quote", credits: 40, parameters: extras });
    const usual = { metadata: {}, webhook_url: null, retention_days: null, route: { fallback: true, only: null } };
    expect(await (await ask(owner, {})).json()).toMatchObject({ parameters: usual });
  });

  const faults: [string, object][] = [
    ["a private webhook_url", { webhook_url: "https://10.0.0.1" }],
    ["a user name in it", { webhook_url: "https://user:password@example.com" }],
    ["an odd port", { webhook_url: "https://example.com:8443" }],
    ["a script", { webhook_url: "javascript:alert(1)" }],
    ["more retention than the plan has", { retention_days: 4 }],
    ["a route that the plan does not let choose", { route: { fallback: false } }],
    ["a model that the plan does not have", { model: "veo3-pro" }],
    ["metadata that is none", { metadata: { "a b": "x" } }],
  ];
  const cases = ways.flatMap(([name, ask]) => faults.map(([fault, extra]) => [name, fault, ask, extra] as const));

  it.each(cases)("%s: refuses %s as a create would", async (_, __, ask, extra) => {
    const owner = await aTenant({ limits: { retentionDays: 3, models: ["veo3"] } });
    const refusal = await create(owner.key, { ...VALID, ...extra });
    const told = await ask(owner, extra);
    expect(told.status).toBe(refusal.status);
    expect(told.status).toBeGreaterThanOrEqual(400);
    expect(await readError(told)).toEqual(await readError(refusal));
  });

  it.each(ways)("%s: asks nobody for credits or room", async (_, ask) => {
    const owner = await aTenant({ limits: { creditsPerPeriod: 0 } });
    expect((await ask(owner, {})).status).toBe(200);
  });
});
