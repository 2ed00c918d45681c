// The ledger's tables but for its keys. WITHOUT ROWID where the key is text, because a row then bills once and not twice.
// A task's row is keyed by (created_at, id), and both are readable from its id: no secondary index. One home of a hold, the task's
// place in the tenant's index, and the fingerprint that an SDK's retry is known by.
import type { Claim } from "../core/idempotency.ts";
import type { Change, Entry, Hold } from "../core/ledger.ts";
import { createdAtSecondsOf, ORDER_LENGTH, orderOf } from "../core/task-id.ts";
import type { Metadata, Orphan } from "../core/task.ts";
import type { OrphanView, ReserveAsk, TaskFilter, UsageRow } from "../ports.ts";

/** A row that the watchdog looks at. */
export interface LiveRow {
  readonly createdAtSeconds: number;
  readonly id: string;
  /** Unix milliseconds. */
  readonly deadlineAt: number;
}

/** A place in the order of the rows. */
export type RowPlace = Pick<LiveRow, "createdAtSeconds" | "id">;

export type HoldRow = Hold & {
  readonly keyId: string;
  readonly model: string;
  readonly heldSince: number;
  readonly deadlineAt: number;
};

const HOLD_COLUMNS = "id, created_at, key_id, model, credits, from_plan, period, state, deadline_at";

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
        request_id TEXT NOT NULL, fingerprint TEXT NOT NULL,
        PRIMARY KEY (created_at, id)
      ) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, task TEXT NOT NULL, fingerprint TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS journal (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, amount INTEGER NOT NULL, ref TEXT);
      CREATE TABLE IF NOT EXISTS usage (
        day TEXT NOT NULL, model TEXT NOT NULL, key_id TEXT NOT NULL, status TEXT NOT NULL,
        count INTEGER NOT NULL, credits INTEGER NOT NULL, video_ms INTEGER NOT NULL,
        PRIMARY KEY (day, model, key_id, status)
      ) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS orphans (
        seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, task TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, reason TEXT NOT NULL,
        written_off_at INTEGER, written_off_reason TEXT, cost_cents REAL
      );`);
  }

  /** Release 0.1.0 knew no cost. A column is added without a row being touched, and only where there is something to put into it. */
  #addOrphansCost(): void {
    const known = this.#sql.exec("SELECT 1 FROM pragma_table_info('orphans') WHERE name = 'cost_cents'").toArray();
    if (known.length === 0) this.#sql.exec("ALTER TABLE orphans ADD COLUMN cost_cents REAL");
  }

  /** Apart from the rows of every task: few have any, and a release before this one knows nothing of it. */
  #createMetadata(): void {
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS metadata (
      created_at INTEGER NOT NULL, id TEXT NOT NULL, pairs TEXT NOT NULL, PRIMARY KEY (created_at, id)) WITHOUT ROWID`);
  }

  insertMetadata(id: string, pairs: Metadata): void {
    if (Object.keys(pairs).length === 0) return;
    this.#createMetadata();
    this.#sql.exec("INSERT OR REPLACE INTO metadata VALUES (?, ?, ?)", createdAtSecondsOf(id), id, JSON.stringify(pairs));
  }

  #hasMetadata(): boolean {
    return this.#sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'metadata'").toArray().length > 0;
  }

  /** Newest first, older than `after`; those that never started are nobody's. */
  list({ state, model, from, to, metadata }: TaskFilter, after: string | null, limit: number): string[] {
    const where = ["state <> 'withdrawn'"];
    const values: (number | string)[] = [];
    const and = (condition: string, ...given: (number | string)[]): void => {
      where.push(condition);
      values.push(...given);
    };
    // The key finds the second, and what the ids end with sorts the few within it: they begin with the model's name.
    const order = `substr(id, -${ORDER_LENGTH})`;
    if (after !== null) {
      and("created_at <= ?", createdAtSecondsOf(after));
      and(`(created_at, ${order}) < (?, ?)`, createdAtSecondsOf(after), orderOf(after));
    }
    if (state !== null) and("state = ?", state);
    if (model !== null) and("model = ?", model);
    if (from !== null) and("created_at >= ?", from);
    if (to !== null) and("created_at <= ?", to);
    if (metadata !== null) {
      this.#createMetadata();
      const pair = metadata.value === null ? "key = ?" : "key = ? AND value = ?";
      and(
        `EXISTS (SELECT 1 FROM metadata, json_each(metadata.pairs)
         WHERE metadata.created_at = tasks.created_at AND metadata.id = tasks.id AND ${pair})`,
        metadata.key,
        ...(metadata.value === null ? [] : [metadata.value]),
      );
    }
    return this.#ids(`WHERE ${where.join(" AND ")} ORDER BY created_at DESC, ${order} DESC LIMIT ?`, ...values, limit);
  }

  hold(id: string): HoldRow | null {
    return this.#holds("WHERE created_at = ? AND id = ?", createdAtSecondsOf(id), id)[0] ?? null;
  }

  insertHold(hold: Hold, ask: ReserveAsk): void {
    this.#sql.exec(
      "INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      createdAtSecondsOf(hold.id),
      hold.id,
      ask.keyId,
      ask.model,
      hold.credits,
      hold.fromPlan,
      hold.period,
      hold.state,
      ask.deadlineAt,
      ask.requestId,
      ask.claim.fingerprint,
    );
  }

  resolveHold(hold: Hold): void {
    this.#sql.exec("UPDATE tasks SET state = ? WHERE created_at = ? AND id = ?", hold.state, createdAtSecondsOf(hold.id), hold.id);
  }

  /** An open hold stays: whatever asked for this, the credits are not accounted for yet. */
  deleteResolved(id: string): void {
    const place = [createdAtSecondsOf(id), id];
    const gone = this.#sql.exec("DELETE FROM tasks WHERE created_at = ? AND id = ? AND state <> 'held'", ...place).rowsWritten > 0;
    if (gone && this.#hasMetadata()) this.#sql.exec("DELETE FROM metadata WHERE created_at = ? AND id = ?", ...place);
  }

  claim(key: string, now: number): { task: string; fingerprint: string } | null {
    return (
      this.#sql
        .exec<{ task: string; fingerprint: string }>("SELECT task, fingerprint FROM claims WHERE key = ? AND until > ?", key, now)
        .toArray()[0] ?? null
    );
  }

  putClaim({ key, fingerprint }: Claim, task: string, until: number): void {
    if (key !== null) this.#sql.exec("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?)", key, task, fingerprint, until);
  }

  deleteClaimsUntil(now: number): void {
    this.#sql.exec("DELETE FROM claims WHERE until <= ?", now);
  }

  /** The latest hold of that fingerprint made at `fromMs` or later. */
  latestOf(fingerprint: string, fromMs: number): HoldRow | null {
    return (
      this.#holds(
        "WHERE created_at >= ? AND fingerprint = ? ORDER BY created_at DESC LIMIT 1",
        Math.floor(fromMs / 1000),
        fingerprint,
      )[0] ?? null
    );
  }

  /** Walks the tenant's rows, newest first: a request's id is looked for by a person, and has no index to keep. */
  ofRequest(requestId: string): string | null {
    return this.#ids("WHERE request_id = ? ORDER BY created_at DESC LIMIT 1", requestId)[0] ?? null;
  }

  idsAfter(after: string | null, limit: number): string[] {
    const place = after === null ? [0, ""] : [createdAtSecondsOf(after), after];
    return this.#ids("WHERE (created_at, id) > (?, ?) ORDER BY created_at, id LIMIT ?", ...place, limit);
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

  journalBefore(seq: number, limit: number): Entry[] {
    return this.#sql
      .exec<{ [Column in keyof Entry]: Entry[Column] }>(
        "SELECT seq, at, kind, amount, ref FROM journal WHERE seq < ? ORDER BY seq DESC LIMIT ?",
        seq,
        limit,
      )
      .toArray();
  }

  countUsage({ day, model, keyId, status, count, credits, videoMs }: UsageRow): void {
    this.#sql.exec(
      `INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (day, model, key_id, status)
       DO UPDATE SET count = count + excluded.count, credits = credits + excluded.credits, video_ms = video_ms + excluded.video_ms`,
      day,
      model,
      keyId,
      status,
      count,
      credits,
      videoMs,
    );
  }

  /** Both days included. */
  usage(fromDay: string, toDay: string): UsageRow[] {
    return this.#sql
      .exec<{
        day: string;
        model: string;
        key_id: string;
        status: UsageRow["status"];
        count: number;
        credits: number;
        video_ms: number;
      }>("SELECT * FROM usage WHERE day BETWEEN ? AND ? ORDER BY day, model, key_id, status", fromDay, toDay)
      .toArray()
      .map(({ key_id: keyId, video_ms: videoMs, ...row }) => ({ ...row, keyId, videoMs }));
  }

  insertOrphan(at: number, taskId: string, { attempt, reason }: Orphan): void {
    this.#addOrphansCost();
    this.#sql.exec(
      "INSERT INTO orphans (at, task, provider, model, reason, cost_cents) VALUES (?, ?, ?, ?, ?, ?)",
      at,
      taskId,
      attempt.provider,
      attempt.model,
      reason,
      attempt.costCents,
    );
  }

  orphansBefore(seq: number, limit: number): OrphanView[] {
    return this.#orphans("WHERE seq < ? ORDER BY seq DESC LIMIT ?", seq, limit);
  }

  /** Once; a later reason changes nothing. */
  writeOff(seq: number, at: number, reason: string): OrphanView | null {
    this.#sql.exec(
      "UPDATE orphans SET written_off_at = ?, written_off_reason = ? WHERE seq = ? AND written_off_at IS NULL",
      at,
      reason,
      seq,
    );
    return this.#orphans("WHERE seq = ?", seq)[0] ?? null;
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
    return this.#ids("WHERE created_at < ? AND state <> 'held' ORDER BY created_at LIMIT ?", beforeSeconds, limit);
  }

  #holds(where: string, ...values: (number | string)[]): HoldRow[] {
    return this.#sql
      .exec<{
        id: string;
        created_at: number;
        key_id: string;
        model: string;
        credits: number;
        from_plan: number;
        period: string;
        state: Hold["state"];
        deadline_at: number;
      }>(`SELECT ${HOLD_COLUMNS} FROM tasks ${where}`, ...values)
      .toArray()
      .map((row) => ({
        id: row.id,
        heldSince: row.created_at * 1000,
        keyId: row.key_id,
        model: row.model,
        credits: row.credits,
        fromPlan: row.from_plan,
        period: row.period,
        state: row.state,
        deadlineAt: row.deadline_at,
      }));
  }

  #live(where: string, ...values: (number | string)[]): LiveRow[] {
    return this.#holds(`WHERE ${where}`, ...values).map(({ id, heldSince, deadlineAt }) => ({
      id,
      deadlineAt,
      createdAtSeconds: heldSince / 1000,
    }));
  }

  #ids(where: string, ...values: (number | string)[]): string[] {
    return this.#sql
      .exec<{ id: string }>(`SELECT id FROM tasks ${where}`, ...values)
      .toArray()
      .map(({ id }) => id);
  }

  #orphans(where: string, ...values: number[]): OrphanView[] {
    return this.#sql
      .exec<{
        seq: number;
        at: number;
        task: string;
        provider: string;
        model: string;
        reason: string;
        written_off_at: number | null;
        written_off_reason: string | null;
        cost_cents?: number | null;
      }>(`SELECT * FROM orphans ${where}`, ...values)
      .toArray()
      .map(({ written_off_at: at, written_off_reason: reason, cost_cents: costCents = null, ...row }) => ({
        ...row,
        costCents,
        writtenOff: at === null ? null : { at, reason: reason ?? "" },
      }));
  }
}
