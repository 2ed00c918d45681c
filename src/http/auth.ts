// The key in the header, and what it may do. Everything that can be told from its text alone is judged before any look-up.
import type { MiddlewareHandler } from "hono";
import { parseApiKey, type Scope } from "../core/api-key.ts";
import type { Refusal } from "../core/errors.ts";
import { fail, ok, type Result } from "../core/result.ts";
import type { Authenticate, Caller } from "../service/authenticate.ts";
import type { AppEnv } from "./context.ts";
import { refuse } from "./errors.ts";

export function authenticated(authenticate: Authenticate, scope: Scope): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const { headers } = c.req.raw;
    // Cloudflare sets this header itself, whatever a client sends; a local run has no other.
    const caller = await identify(authenticate, headers.get("authorization"), headers.get("cf-connecting-ip") ?? "local");
    if (!caller.ok) return refuse(c, caller.error);
    c.set("caller", caller.value);
    if (!caller.value.scopes.includes(scope)) return refuse(c, { kind: "insufficient_scope", needed: scope });
    await next();
  };
}

async function identify(authenticate: Authenticate, header: string | null, address: string): Promise<Result<Caller, Refusal>> {
  if (header === null) return fail({ kind: "missing_api_key" });
  // One scheme, one space or more, one token: two headers arrive joined as "a, b" and match nothing.
  const [, token] = /^bearer +([!-~]+)$/i.exec(header) ?? [];
  const key = token === undefined ? null : parseApiKey(token);
  if (key === null) return fail({ kind: "invalid_api_key" });
  const caller = await authenticate(key, address);
  return caller.ok ? ok(caller.value) : caller;
}
