// One tenant's events in one mode: the feed that streams read, its webhook endpoints, and the deliveries to them. Publishing only
// puts on record; sending is the alarm's, so that a slow receiver never delays a task. With nobody to tell, a piece of news costs one row.
import { DurableObject } from "cloudflare:workers";
import type { Refusal } from "../core/errors.ts";
import type { News } from "../core/news.ts";
import { fail, ok, type Result } from "../core/result.ts";
import {
  changeEndpoint,
  endpointIdOf,
  hookOf,
  judge,
  placeOf,
  replay,
  rollSecret,
  treatment,
  type DeliveryAttempt,
  type Endpoint,
  type EndpointChange,
  type SigningSecrets,
} from "../core/webhook.ts";
import type { DeliveryFilter, DeliveryView, EventsPort, FeedPage } from "../ports.ts";
import { wire } from "../wire.ts";
import { DeliveryLog } from "./delivery-log.ts";
import { DeliveryPump } from "./delivery-pump.ts";
import { DeliveryRows, taskQueueOf, type StoredDelivery } from "./delivery-rows.ts";
import { EndpointStore, hookOfEndpoint } from "./endpoint-store.ts";
import { EventsUpkeep } from "./events-upkeep.ts";
import { NewsRows } from "./news-rows.ts";

const SURPRISED_MS = 30_000;
/** A tenant may try its endpoints out, and not use us to knock on doors. */
const TESTS_A_MINUTE = 10;
const MINUTE_MS = 60_000;
const REPLAYED_AT_ONCE = 10_000;

