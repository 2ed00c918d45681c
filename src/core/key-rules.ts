// What one API key may spend: judged by the ledger at every create, so that what an operator changes counts at once.
import { fail, ok, type Result } from "./result.ts";
import type { Refusal } from "./errors.ts";
import type { Scope } from "./api-key.ts";

export interface KeyRules {
  readonly scopes: readonly Scope[];
  /** Unix milliseconds; null: never. */
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
  /** Credits it may spend in a calendar month (UTC); null: as many as its tenant has. */
  readonly budget: number | null;
  /** Null: every model of the plan. */
  readonly models: readonly string[] | null;
  /** Addresses and CIDR ranges it may be used from; null: any. Judged at the edge, which knows the address. */
  readonly ips: readonly string[] | null;
}

/** What of a key's budget is used: credits held or spent for it in `period`. */
export interface KeyUse {
  readonly period: string;
  readonly used: number;
}

export const UNUSED: KeyUse = { period: "", used: 0 };

/** The key's use after a hold of `credits`, or why it may not. */
export function spendKey(
  rules: KeyRules,
  use: KeyUse,
  ask: { readonly model: string; readonly credits: number },
  period: string,
  now: number,
): Result<KeyUse, Refusal> {
  if (rules.revokedAt !== null) return fail({ kind: "api_key_revoked" });
  if (rules.expiresAt !== null && rules.expiresAt <= now) return fail({ kind: "api_key_expired" });
  if (!rules.scopes.includes("create")) return fail({ kind: "insufficient_scope", needed: "create" });
  const allowed = checkKeyModel(rules, ask.model);
  if (!allowed.ok) return allowed;
  const used = use.period === period ? use.used : 0;
  if (rules.budget !== null && used + ask.credits > rules.budget) {
    return fail({ kind: "key_budget_exceeded", needed: ask.credits, available: Math.max(rules.budget - used, 0) });
  }
  return ok({ period, used: used + ask.credits });
}

export function checkKeyModel({ models }: Pick<KeyRules, "models">, model: string): Result<null, Refusal> {
  const isAllowed = models === null || models.includes(model);
  return isAllowed ? ok(null) : fail({ kind: "model_not_allowed", model, allowed: models });
}

/** Gives back what a released hold had taken, if that was in the budget's own month. */
export function refundKey(use: KeyUse, credits: number, period: string): KeyUse {
  return use.period === period ? { period, used: Math.max(use.used - credits, 0) } : use;
}
