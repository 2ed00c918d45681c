// Who gets the next place at a provider: the tenant that holds the fewest; among such, the one whose last turn is longest ago; then
// whoever has waited longest. Nobody is called; tasks come and ask. So whoever is due back soon is waited for, and whoever does not come
// back has left the line.
import { jitterOf } from "./backoff.ts";

export interface HeldLease {
  readonly task: string;
  /** Which of the task's stays it is for. */
  readonly stay: number;
  readonly tenant: string;
  readonly credential: string;
  readonly grantedAt: number;
  /** When the place is free again should nobody give it back. */
  readonly until: number;
}

export interface Waiter {
  readonly task: string;
  readonly tenant: string;
  /** Since when it waits. */
  readonly since: number;
  /** When it will ask again. */
  readonly backAt: number;
  /** From when on a place is of no use to it; absent: it always is. */
  readonly goneAt?: number;
}

type Asking = Omit<Waiter, "backAt" | "goneAt">;

/** Whoever has waited longest is first. */
export type Line = readonly Waiter[];

/** What is left of leases that have ended. */
export interface Turnover {
  /** The last ones, the newest last. */
  readonly ended: readonly { readonly tenant: string; readonly grantedAt: number; readonly stayMs: number }[];
  /** How many were granted in which second (unix): they count towards the rate of their minute still. */
  readonly granted: readonly { readonly second: number; readonly count: number }[];
}

/** All there is to share out; null: as much as is asked for. */
export interface SlotLimits {
  readonly concurrency: number | null;
  readonly perMinute: number | null;
}

/** `leases`: those that count, without the asking task's own. `line`: without the asking task. */
export interface Room {
  readonly leases: readonly HeldLease[];
  readonly line: Line;
  readonly turnover: Turnover;
}

export interface LaterTurn {
  readonly kind: "later";
  readonly position: number;
  /** When to ask again. */
  readonly backAt: number;
  /** When the turn will be, should places change hands as they did lately. */
  readonly startsAt: number;
}

export type Turn = { readonly kind: "now" } | LaterTurn;

export const NO_TURNOVER: Turnover = { ended: [], granted: [] };

const MINUTE_MS = 60_000;
const ENDED_REMEMBERED = 20;
/** How long a task is thought to stay where nothing is known. */
const LIKELY_STAY_MS = 60_000;
/** Whoever is due within this time is waited for, and the first in line is always told to be back within it. */
const PATIENCE_MS = 15_000;
/** An alarm may be late; one that is later than this loses its turn, but not its place: it counts from `since` again. */
const LATE_MS = 5_000;
/** So many come back often, and no more than there are places: several may be free at once. */
const FIRST_IN_LINE = 3;
const SOONEST_MS = 1_000;
const LATEST_MS = 60_000;
/** However many wait, no more than fifty a second ask. */
const ASK_SPACING_MS = 20;

/** Whether the asking task's turn is now; if not, how many are before it, and when it is to ask again. */
export function turnOf(ask: Asking, { leases, line, turnover }: Room, limits: SlotLimits, now: number): Turn {
  const { concurrency, perMinute } = limits;
  if (concurrency === null && perMinute === null) return { kind: "now" };
  const free = Math.min(
    concurrency === null ? Infinity : concurrency - leases.length,
    perMinute === null ? Infinity : perMinute - grantedLately(leases, turnover, now),
  );
  const before = whoIsBefore(ask, { leases, line, turnover });
  const awaited = before.filter(({ backAt }) => backAt <= now + PATIENCE_MS).length;
  if (awaited < free) return { kind: "now" };
  const position = before.length;
  const gap = gapMs(turnover, limits);
  const due = (position + 1) * gap;
  const wait =
    position < Math.min(concurrency ?? 1, FIRST_IN_LINE)
      ? clamp(due / 8, SOONEST_MS, PATIENCE_MS * 0.9)
      : Math.max(clamp(due / 3, SOONEST_MS, LATEST_MS), line.length * ASK_SPACING_MS);
  const backAt = Math.round(now + wait * (0.9 + 0.2 * jitterOf(ask.task)));
  return { kind: "later", position, backAt, startsAt: Math.round(now + due) };
}

