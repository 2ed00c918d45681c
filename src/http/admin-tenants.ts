// The operator API's tenants: open, list, show, change, suspend, resume, delete.
import { createRoute, z } from "@hono/zod-openapi";
import type { Operator } from "../service/operator/operator.ts";
import {
  line,
  OPERATOR,
  reason,
  replies,
  takes,
  tellTenant,
  tenantParam,
  tenantReply,
  tenantRow,
  toTenantRow,
} from "./admin-wire.ts";
import type { App } from "./context.ts";
import { refuse } from "./errors.ts";
import { jsonBody } from "./json-body.ts";
import { listOf, page, pageQuery } from "./page.ts";
import { planBody, toLimits } from "./plan.ts";
import { strictBody } from "./validation.ts";

const name = line(64);

const tenantPage = pageQuery.extend({
  after: z
    .string()
    .refine((text) => /^[0-9A-Za-z]{8}$/.test(text), {
      message: "is not a cursor of this list",
      params: { code: "invalid_cursor" },
    })
    .optional(),
});

const changeBody = strictBody({ name: name.optional(), plan: planBody.optional() }).refine(
  (body) => body.name !== undefined || body.plan !== undefined,
  { message: "must have a name or a plan", params: { code: "missing_required_parameter" } },
);

const createTenant = createRoute({
  ...OPERATOR,
  method: "post",
  path: "/admin/v1/tenants",
  summary: "Open a tenant",
  middleware: jsonBody,
  request: { body: takes(strictBody({ name, plan: planBody.optional() })) },
  responses: replies("The tenant", tenantReply),
});

const listTenants = createRoute({
  ...OPERATOR,
  method: "get",
  path: "/admin/v1/tenants",
  summary: "List the tenants, by id",
  request: { query: tenantPage },
  responses: replies("A page", listOf(tenantRow)),
});

const getTenant = createRoute({
  ...OPERATOR,
  method: "get",
  path: "/admin/v1/tenants/{id}",
  summary: "Show a tenant",
  request: { params: tenantParam },
  responses: replies("The tenant", tenantReply),
});

const changeTenant = createRoute({
  ...OPERATOR,
  method: "patch",
  path: "/admin/v1/tenants/{id}",
  summary: "Rename a tenant, or change its plan",
  middleware: jsonBody,
  request: { params: tenantParam, body: takes(changeBody) },
  responses: replies("The tenant", tenantReply),
});

const suspendTenant = createRoute({
  ...OPERATOR,
  method: "post",
  path: "/admin/v1/tenants/{id}/suspend",
  summary: "Stop a tenant's spending at once, and its reading soon after",
  middleware: jsonBody,
  request: { params: tenantParam, body: takes(strictBody({ reason: reason.optional() })) },
  responses: replies("The tenant", tenantReply),
});

const resumeTenant = createRoute({
  ...OPERATOR,
  method: "post",
  path: "/admin/v1/tenants/{id}/resume",
  summary: "Let a suspended tenant go on",
  middleware: jsonBody,
  request: { params: tenantParam, body: takes(strictBody({ reason: reason.optional() })) },
  responses: replies("The tenant", tenantReply),
});

const deleteTenant = createRoute({
  ...OPERATOR,
  method: "delete",
  path: "/admin/v1/tenants/{id}",
  summary: "Close a tenant for good: its keys end, its tasks end uncharged, its videos go; its books stay",
  middleware: jsonBody,
  request: { params: tenantParam, body: takes(strictBody({ confirm: z.string() })) },
  responses: replies("It is done", z.strictObject({ id: z.string(), deleted: z.literal(true) })),
});

export function mountAdminTenants(app: App, { tenants }: Operator): void {
  app.openapi(createTenant, async (c) => {
    const body = c.req.valid("json");
    return tellTenant(c, await tenants.create(c.var.actor, body.name, toLimits(body.plan ?? {})));
  });

  app.openapi(listTenants, async (c) => {
    const { limit, after } = c.req.valid("query");
    const found = await tenants.list(after ?? null, limit + 1);
    return c.json(
      page(found, limit, toTenantRow, ({ id }) => id),
      200,
    );
  });

  app.openapi(getTenant, async (c) => tellTenant(c, await tenants.find(c.req.valid("param").id)));

  app.openapi(changeTenant, async (c) => {
    const { name: newName, plan } = c.req.valid("json");
    const change = { ...(newName !== undefined && { name: newName }), ...(plan !== undefined && { limits: toLimits(plan) }) };
    return tellTenant(c, await tenants.change(c.var.actor, c.req.valid("param").id, change));
  });

  app.openapi(suspendTenant, async (c) =>
    tellTenant(c, await tenants.suspend(c.var.actor, c.req.valid("param").id, c.req.valid("json").reason ?? null)),
  );

  app.openapi(resumeTenant, async (c) =>
    tellTenant(c, await tenants.resume(c.var.actor, c.req.valid("param").id, c.req.valid("json").reason ?? null)),
  );

  app.openapi(deleteTenant, async (c) => {
    const { id } = c.req.valid("param");
    const removed = await tenants.remove(c.var.actor, id, c.req.valid("json").confirm);
    return removed.ok ? c.json({ id, deleted: true as const }, 200) : refuse(c, removed.error);
  });
}
