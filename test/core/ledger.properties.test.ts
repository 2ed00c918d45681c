// The ledger over months of creates, ends, repeats and changes of plan, in any order. What is checked here is told from outside:
// from the calls that were made and the journal they left, not from the balances.
import fc from "fast-check";
import { expect, it } from "vitest";
import {
  adjust,
  available,
  brokenInvariant,
  configure,
  foldJournal,
  grant,
  openAccount,
  release,
  reserve,
  rollOver,
  settle,
  type Account,
  type Change,
  type Entry,
  type EntryKind,
  type Hold,
} from "../../src/core/ledger.ts";
import { WINDOW_MS, type Limits } from "../../src/core/quota.ts";
import { DAY, MINUTE, SECOND, someLimits, T0 } from "../support/builders.ts";

const limits: fc.Arbitrary<Limits> = fc.record({
  creditsPerPeriod: fc.nat(300),
  createsPerMinute: fc.integer({ min: 1, max: 4 }),
  liveTasks: fc.integer({ min: 1, max: 5 }),
  models: fc.constantFrom(null, null, ["veo3"]),
  retentionDays: fc.constant(7),
});

/** Few, so that calls meet the same task again: repeated, late, or after it was resolved the other way. */
const taskId = fc.nat(24).map((n) => `task-${n}`);

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("reserve"),
      id: taskId,
      credits: fc.nat(60),
      model: fc.constantFrom("veo3", "veo3", "veo2"),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom("settle", "release"), id: taskId }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("configure"), limits }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("status"), status: fc.constantFrom("active", "active", "suspended") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("grant"), amount: fc.integer({ min: 1, max: 100 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("adjust"), amount: fc.integer({ min: -100, max: 50 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("rollOver") }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("time"),
      ms: fc.oneof(
        fc.nat(30 * SECOND),
        fc.nat(2 * MINUTE),
        fc.integer({ min: -2 * MINUTE, max: 0 }),
        fc.integer({ min: -2 * DAY, max: 2 * DAY }),
        fc.integer({ min: 20 * DAY, max: 40 * DAY }),
      ),
    }),
  },
);

/** The ledger as its object keeps it: an account, a row a task, and a journal that only grows. */
class Books {
  account: Account;
  readonly holds = new Map<string, Hold>();
  readonly journal: Entry[] = [];
  /** Credits that were bought. */
  bought = 0;
  /** The largest plan that was in force in the month under way. */
  largestPlan = 0;
  /** When tasks were admitted in the window under way. */
  admitted: number[] = [];

  constructor(opened: Change) {
    this.account = opened.account;
    this.largestPlan = opened.account.limits.creditsPerPeriod;
    this.journal.push(...opened.entries);
  }

  write(change: Change & { hold?: Hold }): void {
    const isNewMonth = change.account.period !== this.account.period;
    const inForce = isNewMonth ? this.account.limits.creditsPerPeriod : this.largestPlan;
    this.largestPlan = Math.max(inForce, change.account.limits.creditsPerPeriod);
    this.account = change.account;
    this.journal.push(...change.entries);
    if (change.hold !== undefined) this.holds.set(change.hold.id, change.hold);
  }

  entriesOf(kinds: readonly EntryKind[], ref: string): Entry[] {
    return this.journal.filter((entry) => entry.ref === ref && kinds.includes(entry.kind));
  }
}

function expectSound({ account, holds, journal, bought, largestPlan }: Books): void {
  expect(brokenInvariant(account)).toBeNull();
  const { granted, adjusted, held, spent, expired } = account;
  expect(foldJournal(journal), "the journal tells the balances").toEqual({
    granted,
    adjusted,
    held,
    spent,
    expired,
    available: available(account),
  });
  expect(journal.map(({ seq }) => seq)).toEqual(journal.map((_, index) => index + 1));
  expect(account.seq).toBe(journal.length);

  const all = [...holds.values()];
  const sum = (some: readonly Hold[], part: (hold: Hold) => number): number => some.reduce((total, hold) => total + part(hold), 0);
  const open = all.filter(({ state }) => state === "held");
  expect(account.live).toBe(open.length);
  expect(held).toBe(sum(open, ({ credits }) => credits));
  // What was bought is free, or in a task that is under way or was charged: it never expires.
  const used = all.filter(({ state }) => state !== "released");
  expect(account.bought).toBe(bought - sum(used, ({ credits, fromPlan }) => credits - fromPlan));
  // However often a plan was changed, a month gave no more than its largest one.
  const ofMonth = used.filter(({ period }) => period === account.period);
  expect(account.plan + sum(ofMonth, ({ fromPlan }) => fromPlan)).toBeLessThanOrEqual(largestPlan);
  // No month is granted twice, and none after a later one.
  const months = journal.filter(({ kind, ref }) => kind === "grant" && ref !== "bought").map(({ ref }) => ref ?? "");
  for (const [index, month] of months.entries()) expect(month > (months[index - 1] ?? "")).toBe(true);
}

