import { describe, expect, it } from "vitest";
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
  usageOf,
  type Account,
  type Change,
  type Hold,
} from "../../src/core/ledger.ts";
import { aHold, anAccount, DAY, HOUR, MINUTE, SECOND, someLimits, T0, TASK_ID } from "../support/builders.ts";

const DECEMBER = Date.UTC(2026, 11, 1);
const ASK = { id: TASK_ID, model: "veo3", credits: 40, retentionDays: null };

/** The change that a reserve made; for asks that must be admitted. */
function reserved(account: Account, ask = ASK, now = T0): Change & { hold: Hold } {
  const result = reserve(account, null, ask, now);
  if (!result.ok) throw new Error(result.error.kind);
  expect(brokenInvariant(result.value.account)).toBeNull();
  return result.value;
}

/** The change that a settle or release made; for holds that were open. */
function made<Made>(change: Made | null): Made {
  if (change === null) throw new Error("nothing changed");
  return change;
}

describe("openAccount", () => {
  it("grants the first month's plan", () => {
    const opened = openAccount(someLimits({ creditsPerPeriod: 300 }), T0);
    const limits = someLimits({ creditsPerPeriod: 300 });
    expect(opened.account).toEqual(anAccount({ limits, planGranted: 300, plan: 300, granted: 300 }));
    expect(opened.entries).toEqual([{ seq: 1, at: T0, kind: "grant", amount: 300, ref: "2026-11" }]);
  });

  it("writes nothing for a plan of nothing", () => {
    const opened = openAccount(someLimits({ creditsPerPeriod: 0 }), T0);
    expect(opened.entries).toEqual([]);
    expect(opened.account).toMatchObject({ period: "2026-11", seq: 0 });
  });
});

describe("rollOver", () => {
  it("does nothing within a month", () => {
    const account = anAccount();
    expect(rollOver(account, DECEMBER - 1)).toEqual({ account, entries: [] });
  });

  it("expires what is left of the plan, keeps what was bought, and grants the new month", () => {
    const account = anAccount({ plan: 700, bought: 50, granted: 1_050, spent: 300, seq: 9 });
    const rolled = rollOver(account, DECEMBER);
    expect(rolled.account).toEqual({ ...account, period: "2026-12", plan: 1_000, granted: 2_050, expired: 700, seq: 11 });
    expect(rolled.entries).toEqual([
      { seq: 10, at: DECEMBER, kind: "expire", amount: 700, ref: "2026-11" },
      { seq: 11, at: DECEMBER, kind: "grant", amount: 1_000, ref: "2026-12" },
    ]);
  });

  it("grants one month after an absence of several", () => {
    const rolled = rollOver(anAccount(), Date.UTC(2027, 3, 15));
    expect(rolled.account).toMatchObject({ period: "2027-04", plan: 1_000, granted: 2_000, expired: 1_000 });
  });

  it("follows the year", () => {
    const rolled = rollOver(anAccount({ period: "2026-12" }), Date.UTC(2027, 0, 1));
    expect(rolled.account.period).toBe("2027-01");
  });

  it("does not grant a month again when the clock runs back over its end", () => {
    const december = rollOver(anAccount(), DECEMBER).account;
    expect(rollOver(december, DECEMBER - DAY)).toEqual({ account: december, entries: [] });
    expect(rollOver(december, DECEMBER + DAY)).toEqual({ account: december, entries: [] });
  });
});

