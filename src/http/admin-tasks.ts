// The operator API's single tasks: find one by its id or its request, end it, have it looked at now.
import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Refusal } from "../core/errors.ts";
import type { Result } from "../core/result.ts";
import type { Operator } from "../service/operator/operator.ts";
import type { TaskView } from "../service/operator/tasks.ts";
import { mode, OPERATOR, reason, replies, takes, toSeconds } from "./admin-wire.ts";
import type { App, AppEnv } from "./context.ts";
import { refuse } from "./errors.ts";
import { jsonBody } from "./json-body.ts";
import { strictBody } from "./validation.ts";

/** The machine's own words, which say more than the four that tenants see. */
const step = z.enum(["queued", "submitting", "running", "storing", "settling", "completed", "failed"]);

/** Whatever is known of it but what was asked for: the prompt is its tenant's. */
const taskReply = z
  .strictObject({
    id: z.string(),
    tenant: z.string(),
    mode,
    status: step,
    model: z.string(),
    credits: z.int(),
    created_at: z.int(),
    deadline_at: z.int(),
    key_id: z.string(),
    request_id: z.string(),
    timeline: z.array(z.strictObject({ at: z.int(), step })),
    attempts: z.array(
      z.strictObject({
        provider: z.string(),
        model: z.string(),
        started_at: z.int(),
        outcome: z.enum(["open", "accepted", "busy", "refused", "unsent", "unknown", "failed", "abandoned"]),
        /** Why it came to nothing, in our words; null: it did not, or it is not known. */
        reason: z.string().nullable(),
      }),
    ),
    hold: z.enum(["held", "settled", "released", "withdrawn"]).nullable(),
    failure: z.string().nullable(),
  })
  .openapi("OperatorTask");

const tenant = z.string().min(1).max(64);
const taskParam = z.object({
  id: z.string().openapi({ param: { name: "id", in: "path" }, example: "veo3:1704067200-xxxxxxxx" }),
});

const findQuery = z
  .object({ id: z.string().min(1).optional(), request_id: z.string().min(1).optional(), tenant: tenant.optional() })
  .refine((query) => (query.id === undefined) !== (query.request_id === undefined), {
    path: ["id"],
    message: "or request_id is to be given, and only one of them",
    params: { code: "missing_required_parameter" },
  });

const findTask = createRoute({
  ...OPERATOR,
  method: "get",
  path: "/admin/v1/tasks",
  summary: "Find a task by its id or by the id of the request that made it",
  request: { query: findQuery },
  responses: replies("The task", taskReply),
});

const failTask = createRoute({
  ...OPERATOR,
  method: "post",
  path: "/admin/v1/tasks/{id}/fail",
  summary: "End a task without a charge; what a provider still makes of it is an orphan",
  middleware: jsonBody,
  request: { params: taskParam, body: takes(strictBody({ reason, tenant: tenant.optional() })) },
  responses: replies("The task", taskReply),
});

const retryTask = createRoute({
  ...OPERATOR,
  method: "post",
  path: "/admin/v1/tasks/{id}/retry",
  summary: "Have a task take its next step now",
  middleware: jsonBody,
  request: { params: taskParam, body: takes(strictBody({ tenant: tenant.optional() })) },
  responses: replies("The task", taskReply),
});

export function mountAdminTasks(app: App, { tasks }: Operator): void {
  app.openapi(findTask, async (c) => {
    const { id, request_id: requestId = "", tenant: among = null } = c.req.valid("query");
    return tellTask(c, await (id === undefined ? tasks.findByRequest(requestId, among) : tasks.find(id, among)));
  });

  app.openapi(failTask, async (c) => {
    const body = c.req.valid("json");
    return tellTask(c, await tasks.fail(c.var.actor, c.req.valid("param").id, body.tenant ?? null, body.reason));
  });

  app.openapi(retryTask, async (c) => {
    const { tenant: among = null } = c.req.valid("json");
    return tellTask(c, await tasks.retry(c.var.actor, c.req.valid("param").id, among));
  });
}

function tellTask(c: Context<AppEnv>, found: Result<TaskView, Refusal>) {
  if (!found.ok) return refuse(c, found.error);
  c.set("taskId", found.value.task.id);
  return c.json(toTask(found.value), 200);
}

function toTask({ task, hold }: TaskView): z.infer<typeof taskReply> {
  return {
    id: task.id,
    tenant: task.tenant,
    mode: task.mode,
    status: task.status,
    model: task.generation.model,
    credits: task.credits,
    created_at: toSeconds(task.createdAt),
    deadline_at: toSeconds(task.deadlineAt),
    key_id: task.keyId,
    request_id: task.requestId,
    timeline: task.timeline.map(({ at, status }) => ({ at: toSeconds(at), step: status })),
    attempts: task.attempts.map(({ provider, model, startedAt, outcome, reason = null }) => ({
      provider,
      model,
      started_at: toSeconds(startedAt),
      outcome,
      reason,
    })),
    hold,
    failure: task.status === "failed" ? task.reason : failureUnderWay(task),
  };
}

/** Why it will have failed once its hold is given back. */
function failureUnderWay(task: TaskView["task"]): string | null {
  return task.status === "settling" && task.outcome.kind === "failed" ? task.outcome.reason : null;
}
