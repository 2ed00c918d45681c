// Who gets the next place at a provider. The properties run a provider in virtual time: tasks ask, are told when to ask again, hold
// their place for a while, and give it back or do not.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { counts, leastUsed, leave, NO_TURNOVER, present, standIn, turnOf, withEnded } from "../../src/core/slots.ts";
import type { HeldLease, Line, SlotLimits, Turn, Turnover, Waiter } from "../../src/core/slots.ts";
import { HOUR, MINUTE, SECOND, T0 } from "../support/builders.ts";

function aLease(given: Partial<HeldLease> = {}): HeldLease {
  return { task: "held-1", stay: 1, tenant: "Tenant01", credential: "KEY_1", grantedAt: T0, until: T0 + HOUR, ...given };
}

function aWaiter(given: Partial<Waiter> = {}): Waiter {
  return { task: "task-1", tenant: "Tenant01", since: T0, backAt: T0 + 5 * SECOND, ...given };
}

const ONE: SlotLimits = { concurrency: 1, perMinute: null };
const MANY: SlotLimits = { concurrency: null, perMinute: null };
const EMPTY = { leases: [], line: [], turnover: NO_TURNOVER };

const lineOf = (...waiters: Waiter[]): Line => waiters.reduce<Line>(standIn, []);

function waitOf(turn: Turn): number {
  if (turn.kind === "now") throw new Error("it may go now");
  return turn.backAt - T0;
}

describe("a place", () => {
  it("is had at once where nothing is limited, whoever waits", () => {
    const leases = Array.from({ length: 100 }, (_, index) => aLease({ task: `held-${index}` }));
    expect(turnOf(aWaiter(), { ...EMPTY, leases, line: [aWaiter({ task: "other" })] }, MANY, T0)).toEqual({ kind: "now" });
  });

  it("is had at once while there is one more than are awaited", () => {
    const two = { concurrency: 2, perMinute: null };
    const line = [aWaiter({ task: "other", tenant: "Tenant02", since: T0 - 1 })];
    expect(turnOf(aWaiter(), { ...EMPTY, line }, two, T0)).toEqual({ kind: "now" });
    expect(turnOf(aWaiter(), { ...EMPTY, leases: [aLease()], line }, two, T0)).toMatchObject({ kind: "later", position: 1 });
  });

  it("is not had by more than may be, also when the operator allows fewer than there are", () => {
    const leases = [aLease(), aLease({ task: "held-2" })];
    for (const concurrency of [1, 2]) {
      const turn = turnOf(aWaiter(), { ...EMPTY, leases }, { concurrency, perMinute: null }, T0);
      expect(turn).toMatchObject({ kind: "later", position: 0 });
    }
  });

  it("is not kept for somebody who is not due for long", () => {
    const line = [aWaiter({ task: "other", since: T0 - HOUR, backAt: T0 + 50 * SECOND })];
    expect(turnOf(aWaiter(), { ...EMPTY, line }, ONE, T0)).toEqual({ kind: "now" });
    expect(turnOf(aWaiter(), { ...EMPTY, line }, ONE, T0 + 40 * SECOND)).toMatchObject({ kind: "later", position: 1 });
  });
});

