import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { base32 } from "../../src/core/encoding.ts";
import type { Latency, Quantiles } from "../../src/core/latency.ts";
import { nextPoll, tookMs } from "../../src/core/poll-schedule.ts";
import { MIXES } from "../bench/latency-mixes.ts";
import { cold, everyFiveSeconds, latencyOf, learning } from "../bench/poll-counts.ts";
import { fewestPolls } from "../bench/poll-oracle.ts";
import { HOUR, MINUTE, SECOND, TASK_ID } from "../support/builders.ts";

const ids = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => `veo3:1795348800-${base32(bytes)}`);
const manyIds = fc.sample(ids, { numRuns: 1_000, seed: 1 });
const medians = fc.integer({ min: SECOND, max: 10 * MINUTE });

/** From what any generations took: five alike to sixty all over the place. */
const learned = fc
  .array(fc.integer({ min: 0, max: 20 * MINUTE }), { minLength: 5, maxLength: 60 })
  .map((durations): Latency => latencyOf(durations));
const unlearned = medians.map((medianMs): Latency => ({ medianMs, quantiles: null }));
const latencies = fc.oneof(unlearned, learned);

/** The polls of a task that is never early or late, in milliseconds after submit. */
function schedule(latency: Latency, hinted: boolean, id: string, untilMs: number): number[] {
  const polls: number[] = [];
  for (let at = nextPoll(latency, hinted, 0, id); at < untilMs; at = nextPoll(latency, hinted, at, id)) polls.push(at);
  return polls;
}

function waitsOf(polls: readonly number[]): number[] {
  return polls.slice(1).map((at, index) => at - (polls[index] as number));
}

describe("nextPoll", () => {
  it("is never now or before, whenever it is asked, nor a wake a second or more", () => {
    fc.assert(
      fc.property(latencies, fc.boolean(), ids, fc.nat(3 * HOUR), (latency, hinted, id, elapsed) => {
        expect(nextPoll(latency, hinted, elapsed, id)).toBeGreaterThan(elapsed + 450);
        for (const wait of waitsOf(schedule(latency, hinted, id, HOUR / 2))) expect(wait).toBeGreaterThanOrEqual(900 - 1);
      }),
    );
  });

  it("keeps one schedule however often, and whenever, it is asked", () => {
    fc.assert(
      fc.property(latencies, fc.boolean(), ids, fc.array(fc.nat(HOUR), { maxLength: 20 }), (latency, hinted, id, times) => {
        const polls = new Set(schedule(latency, hinted, id, 2 * HOUR));
        for (const elapsed of times) expect(polls).toContain(nextPoll(latency, hinted, elapsed, id));
      }),
    );
  });

  it("makes one poll, not two, of an alarm that comes a little early", () => {
    fc.assert(
      fc.property(latencies, fc.boolean(), ids, fc.nat(30), fc.double({ min: 0, max: 0.45, noNaN: true }), (...given) => {
        const [latency, hinted, id, index, part] = given;
        const polls = schedule(latency, hinted, id, 2 * HOUR);
        const [before = 0, at = 0, after = 0] = polls.slice(index % (polls.length - 2));
        const early = at - part * Math.min(at - before, after - at);
        expect(nextPoll(latency, hinted, early, id)).toBe(after);
      }),
    );
  });

  it("leaves none out where a long wait follows a short one, as of a safety net where all take about as long", () => {
    const latency = latencyOf(Array.from({ length: 30 }, () => 5 * MINUTE));
    const [first = 0, second = 0] = schedule(latency, true, TASK_ID, HOUR);
    expect(second - first).toBe(10 * SECOND);
  });

  it("goes on for as long as it takes, and after the usual time never leaves a task alone for long", () => {
    fc.assert(
      fc.property(latencies, fc.boolean(), ids, (latency, hinted, id) => {
        const usual = 2.5 * Math.max(latency.medianMs, latency.quantiles?.at(-1) ?? 0);
        const late = schedule(latency, hinted, id, 2 * HOUR).filter((at) => at >= usual);
        const longest = hinted ? MINUTE : Math.max(22 * SECOND, latency.medianMs / 30);
        for (const wait of waitsOf(late)) expect(wait).toBeLessThanOrEqual(longest + 1);
      }),
    );
  });
});

