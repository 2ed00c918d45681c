import { describe, expect, it } from "vitest";
import { absolute, moment, span } from "../../src/cli/moments.ts";

const NOW = Date.parse("2026-11-22T12:00:00Z");

describe("moment", () => {
  it.each([
    [0, "now"],
    [-5, "5 seconds ago"],
    [-190, "3 minutes ago"],
    [-7_200, "2 hours ago"],
    [-3 * 86_400, "3 days ago"],
    [-40 * 86_400, "1 month ago"],
    [3_600, "in 1 hour"],
    [90 * 86_400 - 1, "in 3 months"],
  ])("%i s away is %s", (difference, relative) => {
    expect(moment(NOW / 1000 + difference, NOW)).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ \(/);
    expect(moment(NOW / 1000 + difference, NOW)).toContain(`(${relative})`);
  });

  it.each([null, undefined, Number.NaN, 1e300])("%s is none", (seconds) => {
    expect(moment(seconds, NOW)).toBeNull();
  });

  it("has the same absolute form alone", () => {
    expect(absolute(NOW / 1000)).toBe("2026-11-22 12:00:00Z");
  });
});

it.each([
  [-1, "0 s"],
  [0, "0 s"],
  [59, "59 s"],
  [60, "1 min"],
  [200, "3 min 20 s"],
  [3_600, "1 h"],
  [7_500, "2 h 5 min"],
  [90_000, "1 d 1 h"],
  [604_800, "7 d"],
])("%i s last %s", (seconds, text) => {
  expect(span(seconds)).toBe(text);
});
