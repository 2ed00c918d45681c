// Text for people: aligned columns without lines, which read well, paste well and can be cut by other programs.
import Table from "cli-table3";
import { printable } from "./printable.ts";

export type Cell = string | number | boolean | null | undefined;

export interface Column<Row> {
  readonly title: string;
  readonly of: (row: Row) => Cell;
}

const NO_LINES = Object.fromEntries(
  ["top", "bottom", "left", "right", "mid", "top-mid", "top-left", "top-right", "bottom-mid", "bottom-left", "bottom-right"]
    .concat(["left-mid", "mid-mid", "right-mid", "middle"])
    .map((line) => [line, ""]),
);
const STYLE = { head: [], border: [], "padding-left": 0, "padding-right": 2, compact: true };
const numbers = new Intl.NumberFormat("en-US");

/** `empty`: what to say where there are no rows. Columns of numbers are aligned to the right. */
export function table<Row>(rows: readonly Row[], columns: readonly Column<Row>[], empty: string): string {
  if (rows.length === 0) return empty;
  const cells = rows.map((row) => columns.map((column) => column.of(row)));
  const isNumeric = (index: number): boolean =>
    cells.some((row) => typeof row[index] === "number") && cells.every((row) => !isText(row[index]));
  return draw(
    columns.map(({ title }) => title),
    cells,
    columns.map((_, index) => (isNumeric(index) ? "right" : "left")),
  );
}

/** One thing, a line for each of its properties. Lines without a value are left out. */
export function sheet(lines: readonly (readonly [string, Cell])[]): string {
  return draw(
    [],
    lines.filter(([, value]) => value !== null && value !== undefined && value !== ""),
    ["left", "left"],
  );
}

/** With a line between them. */
export function sections(...parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join("\n\n");
}

/** One cell's text, whatever the server has put in it. */
export function cell(value: Cell): string {
  if (value === null || value === undefined) return "-";
  if (typeof value === "number") return numbers.format(value);
  return printable(typeof value === "boolean" ? (value ? "yes" : "no") : String(value));
}

function isText(value: Cell): boolean {
  return value !== null && value !== undefined && typeof value !== "number";
}

function draw(head: string[], cells: readonly (readonly Cell[])[], colAligns: ("left" | "right")[]): string {
  const drawn = new Table({ head, colAligns, style: STYLE, chars: NO_LINES });
  drawn.push(...cells.map((row) => row.map(cell)));
  return drawn
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}
