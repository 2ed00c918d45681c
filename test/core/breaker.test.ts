// When a provider is left alone, and how it gets its tasks back.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jitterOf } from "../../src/core/backoff.ts";
import { afterCall, closedBreaker, heldBackUntil, outcomeOf, phaseOf } from "../../src/core/breaker.ts";
import type { Breaker, CallOutcome } from "../../src/core/breaker.ts";
import type { AttemptReason } from "../../src/core/task.ts";
import { HOUR, MINUTE, SECOND, T0 } from "../support/builders.ts";

const WELL = closedBreaker(0);

/** Stays of a second each that end at these moments. */
function after(breaker: Breaker, outcomes: readonly CallOutcome[], from: number, apartMs = SECOND): Breaker {
  return outcomes.reduce((now, outcome, index) => {
    const at = from + index * apartMs;
    return afterCall(now, outcome, at - SECOND, at);
  }, breaker);
}

const times = (count: number, outcome: CallOutcome): CallOutcome[] => Array.from({ length: count }, () => outcome);
const tasks = Array.from({ length: 1_000 }, (_, index) => `task-${index}`);
const passing = (breaker: Breaker, now: number, leases: { grantedAt: number }[] = []): number =>
  tasks.filter((task) => heldBackUntil(breaker, task, leases, now) === null).length;

/** Opened at T0: half open from T0 + 30 s. */
const OPEN = after(WELL, times(5, "timeout"), T0, 0);
const HALF_OPEN_AT = T0 + 30 * SECOND;
/** A probe came back at that time. */
const RECOVERED_AT = HALF_OPEN_AT + MINUTE;
const RAMPING = afterCall(OPEN, "good", HALF_OPEN_AT, RECOVERED_AT);

describe("what a stay says of the provider", () => {
  it.each<[CallOutcome, (AttemptReason | null)[]]>([
    ["good", [null, "content_policy", "image_fetch_failed", "image_invalid"]],
    ["timeout", ["timeout", "upstream_ambiguous"]],
    ["failure", ["upstream_rejected", "upstream_invalid_result", "upstream_asset_expired", "upstream_lost", "internal_error"]],
    ["failure", ["unavailable"]],
    ["silent", ["cancelled", "rate_limited", "unauthorized", "out_of_credit", "queue_timeout"]],
  ])("%s: %j", (outcome, reasons) => {
    expect(reasons.map(outcomeOf)).toEqual(reasons.map(() => outcome));
  });
});

describe("a closed breaker", () => {
  it("opens at half of twenty calls within 30 s", () => {
    const mixed = [...times(10, "good"), ...times(9, "failure")];
    const nearly = after(WELL, mixed, T0);
    expect(phaseOf(nearly, T0 + 19 * SECOND)).toBe("closed");
    expect(phaseOf(after(nearly, ["failure"], T0 + 19 * SECOND), T0 + 19 * SECOND)).toBe("open");
    expect(phaseOf(after(nearly, ["good"], T0 + 19 * SECOND), T0 + 19 * SECOND)).toBe("closed");
  });

  it("does not judge by fewer calls, nor by calls that are further apart", () => {
    expect(phaseOf(after(WELL, times(19, "failure"), T0), T0 + 19 * SECOND)).toBe("closed");
    expect(phaseOf(after(WELL, times(100, "failure"), T0, 1_600), T0 + 100 * 1_600)).toBe("closed");
  });

  it("judges by the last twenty, however many there were", () => {
    const breaker = after(WELL, [...times(200, "good"), ...times(10, "failure")], T0, 50);
    expect(phaseOf(breaker, T0 + 11 * SECOND)).toBe("open");
  });

  it("opens at five timeouts in a row, however far apart", () => {
    const four = after(WELL, times(4, "timeout"), T0, HOUR);
    expect(phaseOf(four, T0 + 3 * HOUR)).toBe("closed");
    expect(phaseOf(after(four, ["timeout"], T0 + 4 * HOUR), T0 + 4 * HOUR)).toBe("open");
  });

  it.each(["good", "failure"] as const)("counts timeouts anew after a call that was %s", (other) => {
    const breaker = after(WELL, [...times(4, "timeout"), other, ...times(4, "timeout")], T0, HOUR);
    expect(phaseOf(breaker, T0 + 8 * HOUR)).toBe("closed");
  });

  it("hears nothing in what says nothing", () => {
    expect(after(WELL, times(100, "silent"), T0)).toBe(WELL);
    expect(phaseOf(after(WELL, [...times(4, "timeout"), "silent", "timeout"], T0), T0 + 6 * SECOND)).toBe("open");
  });

  it("lets everybody pass", () => {
    expect(passing(WELL, T0)).toBe(tasks.length);
  });
});

