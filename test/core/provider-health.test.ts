// What is known of a provider, and what a task that wants a place there is told.
import { describe, expect, it } from "vitest";
import { jitterOf } from "../../src/core/backoff.ts";
import { phaseOf } from "../../src/core/breaker.ts";
import { afterStay, answer, held, letGo, speedFor, UNKNOWN_HEALTH } from "../../src/core/provider-health.ts";
import type { Answer, Health, PlaceAsk, PlaceEnd } from "../../src/core/provider-health.ts";
import type { HeldLease } from "../../src/core/slots.ts";
import { HOUR, MINUTE, SECOND, T0 } from "../support/builders.ts";

const NO_LIMITS = { concurrency: null, perMinute: null };

function anAsk(given: Partial<PlaceAsk> = {}): PlaceAsk {
  const times = { since: T0, deadlineAt: T0 + HOUR, until: T0 + HOUR };
  return { task: "task-1", stay: 1, tenant: "Tenant01", model: "alpha-veo3", credentials: ["KEY_1", "KEY_2"], ...times, ...given };
}

function aLease(given: Partial<HeldLease> = {}): HeldLease {
  return { task: "held-1", stay: 1, tenant: "Tenant01", credential: "KEY_1", grantedAt: T0, until: T0 + HOUR, ...given };
}

function anEnd(given: Partial<PlaceEnd> = {}): PlaceEnd {
  return { credential: "KEY_1", model: "alpha-veo3", reason: null, durationMs: null, retryAt: null, ...given };
}

function told(health: Health, given: { ask?: PlaceAsk; leases?: HeldLease[]; now?: number } = {}): Answer {
  const { ask = anAsk(), leases = [], now = T0 } = given;
  const mine = leases.find(({ task }) => task === ask.task) ?? null;
  return answer(ask, { health, mine, leases: leases.filter((lease) => lease !== mine), line: [] }, NO_LIMITS, now);
}

/** When task-1 is to ask again for a credential that is there from `at` on: not with all others. */
const soonAfter = (at: number): number => Math.round(at + jitterOf("task-1") * 5 * SECOND);

const ended = (health: Health, given: Partial<PlaceEnd>, now = T0): Health => afterStay(health, aLease(), anEnd(given), now);

describe("a place", () => {
  it("is given with the credential that has the fewest, until the ask says", () => {
    const leases = [aLease(), aLease({ task: "held-2", credential: "KEY_1" }), aLease({ task: "held-3", credential: "KEY_2" })];
    expect(told(UNKNOWN_HEALTH, { leases })).toEqual({
      kind: "granted",
      lease: { task: "task-1", stay: 1, tenant: "Tenant01", credential: "KEY_2", grantedAt: T0, until: T0 + HOUR },
      isProbe: false,
    });
  });

  it("is kept by a task that has one, whatever has happened since", () => {
    const mine = aLease({ task: "task-1", grantedAt: T0 - MINUTE });
    const down = held(ended(UNKNOWN_HEALTH, { reason: "unauthorized" }));
    expect(told(down, { leases: [mine] })).toEqual({ kind: "kept", lease: mine, isProbe: false });
  });

  it("is a probe while the breaker is half open, when it is asked for again, too", () => {
    const open = { ...UNKNOWN_HEALTH, breaker: { state: "open", until: T0, openings: 1 } } as const;
    expect(told(open)).toMatchObject({ kind: "granted", isProbe: true });
    expect(told(open, { leases: [aLease({ task: "task-1" })] })).toMatchObject({ kind: "kept", isProbe: true });
  });

  it("is another than before for a task that may not use its credential any more", () => {
    const mine = aLease({ task: "task-1", grantedAt: T0 - MINUTE });
    const ask = anAsk({ credentials: ["KEY_2"] });
    expect(told(UNKNOWN_HEALTH, { ask, leases: [mine] })).toMatchObject({
      kind: "granted",
      lease: { credential: "KEY_2", grantedAt: T0 },
    });
  });
});

describe("a task that comes late", () => {
  const known = [1, 2, 3, 4, 5].reduce<Health>((now, n) => ended(now, { durationMs: n * MINUTE }), UNKNOWN_HEALTH);
  const ask = anAsk({ deadlineAt: T0 + 20 * MINUTE });
  const needed = speedFor(ask, known).neededMs ?? 0;

  it("gets no place where nearly all of its like take longer than it has left, be it its own already", () => {
    expect(needed).toBe(4.8 * MINUTE);
    expect(speedFor(ask, known).usualMs, "and half of them took no longer than").toBe(3 * MINUTE);
    expect(speedFor(ask, UNKNOWN_HEALTH), "where nothing is known, nothing is told").toEqual({});
    const tooLate = ask.deadlineAt - needed;
    expect(told(known, { ask, now: tooLate - 1 })).toMatchObject({ kind: "granted" });
    const refused = { kind: "refused", until: ask.deadlineAt, turn: null };
    expect(told(known, { ask, now: tooLate })).toEqual(refused);
    expect(told(known, { ask, now: tooLate, leases: [aLease({ task: "task-1" })] })).toEqual(refused);
  });

  it("is tried where nothing is known of its model, up to its deadline", () => {
    const other = { ...ask, model: "alpha-veo2" };
    expect(told(known, { ask: other, now: ask.deadlineAt - 1 })).toMatchObject({ kind: "granted" });
    expect(told(UNKNOWN_HEALTH, { ask, now: ask.deadlineAt - 1 })).toMatchObject({ kind: "granted" });
  });

  it("is not late in the first half of its time, however slow the provider", () => {
    const short = anAsk({ deadlineAt: T0 + 2 * MINUTE });
    expect(told(known, { ask: short, now: T0 + MINUTE - 1 })).toMatchObject({ kind: "granted" });
    expect(told(known, { ask: short, now: T0 + MINUTE })).toMatchObject({ kind: "refused" });
  });
});

