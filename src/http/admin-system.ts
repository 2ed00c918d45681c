// The operator API's view of the gateway itself: who changed what, the sweep, KV, and what is wrong.
import { createRoute, z } from "@hono/zod-openapi";
import type { Limits } from "../core/quota.ts";
import type { AuditEntry } from "../ports.ts";
import type { Operator } from "../service/operator/operator.ts";
import { OPERATOR, replies, takes, toSeconds } from "./admin-wire.ts";
import type { App } from "./context.ts";
import { jsonBody } from "./json-body.ts";
import { listOf, page, pageQuery } from "./page.ts";
import { toPlan } from "./plan.ts";
import { strictBody } from "./validation.ts";

const auditEntry = z
  .strictObject({
    seq: z.int(),
    at: z.int(),
    actor: z.string(),
    action: z.string(),
    target: z.string(),
    /** As it was and as it is, where there is such a side. Never a key or a secret. */
    before: z.unknown(),
    after: z.unknown(),
  })
  .openapi("AuditEntry");

const sweepReport = z.strictObject({
  /** False: another pass is at it. */
  ran: z.boolean(),
  tenants: z.int(),
  objects: z.int(),
  orphans: z.int(),
  errors: z.int(),
});

const check = z.strictObject({ name: z.string(), ok: z.boolean(), detail: z.string(), mend: z.string().nullable() });

const getAudit = createRoute({
  ...OPERATOR,
  method: "get",
  path: "/admin/v1/audit",
  summary: "Every change an operator made, newest first",
  request: { query: pageQuery },
  responses: replies("A page", listOf(auditEntry)),
});

const runSweep = createRoute({
  ...OPERATOR,
  method: "post",
  path: "/admin/v1/sweep",
  summary: "Run a pass of the sweep now, or see what one would do",
  middleware: jsonBody,
  request: { body: takes(strictBody({ dry_run: z.boolean().default(false) })) },
  responses: replies("What it did", sweepReport),
});

const rebuildKv = createRoute({
  ...OPERATOR,
  method: "post",
  path: "/admin/v1/rebuild-kv",
  summary: "Write all of KV anew",
  middleware: jsonBody,
  request: { body: takes(strictBody({})) },
  responses: replies("How many tenants that were", z.strictObject({ tenants: z.int() })),
});

const getDoctor = createRoute({
  ...OPERATOR,
  method: "get",
  path: "/admin/v1/doctor",
  summary: "What is wrong, and how to mend it",
  responses: replies("Every check", z.strictObject({ ok: z.boolean(), checks: z.array(check) })),
});

export function mountAdminSystem(app: App, operator: Operator): void {
  app.openapi(getAudit, async (c) => {
    const { limit, after } = c.req.valid("query");
    const entries = await operator.auditLog(after === undefined ? null : Number(after), limit + 1);
    return c.json(
      page(entries, limit, toAuditEntry, ({ seq }) => seq),
      200,
    );
  });

  app.openapi(runSweep, async (c) => {
    const report = await operator.sweep(c.var.actor, c.req.valid("json").dry_run);
    return c.json({ ran: report !== null, ...(report ?? { tenants: 0, objects: 0, orphans: 0, errors: 0 }) }, 200);
  });

  app.openapi(rebuildKv, async (c) => c.json({ tenants: await operator.rebuildKv(c.var.actor) }, 200));

  app.openapi(getDoctor, async (c) => {
    const checks = await operator.doctor();
    return c.json({ ok: checks.every(({ ok }) => ok), checks }, 200);
  });
}

function toAuditEntry({ at, before, after, ...entry }: AuditEntry): z.infer<typeof auditEntry> {
  return { ...entry, at: toSeconds(at), before: sideOf(before), after: sideOf(after) };
}

function sideOf(text: string | null): unknown {
  return text === null ? null : inWireWords(JSON.parse(text));
}

/** What was noted in our own words, in those of this API: a plan for limits, `expires_at` in seconds for expiresAt. */
function inWireWords(side: unknown): unknown {
  if (typeof side !== "object" || side === null || Array.isArray(side)) return side;
  return Object.fromEntries(
    Object.entries(side).map(([name, value]: [string, unknown]) => {
      if (name === "limits") return ["plan", toPlan(value as Limits)];
      const word = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      return [word, word.endsWith("_at") && typeof value === "number" ? toSeconds(value) : inWireWords(value)];
    }),
  );
}
