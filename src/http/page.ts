// Lists in OpenAI's shape, newest first, walked by a cursor that is the last entry's own number.
import { z } from "@hono/zod-openapi";
import { strictBody, wholeNumber } from "./validation.ts";

const CURSOR = /^[1-9]\d{0,15}$/;

export const pageQuery = strictBody({
  limit: wholeNumber(1, 100).default(20).openapi({ default: 20 }),
  after: z
    .string()
    .refine((text) => CURSOR.test(text), { message: "is not a cursor of this list", params: { code: "invalid_cursor" } })
    .optional(),
});

export function listOf<Each extends z.ZodType>(each: Each) {
  return z.strictObject({ object: z.literal("list"), data: z.array(each), has_more: z.boolean(), last_id: z.string().nullable() });
}

/** `found` holds one more than `limit` where there is another page. */
export function page<Row, Wire>(
  found: readonly Row[],
  limit: number,
  toWire: (row: Row) => Wire,
  idOf: (row: Row) => string | number,
) {
  const rows = found.slice(0, limit);
  const last = rows.at(-1);
  return {
    object: "list" as const,
    data: rows.map(toWire),
    has_more: found.length > limit,
    last_id: last === undefined ? null : String(idOf(last)),
  };
}
