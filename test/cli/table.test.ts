import { describe, expect, it } from "vitest";
import { cell, sections, sheet, table } from "../../src/cli/table.ts";

const COLUMNS = [
  { title: "name", of: ({ name }: Row) => name },
  { title: "credits", of: ({ credits }: Row) => credits },
];
interface Row {
  readonly name: string | null;
  readonly credits: number | null;
}

describe("table", () => {
  it("aligns text to the left and numbers to the right", () => {
    const rows = [
      { name: "Acme", credits: 1_234_567 },
      { name: "B", credits: null },
    ];
    expect(table(rows, COLUMNS, "")).toBe(["name    credits", "Acme  1,234,567", "B             -"].join("\n"));
  });

  it("counts wide characters as a terminal does", () => {
    const rows = [
      { name: "湖の夕日", credits: 1 },
      { name: "ab", credits: 2 },
    ];
    expect(table(rows, COLUMNS, "").split("\n")).toEqual(["name      credits", "湖の夕日        1", "ab              2"]);
  });

  it("keeps one line a row, whatever a cell holds", () => {
    const rows = [{ name: "two\nlines\u001b[2J\u001b]0;title\u0007\u009b31m\u202e", credits: 1 }];
    const drawn = table(rows, COLUMNS, "");
    expect(drawn.split("\n")).toHaveLength(2);
    expect(drawn).toContain("two lines");
    expect(drawn).not.toMatch(/[^\P{C}\n]/u);
  });

  it("says what there is where there are no rows", () => {
    expect(table<Row>([], COLUMNS, "Nothing.")).toBe("Nothing.");
  });
});

it("a sheet leaves out what has no value", () => {
  expect(
    sheet([
      ["Id", "x1"],
      ["Name", null],
      ["Credits", 1000],
    ]),
  ).toBe("Id       x1\nCredits  1,000");
});

it("sections are a line apart, and empty ones are none", () => {
  expect(sections("a", "", "b")).toBe("a\n\nb");
});

it.each([
  [null, "-"],
  [undefined, "-"],
  ["", ""],
  [0, "0"],
  [-1234, "-1,234"],
  [true, "yes"],
  ["\u001b[31mred\u001b[0m", "red"],
])("the cell of %j is %s", (value, text) => {
  expect(cell(value)).toBe(text);
});