describe("an open breaker", () => {
  it("lets nobody pass for 30 s, and does not call everybody back at once", () => {
    expect(passing(OPEN, HALF_OPEN_AT - 1)).toBe(0);
    const back = tasks.map((task) => heldBackUntil(OPEN, task, [], T0 + SECOND) ?? 0);
    expect(Math.min(...back)).toBeGreaterThanOrEqual(HALF_OPEN_AT);
    expect(Math.max(...back)).toBeLessThanOrEqual(HALF_OPEN_AT + 15 * SECOND);
    expect(new Set(back).size).toBeGreaterThan(tasks.length / 2);
  });

  it("is told nothing new by what was under way when it opened", () => {
    for (const outcome of ["good", "failure", "timeout"] as const) {
      expect(afterCall(OPEN, outcome, T0 - MINUTE, T0 + SECOND)).toBe(OPEN);
      expect(afterCall(OPEN, outcome, T0 - MINUTE, HALF_OPEN_AT + SECOND)).toBe(OPEN);
    }
  });
});

describe("a half-open breaker", () => {
  it("lets three probes pass at a time", () => {
    const probe = { grantedAt: HALF_OPEN_AT };
    const before = { grantedAt: T0 };
    const now = HALF_OPEN_AT + SECOND;
    expect(phaseOf(OPEN, now)).toBe("half_open");
    expect(passing(OPEN, now, [probe, probe, before, before, before])).toBe(tasks.length);
    expect(passing(OPEN, now, [probe, probe, probe])).toBe(0);
    const back = tasks.map((task) => heldBackUntil(OPEN, task, [probe, probe, probe], now) ?? 0);
    expect(Math.min(...back)).toBeGreaterThan(now);
    expect(Math.max(...back)).toBeLessThanOrEqual(now + 30 * SECOND);
  });

  it("opens again when a probe fails, each time for longer, up to five minutes", () => {
    let breaker = OPEN;
    const waits: number[] = [];
    let now = HALF_OPEN_AT;
    for (let probe = 0; probe < 6; probe++) {
      breaker = afterCall(breaker, "timeout", now, now + SECOND);
      if (breaker.state !== "open") throw new Error("it closed");
      waits.push((breaker.until - now - SECOND) / SECOND);
      now = breaker.until;
    }
    expect(waits).toEqual([60, 120, 240, 300, 300, 300]);
  });

  it("opens again for a probe that says it failed only when a second does: whoever succeeds takes longer to say so", () => {
    const once = afterCall(OPEN, "failure", HALF_OPEN_AT, HALF_OPEN_AT + SECOND);
    expect(phaseOf(once, HALF_OPEN_AT + SECOND)).toBe("half_open");
    expect(afterCall(once, "good", HALF_OPEN_AT, HALF_OPEN_AT + 60 * SECOND)).toMatchObject({ state: "closed" });
    const twice = afterCall(once, "failure", HALF_OPEN_AT, HALF_OPEN_AT + 2 * SECOND);
    expect(twice).toEqual({ state: "open", until: HALF_OPEN_AT + 62 * SECOND, openings: 2 });
    expect(afterCall(twice, "failure", HALF_OPEN_AT + 62 * SECOND, HALF_OPEN_AT + 63 * SECOND)).toMatchObject({ openings: 2 });
  });

  it("is told nothing by a probe that was turned away for the account's sake", () => {
    expect(afterCall(OPEN, "silent", HALF_OPEN_AT, HALF_OPEN_AT + SECOND)).toBe(OPEN);
  });
});

