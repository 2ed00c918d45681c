import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson, parseIdempotencyKey } from "../../src/core/idempotency.ts";

describe("parseIdempotencyKey", () => {
  it("is null where there is no header", () => {
    expect(parseIdempotencyKey(null)).toEqual({ ok: true, value: null });
  });

  it.each([
    ["order-42", "order-42"],
    ['"order-42"', "order-42"],
    ["8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"],
    ["two words", "two words"],
    ["C:\\orders\\42", "C:\\orders\\42"],
    ["it's #42; a=b", "it's #42; a=b"],
    ['"a, b"', "a, b"],
    ['"say \\"hi\\""', 'say "hi"'],
    ['"back\\\\slash"', "back\\slash"],
    ['"\\\\\\""', '\\"'],
    ['"\\\\n"', "\\n"],
  ])("reads %s as %s", (header, key) => {
    expect(parseIdempotencyKey(header)).toEqual({ ok: true, value: key });
  });

  it("is the same key quoted or bare", () => {
    expect(parseIdempotencyKey('"order-42"')).toEqual(parseIdempotencyKey("order-42"));
  });

  it.each([
    ["a list", "a,b"],
    ["a list of quoted ones", '"a", "b"'],
    ["a header that was sent twice", "a, a"],
    ["one with a quote in it", 'a"b'],
    ["a quote that is not closed", '"a'],
    ["a quote that is not opened", 'a"'],
    ["nothing but a quote", '"'],
    ["a quote whose end is escaped", '"a\\"'],
    ["a quote with an escape that is none", '"a\\n"'],
    ["a quoted one with parameters", '"a";b=1'],
  ])("does not take %s for one value", (_, header) => {
    expect(parseIdempotencyKey(header)).toEqual({ ok: false, error: "must be one value" });
  });

  it.each([
    ["nothing", ""],
    ["nothing in quotes", '""'],
    ["blanks", "   "],
    ["blanks in quotes", '"  "'],
    ["256 characters", "k".repeat(256)],
    ["256 characters in quotes", `"${"k".repeat(256)}"`],
    ["other letters than ASCII", "заказ-42"],
    ["other letters than ASCII in quotes", '"zażółć"'],
    ["a tab", "a\tb"],
    ["a line break", "a\n"],
    ["a NUL in quotes", '"a\u0000"'],
    ["a DEL", "a\u007f"],
  ])("refuses %s", (_, header) => {
    expect(parseIdempotencyKey(header)).toEqual({ ok: false, error: "must be 1 to 255 printable ASCII characters" });
  });

  it("counts the key's own characters, without quotes and escapes", () => {
    const longest = `${'\\"'.repeat(100)}${"k".repeat(155)}`;
    expect(parseIdempotencyKey(`"${longest}"`)).toEqual({ ok: true, value: `${'"'.repeat(100)}${"k".repeat(155)}` });
    expect(parseIdempotencyKey(`"${longest}k"`).ok).toBe(false);
    expect(parseIdempotencyKey("k".repeat(255)).ok).toBe(true);
  });

  it("reads back any printable key that was quoted", () => {
    const printable = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) });
    fc.assert(
      fc.property(printable, (key) => {
        fc.pre(key.trim() !== "" && key.length <= 255);
        const header = `"${key.replaceAll(/["\\]/g, "\\$&")}"`;
        expect(parseIdempotencyKey(header)).toEqual({ ok: true, value: key });
      }),
    );
  });

  it("answers any header with a key or a reason, in no time", () => {
    const hostile = fc.string({ unit: fc.constantFrom('"', "\\", ",", " ", "a", "é", "\n"), maxLength: 10_000 });
    fc.assert(
      fc.property(hostile, (header) => {
        const parsed = parseIdempotencyKey(header);
        if (parsed.ok) expect(parsed.value).toMatch(/^[ -~]{1,255}$/);
      }),
    );
    expect(parseIdempotencyKey(`"${"\\\\".repeat(100_000)}`).ok).toBe(false);
  });
});

/** The same JSON with the names of every object in another order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([name, each]) => [name, reversed(each)]),
  );
}

describe("canonicalJson", () => {
  it("is the same whatever the order of names, at any depth", () => {
    expect(canonicalJson({ b: { d: 1, c: 2 }, a: 3 })).toBe('{"a":3,"b":{"c":2,"d":1}}');
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(canonicalJson(reversed(value))).toBe(canonicalJson(value));
      }),
    );
  });

  it("keeps the order of arrays, and every place in them", () => {
    expect(canonicalJson(["b", "a"])).toBe('["b","a"]');
    expect(canonicalJson([null, 1])).toBe("[null,1]");
    expect(canonicalJson([[1, 2], []])).not.toBe(canonicalJson([[1], [2]]));
    expect(canonicalJson([[], 1])).toBe("[[],1]");
  });

  it("takes null for the same as absent, and nothing else", () => {
    expect(canonicalJson({ a: 1, b: null, c: undefined })).toBe(canonicalJson({ a: 1 }));
    expect(canonicalJson({ a: { b: null } })).toBe('{"a":{}}');
    for (const value of [0, "", false, [], {}, [null]]) expect(canonicalJson({ a: value })).not.toBe(canonicalJson({}));
    expect(canonicalJson(null)).toBe("null");
  });

  it("tells apart what JSON tells apart", () => {
    const texts = [1, "1", true, "true", null, "null", "", [], {}, [1], ["1"], "[1]", { a: 1 }, { a: "1" }, '{"a":1}'].map(
      canonicalJson,
    );
    expect(new Set(texts).size).toBe(texts.length);
    expect(canonicalJson({ 'a":1,"b': 2 })).not.toBe(canonicalJson({ a: 1, b: 2 }));
    expect(canonicalJson(["a,b"])).not.toBe(canonicalJson(["a", "b"]));
  });

  it("is JSON, and means what it was made of but for what is null", () => {
    const withoutNull = fc.jsonValue().filter((value) => !/:null\b/.test(JSON.stringify(value)));
    fc.assert(
      fc.property(withoutNull, (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});
