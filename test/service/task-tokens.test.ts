// Whether a token's tenant still stands, and what it costs to know.
import { beforeEach, describe, expect, it } from "vitest";
import type { TenantStatus } from "../../src/core/quota.ts";
import { makeTaskToken } from "../../src/core/task-token.ts";
import type { AccountView, BooksPort, TaskPort, TenantRecord, TenantStore } from "../../src/ports.ts";
import { taskTokens, type TaskTokens } from "../../src/service/task-tokens.ts";
import { SECOND, T0, TASK_ID } from "../support/builders.ts";

const TOKEN = await makeTaskToken("id-secret", { mode: "live", keyId: "Tenant01Key1" }, TASK_ID, T0 / 1000 + 900);
const CALLER = { tenant: "Tenant01", mode: "live", keyId: "Tenant01Key1", scopes: ["read"] };

/** What is asked, in order. */
let asked: string[];
let now: number;
let copy: () => TenantStatus | null;
let original: () => TenantStatus | null;
let shields: { address: boolean; tenant: boolean };
let tokens: TaskTokens;
beforeEach(() => {
  asked = [];
  now = T0;
  copy = () => "active";
  original = () => "active";
  shields = { address: true, tenant: true };
  const ask = <Answer>(whom: string, answer: () => Answer): Answer => (asked.push(whom), answer());
  const standing = <View>(status: TenantStatus | null): View | null => (status === null ? null : ({ status } as View));
  tokens = taskTokens({
    taskOf: () => ({}) as TaskPort,
    taskIdSecrets: ["id-secret"],
    clock: () => now,
    tenants: { findTenant: async () => ask("kv", () => standing<TenantRecord>(copy())) } as unknown as TenantStore,
    booksOf: () => ({ account: async () => ask("ledger", () => standing<AccountView>(original())) }) as unknown as BooksPort,
    addressShield: async () => ask("address shield", () => shields.address),
    tenantShield: async () => ask("tenant shield", () => shields.tenant),
  });
});

async function verify(token = TOKEN, id = TASK_ID) {
  return tokens.verify(token, id, "203.0.113.1");
}

describe("verify", () => {
  it("lets in with no right but to read, for one KV read in a quarter of a minute", async () => {
    for (const at of [0, 1, 14]) {
      now = T0 + at * SECOND;
      expect(await verify()).toEqual({ ok: true, value: CALLER });
    }
    expect(asked).toEqual(["address shield", "kv", "tenant shield", "tenant shield", "tenant shield"]);
    now = T0 + 15 * SECOND;
    await verify();
    expect(asked.filter((whom) => whom === "kv").length).toBe(2);
  });

  it("asks nobody about a token that is none", async () => {
    for (const [token, id] of [
      [`${TOKEN}x`, TASK_ID],
      [TOKEN, "x"],
    ]) {
      expect(await verify(token, id)).toEqual({ ok: false, error: { kind: "invalid_task_token" } });
    }
    now = T0 + 900 * SECOND;
    expect(await verify()).toEqual({ ok: false, error: { kind: "task_token_expired" } });
    expect(asked).toEqual([]);
  });

  it("goes by the ledger where KV knows nothing", async () => {
    copy = () => null;
    expect(await verify()).toMatchObject({ ok: true });
    expect(asked).toEqual(["address shield", "kv", "ledger", "tenant shield"]);
  });

  it.each<[string, () => void, string]>([
    ["a suspended tenant", () => (copy = () => "suspended"), "account_suspended"],
    ["a tenant that nobody knows", () => (copy = original = () => null), "invalid_task_token"],
    ["a silent KV", () => (copy = () => fails()), "auth_unavailable"],
    ["a silent ledger", () => ((copy = () => null), (original = () => fails())), "auth_unavailable"],
    ["an address that asks too often", () => (shields.address = false), "rate_limit_exceeded"],
    ["a tenant that asks too often", () => (shields.tenant = false), "rate_limit_exceeded"],
  ])("does not let in %s", async (_, arrange, kind) => {
    arrange();
    expect(await verify()).toMatchObject({ ok: false, error: { kind } });
  });

  it("lets a tenant read whose account is read-only", async () => {
    copy = () => "read_only";
    expect(await verify()).toMatchObject({ ok: true });
  });

  it("asks a second time where KV did not answer", async () => {
    let tries = 0;
    copy = () => (++tries === 1 ? fails() : "active");
    expect(await verify()).toMatchObject({ ok: true });
  });
});

function fails(): never {
  throw new Error("nobody answers");
}
