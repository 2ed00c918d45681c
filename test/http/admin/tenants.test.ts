// Tenants, as an operator opens, changes, stops and closes them; and what that means for their requests.
import { reset, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import type { Key, List, Tenant, TenantRow, WholeList } from "../../../src/cli/admin-wire.ts";
import { hashApiKey, parseApiKey, type ApiKey } from "../../../src/core/api-key.ts";
import { call, callWith, create, createdId, finish, query } from "../../support/gateway.ts";
import { aCustomer, admin, aKeyOf, auditLog, justNow, operatorTrace, told } from "../../support/operator.ts";
import { readBalances, readBooks, taskStub } from "../../support/objects.ts";
import { readError } from "../../support/refusals.ts";

afterEach(reset);

const DEFAULT_PLAN = {
  credits: 1_000,
  requests_per_minute: 60,
  live_tasks: 10,
  models: null,
  retention_days: 7,
  route_choice: false,
};

function untouched(credits: number) {
  return {
    granted: credits,
    adjusted: 0,
    available: credits,
    held: 0,
    spent: 0,
    expired: 0,
    live_tasks: 0,
    read_only: false,
  };
}

describe("a tenant is opened", () => {
  it("with the plan that is the default, live and test books, and the month's credits", async () => {
    const tenant = await told<Tenant>("POST", "/tenants", { name: "Acme" });
    expect(tenant).toEqual({
      id: expect.stringMatching(/^[0-9A-Za-z]{8}$/),
      name: "Acme",
      status: "active",
      created_at: justNow(),
      plan: DEFAULT_PLAN,
      live: untouched(1_000),
      test: untouched(10_000),
    });
    expect(await told<Tenant>("GET", `/tenants/${tenant.id}`)).toEqual(tenant);
  });

  it("with a plan of its own, what that leaves out being as by default", async () => {
    const plan = { credits: 5, models: ["veo3", "veo2"], retention_days: 30, route_choice: false };
    const tenant = await told<Tenant>("POST", "/tenants", { name: "Œuvre 動画", plan });
    expect(tenant).toMatchObject({ name: "Œuvre 動画", plan: { ...DEFAULT_PLAN, ...plan }, live: untouched(5) });
  });

  it("and its first key makes a video", async () => {
    const customer = await aCustomer();
    expect(await finish(customer, await createdId(customer.key))).toMatchObject({ status: "completed" });
    expect(await told<Tenant>("GET", `/tenants/${customer.tenant}`)).toMatchObject({ test: { spent: 40, available: 9_960 } });
  });

  it("an id that nobody has is told so, on every route", async () => {
    const body = { reason: "x", name: "x", confirm: "x", mode: "test", kind: "grant", amount: 1 };
    const only = (...names: (keyof typeof body)[]) => Object.fromEntries(names.map((name) => [name, body[name]]));
    for (const id of ["nobody00", "no%2Fbody", "%00", "x".repeat(500)]) {
      for (const ask of [
        async () => admin("GET", `/tenants/${id}`),
        async () => admin("PATCH", `/tenants/${id}`, only("name")),
        async () => admin("POST", `/tenants/${id}/suspend`, {}),
        async () => admin("POST", `/tenants/${id}/resume`, {}),
        async () => admin("DELETE", `/tenants/${id}`, only("confirm")),
        async () => admin("POST", `/tenants/${id}/keys`, only("mode")),
        async () => admin("GET", `/tenants/${id}/keys`),
        async () => admin("POST", `/tenants/${id}/keys/${id}/roll`, {}),
        async () => admin("POST", `/tenants/${id}/keys/${id}/revoke`, {}),
        async () => admin("POST", `/tenants/${id}/credits`, only("kind", "amount", "reason")),
        async () => admin("GET", `/tenants/${id}/journal`),
        async () => admin("GET", `/tenants/${id}/recompute`),
        async () => admin("GET", `/tenants/${id}/orphans`),
        async () => admin("POST", `/tenants/${id}/orphans/1/write-off`, only("reason")),
      ]) {
        expect(await readError(await ask())).toMatchObject({ status: 404, code: "tenant_not_found" });
      }
    }
    expect(await auditLog()).toEqual([]);
  });
});

describe("the list of tenants", () => {
  it("goes by id, page by page, with the rows' names and states only", async () => {
    const opened: Tenant[] = [];
    for (const name of ["A", "B", "C"]) opened.push(await told<Tenant>("POST", "/tenants", { name }));
    opened.sort((a, b) => (a.id < b.id ? -1 : 1));
    const first = await told<List<TenantRow>>("GET", "/tenants?limit=2");
    const rows = opened.map(({ id, name, status, created_at }) => ({ id, name, status, created_at }));
    expect(first).toEqual({ object: "list", data: rows.slice(0, 2), has_more: true, last_id: rows[1]?.id });
    const second = await told<List<TenantRow>>("GET", `/tenants?limit=2&after=${first.last_id}`);
    expect(second).toEqual({ object: "list", data: rows.slice(2), has_more: false, last_id: rows[2]?.id });
    const beyond = await told<List<TenantRow>>("GET", `/tenants?after=${second.last_id}`);
    expect(beyond).toEqual({ object: "list", data: [], has_more: false, last_id: null });
  });

  it.each([
    ["limit=0", "limit", "invalid_value"],
    ["limit=101", "limit", "invalid_value"],
    ["limit=many", "limit", "invalid_value"],
    ["limit=1.5", "limit", "invalid_value"],
    ["limit=1&limit=2", "limit", "duplicate_parameter"],
    ["after=12", "after", "invalid_cursor"],
    ["after=aB3dE5fG%27", "after", "invalid_cursor"],
  ])("says what is wrong with ?%s", async (text, param, code) => {
    expect(await readError(await admin("GET", `/tenants?${text}`))).toMatchObject({ status: 400, code, param });
  });
});

describe("a plan is changed", () => {
  it("in what is given; the rest stays, and the month's grant follows at once", async () => {
    const { id } = await told<Tenant>("POST", "/tenants", { name: "Acme", plan: { credits: 100, models: ["veo3"] } });
    const changed = await told<Tenant>("PATCH", `/tenants/${id}`, { plan: { credits: 300, live_tasks: 3 } });
    expect(changed.plan).toEqual({ ...DEFAULT_PLAN, credits: 300, live_tasks: 3, models: ["veo3"] });
    expect(changed.live).toMatchObject({ granted: 100, adjusted: 200, available: 300 });
    const opened = await told<Tenant>("PATCH", `/tenants/${id}`, { plan: { models: null } });
    expect(opened.plan).toEqual({ ...changed.plan, models: null });
    expect(opened.live).toEqual(changed.live);
    expect(opened.test).toEqual(changed.test);
  });

  it("and a name, without the books being touched", async () => {
    const { id, live } = await told<Tenant>("POST", "/tenants", { name: "Acme" });
    expect(await told<Tenant>("PATCH", `/tenants/${id}`, { name: "Acme & Co." })).toMatchObject({ id, name: "Acme & Co.", live });
    expect(await told<Tenant>("GET", `/tenants/${id}`)).toMatchObject({ name: "Acme & Co." });
  });

  it("and counts for the next create, test keys' too where it is about models", async () => {
    const { key, tenant } = await aCustomer();
    await told("PATCH", `/tenants/${tenant}`, { plan: { models: ["veo2"] } });
    const refused = await readError(await create(key, { model: "veo3", prompt: "a lake" }));
    expect(refused).toMatchObject({ status: 403, code: "model_not_allowed" });
  });
});

describe("a tenant that is suspended", () => {
  it("spends nothing from then on, though KV has not heard of it, and goes on once it is resumed", async () => {
    const { key, tenant } = await aCustomer();
    const body = { model: "veo3", prompt: "a lake [[stuck]]" };
    expect((await create(key, body)).status).toBe(200);
    const names = [`k:${await hashApiKey(parseApiKey(key) as ApiKey)}`, `t:${tenant}:test`];
    const before = await Promise.all(names.map(async (name) => [name, (await env.TENANTS.get(name)) as string] as const));

    const suspended = await told<Tenant>("POST", `/tenants/${tenant}/suspend`, { reason: "unpaid" });
    expect(suspended).toMatchObject({ status: "suspended", test: { live_tasks: 1, held: 40 } });
    for (const [name, value] of before) await env.TENANTS.put(name, value);
    expect(await readError(await create(key, body))).toMatchObject({ status: 403, code: "account_suspended" });

    expect(await told<Tenant>("POST", `/tenants/${tenant}/resume`, {})).toMatchObject({ status: "active" });
    expect((await create(key, body)).status).toBe(200);
  });

  it("reads nothing where KV has heard of it", async () => {
    const { key, tenant } = await aCustomer();
    await told("POST", `/tenants/${tenant}/suspend`, {});
    expect(await readError(await query(key, "x"))).toMatchObject({ status: 403, code: "account_suspended" });
  });

  it("leaves who did it, and why", async () => {
    const { tenant } = await aCustomer();
    await told("POST", `/tenants/${tenant}/suspend`, { reason: "unpaid" }, { "X-Reelay-Actor": "Ada" });
    await told("POST", `/tenants/${tenant}/resume`, {}, { "X-Reelay-Actor": "Bob" });
    const [resumed, suspended] = await auditLog();
    expect([suspended, resumed]).toMatchObject([
      { actor: "Ada", action: "tenant.suspend", target: tenant, before: { status: "active" }, after: { reason: "unpaid" } },
      { actor: "Bob", action: "tenant.resume", target: tenant, before: { status: "suspended" }, after: { status: "active" } },
    ]);
  });
});

describe("a tenant that is deleted", () => {
  it("has its tasks ended and given back, its videos removed and its keys ended; the books stay", async () => {
    const customer = await aCustomer();
    const other = await aKeyOf(customer.tenant);
    const done = await createdId(customer.key);
    await finish(customer, done);
    const queued = await createdId(customer.key, { prompt: "[[stuck]]" });
    const running = await createdId(customer.key, { prompt: "[[stuck]]" });
    await runDurableObjectAlarm(taskStub(customer, running));
    expect(await env.VIDEOS.head(`videos/${done}`)).not.toBeNull();

    const reply = await told("DELETE", `/tenants/${customer.tenant}`, { confirm: "Acme" });
    expect(reply).toEqual({ id: customer.tenant, deleted: true });
    for (const id of [done, queued, running]) await runDurableObjectAlarm(taskStub(customer, id));

    expect(await env.VIDEOS.head(`videos/${done}`)).toBeNull();
    expect((await readBooks(customer)).rows).toEqual({ [queued]: "released", [running]: "released" });
    expect(await readBalances(customer)).toEqual({
      granted: 10_000,
      adjusted: 0,
      held: 0,
      spent: 40,
      expired: 0,
      available: 9_960,
    });
    for (const { key } of [customer, other]) {
      // By what is remembered of the key and told by KV of the tenant, or by the ledger: no.
      expect((await create(key, { model: "veo3", prompt: "a lake" })).status).toBe(key === customer.key ? 403 : 401);
      const unread = await readError(await callWith({}, `/v1/video/query?id=${queued}`, { key }));
      expect(unread).toMatchObject({ status: 401, code: "api_key_revoked" });
    }

    expect((await told<List<TenantRow>>("GET", "/tenants")).data).toMatchObject([{ id: customer.tenant, status: "deleted" }]);
    expect(await told<Tenant>("GET", `/tenants/${customer.tenant}`)).toMatchObject({ status: "deleted", test: { spent: 40 } });
    const journal = await told<List<{ kind: string }>>("GET", `/tenants/${customer.tenant}/journal?mode=test`);
    expect(journal.data.map(({ kind }) => kind).sort()).toEqual(["grant", "hold", "hold", "hold", "release", "release", "settle"]);
    const keys = await told<WholeList<Key>>("GET", `/tenants/${customer.tenant}/keys`);
    expect(keys.data).toMatchObject([{ revoked_at: justNow() }, { revoked_at: justNow() }]);
    expect((await auditLog())[0]).toMatchObject({
      action: "tenant.delete",
      target: customer.tenant,
      before: { name: "Acme", status: "active" },
      after: { status: "deleted" },
    });
  });

  it("stays as it is: it is not opened, changed or given keys again", async () => {
    const { tenant } = await aCustomer();
    await told("DELETE", `/tenants/${tenant}`, { confirm: "Acme" });
    const before = await operatorTrace(tenant);
    for (const ask of [
      async () => admin("DELETE", `/tenants/${tenant}`, { confirm: "Acme" }),
      async () => admin("PATCH", `/tenants/${tenant}`, { name: "Again" }),
      async () => admin("POST", `/tenants/${tenant}/resume`, {}),
      async () => admin("POST", `/tenants/${tenant}/keys`, { mode: "test" }),
    ]) {
      expect(await readError(await ask())).toMatchObject({ status: 404, code: "tenant_not_found" });
    }
    expect(await operatorTrace(tenant)).toEqual(before);
  });

  it.each(["", "acme", "Acme ", "the id"])("is confirmed by its name, not by %j", async (confirm) => {
    const { tenant, key } = await aCustomer();
    const before = await operatorTrace(tenant);
    const reply = await admin("DELETE", `/tenants/${tenant}`, { confirm: confirm === "the id" ? tenant : confirm });
    const refused = await readError(reply);
    expect(refused).toMatchObject({ status: 400, code: "invalid_value", param: "confirm" });
    expect(refused.message).toContain('"Acme"');
    expect(await operatorTrace(tenant)).toEqual(before);
    expect((await call("/v1/account", { key })).status).toBe(200);
  });
});
