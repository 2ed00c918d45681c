// What is known of a provider, and what follows from it for a task that wants a place there: an operator's hold, the credentials, the
// breaker and the places, in this order.
import { closedBreaker, afterCall, heldBackUntil, outcomeOf, type Breaker } from "./breaker.ts";
import { jitterOf } from "./backoff.ts";
import { medianOf, neededMs } from "./latency.ts";
import { quantilesOf, withDuration, type Durations } from "./quantiles.ts";
import {
  leastUsed,
  NO_TURNOVER,
  turnOf,
  withEnded,
  type HeldLease,
  type LaterTurn,
  type Line,
  type SlotLimits,
  type Turnover,
} from "./slots.ts";
import type { AttemptReason, Wait } from "./task.ts";

export const HEALTH_SCHEMA = 2;

/** A credential that is left alone for a while. */
export interface Rest {
  readonly why: "rate_limited" | "unauthorized" | "out_of_credit";
  readonly until: number;
}

export interface Health {
  readonly schema: typeof HEALTH_SCHEMA;
  /** By an operator. */
  readonly isHeld: boolean;
  readonly breaker: Breaker;
  /** By credential. */
  readonly resting: Readonly<Record<string, Rest>>;
  /** By credential: it may have been refused, or only what a task of this tenant's brought with it. */
  readonly doubts: Readonly<Record<string, { readonly tenant: string; readonly until: number }>>;
  /** By the provider's name for the model, which it does not have (any more): until when nobody asks for it. */
  readonly missing: Readonly<Record<string, number>>;
  readonly turnover: Turnover;
  /** By the provider's name for the model. */
  readonly durations: Readonly<Record<string, Durations>>;
}

export const UNKNOWN_HEALTH: Health = {
  schema: HEALTH_SCHEMA,
  isHeld: false,
  breaker: closedBreaker(0),
  resting: {},
  doubts: {},
  missing: {},
  turnover: NO_TURNOVER,
  durations: {},
};

export interface PlaceAsk {
  readonly task: string;
  readonly stay: number;
  readonly tenant: string;
  readonly model: string;
  readonly credentials: readonly string[];
  /** When it was created, and when it has to be done. */
  readonly since: number;
  readonly deadlineAt: number;
  readonly until: number;
}

export interface PlaceEnd {
  readonly credential: string;
  readonly model: string;
  readonly reason: AttemptReason | null;
  readonly durationMs: number | null;
  readonly retryAt: number | null;
}

export type Answer =
  /** `isProbe`: the breaker is half open, so that nobody knows whether the provider is back. */
  | { readonly kind: "kept" | "granted"; readonly lease: HeldLease; readonly isProbe: boolean }
  /** `turn` null: it does not stand in line, because nobody gets a place there now. */
  | { readonly kind: "refused"; readonly until: number; readonly turn: Pick<LaterTurn, "position" | "startsAt"> | null };

const HOLD_LOOK_MS = 60_000;
/** Until an operator has paid or put a new key, or for so long. */
const SPENT_MS = 5 * 60_000;
/** For how long a doubt about a credential waits for another tenant to meet the same. */
const DOUBT_MS = 10 * 60_000;
/** Until the provider has the model again, or the operator another name for it. */
const MISSING_MS = 5 * 60_000;
/** For a provider that is too busy and does not say for how long, and at most for one that does. */
const BUSY_MS = 5_000;
const BUSY_CAP_MS = 5 * 60_000;
/** After its rest a credential serves so many, and twice as many each time this has passed: one more no, and all of them wait again. */
const FIRST_BACK = 3;
const DOUBLING_MS = 5_000;
/** By then it serves as many as ever come. */
const CAUTIOUS_MS = 60_000;
/** Whoever waits for a credential does not come back all at once. */
const SPREAD_MS = 5_000;
/** What is not sold any more is forgotten one day. */
const MODELS_REMEMBERED = 50;

/** `leases`: those that count, without the asking task's own, which is `mine`. `line`: without the asking task. */
export interface Known {
  readonly health: Health;
  readonly mine: HeldLease | null;
  readonly leases: readonly HeldLease[];
  readonly line: Line;
}

/** How much time a task must have left to be given a place. */
function neededFor({ model, since, deadlineAt }: PlaceAsk, { durations }: Health): number {
  return neededMs(quantilesOf(durations[model] ?? []), { createdAt: since, deadlineAt });
}

/** What is known of how long it takes there, for a task that has to wait. */
export function speedFor(ask: PlaceAsk, health: Health): Pick<Wait, "neededMs" | "usualMs"> {
  const needed = neededFor(ask, health);
  const quantiles = quantilesOf(health.durations[ask.model] ?? []);
  return { ...(needed > 0 && { neededMs: needed }), ...(quantiles !== null && { usualMs: medianOf(quantiles) }) };
}

