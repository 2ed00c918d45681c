// A tenant's money, one ledger a mode. Every change is an account after it and the journal entries that explain it; both are
// written in one transaction. granted + adjusted = available + held + spent + expired, and each is the fold of the journal.
import { admit, WINDOW_MS, type Ask, type Limits, type TenantStatus, type Usage } from "./quota.ts";
import { fail, ok, type Result } from "./result.ts";
import type { Refusal } from "./errors.ts";

export const LEDGER_SCHEMA = 1;

export interface Balances {
  readonly granted: number;
  readonly adjusted: number;
  readonly held: number;
  readonly spent: number;
  readonly expired: number;
}

export interface Account extends Balances {
  readonly schema: typeof LEDGER_SCHEMA;
  readonly status: TenantStatus;
  readonly limits: Limits;
  /** The calendar month (UTC) that the plan credits belong to, as `2026-11`. */
  readonly period: string;
  /** What the plan gave for this period in all, changes of plan included. */
  readonly planGranted: number;
  /** Credits of the plan that are free; they expire with the period. */
  readonly plan: number;
  /** Credits that were bought and are free; they do not expire. */
  readonly bought: number;
  /** Tasks with an open hold. */
  readonly live: number;
  readonly window: Usage["window"];
  /** Of the last journal entry. */
  readonly seq: number;
}

/** One task's hold. It keeps its period and where its credits came from, so that a release knows where they go back to. */
export interface Hold {
  readonly id: string;
  readonly credits: number;
  readonly fromPlan: number;
  readonly period: string;
  /** `withdrawn`: given back before its task ever started, so that nothing stands for it. */
  readonly state: "held" | "settled" | "released" | "withdrawn";
}

export type EntryKind = "grant" | "adjust" | "hold" | "settle" | "release" | "expire";

/** Never changed, never removed. `amount` is positive but for adjustments. */
export interface Entry {
  readonly seq: number;
  readonly at: number;
  readonly kind: EntryKind;
  readonly amount: number;
  /** The task, or what a person gave as the reason. */
  readonly ref: string | null;
}

export interface Change {
  readonly account: Account;
  readonly entries: readonly Entry[];
}

export function openAccount(limits: Limits, now: number): Change {
  const empty: Account = {
    schema: LEDGER_SCHEMA,
    status: "active",
    limits,
    period: "",
    planGranted: 0,
    plan: 0,
    bought: 0,
    granted: 0,
    adjusted: 0,
    held: 0,
    spent: 0,
    expired: 0,
    live: 0,
    window: { startedAt: 0, count: 0 },
    seq: 0,
  };
  return rollOver(empty, now);
}

/** Brings the account into the period of `now`: what is left of the plan's credits expires, a new month's worth is granted. */
export function rollOver(account: Account, now: number): Change {
  const period = periodOf(now);
  // A clock that ran back over midnight must not grant the month again.
  if (period <= account.period) return { account, entries: [] };
  const { plan } = account;
  const grant = account.limits.creditsPerPeriod;
  return record(
    { ...account, period, planGranted: grant, plan: grant, expired: account.expired + plan, granted: account.granted + grant },
    now,
    [
      ["expire", plan, account.period],
      ["grant", grant, period],
    ],
  );
}

/** A new plan counts at once: the current period's grant is adjusted by the difference, as far as its credits are still free. */
export function configure(before: Account, next: { status?: TenantStatus; limits?: Limits }, now: number): Change {
  const rolled = rollOver(before, now);
  const { account } = rolled;
  const limits = next.limits ?? account.limits;
  // Against what was given, not against the old plan: what a smaller plan could not take back, a larger one does not give again.
  const difference = next.limits === undefined ? 0 : Math.max(limits.creditsPerPeriod - account.planGranted, -account.plan);
  const changed = record(
    {
      ...account,
      status: next.status ?? account.status,
      limits,
      planGranted: account.planGranted + difference,
      plan: account.plan + difference,
      adjusted: account.adjusted + difference,
    },
    now,
    [["adjust", difference, "plan changed"]],
  );
  return { account: changed.account, entries: [...rolled.entries, ...changed.entries] };
}

/** Bought credits, which never expire. `amount`: a positive whole number. */
export function grant(account: Account, amount: number, reason: string, now: number): Change {
  return record({ ...account, bought: account.bought + amount, granted: account.granted + amount }, now, [
    ["grant", amount, reason],
  ]);
}

/** A correction by a person: more, or less as far as credits are free, bought ones first. `amount`: a whole number, not 0. */
export function adjust(before: Account, amount: number, reason: string, now: number): Result<Change, Refusal> {
  const rolled = rollOver(before, now);
  const { account } = rolled;
  if (available(account) + amount < 0) {
    return fail({ kind: "insufficient_quota", needed: -amount, available: available(account) });
  }
  const bought = Math.max(account.bought + amount, 0);
  const plan = account.plan + (account.bought + amount - bought);
  const adjusted = record({ ...account, bought, plan, adjusted: account.adjusted + amount }, now, [["adjust", amount, reason]]);
  return ok({ account: adjusted.account, entries: [...rolled.entries, ...adjusted.entries] });
}

