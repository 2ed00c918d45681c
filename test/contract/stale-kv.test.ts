// What KV says is up to a minute old, and may be missing or wrong: who is asked then, and what is never taken for a yes.
import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { hashApiKey, parseApiKey, type ApiKey } from "../../src/core/api-key.ts";
import type { BooksPort } from "../../src/ports.ts";
import { wire } from "../../src/wire.ts";
import { aTenant, callWith, create, query, type TestTenant } from "../support/gateway.ts";
import { readBalances } from "../support/objects.ts";
import { expectRefusal, readError } from "../support/refusals.ts";

afterEach(reset);

/** 40 credits. */
const VEO3 = { model: "veo3", prompt: "a lake [[slow:0]]" };

function booksOf({ tenant, mode }: TestTenant): BooksPort {
  return wire(env).booksOf(tenant, mode);
}

async function post(owner: TestTenant, changes: Record<string, unknown>): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return callWith(changes, "/v1/video/create", { method: "POST", key: owner.key, headers, body: JSON.stringify(VEO3) });
}

describe("where KV is late, the ledger judges", () => {
  async function namesOf({ key, tenant, mode }: TestTenant): Promise<{ key: string; tenant: string }> {
    return { key: `k:${await hashApiKey(parseApiKey(key) as ApiKey)}`, tenant: `t:${tenant}:${mode}` };
  }

  /** KV as it is now, to be put back later: as a location sees it that has not heard of what came after. */
  async function remember(owner: TestTenant): Promise<() => Promise<void>> {
    const names = Object.values(await namesOf(owner));
    const values = await Promise.all(names.map(async (name) => [name, (await env.TENANTS.get(name)) ?? ""] as const));
    return async () => {
      for (const [name, value] of values) await env.TENANTS.put(name, value);
    };
  }

  async function changeCopy(owner: TestTenant, changes: Record<string, unknown>): Promise<void> {
    const name = (await namesOf(owner)).tenant;
    const copy = await env.TENANTS.get<Record<string, unknown>>(name, "json");
    await env.TENANTS.put(name, JSON.stringify({ ...copy, ...changes }));
  }

  it("a revoked key stops spending at once, and reading when KV hears of it", async () => {
    const owner = await aTenant();
    const forget = await remember(owner);
    await booksOf(owner).endKey(owner.keyId, { revokedAt: Date.now() });
    await forget();
    await expectRefusal(owner, async () => create(owner.key, VEO3), { status: 401, code: "api_key_revoked" });
    expect((await query(owner.key, "x")).status).toBe(404);
  });

  it("a revoked key that KV has heard of does nothing any more", async () => {
    const owner = await aTenant();
    await booksOf(owner).endKey(owner.keyId, { revokedAt: Date.now() });
    const revoked = { status: 401, code: "api_key_revoked" };
    await expectRefusal(owner, async () => create(owner.key, VEO3), revoked);
    await expectRefusal(owner, async () => query(owner.key, "x"), revoked);
  });

  it("a suspended tenant stops spending at once", async () => {
    const owner = await aTenant();
    const forget = await remember(owner);
    await booksOf(owner).configure({ status: "suspended" });
    await forget();
    await expectRefusal(owner, async () => create(owner.key, VEO3), { status: 403, code: "account_suspended" });
  });

  it.each([
    ["missing", null],
    ["of another form", "{}"],
    ["not JSON", "nonsense"],
  ])("a copy that is %s is not needed", async (_, value) => {
    const [rich, poor] = [await aTenant(), await aTenant({ limits: { creditsPerPeriod: 39 } })];
    for (const owner of [rich, poor]) {
      const { tenant } = await namesOf(owner);
      await (value === null ? env.TENANTS.delete(tenant) : env.TENANTS.put(tenant, value));
    }
    expect((await create(rich.key, VEO3)).status).toBe(200);
    await expectRefusal(poor, async () => create(poor.key, VEO3), { status: 402, code: "insufficient_quota" });
  });

  it("a copy that promises too much does not admit", async () => {
    const owner = await aTenant({ limits: { creditsPerPeriod: 39 } });
    await changeCopy(owner, { available: 1_000_000, publishedAt: Date.now() });
    await expectRefusal(owner, async () => create(owner.key, VEO3), { status: 402, code: "insufficient_quota" });
  });

  it("a fresh copy without credits refuses early, and wakes no ledger", async () => {
    const owner = await aTenant();
    await changeCopy(owner, { available: 7, publishedAt: Date.now() });
    const unreachable = {
      TENANT_LEDGER: {
        getByName() {
          throw new Error("woken");
        },
      },
    };
    const told = await readError(await post(owner, unreachable));
    expect(told).toMatchObject({ status: 402, message: "This costs 40 credits, and 7 are available." });
  });

  it("one that is older than a minute does not refuse", async () => {
    const owner = await aTenant();
    await changeCopy(owner, { available: 0, publishedAt: Date.now() - 61_000 });
    expect((await create(owner.key, VEO3)).status).toBe(200);
  });
});

describe("what cannot be asked is not taken for a yes", () => {
  const down = async (): Promise<never> => Promise.reject(new Error("down"));

  it("no KV: 503 auth_unavailable", async () => {
    const owner = await aTenant();
    const reply = await post(owner, { TENANTS: { get: down } });
    expect(reply.headers.get("Retry-After")).toBe("1");
    expect(await readError(reply)).toMatchObject({ status: 503, code: "auth_unavailable" });
  });

  it.each([
    ["ledger", { TENANT_LEDGER: { getByName: () => ({ reserve: down, resolve: down }) } }],
    ["task object", { VIDEO_TASK: { getByName: () => ({ start: down, tombstone: async () => true }) } }],
  ])("no %s: 503, and nothing is charged", async (_, broken) => {
    const owner = await aTenant();
    const reply = await post(owner, broken);
    expect(reply.headers.get("Retry-After")).toBe("2");
    expect(await readError(reply)).toMatchObject({ status: 503, code: "service_unavailable" });
    expect(await readBalances(owner)).toMatchObject({ held: 0, spent: 0, available: 10_000 });
  });

  it("no provider for live keys: 503, and nothing is held", async () => {
    const owner = await aTenant({ mode: "live" });
    const send = async () => create(owner.key, VEO3);
    const message = await expectRefusal(owner, send, { status: 503, code: "provider_unavailable" });
    expect(message).toContain("Nothing was charged");
    expect((await send()).headers.get("Retry-After")).toBe("30");
  });
});
