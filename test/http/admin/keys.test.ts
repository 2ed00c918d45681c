// API keys, as an operator makes, rolls and revokes them; and what each rule of a key means for its holder.
import { reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Key, NewKey, WholeList } from "../../../src/cli/admin-wire.ts";
import { hashApiKey, makeApiKey, parseApiKey, type ApiKey } from "../../../src/core/api-key.ts";
import { base62Digits } from "../../../src/core/encoding.ts";
import { TenantLedger } from "../../../src/durable/tenant-ledger.ts";
import { call, callWith, create, createdId, finish, query } from "../../support/gateway.ts";
import { aCustomer, admin, aKeyOf, auditLog, justNow, told, type Customer } from "../../support/operator.ts";
import { ledgerStub } from "../../support/objects.ts";
import { readError } from "../../support/refusals.ts";

let customer: Customer;
beforeEach(async () => {
  customer = await aCustomer();
});
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

const VEO3 = { model: "veo3", prompt: "a lake [[stuck]]" };
const DAY = 86_400;

async function keysOf({ tenant }: Customer): Promise<readonly Key[]> {
  return (await told<WholeList<Key>>("GET", `/tenants/${tenant}/keys`)).data;
}

async function findKey(of: Customer): Promise<Key | undefined> {
  return (await keysOf(of)).find(({ id }) => id === of.keyId);
}

function moveClock(seconds: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + seconds * 1000 });
}

async function kvNameOf(key: string): Promise<string> {
  return `k:${await hashApiKey(parseApiKey(key) as ApiKey)}`;
}

describe("a key is made", () => {
  it("with every right and no rule unless they are given, and told whole this once", async () => {
    const made = await told<NewKey>("POST", `/tenants/${customer.tenant}/keys`, { mode: "live" });
    const { key, ...rest } = made;
    expect(parseApiKey(key)).toMatchObject({ mode: "live", tenant: customer.tenant, id: made.id });
    expect(rest).toEqual({
      id: expect.stringMatching(new RegExp(`^${customer.tenant}\\w{4}$`)),
      name: null,
      mode: "live",
      prefix: key.slice(0, 20),
      last4: key.slice(-4),
      scopes: ["create", "read", "manage"],
      budget: null,
      budget_used: 0,
      models: null,
      ips: null,
      created_at: justNow(),
      expires_at: null,
      revoked_at: null,
    });
    expect(await keysOf(customer)).toContainEqual(rest);
  });

  it("with the rules that are given", async () => {
    const expires = Math.floor(Date.now() / 1000) + DAY;
    const wish = {
      mode: "test",
      name: "CI",
      scopes: ["read"],
      budget: 100,
      models: ["veo2"],
      ips: ["203.0.113.0/24", "2001:db8::1"],
      expires_at: expires,
    };
    const { key: _, ...rest } = await told<NewKey>("POST", `/tenants/${customer.tenant}/keys`, wish);
    expect(rest).toMatchObject(wish);
    expect(await keysOf(customer)).toContainEqual(rest);
  });

  it("its text is nowhere after that: not in a list, not in the audit log, not in KV, not in the ledger", async () => {
    const { key, tenant } = customer;
    const secret = key.slice(20, 52);
    await told("POST", `/tenants/${tenant}/keys/${customer.keyId}/roll`, {});
    const lists = JSON.stringify([await keysOf(customer), await auditLog()]);
    const { keys } = await env.TENANTS.list();
    const copies = await Promise.all(keys.map(async ({ name }) => name + (await env.TENANTS.get(name))));
    const rows = await runInDurableObject(ledgerStub(customer), (_, { storage }) =>
      JSON.stringify(storage.sql.exec("SELECT * FROM keys").toArray()),
    );
    expect(lists.length + copies.length + rows.length).toBeGreaterThan(1_000);
    for (const text of [lists, copies.join(), rows]) expect(text).not.toContain(secret);
  });

  it("leaves who made it for whom, with its rules", async () => {
    const wish = { mode: "test", name: "CI", budget: 5, ips: ["203.0.113.7"] };
    const made = await told<NewKey>("POST", `/tenants/${customer.tenant}/keys`, wish, { "X-Reelay-Actor": "Ada" });
    expect((await auditLog())[0]).toEqual({
      seq: expect.any(Number),
      at: justNow(),
      actor: "Ada",
      action: "key.create",
      target: made.id,
      before: null,
      after: { tenant: customer.tenant, ...wish, scopes: ["create", "read", "manage"], models: null, expires_at: null },
    });
  });

  it.each(["203.0.113.0/33", "203.0.113", "10.0/8", "010.0.0.1", "example.com"])("not with %j for an address", async (range) => {
    const before = await keysOf(customer);
    const reply = await admin("POST", `/tenants/${customer.tenant}/keys`, { mode: "test", ips: ["203.0.113.7", range] });
    expect(await readError(reply)).toMatchObject({ status: 400, code: "invalid_value", param: "ips.1" });
    expect(await keysOf(customer)).toEqual(before);
  });
});

