import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backoff, jitterOf } from "../../src/core/backoff.ts";
import { base32 } from "../../src/core/encoding.ts";
import { TASK_ID } from "../support/builders.ts";

const ids = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => `veo3:1795348800-${base32(bytes)}`);
const manyIds = fc.sample(ids, { numRuns: 1_000, seed: 1 });
/** As an independent implementation has them. */
const VECTORS = [0xab3e7c0b, 0x1a80b1b3, 0x0c0da6dc].map((hash) => hash / 2 ** 32);

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

  it("is spread as much where texts differ only at their ends", () => {
    const distances = manyIds.map((id) => Math.abs(jitterOf(`${id}/up-1`) - jitterOf(`${id}/up-2`)));
    // Of two independent numbers in [0, 1), the distance is a third on average.
    expect(distances.reduce((sum, each) => sum + each, 0) / distances.length).toBeCloseTo(1 / 3, 1);
  });

  it("is FNV-1a under MurmurHash3's finalizer, so that schedules stay as they are over releases", () => {
    expect([jitterOf(""), jitterOf("a"), jitterOf("foobar")]).toEqual(VECTORS);
  });
});
