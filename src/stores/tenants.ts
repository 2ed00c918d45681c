// KV: what the edge may know of keys and tenants without waking an object. Written by the tenants' ledgers and the registry only, and all of it can
// be written again from them. Up to a minute old and never the judge of money.
import { z } from "zod";
import { SCOPES, hashApiKey, type ApiKey, type Mode } from "../core/api-key.ts";
import { MODEL_NAMES, type ModelSwitches } from "../core/models.ts";
import type { KeyRecord, TenantRecord, TenantStore } from "../ports.ts";

const keyRecord = z.object({
  tenant: z.string(),
  mode: z.enum(["live", "test"]),
  keyId: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  ips: z.array(z.string()).nullable(),
  status: z.enum(["active", "revoked", "suspended"]),
  expiresAt: z.number().nullable(),
});

const tenantRecord = z.object({
  status: z.enum(["active", "suspended", "read_only"]),
  limits: z.object({
    creditsPerPeriod: z.number(),
    createsPerMinute: z.number(),
    liveTasks: z.number(),
    models: z.array(z.string()).nullable(),
    retentionDays: z.number(),
    choosesRoutes: z.boolean().default(false),
  }),
  available: z.number(),
  live: z.number(),
  window: z.object({ startedAt: z.number(), count: z.number() }),
  publishedAt: z.number(),
});

const switches = z.partialRecord(
  z.enum(MODEL_NAMES),
  z.object({ off: z.string().nullable(), credits: z.number().nullable(), upsampleCredits: z.number().nullable() }),
);

const SWITCHES = "models";

/** Seconds that KV may serve a value from its own cache; 30 is the least it takes. */
const CACHE_TTL = 30;

export function kvTenants(kv: KVNamespace): TenantStore {
  return {
    async findKey(key: ApiKey): Promise<KeyRecord | null> {
      const found = keyRecord.safeParse(await kv.get(keyName(await hashApiKey(key)), { type: "json", cacheTtl: CACHE_TTL }));
      return found.success ? found.data : null;
    },
    async findTenant(tenant: string, mode: Mode): Promise<TenantRecord | null> {
      const found = tenantRecord.safeParse(await kv.get(tenantName(tenant, mode), { type: "json", cacheTtl: CACHE_TTL }));
      return found.success ? found.data : null;
    },
    async putKey(hash: string, record: KeyRecord): Promise<void> {
      await kv.put(keyName(hash), JSON.stringify(record));
    },
    async findSwitches(): Promise<ModelSwitches> {
      const found = switches.safeParse(await kv.get(SWITCHES, { type: "json", cacheTtl: CACHE_TTL }));
      return found.success ? found.data : {};
    },
    async putSwitches(changed: ModelSwitches): Promise<void> {
      await kv.put(SWITCHES, JSON.stringify(changed));
    },
    async putTenant(tenant: string, mode: Mode, record: TenantRecord): Promise<void> {
      await kv.put(tenantName(tenant, mode), JSON.stringify(record));
    },
  };
}

function keyName(hash: string): string {
  return `k:${hash}`;
}

function tenantName(tenant: string, mode: Mode): string {
  return `t:${tenant}:${mode}`;
}