describe("before anything is learned, nextPoll", () => {
  it("looks first just after a job usually is ready", () => {
    fc.assert(
      fc.property(unlearned, ids, (latency, id) => {
        expect(nextPoll(latency, false, 0, id)).toBeGreaterThanOrEqual(latency.medianMs);
        expect(nextPoll(latency, false, 0, id)).toBeLessThanOrEqual(Math.ceil(latency.medianMs * 1.15));
      }),
    );
  });

  it("waits a second at first and 20 at last, give or take a tenth, and never less than before", () => {
    fc.assert(
      fc.property(unlearned, ids, (latency, id) => {
        const waits = waitsOf(schedule(latency, false, id, HOUR));
        for (const [index, wait] of waits.entries()) {
          expect(wait).toBeLessThanOrEqual(22_000 + 1);
          expect(wait).toBeGreaterThanOrEqual((waits[index - 1] ?? 0) - 1);
        }
        expect(waits.at(-1)).toBeGreaterThanOrEqual(18_000 - 1);
      }),
    );
  });

  it("spreads tasks that were submitted together over the time after the median", () => {
    const first = manyIds.map((id) => nextPoll({ medianMs: MINUTE, quantiles: null }, false, 0, id));
    expect(new Set(first).size).toBeGreaterThan(700);
    expect(Math.max(...first) - Math.min(...first)).toBeGreaterThan(8 * SECOND);
  });

  it.each(MIXES)(
    "needs at most 1.3 times the oracle's polls at its own delay, a median of 15 s at most ($name)",
    ({ durationsMs }) => {
      const { pollsPerTask, medianDelayMs } = cold(durationsMs);
      expect(medianDelayMs).toBeLessThanOrEqual(15 * SECOND);
      expect(pollsPerTask).toBeLessThanOrEqual(1.3 * fewestPolls(durationsMs, medianDelayMs));
    },
  );
});

describe("once it has learned, nextPoll", () => {
  it.each(MIXES)("needs at most 1.3 times the oracle's polls, at a median delay of 3 s at most ($name)", ({ durationsMs }) => {
    const { pollsPerTask, medianDelayMs, once } = learning(durationsMs);
    expect(medianDelayMs).toBeLessThanOrEqual(3 * SECOND);
    expect(pollsPerTask).toBeLessThanOrEqual(1.3 * fewestPolls(durationsMs, medianDelayMs));
    expect(pollsPerTask).toBeLessThan(everyFiveSeconds(durationsMs).pollsPerTask * 0.8);
    // Learned as found, the share that the first poll finds would double with each sixty generations, until it is most.
    expect(once).toBeLessThan(0.45);
  });

  it.each([2, 0.5])("finds its way within 120 generations when a route begins to take %f times as long", (factor) => {
    for (const { durationsMs } of MIXES) {
      const changed = durationsMs.slice(0, 1_000).map((ms, index) => (index < 500 ? ms : ms * factor));
      expect(learning(changed, "none", 620).medianDelayMs).toBeLessThanOrEqual(3.6 * SECOND);
    }
  });

  it("begins late where all take about as long, and early where they do not", () => {
    const even = (from: number, to: number): Latency =>
      latencyOf(Array.from({ length: 60 }, (_, index) => from + ((to - from) * index) / 59));
    for (const id of manyIds.slice(0, 100)) {
      expect(nextPoll(even(58 * SECOND, 62 * SECOND), false, 0, id)).toBeGreaterThan(54 * SECOND);
      expect(nextPoll(even(10 * SECOND, 110 * SECOND), false, 0, id)).toBeLessThan(60 * SECOND);
    }
  });

  it("looks more often at a route that takes seconds, and less often at one that takes an hour", () => {
    const steady = (ms: number): Latency => latencyOf(Array.from({ length: 60 }, (_, index) => ms * (0.8 + index / 150)));
    const wait = (ms: number): number => waitsOf(schedule(steady(ms), false, TASK_ID, 2 * ms)).at(0) as number;
    expect(wait(10 * SECOND)).toBeLessThanOrEqual(2 * SECOND);
    expect(wait(MINUTE)).toBeLessThanOrEqual(6 * SECOND);
    expect(wait(HOUR)).toBeGreaterThanOrEqual(30 * SECOND);
  });

  it("spreads tasks that were submitted together evenly over a step, so that no poll waits behind a herd", () => {
    const { durationsMs } = MIXES[1] as (typeof MIXES)[number];
    const polls = manyIds.map((id) => nextPoll(latencyOf(durationsMs.slice(0, 60)), false, 0, id));
    const from = Math.min(...polls);
    const width = (Math.max(...polls) - from) / 4;
    expect(width).toBeGreaterThan(SECOND / 2);
    for (const quarter of [0, 1, 2, 3]) {
      const share = polls.filter((at) => Math.min(Math.floor((at - from) / width), 3) === quarter).length / polls.length;
      expect(share).toBeGreaterThan(0.2);
      expect(share).toBeLessThan(0.3);
    }
  });
});

