// The operator API as an operator calls it, and what it may change: everything that no tenant's request touches.
import { env } from "cloudflare:workers";
import { expect } from "vitest";
import type { Mode } from "../../src/core/api-key.ts";
import type { AuditEntry, List, NewKey, Tenant } from "../../src/cli/admin-wire.ts";
import { wire } from "../../src/wire.ts";
import { call, type TestTenant } from "./gateway.ts";

/** As vitest.config.ts binds it. */
export const ADMIN_TOKEN = "test-admin-token-0123";

export type Method = "GET" | "POST" | "PATCH" | "DELETE";

/** A request to `/admin/v1` + path, with the token unless `headers` say otherwise. */
export async function admin(method: Method, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return call(`/admin/v1${path}`, { method, ...adminInit(body, headers) });
}

export function adminInit(body?: unknown, headers: Record<string, string> = {}): RequestInit {
  const all = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json", ...headers };
  return { headers: all, ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }) };
}

/** What it answers, which must be a yes. */
export async function told<Body>(method: Method, path: string, body?: unknown, headers?: Record<string, string>): Promise<Body> {
  const reply = await admin(method, path, body, headers);
  if (reply.status !== 200) throw new Error(`${method} ${path} answered ${reply.status} ${await reply.text()}`);
  return reply.json<Body>();
}

/** A tenant that an operator opened, with one key. */
export interface Customer extends TestTenant {
  readonly name: string;
}

export async function aCustomer({ name = "Acme", plan = {}, key = {} }: { name?: string; plan?: object; key?: object } = {}) {
  const { id } = await told<Tenant>("POST", "/tenants", { name, plan: { credits: 10_000, requests_per_minute: 1_000, ...plan } });
  return aKeyOf(id, key, name);
}

/** Another key of a tenant, to call as its customer with. */
export async function aKeyOf(tenant: string, wish: object = {}, name = "Acme"): Promise<Customer> {
  const made = await told<NewKey>("POST", `/tenants/${tenant}/keys`, { mode: "test", ...wish });
  return { tenant, mode: made.mode, key: made.key, keyId: made.id, name };
}

export async function auditLog(): Promise<readonly AuditEntry[]> {
  return (await told<List<AuditEntry>>("GET", "/audit?limit=100")).data;
}

/** All that an operator's request could change about a tenant, the models and the log of it. */
export async function operatorTrace(tenant: string) {
  const { registry } = wire(env);
  const books = async (mode: Mode) => {
    const port = wire(env).booksOf(tenant, mode);
    const [account, journal, keys, orphans] = await Promise.all([
      port.account(),
      port.journal(null, 1_000),
      port.keys(),
      port.orphans(null, 1_000),
    ]);
    return { account, journal, keys, orphans };
  };
  return {
    tenants: await registry.tenants(null, 1_000),
    audit: await registry.auditLog(null, 1_000),
    switches: await registry.switches(),
    live: await books("live"),
    test: await books("test"),
  };
}

/** Moments in seconds, as replies have them: within a second of now. */
export function justNow(): unknown {
  return expect.toSatisfy((at: number) => Number.isInteger(at) && Math.abs(at - Date.now() / 1000) < 5);
}
