// The gateway as a tenant meets it, inside the Workers runtime: a tenant of one's own, and calls to the exported Worker.
import { env, exports } from "cloudflare:workers";
import { hashApiKey, makeApiKey, SCOPES, type Mode, type Scope } from "../../src/core/api-key.ts";
import { base62Digits } from "../../src/core/encoding.ts";
import type { Limits } from "../../src/core/quota.ts";
import { wire } from "../../src/wire.ts";

export const ORIGIN = "https://gateway.example";

export const WIDE: Limits = { creditsPerPeriod: 10_000, createsPerMinute: 1_000, liveTasks: 100, models: null, retentionDays: 7 };

export interface TestTenant {
  readonly tenant: string;
  readonly mode: Mode;
  readonly key: string;
  readonly keyId: string;
}

/** A tenant nobody else has, so that tests of one file do not meet. */
export async function aTenant(given: { mode?: Mode; limits?: Partial<Limits>; scopes?: readonly Scope[] } = {}): Promise<TestTenant> {
  const { mode = "test", limits, scopes = SCOPES } = given;
  const tenant = base62Digits(randomBytes(64)).slice(0, 8);
  const key = makeApiKey(mode, tenant, randomBytes(128));
  const ledger = wire(env).ledgerOf(tenant, mode);
  await ledger.configure({ limits: { ...WIDE, ...limits } });
  await ledger.putKey({ id: key.id, hash: await hashApiKey(key), scopes, expiresAt: null });
  return { tenant, mode, key: key.text, keyId: key.id };
}

export async function call(path: string, init: RequestInit & { key?: string } = {}): Promise<Response> {
  const { key, ...rest } = init;
  const headers = new Headers(rest.headers);
  if (key !== undefined) headers.set("authorization", `Bearer ${key}`);
  return exports.default.fetch(new Request(new URL(path, ORIGIN), { ...rest, headers }));
}

/** POST /v1/video/create with a JSON body. */
export async function create(key: string, body: unknown): Promise<Response> {
  return call("/v1/video/create", { method: "POST", key, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
}

export async function query(key: string, id: string): Promise<Response> {
  return call(`/v1/video/query?id=${encodeURIComponent(id)}`, { key });
}

function randomBytes(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}
