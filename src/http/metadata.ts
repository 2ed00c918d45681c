// A tenant's own words about a task: pairs of texts, as OpenAI and Stripe have them.
import { z } from "@hono/zod-openapi";

const MAX_PAIRS = 16;
const MAX_VALUE_LENGTH = 512;

export const metadataKey = z.string().refine((key) => /^[\w.-]{1,64}$/.test(key), "must have 1 to 64 letters, digits, _, . or -");

export const metadataValue = z.string().superRefine((value, context) => {
  const fault = (code: string, message: string): void => context.addIssue({ code: "custom", message, params: { code } });
  if (!value.isWellFormed()) return fault("invalid_unicode", "holds half of a surrogate pair");
  const length = [...value].length;
  if (length > MAX_VALUE_LENGTH) fault("invalid_value", `has ${length} characters; ${MAX_VALUE_LENGTH} are allowed`);
});

/** A name that zod leaves out of what it parsed, and that would so be lost without a word. */
const UNSPEAKABLE = "__proto__";

export const metadata = z
  .preprocess(
    (pairs, context) => {
      if (typeof pairs === "object" && pairs !== null && Object.hasOwn(pairs, UNSPEAKABLE))
        context.addIssue({ code: "custom", message: "is a name that is not allowed", path: [UNSPEAKABLE] });
      return pairs;
    },
    z
      .record(metadataKey, metadataValue)
      .refine((pairs) => Object.keys(pairs).length <= MAX_PAIRS, `takes at most ${MAX_PAIRS} pairs`),
  )
  .openapi({
    // What zod's preprocess hides of what is within.
    type: ["object", "null"],
    additionalProperties: { type: "string", maxLength: MAX_VALUE_LENGTH },
    description: `Your own words about the task, given back with it: at most ${MAX_PAIRS} pairs`,
    example: { order: "A-17" },
  });
