// What an operator does with tenants: open, change, suspend, close; their credits; their keys.
import { makeApiKey, type ApiKey, type Mode } from "../../core/api-key.ts";
import { base62Digits } from "../../core/encoding.ts";
import type { Refusal } from "../../core/errors.ts";
import type { KeyRules } from "../../core/key-rules.ts";
import type { Limits } from "../../core/quota.ts";
import { fail, ok, type Result } from "../../core/result.ts";
import type { AccountView, BooksOf, Clock, KeyView, RegistryPort, TaskOf, TenantEntry } from "../../ports.ts";
import { keySpec, openTenant, TEST_LIMITS } from "../tenancy.ts";
import type { Audit } from "./audited.ts";

export interface TenantsDeps {
  readonly registry: RegistryPort;
  readonly booksOf: BooksOf;
  readonly taskOf: TaskOf;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly randomBytes: (length: number) => Uint8Array;
}

export interface TenantView extends TenantEntry {
  readonly limits: Limits;
  readonly accounts: Readonly<Record<Mode, AccountView>>;
}

export interface KeyWish extends Partial<Omit<KeyRules, "revokedAt">> {
  readonly mode: Mode;
  readonly name: string | null;
}

/** A key as it is told of once, with its text, and with its place. */
export interface MadeKey {
  readonly key: KeyView;
  readonly mode: Mode;
  readonly text: string;
}

type Found<Value> = Result<Value, Refusal>;

const MODES = ["live", "test"] as const satisfies readonly Mode[];
const NO_TENANT: Refusal = { kind: "tenant_not_found" };
const NO_KEY: Refusal = { kind: "key_not_found" };
const TASKS_A_PAGE = 100;

export type OperatorTenants = ReturnType<typeof operatorTenants>;

