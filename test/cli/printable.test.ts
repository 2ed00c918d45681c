import { expect, it } from "vitest";
import { printable, printableJson } from "../../src/cli/printable.ts";

it.each([
  ["\u001b[31mred\u001b[0m", "red"],
  ["two\r\nlines\u2028three", "two lines three"],
  ["\u202eabc\u0007", "abc"],
  ["湖の夕日 🎬", "湖の夕日 🎬"],
])("makes %j safe to print", (text, printed) => {
  expect(printable(text)).toBe(printed);
});

it.each(["\u009b31m", "\u202e", "\u2028", "\u{e0001}", "plain 🎬 湖", "\ud800"])(
  "makes JSON of %j safe to print, and keeps what it means",
  (text) => {
    const made = printableJson(JSON.stringify({ text }));
    expect(made).not.toMatch(/[\u009b\u202e\u2028\u{e0001}]/u);
    expect(JSON.parse(made)).toEqual({ text });
  },
);