/**
 * A hold for one task, or the reason why not. `existing`: the task's hold where there is one already, so that a repeated
 * call holds once; a hold that was resolved stays resolved.
 */
export function reserve(
  before: Account,
  existing: Hold | null,
  ask: Ask & { id: string },
  now: number,
): Result<Change & { hold: Hold }, Refusal> {
  if (existing !== null) {
    const gone = existing.state === "released" || existing.state === "withdrawn";
    return gone ? fail({ kind: "not_started" }) : ok({ account: before, entries: [], hold: existing });
  }
  const rolled = rollOver(before, now);
  const { account } = rolled;
  const admitted = admit(usageOf(account), ask, now);
  if (!admitted.ok) return admitted;
  const fromPlan = Math.min(account.plan, ask.credits);
  const hold: Hold = { id: ask.id, credits: ask.credits, fromPlan, period: account.period, state: "held" };
  const open = now < account.window.startedAt + WINDOW_MS;
  const held = record(
    {
      ...account,
      plan: account.plan - fromPlan,
      bought: account.bought - (ask.credits - fromPlan),
      held: account.held + ask.credits,
      live: account.live + 1,
      window: open ? { ...account.window, count: account.window.count + 1 } : { startedAt: now, count: 1 },
    },
    now,
    [["hold", ask.credits, ask.id]],
  );
  return ok({ account: held.account, entries: [...rolled.entries, ...held.entries], hold });
}

/** Turns a hold into a charge of all of it. Null: it was resolved before, or never was; nothing changes. */
export function settle(before: Account, hold: Hold | null, now: number): (Change & { hold: Hold }) | null {
  if (hold?.state !== "held") return null;
  const account = { ...closed(before, hold), spent: before.spent + hold.credits };
  return { ...record(account, now, [["settle", hold.credits, hold.id]]), hold: { ...hold, state: "settled" } };
}

/** Gives a hold back: plan credits to the plan if its period is still on, else they expire. Null as for `settle`. */
export function release(
  before: Account,
  hold: Hold | null,
  now: number,
  state: "released" | "withdrawn" = "released",
): (Change & { hold: Hold }) | null {
  if (hold?.state !== "held") return null;
  const lapsed = hold.period === before.period ? 0 : hold.fromPlan;
  const account = {
    ...closed(before, hold),
    plan: before.plan + hold.fromPlan - lapsed,
    bought: before.bought + hold.credits - hold.fromPlan,
    expired: before.expired + lapsed,
  };
  const change = record(account, now, [
    ["release", hold.credits, hold.id],
    ["expire", lapsed, hold.period],
  ]);
  return { ...change, hold: { ...hold, state } };
}

export function available(account: Account): number {
  return account.plan + account.bought;
}

export function usageOf(account: Account): Usage {
  const { status, limits, live, window } = account;
  return { status, limits, available: available(account), live, window };
}

/** What is wrong with an account, in words; null where nothing is. Asserted inside every transaction. */
export function brokenInvariant(account: Account): string | null {
  const { granted, adjusted, held, spent, expired, plan, bought, live } = account;
  const parts = { plan, bought, held, spent, expired, live };
  for (const [name, value] of Object.entries(parts)) {
    if (!Number.isSafeInteger(value) || value < 0) return `${name} is ${value}`;
  }
  const owned = granted + adjusted;
  const placed = plan + bought + held + spent + expired;
  return owned === placed ? null : `granted + adjusted is ${owned}, available + held + spent + expired is ${placed}`;
}

/** The balances as the journal tells them. */
export function foldJournal(entries: Iterable<Pick<Entry, "kind" | "amount">>): Balances & { available: number } {
  const sum = { grant: 0, adjust: 0, hold: 0, settle: 0, release: 0, expire: 0 };
  for (const { kind, amount } of entries) sum[kind] += amount;
  const held = sum.hold - sum.settle - sum.release;
  return {
    granted: sum.grant,
    adjusted: sum.adjust,
    held,
    spent: sum.settle,
    expired: sum.expire,
    available: sum.grant + sum.adjust - held - sum.settle - sum.expire,
  };
}

function closed(account: Account, hold: Hold): Account {
  return { ...account, held: account.held - hold.credits, live: account.live - 1 };
}

/** Entries of nothing are not written. */
function record(account: Account, at: number, lines: [EntryKind, number, string | null][]): Change {
  const entries = lines
    .filter(([, amount]) => amount !== 0)
    .map(([kind, amount, ref], index): Entry => ({ seq: account.seq + index + 1, at, kind, amount, ref }));
  return { account: { ...account, seq: account.seq + entries.length }, entries };
}

const yearAndMonth = new Intl.DateTimeFormat("sv-SE", { timeZone: "UTC", year: "numeric", month: "2-digit" });

/** The calendar month (UTC) of a time, as `2026-11`. */
export function periodOf(now: number): string {
  return yearAndMonth.format(now);
}
