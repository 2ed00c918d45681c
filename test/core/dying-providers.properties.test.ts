// Several providers, each of which may die and come back at any moment, before, in or after any call; and a task whose object may be
// lost in any step. What the providers have really done is kept beside what the task knows of it, and the two are compared.
import fc from "fast-check";
import { expect, it } from "vitest";
import { neededMs } from "../../src/core/latency.ts";
import { NEWS_TYPES } from "../../src/core/news.ts";
import type { Route } from "../../src/core/routing.ts";
import { begin, followUp, type Effect } from "../../src/core/task-machine.ts";
import { wakeAt } from "../../src/core/task-schedule.ts";
import { transition, type TaskEvent } from "../../src/core/task-transition.ts";
import {
  attemptNumber,
  isTerminal,
  orphansOf,
  startTask,
  type Attempt,
  type LeftPlace,
  type SettlingTask,
  type Task,
} from "../../src/core/task.ts";
import { anUpload, aRoute, aSpec, aVideo, MINUTE, SECOND, T0 } from "../support/builders.ts";

/** One that gives up what is overdue; one that honours a reference; a plain one. */
const ROUTES: readonly Route[] = [
  aRoute({ provider: "hasty", leased: true, overdueFactor: 1 }),
  aRoute({ provider: "exact", priority: 2, leased: true, resubmits: true }),
  aRoute({ provider: "plain", priority: 3, leased: true }),
];
const NAMES = ROUTES.map(({ provider }) => provider);
const QUANTILES = Array.from({ length: 19 }, (_, index) => (index + 1) * 5 * SECOND);
const LATE_MS = 15 * MINUTE;
const MOST_WAKES = 2_000;

/** Alive for so long, then dead for so long, and so on; after the last it stays as it is. */
type Life = readonly number[];
const span = fc.oneof(fc.nat(20 * SECOND), fc.nat(5 * MINUTE), fc.nat(40 * MINUTE));
const life: fc.Arbitrary<Life> = fc.oneof(
  fc.constant<Life>([]),
  fc.array(span, { maxLength: 6 }),
  span.map((ms): Life => [0, ms]),
);

/** Of one step of the task: how long its call takes, what a living provider says to it, and how the object fares. */
interface Turn {
  readonly takesMs: number;
  readonly lateMs: number;
  readonly says: "yes" | "busy" | "no" | "failed" | "not yet";
  /** Where the provider dies in the call: whether it had taken it in by then. */
  readonly wasHeard: boolean;
  /** The object is lost: before the call, or after it and before anything of it was written down. */
  readonly lost: "never" | "before" | "after";
  /** Somebody wakes it when this part of its wait is over. */
  readonly wokenAfter: number;
}

const turn: fc.Arbitrary<Turn> = fc.record({
  takesMs: fc.oneof(fc.nat(SECOND), fc.nat(30 * SECOND)),
  lateMs: fc.oneof(fc.constant(0), fc.nat(20 * SECOND)),
  says: fc.constantFrom("yes", "yes", "yes", "yes", "busy", "no", "failed", "not yet", "not yet"),
  wasHeard: fc.boolean(),
  lost: fc.constantFrom("never", "never", "never", "never", "before", "after"),
  wokenAfter: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.double({ min: 0, max: 1, noNaN: true })),
});

const isAlive = (lives: Life, at: number): boolean => {
  let left = at - T0;
  for (const [index, ms] of lives.entries()) {
    if (left < ms) return index % 2 === 0;
    left -= ms;
  }
  return lives.length % 2 === 0;
};

/** An attempt as those outside can tell it from others: no two begin at once. */
const keyOf = ({ provider, startedAt }: Attempt): string => `${provider}/${startedAt}`;

/** What happened outside: jobs by the attempt they were made for, calls of create, and what the ledger was told. */
class Outside {
  /** By which number each attempt was made. */
  readonly names = new Map<number, string>();
  readonly jobs = new Map<string, { failed: boolean }>();
  readonly creates = new Map<string, number>();
  readonly resolved: ("charge" | "release")[] = [];
  readonly orphans = new Set<string>();
  /** Where the task has a place, or a turn in line, as far as providers' health knows. */
  readonly stays = new Map<string, number>();
  delivered: string | null = null;
  deaths = 0;

  readonly #lives: ReadonlyMap<string, Life>;

  constructor(lives: ReadonlyMap<string, Life>) {
    this.#lives = lives;
  }

  /** Calls a provider: dead, dying in the call, or alive. Null: no answer that anybody could read. */
  call<Answer>(provider: string, now: number, { takesMs, wasHeard }: Turn, take: () => Answer): Answer | null {
    const mine = this.#lives.get(provider) ?? [];
    const [before, after] = [isAlive(mine, now), isAlive(mine, now + takesMs)];
    if (!before || !after) this.deaths++;
    if (!before || (!after && !wasHeard)) return null;
    const answer = take();
    return after ? answer : null;
  }
}

