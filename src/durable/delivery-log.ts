// The deliveries as their tenant looks for them. Ids say where they lie, and a task's id when it was made: neither needs an index.
import type { Refusal } from "../core/errors.ts";
import { fail, ok, type Result } from "../core/result.ts";
import { createdAtSecondsOf } from "../core/task-id.ts";
import { hookOf, placeOf } from "../core/webhook.ts";
import type { DeliveryFilter, DeliveryView } from "../ports.ts";
import type { DeliveryRows, StoredDelivery } from "./delivery-rows.ts";
import type { NewsRows } from "./news-rows.ts";

/** A task's news come within this time of its creation, and not before it but for a clock that is behind. */
const TASK_NEWS_MS = 2 * 24 * 60 * 60_000;
const CLOCK_SKEW_MS = 10 * 60_000;

export class DeliveryLog {
  readonly #news: NewsRows;
  readonly #rows: DeliveryRows;

  constructor(news: NewsRows, rows: DeliveryRows) {
    this.#news = news;
    this.#rows = rows;
  }

  find(id: string): DeliveryView | null {
    const place = placeOf(id);
    const found = place === null ? null : this.#rows.find(place);
    return found === null ? null : toView(found);
  }

  get(id: string): Result<DeliveryView, Refusal> {
    const found = this.find(id);
    return found === null ? fail({ kind: "delivery_not_found" }) : ok(found);
  }

  /** Newest first, before the delivery `after`. */
  list({ to, task, state }: DeliveryFilter, after: string | null, limit: number): Result<DeliveryView[], Refusal> {
    const before = after === null ? null : placeOf(after);
    if (after !== null && (before === null || this.#rows.find(before) === null)) return fail({ kind: "invalid_cursor" });
    const endpointHook = to === null || to === "task" ? null : hookOf(to.endpointId);
    if (to !== null && to !== "task" && endpointHook === null) return ok([]);
    const filter = { endpointHook, taskHook: to === "task", task, state, seqs: this.#seqsOf(task) };
    return ok(this.#rows.list(filter, before, limit).map(toView));
  }

  #seqsOf(task: string | null): { from: number; to: number } {
    if (task === null) return { from: 0, to: Number.MAX_SAFE_INTEGER };
    const createdAt = createdAtSecondsOf(task) * 1000;
    return { from: this.#news.seqAt(createdAt - CLOCK_SKEW_MS), to: this.#news.seqAt(createdAt + TASK_NEWS_MS) };
  }
}

function toView({ delivery, news, createdAt }: StoredDelivery): DeliveryView {
  return { delivery, news, createdAt };
}
