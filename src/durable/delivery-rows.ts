// The deliveries' table: who is to be told of which news, how far that has come, and what was answered. What it says is in its news.
// Two partial indexes, so that only what is due or has failed is indexed: a delivery that worked costs nothing more once it has.
import { deliveryIdOf, endpointIdOf, type Delivery, type DeliveryAttempt, type PendingDelivery } from "../core/webhook.ts";
import type { DeliveryFilter, DeliveryView } from "../ports.ts";
import { parse } from "./news-rows.ts";

export interface DeliveryPlace {
  readonly seq: number;
  readonly hook: string;
}

/** The queue of tasks' own webhooks on one host. */
export function taskQueueOf(webhookUrl: string): string {
  return `${TO_TASKS}${URL.parse(webhookUrl)?.host ?? ""}`;
}

const TO_TASKS = "@";

export interface QueueHead {
  readonly queue: string;
  readonly nextAt: number;
}

/** `queue`: what waits for each other: an endpoint's hook, or `@` and the host of tasks' own webhooks. */
export type StoredDelivery = DeliveryView & DeliveryPlace & { readonly queue: string };

/** Of queues that are looked at together: tasks may name any number of hosts. */
const MAX_QUEUES = 1_000;

export class DeliveryRows {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#sql.exec(`
      CREATE TABLE IF NOT EXISTS deliveries (
        seq INTEGER NOT NULL, hook TEXT NOT NULL, queue TEXT NOT NULL, state TEXT NOT NULL,
        tries INTEGER NOT NULL, next_at INTEGER, attempts TEXT NOT NULL,
        PRIMARY KEY (seq, hook)
      ) WITHOUT ROWID;
      CREATE INDEX IF NOT EXISTS due ON deliveries (queue, next_at) WHERE next_at IS NOT NULL;
      CREATE INDEX IF NOT EXISTS failed ON deliveries (seq) WHERE state = 'failed';`);
  }

  /** `nextAt` null: on record only. */
  insert({ seq, hook }: DeliveryPlace, queue: string, nextAt: number | null): void {
    const state = nextAt === null ? "failed" : "pending";
    this.#sql.exec("INSERT INTO deliveries VALUES (?, ?, ?, ?, 0, ?, '[]')", seq, hook, queue, state, nextAt);
  }

  save({ seq, hook }: DeliveryPlace, { state, tries, nextAt, attempts }: Delivery): void {
    this.#sql.exec(
      "UPDATE deliveries SET state = ?, tries = ?, next_at = ?, attempts = ? WHERE seq = ? AND hook = ?",
      state,
      tries,
      nextAt,
      JSON.stringify(attempts),
      seq,
      hook,
    );
  }

  /** The intent of a try: what was answered before is not written again. */
  saveIntent({ seq, hook }: DeliveryPlace, { tries, nextAt }: PendingDelivery): void {
    this.#sql.exec("UPDATE deliveries SET tries = ?, next_at = ? WHERE seq = ? AND hook = ?", tries, nextAt, seq, hook);
  }

  find({ seq, hook }: DeliveryPlace): StoredDelivery | null {
    return this.#select("WHERE d.seq = ? AND d.hook = ?", seq, hook)[0] ?? null;
  }

  /** Every queue in which something waits, and since or until when. One step through the index a queue. */
  heads(): QueueHead[] {
    return this.#sql
      .exec<{ queue: string; next_at: number }>(
        `WITH RECURSIVE queues (queue) AS (
           SELECT min(queue) FROM deliveries WHERE next_at IS NOT NULL
           UNION ALL
           SELECT (SELECT min(queue) FROM deliveries WHERE next_at IS NOT NULL AND queue > queues.queue) FROM queues
           WHERE queues.queue IS NOT NULL
         )
         SELECT queue, (SELECT min(next_at) FROM deliveries AS d WHERE d.queue = queues.queue AND next_at IS NOT NULL) AS next_at
         FROM queues WHERE queue IS NOT NULL LIMIT ?`,
        MAX_QUEUES,
      )
      .toArray()
      .map(({ queue, next_at: nextAt }) => ({ queue, nextAt }));
  }

  /** Longest due first. */
  due(queue: string, now: number, limit: number): StoredDelivery[] {
    return this.#select("WHERE d.queue = ? AND d.next_at <= ? ORDER BY d.next_at LIMIT ?", queue, now, limit);
  }

  /** Newest first, before that place. Only what the newest hundreds of thousands of a busy tenant do not have takes long to find. */
  list({ endpointHook, taskHook, state, task, seqs }: RowFilter, before: DeliveryPlace | null, limit: number): StoredDelivery[] {
    const conditions: [string, ...(string | number)[]][] = [["d.seq >= ? AND d.seq < ?", seqs.from, seqs.to]];
    if (before !== null) conditions.push(["(d.seq, d.hook) < (?, ?)", before.seq, before.hook]);
    if (endpointHook !== null) conditions.push(["d.hook = ?", endpointHook]);
    if (taskHook) conditions.push(["d.queue LIKE ?", `${TO_TASKS}%`]);
    if (task !== null) conditions.push(["n.task = ?", task]);
    // The words that the partial indexes are known by.
    if (state === "failed") conditions.push(["d.state = 'failed'"]);
    if (state === "pending") conditions.push(["d.next_at IS NOT NULL"]);
    if (state === "delivered") conditions.push(["d.state = 'delivered'"]);
    const where = conditions.map(([text]) => text).join(" AND ");
    const values = conditions.flatMap(([, ...rest]) => rest);
    const from = state === "pending" ? "INDEXED BY due" : state === "failed" ? "INDEXED BY failed" : "";
    return this.#selectFrom(from, `WHERE ${where} ORDER BY d.seq DESC, d.hook DESC LIMIT ?`, ...values, limit);
  }

  /** Gives up what still waits in a queue; it may be replayed. */
  failPending(queue: string): void {
    this.#sql.exec("UPDATE deliveries SET state = 'failed', next_at = NULL WHERE queue = ? AND next_at IS NOT NULL", queue);
  }

  /** Oldest first. How many it was. */
  replayFailed(hook: string, now: number, limit: number): number {
    const rows = this.#sql.exec<{ seq: number }>(
      `UPDATE deliveries SET state = 'pending', tries = 0, next_at = ? WHERE hook = ? AND seq IN
       (SELECT seq FROM deliveries INDEXED BY failed WHERE state = 'failed' AND hook = ? ORDER BY seq LIMIT ?) RETURNING seq`,
      now,
      hook,
      hook,
      limit,
    );
    return rows.toArray().length;
  }

  removeBelow(end: number): void {
    this.#sql.exec("DELETE FROM deliveries WHERE seq < ?", end);
  }

  #select(rest: string, ...values: (string | number)[]): StoredDelivery[] {
    return this.#selectFrom("", rest, ...values);
  }

  #selectFrom(index: string, rest: string, ...values: (string | number)[]): StoredDelivery[] {
    return this.#sql
      .exec<Row>(
        `SELECT d.seq, d.hook, d.queue, d.state, d.tries, d.next_at, d.attempts, n.stored_at, n.is_test, n.body
         FROM deliveries AS d ${index} JOIN news AS n ON n.seq = d.seq ${rest}`,
        ...values,
      )
      .toArray()
      .map(toDelivery);
  }
}

/** `seqs`: where to look, the end excluded. */
export type RowFilter = Pick<DeliveryFilter, "state" | "task"> & {
  readonly endpointHook: string | null;
  /** Only those to tasks' own webhooks. */
  readonly taskHook: boolean;
  readonly seqs: { readonly from: number; readonly to: number };
};

type Row = {
  seq: number;
  hook: string;
  queue: string;
  state: Delivery["state"];
  tries: number;
  next_at: number | null;
  attempts: string;
  stored_at: number;
  is_test: number;
  body: string;
};

function toDelivery({ seq, hook, queue, state, tries, next_at: nextAt, ...row }: Row): StoredDelivery {
  const common = {
    id: deliveryIdOf({ hook, seq }),
    endpointId: queue.startsWith(TO_TASKS) ? null : endpointIdOf(hook),
    isTest: row.is_test === 1,
    tries,
    attempts: JSON.parse(row.attempts) as DeliveryAttempt[],
  };
  const delivery: Delivery =
    state === "pending" ? { ...common, state, nextAt: nextAt ?? row.stored_at } : { ...common, state, nextAt: null };
  return { delivery, news: parse(row.body), createdAt: row.stored_at, seq, hook, queue };
}