/** As if places were given out one by one from here on: a waiter's turn is how many its tenant has by then. */
function whoIsBefore(ask: Asking, { leases, line, turnover }: Room): Waiter[] {
  const held = new Map<string, number>();
  const servedAt = new Map<string, number>();
  const serve = ({ tenant, grantedAt }: { tenant: string; grantedAt: number }): void => {
    servedAt.set(tenant, Math.max(servedAt.get(tenant) ?? 0, grantedAt));
  };
  for (const lease of leases) {
    held.set(lease.tenant, (held.get(lease.tenant) ?? 0) + 1);
    serve(lease);
  }
  turnover.ended.forEach(serve);
  /** What comes after a tenant's first is served later than all that was. */
  const lastOf = (tenant: string, turn: number): number =>
    turn === (held.get(tenant) ?? 0) ? (servedAt.get(tenant) ?? 0) : Infinity;

  const siblings = line.filter((other) => other.tenant === ask.tenant && isEarlier(other, ask)).length;
  const mine = (held.get(ask.tenant) ?? 0) + siblings;
  const myLast = lastOf(ask.tenant, mine);
  const next = new Map(held);
  return line.filter((other) => {
    const turn = next.get(other.tenant) ?? 0;
    next.set(other.tenant, turn + 1);
    if (turn !== mine) return turn < mine;
    const last = lastOf(other.tenant, turn);
    return last === myLast ? isEarlier(other, ask) : last < myLast;
  });
}

/** The line with the waiter in its place, or in another than before. */
export function standIn(line: Line, waiter: Waiter): Line {
  const others = leave(line, waiter.task);
  const place = others.findLastIndex((other) => isEarlier(other, waiter)) + 1;
  return others.toSpliced(place, 0, waiter);
}

export function leave(line: Line, task: string): Line {
  return line.filter((waiter) => waiter.task !== task);
}

/** Those who have not come back when they were due have ended, or are held up; others have no time left. */
export function present(line: Line, now: number): Line {
  return line.filter(({ backAt, goneAt = Infinity }) => now <= backAt + LATE_MS && now < goneAt);
}

/** A lease nobody gave back ends by itself. */
export function counts({ until }: HeldLease, now: number): boolean {
  return until >= now;
}

/** Of these credentials, the one with the fewest leases; null: there is none. */
export function leastUsed(credentials: readonly string[], leases: readonly HeldLease[]): string | null {
  const used = new Map(credentials.map((credential) => [credential, 0]));
  for (const { credential } of leases) used.set(credential, (used.get(credential) ?? 0) + 1);
  const fewest = Math.min(...credentials.map((credential) => used.get(credential) ?? 0));
  return credentials.find((credential) => used.get(credential) === fewest) ?? null;
}

/** A lease has ended. */
export function withEnded({ ended, granted }: Turnover, { tenant, grantedAt }: HeldLease, now: number): Turnover {
  const second = Math.floor(grantedAt / 1000);
  const there = granted.find((each) => each.second === second)?.count ?? 0;
  const kept = granted.filter((each) => each.second !== second && isLately(each.second, now));
  return {
    ended: [...ended, { tenant, grantedAt, stayMs: Math.max(now - grantedAt, 0) }].slice(-ENDED_REMEMBERED),
    granted: isLately(second, now) ? [...kept, { second, count: there + 1 }] : kept,
  };
}

function grantedLately(leases: readonly HeldLease[], { granted }: Turnover, now: number): number {
  const held = leases.filter(({ grantedAt }) => grantedAt > now - MINUTE_MS).length;
  return granted.reduce((sum, { second, count }) => (isLately(second, now) ? sum + count : sum), held);
}

/** Whether any moment of that second is within the last minute. */
function isLately(second: number, now: number): boolean {
  return (second + 1) * 1000 > now - MINUTE_MS;
}

/** From one grant to the next while tasks wait for one: the places change hands as fast as they did lately. */
function gapMs({ ended }: Turnover, { concurrency, perMinute }: SlotLimits): number {
  const stay = ended.length === 0 ? LIKELY_STAY_MS : ended.reduce((sum, { stayMs }) => sum + stayMs, 0) / ended.length;
  return Math.max(concurrency === null ? 0 : stay / concurrency, perMinute === null ? 0 : MINUTE_MS / perMinute);
}

/** Of one tenant, or of two that have had as many places. */
function isEarlier(one: Asking, other: Asking): boolean {
  return one.since < other.since || (one.since === other.since && one.task < other.task);
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