describe("the line", () => {
  const busy = (...leases: HeldLease[]) => ({ leases, turnover: NO_TURNOVER });
  const positionIn = (line: Line, waiter: Waiter, room = busy(aLease({ tenant: "Tenant09" }))): number => {
    const turn = turnOf(waiter, { ...room, line: leave(line, waiter.task) }, ONE, T0);
    return turn.kind === "now" ? -1 : turn.position;
  };

  it("is in the order in which one tenant's tasks began to wait, not in that in which they ask", () => {
    const [one, two, three] = [1, 2, 3].map((n) => aWaiter({ task: `task-${n}`, since: T0 + n })) as [Waiter, Waiter, Waiter];
    for (const line of [lineOf(one, two, three), lineOf(three, one, two)]) {
      expect([one, two, three].map((each) => positionIn(line, each))).toEqual([0, 1, 2]);
    }
  });

  it("has the tenants take turns, so that a thousand tasks of one are no thousand places", () => {
    const flood = Array.from({ length: 1_000 }, (_, n) => aWaiter({ task: `flood-${n}`, tenant: "Flood", since: T0 - 1_000 + n }));
    const few = [1, 2, 3].map((n) => aWaiter({ task: `few-${n}`, tenant: "Few", since: T0 + n }));
    const line = lineOf(...flood, ...few);
    expect(few.map((each) => positionIn(line, each))).toEqual([1, 3, 5]);
    expect(flood.slice(0, 4).map((each) => positionIn(line, each))).toEqual([0, 2, 4, 6]);
    expect(positionIn(line, flood[999] as Waiter)).toBe(1_002);
  });

  it("counts what a tenant has already", () => {
    const line = lineOf(aWaiter({ task: "a", tenant: "A", since: T0 - HOUR }), aWaiter({ task: "b", tenant: "B", since: T0 }));
    const room = busy(aLease({ tenant: "A" }));
    expect(["a", "b"].map((task) => positionIn(line, line.find((each) => each.task === task) as Waiter, room))).toEqual([1, 0]);
  });

  it("puts the tenant that had a place last behind one that has as many now", () => {
    const line = lineOf(aWaiter({ task: "a", tenant: "A", since: T0 - HOUR }), aWaiter({ task: "b", tenant: "B", since: T0 }));
    const turnover = withEnded(NO_TURNOVER, aLease({ tenant: "A", grantedAt: T0 - MINUTE }), T0);
    const room = { leases: [aLease({ tenant: "C" })], turnover };
    expect(["a", "b"].map((task) => positionIn(line, line.find((each) => each.task === task) as Waiter, room))).toEqual([1, 0]);
  });

  it("has each task once, in its newest place", () => {
    const line = lineOf(aWaiter(), aWaiter({ task: "task-2", since: T0 + 1 }), aWaiter({ since: T0 + 2 }));
    expect(line.map(({ task, since }) => [task, since - T0])).toEqual([
      ["task-2", 1],
      ["task-1", 2],
    ]);
    expect(leave(line, "task-2")).toHaveLength(1);
  });

  it("is left by whoever does not come back", () => {
    const line = lineOf(aWaiter({ backAt: T0 }), aWaiter({ task: "task-2", backAt: T0 + 10 * SECOND }));
    expect(present(line, T0 + 5 * SECOND)).toHaveLength(2);
    expect(present(line, T0 + 5 * SECOND + 1).map(({ task }) => task)).toEqual(["task-2"]);
    const late = [aWaiter({ goneAt: T0 + 2 * SECOND })];
    expect(present(late, T0 + 2 * SECOND - 1)).toEqual(late);
    expect(present(late, T0 + 2 * SECOND), "nor is anybody who has no time left for a place").toEqual([]);
  });
});

describe("how long to wait", () => {
  const stayed = (seconds: number): Turnover =>
    Array.from({ length: 30 }, () => seconds).reduce<Turnover>(
      (turnover, s) => withEnded(turnover, aLease({ grantedAt: T0 - s * SECOND }), T0),
      NO_TURNOVER,
    );
  const full = (count: number): HeldLease[] =>
    Array.from({ length: count }, (_, n) => aLease({ task: `held-${n}`, tenant: `T${n}` }));
  const line = (count: number): Line => Array.from({ length: count }, (_, n) => aWaiter({ task: `w-${n}`, since: T0 - count + n }));
  const wait = (position: number, concurrency: number, seconds: number, waiting = position): number =>
    waitOf(
      turnOf(
        aWaiter({ task: "me", since: T0 - waiting + position }),
        { leases: full(concurrency), line: line(waiting), turnover: stayed(seconds) },
        { concurrency, perMinute: null },
        T0,
      ),
    ) / SECOND;

  it("grows with the position and shrinks with the places, as places changed hands lately", () => {
    // Ten places of a minute each: one every six seconds, and within a third of the time it should take one looks again.
    expect(wait(9, 10, 60)).toBeGreaterThan(18 - 2);
    expect(wait(9, 10, 60)).toBeLessThan(22 + 2);
    expect(wait(9, 20, 60)).toBeLessThan(wait(9, 10, 60));
    expect(wait(9, 10, 120)).toBeGreaterThan(wait(9, 10, 60));
    expect(wait(4, 10, 60)).toBeLessThan(wait(9, 10, 60));
  });

  it("is as short for the first three as for the first, as far as there are places that may be free at once", () => {
    expect(wait(2, 3, 60)).toBeLessThanOrEqual((60 / 8) * 1.1);
    expect(wait(1, 1, 60)).toBeGreaterThan(30);
  });

  it("is told as the time it should take until the turn comes", () => {
    const turn = turnOf(
      aWaiter({ task: "me" }),
      { leases: full(10), line: line(9), turnover: stayed(60) },
      { concurrency: 10, perMinute: null },
      T0,
    );
    expect(turn).toMatchObject({ position: 9, startsAt: T0 + MINUTE });
    const limited = turnOf(aWaiter(), { ...EMPTY, leases: full(4), line: line(3) }, { concurrency: null, perMinute: 4 }, T0);
    expect(limited).toMatchObject({ position: 3, startsAt: T0 + MINUTE });
  });

  it("is short for the first, who is waited for, and a minute or so for the last", () => {
    for (const seconds of [1, 60, 3_600]) expect(wait(0, 1, seconds)).toBeLessThanOrEqual(15);
    expect(wait(0, 1, 1)).toBeGreaterThanOrEqual(0.9);
    expect(wait(500, 10, 60)).toBeLessThanOrEqual(66);
  });

  it("keeps ten thousand from asking more than about fifty times a second", () => {
    expect(wait(9_999, 10, 1, 10_000)).toBeGreaterThanOrEqual(180);
  });

  it("is as long as a likely stay says where nothing is known", () => {
    const turn = turnOf(aWaiter(), { ...EMPTY, leases: [aLease()] }, ONE, T0);
    expect(waitOf(turn) / SECOND).toBeGreaterThan(6);
    expect(waitOf(turn) / SECOND).toBeLessThan(9);
  });
});

