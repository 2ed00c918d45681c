// The feed's table: what a tenant's tasks told, numbered as it came. A row with deliveries stays for their sake; any other goes
// when the feed no longer shows it. Written once a piece of news, without an index: times grow with numbers, so both are found by number.
import type { News, NewsType } from "../core/news.ts";
import type { FeedPage } from "../ports.ts";

export const FEED_MS = 24 * 60 * 60_000;
const FEED_LENGTH = 1_000;
/** A piece of news that comes a second time is known by these; a task repeats itself within minutes. */
const REMEMBERED = 5_000;
/** The number that the next piece of news must be above, where no row says so any more. */
const FLOOR = "news_floor";
/** Below this number only rows with deliveries are left. */
const SWEPT = "news_swept";

interface Place {
  readonly seq: number;
  readonly storedAt: number;
}

export class NewsRows {
  readonly #sql: SqlStorage;
  readonly #kv: SyncKvStorage;
  /** Of the news that are remembered: task and type. */
  #known: Set<string> | null = null;
  /** The oldest that the feed shows; it only grows. */
  #oldest = 0;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
    this.#kv = storage.kv;
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS news (
      seq INTEGER PRIMARY KEY, stored_at INTEGER NOT NULL, task TEXT NOT NULL, type TEXT NOT NULL,
      is_test INTEGER NOT NULL, has_deliveries INTEGER NOT NULL, body TEXT NOT NULL
    )`);
  }

  /** Inside a transaction, after which `remember` is due. The clock of another machine may be behind: time does not go back here. */
  insert(news: News, flags: { isTest: boolean; hasDeliveries: boolean }, now: number): number {
    const last = this.#last();
    const seq = Math.max(last?.seq ?? 0, this.#kv.get<number>(FLOOR) ?? 0) + 1;
    this.#sql.exec(
      "INSERT INTO news VALUES (?, ?, ?, ?, ?, ?, ?)",
      seq,
      Math.max(now, last?.storedAt ?? 0),
      news.task.id,
      news.type,
      Number(flags.isTest),
      Number(flags.hasDeliveries),
      JSON.stringify(news),
    );
    return seq;
  }

  isKnown(news: News, now: number): boolean {
    this.#known ??= this.#recall(now);
    return this.#known.has(keyOf(news.task.id, news.type));
  }

  remember(news: readonly News[]): void {
    // Forgotten as a whole, and read again when it is next asked for.
    if ((this.#known?.size ?? 0) > 2 * REMEMBERED) this.#known = null;
    for (const { task, type } of news) this.#known?.add(keyOf(task.id, type));
  }

  #recall(now: number): Set<string> {
    const known = new Set<string>();
    const rows = this.#sql.exec<{ task: string; type: NewsType; stored_at: number }>(
      "SELECT task, type, stored_at FROM news WHERE is_test = 0 ORDER BY seq DESC LIMIT ?",
      REMEMBERED,
    );
    for (const { task, type, stored_at: at } of rows) {
      if (at < now - FEED_MS) break;
      known.add(keyOf(task, type));
    }
    return known;
  }

  feed(after: number, limit: number, now: number): FeedPage {
    const latest = Math.max(this.#last()?.seq ?? 0, this.#kv.get<number>(FLOOR) ?? 0);
    const from = Math.max(this.#oldest, latest - FEED_LENGTH + 1);
    const shown = "is_test = 0 AND stored_at >= ? AND seq >= ? ORDER BY seq LIMIT";
    const first = this.#sql.exec<{ seq: number }>(`SELECT seq FROM news WHERE ${shown} 1`, now - FEED_MS, from).toArray()[0];
    this.#oldest = first?.seq ?? latest + 1;
    const rows = this.#sql.exec<{ seq: number; body: string }>(
      `SELECT seq, body FROM news WHERE ${shown} ?`,
      now - FEED_MS,
      Math.max(after + 1, this.#oldest),
      limit,
    );
    return { news: [...rows].map(({ seq, body }) => ({ ...parse(body), seq })), latest, oldest: this.#oldest };
  }

  /** The first number that came at `time` or later; one past the last where none did. */
  seqAt(time: number): number {
    let low = this.#from(0)?.seq ?? 1;
    let high = (this.#last()?.seq ?? 0) + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      // Numbers have gaps: the one that is there stands for those before it.
      const place = this.#from(middle);
      if (place === null || place.storedAt >= time) high = middle;
      else low = place.seq + 1;
    }
    return high;
  }

  /** Removes rows without deliveries that came before `before`, at most `limit` numbers at a time. False: there may be more. */
  sweep(before: number, limit: number): boolean {
    const from = this.#from(this.#kv.get<number>(SWEPT) ?? 0)?.seq;
    const end = this.seqAt(before);
    if (from === undefined || from >= end) return true;
    const to = Math.min(end, from + limit);
    this.#keepFloor(to);
    this.#sql.exec("DELETE FROM news WHERE seq >= ? AND seq < ? AND has_deliveries = 0", from, to);
    this.#kv.put(SWEPT, to);
    return to === end;
  }

  /** Removes every row below `end`. */
  removeBelow(end: number): void {
    this.#keepFloor(end);
    this.#sql.exec("DELETE FROM news WHERE seq < ?", end);
  }

  /** No number is given twice, not even after the last row went. */
  #keepFloor(end: number): void {
    const last = this.#last()?.seq ?? 0;
    if (last < end) this.#kv.put(FLOOR, Math.max(last, this.#kv.get<number>(FLOOR) ?? 0));
  }

  /** The oldest of all, and the oldest that `sweep` has not looked at. */
  first(): { first: Place | null; unswept: Place | null } {
    return { first: this.#from(0), unswept: this.#from(this.#kv.get<number>(SWEPT) ?? 0) };
  }

  #from(seq: number): Place | null {
    return this.#place("WHERE seq >= ? ORDER BY seq LIMIT 1", seq);
  }

  #last(): Place | null {
    return this.#place("ORDER BY seq DESC LIMIT 1");
  }

  #place(rest: string, ...values: number[]): Place | null {
    const row = this.#sql
      .exec<{ seq: number; stored_at: number }>(`SELECT seq, stored_at FROM news ${rest}`, ...values)
      .toArray()[0];
    return row === undefined ? null : { seq: row.seq, storedAt: row.stored_at };
  }
}

/** As this object wrote it. */
export function parse(body: string): News {
  return JSON.parse(body) as News;
}

function keyOf(task: string, type: NewsType): string {
  return `${task} ${type}`;
}