export function answer(ask: PlaceAsk, { health, mine, leases, line }: Known, limits: SlotLimits, now: number): Answer {
  // It would be paid for and not be done in time: the place is for one that can be.
  if (now >= ask.deadlineAt - neededFor(ask, health)) return { kind: "refused", until: ask.deadlineAt, turn: null };
  const isProbe = health.breaker.state === "open";
  // Asked for again for another stay or with other credentials, it has left the one it had, and the word of that was lost.
  if (mine !== null && mine.stay === ask.stay && ask.credentials.includes(mine.credential))
    return { kind: "kept", lease: mine, isProbe };
  const refused = (until: number): Answer => ({ kind: "refused", until: Math.round(until), turn: null });

  if (health.isHeld) return refused(now + HOLD_LOOK_MS * (1 + jitterOf(ask.task)));
  const goneUntil = health.missing[ask.model] ?? now;
  if (goneUntil > now) return refused(goneUntil + jitterOf(ask.task) * SPREAD_MS);
  const ready = ask.credentials.map((credential) => readyAt(health.resting[credential], credential, leases, now));
  const good = ask.credentials.filter((_, index) => (ready[index] ?? now) <= now);
  if (good.length === 0) return refused(Math.min(...ready) + jitterOf(ask.task) * SPREAD_MS);
  const heldBack = heldBackUntil(health.breaker, ask.task, leases, now);
  if (heldBack !== null) return refused(heldBack);
  const turn = turnOf(ask, { leases, line, turnover: health.turnover }, limits, now);
  if (turn.kind === "later") return { kind: "refused", until: turn.backAt, turn };
  const credential = leastUsed(good, leases) ?? "";
  const { task, stay, tenant, until } = ask;
  return { kind: "granted", lease: { task, stay, tenant, credential, grantedAt: now, until }, isProbe };
}

/** From when on a credential may serve one more task. */
function readyAt(rest: Rest | undefined, credential: string, leases: readonly HeldLease[], now: number): number {
  if (rest === undefined) return now;
  const back = leases.filter((lease) => lease.credential === credential && lease.grantedAt >= rest.until).length;
  const doublings = Math.ceil(Math.log2((back + 1) / FIRST_BACK));
  return rest.until + Math.max(doublings, 0) * DOUBLING_MS;
}

/** A task has left the place that it had. */
export function afterStay(health: Health, lease: HeldLease, end: PlaceEnd, now: number): Health {
  const { credential, model, reason, durationMs } = end;
  const resting = Object.fromEntries(Object.entries(health.resting).filter(([, { until }]) => until + CAUTIOUS_MS > now));
  const { rest, doubts } = judged(health, lease, end, now);
  const known = health.durations[model] ?? [];
  const { [model]: _, ...otherModels } = health.durations;
  const models = Object.entries(otherModels).slice(1 - MODELS_REMEMBERED);
  return {
    ...health,
    breaker: afterCall(health.breaker, outcomeOf(reason), lease.grantedAt, now),
    resting: rest === null ? resting : { ...resting, [credential]: longer(resting[credential], rest) },
    doubts,
    missing: stillMissing(health, end, now),
    turnover: withEnded(health.turnover, lease, now),
    durations:
      durationMs === null ? health.durations : Object.fromEntries([...models, [model, withDuration(known, durationMs)] as const]),
  };
}

export function held(health: Health): Health {
  return { ...health, isHeld: true };
}

/** By an operator, who has seen to what was wrong: nothing is held against it any more, nor what was under way then. */
export function letGo(health: Health, now: number): Health {
  return { ...health, isHeld: false, breaker: closedBreaker(now), resting: {}, doubts: {}, missing: {} };
}

/** What the end of a stay says about the credential it was made with; null: nothing. */
function restAfter({ reason, retryAt }: PlaceEnd, now: number): Rest | null {
  switch (reason) {
    case "rate_limited":
      return { why: reason, until: Math.min(retryAt ?? now + BUSY_MS, now + BUSY_CAP_MS) };
    case "unauthorized":
    case "out_of_credit":
      return { why: reason, until: now + SPENT_MS };
    default:
      return null;
  }
}

/**
 * What the end says of the credential, in the light of what is known of it. A clear no that may be meant for the credential counts when
 * a second tenant has met it: so that none can take it away from the others, with a prompt that some filter answers so.
 */
function judged(
  { doubts: known }: Health,
  { tenant }: HeldLease,
  end: PlaceEnd,
  now: number,
): { readonly rest: Rest | null; readonly doubts: Health["doubts"] } {
  const { credential, reason, durationMs } = end;
  const { [credential]: mine, ...others } = Object.fromEntries(Object.entries(known).filter(([, { until }]) => until > now));
  const withMine = mine === undefined ? others : { ...others, [credential]: mine };
  if (reason !== "forbidden") return { rest: restAfter(end, now), doubts: durationMs === null ? withMine : others };
  if (mine === undefined) return { rest: null, doubts: { ...others, [credential]: { tenant, until: now + DOUBT_MS } } };
  if (mine.tenant === tenant) return { rest: null, doubts: withMine };
  return { rest: { why: "unauthorized", until: now + SPENT_MS }, doubts: others };
}

function stillMissing({ missing }: Health, { model, reason, durationMs }: PlaceEnd, now: number): Health["missing"] {
  const others = Object.entries(missing).filter(([name, until]) => until > now && (name !== model || durationMs === null));
  return Object.fromEntries(reason === "model_unavailable" ? [...others, [model, now + MISSING_MS]] : others);
}

function longer(before: Rest | undefined, rest: Rest): Rest {
  return before !== undefined && before.until > rest.until ? before : rest;
}
