// The operator API's models: what they cost, and whether they are sold. A change counts everywhere within a minute, without a deploy.
import { createRoute, z } from "@hono/zod-openapi";
import { MODEL_NAMES, type ModelSwitch } from "../core/models.ts";
import type { ModelView } from "../service/operator/models.ts";
import type { Operator } from "../service/operator/operator.ts";
import { OPERATOR, reason, replies, takes } from "./admin-wire.ts";
import type { App } from "./context.ts";
import { jsonBody } from "./json-body.ts";
import { MOST_CREDITS } from "./plan.ts";
import { strictBody, whole } from "./validation.ts";

const changeBody = strictBody({
  enabled: z.boolean().optional(),
  /** Told to tenants who ask for it meanwhile. */
  reason: reason.optional(),
  /** Null: as the catalogue has it. */
  credits: whole(1, MOST_CREDITS).nullable().optional(),
  upsample_credits: whole(0, MOST_CREDITS).nullable().optional(),
})
  .refine((body) => [body.enabled, body.reason, body.credits, body.upsample_credits].some((field) => field !== undefined), {
    message: "must have enabled, credits or upsample_credits",
    params: { code: "missing_required_parameter" },
  })
  .refine((body) => body.enabled !== false || body.reason !== undefined, {
    path: ["reason"],
    message: "is required to switch a model off",
    params: { code: "missing_required_parameter" },
  })
  .refine((body) => body.reason === undefined || body.enabled === false, {
    path: ["reason"],
    message: "is only for switching a model off",
  })
  .openapi("ChangeModel");

const modelReply = z
  .strictObject({
    id: z.enum(MODEL_NAMES),
    enabled: z.boolean(),
    reason: z.string().nullable(),
    credits: z.int(),
    upsample_credits: z.int(),
  })
  .openapi("OperatorModel");

const modelParam = z.object({ model: z.enum(MODEL_NAMES).openapi({ param: { name: "model", in: "path" } }) });

const listModels = createRoute({
  ...OPERATOR,
  method: "get",
  path: "/admin/v1/models",
  summary: "List the models as they are sold now",
  responses: replies("All of them", z.strictObject({ object: z.literal("list"), data: z.array(modelReply) })),
});

const changeModel = createRoute({
  ...OPERATOR,
  method: "patch",
  path: "/admin/v1/models/{model}",
  summary: "Switch a model off or on, or change its price",
  middleware: jsonBody,
  request: { params: modelParam, body: takes(changeBody) },
  responses: replies("The model", modelReply),
});

export function mountAdminModels(app: App, { models }: Operator): void {
  app.openapi(listModels, async (c) => {
    const data = (await models.list()).map(toModel);
    return c.json({ object: "list" as const, data }, 200);
  });

  app.openapi(changeModel, async (c) => {
    const changed = await models.change(c.var.actor, c.req.valid("param").model, toSwitch(c.req.valid("json")));
    return c.json(toModel(changed), 200);
  });
}

function toSwitch(body: z.infer<typeof changeBody>): Partial<ModelSwitch> {
  return {
    ...(body.enabled !== undefined && { off: body.enabled ? null : (body.reason ?? "") }),
    ...(body.credits !== undefined && { credits: body.credits }),
    ...(body.upsample_credits !== undefined && { upsampleCredits: body.upsample_credits }),
  };
}

function toModel({ model, off }: ModelView): z.infer<typeof modelReply> {
  const { name, credits, upsampleCredits } = model;
  return { id: name, enabled: off === null, reason: off, credits, upsample_credits: upsampleCredits };
}
