// A tenant's plan as the wire has it, for the tenant itself and for the operator.
import { z } from "@hono/zod-openapi";
import { MODEL_NAMES } from "../core/models.ts";
import type { Limits } from "../core/quota.ts";
import { strictBody, whole } from "./validation.ts";

export const planReply = z
  .strictObject({
    /** Granted anew each calendar month (UTC). */
    credits: z.int(),
    requests_per_minute: z.int(),
    live_tasks: z.int(),
    /** Null: every model. */
    models: z.array(z.string()).nullable(),
    retention_days: z.int(),
    /** Whether a create may say which providers it wants. */
    route_choice: z.boolean(),
  })
  .openapi("Plan");

/** Far above any plan, and far below where sums of them would lose their last digit. */
export const MOST_CREDITS = 1_000_000_000_000;

/** Models that may be used; an empty list would be a key or a plan that is good for nothing. */
export const modelList = z.array(z.enum(MODEL_NAMES)).min(1).max(MODEL_NAMES.length).nullable();

/** What is left out stays as it is, or as it is by default. */
export const planBody = strictBody({
  credits: whole(0, MOST_CREDITS).optional(),
  requests_per_minute: whole(1, 1_000_000).optional(),
  live_tasks: whole(1, 1_000_000).optional(),
  models: modelList.optional(),
  retention_days: whole(1, 365).optional(),
  route_choice: z.boolean().optional(),
}).openapi("PlanChange");

export function toPlan(limits: Limits): z.infer<typeof planReply> {
  return {
    credits: limits.creditsPerPeriod,
    requests_per_minute: limits.createsPerMinute,
    live_tasks: limits.liveTasks,
    models: limits.models === null ? null : [...limits.models],
    retention_days: limits.retentionDays,
    route_choice: limits.choosesRoutes ?? false,
  };
}

export function toLimits(plan: z.infer<typeof planBody>): Partial<Limits> {
  return {
    ...(plan.credits !== undefined && { creditsPerPeriod: plan.credits }),
    ...(plan.requests_per_minute !== undefined && { createsPerMinute: plan.requests_per_minute }),
    ...(plan.live_tasks !== undefined && { liveTasks: plan.live_tasks }),
    ...(plan.models !== undefined && { models: plan.models }),
    ...(plan.retention_days !== undefined && { retentionDays: plan.retention_days }),
    ...(plan.route_choice !== undefined && { choosesRoutes: plan.route_choice }),
  };
}
