import { expect, it } from "vitest";
import { printable } from "../../src/cli/printable.ts";

it.each([
  ["\u001b[31mred\u001b[0m", "[31mred [0m"],
  ["two\r\nlines\u2028three", "two lines three"],
  ["\u202eabc\u0007", "abc"],
  ["湖の夕日 🎬", "湖の夕日 🎬"],
])("makes %j safe to print", (text, printed) => {
  expect(printable(text)).toBe(printed);
});