export class TenantEvents extends DurableObject<Cloudflare.Env> implements EventsPort {
  readonly #news = new NewsRows(this.ctx.storage);
  readonly #rows = new DeliveryRows(this.ctx.storage.sql);
  readonly #endpoints = new EndpointStore(this.ctx.storage.kv);
  readonly #log = new DeliveryLog(this.#news, this.#rows);
  readonly #upkeep = new EventsUpkeep(this.#news, this.#rows, this.ctx.storage);
  readonly #pump = new DeliveryPump({
    rows: this.#rows,
    endpoints: this.#endpoints,
    deliver: async (outgoing) => wire(this.env).deliver(outgoing),
    onTry: (...tried) => this.#onTry(...tried),
    onSurprise: (error) => this.#complain("delivery_failed", error),
  });
  /** When tests were sent. */
  #tests: readonly number[] = [];

  async publish(news: readonly News[]): Promise<void> {
    const now = Date.now();
    const fresh = news.filter((each) => !this.#news.isKnown(each, now));
    if (fresh.length === 0) return;
    const due = this.ctx.storage.transactionSync(() => fresh.map((each) => this.#record(each, now)).includes(true));
    this.#news.remember(fresh);
    if (due) await this.#sendSoon(now);
    else if ((await this.ctx.storage.getAlarm()) === null) await this.#arm();
  }

  /** True: something of it is to be sent. */
  #record(news: News, now: number): boolean {
    const told = this.#endpoints.all().map((endpoint) => ({ endpoint, how: treatment(endpoint, news.type) }));
    const targets = told.filter(({ how }) => how !== "skip");
    const hasDeliveries = targets.length > 0 || news.webhookUrl !== null;
    const seq = this.#news.insert(news, { isTest: false, hasDeliveries }, now);
    for (const { endpoint, how } of targets) {
      const hook = hookOfEndpoint(endpoint);
      this.#rows.insert({ seq, hook }, hook, how === "send" ? now : null);
    }
    if (news.webhookUrl !== null) {
      this.#rows.insert({ seq, hook: this.#endpoints.taskHook().hook }, taskQueueOf(news.webhookUrl), now);
    }
    return news.webhookUrl !== null || targets.some(({ how }) => how === "send");
  }

  async feed(seq: number, limit: number): Promise<FeedPage> {
    return this.#news.feed(seq, limit, Date.now());
  }

  async endpoints(): Promise<readonly Endpoint[]> {
    return this.#endpoints.all();
  }

  async addEndpoint(endpoint: Endpoint): Promise<Result<Endpoint, Refusal>> {
    return this.#endpoints.add(endpoint);
  }

  async changeEndpoint(id: string, change: EndpointChange): Promise<Result<Endpoint, Refusal>> {
    return this.#change(id, (endpoint) => changeEndpoint(endpoint, change, Date.now()));
  }

  async rollSecret(id: string, fresh: string, overlapMs: number): Promise<Result<Endpoint, Refusal>> {
    return this.#change(id, (endpoint) => ({
      ...endpoint,
      secrets: rollSecret(endpoint.secrets, fresh, overlapMs, Date.now()),
    }));
  }

  #change(id: string, decide: (endpoint: Endpoint) => Endpoint): Result<Endpoint, Refusal> {
    const before = this.#endpoints.find(id);
    if (before === null) return fail({ kind: "webhook_not_found" });
    const after = decide(before);
    this.ctx.storage.transactionSync(() => {
      this.#endpoints.put(after);
      // What still waits for it would be sent all the same; it can be replayed.
      if (after.disabled !== null && before.disabled === null) this.#rows.failPending(hookOfEndpoint(after));
    });
    return ok(after);
  }

  async removeEndpoint(id: string): Promise<boolean> {
    return this.ctx.storage.transactionSync(() => {
      const hook = hookOf(id);
      if (hook === null || !this.#endpoints.remove(id)) return false;
      this.#rows.failPending(hook);
      return true;
    });
  }

  async taskSecrets(): Promise<SigningSecrets> {
    return this.#endpoints.taskHook().secrets;
  }

  async rollTaskSecret(fresh: string, overlapMs: number): Promise<SigningSecrets> {
    const secrets = rollSecret(await this.taskSecrets(), fresh, overlapMs, Date.now());
    this.#endpoints.putTaskSecrets(secrets);
    return secrets;
  }

  async tryOut(endpointId: string, sample: News): Promise<Result<DeliveryView, Refusal>> {
    const endpoint = this.#endpoints.find(endpointId);
    if (endpoint === null) return fail({ kind: "webhook_not_found" });
    const now = Date.now();
    this.#tests = this.#tests.filter((at) => at > now - MINUTE_MS);
    if (this.#tests.length >= TESTS_A_MINUTE) {
      return fail({ kind: "rate_limit_exceeded", policy: "webhook test", limit: null, windowSeconds: 60, resetSeconds: 60 });
    }
    this.#tests = [...this.#tests, now];
    const hook = hookOfEndpoint(endpoint);
    const place = this.ctx.storage.transactionSync(() => {
      const seq = this.#news.insert(sample, { isTest: true, hasDeliveries: true }, now);
      // Not in the queue: it is tried here and now, and never again.
      this.#rows.insert({ seq, hook }, hook, null);
      return { seq, hook };
    });
    const stored = this.#rows.find(place);
    if (stored === null) throw new Error("a delivery that was just written is gone");
    await this.#pump.try({ ...stored, delivery: { ...replay(stored.delivery, now), tries: 1 } });
    if ((await this.ctx.storage.getAlarm()) === null) await this.#arm();
    return this.#log.get(stored.delivery.id);
  }

  async deliveries(filter: DeliveryFilter, after: string | null, limit: number): Promise<Result<DeliveryView[], Refusal>> {
    return this.#log.list(filter, after, limit);
  }

  async delivery(id: string): Promise<DeliveryView | null> {
    return this.#log.find(id);
  }

  async replay(id: string): Promise<Result<DeliveryView, Refusal>> {
    const place = placeOf(id);
    const stored = place === null ? null : this.#rows.find(place);
    if (stored === null) return fail({ kind: "delivery_not_found" });
    const barred = this.#barred(stored.delivery.endpointId);
    if (barred !== null) return fail(barred);
    const now = Date.now();
    // One that is being sent this very moment is not sent beside itself.
    if (!this.#pump.isUnderWay(id)) {
      this.#rows.save(stored, replay(stored.delivery, now));
      await this.#sendSoon(now);
    }
    return this.#log.get(id);
  }

  async replayFailed(endpointId: string): Promise<Result<{ count: number; more: boolean }, Refusal>> {
    const barred = this.#barred(endpointId);
    if (barred !== null) return fail(barred);
    const now = Date.now();
    const count = this.#rows.replayFailed(hookOf(endpointId) ?? "", now, REPLAYED_AT_ONCE);
    if (count > 0) await this.#sendSoon(now);
    return ok({ count, more: count === REPLAYED_AT_ONCE });
  }

  #barred(endpointId: string | null): Refusal | null {
    if (endpointId === null) return null;
    const endpoint = this.#endpoints.find(endpointId);
    if (endpoint === null) return { kind: "webhook_not_found" };
    return endpoint.disabled === null ? null : { kind: "webhook_disabled" };
  }

  async tend(): Promise<void> {
    if ((await this.ctx.storage.getAlarm()) === null) await this.#arm();
  }

  /** A wake under way, in this very instance. */
  #wake: Promise<void> | null = null;

  override async alarm(): Promise<void> {
    this.#wake ??= this.#look().finally(() => (this.#wake = null));
    return this.#wake;
  }

  // Never throws, for the platform's reason: see durable/video-task.
  async #look(): Promise<void> {
    try {
      const now = Date.now();
      this.#upkeep.run(now);
      const sent = this.#pump.start(now);
      // Armed before the replies are waited for: if this isolate dies half way, that look finds what was under way.
      await this.#arm();
      await sent;
      await this.#arm(true);
    } catch (error) {
      this.#complain("alarm_failed", error);
      await this.ctx.storage.setAlarm(Date.now() + SURPRISED_MS);
    }
  }

  /** Sends it in the wake that is under way, or else in the next one, which is now. */
  async #sendSoon(now: number): Promise<void> {
    if (this.#pump.isRunning) this.#pump.fill(now);
    await this.#arm();
  }

  /** For the earliest that is to be done. An alarm that comes before stays, unless `exactly`: it finds nothing, and sets this one. */
  async #arm(exactly = false): Promise<void> {
    const next = Math.min(...this.#rows.heads().map(({ nextAt }) => nextAt), this.#upkeep.nextAt());
    const armed = (await this.ctx.storage.getAlarm()) ?? Infinity;
    if (next < armed || (exactly && next > armed && next !== Infinity)) await this.ctx.storage.setAlarm(next);
  }

  #onTry({ delivery, hook }: StoredDelivery, attempt: DeliveryAttempt, before: Endpoint | null, after: Endpoint | null): void {
    const { status, fault, ms } = attempt;
    const events = this.ctx.id.name ?? null;
    const { telemetry } = wire(this.env);
    const said = { events, delivery: delivery.id, tries: delivery.tries, verdict: judge(attempt), status, fault, ms };
    telemetry.log("info", { event: "webhook_try", ...said });
    if (after === null || after.disabled === null || before?.disabled !== null) return;
    this.#rows.failPending(hook);
    telemetry.log("warn", { event: "webhook_disabled", events, endpoint: endpointIdOf(hook), reason: after.disabled.reason });
  }

  #complain(event: string, error: unknown): void {
    const name = error instanceof Error ? error.name : "unknown";
    console.error(JSON.stringify({ level: "error", event, events: this.ctx.id.name ?? null, error: name }));
  }
}