function perform(
  effect: Exclude<Effect, { kind: "none" | "purge" | "cancel" | "prepare" }>,
  outside: Outside,
  now: number,
  turn: Turn,
): TaskEvent {
  switch (effect.kind) {
    case "lease": {
      const { provider } = effect;
      if (turn.says === "no") return { type: "lease_missed", provider };
      const { createdAt, deadlineAt } = effect.task;
      const neededFrom = deadlineAt - neededMs(QUANTILES, { createdAt, deadlineAt });
      if (now + turn.takesMs >= neededFrom) {
        outside.stays.delete(provider);
        return { type: "lease_refused", wait: { provider, until: deadlineAt, position: null } };
      }
      const isInLine = turn.wasHeard;
      if (turn.says !== "busy" || isInLine) outside.stays.set(provider, effect.task.stays);
      else outside.stays.delete(provider);
      const wait = { provider, until: now + 20 * SECOND, position: isInLine ? 2 : null };
      if (turn.says === "busy") return { type: "lease_refused", wait };
      return { type: "leased", lease: { provider, credential: effect.credentials[0] ?? "", quantiles: QUANTILES } };
    }
    case "submit": {
      const { provider } = effect.attempt;
      const repeatable = ROUTES.some((route) => route.provider === provider && route.resubmits);
      const reference = keyOf(effect.attempt);
      const name = attemptNumber(effect.task);
      expect(outside.names.get(name) ?? reference, "no two attempts go by one name").toBe(reference);
      outside.names.set(name, reference);
      const others = effect.task.attempts.slice(0, -1);
      expect(others.filter(({ outcome }) => outcome === "open" || outcome === "unknown" || outcome === "accepted")).toEqual([]);
      const said = outside.call(provider, now, turn, (): TaskEvent => {
        outside.creates.set(reference, (outside.creates.get(reference) ?? 0) + 1);
        const isKnown = repeatable && outside.jobs.has(reference);
        if (turn.says === "busy") return { type: "submit_refused", by: "busy", reason: "unavailable", retryAfterMs: null };
        if (turn.says === "no") return { type: "submit_refused", by: "route", reason: "upstream_rejected" };
        if (!isKnown) outside.jobs.set(reference, { failed: false });
        return { type: "submitted", operation: reference, prompt: null };
      });
      return said ?? { type: "submit_unknown", repeatable };
    }
    case "poll": {
      const reference = effect.task.operation as string;
      const said = outside.call(effect.provider, now, turn, (): TaskEvent => {
        const job = outside.jobs.get(reference);
        if (job === undefined) return { type: "poll_missing" };
        if (turn.says === "failed") job.failed = true;
        if (job.failed) return { type: "provider_failed", by: "route", reason: "upstream_rejected" };
        return turn.says === "yes" ? { type: "succeeded", source: reference } : { type: "still_running", retryAfterMs: null };
      });
      return said ?? { type: "try_again" };
    }
    case "store": {
      const said = outside.call(effect.provider, now, turn, (): TaskEvent => {
        if (turn.says === "failed") return { type: "spoiled", reason: "upstream_asset_expired" };
        if (turn.says === "not yet") return { type: "part_stored", upload: anUpload() };
        outside.delivered = effect.task.source as string;
        return { type: "stored", video: aVideo() };
      });
      return said ?? { type: "store_failed", retryAfterMs: null };
    }
    case "settle":
      settle(effect.task, outside);
      return { type: "settled", heard: told(effect.task.left, outside) };
    case "release":
      return { type: "released", heard: told(effect.left, outside) };
    case "announce":
      return { type: "announced", types: NEWS_TYPES };
  }
}

/** As providers' health hears it. */
function told(left: readonly LeftPlace[], { stays }: Outside): number[] {
  for (const { provider } of left) stays.delete(provider);
  return left.map(({ stay }) => stay);
}

/** As the ledger does it: the first word counts, and a second of another kind would be a bug of ours. */
function settle(task: SettlingTask, outside: Outside): void {
  outside.resolved.push(task.outcome.kind === "completed" ? "charge" : "release");
  for (const { attempt } of orphansOf(task)) outside.orphans.add(keyOf(attempt));
}

