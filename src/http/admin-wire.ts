// What the operator API's routes have in common: its words for tenants and their balances, its texts, its times in seconds.
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Mode } from "../core/api-key.ts";
import type { Refusal } from "../core/errors.ts";
import type { Result } from "../core/result.ts";
import type { AccountView, TenantEntry } from "../ports.ts";
import type { TenantView } from "../service/operator/tenants.ts";
import type { AppEnv } from "./context.ts";
import { errorBody, refuse } from "./errors.ts";
import { planReply, toPlan } from "./plan.ts";

/** Not in the tenants' OpenAPI document: what is closed to them is not told to them. */
export const OPERATOR = { tags: ["operator"], security: [{ admin: [] }], hide: true };

const errors = { default: { description: "An error", content: { "application/json": { schema: errorBody } } } };

export function replies<Schema extends z.ZodType>(description: string, schema: Schema) {
  return { 200: { description, content: { "application/json": { schema } } }, ...errors };
}

export function takes<Schema extends z.ZodType>(schema: Schema) {
  return { required: true, content: { "application/json": { schema } } } as const;
}

/** One line that is stored for people to read. */
export function line(max: number) {
  return z
    .string()
    .min(1)
    .max(max)
    .superRefine((text, context) => {
      const fault = (code: string, message: string): void => context.addIssue({ code: "custom", message, params: { code } });
      if (!text.isWellFormed()) return fault("invalid_unicode", "holds half of a surrogate pair");
      if (/\p{Cc}/u.test(text)) return fault("invalid_characters", "holds control characters");
      if (text !== "" && text.trim() === "") fault("invalid_value", "must not be blank");
    });
}

export const reason = line(200);
export const mode = z.enum(["live", "test"]) satisfies z.ZodType<Mode>;
/** An id of any form: one that does not exist is told so. */
export const tenantParam = z.object({ id: z.string().openapi({ param: { name: "id", in: "path" }, example: "aB3dE5fG" }) });

export const tenantRow = z.strictObject({
  id: z.string(),
  name: z.string(),
  status: z.enum(["active", "suspended", "deleted"]),
  created_at: z.int(),
});

/** Whole credits. granted + adjusted = available + held + spent + expired. */
export const amounts = z.strictObject({
  granted: z.int(),
  adjusted: z.int(),
  available: z.int(),
  held: z.int(),
  spent: z.int(),
  expired: z.int(),
});

const balances = amounts.extend({
  live_tasks: z.int(),
  /** Its books did not add up: nothing is written until they do. */
  read_only: z.boolean(),
});

export const tenantReply = tenantRow.extend({ plan: planReply, live: balances, test: balances }).openapi("Tenant");

export function toTenantRow({ id, name, status, createdAt }: TenantEntry): z.infer<typeof tenantRow> {
  return { id, name, status, created_at: toSeconds(createdAt) };
}

/** Of an account, or of what a journal makes of one. */
export function toAmounts(from: z.infer<typeof amounts>): z.infer<typeof amounts> {
  const { granted, adjusted, available, held, spent, expired } = from;
  return { granted, adjusted, available, held, spent, expired };
}

function toBalances(account: AccountView): z.infer<typeof balances> {
  return { ...toAmounts(account), live_tasks: account.live, read_only: account.frozen !== null };
}

export function tellTenant(c: Context<AppEnv>, found: Result<TenantView, Refusal>) {
  if (!found.ok) return refuse(c, found.error);
  const { limits, accounts } = found.value;
  const row = toTenantRow(found.value);
  return c.json({ ...row, plan: toPlan(limits), live: toBalances(accounts.live), test: toBalances(accounts.test) }, 200);
}

export function toSeconds(ms: number): number {
  return Math.floor(ms / 1000);
}

export function toSecondsOrNull(ms: number | null): number | null {
  return ms === null ? null : toSeconds(ms);
}