describe("configure", () => {
  it("takes no credits when a tenant is suspended, whatever its plan once was", () => {
    const before = anAccount({ limits: someLimits({ creditsPerPeriod: 100 }), planGranted: 600, plan: 600, spent: 400 });
    const { account, entries } = configure(before, { status: "suspended" }, T0);
    expect(account).toEqual({ ...before, status: "suspended" });
    expect(entries).toEqual([]);
  });

  it("gives the difference to a plan that grew, at once", () => {
    const change = configure(anAccount({ plan: 600, spent: 400 }), { limits: someLimits({ creditsPerPeriod: 1_500 }) }, T0);
    expect(change.account).toMatchObject({ plan: 1_100, adjusted: 500, limits: { creditsPerPeriod: 1_500 } });
    expect(change.entries).toEqual([{ seq: 2, at: T0, kind: "adjust", amount: 500, ref: "plan changed" }]);
  });

  it("takes the difference from a plan that shrank", () => {
    const change = configure(anAccount({ plan: 600, spent: 400 }), { limits: someLimits({ creditsPerPeriod: 700 }) }, T0);
    expect(change.account).toMatchObject({ plan: 300, adjusted: -300 });
  });

  it("takes no more than is still free, and nothing that was bought", () => {
    const before = anAccount({ plan: 100, bought: 30, granted: 1_030, held: 500, spent: 400, live: 1 });
    const change = configure(before, { limits: someLimits({ creditsPerPeriod: 0 }) }, T0);
    expect(change.account).toMatchObject({ plan: 0, bought: 30, adjusted: -100, held: 500 });
    expect(brokenInvariant(change.account)).toBeNull();
  });

  it.each([0, 100, 599, 700, 1_000, 2_500])("leaves as much free as before when a plan is changed to %i and back", (between) => {
    const before = anAccount({ plan: 400, spent: 600 });
    const there = configure(before, { limits: someLimits({ creditsPerPeriod: between }) }, T0).account;
    expect(available(there)).toBe(Math.max(between - 600, 0));
    const { account } = configure(there, { limits: someLimits() }, T0);
    expect({ ...account, seq: 1 }).toEqual(before);
    expect(brokenInvariant(account)).toBeNull();
  });

  it("gives no more by many small changes than by one large one", () => {
    let account = anAccount({ plan: 400, spent: 600 });
    for (const creditsPerPeriod of [100, 300, 50, 900, 0, 1_200]) {
      ({ account } = configure(account, { limits: someLimits({ creditsPerPeriod }) }, T0));
    }
    expect(account).toMatchObject({ plan: 600, planGranted: 1_200, adjusted: 200 });
  });

  it("changes a plan by what it gave, whatever a person took from it since", () => {
    const corrected = adjust(anAccount(), -300, "mistake", T0);
    if (!corrected.ok) throw new Error("not corrected");
    expect(corrected.value.account).toMatchObject({ plan: 700, planGranted: 1_000 });
    const { account } = configure(corrected.value.account, { limits: someLimits({ creditsPerPeriod: 1_500 }) }, T0);
    expect(account).toMatchObject({ plan: 1_200, adjusted: 200 });
  });

  it("counts from nothing again in a new month", () => {
    const shrunk = configure(anAccount({ plan: 400, spent: 600 }), { limits: someLimits({ creditsPerPeriod: 100 }) }, T0).account;
    expect(shrunk.planGranted, "what could not be taken back").toBe(600);
    expect(rollOver(shrunk, DECEMBER).account).toMatchObject({ plan: 100, planGranted: 100 });
    const grown = configure(shrunk, { limits: someLimits() }, DECEMBER).account;
    expect(grown).toMatchObject({ plan: 1_000, planGranted: 1_000 });
  });

  it("begins the month first, so that the new plan is not granted on top of the old one", () => {
    const change = configure(anAccount(), { limits: someLimits({ creditsPerPeriod: 1_200 }) }, DECEMBER);
    expect(change.account).toMatchObject({ period: "2026-12", plan: 1_200, granted: 2_000, adjusted: 200, expired: 1_000 });
    expect(change.entries.map(({ seq, kind, amount }) => [seq, kind, amount])).toEqual([
      [2, "expire", 1_000],
      [3, "grant", 1_000],
      [4, "adjust", 200],
    ]);
  });

  it("suspends without touching money", () => {
    const change = configure(anAccount(), { status: "suspended" }, T0);
    expect(change).toEqual({ account: anAccount({ status: "suspended" }), entries: [] });
    expect(reserve(change.account, null, ASK, T0)).toEqual({ ok: false, error: { kind: "account_suspended" } });
    expect(configure(change.account, { limits: someLimits() }, T0).account.status, "new limits do not lift it").toBe("suspended");
  });
});

