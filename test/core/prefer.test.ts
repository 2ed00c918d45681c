// Row 95 of the bad-input catalogue (reliability.md, section 8): a preference is ignored or clamped, never an error.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseWait } from "../../src/core/prefer.ts";

describe("parseWait", () => {
  it.each([
    ["wait=1", 1],
    ["wait=10", 10],
    ["wait=60", 60],
    ["Wait=10", 10],
    [" wait = 10 ", 10],
    ['wait="10"', 10],
    ["wait=007", 7],
    ["wait=10; foo=bar", 10],
    ["respond-async, wait=10", 10],
    ["return=representation; x, WAIT=5", 5],
    ["wait=5, wait=20", 5],
    ["wait=abc, wait=20", 20],
  ])("reads %j", (prefer, seconds) => {
    expect(parseWait(prefer)).toBe(seconds);
  });

  it.each(["wait=61", "wait=1000000000", `wait=${"9".repeat(400)}`])("brings %s to a minute", (prefer) => {
    expect(parseWait(prefer)).toBe(60);
  });

  it.each([
    null,
    "",
    "wait",
    "wait=",
    "wait=0",
    "wait=-1",
    "wait=+1",
    "wait=1e9",
    "wait=1.5",
    "wait=abc",
    "wait=10s",
    "wait=10 20",
    'wait="10',
    "waits=10",
    "x-wait=10",
    "return=minimal; wait=10", // a parameter of another preference
    "wait=１０",
  ])("does not hear %j", (prefer) => {
    expect(parseWait(prefer)).toBeNull();
  });

  it("never fails, and never gives anything but 1 to 60 whole seconds", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `wait=${text}`),
        ),
        (prefer) => {
          const seconds = parseWait(prefer);
          if (seconds !== null) expect([seconds >= 1, seconds <= 60, Number.isInteger(seconds)]).toEqual([true, true, true]);
        },
      ),
    );
  });
});