function expectTold(books: Books, hold: Hold): void {
  const { id, credits, state } = hold;
  const told = (kind: EntryKind): number[] => books.entriesOf([kind], id).map(({ amount }) => amount);
  const once = credits === 0 ? [] : [credits];
  expect(told("hold")).toEqual(once);
  expect(told("settle")).toEqual(state === "settled" ? once : []);
  expect(told("release")).toEqual(state === "released" ? once : []);
}

it("keeps its books whatever is asked, in whatever order", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(limits, fc.array(step, { maxLength: 120, size: "max" }), (first, steps) => {
      let now = T0;
      const books = new Books(openAccount(first, now));
      expectSound(books);
      for (const each of steps) {
        const { account } = books;
        switch (each.do) {
          case "time":
            now += each.ms;
            break;
          case "rollOver":
            books.write(rollOver(account, now));
            break;
          case "grant":
            books.write(grant(account, each.amount, "bought", now));
            books.bought += each.amount;
            break;
          case "adjust": {
            const { account: current } = rollOver(account, now);
            const adjusted = adjust(account, each.amount, "correction", now);
            expect(adjusted.ok).toBe(available(current) + each.amount >= 0);
            if (!adjusted.ok) break;
            books.write(adjusted.value);
            books.bought += Math.max(each.amount, -current.bought);
            break;
          }
          case "configure":
            books.write(configure(account, { limits: each.limits }, now));
            break;
          case "status":
            books.write(configure(account, { status: each.status }, now));
            break;
          case "reserve": {
            const existing = books.holds.get(each.id) ?? null;
            const asked = reserve(account, existing, { ...each, retentionDays: null }, now);
            seen.add(asked.ok ? (existing === null ? "reserved" : `reserved again: ${existing.state}`) : asked.error.kind);
            if (existing !== null) {
              // Whatever the plan says by now: the same answer, and nothing written.
              expect(asked).toEqual(
                existing.state === "released"
                  ? { ok: false, error: { kind: "not_started" } }
                  : { ok: true, value: { account, entries: [], hold: existing } },
              );
              break;
            }
            if (!asked.ok) break;
            books.write(asked.value);
            const after = books.account;
            expect(after.status).toBe("active");
            expect(after.limits.models ?? [each.model]).toContain(each.model);
            expect(after.live).toBeLessThanOrEqual(after.limits.liveTasks);
            const [windowStart = Number.NEGATIVE_INFINITY] = books.admitted;
            books.admitted = now < windowStart + WINDOW_MS ? [...books.admitted, now] : [now];
            expect(books.admitted.length).toBeLessThanOrEqual(after.limits.createsPerMinute);
            break;
          }
          case "settle":
          case "release": {
            const hold = books.holds.get(each.id) ?? null;
            const change = (each.do === "settle" ? settle : release)(account, hold, now);
            expect(change !== null, "resolved at most once, and only if held").toBe(hold?.state === "held");
            if (change === null || hold === null) break;
            const lapsed = each.do === "release" && hold.period !== account.period ? hold.fromPlan : 0;
            seen.add(lapsed > 0 ? "lapsed" : each.do);
            expect(change.account.expired - account.expired).toBe(lapsed);
            expect(available(change.account) - available(account)).toBe(each.do === "settle" ? 0 : hold.credits - lapsed);
            books.write(change);
            break;
          }
        }
        expectSound(books);
      }
      for (const hold of books.holds.values()) expectTold(books, hold);
    }),
    { numRuns: 200 },
  );
  // Else the property has become a statement about nothing.
  expect([...seen]).toEqual(
    expect.arrayContaining([
      "reserved",
      "reserved again: held",
      "reserved again: settled",
      "not_started",
      "insufficient_quota",
      "rate_limit_exceeded",
      "concurrency_limit_exceeded",
      "account_suspended",
      "model_not_allowed",
      "settle",
      "release",
      "lapsed",
    ]),
  );
});

it("never sells more than there is: as many as fit are admitted, whatever their number and order", () => {
  fc.assert(
    fc.property(fc.nat(500), fc.array(fc.integer({ min: 1, max: 80 }), { maxLength: 60 }), (credits, prices) => {
      let { account } = openAccount(someLimits({ creditsPerPeriod: credits, createsPerMinute: 1_000, liveTasks: 1_000 }), T0);
      let left = credits;
      for (const [index, price] of prices.entries()) {
        const asked = reserve(account, null, { id: `task-${index}`, model: "veo3", credits: price, retentionDays: null }, T0);
        expect(asked.ok).toBe(price <= left);
        if (!asked.ok) continue;
        ({ account } = asked.value);
        left -= price;
      }
      expect(available(account)).toBe(left);
      expect(account.held).toBe(credits - left);
    }),
  );
});
