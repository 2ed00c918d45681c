// The operator API's money: grant and adjust, the journal and whether it adds up, and what was paid for and never delivered.
import { createRoute, z } from "@hono/zod-openapi";
import type { OrphanView } from "../ports.ts";
import type { Operator } from "../service/operator/operator.ts";
import { journalEntry, journalPage } from "./account.ts";
import {
  amounts,
  mode,
  OPERATOR,
  reason,
  replies,
  takes,
  tellTenant,
  tenantParam,
  tenantReply,
  toAmounts,
  toSeconds,
} from "./admin-wire.ts";
import type { App } from "./context.ts";
import { refuse } from "./errors.ts";
import { jsonBody } from "./json-body.ts";
import { listOf, page, pageQuery } from "./page.ts";
import { MOST_CREDITS } from "./plan.ts";
import { strictBody, whole } from "./validation.ts";

const modeOrLive = mode.default("live");
const modeQuery = z.object({ mode: modeOrLive });
const modePage = pageQuery.extend({ mode: modeOrLive });

const creditBody = strictBody({
  kind: z.enum(["grant", "adjust"]),
  amount: whole(-MOST_CREDITS, MOST_CREDITS),
  reason,
  mode: modeOrLive,
})
  .refine(({ kind, amount }) => kind === "adjust" || amount > 0, { path: ["amount"], message: "of a grant must be more than 0" })
  .refine(({ amount }) => amount !== 0, { path: ["amount"], message: "must not be 0" })
  .openapi("CreditTenant");

const orphanReply = z
  .strictObject({
    seq: z.int(),
    at: z.int(),
    task: z.string(),
    provider: z.string(),
    model: z.string(),
    reason: z.string(),
    cost_cents: z.number().nullable().openapi({ description: "What it cost you there, in US cents; null: not known" }),
    written_off: z.strictObject({ at: z.int(), reason: z.string() }).nullable(),
  })
  .openapi("Orphan");

const orphanParam = tenantParam.extend({
  seq: z.coerce
    .number<string>()
    .int()
    .min(1)
    .openapi({ param: { name: "seq", in: "path" }, example: 1 }),
});

const creditTenant = createRoute({
  ...OPERATOR,
  method: "post",
  path: "/admin/v1/tenants/{id}/credits",
  summary: "Grant credits, or adjust them with a reason",
  middleware: jsonBody,
  request: { params: tenantParam, body: takes(creditBody) },
  responses: replies("The tenant", tenantReply),
});

const getJournal = createRoute({
  ...OPERATOR,
  method: "get",
  path: "/admin/v1/tenants/{id}/journal",
  summary: "Every movement of credits, newest first",
  request: { params: tenantParam, query: modePage },
  responses: replies("A page", listOf(journalEntry)),
});

const recompute = createRoute({
  ...OPERATOR,
  method: "get",
  path: "/admin/v1/tenants/{id}/recompute",
  summary: "The balances beside what the journal adds up to",
  request: { params: tenantParam, query: modeQuery },
  responses: replies("Both", z.strictObject({ balances: amounts, journal: amounts, equal: z.boolean() })),
});

const listOrphans = createRoute({
  ...OPERATOR,
  method: "get",
  path: "/admin/v1/tenants/{id}/orphans",
  summary: "Upstream work that was paid for and not delivered, newest first",
  request: { params: tenantParam, query: modePage },
  responses: replies("A page", listOf(orphanReply)),
});

const writeOffOrphan = createRoute({
  ...OPERATOR,
  method: "post",
  path: "/admin/v1/tenants/{id}/orphans/{seq}/write-off",
  summary: "Take an orphan's cost as lost",
  middleware: jsonBody,
  request: { params: orphanParam, body: takes(strictBody({ reason, mode: modeOrLive })) },
  responses: replies("The orphan", orphanReply),
});

export function mountAdminCredits(app: App, operator: Operator): void {
  app.openapi(creditTenant, async (c) =>
    tellTenant(c, await operator.tenants.credit(c.var.actor, c.req.valid("param").id, c.req.valid("json"))),
  );

  app.openapi(getJournal, async (c) => {
    const { mode: which, limit, after } = c.req.valid("query");
    const found = await operator.journal(c.req.valid("param").id, which, placeOf(after), limit + 1);
    return found.ok ? c.json(journalPage(found.value, limit), 200) : refuse(c, found.error);
  });

  app.openapi(recompute, async (c) => {
    const found = await operator.recompute(c.req.valid("param").id, c.req.valid("query").mode);
    if (!found.ok) return refuse(c, found.error);
    const { account, journal, equal } = found.value;
    return c.json({ balances: toAmounts(account), journal: toAmounts(journal), equal }, 200);
  });

  app.openapi(listOrphans, async (c) => {
    const { mode: which, limit, after } = c.req.valid("query");
    const found = await operator.orphans(c.req.valid("param").id, which, placeOf(after), limit + 1);
    if (!found.ok) return refuse(c, found.error);
    return c.json(
      page(found.value, limit, toOrphan, ({ seq }) => seq),
      200,
    );
  });

  app.openapi(writeOffOrphan, async (c) => {
    const { id, seq } = c.req.valid("param");
    const body = c.req.valid("json");
    const written = await operator.writeOff(c.var.actor, id, body.mode, seq, body.reason);
    return written.ok ? c.json(toOrphan(written.value), 200) : refuse(c, written.error);
  });
}

function placeOf(after: string | undefined): number | null {
  return after === undefined ? null : Number(after);
}

function toOrphan({ at, costCents, writtenOff, ...orphan }: OrphanView): z.infer<typeof orphanReply> {
  return {
    ...orphan,
    at: toSeconds(at),
    cost_cents: costCents,
    written_off: writtenOff && { at: toSeconds(writtenOff.at), reason: writtenOff.reason },
  };
}
