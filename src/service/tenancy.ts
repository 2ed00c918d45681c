// Opening a tenant: its ledger, its place in the sweep's walk, its keys. Every step may be repeated.
import { hashApiKey, parseApiKey, SCOPES, type Mode } from "../core/api-key.ts";
import type { Limits } from "../core/quota.ts";
import type { LedgerOf, SweepPort } from "../ports.ts";

interface TenancyDeps {
  readonly ledgerOf: LedgerOf;
  readonly sweep: SweepPort;
}

/** Into the sweep's walk first: a ledger that nobody walks would be lost with its alarm. */
export async function openTenant(deps: TenancyDeps, tenant: string, mode: Mode, limits: Limits): Promise<void> {
  await deps.sweep.register({ tenant, mode });
  await deps.ledgerOf(tenant, mode).configure({ limits });
}

/** The tenant of a local run, with keys that `npm start` made up. */
export async function seedDemoTenant(deps: TenancyDeps, keys: readonly string[], limits: Limits): Promise<void> {
  for (const text of keys) {
    const key = parseApiKey(text);
    if (key === null) throw new Error("DEMO_KEYS holds something that is not an API key");
    await openTenant(deps, key.tenant, key.mode, limits);
    const hash = await hashApiKey(key);
    await deps.ledgerOf(key.tenant, key.mode).putKey({ id: key.id, hash, scopes: SCOPES, expiresAt: null });
  }
}