describe("a breaker after a probe that did well", () => {
  it("lets a tenth pass, then a tenth more every ten seconds, then all", () => {
    const shares = [0, 10, 20, 50, 80, 90, 200].map((s) => passing(RAMPING, RECOVERED_AT + s * SECOND) / tasks.length);
    for (const [index, share] of [0.1, 0.2, 0.3, 0.6, 0.9].entries()) {
      expect(Math.abs((shares[index] ?? 0) - share)).toBeLessThan(0.05);
    }
    expect(shares.slice(5)).toEqual([1, 1]);
    expect([0, 89, 90].map((s) => phaseOf(RAMPING, RECOVERED_AT + s * SECOND))).toEqual(["ramping", "ramping", "closed"]);
  });

  it("tells each task when it will pass, and keeps its word", () => {
    for (const task of tasks) {
      const at = heldBackUntil(RAMPING, task, [], RECOVERED_AT);
      if (at === null) expect(jitterOf(task)).toBeLessThan(0.1);
      else expect(heldBackUntil(RAMPING, task, [], at)).toBeNull();
    }
  });

  it("hears the other probes, and nothing of what began before the outage ended", () => {
    const timeouts = (grantedAt: number): Breaker =>
      times(5, "timeout").reduce((now, each) => afterCall(now, each, grantedAt, RECOVERED_AT + SECOND), RAMPING);
    expect(timeouts(HALF_OPEN_AT - 1)).toBe(RAMPING);
    expect(timeouts(HALF_OPEN_AT)).toMatchObject({ state: "open", openings: 2 });
  });

  it("opens for 30 s again if it had recovered for good", () => {
    const later = after(RAMPING, times(5, "timeout"), RECOVERED_AT + 2 * MINUTE, 0);
    expect(later).toEqual({ state: "open", until: RECOVERED_AT + 2 * MINUTE + 30 * SECOND, openings: 1 });
  });
});

it("never holds anybody back for longer than five minutes and a bit, whatever happens and in whatever order", () => {
  const call = fc.record({
    outcome: fc.constantFrom<CallOutcome>("good", "good", "failure", "timeout", "timeout", "timeout", "silent"),
    waited: fc.oneof(fc.nat(5 * SECOND), fc.nat(MINUTE)),
    stay: fc.oneof(fc.nat(5 * SECOND), fc.nat(5 * MINUTE)),
  });
  const seen = new Set<string>();
  fc.assert(
    fc.property(fc.array(call, { minLength: 30, maxLength: 120 }), (calls) => {
      let breaker: Breaker = WELL;
      let now = T0;
      for (const { outcome, waited, stay } of calls) {
        now += waited;
        const before = breaker;
        breaker = afterCall(before, outcome, now - stay, now);
        seen.add(phaseOf(breaker, now));
        const until = heldBackUntil(breaker, "task-1", [], now);
        if (until !== null) expect(until - now).toBeLessThanOrEqual(5 * MINUTE + 15 * SECOND);
        // What ends while it is open does not make it open sooner.
        if (before.state === "open" && breaker.state === "open") expect(breaker.until).toBeGreaterThanOrEqual(before.until);
        if (before.state === "open" && now < before.until) expect(breaker).toBe(before);
      }
    }),
    { numRuns: 300 },
  );
  // Else the property has become a statement about nothing.
  expect([...seen].toSorted()).toEqual(["closed", "half_open", "open", "ramping"]);
});
