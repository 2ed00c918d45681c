import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseRange, resolveRange } from "../../src/core/range.ts";

/** First and last byte of `size` that are served, "whole", or 416. */
function served(header: string | null, size: number): string | 416 {
  const range = parseRange(header);
  if (range === null) return "whole";
  const bytes = resolveRange(range, size);
  return bytes === null ? 416 : `${bytes.offset}-${bytes.offset + bytes.length - 1}`;
}

// The numbers are rows of the bad-input catalogue.
describe("a Range header", () => {
  it.each([
    ["bytes=0-0", "0-0"],
    ["bytes=-1", "99-99"],
    ["bytes=5-", "5-99"],
    ["bytes=0-", "0-99"],
    ["bytes=0-99", "0-99"],
    ["bytes=99-", "99-99"],
    ["bytes=10-19", "10-19"],
    ["bytes=-100", "0-99"],
    [" bytes=5-6 ", "5-6"],
    ["bytes=007-0008", "7-8"],
  ])("%s names bytes of 100 (103)", (header, bytes) => {
    expect(served(header, 100)).toBe(bytes);
  });

  it.each([
    ["bytes=90-100", "90-99"],
    ["bytes=-101", "0-99"],
    ["bytes=5-9999999999999999999999999", "5-99"],
    ["bytes=-9999999999999999999999999", "0-99"],
  ])("%s is cut to what there is (105)", (header, bytes) => {
    expect(served(header, 100)).toBe(bytes);
  });

  it.each(["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=9999999999999999999999999-"])(
    "%s cannot be satisfied (104)",
    (header) => {
      expect(served(header, 100)).toBe(416);
    },
  );

  it.each([
    "bytes=3-1",
    "items=0-1",
    "bytes=",
    "bytes=-",
    "bytes",
    "",
    "garbage",
    "bytes=a-b",
    "bytes=1.5-2",
    "bytes=--1",
    "bytes=+1-2",
    "bytes=0x1-0x2",
    "bytes= 1-2",
    "bytes=1 - 2",
    "0-1",
    "bytes=0-0,2-2",
    "bytes=0-0,",
    "bytes=١-٢",
  ])("%s is ignored, and the whole served (105)", (header) => {
    expect(served(header, 100)).toBe("whole");
  });

  it.each(["bytes=-9007199254740993", "bytes=9007199254740993-", "bytes=5-9999999999999999999999999", `bytes=${"9".repeat(400)}-`])(
    "%s is read as whole numbers, because R2 throws on others",
    (header) => {
      for (const number of Object.values(parseRange(header) ?? {})) expect(number).toSatisfy(Number.isSafeInteger);
    },
  );

  it("of a thousand ranges is ignored as well (106)", () => {
    expect(served(`bytes=${Array.from({ length: 1_000 }, (_, n) => `${n}-${n}`).join()}`, 100)).toBe("whole");
  });

  it("that is not there asks for the whole", () => {
    expect(parseRange(null)).toBeNull();
  });

  it("of an empty video cannot be satisfied", () => {
    for (const header of ["bytes=0-", "bytes=0-0", "bytes=-1"]) expect(served(header, 0)).toBe(416);
  });
});

describe("resolveRange", () => {
  it("stays within the video and is never empty, as one would count byte by byte", () => {
    const position = fc.option(fc.nat(300));
    fc.assert(
      fc.property(position, position, fc.nat(200), (first, last, size) => {
        fc.pre(first !== null || last !== null);
        const wanted = (at: number): boolean => (first === null ? at >= size - (last ?? 0) : at >= first && at <= (last ?? size));
        const bytes = Array.from({ length: size }, (_, at) => at).filter(wanted);
        const backwards = first !== null && last !== null && last < first;
        const expected = backwards ? "whole" : bytes.length === 0 ? 416 : `${bytes[0]}-${bytes.at(-1)}`;
        expect(served(`bytes=${first ?? ""}-${last ?? ""}`, size)).toBe(expected);
      }),
      { numRuns: 1_000 },
    );
  });
});
