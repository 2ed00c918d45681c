// The key in the header, and what it may do. Everything that can be told from its text alone is judged before any look-up.
import type { Context, MiddlewareHandler } from "hono";
import { parseApiKey, type Scope } from "../core/api-key.ts";
import type { Refusal } from "../core/errors.ts";
import { fail, type Result } from "../core/result.ts";
import { isTaskToken } from "../core/task-token.ts";
import type { Authenticate, Caller } from "../service/authenticate.ts";
import type { AppEnv, Services } from "./context.ts";
import { refuse } from "./errors.ts";

export function authenticated(authenticate: Authenticate, scope: Scope): MiddlewareHandler<AppEnv> {
  return letIn(scope, async (c) => byKey(authenticate, c));
}

/**
 * Where one task is watched, a token of that task will do for the API key: in the header, or in the URL for what can set no header
 * (EventSource, a player). The task is the one that `id` in the URL names.
 */
export function watching({ authenticate, taskTokens }: Pick<Services, "authenticate" | "taskTokens">): MiddlewareHandler<AppEnv> {
  return letIn("read", async (c) => {
    const header = c.req.header("authorization");
    const token = header === undefined ? c.req.query("token") : bearerOf(header);
    if (token === undefined || token === null || (header !== undefined && !isTaskToken(token))) return byKey(authenticate, c);
    return taskTokens.verify(token, c.req.query("id") ?? "", addressOf(c));
  });
}

function letIn(scope: Scope, identify: (c: Context<AppEnv>) => Promise<Result<Caller, Refusal>>): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const caller = await identify(c);
    if (!caller.ok) return refuse(c, caller.error);
    c.set("caller", caller.value);
    c.set("isStillAllowed", async () => {
      const again = await identify(c);
      return again.ok || PASSING.includes(again.error.kind);
    });
    if (!caller.value.scopes.includes(scope)) return refuse(c, { kind: "insufficient_scope", needed: scope });
    await next();
  };
}

/** What keeps a request out for now, and throws out nobody who is in. */
const PASSING: readonly Refusal["kind"][] = ["auth_unavailable", "rate_limit_exceeded"];

async function byKey(authenticate: Authenticate, c: Context<AppEnv>): Promise<Result<Caller, Refusal>> {
  const header = c.req.header("authorization");
  if (header === undefined) return fail({ kind: "missing_api_key" });
  const key = parseApiKey(bearerOf(header) ?? "");
  return key === null ? fail({ kind: "invalid_api_key" }) : authenticate(key, addressOf(c));
}

/** One scheme, one space or more, one token: two headers arrive joined as "a, b" and match nothing. */
function bearerOf(header: string): string | null {
  return /^bearer +([!-~]+)$/i.exec(header)?.[1] ?? null;
}

/** Cloudflare sets this header itself, whatever a client sends; a local run has no other. */
function addressOf(c: Context<AppEnv>): string {
  return c.req.header("cf-connecting-ip") ?? "local";
}