describe("a credential", () => {
  it.each(["unauthorized", "out_of_credit"] as const)("that was %s is left alone for five minutes", (reason) => {
    const health = ended(UNKNOWN_HEALTH, { reason });
    expect(told(health)).toMatchObject({ kind: "granted", lease: { credential: "KEY_2" } });
    const only = anAsk({ credentials: ["KEY_1"] });
    expect(told(health, { ask: only })).toEqual({ kind: "refused", until: soonAfter(T0 + 5 * MINUTE), turn: null });
    expect(told(health, { ask: only, now: T0 + 5 * MINUTE })).toMatchObject({ kind: "granted", lease: { credential: "KEY_1" } });
  });

  it.each([
    ["as long as the provider says", T0 + 30 * SECOND, 30 * SECOND],
    ["five seconds if it does not say", null, 5 * SECOND],
    ["five minutes at most", T0 + HOUR, 5 * MINUTE],
  ])("that was too much in use is left alone for %s", (_, retryAt, wait) => {
    const health = ended(UNKNOWN_HEALTH, { reason: "rate_limited", retryAt });
    const only = anAsk({ credentials: ["KEY_1"] });
    expect(told(health, { ask: only })).toEqual({ kind: "refused", until: soonAfter(T0 + wait), turn: null });
    expect(told(health)).toMatchObject({ kind: "granted", lease: { credential: "KEY_2" } });
  });

  it("is left alone for the longer of two reasons, and the shorter does not end it", () => {
    const health = ended(ended(UNKNOWN_HEALTH, { reason: "out_of_credit" }), { reason: "rate_limited", retryAt: T0 + SECOND });
    expect(told(health, { ask: anAsk({ credentials: ["KEY_1"] }) })).toMatchObject({ until: soonAfter(T0 + 5 * MINUTE) });
  });

  it("of several that are all left alone, the first to be back says when to ask again", () => {
    const first = ended(UNKNOWN_HEALTH, { reason: "out_of_credit" });
    const both = ended(first, { credential: "KEY_2", reason: "rate_limited", retryAt: T0 + 20 * SECOND });
    expect(told(both)).toEqual({ kind: "refused", until: soonAfter(T0 + 20 * SECOND), turn: null });
  });

  it("serves three after it was left alone, and twice as many every five seconds, until the next no", () => {
    const rested = ended(UNKNOWN_HEALTH, { reason: "rate_limited", retryAt: T0 + SECOND });
    const only = anAsk({ credentials: ["KEY_1"] });
    const back = (count: number): HeldLease[] =>
      Array.from({ length: count }, (_, index) => aLease({ task: `back-${index}`, grantedAt: T0 + SECOND }));
    const asked = (count: number, now: number, health = rested): Answer => told(health, { ask: only, leases: back(count), now });
    expect(asked(2, T0 + SECOND).kind).toBe("granted");
    expect(asked(3, T0 + SECOND)).toEqual({ kind: "refused", until: soonAfter(T0 + 6 * SECOND), turn: null });
    expect(asked(5, T0 + 6 * SECOND).kind).toBe("granted");
    expect(asked(6, T0 + 6 * SECOND)).toMatchObject({ until: soonAfter(T0 + 11 * SECOND) });
    expect(asked(10_000, T0 + MINUTE + SECOND).kind, "a minute later all that come").toBe("granted");
    const again = ended(rested, { reason: "rate_limited" }, T0 + 6 * SECOND);
    expect(asked(2, T0 + 7 * SECOND, again), "all of them wait again").toMatchObject({ until: soonAfter(T0 + 11 * SECOND) });
    expect(told(rested, { leases: back(3), now: T0 + SECOND }), "another key need not").toMatchObject({ kind: "granted" });
  });

  it("that one tenant met a 403 with is left alone only when another tenant has met one, too", () => {
    const only = anAsk({ credentials: ["KEY_1"] });
    const by = (health: Health, tenant: string, now = T0) =>
      afterStay(health, aLease({ tenant }), anEnd({ reason: "forbidden" }), now);
    const twice = by(by(UNKNOWN_HEALTH, "Tenant01"), "Tenant01");
    expect(told(twice, { ask: only })).toMatchObject({ kind: "granted" });
    expect(told(by(twice, "Tenant02"), { ask: only })).toMatchObject({ kind: "refused", turn: null });
    expect(by(twice, "Tenant02").resting).toEqual({ KEY_1: { why: "unauthorized", until: T0 + 5 * MINUTE } });
    expect(told(by(ended(twice, { durationMs: 1 }), "Tenant02"), { ask: only }), "it has worked since").toMatchObject({
      kind: "granted",
    });
    const later = T0 + 10 * MINUTE;
    expect(told(by(twice, "Tenant02", later), { ask: only, now: later }), "long ago").toMatchObject({ kind: "granted" });
  });

  it("is not remembered when it has long not been left alone any more", () => {
    const health = ended(UNKNOWN_HEALTH, { reason: "rate_limited", retryAt: T0 + SECOND });
    expect(ended(health, {}, T0 + 2 * SECOND).resting).toHaveProperty("KEY_1");
    expect(ended(health, {}, T0 + 2 * MINUTE).resting).toEqual({});
  });
});

