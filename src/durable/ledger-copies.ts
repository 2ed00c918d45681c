// What a ledger publishes of itself in KV, for the edge to answer early from. It is the only writer of these records.
import type { Mode } from "../core/api-key.ts";
import { admitByCopy, isPublishDue, type Ask, type TenantStatus, type Usage } from "../core/quota.ts";
import type { KeyRecord, TenantRecord, TenantStore } from "../ports.ts";
import type { KeyRow } from "./ledger-keys.ts";

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
    await this.#store().putTenant(this.#owner.tenant, this.#owner.mode, this.#last);
  }

  /** A suspended tenant's keys say so themselves, because reading needs no other record. */
  async publishKeys(keys: readonly KeyRow[], status: TenantStatus): Promise<void> {
    for (const key of keys) await this.#store().putKey(key.hash, this.recordOf(key, status));
  }

  recordOf({ id, scopes, ips, expiresAt, revokedAt }: KeyRow, status: TenantStatus): KeyRecord {
    const standing = revokedAt !== null ? "revoked" : status === "suspended" ? "suspended" : "active";
    return { ...this.#owner, keyId: id, scopes, ips, status: standing, expiresAt };
  }
}