/** As durable/video-task does: begin, save, act, save, and what follows at once. */
function live(outside: Outside, turns: readonly Turn[], deadlineMs: number): { task: Task; endedAt: number } {
  let task: Task = startTask(aSpec({ deadlineAt: T0 + deadlineMs, medianMs: 30 * SECOND }));
  let now = T0;
  let alarm = wakeAt(task, now);
  let wakes = 0;
  /** A job was given up for a place that another provider has granted. */
  let isTakenOver = false;
  while (!isTerminal(task)) {
    if (wakes > MOST_WAKES) throw new Error(`still ${task.status} after ${wakes} wakes`);
    const waking = turns[wakes % turns.length] as Turn;
    // Nobody pokes a task for ever.
    const share = wakes++ < turns.length ? waking.wokenAfter : 1;
    now = Math.round(now + Math.max(alarm - now, 0) * share) + waking.lateMs;
    const begun = begin(task, now, ROUTES);
    ({ task, again: alarm } = begun);
    // A world that loses the object at every step would never end; after the deadline it does not.
    const isCalm = now >= T0 + deadlineMs;
    for (let effect: Effect | null = begun.effect; effect !== null;) {
      if (effect.kind === "none") break;
      if (effect.kind === "purge" || effect.kind === "cancel" || effect.kind === "prepare") throw new Error(effect.kind);
      if (effect.kind === "submit") isTakenOver = false;
      const isInTime = now < task.deadlineAt - neededMs(QUANTILES, task);
      expect(isTakenOver && isInTime && effect.kind === "lease", "a place that a job was given up for is used").toBe(false);
      const lost = isCalm ? "never" : waking.lost;
      if (lost === "before") break;
      const event = perform(effect, outside, now, waking);
      now += waking.takesMs;
      if (lost === "after") break;
      const next = transition(task, event, now);
      if (next === null) throw new Error("gone before its end");
      isTakenOver ||= task.status === "running" && next.status === "queued" && event.type === "leased";
      if (next !== task && event.type !== "part_stored") alarm = wakeAt(next, now);
      task = next;
      const following = followUp(task, effect, now, ROUTES);
      if (following !== null) {
        task = following.task;
        alarm = following.again ?? alarm;
      }
      effect = following?.effect ?? null;
    }
  }
  return { task, endedAt: now };
}

it("whichever providers die, and whenever, a task ends in time, is resolved once, and nobody is paid twice for an attempt", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(
      fc.tuple(...NAMES.map(() => life)),
      fc.array(turn, { minLength: 1, maxLength: 25 }),
      fc.integer({ min: MINUTE, max: 40 * MINUTE }),
      (lives, turns, deadlineMs) => {
        const outside = new Outside(new Map(NAMES.map((name, index) => [name, lives[index] ?? []])));
        const { task, endedAt } = live(outside, turns, deadlineMs);
        expect(endedAt - task.deadlineAt, "ends in time").toBeLessThan(LATE_MS);
        expect([...outside.stays.keys()], "nobody keeps a place or a turn for it").toEqual([]);

        const [first = "none", ...more] = outside.resolved;
        expect(first).toBe(task.status === "completed" ? "charge" : "release");
        expect(
          more.filter((each) => each !== first),
          "a repetition is the same",
        ).toEqual([]);

        for (const [index, attempt] of task.attempts.entries()) {
          const { provider, outcome } = attempt;
          const reference = keyOf(attempt);
          const repeats = ROUTES.some((route) => route.provider === provider && route.resubmits);
          if (!repeats) expect(outside.creates.get(reference) ?? 0, "asked once").toBeLessThanOrEqual(1);
          if (outcome === "busy" || outcome === "refused")
            expect(outside.jobs.has(reference), "a clean no made nothing").toBe(false);
          if (outcome === "unknown")
            expect([index + 1, task.status], "nobody after an unknown one").toEqual([task.attempts.length, "failed"]);
        }
        // Whatever was made and not delivered is told to the operator, unless its provider says itself that it came to nothing.
        for (const [reference, { failed }] of outside.jobs) {
          const attempt = task.attempts.find((each) => keyOf(each) === reference);
          const isDelivered = task.status === "completed" && outside.delivered === reference;
          const isSaid = failed || attempt?.outcome === "failed";
          if (!isDelivered && !isSaid) expect([...outside.orphans], `${reference} is on the list`).toContain(reference);
        }
        seen.add(`${task.status === "failed" ? task.reason : task.status}${outside.deaths > 0 ? " after a death" : ""}`);
        if (task.status === "completed" && task.attempts.length > 1) seen.add("elsewhere");
        if ([...outside.creates.values()].some((count) => count > 1)) seen.add("repeated under its reference");
        if (task.attempts.some(({ outcome }) => outcome === "abandoned") && task.status === "completed")
          seen.add("given up, made elsewhere");
      },
    ),
    { numRuns: 3_000 },
  );
  // Else the property has become a statement about nothing.
  expect([...seen]).toEqual(
    expect.arrayContaining([
      "completed after a death",
      "upstream_ambiguous after a death",
      "timeout after a death",
      "elsewhere",
      "repeated under its reference",
      "given up, made elsewhere",
    ]),
  );
});