describe("a new key works at once", () => {
  it("even where the edge has it that there is no such key: its ledger is asked", async () => {
    const made = await aKeyOf(customer.tenant);
    await env.TENANTS.delete(await kvNameOf(made.key));
    const asked = vi.spyOn(TenantLedger.prototype, "keyRecord");
    expect((await create(made.key, VEO3)).status).toBe(200);
    expect((await query(made.key, "x")).status).toBe(404);
    expect(asked).toHaveBeenCalledOnce();
  });

  it("with its rules, as the ledger has them", async () => {
    const reader = await aKeyOf(customer.tenant, { scopes: ["read"], ips: ["203.0.113.7"] });
    await env.TENANTS.delete(await kvNameOf(reader.key));
    const from = async (address: string): Promise<number> =>
      (await call("/v1/account", { key: reader.key, headers: { "cf-connecting-ip": address } })).status;
    expect([await from("203.0.113.8"), await from("203.0.113.7")]).toEqual([401, 200]);
  });

  it("one that was revoked or whose tenant is suspended does not, whatever KV has forgotten", async () => {
    const revoked = await aKeyOf(customer.tenant);
    await told("POST", `/tenants/${customer.tenant}/keys/${revoked.keyId}/revoke`, {});
    await env.TENANTS.delete(await kvNameOf(revoked.key));
    expect(await readError(await query(revoked.key, "x"))).toMatchObject({ status: 401, code: "api_key_revoked" });
    await told("POST", `/tenants/${customer.tenant}/suspend`, {});
    await env.TENANTS.delete(await kvNameOf(customer.key));
    expect(await readError(await query(customer.key, "x"))).toMatchObject({ status: 403, code: "account_suspended" });
  });

  it("another secret under a key's id is nobody's", async () => {
    const asked = vi.spyOn(TenantLedger.prototype, "keyRecord");
    const forged = forge(customer.tenant, customer.keyId);
    expect(forged).not.toBe(customer.key);
    expect(await readError(await query(forged, "x"))).toMatchObject({ status: 401, code: "invalid_api_key" });
    expect(asked).toHaveBeenCalledOnce();
  });

  it("the ledger of a tenant that does not exist is asked once, and stores nothing", async () => {
    const asked = vi.spyOn(TenantLedger.prototype, "keyRecord");
    const key = makeApiKey("test", "Nobody07", crypto.getRandomValues(new Uint8Array(128))).text;
    for (let times = 0; times < 3; times++) expect((await query(key, "x")).status).toBe(401);
    expect(asked).toHaveBeenCalledOnce();
    const stored = await runInDurableObject(ledgerStub({ ...customer, tenant: "Nobody07" }), (_, { storage }) => [
      ...storage.kv.list(),
      ...storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'"),
    ]);
    expect(stored).toEqual([]);
  });

  it("no ledger is asked behind the address shield's back", async () => {
    const asked = vi.spyOn(TenantLedger.prototype, "keyRecord");
    const made = await aKeyOf(customer.tenant);
    await env.TENANTS.delete(await kvNameOf(made.key));
    const full = { SHIELD_ADDRESS: { limit: async () => ({ success: false }) } };
    expect((await callWith(full, "/v1/account", { key: made.key })).status).toBe(429);
    expect(asked).not.toHaveBeenCalled();
    expect((await callWith({}, "/v1/account", { key: made.key })).status).toBe(200);
    expect(asked).toHaveBeenCalledOnce();
  });

  it("a ledger that does not answer is not taken for a no", async () => {
    const made = await aKeyOf(customer.tenant);
    await env.TENANTS.delete(await kvNameOf(made.key));
    const down = { TENANT_LEDGER: { getByName: () => ({ keyRecord: async () => Promise.reject(new Error("down")) }) } };
    const reply = await callWith(down, "/v1/account", { key: made.key });
    expect(await readError(reply)).toMatchObject({ status: 503, code: "auth_unavailable" });
  });

  /** A key of that id with a secret of its own: what somebody who knows only the id could write. */
  function forge(tenant: string, id: string): string {
    const every = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const byteOf = (digit: string): number => every.find((byte) => base62Digits(Uint8Array.of(byte)) === digit) as number;
    const rest = Array.from(id.slice(8), byteOf);
    const key = makeApiKey("test", tenant, Uint8Array.of(...rest, ...crypto.getRandomValues(new Uint8Array(128))));
    expect(key.id).toBe(id);
    return key.text;
  }
});

