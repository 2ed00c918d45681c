// What a ledger does about tasks that do not end: an overdue one is poked; a hold whose task never started is given back.
// It learns of them from its own rows, so that nothing a task object does or fails to do can keep credits for ever.
import type { LedgerRows, RowPlace } from "./ledger-rows.ts";

export interface WatchdogHands {
  /** False: there is no such task. */
  poke(taskId: string): Promise<boolean>;
  /** False: it started after all. */
  tombstone(taskId: string): Promise<boolean>;
  withdraw(taskId: string): Promise<void>;
}

/** A task has its own alarm for its deadline; only one that missed it is looked at. */
const GRACE_MS = 60_000;
const LOOK_AGAIN_MS = 60_000;
/** After an outage thousands may be overdue at once: a batch a second. */
const BATCH = 50;
const NEXT_BATCH_MS = 1_000;
/** A row carries the time of the Worker that made it, whose clock may be behind ours. */
const CLOCK_SKEW_SECONDS = 600;
/** No hold older than this (unix seconds) is open: where the search for live rows begins. */
const WATERMARK = "watched_to";

export class Watchdog {
  readonly #rows: LedgerRows;
  readonly #storage: DurableObjectStorage;
  readonly #hands: WatchdogHands;
  /** How far a round over the overdue has come; null between rounds. */
  #reached: RowPlace | null = null;

  constructor(rows: LedgerRows, storage: DurableObjectStorage, hands: WatchdogHands) {
    this.#rows = rows;
    this.#storage = storage;
    this.#hands = hands;
  }

  /** Sees to it that someone looks after `deadlineAt`. */
  async watch(deadlineAt: number): Promise<void> {
    const armed = await this.#storage.getAlarm();
    if (armed === null || armed > deadlineAt + GRACE_MS) await this.#storage.setAlarm(deadlineAt + GRACE_MS);
  }

  /** How many overdue tasks it looked at. */
  async run(now: number): Promise<number> {
    // Armed before the calls, so that a death among them is not the last of it.
    await this.#storage.setAlarm(now + LOOK_AGAIN_MS);
    const watermark = this.#storage.kv.get<number>(WATERMARK) ?? 0;
    const overdue = this.#rows.overdue(this.#reached ?? { createdAtSeconds: watermark, id: "" }, now - GRACE_MS, BATCH);
    // One that cannot be reached now must not keep the others waiting; the next round comes by again.
    for (const { id } of overdue) await this.#lookAt(id).catch(() => undefined);
    const more = overdue.length === BATCH;
    this.#reached = more ? (overdue.at(-1) ?? null) : null;

    const first = this.#rows.firstLive(watermark);
    const resolvedTo = Math.min(first?.createdAtSeconds ?? Infinity, Math.floor(now / 1000) - CLOCK_SKEW_SECONDS);
    if (resolvedTo > watermark) this.#storage.kv.put(WATERMARK, resolvedTo);
    if (first === null) await this.#storage.deleteAlarm();
    else if (more) await this.#storage.setAlarm(now + NEXT_BATCH_MS);
    else await this.#storage.setAlarm(Math.max(first.deadlineAt + GRACE_MS, now + LOOK_AGAIN_MS));
    return overdue.length;
  }

  /** The cron's visit: a lost alarm is armed again, and what should have been purged by now is poked. */
  async tend(now: number, purgedBeforeSeconds: number): Promise<void> {
    const first = this.#rows.firstLive(this.#storage.kv.get<number>(WATERMARK) ?? 0);
    if (first !== null) await this.watch(Math.max(first.deadlineAt, now - GRACE_MS));
    for (const id of this.#rows.leftOver(purgedBeforeSeconds, BATCH)) {
      // No such task: its storage went, and only the row was left behind.
      const isThere = await this.#hands.poke(id).catch(() => true);
      if (!isThere) this.#rows.deleteResolved(id);
    }
  }

  async #lookAt(taskId: string): Promise<void> {
    if (await this.#hands.poke(taskId)) return;
    if (await this.#hands.tombstone(taskId)) await this.#hands.withdraw(taskId);
  }
}
