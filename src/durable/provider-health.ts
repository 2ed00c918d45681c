// One provider: its breaker, its places and its speed. Loads, asks the core, saves - and decides nothing. Leases and health are stored,
// the line of those who wait is not: it forms again as they come back. Needs no alarm, because all of it derives from stored times.
// A grant writes one row and a release two; a refusal and a repetition write none, but for leases that ended by themselves: one each.
//
// That carries some 100 tasks a second (an object does 200 to 500 writing calls), a few thousand of them at the provider at a time, and
// ten thousand in line, who ask fifty times a second together. A busier provider is configured as several: the same host by different
// names, each with keys, concurrency and rate of its own; tasks are spread over them by weight.
import { DurableObject } from "cloudflare:workers";
import { phaseOf } from "../core/breaker.ts";
import { afterStay, answer, held, HEALTH_SCHEMA, letGo, speedFor, UNKNOWN_HEALTH, type Health } from "../core/provider-health.ts";
import { quantilesOf } from "../core/quantiles.ts";
import { counts, leave, present, standIn, type HeldLease, type Line } from "../core/slots.ts";
import type { HealthPort, HealthView, LeaseAsk, LeaseEnd, LeaseReply, ProviderLimits } from "../ports.ts";
import { wire } from "../wire.ts";

const HEALTH = "health";
const LEASE = "lease/";

export class ProviderHealth extends DurableObject<Cloudflare.Env> implements HealthPort {
  readonly #kv = this.ctx.storage.kv;
  readonly #name = this.ctx.id.name ?? "";
  readonly #leases = new Map([...this.#kv.list<HeldLease>({ prefix: LEASE })].map(([, lease]) => [lease.task, stayed(lease)]));
  #health = ours(this.#kv.get<Health>(HEALTH));
  #line: Line = [];

  async acquire(ask: LeaseAsk, limits: ProviderLimits): Promise<LeaseReply> {
    const now = Date.now();
    this.#forgetEnded(now);
    const line = leave(present(this.#line, now), ask.task);
    const mine = this.#leases.get(ask.task) ?? null;
    const leases = [...this.#leases.values()].filter((lease) => lease !== mine);
    const answered = answer(ask, { health: this.#health, mine, leases, line }, limits, now);
    if (answered.kind === "refused") {
      const { until, turn } = answered;
      const { task, tenant, since } = ask;
      const speed = speedFor(ask, this.#health);
      const goneAt = ask.deadlineAt - (speed.neededMs ?? 0);
      this.#line = turn === null ? line : standIn(line, { task, tenant, since, backAt: until, goneAt });
      // One that it still had with a credential that it may not use now.
      this.#forget(ask.task);
      const wait = { provider: this.#name, until, position: turn?.position ?? null, ...speed };
      return { kind: "refused", wait, startsAt: turn?.startsAt ?? null };
    }
    const { lease, isProbe } = answered;
    if (answered.kind === "granted") {
      this.#kv.put<HeldLease>(LEASE + lease.task, lease);
      this.#leases.set(lease.task, lease);
    }
    this.#line = line;
    const quantiles = quantilesOf(this.#health.durations[ask.model] ?? []);
    return { kind: "granted", lease: { provider: this.#name, credential: lease.credential, quantiles }, isProbe };
  }

  async release(end: LeaseEnd): Promise<void> {
    this.#line = leave(this.#line, end.task);
    const lease = this.#leases.get(end.task);
    // Told before, or ended by itself: what came of it was counted, or is too old to be. A later stay goes on.
    if (lease === undefined || lease.stay !== end.stay) return;
    const now = Date.now();
    const after = afterStay(this.#health, lease, end, now);
    this.ctx.storage.transactionSync(() => {
      this.#kv.delete(LEASE + end.task);
      this.#kv.put<Health>(HEALTH, after);
    });
    this.#leases.delete(end.task);
    this.#become(after, now);
  }

  async view(): Promise<HealthView> {
    const now = Date.now();
    const { isHeld, breaker, resting, durations } = this.#health;
    const known = Object.entries(durations).map(([model, last]) => [model, quantilesOf(last)] as const);
    return {
      isHeld,
      breaker: phaseOf(breaker, now),
      openUntil: breaker.state === "open" && now < breaker.until ? breaker.until : null,
      leases: [...this.#leases.values()].filter((lease) => counts(lease, now)).length,
      waiting: present(this.#line, now).length,
      spent: Object.entries(resting).flatMap(([credential, { why, until }]) =>
        why === "rate_limited" || until <= now ? [] : [{ credential, why, until }],
      ),
      quantiles: Object.fromEntries(known.flatMap(([model, last]) => (last === null ? [] : [[model, last]]))),
    };
  }

  async hold(isHeld: boolean): Promise<void> {
    const now = Date.now();
    const after = isHeld ? held(this.#health) : letGo(this.#health, now);
    this.#kv.put<Health>(HEALTH, after);
    this.#become(after, now);
  }

  /** What is stored is so from here on. */
  #become(after: Health, now: number): void {
    const [was, is] = [this.#health.breaker.state, after.breaker.state];
    this.#health = after;
    if (was === is) return;
    const openUntil = after.breaker.state === "open" ? after.breaker.until - now : null;
    wire(this.env).telemetry.log(is === "open" ? "warn" : "info", {
      event: is === "open" ? "provider_held_back" : "provider_recovers",
      provider: this.#name,
      for_ms: openUntil,
    });
  }

  #forgetEnded(now: number): void {
    for (const lease of this.#leases.values()) if (!counts(lease, now)) this.#forget(lease.task);
  }

  #forget(task: string): void {
    if (!this.#leases.has(task)) return;
    this.#kv.delete(LEASE + task);
    this.#leases.delete(task);
  }
}

/** A release before stays had names gave their number to none. */
function stayed(lease: HeldLease | Omit<HeldLease, "stay">): HeldLease {
  return { stay: 0, ...lease };
}

/** What another release knew of a provider is soon learned again; what its operator wants is not. */
function ours(stored: Health | undefined): Health {
  return stored?.schema === HEALTH_SCHEMA ? stored : { ...UNKNOWN_HEALTH, isHeld: stored?.isHeld === true };
}