describe("where the provider says when something happens, nextPoll", () => {
  it.each(MIXES)(
    "leaves three tasks in five to the hint alone, and needs three polls a task at most when hints are lost ($name)",
    (mix) => {
      expect(learning(mix.durationsMs, "come").once).toBeGreaterThan(2 / 3);
      expect(learning(mix.durationsMs, "come").pollsPerTask).toBeLessThanOrEqual(1.5);
      expect(learning(mix.durationsMs, "are lost").pollsPerTask).toBeLessThanOrEqual(3);
    },
  );

  it("does not drift away when every hint is lost and it learns from its own polls alone", () => {
    for (const { durationsMs } of MIXES) {
      const known = latencyOf(durationsMs.slice(0, 60)).quantiles as Quantiles;
      // What is found by the 75th percentile was done about half a median before it; a schedule that drifts would be at the deadline.
      expect(learning(durationsMs, "are lost", 2_000).medianDelayMs).toBeLessThan(known[14] as number);
    }
  });
});

describe("tookMs", () => {
  const latency = latencyOf(Array.from({ length: 60 }, (_, index) => (40 + index) * SECOND));
  const polls = schedule(latency, false, TASK_ID, 5 * MINUTE);
  const [first, second, third] = polls as [number, number, number];

  it("is the middle between the poll that found it and the one before", () => {
    expect(tookMs(latency, false, third, TASK_ID)).toBeCloseTo((second + third) / 2, -1);
    expect(tookMs(latency, false, third + 400, TASK_ID)).toBe(tookMs(latency, false, third, TASK_ID));
  });

  it("is at most the first poll's time for what that one found, and differs between tasks", () => {
    expect(tookMs(latency, false, first, TASK_ID)).toBeLessThanOrEqual(first);
    expect(tookMs(latency, false, first, TASK_ID)).toBeGreaterThanOrEqual(first * 0.6 - 1);
    const all = manyIds.map((id) => tookMs(latency, false, nextPoll(latency, false, 0, id), id));
    expect(new Set(all).size).toBeGreaterThan(700);
    expect(Math.min(...all)).toBeLessThan(first * 0.7);
  });

  it("is the very time for what was found otherwise", () => {
    expect(tookMs(latency, false, 5 * SECOND, TASK_ID)).toBe(5 * SECOND);
    const net = schedule(latency, true, TASK_ID, 5 * MINUTE);
    for (const at of net) expect(tookMs(latency, true, at - 3 * SECOND, TASK_ID)).toBe(at - 3 * SECOND);
    expect(tookMs(latency, true, (net[1] as number) + 500, TASK_ID)).toBeLessThan(net[1] as number);
  });

  it("is never longer than it was until it was found, and never negative", () => {
    fc.assert(
      fc.property(latencies, fc.boolean(), ids, fc.nat(2 * HOUR), (any, hinted, id, found) => {
        expect(tookMs(any, hinted, found, id)).toBeGreaterThanOrEqual(0);
        expect(tookMs(any, hinted, found, id)).toBeLessThanOrEqual(found);
      }),
    );
  });
});

describe("the oracle", () => {
  it("needs one poll where all take the same, and counts what it gives up on", () => {
    expect(fewestPolls([60_000, 60_000, 60_000], 3_000)).toBeCloseTo(1, 2);
    // Half are done at 30 s: one poll in time for these, or one at the very end for the others.
    expect(fewestPolls([30_000, 30_000, 90_000, 90_000], 3_000)).toBeCloseTo(1, 2);
  });

  it("polls once a delay for as long as half of all are spread over", () => {
    const uniform = Array.from({ length: 9_900 }, (_, index) => 1_000 + index * 10);
    // The last 49.5 s of 99, in polls of 3 s: 16.5 steps, of which a task sees half on average, and half the tasks just one.
    expect(fewestPolls(uniform, 3_000)).toBeGreaterThan(0.5 + (0.5 * 16.5) / 2);
    expect(fewestPolls(uniform, 3_000)).toBeLessThan(0.5 + (0.5 * 16.5) / 2 + 1.5);
  });

  it("can do with fewer where it may be later", () => {
    const { durationsMs } = MIXES[1] as (typeof MIXES)[number];
    const few = [2_000, 3_000, 5_000, 8_000].map((delayMs) => fewestPolls(durationsMs, delayMs));
    for (const [index, polls] of few.slice(1).entries()) expect(polls).toBeLessThan(few[index] as number);
  });
});
