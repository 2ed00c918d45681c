// What an operator does with tenants: open, change, suspend, close; and with their credits.
import type { Mode } from "../../core/api-key.ts";
import { base62Digits } from "../../core/encoding.ts";
import type { Refusal } from "../../core/errors.ts";
import type { Limits } from "../../core/quota.ts";
import { fail, ok, type Result } from "../../core/result.ts";
import type { AccountView, BooksOf, Clock, RegistryPort, TaskOf, TenantEntry } from "../../ports.ts";
import { DEFAULT_LIMITS, openTenant, TEST_LIMITS } from "../tenancy.ts";
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

export interface Credit {
  readonly mode: Mode;
  readonly kind: "grant" | "adjust";
  readonly amount: number;
  readonly reason: string;
}

type Found<Value> = Result<Value, Refusal>;

const MODES = ["live", "test"] as const satisfies readonly Mode[];
const NO_TENANT: Refusal = { kind: "tenant_not_found" };
const TASKS_A_PAGE = 100;

export type OperatorTenants = ReturnType<typeof operatorTenants>;

export function operatorTenants({ registry, booksOf, taskOf, audit, clock, randomBytes }: TenantsDeps) {
  /** One that was only half opened, by a request that died, is told as none; it can still be deleted. */
  async function view(entry: TenantEntry | null): Promise<Found<TenantView>> {
    if (entry === null) return fail(NO_TENANT);
    const [live, test] = await Promise.all(MODES.map(async (mode) => booksOf(entry.id, mode).account()));
    return live && test ? ok({ ...entry, limits: live.limits, accounts: { live, test } }) : fail(NO_TENANT);
  }

  const find = async (id: string): Promise<Found<TenantView>> => view(await registry.tenant(id));

  /** One that was deleted stays as it is. */
  async function findOpen(id: string): Promise<Found<TenantView>> {
    const found = await find(id);
    return found.ok && found.value.status === "deleted" ? fail(NO_TENANT) : found;
  }

  async function setStatus(
    actor: string,
    id: string,
    status: "active" | "suspended",
    reason: string | null,
  ): Promise<Found<TenantView>> {
    const before = await findOpen(id);
    if (!before.ok) return before;
    // The ledgers first: they are what stops the spending.
    for (const mode of MODES) await booksOf(id, mode).configure({ status });
    const after = await registry.changeTenant(id, { status });
    const action = status === "active" ? "tenant.resume" : "tenant.suspend";
    await audit({ actor, action, target: id, before: { status: before.value.status }, after: { status, reason } });
    return view(after);
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

  async function close(tenant: string, mode: Mode, now: number): Promise<void> {
    const books = booksOf(tenant, mode);
    if ((await books.account()) === null) return;
    await books.configure({ status: "suspended" });
    for (const key of await books.keys()) await books.endKey(key.id, { revokedAt: now });
    await discardTasks(tenant, mode);
  }

  return {
    find,

    list: async (after: string | null, limit: number): Promise<TenantEntry[]> => registry.tenants(after, limit),

    async create(actor: string, name: string, plan: Partial<Limits>): Promise<Found<TenantView>> {
      const id = base62Digits(randomBytes(32)).slice(0, 8);
      const entry: TenantEntry = { id, name, status: "active", createdAt: clock() };
      const limits = { ...DEFAULT_LIMITS, ...plan };
      await openTenant({ registry, booksOf }, entry, { live: limits, test: { ...TEST_LIMITS, ...triedOut(limits) } });
      await audit({ actor, action: "tenant.create", target: id, after: { name, limits } });
      return view(entry);
    },

    async change(actor: string, id: string, change: { name?: string; limits?: Partial<Limits> }): Promise<Found<TenantView>> {
      const before = await findOpen(id);
      if (!before.ok) return before;
      const limits = { ...before.value.limits, ...change.limits };
      if (change.limits !== undefined) {
        await booksOf(id, "live").configure({ limits });
        await booksOf(id, "test").configure({ limits: { ...before.value.accounts.test.limits, ...triedOut(limits) } });
      }
      const name = change.name ?? before.value.name;
      const entry = await registry.changeTenant(id, { name });
      await audit({
        actor,
        action: "tenant.change",
        target: id,
        before: { name: before.value.name, limits: before.value.limits },
        after: { name, limits },
      });
      return view(entry);
    },

    suspend: async (actor: string, id: string, reason: string | null) => setStatus(actor, id, "suspended", reason),
    resume: async (actor: string, id: string, reason: string | null) => setStatus(actor, id, "active", reason),

    /** For good: no key works, tasks under way are ended and not charged, videos go; the books and the audit log stay. */
    async remove(actor: string, id: string, confirmedName: string): Promise<Found<null>> {
      const before = await registry.tenant(id);
      if (before === null || before.status === "deleted") return fail(NO_TENANT);
      if (confirmedName !== before.name) return fail({ kind: "name_not_confirmed", name: before.name });
      for (const mode of MODES) await close(id, mode, clock());
      await registry.changeTenant(id, { status: "deleted" });
      const { name, status } = before;
      await audit({ actor, action: "tenant.delete", target: id, before: { name, status }, after: { name, status: "deleted" } });
      return ok(null);
    },

    async credit(actor: string, id: string, { mode, kind, amount, reason }: Credit): Promise<Found<TenantView>> {
      const before = await find(id);
      if (!before.ok) return before;
      const books = booksOf(id, mode);
      const done = kind === "grant" ? ok(await books.grant(amount, reason)) : await books.adjust(amount, reason);
      if (!done.ok) {
        const { error } = done;
        return fail(error.kind === "insufficient_quota" ? { kind: "adjustment_too_large", available: error.available } : error);
      }
      const after = await find(id);
      await audit({
        actor,
        action: `credits.${kind}`,
        target: id,
        before: { mode, available: before.value.accounts[mode].available },
        after: { mode, amount, reason, ...(after.ok && { available: after.value.accounts[mode].available }) },
      });
      return after;
    },
  };
}

/** What test keys may, as live ones do: what a tenant writes against the one works with the other. */
function triedOut({ models, choosesRoutes }: Limits): Pick<Limits, "models" | "choosesRoutes"> {
  return { models, ...(choosesRoutes !== undefined && { choosesRoutes }) };
}
