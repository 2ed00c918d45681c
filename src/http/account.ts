// What a tenant may see of its own account: GET /v1/account, /v1/account/journal and /v1/usage (JSON, or CSV for a spreadsheet).
import { createRoute, z } from "@hono/zod-openapi";
import type { Entry } from "../core/ledger.ts";
import type { UsageRow } from "../ports.ts";
import { authenticated } from "./auth.ts";
import type { App, Services } from "./context.ts";
import { answer, badRequest, errorBody, refuse } from "./errors.ts";
import { listOf, page, pageQuery } from "./page.ts";
import { planReply, toPlan } from "./plan.ts";
import { strictBody } from "./validation.ts";

const errors = { default: { description: "An error", content: { "application/json": { schema: errorBody } } } };
const security = [{ bearer: [] }];

const accountReply = z
  .strictObject({
    object: z.literal("account"),
    mode: z.enum(["live", "test"]),
    status: z.enum(["active", "suspended", "read_only"]),
    /** Whole credits. granted + adjusted = available + held + spent + expired. */
    credits: z.strictObject({
      available: z.int(),
      held: z.int(),
      spent: z.int(),
      expired: z.int(),
      granted: z.int(),
      adjusted: z.int(),
    }),
    period: z.strictObject({ id: z.string(), ends_at: z.int() }),
    plan: planReply,
    live_tasks: z.int(),
  })
  .openapi("Account");

export const journalEntry = z
  .strictObject({
    seq: z.int(),
    at: z.int(),
    kind: z.enum(["grant", "adjust", "hold", "settle", "release", "expire"]),
    amount: z.int(),
    /** The task, the period, or the reason that was given. */
    ref: z.string().nullable(),
  })
  .openapi("JournalEntry");

const day = z.string().refine((text) => isDay(text), { message: "must be a day as 2026-11-22", params: { code: "invalid_value" } });

const usageRow = z
  .strictObject({
    day: z.string(),
    model: z.string(),
    key_id: z.string(),
    status: z.enum(["completed", "failed"]),
    count: z.int(),
    credits: z.int(),
    /** Of finished video. */
    seconds: z.number(),
  })
  .openapi("UsageRow");

const usageReply = z
  .strictObject({ object: z.literal("usage"), from: z.string(), to: z.string(), data: z.array(usageRow) })
  .openapi("Usage");

export const getAccount = createRoute({
  method: "get",
  path: "/v1/account",
  summary: "Plan, credits and limits",
  security,
  responses: { 200: { description: "The account", content: { "application/json": { schema: accountReply } } }, ...errors },
});

export const getJournal = createRoute({
  method: "get",
  path: "/v1/account/journal",
  summary: "Every movement of credits, newest first",
  security,
  request: { query: pageQuery },
  responses: { 200: { description: "A page", content: { "application/json": { schema: listOf(journalEntry) } } }, ...errors },
});

export const getUsage = createRoute({
  method: "get",
  path: "/v1/usage",
  summary: "Ended tasks by day, model, key and status",
  security,
  request: { query: strictBody({ from: day.optional(), to: day.optional() }) },
  responses: {
    200: {
      description: "Both days included; by default this month so far",
      content: { "application/json": { schema: usageReply }, "text/csv": { schema: z.string() } },
    },
    ...errors,
  },
});

const MAX_USAGE_DAYS = 366;
const DAY_MS = 86_400_000;

export function mountAccount(app: App, { accounts, authenticate }: Services): void {
  for (const { path } of [getAccount, getJournal, getUsage]) app.on("GET", path, authenticated(authenticate, "read"));

  app.openapi(getAccount, async (c) => {
    const found = await accounts.account(c.var.caller);
    if (!found.ok) return refuse(c, found.error);
    const { limits, live, period, status, available, held, spent, expired, granted, adjusted } = found.value;
    const [year = 0, month = 0] = period.split("-").map(Number);
    return c.json(
      {
        object: "account" as const,
        mode: c.var.caller.mode,
        status: found.value.frozen === null ? status : ("read_only" as const),
        credits: { available, held, spent, expired, granted, adjusted },
        period: { id: period, ends_at: Date.UTC(year, month) / 1000 },
        plan: toPlan(limits),
        live_tasks: live,
      },
      200,
    );
  });

  app.openapi(getJournal, async (c) => {
    const { limit, after } = c.req.valid("query");
    const entries = await accounts.journal(c.var.caller, after === undefined ? null : Number(after), limit + 1);
    return c.json(journalPage(entries, limit), 200);
  });

  app.openapi(getUsage, async (c) => {
    const { to = today(), from = `${to.slice(0, 7)}-01` } = c.req.valid("query");
    const days = (Date.parse(to) - Date.parse(from)) / DAY_MS;
    if (days < 0) return answer(c, badRequest("invalid_value", "from must not be after to.", "from"));
    if (days >= MAX_USAGE_DAYS) return answer(c, badRequest("invalid_value", `At most ${MAX_USAGE_DAYS} days at a time.`, "from"));
    const rows = (await accounts.usage(c.var.caller, from, to)).map(toUsageRow);
    if (c.req.header("accept")?.includes("text/csv")) {
      return c.text(toCsv(rows), 200, { "Content-Type": "text/csv; charset=utf-8" }) as never;
    }
    return c.json({ object: "usage" as const, from, to, data: rows }, 200);
  });
}

export function journalPage(entries: readonly Entry[], limit: number) {
  return page(
    entries,
    limit,
    (entry) => ({ ...entry, at: Math.floor(entry.at / 1000) }),
    ({ seq }) => seq,
  );
}

function toUsageRow({ day: on, model, keyId, status, count, credits, videoMs }: UsageRow): z.infer<typeof usageRow> {
  return { day: on, model, key_id: keyId, status, count, credits, seconds: videoMs / 1000 };
}

/** Days, model names, ids and numbers only: nothing in it needs quotes, and nothing that a spreadsheet would run. */
function toCsv(rows: readonly z.infer<typeof usageRow>[]): string {
  const lines = rows.map(({ day: on, model, key_id: key, status, count, credits, seconds }) =>
    [on, model, key, status, count, credits, seconds].join(),
  );
  return ["day,model,key_id,status,count,credits,seconds", ...lines, ""].join("\r\n");
}

function today(): string {
  return new Date().toISOString().slice(0, 10);
}

function isDay(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text)) && new Date(text).toISOString().startsWith(text);
}
