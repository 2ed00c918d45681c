// GET /v1/models: the catalogue, in OpenAI's list shape. Public, because prices and limits are no secret.
import { createRoute, z } from "@hono/zod-openapi";
import { ASPECT_RATIOS, type Model } from "../core/models.ts";
import type { App, Services } from "./context.ts";

const modelObject = z
  .strictObject({
    id: z.string(),
    object: z.literal("model"),
    created: z.int(),
    owned_by: z.string(),
    description: z.string(),
    capabilities: z.strictObject({
      aspect_ratios: z.array(z.enum(ASPECT_RATIOS)),
      max_images: z.int(),
      image_role: z.enum(["frames", "components"]).nullable(),
      upsample: z.boolean(),
    }),
    /** Whole credits for one video. */
    price: z.strictObject({ unit: z.literal("video"), credits: z.int(), upsample_credits: z.int() }),
    deadline_seconds: z.int(),
    /** False while the operator has it switched off. */
    available: z.boolean(),
  })
  .openapi("Model");

const modelList = z.strictObject({ object: z.literal("list"), data: z.array(modelObject) }).openapi("ModelList");

export const listModels = createRoute({
  method: "get",
  path: "/v1/models",
  summary: "List the models",
  responses: { 200: { description: "The catalogue", content: { "application/json": { schema: modelList } } } },
});

/** OpenAI's shape has a time here; ours is the day the catalogue began, 2026-11-22. */
export const CATALOGUE_SINCE = 1_795_305_600;

export function mountModels(app: App, { models }: Services): void {
  app.openapi(listModels, async (c) => {
    const { models: catalogue, switches } = await models();
    const data = Object.values(catalogue).map((model) => toWire(model, switches[model.name]?.off == null));
    return c.json({ object: "list" as const, data }, 200);
  });
}

function toWire(model: Model, available: boolean): z.infer<typeof modelObject> {
  return {
    id: model.name,
    object: "model",
    created: CATALOGUE_SINCE,
    owned_by: "reelay",
    description: model.description,
    capabilities: {
      aspect_ratios: [...model.aspectRatios],
      max_images: model.maxImages,
      image_role: model.imageRole,
      upsample: model.upsample,
    },
    price: { unit: "video", credits: model.credits, upsample_credits: model.upsampleCredits },
    deadline_seconds: Math.round(model.deadlineMs / 1000),
    available,
  };
}
