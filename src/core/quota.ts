// Whether a plan admits one more task: the same judgement at the edge, on KV's copy, and in the ledger, on the truth.
import { fail, ok, type Result } from "./result.ts";
import type { Refusal } from "./errors.ts";

export interface Limits {
  /** Granted anew each calendar month (UTC); what is left of them then expires. */
  readonly creditsPerPeriod: number;
  /** Creates in any minute that begins with the first of them. */
  readonly createsPerMinute: number;
  readonly liveTasks: number;
  /** Null: every model. */
  readonly models: readonly string[] | null;
  /** How long finished tasks and their videos are kept, in days. */
  readonly retentionDays: number;
  /** Whether a create may say which providers it wants. Absent in what the last release stored: it may not. */
  readonly choosesRoutes?: boolean;
}

export type TenantStatus = "active" | "suspended" | "read_only";

/** What of a ledger decides admission. */
export interface Usage {
  readonly status: TenantStatus;
  readonly limits: Limits;
  readonly available: number;
  readonly live: number;
  /** The create window under way: its first create, in unix milliseconds, and how many there were. */
  readonly window: { readonly startedAt: number; readonly count: number };
}

/** What of a wish its plan allows or not, whatever is left of it. */
export interface PlanAsk {
  readonly model: string;
  /** How long the finished video is to be kept, in days; null: as long as the plan has it. */
  readonly retentionDays: number | null;
  /** Whether it says which providers it wants. */
  readonly choosesRoute?: boolean;
}

export interface Ask extends PlanAsk {
  readonly credits: number;
}

export const WINDOW_MS = 60_000;

/** Everything in the order in which a tenant should hear it: may you at all, may you have this, can you pay, is it your turn. */
export function admit(usage: Usage, ask: Ask, now: number): Result<null, Refusal> {
  const { limits, window } = usage;
  const allowed = checkPlan(usage, ask);
  if (!allowed.ok) return allowed;
  if (usage.available < ask.credits) {
    return fail({ kind: "insufficient_quota", needed: ask.credits, available: usage.available });
  }
  if (now < window.startedAt + WINDOW_MS && window.count >= limits.createsPerMinute) {
    const resetSeconds = Math.max(Math.ceil((window.startedAt + WINDOW_MS - now) / 1000), 1);
    return fail({
      kind: "rate_limit_exceeded",
      policy: "create",
      limit: limits.createsPerMinute,
      windowSeconds: WINDOW_MS / 1000,
      resetSeconds,
    });
  }
  if (usage.live >= limits.liveTasks) {
    return fail({ kind: "concurrency_limit_exceeded", limit: limits.liveTasks, live: usage.live });
  }
  return ok(null);
}

/** Whether it may be had at all: what neither waiting nor paying would change. */
export function checkPlan({ status, limits }: Pick<Usage, "status" | "limits">, ask: PlanAsk): Result<null, Refusal> {
  if (status === "read_only") return fail({ kind: "account_read_only" });
  if (status === "suspended") return fail({ kind: "account_suspended" });
  if (limits.models !== null && !limits.models.includes(ask.model)) {
    return fail({ kind: "model_not_allowed", model: ask.model, allowed: limits.models });
  }
  if (ask.choosesRoute === true && limits.choosesRoutes !== true) return fail({ kind: "route_not_allowed" });
  if (ask.retentionDays !== null && ask.retentionDays > limits.retentionDays) {
    return fail({ kind: "retention_not_allowed", max: limits.retentionDays });
  }
  return ok(null);
}

/** How long a published refusal is believed, in milliseconds: past it the ledger is asked again, so that a lost update heals. */
const BELIEVED_MS = 60_000;
const BELIEVED_CONCURRENCY_MS = 5_000;

/** The edge's early answer, from a copy published at `publishedAt`. It may refuse what the ledger would admit, never the reverse. */
export function admitByCopy(copy: Usage, publishedAt: number, ask: Ask, now: number): Result<null, Refusal> {
  const judged = admit(copy, ask, now);
  if (judged.ok) return judged;
  const believedMs = judged.error.kind === "concurrency_limit_exceeded" ? BELIEVED_CONCURRENCY_MS : BELIEVED_MS;
  return now - publishedAt < believedMs ? judged : ok(null);
}

/** Writes to KV are few and cost more than a reserve, so a copy is renewed this often at most, unless it misleads. */
const RENEW_MS = 10_000;
/** KV takes one write a second for a key. */
const KV_WRITE_MS = 1_000;

/** Whether a copy published at `publishedAt` is due to be published again; `misled`: it would have admitted what was just refused. */
export function isPublishDue(publishedAt: number, misled: boolean, now: number): boolean {
  return now - publishedAt >= (misled ? KV_WRITE_MS : RENEW_MS);
}