describe("a model", () => {
  const gone = ended(UNKNOWN_HEALTH, { reason: "model_unavailable" });

  it("that the provider does not have is not asked for during five minutes, others are", () => {
    const refused = told(gone);
    expect(refused).toMatchObject({ kind: "refused", turn: null });
    expect((refused as { until: number }).until).toBeGreaterThanOrEqual(T0 + 5 * MINUTE);
    expect(told(gone, { ask: anAsk({ model: "alpha-veo2" }) })).toMatchObject({ kind: "granted" });
    expect(told(gone, { now: T0 + 5 * MINUTE })).toMatchObject({ kind: "granted" });
    expect(told(letGo(gone, T0))).toMatchObject({ kind: "granted" });
  });

  it("that is gone says nothing of the provider: it neither closes nor opens a breaker", () => {
    expect(gone.breaker).toEqual(UNKNOWN_HEALTH.breaker);
  });
});

describe("the provider's health", () => {
  const timeouts = (health: Health): Health =>
    Array.from({ length: 5 }).reduce<Health>((now) => ended(now, { reason: "timeout" }), health);

  it("keeps tasks away from a provider that is down", () => {
    const down = timeouts(UNKNOWN_HEALTH);
    expect(phaseOf(down.breaker, T0)).toBe("open");
    const refused = told(down);
    expect(refused).toMatchObject({ kind: "refused", turn: null });
    expect(Number.isInteger((refused as { until: number }).until)).toBe(true);
  });

  it("counts a task that asks anew not among the probes", () => {
    const down = timeouts(UNKNOWN_HEALTH);
    const now = T0 + 31 * SECOND;
    const probes = ["task-1", "task-2", "task-3"].map((task) => aLease({ task, grantedAt: now - 1 }));
    expect(told(down, { leases: probes, now, ask: anAsk({ task: "task-4" }) })).toMatchObject({ kind: "refused" });
    expect(told(down, { leases: probes, now, ask: anAsk({ credentials: ["KEY_2"] }) })).toMatchObject({ kind: "granted" });
  });

  it("learns what a model takes from what was completed", () => {
    const one = ended(UNKNOWN_HEALTH, { durationMs: 60_000 });
    const more = ended(ended(one, { model: "alpha-veo2", durationMs: 30_000 }), { reason: "timeout" });
    expect(more.durations).toEqual({ "alpha-veo3": [60_000], "alpha-veo2": [30_000] });
  });

  it("forgets the model that was not completed for longest when there are too many", () => {
    const names = Array.from({ length: 51 }, (_, n) => `model-${n}`);
    const all = ["model-0", ...names].reduce<Health>((now, model) => ended(now, { model, durationMs: 1 }), UNKNOWN_HEALTH);
    expect(Object.keys(all.durations)).toHaveLength(50);
    expect(all.durations["model-0"]).toBeUndefined();
    expect(all.durations["model-50"]).toEqual([1]);
  });
});

describe("an operator's hold", () => {
  it("refuses everybody until it is let go", () => {
    expect(told(held(UNKNOWN_HEALTH))).toMatchObject({ kind: "refused", turn: null });
    expect(told(letGo(held(UNKNOWN_HEALTH), T0))).toMatchObject({ kind: "granted" });
  });

  it("when it is let go, ends what was held against the provider, and what began before says nothing", () => {
    const spent = ended(held(UNKNOWN_HEALTH), { reason: "out_of_credit" });
    const down = Array.from({ length: 5 }).reduce<Health>((now) => ended(now, { reason: "timeout" }), spent);
    const free = letGo(down, T0 + SECOND);
    expect(told(free, { ask: anAsk({ credentials: ["KEY_1"] }), now: T0 + SECOND })).toMatchObject({ kind: "granted" });
    const late = Array.from({ length: 5 }).reduce<Health>((now) => ended(now, { reason: "timeout" }, T0 + MINUTE), free);
    expect(phaseOf(late.breaker, T0 + MINUTE)).toBe("closed");
  });
});
