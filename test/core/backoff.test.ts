import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backoff, jitterOf, nextPoll } from "../../src/core/backoff.ts";
import { base32 } from "../../src/core/encoding.ts";
import { HOUR, MINUTE, SECOND, TASK_ID } from "../support/builders.ts";

const ids = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => `veo3:1795348800-${base32(bytes)}`);
const manyIds = fc.sample(ids, { numRuns: 1_000, seed: 1 });
const medians = fc.integer({ min: SECOND, max: 10 * MINUTE });

/** The polls of a task that is never early or late, in milliseconds after submit. */
function schedule(medianMs: number, id: string, untilMs: number): number[] {
  const polls: number[] = [];
  for (let at = 0; at < untilMs; polls.push(at)) at = nextPoll(medianMs, at, id);
  return polls;
}

describe("nextPoll", () => {
  it("looks first just after a job usually is ready", () => {
    fc.assert(
      fc.property(medians, ids, (medianMs, id) => {
        expect(nextPoll(medianMs, 0, id)).toBeGreaterThanOrEqual(medianMs);
        expect(nextPoll(medianMs, 0, id)).toBeLessThanOrEqual(Math.ceil(medianMs * 1.15));
      }),
    );
  });

  it("always advances, by a second at first and by 20 at last, give or take a tenth", () => {
    fc.assert(
      fc.property(medians, ids, (medianMs, id) => {
        const polls = schedule(medianMs, id, HOUR);
        const waits = polls.slice(1).map((at, index) => at - (polls[index] as number));
        for (const [index, wait] of waits.entries()) {
          expect(wait).toBeGreaterThanOrEqual(900 - 1);
          expect(wait).toBeLessThanOrEqual(22_000 + 1);
          expect(wait).toBeGreaterThanOrEqual((waits[index - 1] ?? 0) - 1);
        }
        expect(waits.at(-1)).toBeGreaterThanOrEqual(18_000 - 1);
      }),
    );
  });

  it("is never now or before, whenever it is asked", () => {
    fc.assert(
      fc.property(medians, ids, fc.nat(3 * HOUR), (medianMs, id, elapsed) => {
        expect(nextPoll(medianMs, elapsed, id)).toBeGreaterThan(elapsed + 450);
        expect(nextPoll(medianMs, elapsed, id)).toBeLessThanOrEqual(Math.max(elapsed + 33_000, medianMs * 1.15 + 1));
      }),
    );
  });

  it("keeps one schedule however often, and whenever, it is asked", () => {
    fc.assert(
      fc.property(medians, ids, fc.array(fc.nat(HOUR), { maxLength: 20 }), (medianMs, id, times) => {
        const polls = new Set(schedule(medianMs, id, HOUR + MINUTE));
        for (const elapsed of times) expect(polls).toContain(nextPoll(medianMs, elapsed, id));
      }),
    );
  });

  it("makes one poll, not two, of an alarm that comes a little early", () => {
    fc.assert(
      fc.property(medians, ids, fc.nat(30), fc.double({ min: 0, max: 0.45, noNaN: true }), (medianMs, id, index, part) => {
        const polls = schedule(medianMs, id, HOUR);
        const at = polls[index % (polls.length - 1)] as number;
        const step = Math.min(Math.max(at * 0.15, 1_000), 20_000);
        expect(nextPoll(medianMs, at - part * step, id)).toBe(nextPoll(medianMs, at, id));
      }),
    );
  });

  it("spreads tasks that were submitted together over the time after the median", () => {
    const first = manyIds.map((id) => nextPoll(MINUTE, 0, id));
    expect(new Set(first).size).toBeGreaterThan(700);
    expect(Math.max(...first) - Math.min(...first)).toBeGreaterThan(8 * SECOND);
  });
});

describe("backoff", () => {
  it.each([
    [1, 2_000],
    [2, 4_000],
    [3, 8_000],
    [4, 16_000],
    [5, 32_000],
    [6, 60_000],
    [7, 60_000],
    [2_000, 60_000],
    [0, 2_000],
  ])("after failure %i waits about %i ms, and within a tenth of it", (failures, about) => {
    fc.assert(
      fc.property(ids, (id) => {
        const wait = backoff(failures, 2_000, 60_000, id);
        expect(wait).toBeGreaterThanOrEqual(about * 0.9);
        expect(wait).toBeLessThanOrEqual(about * 1.1);
      }),
    );
  });

  it("is the same each time for one task, and differs between tasks", () => {
    expect(backoff(3, 2_000, 60_000, TASK_ID)).toBe(backoff(3, 2_000, 60_000, TASK_ID));
    expect(new Set(manyIds.map((id) => backoff(6, 2_000, 60_000, id))).size).toBeGreaterThan(700);
  });
});

describe("jitterOf", () => {
  it("is at least 0 and below 1, and spread over all of it", () => {
    const values = manyIds.map(jitterOf);
    for (const value of values) expect(value >= 0 && value < 1).toBe(true);
    for (let tenth = 0; tenth < 10; tenth++) {
      expect(values.filter((value) => Math.floor(value * 10) === tenth).length).toBeGreaterThan(60);
    }
  });

  it("is FNV-1a, so that schedules stay as they are over releases", () => {
    expect(jitterOf("")).toBe(0x811c9dc5 / 2 ** 32);
    expect(jitterOf("a")).toBe(0xe40c292c / 2 ** 32);
    expect(jitterOf("foobar")).toBe(0xbf9cf968 / 2 ** 32);
  });
});
