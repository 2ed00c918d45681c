// The ledger's tables. WITHOUT ROWID where the key is text, because a row then bills once and not twice.
// A task's row is keyed by (created_at, id), and both are readable from its id: no secondary index.
import type { Scope } from "../core/api-key.ts";
import type { Change, Entry, Hold } from "../core/ledger.ts";
import { createdAtSecondsOf } from "../core/task-id.ts";
import type { KeySpec, Orphan, ReserveAsk } from "../ports.ts";

export type KeyRow = KeySpec & { readonly revoked: boolean };

/** A row that the watchdog looks at. */
export interface LiveRow {
  readonly createdAtSeconds: number;
  readonly id: string;
  /** Unix milliseconds. */
  readonly deadlineAt: number;
}

/** A place in the order of the rows. */
export type RowPlace = Pick<LiveRow, "createdAtSeconds" | "id">;

export class LedgerRows {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Repeatable. Only for a ledger that is opened: tables bill rows, and a forged name must not make any. */
  createTables(): void {
    this.#sql.exec(`
      CREATE TABLE IF NOT EXISTS tasks (
        created_at INTEGER NOT NULL, id TEXT NOT NULL, key_id TEXT NOT NULL, model TEXT NOT NULL,
        credits INTEGER NOT NULL, from_plan INTEGER NOT NULL, period TEXT NOT NULL, state TEXT NOT NULL, deadline_at INTEGER NOT NULL,
        PRIMARY KEY (created_at, id)
      ) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS journal (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, amount INTEGER NOT NULL, ref TEXT);
      CREATE TABLE IF NOT EXISTS keys (
        id TEXT PRIMARY KEY, hash TEXT NOT NULL, scopes TEXT NOT NULL, expires_at INTEGER, revoked INTEGER NOT NULL
      ) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS orphans (
        seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, task TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, reason TEXT NOT NULL
      );`);
  }

  hold(id: string): Hold | null {
    const row = this.#sql
      .exec<{ credits: number; from_plan: number; period: string; state: Hold["state"] }>(
        "SELECT credits, from_plan, period, state FROM tasks WHERE created_at = ? AND id = ?",
        createdAtSecondsOf(id),
        id,
      )
      .toArray()[0];
    return row === undefined ? null : { id, credits: row.credits, fromPlan: row.from_plan, period: row.period, state: row.state };
  }

  insertHold(hold: Hold, ask: ReserveAsk): void {
    this.#sql.exec(
      "INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      createdAtSecondsOf(hold.id),
      hold.id,
      ask.keyId,
      ask.model,
      hold.credits,
      hold.fromPlan,
      hold.period,
      hold.state,
      ask.deadlineAt,
    );
  }

  resolveHold(hold: Hold): void {
    this.#sql.exec("UPDATE tasks SET state = ? WHERE created_at = ? AND id = ?", hold.state, createdAtSecondsOf(hold.id), hold.id);
  }

  /** An open hold stays: whatever asked for this, the credits are not accounted for yet. */
  deleteResolved(id: string): void {
    this.#sql.exec("DELETE FROM tasks WHERE created_at = ? AND id = ? AND state <> 'held'", createdAtSecondsOf(id), id);
  }

  insertEntries(entries: Change["entries"]): void {
    for (const { seq, at, kind, amount, ref } of entries) {
      this.#sql.exec("INSERT INTO journal VALUES (?, ?, ?, ?, ?)", seq, at, kind, amount, ref);
    }
  }

  *journal(): Iterable<Entry> {
    yield* this.#sql.exec<{ [Column in keyof Entry]: Entry[Column] }>(
      "SELECT seq, at, kind, amount, ref FROM journal ORDER BY seq",
    );
  }

  insertOrphan(at: number, taskId: string, { attempt, reason }: Orphan): void {
    this.#sql.exec(
      "INSERT INTO orphans (at, task, provider, model, reason) VALUES (?, ?, ?, ?, ?)",
      at,
      taskId,
      attempt.provider,
      attempt.model,
      reason,
    );
  }

  key(id: string): KeyRow | null {
    return this.#keyRows("WHERE id = ?", id)[0] ?? null;
  }

  keys(): KeyRow[] {
    return this.#keyRows("ORDER BY id");
  }

  putKey({ id, hash, scopes, expiresAt }: KeySpec): void {
    this.#sql.exec(
      `INSERT INTO keys VALUES (?, ?, ?, ?, 0)
       ON CONFLICT (id) DO UPDATE SET scopes = excluded.scopes, expires_at = excluded.expires_at WHERE hash = excluded.hash`,
      id,
      hash,
      scopes.join(),
      expiresAt,
    );
  }

  revokeKey(id: string): void {
    this.#sql.exec("UPDATE keys SET revoked = 1 WHERE id = ?", id);
  }

  /** Oldest first, created at `fromSeconds` or later. */
  firstLive(fromSeconds: number): LiveRow | null {
    return this.#live("created_at >= ? AND state = 'held' ORDER BY created_at LIMIT 1", fromSeconds)[0] ?? null;
  }

  /** Oldest first, after that place, past their deadline at `now`. */
  overdue(after: RowPlace, now: number, limit: number): LiveRow[] {
    return this.#live(
      "(created_at, id) > (?, ?) AND created_at <= ? AND state = 'held' AND deadline_at < ? ORDER BY created_at, id LIMIT ?",
      after.createdAtSeconds,
      after.id,
      Math.floor(now / 1000),
      now,
      limit,
    );
  }

  /** Resolved rows created before `beforeSeconds`: their tasks should have purged themselves. */
  leftOver(beforeSeconds: number, limit: number): string[] {
    return this.#sql
      .exec<{ id: string }>(
        "SELECT id FROM tasks WHERE created_at < ? AND state <> 'held' ORDER BY created_at LIMIT ?",
        beforeSeconds,
        limit,
      )
      .toArray()
      .map(({ id }) => id);
  }

  #live(where: string, ...values: (number | string)[]): LiveRow[] {
    return this.#sql
      .exec<{ created_at: number; id: string; deadline_at: number }>(
        `SELECT created_at, id, deadline_at FROM tasks WHERE ${where}`,
        ...values,
      )
      .toArray()
      .map((row) => ({ id: row.id, deadlineAt: row.deadline_at, createdAtSeconds: row.created_at }));
  }

  #keyRows(rest: string, ...values: string[]): KeyRow[] {
    return this.#sql
      .exec<{ id: string; hash: string; scopes: string; expires_at: number | null; revoked: number }>(
        `SELECT id, hash, scopes, expires_at, revoked FROM keys ${rest}`,
        ...values,
      )
      .toArray()
      .map((row) => ({
        id: row.id,
        hash: row.hash,
        scopes: row.scopes.split(",") as Scope[],
        expiresAt: row.expires_at,
        revoked: row.revoked === 1,
      }));
  }
}
