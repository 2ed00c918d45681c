// Opening a tenant: its place in the registry, which the sweep walks by, its two ledgers, its keys. Every step may be repeated.
import { hashApiKey, parseApiKey, SCOPES, type ApiKey, type Mode } from "../core/api-key.ts";
import type { Limits } from "../core/quota.ts";
import type { BooksOf, KeySpec, RegistryPort, TenantEntry } from "../ports.ts";

export interface TenancyDeps {
  readonly booksOf: BooksOf;
  readonly registry: RegistryPort;
}

/** The plan of a tenant that is opened without one. */
export const DEFAULT_LIMITS: Limits = {
  creditsPerPeriod: 1_000,
  createsPerMinute: 60,
  liveTasks: 10,
  models: null,
  retentionDays: 7,
};

/** What a test key may play with: no plan's business, and no money of anybody's. */
export const TEST_LIMITS: Limits = {
  creditsPerPeriod: 10_000,
  createsPerMinute: 60,
  liveTasks: 20,
  models: null,
  retentionDays: 1,
};

/** Into the registry first: a ledger that nobody walks would be lost with its alarm. */
export async function openTenant(deps: TenancyDeps, tenant: TenantEntry, limits: Readonly<Record<Mode, Limits>>): Promise<void> {
  await deps.registry.addTenant(tenant);
  await deps.booksOf(tenant.id, "live").configure({ limits: limits.live });
  await deps.booksOf(tenant.id, "test").configure({ limits: limits.test });
}

/** A key with every right, to be narrowed by `rules`. */
export async function keySpec(key: ApiKey, createdAt: number, rules: Partial<KeySpec> = {}): Promise<KeySpec> {
  return {
    id: key.id,
    hash: await hashApiKey(key),
    name: null,
    last4: key.text.slice(-4),
    createdAt,
    scopes: SCOPES,
    expiresAt: null,
    revokedAt: null,
    budget: null,
    models: null,
    ips: null,
    ...rules,
  };
}

/** The tenant of a local run, with keys that `npm start` made up. */
export async function seedDemoTenant(deps: TenancyDeps, texts: readonly string[], limits: Limits, now: number): Promise<void> {
  for (const text of texts) {
    const key = parseApiKey(text);
    if (key === null) throw new Error("DEMO_KEYS holds something that is not an API key");
    const demo: TenantEntry = { id: key.tenant, name: "Demo", status: "active", createdAt: now };
    await openTenant(deps, demo, { live: limits, test: limits });
    await deps.booksOf(key.tenant, key.mode).putKey(await keySpec(key, now));
  }
}