describe("the rate", () => {
  const three: SlotLimits = { concurrency: null, perMinute: 3 };
  const leases = [1, 2].map((n) => aLease({ task: `held-${n}`, grantedAt: T0 - n * SECOND }));

  it("counts what was granted within a minute, also what was given back since", () => {
    const turnover = withEnded(NO_TURNOVER, aLease({ grantedAt: T0 - 3 * SECOND }), T0 - SECOND);
    expect(turnOf(aWaiter(), { ...EMPTY, leases }, three, T0)).toEqual({ kind: "now" });
    expect(turnOf(aWaiter(), { ...EMPTY, leases, turnover }, three, T0)).toMatchObject({ kind: "later", position: 0 });
    expect(turnOf(aWaiter(), { ...EMPTY, leases, turnover }, three, T0 + 58 * SECOND)).toEqual({ kind: "now" });
  });

  it("keeps a number a second, and no second for more than a minute", () => {
    let turnover = NO_TURNOVER;
    for (let n = 0; n < 1_000; n++) {
      const at = T0 + n * 500;
      turnover = withEnded(turnover, aLease({ grantedAt: at - 400 }), at);
    }
    expect(turnover.granted.length).toBeLessThanOrEqual(62);
    expect(turnover.ended).toHaveLength(20);
  });
});

it("the credential with the fewest leases is used, the first among equals", () => {
  const leases = [aLease(), aLease({ credential: "KEY_2" }), aLease({ credential: "KEY_2" })];
  expect(leastUsed(["KEY_1", "KEY_2"], leases)).toBe("KEY_1");
  expect(leastUsed(["KEY_2", "KEY_1", "KEY_3"], leases)).toBe("KEY_3");
  expect(leastUsed(["KEY_4", "KEY_3"], leases)).toBe("KEY_4");
  expect(leastUsed([], leases)).toBeNull();
});

interface Wish {
  readonly task: string;
  readonly tenant: string;
  readonly at: number;
  readonly stayMs: number;
  /** Nobody gives its place back. */
  readonly isLost: boolean;
}

interface Grant extends Wish {
  readonly grantedAt: number;
  readonly endsAt: number;
  /** Since then it was known to wait. */
  readonly firstAsk: number;
}

const LEASE_MS = 10 * MINUTE;

/** What the provider's object does, in virtual time. Each alarm is up to `lateMs` late. */
function run(wishes: readonly Wish[], limits: SlotLimits, lateMs: number): Grant[] {
  const leases = new Map<string, HeldLease>();
  const grants: Grant[] = [];
  let line: Line = [];
  let turnover = NO_TURNOVER;
  const events = wishes.map((wish) => ({ at: wish.at, wish, does: "ask" as "ask" | "end" }));
  for (let event = events.shift(); event !== undefined; event = events.shift()) {
    const { at: now, wish, does } = event;
    const { task, tenant, at: since, stayMs, isLost } = wish;
    const lease = leases.get(task);
    if (does === "end") {
      if (lease !== undefined) turnover = withEnded(turnover, lease, now);
      leases.delete(task);
    } else {
      for (const each of leases.values()) if (!counts(each, now)) leases.delete(each.task);
      line = leave(present(line, now), task);
      const turn = turnOf({ task, tenant, since }, { leases: [...leases.values()], line, turnover }, limits, now);
      if (turn.kind === "later") {
        line = standIn(line, { task, tenant, since, backAt: turn.backAt });
        events.push({ at: turn.backAt + ((grants.length * 997 + turn.position * 499) % (lateMs + 1)), wish, does: "ask" });
      } else {
        leases.set(task, aLease({ task, tenant, grantedAt: now, until: now + LEASE_MS }));
        const endsAt = isLost ? now + LEASE_MS : now + stayMs;
        grants.push({ ...wish, grantedAt: now, endsAt, firstAsk: since });
        if (!isLost) events.push({ at: endsAt, wish, does: "end" });
      }
    }
    events.sort((a, b) => a.at - b.at);
  }
  return grants;
}

