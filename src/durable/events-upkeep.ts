// What a tenant's events keep, and for how long: the feed for a day, deliveries and what they told for 30 days, of purged tasks too.
import type { DeliveryRows } from "./delivery-rows.ts";
import { FEED_MS, type NewsRows } from "./news-rows.ts";

const DELIVERIES_MS = 30 * 24 * 60 * 60_000;
/** So many rows go together that a wake for them is worth it. */
const SLACK_MS = 6 * 60 * 60_000;
const NUMBERS_A_RUN = 5_000;
const NEXT_RUN_MS = 1_000;
/** An object holds 10 GB. A log that comes near goes sooner, the oldest first. */
const MAX_BYTES = 5 * 2 ** 30;

export class EventsUpkeep {
  readonly #news: NewsRows;
  readonly #deliveries: DeliveryRows;
  readonly #storage: DurableObjectStorage;
  readonly #maxBytes: number;
  #goesOnAt: number | null = null;

  constructor(news: NewsRows, deliveries: DeliveryRows, storage: DurableObjectStorage, maxBytes = MAX_BYTES) {
    this.#news = news;
    this.#deliveries = deliveries;
    this.#storage = storage;
    this.#maxBytes = maxBytes;
  }

  /** When there will be something to remove; Infinity: nothing is kept. */
  nextAt(): number {
    if (this.#goesOnAt !== null) return this.#goesOnAt;
    const { first, unswept } = this.#news.first();
    const feed = unswept === null ? Infinity : unswept.storedAt + FEED_MS;
    const log = first === null ? Infinity : first.storedAt + DELIVERIES_MS;
    return Math.min(feed, log) + SLACK_MS;
  }

  /** One round, and little enough of it that nobody waits long; `nextAt` says when the next is due. */
  run(now: number): void {
    if (now < this.nextAt() && this.#storage.sql.databaseSize < this.#maxBytes) return;
    const isDone = this.#storage.transactionSync(() => this.#removeOld(now) && this.#news.sweep(now - FEED_MS, NUMBERS_A_RUN));
    this.#goesOnAt = isDone ? null : now + NEXT_RUN_MS;
  }

  /** False: there may be more. */
  #removeOld(now: number): boolean {
    const first = this.#news.first().first?.seq;
    if (first === undefined) return true;
    const isTooLarge = this.#storage.sql.databaseSize >= this.#maxBytes;
    const end = isTooLarge ? first + NUMBERS_A_RUN : this.#news.seqAt(now - DELIVERIES_MS);
    if (end <= first) return true;
    const to = Math.min(end, first + NUMBERS_A_RUN);
    this.#deliveries.removeBelow(to);
    this.#news.removeBelow(to);
    return to === end && !isTooLarge;
  }
}
