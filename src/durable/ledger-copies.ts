// What a ledger publishes of itself in KV, for the edge to answer early from. It is the only writer of these records.
import type { Mode } from "../core/api-key.ts";
import { admitByCopy, isPublishDue, type Ask, type TenantStatus, type Usage } from "../core/quota.ts";
import type { KeyRecord, TenantRecord, TenantStore } from "../ports.ts";
import type { KeyRow } from "./ledger-keys.ts";

const WRITE_TRIES = 3;
const WRITE_WAIT_MS = 1_100;

export class LedgerCopies {
  readonly #owner: { readonly tenant: string; readonly mode: Mode };
  readonly #store: () => TenantStore;
  /** The copy that KV was last given, as far as this instance knows. */
  #last: TenantRecord | null = null;

  constructor(owner: { tenant: string; mode: Mode }, store: () => TenantStore) {
    this.#owner = owner;
    this.#store = store;
  }

  /** `refused`: what the ledger has just refused, which the copy may still promise. */
  isDue(refused: Ask | null, now: number): boolean {
    const copy = this.#last;
    if (copy === null) return true;
    const misleads = refused !== null && admitByCopy(copy, copy.publishedAt, refused, now).ok;
    return isPublishDue(copy.publishedAt, misleads, now);
  }

  async publish(usage: Usage, now: number): Promise<void> {
    this.#last = { ...usage, publishedAt: now };
    const record = this.#last;
    await persistently(async () => this.#store().putTenant(this.#owner.tenant, this.#owner.mode, record));
  }

  /** A suspended tenant's keys say so themselves, because reading needs no other record. */
  async publishKeys(keys: readonly KeyRow[], status: TenantStatus): Promise<void> {
    for (const key of keys) await persistently(async () => this.#store().putKey(key.hash, this.recordOf(key, status)));
  }

  recordOf({ id, scopes, ips, expiresAt, revokedAt }: KeyRow, status: TenantStatus): KeyRecord {
    const standing = revokedAt !== null ? "revoked" : status === "suspended" ? "suspended" : "active";
    return { ...this.#owner, keyId: id, scopes, ips, status: standing, expiresAt };
  }
}

/** KV takes one write a second for a key, so two changes in a row meet a no that only wants time. */
async function persistently(write: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await write();
    } catch (error) {
      if (tries === WRITE_TRIES) throw error;
      await scheduler.wait(WRITE_WAIT_MS);
    }
  }
}
