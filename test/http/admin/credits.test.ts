// An operator's view of a tenant's money: grants, corrections, the journal and whether it adds up, and what was paid for in vain.
import { reset, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { JournalEntry, List, Orphan, Recompute, Tenant } from "../../../src/cli/admin-wire.ts";
import { createdId, finish } from "../../support/gateway.ts";
import { aCustomer, admin, auditLog, justNow, operatorTrace, told, type Customer } from "../../support/operator.ts";
import { ledgerStub, readBalances } from "../../support/objects.ts";
import { readError } from "../../support/refusals.ts";

let customer: Customer;
let tenant: string;
beforeEach(async () => {
  customer = await aCustomer({ plan: { credits: 100 } });
  ({ tenant } = customer);
});
afterEach(async () => {
  vi.useRealTimers();
  await reset();
});

async function credit(body: object): Promise<Tenant> {
  return told<Tenant>("POST", `/tenants/${tenant}/credits`, body);
}

describe("credits", () => {
  it("are granted to the live books unless the test ones are named", async () => {
    const after = await credit({ kind: "grant", amount: 500, reason: "invoice 7" });
    expect(after.live).toMatchObject({ granted: 600, adjusted: 0, available: 600 });
    expect(after.test).toMatchObject({ available: 10_000 });
    expect((await credit({ kind: "grant", amount: 5, reason: "more", mode: "test" })).test).toMatchObject({ available: 10_005 });
    expect(await readBalances({ ...customer, mode: "live" })).toMatchObject({ granted: 600, available: 600 });
  });

  it("are adjusted up and down, to nothing but not below", async () => {
    expect((await credit({ kind: "adjust", amount: 10, reason: "goodwill" })).live).toMatchObject({ adjusted: 10, available: 110 });
    expect((await credit({ kind: "adjust", amount: -110, reason: "chargeback" })).live).toMatchObject({
      adjusted: -100,
      available: 0,
    });
    const before = await operatorTrace(tenant);
    const reply = await admin("POST", `/tenants/${tenant}/credits`, { kind: "adjust", amount: -1, reason: "more" });
    const refused = await readError(reply);
    expect(refused).toMatchObject({ status: 400, code: "invalid_value", param: "amount" });
    expect(refused.message).toBe("amount takes away more than the 0 credits that are available.");
    expect(await operatorTrace(tenant)).toEqual(before);
  });

  it("leave who gave them, why, and what there was before and after", async () => {
    await told("POST", `/tenants/${tenant}/credits`, { kind: "adjust", amount: -7, reason: "typo" }, { "X-Reelay-Actor": "Ada" });
    expect((await auditLog())[0]).toEqual({
      seq: expect.any(Number),
      at: justNow(),
      actor: "Ada",
      action: "credits.adjust",
      target: tenant,
      before: { mode: "live", available: 100 },
      after: { mode: "live", amount: -7, reason: "typo", available: 93 },
    });
  });
});

describe("the journal", () => {
  it("tells every movement, newest first, page by page", async () => {
    await credit({ kind: "grant", amount: 5, reason: "first" });
    await credit({ kind: "adjust", amount: -3, reason: "second" });
    const all = await told<List<JournalEntry>>("GET", `/tenants/${tenant}/journal`);
    const month = new Date().toISOString().slice(0, 7);
    expect(all).toEqual({
      object: "list",
      data: [
        { seq: 3, at: justNow(), kind: "adjust", amount: -3, ref: "second" },
        { seq: 2, at: justNow(), kind: "grant", amount: 5, ref: "first" },
        { seq: 1, at: justNow(), kind: "grant", amount: 100, ref: month },
      ],
      has_more: false,
      last_id: "1",
    });
    const first = await told<List<JournalEntry>>("GET", `/tenants/${tenant}/journal?limit=2`);
    expect(first).toEqual({ object: "list", data: all.data.slice(0, 2), has_more: true, last_id: "2" });
    const rest = await told<List<JournalEntry>>("GET", `/tenants/${tenant}/journal?limit=2&after=2`);
    expect(rest).toEqual({ object: "list", data: all.data.slice(2), has_more: false, last_id: "1" });
  });

  it("is one of each mode", async () => {
    const id = await createdId(customer.key);
    await finish(customer, id);
    const test = await told<List<JournalEntry>>("GET", `/tenants/${tenant}/journal?mode=test`);
    expect(test.data.map(({ kind, amount, ref }) => [kind, amount, ref])).toEqual([
      ["settle", 40, id],
      ["hold", 40, id],
      ["grant", 10_000, expect.any(String)],
    ]);
    expect((await told<List<JournalEntry>>("GET", `/tenants/${tenant}/journal?mode=live`)).data).toHaveLength(1);
  });

  it.each([
    ["journal?mode=both", "mode", "invalid_value"],
    ["journal?limit=0", "limit", "invalid_value"],
    ["journal?after=last", "after", "invalid_cursor"],
    ["recompute?mode=both", "mode", "invalid_value"],
    ["orphans?mode=both", "mode", "invalid_value"],
    ["orphans?after=-1", "after", "invalid_cursor"],
  ])("says what is wrong with %s", async (path, param, code) => {
    expect(await readError(await admin("GET", `/tenants/${tenant}/${path}`))).toMatchObject({ status: 400, code, param });
  });
});

describe("recompute", () => {
  it("shows the balances and the journal's, which are equal", async () => {
    await finish(customer, await createdId(customer.key));
    await createdId(customer.key, { prompt: "[[stuck]]" });
    const balances = { granted: 10_000, adjusted: 0, available: 9_920, held: 40, spent: 40, expired: 0 };
    const found = await told<Recompute>("GET", `/tenants/${tenant}/recompute?mode=test`);
    expect(found).toEqual({ balances, journal: balances, equal: true });
  });

  it("in a month that has begun and that nothing was written in, too", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 31 * 86_400_000 });
    const balances = { granted: 200, adjusted: 0, available: 100, held: 0, spent: 0, expired: 100 };
    const found = await told<Recompute>("GET", `/tenants/${tenant}/recompute`);
    expect(found).toEqual({ balances, journal: balances, equal: true });
  });

  it("says so where they are not", async () => {
    await runInDurableObject(ledgerStub({ ...customer, mode: "live" }), (_, { storage }) => {
      storage.sql.exec("UPDATE journal SET amount = 99 WHERE seq = 1");
    });
    const found = await told<Recompute>("GET", `/tenants/${tenant}/recompute`);
    expect(found).toMatchObject({ balances: { granted: 100 }, journal: { granted: 99 }, equal: false });
  });
});

