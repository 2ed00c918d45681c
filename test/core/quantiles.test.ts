// What is learned from a model's last generations.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { quantilesOf, withDuration, type Durations } from "../../src/core/quantiles.ts";

const after = (...durations: number[]): Durations => durations.reduce<Durations>(withDuration, []);

describe("quantiles", () => {
  it.each([0, 1, 4])("are not told from %i generations", (count) => {
    expect(quantilesOf(after(...Array.from({ length: count }, () => 1_000)))).toBeNull();
  });

  it("are the 5th to the 95th percentile, in steps of five, whatever the order they came in", () => {
    const seconds = Array.from({ length: 21 }, (_, index) => index * 1_000);
    const expected = Array.from({ length: 19 }, (_, index) => (index + 1) * 1_000);
    expect(quantilesOf(after(...seconds))).toEqual(expected);
    expect(quantilesOf(after(...seconds.toReversed()))).toEqual(expected);
  });

  it("lie between two neighbours where none is at that very place", () => {
    expect(quantilesOf(after(1_000, 2_000, 3_000, 4_000, 5_000))?.slice(0, 3)).toEqual([1_200, 1_400, 1_600]);
  });

  it("are of the last sixty: what the provider did before does not count for ever", () => {
    const slow = Array.from({ length: 60 }, () => 90_000);
    const fast = Array.from({ length: 60 }, () => 10_000);
    expect(new Set(quantilesOf(after(...slow, ...fast)))).toEqual(new Set([10_000]));
    expect(quantilesOf(after(...slow, ...fast.slice(1)))?.at(-1)).toBe(10_000);
    expect(after(...slow, ...fast, ...slow)).toHaveLength(60);
  });

  it("are 19 whole numbers that never fall and stay within what was seen", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -5_000, max: 3_600_000 }), { minLength: 5, maxLength: 80 }), (given) => {
        const known = after(...given);
        const quantiles = quantilesOf(known) ?? [];
        expect(quantiles).toHaveLength(19);
        expect(quantiles.every(Number.isInteger)).toBe(true);
        expect(quantiles).toEqual(quantiles.toSorted((a, b) => a - b));
        expect(Math.min(...quantiles)).toBeGreaterThanOrEqual(Math.max(Math.min(...known), 0));
        expect(Math.max(...quantiles)).toBeLessThanOrEqual(Math.max(...known));
      }),
    );
  });
});
