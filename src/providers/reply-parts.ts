// What replies are made of, on whichever wire: parsed so that one odd member does not break the others.
import { z } from "zod";

const MAX_WORDS = 2_000;

/** A member of an unexpected type is as good as absent: a server that adds or changes one must not break the others. */
export function lenient<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().catch(null);
}

/** A provider's words, no more of them than are read. */
export const words = z.string().transform((value) => value.slice(0, MAX_WORDS));
export const text = lenient(z.union([z.string(), z.number()]).transform((value) => String(value).slice(0, MAX_WORDS)));
export const link = lenient(z.string().trim().min(1).max(8_192));

/** Dots alone would lead out of the path that the id is put into; half of a surrogate pair cannot be put there at all. */
export function pathId(max: number) {
  return lenient(
    z
      .string()
      .min(1)
      .max(max)
      .refine((id) => !/^\.+$/.test(id) && id.isWellFormed()),
  );
}
