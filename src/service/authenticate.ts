// Who is calling. The key's shape has been judged before, so each key that comes here could be real and costs a look-up:
// from the isolate's memory, else past the address shield, from KV, and from the tenant's ledger where KV has not heard of it.
import { hashApiKey, type ApiKey, type Mode, type Scope } from "../core/api-key.ts";
import type { Refusal } from "../core/errors.ts";
import { fail, ok, type Result } from "../core/result.ts";
import type { BooksOf, Clock, IsAddressIn, KeyRecord, Shield, TenantStore } from "../ports.ts";
import { again } from "./again.ts";
import { Memory } from "./memory.ts";

export interface Caller {
  readonly tenant: string;
  readonly mode: Mode;
  readonly keyId: string;
  readonly scopes: readonly Scope[];
}

export type Authenticate = (key: ApiKey, address: string) => Promise<Result<Caller, Refusal>>;

const REMEMBERED_MS = 15_000;
/** Short: long enough that repeating an unknown key costs nothing. */
const UNKNOWN_REMEMBERED_MS = 5_000;
const REMEMBERED_KEYS = 2_000;
const RETRY_MS = 100;
/** The shields' periods, as wrangler.toml has them. */
const WINDOW_SECONDS = { address: 60, tenant: 10 } as const;

export function authenticator(deps: {
  tenants: TenantStore;
  booksOf: BooksOf;
  addressShield: Shield;
  tenantShield: Shield;
  isAddressIn: IsAddressIn;
  clock: Clock;
  pause: (ms: number) => Promise<void>;
}): Authenticate {
  const memory = new Memory<KeyRecord | null>(REMEMBERED_KEYS);

  return async (key, address) => {
    let record = memory.get(key.text, deps.clock());
    if (record === undefined) {
      if (!(await deps.addressShield(address))) return fail(shielded("address"));
      const found = await find(key);
      if (found === undefined) return fail({ kind: "auth_unavailable" });
      record = found;
      memory.set(key.text, record, deps.clock() + (record === null ? UNKNOWN_REMEMBERED_MS : REMEMBERED_MS));
    }
    const judged = judge(key, record, deps.clock());
    if (!judged.ok) return judged;
    // Told as an unknown key is: whoever holds a stolen one learns nothing from it.
    if (record?.ips && !deps.isAddressIn(address, record.ips)) return fail({ kind: "invalid_api_key" });
    return (await deps.tenantShield(`${judged.value.tenant}/${judged.value.mode}`)) ? judged : fail(shielded("tenant"));
  };

  /** Undefined: nobody answers. Never taken for a yes, nor for a no. */
  async function find(key: ApiKey): Promise<KeyRecord | null | undefined> {
    const copy = await findCopy(key);
    return copy === null ? findOriginal(key) : copy;
  }

  async function findCopy(key: ApiKey): Promise<KeyRecord | null | undefined> {
    for (let tries = 1; ; tries++) {
      try {
        return await deps.tenants.findKey(key);
      } catch {
        if (tries === 2) return undefined;
        await deps.pause(RETRY_MS);
      }
    }
  }

  /** A key that was just made, which KV may deny for a minute. The key names its ledger; one of nobody's opens nothing. */
  async function findOriginal(key: ApiKey): Promise<KeyRecord | null | undefined> {
    try {
      const hash = await hashApiKey(key);
      return await again(() => deps.booksOf(key.tenant, key.mode).keyRecord(key.id, hash));
    } catch {
      return undefined;
    }
  }
}

function judge(key: ApiKey, record: KeyRecord | null, now: number): Result<Caller, Refusal> {
  if (record === null || record.mode !== key.mode) return fail({ kind: "invalid_api_key" });
  if (record.status === "revoked") return fail({ kind: "api_key_revoked" });
  if (record.expiresAt !== null && record.expiresAt <= now) return fail({ kind: "api_key_expired" });
  if (record.status === "suspended") return fail({ kind: "account_suspended" });
  const { tenant, mode, keyId, scopes } = record;
  return ok({ tenant, mode, keyId, scopes });
}

export function shielded(policy: keyof typeof WINDOW_SECONDS): Refusal {
  const seconds = WINDOW_SECONDS[policy];
  return { kind: "rate_limit_exceeded", policy, limit: null, windowSeconds: seconds, resetSeconds: seconds };
}
