// The ledger's table of API keys: the authoritative one. Of a key itself there is only the hash.
import type { Scope } from "../core/api-key.ts";
import type { KeyUse } from "../core/key-rules.ts";
import type { KeySpec, KeyView } from "../ports.ts";

export type KeyRow = KeyView & { readonly hash: string };

export class LedgerKeys {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  createTable(): void {
    this.#sql.exec(`
      CREATE TABLE IF NOT EXISTS keys (
        id TEXT PRIMARY KEY, hash TEXT NOT NULL, name TEXT, last4 TEXT NOT NULL, created_at INTEGER NOT NULL,
        scopes TEXT NOT NULL, expires_at INTEGER, revoked_at INTEGER, budget INTEGER, models TEXT, ips TEXT,
        use_period TEXT NOT NULL, used INTEGER NOT NULL
      ) WITHOUT ROWID;`);
  }

  get(id: string): KeyRow | null {
    return this.#select("WHERE id = ?", id)[0] ?? null;
  }

  all(): KeyRow[] {
    return this.#select("ORDER BY created_at, id");
  }

  /** `use` counts only for a key that is new. */
  put(key: KeySpec, use: KeyUse): void {
    this.#sql.exec(
      `INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
       name = excluded.name, scopes = excluded.scopes, expires_at = excluded.expires_at, revoked_at = excluded.revoked_at,
       budget = excluded.budget, models = excluded.models, ips = excluded.ips WHERE hash = excluded.hash`,
      key.id,
      key.hash,
      key.name,
      key.last4,
      key.createdAt,
      key.scopes.join(),
      key.expiresAt,
      key.revokedAt,
      key.budget,
      asJson(key.models),
      asJson(key.ips),
      use.period,
      use.used,
    );
  }

  /** Ends only get nearer: a key that was revoked stays so, and one that ends sooner ends then. */
  end(id: string, how: { expiresAt: number } | { revokedAt: number }): void {
    if ("revokedAt" in how) {
      this.#sql.exec("UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", how.revokedAt, id);
    } else {
      this.#sql.exec("UPDATE keys SET expires_at = min(coalesce(expires_at, ?1), ?1) WHERE id = ?2", how.expiresAt, id);
    }
  }

  setUse(id: string, { period, used }: KeyUse): void {
    this.#sql.exec("UPDATE keys SET use_period = ?, used = ? WHERE id = ?", period, used, id);
  }

  #select(rest: string, ...values: string[]): KeyRow[] {
    return this.#sql
      .exec<{
        id: string;
        hash: string;
        name: string | null;
        last4: string;
        created_at: number;
        scopes: string;
        expires_at: number | null;
        revoked_at: number | null;
        budget: number | null;
        models: string | null;
        ips: string | null;
        use_period: string;
        used: number;
      }>(`SELECT * FROM keys ${rest}`, ...values)
      .toArray()
      .map((row) => ({
        id: row.id,
        hash: row.hash,
        name: row.name,
        last4: row.last4,
        createdAt: row.created_at,
        scopes: row.scopes.split(",") as Scope[],
        expiresAt: row.expires_at,
        revokedAt: row.revoked_at,
        budget: row.budget,
        models: fromJson(row.models),
        ips: fromJson(row.ips),
        use: { period: row.use_period, used: row.used },
      }));
  }
}

function asJson(list: readonly string[] | null): string | null {
  return list && JSON.stringify(list);
}

function fromJson(text: string | null): string[] | null {
  return text === null ? null : (JSON.parse(text) as string[]);
}