describe("grant", () => {
  it("adds credits that outlive the month", () => {
    const change = grant(anAccount(), 25, "invoice 7", T0);
    expect(change.entries).toEqual([{ seq: 2, at: T0, kind: "grant", amount: 25, ref: "invoice 7" }]);
    expect(rollOver(change.account, DECEMBER).account).toMatchObject({ bought: 25, plan: 1_000, expired: 1_000 });
  });
});

describe("adjust", () => {
  const before = anAccount({ plan: 100, bought: 30, granted: 1_030, spent: 900 });

  it("gives credits that outlive the month", () => {
    const adjusted = adjust(before, 5, "goodwill", T0);
    expect(adjusted).toEqual({
      ok: true,
      value: {
        account: { ...before, bought: 35, adjusted: 5, seq: 2 },
        entries: [{ seq: 2, at: T0, kind: "adjust", amount: 5, ref: "goodwill" }],
      },
    });
  });

  it.each([
    [-10, { bought: 20, plan: 100 }],
    [-30, { bought: 0, plan: 100 }],
    [-31, { bought: 0, plan: 99 }],
    [-130, { bought: 0, plan: 0 }],
  ])("takes %i from what is free, bought credits first", (amount, left) => {
    const adjusted = adjust(before, amount, "mistake", T0);
    expect(adjusted).toMatchObject({ ok: true, value: { account: { ...left, adjusted: amount } } });
    expect(adjusted.ok && brokenInvariant(adjusted.value.account)).toBeNull();
  });

  it("takes nothing where there is not enough free", () => {
    expect(adjust(before, -131, "mistake", T0)).toMatchObject({ ok: false, error: { available: 130 } });
  });

  it("begins the month first", () => {
    expect(adjust(before, -1_030, "mistake", DECEMBER)).toMatchObject({
      value: {
        account: { period: "2026-12", plan: 0, bought: 0 },
        entries: [{ kind: "expire" }, { kind: "grant" }, { kind: "adjust" }],
      },
    });
  });
});

