import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findJsonFault, type JsonFault } from "../../src/http/json-text.ts";

/** A value as it is written, where an object may name a member twice. */
type Written = { object: [string, Written][] } | { array: Written[] } | { leaf: unknown };

const name = fc.constantFrom("a", "b", "model", "__proto__", "", '"', "\\", "{", "[,:", "é", "\u0000", "😀");
const leaf = fc.oneof(
  fc.constantFrom(null, true, false, 0, -1.5e-7, "", "[[", '{"a":1,"a":2}', '\\"', "\\\\"),
  fc.string({ unit: "binary" }),
);
const { written } = fc.letrec<{ written: Written }>((tie) => ({
  written: fc.oneof(
    { maxDepth: 6 },
    leaf.map((value) => ({ leaf: value })),
    fc.array(tie("written"), { maxLength: 4 }).map((array) => ({ array })),
    fc.array(fc.tuple(name, tie("written")), { maxLength: 4 }).map((object) => ({ object })),
  ),
}));

/** Writes with these spaces between tokens, and each name with these of its characters escaped. */
function write(value: Written, space: string, escaped: (index: number) => boolean): string {
  if ("leaf" in value) return `${space}${JSON.stringify(value.leaf)}${space}`;
  if ("array" in value) return `${space}[${value.array.map((each) => write(each, space, escaped)).join()}${space}]`;
  const members = value.object.map(([key, each]) => `${space}${writeName(key, escaped)}${space}:${write(each, space, escaped)}`);
  return `{${members.join()}${space}}`;
}

function writeName(text: string, escaped: (index: number) => boolean): string {
  const units = Array.from({ length: text.length }, (_, index) => {
    const code = `\\u${text.charCodeAt(index).toString(16).padStart(4, "0")}`;
    return escaped(index) ? code : JSON.stringify(text[index]).slice(1, -1);
  });
  return `"${units.join("")}"`;
}

/** As a reader would look for it, from the first character to the last. */
function firstFault(value: Written, maxDepth: number, depth = 0): JsonFault | null {
  if ("leaf" in value) return null;
  if (depth + 1 > maxDepth) return { kind: "too_deep" };
  const seen: string[] = [];
  for (const [key, each] of "array" in value ? value.array.map((item) => [null, item] as const) : value.object) {
    if (key !== null && seen.includes(key)) return { kind: "duplicate_key", name: key };
    if (key !== null) seen.push(key);
    const fault = firstFault(each, maxDepth, depth + 1);
    if (fault !== null) return fault;
  }
  return null;
}

function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

describe("findJsonFault", () => {
  it("finds the fault that a naive reader finds first, however it is written", () => {
    fc.assert(
      fc.property(
        written,
        fc.constantFrom("", " ", "\n\t\r "),
        fc.integer(),
        fc.integer({ min: 1, max: 8 }),
        (value, space, seed, maxDepth) => {
          const text = write(value, space, (index) => ((seed >> (index % 31)) & 1) === 1);
          JSON.parse(text);
          expect(findJsonFault(text, maxDepth)).toEqual(firstFault(value, maxDepth));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it("lets pass what JSON.stringify writes of any value up to the depth", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), fc.integer({ min: 0, max: 2 }), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        expect(findJsonFault(text, 8)).toEqual(depthOf(value) > 8 ? { kind: "too_deep" } : null);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    ['{"a":1,"a":2}', "a"],
    ['{"a":{"b":1},"c":{"b":1,"b":2}}', "b"],
    ['[{"a":1},{"a":1,"\\u0061":2}]', "a"],
    ['{"a\\"":1,"a\\"":2}', 'a"'],
    ['{"":1,"":2}', ""],
    ['{"a":"b","b":"a","a":0}', "a"],
  ])("%s names %j twice", (text, twice) => {
    expect(findJsonFault(text, 8)).toEqual({ kind: "duplicate_key", name: twice });
  });

  it.each(['{"a":"a","b":"a"}', '[{"a":1},{"a":1}]', '{"a":["a","a"]}', '{"a":{"a":{"a":1}}}', '{"A":1,"a":2}', '"a"', "1"])(
    "%s names nothing twice",
    (text) => expect(findJsonFault(text, 8)).toBeNull(),
  );

  it("reads a quarter of a megabyte in no time, whatever is in it", () => {
    const texts = [
      `"${"\\\\".repeat(120_000)}"`,
      `"${'\\"'.repeat(120_000)}"`,
      `[${'"a",'.repeat(60_000)}"a"]`,
      `{${Array.from({ length: 20_000 }, (_, index) => `"${index}":0`).join()}}`,
      `[${" ".repeat(250_000)}]`,
      "1".repeat(250_000),
    ];
    for (const text of texts) {
      const startedAt = Date.now();
      expect(findJsonFault(text, 8)).toBeNull();
      expect(Date.now() - startedAt).toBeLessThan(1_000);
    }
  });
});