export function operatorTenants(deps: TenantsDeps) {
  const { registry, booksOf, taskOf, audit, clock } = deps;

  async function view(entry: TenantEntry): Promise<TenantView> {
    const [live, test] = await Promise.all(MODES.map(async (mode) => booksOf(entry.id, mode).account()));
    if (!live || !test) throw new Error("a registered tenant has its ledgers");
    return { ...entry, limits: live.limits, accounts: { live, test } };
  }

  async function find(id: string): Promise<Found<TenantView>> {
    const entry = await registry.tenant(id);
    return entry === null ? fail(NO_TENANT) : ok(await view(entry));
  }

  async function setStatus(
    actor: string,
    id: string,
    status: "active" | "suspended",
    reason: string | null,
  ): Promise<Found<TenantView>> {
    const before = await registry.tenant(id);
    if (before === null || before.status === "deleted") return fail(NO_TENANT);
    // The ledgers first: they are what stops the spending.
    for (const mode of MODES) await booksOf(id, mode).configure({ status });
    const after = await registry.changeTenant(id, { status });
    const action = status === "active" ? "tenant.resume" : "tenant.suspend";
    await audit({ actor, action, target: id, before: { status: before.status }, after: { status, reason } });
    return after === null ? fail(NO_TENANT) : ok(await view(after));
  }

  /** Ends every task and removes what it left; the books stay. */
  async function discardTasks(tenant: string, mode: Mode): Promise<void> {
    for (let after: string | null = null; ;) {
      const ids: string[] = await booksOf(tenant, mode).taskIds(after, TASKS_A_PAGE);
      for (const id of ids) {
        const task = taskOf(tenant, id);
        if (!(await task.discard())) await task.abandon();
      }
      if (ids.length < TASKS_A_PAGE) return;
      after = ids.at(-1) ?? null;
    }
  }

  return {
    find,

    list: async (after: string | null, limit: number): Promise<TenantEntry[]> => registry.tenants(after, limit),

    async create(actor: string, name: string, limits: Limits): Promise<TenantView> {
      const id = base62Digits(deps.randomBytes(32)).slice(0, 8);
      const entry: TenantEntry = { id, name, status: "active", createdAt: clock() };
      await openTenant({ registry, booksOf }, entry, { live: limits, test: { ...TEST_LIMITS, models: limits.models } });
      await audit({ actor, action: "tenant.create", target: id, after: { name, limits } });
      return view(entry);
    },

    async change(actor: string, id: string, change: { name?: string; limits?: Partial<Limits> }): Promise<Found<TenantView>> {
      const before = await find(id);
      if (!before.ok || before.value.status === "deleted") return fail(NO_TENANT);
      const limits = { ...before.value.limits, ...change.limits };
      await booksOf(id, "live").configure({ limits });
      await booksOf(id, "test").configure({ limits: { ...before.value.accounts.test.limits, models: limits.models } });
      const name = change.name ?? before.value.name;
      const entry = await registry.changeTenant(id, { name });
      await audit({
        actor,
        action: "tenant.change",
        target: id,
        before: { name: before.value.name, limits: before.value.limits },
        after: { name, limits },
      });
      return entry === null ? fail(NO_TENANT) : ok(await view(entry));
    },

    suspend: async (actor: string, id: string, reason: string | null) => setStatus(actor, id, "suspended", reason),
    resume: async (actor: string, id: string, reason: string | null) => setStatus(actor, id, "active", reason),

    /** For good: no key works, tasks under way are ended and not charged, videos go; the books and the audit log stay. */
    async remove(actor: string, id: string): Promise<Found<null>> {
      const before = await registry.tenant(id);
      if (before === null || before.status === "deleted") return fail(NO_TENANT);
      const now = clock();
      for (const mode of MODES) {
        const books = booksOf(id, mode);
        await books.configure({ status: "suspended" });
        for (const key of await books.keys()) await books.endKey(key.id, { revokedAt: now });
        await discardTasks(id, mode);
      }
      await registry.changeTenant(id, { status: "deleted" });
      await audit({ actor, action: "tenant.delete", target: id, before: { name: before.name, status: before.status } });
      return ok(null);
    },

    async credit(
      actor: string,
      id: string,
      mode: Mode,
      { kind, amount, reason }: { kind: "grant" | "adjust"; amount: number; reason: string },
    ): Promise<Found<TenantView>> {
      const before = await find(id);
      if (!before.ok) return before;
      const books = booksOf(id, mode);
      const done = kind === "grant" ? ok(await books.grant(amount, reason)) : await books.adjust(amount, reason);
      if (!done.ok) return done;
      await audit({
        actor,
        action: `credits.${kind}`,
        target: id,
        before: { mode, available: before.value.accounts[mode].available },
        after: { mode, amount, reason },
      });
      return find(id);
    },

    async keys(id: string): Promise<Found<{ key: KeyView; mode: Mode }[]>> {
      if ((await registry.tenant(id)) === null) return fail(NO_TENANT);
      const lists = await Promise.all(MODES.map(async (mode) => (await booksOf(id, mode).keys()).map((key) => ({ key, mode }))));
      return ok(lists.flat());
    },

    async createKey(actor: string, id: string, { mode, name, ...rules }: KeyWish): Promise<Found<MadeKey>> {
      const tenant = await registry.tenant(id);
      if (tenant === null || tenant.status === "deleted") return fail(NO_TENANT);
      const made = await addKey(id, mode, { name, ...rules });
      await audit({ actor, action: "key.create", target: made.key.id, after: { tenant: id, mode, name, ...rules } });
      return ok(made);
    },

    /** A new key with the old one's rules; the old one works for `overlapMs` more. */
    async rollKey(actor: string, id: string, keyId: string, overlapMs: number): Promise<Found<MadeKey>> {
      const old = await findKey(id, keyId);
      if (old === null || old.key.revokedAt !== null) return fail(NO_KEY);
      const { name, scopes, budget, models, ips } = old.key;
      const made = await addKey(id, old.mode, { name, scopes, budget, models, ips });
      const expiresAt = clock() + overlapMs;
      await booksOf(id, old.mode).endKey(keyId, { expiresAt });
      await audit({ actor, action: "key.roll", target: keyId, after: { key: made.key.id, expiresAt } });
      return ok(made);
    },

    async revokeKey(actor: string, id: string, keyId: string): Promise<Found<{ key: KeyView; mode: Mode }>> {
      const old = await findKey(id, keyId);
      if (old === null) return fail(NO_KEY);
      await booksOf(id, old.mode).endKey(keyId, { revokedAt: clock() });
      await audit({ actor, action: "key.revoke", target: keyId, before: { tenant: id, mode: old.mode } });
      const after = await findKey(id, keyId);
      return after === null ? fail(NO_KEY) : ok(after);
    },
  };

  async function addKey(tenant: string, mode: Mode, rules: Parameters<typeof keySpec>[2]): Promise<MadeKey> {
    const key: ApiKey = makeApiKey(mode, tenant, deps.randomBytes(96));
    const { hash: _, ...spec } = await keySpec(key, clock(), rules);
    await booksOf(tenant, mode).putKey({ ...spec, hash: _ });
    return { key: { ...spec, use: { period: "", used: 0 } }, mode, text: key.text };
  }

  async function findKey(tenant: string, keyId: string): Promise<{ key: KeyView; mode: Mode } | null> {
    for (const mode of MODES) {
      const key = (await booksOf(tenant, mode).keys()).find(({ id }) => id === keyId);
      if (key !== undefined) return { key, mode };
    }
    return null;
  }
}