describe("reserve", () => {
  it("holds the price", () => {
    const change = reserved(anAccount());
    const window = { startedAt: T0, count: 1 };
    expect(change.account).toEqual(anAccount({ plan: 960, held: 40, live: 1, window, seq: 2 }));
    expect(change.hold).toEqual(aHold());
    expect(change.entries).toEqual([{ seq: 2, at: T0, kind: "hold", amount: 40, ref: TASK_ID }]);
    expect(available(change.account)).toBe(960);
  });

  it("spends the plan first, because it expires, then what was bought", () => {
    const change = reserved(anAccount({ plan: 10, bought: 100, granted: 1_100, spent: 990 }));
    expect(change.account).toMatchObject({ plan: 0, bought: 70, held: 40 });
    expect(change.hold).toMatchObject({ credits: 40, fromPlan: 10 });
  });

  it("takes the last credit and not one more", () => {
    const account = anAccount({ plan: 30, bought: 10, granted: 1_010, spent: 970 });
    const { account: empty } = reserved(account);
    expect(available(empty)).toBe(0);
    expect(reserve(empty, null, { ...ASK, id: "b", credits: 1 }, T0)).toMatchObject({
      error: { kind: "insufficient_quota", needed: 1, available: 0 },
    });
    expect(reserve(account, null, { ...ASK, credits: 41 }, T0)).toMatchObject({
      error: { kind: "insufficient_quota", needed: 41, available: 40 },
    });
  });

  it("gives the new month's credits to the first create of the month", () => {
    const spent = anAccount({ plan: 0, spent: 1_000 });
    expect(reserve(spent, null, ASK, DECEMBER - 1).ok).toBe(false);
    const change = reserved(spent, ASK, DECEMBER);
    expect(change.account).toMatchObject({ period: "2026-12", plan: 960, granted: 2_000 });
    expect(change.hold.period).toBe("2026-12");
    expect(change.entries.map(({ seq, kind }) => [seq, kind])).toEqual([
      [2, "grant"],
      [3, "hold"],
    ]);
  });

  it("holds once however often it is asked", () => {
    const first = reserved(anAccount());
    expect(reserve(first.account, first.hold, ASK, T0 + SECOND)).toEqual({
      ok: true,
      value: { account: first.account, entries: [], hold: first.hold },
    });
  });

  it("answers a repeated call even when there is nothing left, or the tenant was suspended since", () => {
    const account = anAccount({ status: "suspended", plan: 0, held: 40, spent: 960, live: 1 });
    expect(reserve(account, aHold(), ASK, T0)).toMatchObject({ ok: true, value: { account, entries: [] } });
  });

  it("keeps a charge a charge", () => {
    const account = anAccount({ plan: 960, spent: 40 });
    expect(reserve(account, aHold({ state: "settled" }), ASK, T0)).toMatchObject({
      value: { account, entries: [], hold: { state: "settled" } },
    });
  });

  it.each(["released", "withdrawn"] as const)("never holds again for an id that was %s", (state) => {
    expect(reserve(anAccount(), aHold({ state }), ASK, T0)).toEqual({ ok: false, error: { kind: "not_started" } });
  });

  it("counts creates in the minute that begins with the first of them", () => {
    let account = anAccount({ limits: someLimits({ createsPerMinute: 2 }) });
    account = reserved(account, { ...ASK, id: "a" }, T0).account;
    account = reserved(account, { ...ASK, id: "b" }, T0 + 59 * SECOND).account;
    expect(account.window).toEqual({ startedAt: T0, count: 2 });
    expect(reserve(account, null, { ...ASK, id: "c" }, T0 + MINUTE - 1)).toMatchObject({ error: { kind: "rate_limit_exceeded" } });
    expect(reserved(account, { ...ASK, id: "c" }, T0 + MINUTE).account.window).toEqual({ startedAt: T0 + MINUTE, count: 1 });
  });

  it("admits as many tasks at once as the plan allows, and another when one ends", () => {
    const first = reserved(anAccount({ limits: someLimits({ liveTasks: 1 }) }));
    expect(reserve(first.account, null, { ...ASK, id: "b" }, T0)).toMatchObject({ error: { kind: "concurrency_limit_exceeded" } });
    for (const resolve of [settle, release]) {
      const { account } = made(resolve(first.account, first.hold, T0));
      expect(reserve(account, null, { ...ASK, id: "b" }, T0).ok).toBe(true);
    }
  });
});

describe("settle", () => {
  const held = anAccount({ plan: 960, held: 40, live: 1, seq: 2 });

  it("charges what was held, and frees the place", () => {
    const change = made(settle(held, aHold(), T0 + MINUTE));
    expect(change.account).toEqual(anAccount({ plan: 960, spent: 40, seq: 3 }));
    expect(change.hold).toEqual(aHold({ state: "settled" }));
    expect(change.entries).toEqual([{ seq: 3, at: T0 + MINUTE, kind: "settle", amount: 40, ref: TASK_ID }]);
  });

  it("charges a hold from last month as it was", () => {
    const december = rollOver(held, DECEMBER).account;
    expect(made(settle(december, aHold(), DECEMBER)).account).toMatchObject({ plan: 1_000, spent: 40, expired: 960, held: 0 });
  });

  it.each([
    ["settled", aHold({ state: "settled" })],
    ["released", aHold({ state: "released" })],
    ["withdrawn", aHold({ state: "withdrawn" })],
    ["unknown", null],
  ])("does nothing to a hold that is %s", (_, hold) => {
    expect(settle(held, hold, T0)).toBeNull();
    expect(release(held, hold, T0)).toBeNull();
  });
});