describe("a key is rolled", () => {
  it("into one with its rules that works at once; the old one works for the overlap, and no longer", async () => {
    const old = await aKeyOf(customer.tenant, { name: "web", scopes: ["create", "read"], budget: 400, models: ["veo3"] });
    const made = await told<NewKey>("POST", `/tenants/${customer.tenant}/keys/${old.keyId}/roll`, { overlap_seconds: 3_600 });
    expect(made).toMatchObject({ mode: "test", name: "web", scopes: ["create", "read"], budget: 400, models: ["veo3"] });
    expect(made.id).not.toBe(old.keyId);
    expect(made).toMatchObject({ expires_at: null, revoked_at: null });
    const expiresAt = (await findKey(old))?.expires_at as number;
    expect(expiresAt - Date.now() / 1000).toBeCloseTo(3_600, -1);

    moveClock(3_590);
    expect([(await create(old.key, VEO3)).status, (await create(made.key, VEO3)).status]).toEqual([200, 200]);
    moveClock(20);
    expect(await readError(await create(old.key, VEO3))).toMatchObject({ status: 401, code: "api_key_expired" });
    expect(await readError(await query(old.key, "x"))).toMatchObject({ status: 401, code: "api_key_expired" });
    expect((await create(made.key, VEO3)).status).toBe(200);
  });

  it("with a day's overlap where none is given, and none where that is asked for", async () => {
    const second = await aKeyOf(customer.tenant);
    await told("POST", `/tenants/${customer.tenant}/keys/${customer.keyId}/roll`, {});
    expect(((await findKey(customer))?.expires_at as number) - Date.now() / 1000).toBeCloseTo(DAY, -1);
    await told("POST", `/tenants/${customer.tenant}/keys/${second.keyId}/roll`, { overlap_seconds: 0 });
    expect(await readError(await create(second.key, VEO3))).toMatchObject({ status: 401, code: "api_key_expired" });
  });

  it("does not make an end later that was near already", async () => {
    const soon = Math.floor(Date.now() / 1000) + 60;
    const old = await aKeyOf(customer.tenant, { expires_at: soon });
    await told("POST", `/tenants/${customer.tenant}/keys/${old.keyId}/roll`, { overlap_seconds: 604_800 });
    expect((await findKey(old))?.expires_at).toBe(soon);
  });

  it("with its end and with what it has spent of its budget", async () => {
    const expiresAt = Math.floor(Date.now() / 1000) + 86_400;
    const old = await aKeyOf(customer.tenant, { budget: 50, expires_at: expiresAt });
    expect((await create(old.key, VEO3)).status).toBe(200);
    const made = await told<NewKey>("POST", `/tenants/${customer.tenant}/keys/${old.keyId}/roll`, { overlap_seconds: 0 });
    expect(made).toMatchObject({ budget: 50, budget_used: 40, expires_at: expiresAt });
    expect(await readError(await create(made.key, VEO3))).toMatchObject({ status: 402, code: "key_budget_exceeded" });
  });

  it("not where it is revoked, or another tenant's, or nobody's", async () => {
    const foreign = await aCustomer();
    const revoked = await aKeyOf(customer.tenant);
    await told("POST", `/tenants/${customer.tenant}/keys/${revoked.keyId}/revoke`, {});
    const log = await auditLog();
    for (const id of [revoked.keyId, foreign.keyId, "nokey"]) {
      const reply = await admin("POST", `/tenants/${customer.tenant}/keys/${id}/roll`, {});
      expect(await readError(reply)).toMatchObject({ status: 404, code: "key_not_found" });
    }
    expect(await auditLog()).toEqual(log);
  });

  it("leaves which key took its place, and until when it works", async () => {
    const made = await told<NewKey>("POST", `/tenants/${customer.tenant}/keys/${customer.keyId}/roll`, { overlap_seconds: 60 });
    expect((await auditLog())[0]).toMatchObject({
      action: "key.roll",
      target: customer.keyId,
      before: { tenant: customer.tenant, mode: "test", expires_at: null },
      after: { successor: made.id, expires_at: (await findKey(customer))?.expires_at },
    });
  });
});