describe("orphans", () => {
  async function anOrphan(): Promise<string> {
    const id = await createdId(customer.key, { prompt: "[[lost_submit]]" });
    await finish(customer, id);
    return id;
  }

  it("are listed newest first, page by page, and written off with a reason", async () => {
    const [first, second] = [await anOrphan(), await anOrphan()];
    const list = await told<List<Orphan>>("GET", `/tenants/${tenant}/orphans?mode=test`);
    const row = {
      at: justNow(),
      provider: "simulated",
      model: "veo3",
      reason: "upstream_ambiguous",
      cost_cents: null,
      written_off: null,
    };
    expect(list).toEqual({
      object: "list",
      data: [
        { ...row, seq: 2, task: second },
        { ...row, seq: 1, task: first },
      ],
      has_more: false,
      last_id: "1",
    });
    const older = await told<List<Orphan>>("GET", `/tenants/${tenant}/orphans?mode=test&limit=1&after=2`);
    expect(older).toMatchObject({ data: [{ seq: 1 }], has_more: false });

    const body = { reason: "credited by the provider", mode: "test" };
    const written = await told<Orphan>("POST", `/tenants/${tenant}/orphans/1/write-off`, body, { "X-Reelay-Actor": "Ada" });
    expect(written).toEqual({ ...row, seq: 1, task: first, written_off: { at: justNow(), reason: body.reason } });
    expect((await told<List<Orphan>>("GET", `/tenants/${tenant}/orphans?mode=test`)).data[1]).toEqual(written);
    expect((await auditLog())[0]).toMatchObject({
      actor: "Ada",
      action: "orphan.write_off",
      target: first,
      before: { tenant, mode: "test", seq: 1, written_off: null },
      after: { tenant, mode: "test", seq: 1, reason: body.reason },
    });
  });

  it("are written off once: a later reason changes nothing and is not noted", async () => {
    await anOrphan();
    const written = await told<Orphan>("POST", `/tenants/${tenant}/orphans/1/write-off`, { reason: "lost", mode: "test" });
    const before = await operatorTrace(tenant);
    const again = await told<Orphan>("POST", `/tenants/${tenant}/orphans/1/write-off`, { reason: "other", mode: "test" });
    expect(again).toEqual(written);
    expect(await operatorTrace(tenant)).toEqual(before);
  });

  it("that are not there, or are the other mode's, are told so", async () => {
    await anOrphan();
    const before = await operatorTrace(tenant);
    for (const [seq, mode] of [
      [2, "test"],
      [1, "live"],
      [1, undefined],
    ]) {
      const reply = await admin("POST", `/tenants/${tenant}/orphans/${seq}/write-off`, { reason: "lost", mode });
      expect(await readError(reply)).toMatchObject({ status: 404, code: "orphan_not_found" });
    }
    for (const seq of ["0", "1.5", "one", "-1", "9".repeat(20)]) {
      const reply = await admin("POST", `/tenants/${tenant}/orphans/${seq}/write-off`, { reason: "lost" });
      expect(await readError(reply)).toMatchObject({ status: 400, param: "seq" });
    }
    expect(await operatorTrace(tenant)).toEqual(before);
  });
});