describe("release", () => {
  it("gives each credit back to where it came from", () => {
    const held = anAccount({ plan: 0, bought: 70, granted: 1_100, spent: 990, held: 40, live: 1 });
    const change = made(release(held, aHold({ fromPlan: 10 }), T0));
    expect(change.account).toMatchObject({ plan: 10, bought: 100, held: 0, live: 0, expired: 0 });
    expect(change.hold.state).toBe("released");
    expect(change.entries).toEqual([{ seq: 2, at: T0, kind: "release", amount: 40, ref: TASK_ID }]);
  });

  it("says when there never was a task, with the same money", () => {
    const held = anAccount({ plan: 960, held: 40, live: 1 });
    const released = made(release(held, aHold(), T0));
    expect(made(release(held, aHold(), T0, "withdrawn"))).toEqual({ ...released, hold: aHold({ state: "withdrawn" }) });
  });

  it("expires plan credits whose month is over, and still gives back what was bought", () => {
    const held = anAccount({ plan: 0, bought: 70, granted: 1_100, spent: 990, held: 40, live: 1 });
    const december = rollOver(held, DECEMBER).account;
    const change = made(release(december, aHold({ fromPlan: 10 }), DECEMBER));
    expect(change.account).toMatchObject({ plan: 1_000, bought: 100, expired: 10, held: 0 });
    expect(change.entries.map(({ kind, amount, ref }) => [kind, amount, ref])).toEqual([
      ["release", 40, TASK_ID],
      ["expire", 10, "2026-11"],
    ]);
    expect(brokenInvariant(change.account)).toBeNull();
  });

  it("before anything has begun the new month lets the roll-over expire them, with the same result", () => {
    const held = anAccount({ plan: 960, held: 40, live: 1 });
    const releasedFirst = rollOver(made(release(held, aHold(), DECEMBER)).account, DECEMBER).account;
    const rolledFirst = made(release(rollOver(held, DECEMBER).account, aHold(), DECEMBER)).account;
    expect({ ...releasedFirst, seq: 0 }).toEqual({ ...rolledFirst, seq: 0 });
  });
});

describe("usageOf", () => {
  it("is what decides admission, and none of the books", () => {
    const account = anAccount({ plan: 5, bought: 6, live: 2, window: { startedAt: T0, count: 3 } });
    const { status, limits, window } = account;
    expect(usageOf(account)).toEqual({ status, limits, window, available: 11, live: 2 });
  });
});

describe("brokenInvariant", () => {
  it("finds nothing wrong with books that add up", () => {
    const account = anAccount({ plan: 1, bought: 2, held: 3, spent: 4, expired: 5, granted: 20, adjusted: -5 });
    expect(brokenInvariant(account)).toBeNull();
  });

  it.each(["plan", "bought", "held", "spent", "expired", "live"] as const)(
    "names %s when it is no whole number or below zero",
    (name) => {
      for (const wrong of [-1, 0.5, Number.NaN, 2 ** 53]) {
        expect(brokenInvariant(anAccount({ [name]: wrong }))).toBe(`${name} is ${wrong}`);
      }
    },
  );

  it("tells both sums when they differ", () => {
    expect(brokenInvariant(anAccount({ plan: 999 }))).toBe("granted + adjusted is 1000, available + held + spent + expired is 999");
    expect(brokenInvariant(anAccount({ granted: Number.NaN }))).not.toBeNull();
  });
});

describe("foldJournal", () => {
  it("tells the balances from the entries alone", () => {
    const entries = [
      { kind: "grant", amount: 100 },
      { kind: "adjust", amount: -20 },
      { kind: "hold", amount: 30 },
      { kind: "hold", amount: 20 },
      { kind: "settle", amount: 30 },
      { kind: "release", amount: 20 },
      { kind: "hold", amount: 5 },
      { kind: "expire", amount: 7 },
    ] as const;
    expect(foldJournal(entries)).toEqual({ granted: 100, adjusted: -20, held: 5, spent: 30, expired: 7, available: 38 });
  });

  it("is nothing of nothing", () => {
    expect(foldJournal([])).toEqual({ granted: 0, adjusted: 0, held: 0, spent: 0, expired: 0, available: 0 });
  });
});

it("a clock that runs backwards opens no new window", () => {
  const limits = someLimits({ createsPerMinute: 1 });
  const { account } = reserved(anAccount({ limits }));
  expect(reserve(account, null, { ...ASK, id: "b" }, T0 - HOUR).ok).toBe(false);
});