describe("a key is revoked", () => {
  it("and row 8: spends nothing from then on, though KV has not heard of it", async () => {
    expect((await create(customer.key, VEO3)).status).toBe(200);
    const name = await kvNameOf(customer.key);
    const stale = (await env.TENANTS.get(name)) as string;
    const revoked = await told<Key>("POST", `/tenants/${customer.tenant}/keys/${customer.keyId}/revoke`, {});
    expect(revoked).toEqual({ ...(await findKey(customer)), revoked_at: justNow() });
    await env.TENANTS.put(name, stale);
    for (const attempt of [async () => create(customer.key, VEO3), async () => post({})]) {
      expect(await readError(await attempt())).toMatchObject({ status: 401, code: "api_key_revoked" });
    }
  });

  it("once: the second time changes nothing and is not noted", async () => {
    const first = await told<Key>("POST", `/tenants/${customer.tenant}/keys/${customer.keyId}/revoke`, {});
    const log = await auditLog();
    moveClock(60);
    expect(await told<Key>("POST", `/tenants/${customer.tenant}/keys/${customer.keyId}/revoke`, {})).toEqual(first);
    expect(await auditLog()).toEqual(log);
    expect(log[0]).toMatchObject({ action: "key.revoke", before: { revoked_at: null }, after: { revoked_at: first.revoked_at } });
  });

  /** As from an isolate that remembers nothing. */
  async function post(changes: Record<string, unknown>): Promise<Response> {
    const headers = { "content-type": "application/json" };
    return callWith(changes, "/v1/video/create", { method: "POST", key: customer.key, headers, body: JSON.stringify(VEO3) });
  }
});

describe("a key's rules", () => {
  it("row 10: one that may only read does not create", async () => {
    const reader = await aKeyOf(customer.tenant, { scopes: ["read"] });
    expect(await readError(await create(reader.key, VEO3))).toMatchObject({ status: 403, code: "insufficient_scope" });
    expect((await call("/v1/account", { key: reader.key })).status).toBe(200);
  });

  it("one that may only create does not read", async () => {
    const maker = await aKeyOf(customer.tenant, { scopes: ["create"] });
    expect((await create(maker.key, VEO3)).status).toBe(200);
    expect(await readError(await call("/v1/account", { key: maker.key }))).toMatchObject({
      status: 403,
      code: "insufficient_scope",
    });
  });

  it("a budget is spent by holds, given back by failures, and new each month", async () => {
    const spender = await aKeyOf(customer.tenant, { budget: 60 });
    const id = await createdId(spender.key, { prompt: "[[fail:content_policy]] [[slow:0]]" });
    expect(await findKey(spender)).toMatchObject({ budget: 60, budget_used: 40 });
    const refused = await readError(await create(spender.key, VEO3));
    expect(refused).toMatchObject({ status: 402, code: "key_budget_exceeded" });
    expect(refused.message).toContain("20");
    expect((await create(customer.key, VEO3)).status).toBe(200);

    expect(await finish(spender, id)).toMatchObject({ status: "failed" });
    expect(await findKey(spender)).toMatchObject({ budget_used: 0 });
    await finish(spender, await createdId(spender.key));
    expect(await findKey(spender)).toMatchObject({ budget_used: 40 });
    expect((await create(spender.key, VEO3)).status).toBe(402);

    moveClock(31 * DAY);
    expect(await findKey(spender)).toMatchObject({ budget_used: 0 });
    expect((await create(spender.key, VEO3)).status).toBe(200);
  });

  it("a model that is not on its list is refused, though the plan has it", async () => {
    const narrow = await aKeyOf(customer.tenant, { models: ["veo2"] });
    expect(await readError(await create(narrow.key, VEO3))).toMatchObject({ status: 403, code: "model_not_allowed" });
    expect((await create(narrow.key, { model: "veo2", prompt: "a lake" })).status).toBe(200);
  });

  it("from an address that is not on its list it is a key like none", async () => {
    const { key } = await aKeyOf(customer.tenant, { ips: ["203.0.113.0/24", "2001:db8::/32"] });
    const from = async (address: string): Promise<Response> =>
      call("/v1/account", { key, headers: { "cf-connecting-ip": address } });
    expect((await from("203.0.113.200")).status).toBe(200);
    expect((await from("2001:db8:1::1")).status).toBe(200);
    for (const address of ["203.0.114.1", "2001:db9::1", "local", ""]) {
      expect(await readError(await from(address))).toMatchObject({ status: 401, code: "invalid_api_key" });
    }
  });

  it("row 8: past its end it is told so, to its holder", async () => {
    const { key } = await aKeyOf(customer.tenant, { expires_at: Math.floor(Date.now() / 1000) + DAY });
    expect((await create(key, VEO3)).status).toBe(200);
    moveClock(DAY + 1);
    expect(await readError(await create(key, VEO3))).toMatchObject({ status: 401, code: "api_key_expired" });
    expect(await readError(await query(key, "x"))).toMatchObject({ status: 401, code: "api_key_expired" });
  });
});
