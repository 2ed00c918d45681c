// Sends what is due, a few at a time and fewer to one receiver, so that one that is slow holds up itself. Starts a delivery as soon as
// there is room, and decides nothing: what a try makes of a delivery and its endpoint is core/webhook's.
import {
  beginTry,
  endTry,
  giveUp,
  judge,
  liveSecrets,
  noteTry,
  type DeliveryAttempt,
  type Endpoint,
  type PendingDelivery,
} from "../core/webhook.ts";
import type { Deliver } from "../service/deliver.ts";
import type { DeliveryRows, StoredDelivery } from "./delivery-rows.ts";
import type { EndpointStore } from "./endpoint-store.ts";

/** As many connections as a Worker may have waiting at once; more would only wait in line, and their time limits with them. */
const LANES = 6;
const LANES_A_QUEUE = 3;
/** To a receiver whose last try failed. */
const LANES_IF_FAILING = 1;
/** Of a wake; the platform allows 15 minutes. What is due then goes on with the next. */
const WAKE_MS = 10 * 60_000;

export interface PumpHands {
  readonly rows: DeliveryRows;
  readonly endpoints: EndpointStore;
  readonly deliver: Deliver;
  /** Told of each try, and what the endpoint is after it, where it had one. */
  readonly onTry: (delivery: StoredDelivery, attempt: DeliveryAttempt, before: Endpoint | null, after: Endpoint | null) => void;
  readonly onSurprise: (error: unknown) => void;
}

export class DeliveryPump {
  readonly #hands: PumpHands;
  readonly #underWay = new Map<string, { queue: string; done: Promise<void> }>();
  /** Queues whose last try failed, as far as this instance knows. */
  readonly #failing = new Set<string>();
  #until = 0;

  constructor(hands: PumpHands) {
    this.#hands = hands;
  }

  get isRunning(): boolean {
    return this.#underWay.size > 0;
  }

  isUnderWay(deliveryId: string): boolean {
    return this.#underWay.has(deliveryId);
  }

  /** Begins what is due, and as tries end, what is due then. Resolves when nothing is under way any more. */
  start(now: number): Promise<void> {
    this.#until = now + WAKE_MS;
    this.fill(now);
    return this.#drained();
  }

  /** No alarm comes while one is being handled, so what falls due meanwhile is begun from here. */
  async #drained(): Promise<void> {
    while (this.#underWay.size > 0) {
      const now = Date.now();
      const later = this.#hands.rows.heads().filter(({ nextAt }) => nextAt > now && nextAt < this.#until);
      const due = sleep(Math.min(...later.map(({ nextAt }) => nextAt)) - now);
      await Promise.race([due.over, ...[...this.#underWay.values()].map(({ done }) => done)]);
      due.stop();
      this.fill(Date.now());
    }
  }

  /** Begins as many tries as there is room for. Every intent is on record before its try begins. */
  fill(now: number): void {
    if (now >= this.#until) return;
    const heads = this.#hands.rows.heads().filter(({ nextAt }) => nextAt <= now);
    for (const { queue } of heads.sort((a, b) => a.nextAt - b.nextAt)) {
      const room = Math.min(LANES - this.#underWay.size, this.#roomOf(queue));
      if (room > 0) for (const due of this.#hands.rows.due(queue, now, room)) this.#begin(due, now);
    }
  }

  #roomOf(queue: string): number {
    const lanes = this.#failing.has(queue) ? LANES_IF_FAILING : LANES_A_QUEUE;
    return lanes - [...this.#underWay.values()].filter((each) => each.queue === queue).length;
  }

  #begin(due: StoredDelivery, now: number): void {
    const { delivery } = due;
    if (delivery.state !== "pending" || this.isUnderWay(delivery.id)) return;
    const begun = beginTry(delivery, now);
    if (begun === null) return this.#hands.rows.save(due, giveUp(delivery));
    this.#hands.rows.saveIntent(due, begun);
    // A try that cannot be written down is repeated: its intent is on record.
    const done = this.try({ ...due, delivery: begun })
      .catch(this.#hands.onSurprise)
      .then(() => {
        this.#underWay.delete(delivery.id);
        this.fill(Date.now());
      })
      .catch(this.#hands.onSurprise);
    this.#underWay.set(delivery.id, { queue: due.queue, done });
  }

  /** One try, and what it makes of the delivery on record. */
  async try(stored: StoredDelivery & { readonly delivery: PendingDelivery }): Promise<void> {
    const { rows, endpoints, deliver, onTry } = this.#hands;
    const { delivery, news, queue } = stored;
    const endpoint = delivery.endpointId === null ? null : endpoints.find(delivery.endpointId);
    const url = delivery.endpointId === null ? news.webhookUrl : (endpoint?.url ?? null);
    // Its endpoint was deleted.
    if (url === null) return rows.save(stored, giveUp(delivery));
    const secrets = liveSecrets((endpoint ?? endpoints.taskHook()).secrets, Date.now());
    const { attempt, retryAfterMs } = await deliver({ id: delivery.id, isTest: delivery.isTest, news, url, secrets });

    // Read again: it may have been replayed, given up or cleaned away while we were at it.
    const now = Date.now();
    const current = rows.find(stored)?.delivery;
    if (current === undefined) return;
    rows.save(stored, endTry({ ...current, tries: delivery.tries }, attempt, retryAfterMs, now));
    const verdict = judge(attempt);
    if (verdict === "delivered") this.#failing.delete(queue);
    else this.#failing.add(queue);
    const before = delivery.endpointId === null ? null : endpoints.find(delivery.endpointId);
    const after = before === null || delivery.isTest ? before : noteTry(before, verdict, now);
    if (after !== null && after !== before) endpoints.put(after);
    onTry(stored, attempt, before, after);
  }
}

/** Infinity: for ever. One that is stopped is never over. */
function sleep(ms: number): { over: Promise<void>; stop: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<void>((resolve) => {
    if (ms !== Infinity) timer = setTimeout(resolve, ms);
  });
  return { over, stop: () => clearTimeout(timer ?? null) };
}