const wishes = (tenants: readonly string[], most: number): fc.Arbitrary<Wish[]> =>
  fc
    .array(
      fc.record({
        tenant: fc.constantFrom(...tenants),
        at: fc.oneof(fc.constant(T0), fc.integer({ min: T0, max: T0 + 5 * MINUTE })),
        stayMs: fc.oneof(fc.integer({ min: 5 * SECOND, max: 20 * SECOND }), fc.integer({ min: MINUTE, max: 2 * MINUTE })),
        isLost: fc.constantFrom(false, false, false, false, false, false, false, false, false, true),
      }),
      { minLength: 1, maxLength: most },
    )
    .map((all) => all.map((wish, n) => ({ ...wish, task: `task-${n}` })).toSorted((a, b) => a.at - b.at));

const limits = fc.record({
  concurrency: fc.option(fc.integer({ min: 1, max: 6 }), { freq: 4 }),
  perMinute: fc.option(fc.integer({ min: 1, max: 20 }), { freq: 2 }),
});

describe("in the long run", () => {
  it("there are never more leases than the concurrency, nor grants in a minute than the rate, and every task has its turn", () => {
    fc.assert(
      fc.property(wishes(["A", "B", "C"], 60), limits, fc.integer({ min: 0, max: 4 * SECOND }), (all, allowed, lateMs) => {
        const grants = run(all, allowed, lateMs);
        expect(grants.map(({ task }) => task).toSorted()).toEqual(all.map(({ task }) => task).toSorted());
        for (const { grantedAt } of grants) {
          // One that nobody gave back counts until it ends by itself, and no longer.
          const held = grants.filter((other) => other.grantedAt <= grantedAt && other.endsAt > grantedAt).length;
          expect(held).toBeLessThanOrEqual(allowed.concurrency ?? Infinity);
          const inMinute = grants.filter((other) => other.grantedAt <= grantedAt && other.grantedAt > grantedAt - MINUTE).length;
          expect(inMinute).toBeLessThanOrEqual(allowed.perMinute ?? Infinity);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("a tenant that floods the provider gets no more than a few places while another waits for its first", () => {
    let waited = 0;
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 20, max: 80 }),
        fc.array(fc.integer({ min: 10 * SECOND, max: 10 * MINUTE }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 5, max: 120 }),
        fc.integer({ min: 0, max: 4 * SECOND }),
        (concurrency, count, arrivals, staySeconds, lateMs) => {
          const flood = Array.from({ length: count }, (_, n): Wish => {
            // Not all of the same length, so that they do not end together.
            const stayMs = staySeconds * SECOND * (0.8 + (n % 5) / 10);
            return { task: `flood-${n}`, tenant: "Flood", at: T0, stayMs, isLost: false };
          });
          const others = arrivals.map((ms, n): Wish => {
            return { task: `other-${n}`, tenant: `Other${n}`, at: T0 + ms, stayMs: staySeconds * SECOND, isLost: false };
          });
          const all = [...flood, ...others].toSorted((a, b) => a.at - b.at);
          const grants = run(all, { concurrency, perMinute: null }, lateMs);
          for (const other of grants.filter(({ tenant }) => tenant !== "Flood")) {
            if (other.grantedAt > other.firstAsk) waited++;
            const overtook = grants.filter(
              ({ tenant, grantedAt }) => tenant === "Flood" && grantedAt > other.firstAsk && grantedAt < other.grantedAt,
            );
            // What falls free in the minute, at most, for which a newcomer that is not the first in line is sent away.
            expect(overtook.length).toBeLessThanOrEqual(2 * concurrency + 2);
          }
        },
      ),
      { numRuns: 60 },
    );
    // Else the property has become a statement about nothing.
    expect(waited).toBeGreaterThan(20);
  });

  it("the places are kept in use: nearly as many tasks a minute as there would be without a line", () => {
    const all = Array.from({ length: 200 }, (_, n): Wish => {
      return { task: `task-${n}`, tenant: `T${n % 7}`, at: T0, stayMs: (50 + ((n * 7) % 20)) * SECOND, isLost: false };
    });
    const grants = run(all, { concurrency: 10, perMinute: null }, 2 * SECOND);
    const took = Math.max(...grants.map(({ endsAt }) => endsAt)) - T0;
    const used = all.reduce((sum, { stayMs }) => sum + stayMs, 0) / (10 * took);
    expect(used).toBeGreaterThan(0.85);
  });
});
