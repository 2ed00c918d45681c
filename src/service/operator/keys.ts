// What an operator does with a tenant's API keys. A key's text exists in the answer that makes it, and nowhere else.
import { makeApiKey, type Mode } from "../../core/api-key.ts";
import type { Refusal } from "../../core/errors.ts";
import { UNUSED, type KeyRules, type KeyUse } from "../../core/key-rules.ts";
import { fail, ok, type Result } from "../../core/result.ts";
import type { BooksOf, Clock, IsAddressRange, KeySpec, KeyView, RegistryPort } from "../../ports.ts";
import { keySpec } from "../tenancy.ts";
import type { Audit } from "./audited.ts";

export interface KeysDeps {
  readonly registry: RegistryPort;
  readonly booksOf: BooksOf;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly isAddressRange: IsAddressRange;
}

export interface KeyWish extends Omit<KeyRules, "revokedAt"> {
  readonly mode: Mode;
  readonly name: string | null;
}

/** A key with its place. */
export interface PlacedKey {
  readonly key: KeyView;
  readonly mode: Mode;
}

export interface MadeKey extends PlacedKey {
  /** Told once. */
  readonly text: string;
}

type Found<Value> = Result<Value, Refusal>;

const MODES = ["live", "test"] as const satisfies readonly Mode[];
const NO_TENANT: Refusal = { kind: "tenant_not_found" };
const NO_KEY: Refusal = { kind: "key_not_found" };

export type OperatorKeys = ReturnType<typeof operatorKeys>;

export function operatorKeys({ registry, booksOf, audit, clock, randomBytes, isAddressRange }: KeysDeps) {
  async function list(tenant: string): Promise<Found<PlacedKey[]>> {
    if ((await registry.tenant(tenant)) === null) return fail(NO_TENANT);
    const lists = await Promise.all(MODES.map(async (mode) => (await booksOf(tenant, mode).keys()).map((key) => ({ key, mode }))));
    return ok(lists.flat());
  }

  async function find(tenant: string, keyId: string): Promise<Found<PlacedKey>> {
    const keys = await list(tenant);
    if (!keys.ok) return keys;
    const found = keys.value.find(({ key }) => key.id === keyId);
    return found === undefined ? fail(NO_KEY) : ok(found);
  }

  async function add(tenant: string, mode: Mode, rules: Partial<KeySpec>, use: KeyUse = UNUSED): Promise<MadeKey> {
    const key = makeApiKey(mode, tenant, randomBytes(96));
    // Its id is short; one that is taken would be lost without a word.
    if ((await find(tenant, key.id)).ok) return add(tenant, mode, rules, use);
    const { hash, ...view } = await keySpec(key, clock(), rules);
    await booksOf(tenant, mode).putKey({ ...view, hash }, use);
    return { key: { ...view, use }, mode, text: key.text };
  }

  return {
    list,

    async create(actor: string, tenant: string, { mode, ...rules }: KeyWish): Promise<Found<MadeKey>> {
      const entry = await registry.tenant(tenant);
      if (entry === null || entry.status === "deleted") return fail(NO_TENANT);
      const index = rules.ips?.findIndex((range) => !isAddressRange(range)) ?? -1;
      if (index >= 0) return fail({ kind: "invalid_ip_range", index });
      const made = await add(tenant, mode, rules);
      await audit({ actor, action: "key.create", target: made.key.id, after: { tenant, mode, ...rules } });
      return ok(made);
    },

    /** A new key with the old one's rules and its end; the old one works for `overlapMs` more, or until its own end. */
    async roll(actor: string, tenant: string, keyId: string, overlapMs: number): Promise<Found<MadeKey>> {
      const old = await find(tenant, keyId);
      if (!old.ok) return old;
      const { mode, key } = old.value;
      if (key.revokedAt !== null) return fail(NO_KEY);
      // All of it: a rolled key is the same permission under another secret, and what it has spent stays spent.
      const { name, scopes, budget, models, ips, expiresAt, use } = key;
      const made = await add(tenant, mode, { name, scopes, budget, models, ips, expiresAt }, use);
      await booksOf(tenant, mode).endKey(keyId, { expiresAt: clock() + overlapMs });
      const after = await find(tenant, keyId);
      await audit({
        actor,
        action: "key.roll",
        target: keyId,
        before: { tenant, mode, expiresAt: key.expiresAt },
        after: { successor: made.key.id, expiresAt: after.ok ? after.value.key.expiresAt : null },
      });
      return ok(made);
    },

    async revoke(actor: string, tenant: string, keyId: string): Promise<Found<PlacedKey>> {
      const old = await find(tenant, keyId);
      if (!old.ok || old.value.key.revokedAt !== null) return old;
      const { mode } = old.value;
      const revokedAt = clock();
      await booksOf(tenant, mode).endKey(keyId, { revokedAt });
      await audit({ actor, action: "key.revoke", target: keyId, before: { tenant, mode, revokedAt: null }, after: { revokedAt } });
      return find(tenant, keyId);
    },
  };
}
