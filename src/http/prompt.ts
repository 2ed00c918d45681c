// A prompt, as every dialect takes it.
import { z } from "@hono/zod-openapi";
import { MAX_PROMPT_CODE_POINTS } from "../core/generation.ts";

export const promptText = z.string().superRefine((text, context) => {
  const fault = (code: string, message: string): void => context.addIssue({ code: "custom", message, params: { code } });
  if (!text.isWellFormed()) return fault("invalid_unicode", "holds half of a surrogate pair");
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.test(text)) return fault("invalid_characters", "holds control characters");
  // Spaces of every kind, and what has no width.
  if (!/[^\s\u200b-\u200f\u2060-\u2064\ufeff\u00ad]/u.test(text)) return fault("invalid_value", "must not be blank");
  const length = [...text].length;
  if (length > MAX_PROMPT_CODE_POINTS) fault("prompt_too_long", `has ${length} characters; ${MAX_PROMPT_CODE_POINTS} are allowed`);
});
