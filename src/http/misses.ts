// Whoever asks for tasks that are not its own is guessing, or has a bug: it is told so, and braked when it goes on.
import type { Context } from "hono";
import type { Refusal } from "../core/errors.ts";
import type { AppEnv, Services } from "./context.ts";
import { refuse } from "./errors.ts";

const WINDOW_SECONDS = 60;

export async function refuseUnknown(c: Context<AppEnv>, { missShield }: Pick<Services, "missShield">, refusal: Refusal) {
  const { tenant, mode } = c.var.caller;
  const isGuessing = refusal.kind === "task_not_found" && !(await missShield(`${tenant}/${mode}`));
  const window = { windowSeconds: WINDOW_SECONDS, resetSeconds: WINDOW_SECONDS };
  return refuse(c, isGuessing ? { kind: "rate_limit_exceeded", policy: "tenant", limit: null, ...window } : refusal);
}
