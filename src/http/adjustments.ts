// What a dialect has words for and our models do not: taken, made otherwise, and said so in the reply to the create.
import { z } from "@hono/zod-openapi";
import type { ModelName } from "../core/models.ts";

export const adjustment = z
  .strictObject({
    param: z.string(),
    /** As it was asked for. */
    from: z.union([z.string(), z.number(), z.boolean()]).openapi({ type: ["string", "number", "boolean"] }),
    /** As it is done; null: it has no effect. */
    to: z
      .union([z.string(), z.number()])
      .nullable()
      .openapi({ type: ["string", "number", "null"] }),
    why: z.string(),
  })
  .openapi("Adjustment");

export type Adjustment = z.infer<typeof adjustment>;

/** Every model makes videos of this length. */
export const VIDEO_SECONDS = 8;

/** Null: it was asked for as it is made. */
export function adjustedLength<Value extends string | number>(param: string, asked: Value, made: Value): Adjustment | null {
  return asked === made ? null : { param, from: asked, to: made, why: `The models make videos of ${VIDEO_SECONDS} seconds.` };
}

export function ofAnotherModel(asked: string, model: ModelName): Adjustment {
  return { param: "model", from: asked, to: model, why: `${asked} is not served here; ${model} comes nearest to it.` };
}
