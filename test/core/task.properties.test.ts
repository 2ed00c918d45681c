// The task machine in a hostile world: events that fit or not, twice, late or never; alarms early, late or doubled; clocks that jump.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NEWS_TYPES } from "../../src/core/news.ts";
import { begin, followUp, type Begun, type Effect, type FollowUp } from "../../src/core/task-machine.ts";
import { publicStatus } from "../../src/core/public-task.ts";
import { wakeAt } from "../../src/core/task-schedule.ts";
import { transition, type TaskEvent } from "../../src/core/task-transition.ts";
import { isTerminal, startTask, type Attempt, type Lease, type Task } from "../../src/core/task.ts";
import type { Route } from "../../src/core/routing.ts";
import { anUpload, aRoute, aSpec, aTask, aVideo, HOUR, MINUTE, SECOND, T0, TASK_STATUSES } from "../support/builders.ts";

const ALPHA = aRoute();
const BETA = aRoute({ provider: "beta", priority: 2, medianMs: 2 * MINUTE });
/** Whatever a route may want before and beside a submit. */
const LEASED = [aRoute({ leased: true }), aRoute({ provider: "beta", leased: true, images: "inline" })];
const PATIENT = [aRoute({ resubmits: true }), BETA];
const BETA_LEASED = aRoute({ provider: "beta", leased: true });
const HURRIED = [aRoute({ leased: true, overdueFactor: 1 }), BETA_LEASED];
const HASTY = [aRoute({ leased: true, overdueFactor: 1 }), BETA];
const routeTables = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom<readonly Route[]>([ALPHA], [ALPHA, BETA], LEASED, HASTY, HURRIED, PATIENT) },
  { weight: 1, arbitrary: fc.constant<readonly Route[]>([]) },
);

/** How far a tenant has seen the task come; a status of theirs never follows one of a greater number. */
const SEEN = { pending: 0, processing: 1, completed: 2, failed: 2 };

const oneOf = <Type extends TaskEvent["type"]>(...types: Type[]) => fc.record({ type: fc.constantFrom(...types) });
const reason = fc.constantFrom("content_policy", "upstream_rejected", "internal_error");
const code = fc.constantFrom("rate_limited", "unavailable", "unauthorized", "out_of_credit");
const provider = fc.constantFrom("alpha", "beta");
const aLease = (name: string): Lease => ({
  provider: name,
  credential: `${name.toUpperCase()}_KEY`,
  quantiles: name === "alpha" ? Array.from({ length: 19 }, (_, index) => (index + 1) * 2 * SECOND) : null,
});
const retryAfterMs = fc.option(fc.integer({ min: -MINUTE, max: HOUR }), { freq: 2 });
const spoiled = fc.record({
  type: fc.constant("spoiled"),
  reason: fc.constantFrom("upstream_invalid_result", "upstream_asset_expired"),
});
const cancelled = fc.record({ type: fc.constant("cancel"), passesOn: fc.boolean() });
const providerFailed = fc.record({ type: fc.constant("provider_failed"), by: fc.constantFrom("task", "route"), reason });

type Busy = Exclude<Effect["kind"], "none">;

/** What may come of an effect. */
const ANSWERS: { readonly [Kind in Busy]: fc.Arbitrary<TaskEvent> } = {
  submit: fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        type: fc.constant("submitted"),
        operation: fc.constant({ job: 1 }),
        prompt: fc.constantFrom(null, "new"),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constant("submit_refused"), by: fc.constant("busy"), reason: code, retryAfterMs }),
    },
    fc.record({ type: fc.constant("submit_refused"), by: fc.constantFrom("route", "task", "model", "key"), reason }),
    fc.record({ type: fc.constant("submit_unknown"), repeatable: fc.boolean() }),
    oneOf("submit_unsent"),
  ),
  prepare: fc.oneof(
    { weight: 3, arbitrary: fc.constant<TaskEvent>({ type: "prepared", images: [{ bytes: 1, mimeType: "image/png" }] }) },
    fc.constant<TaskEvent>({ type: "prepare_failed", reason: "image_invalid" }),
    fc.record({ type: fc.constant("prepare_missed"), by: fc.constantFrom("host", "store") }),
  ),
  lease: fc.oneof(
    { weight: 3, arbitrary: provider.map((name): TaskEvent => ({ type: "leased", lease: aLease(name) })) },
    fc
      .record({ name: provider, until: fc.integer({ min: T0, max: T0 + HOUR }), neededMs: fc.nat(15 * MINUTE) })
      .map(({ name, until, neededMs }): TaskEvent => ({
        type: "lease_refused",
        wait: { provider: name, until, position: 1, neededMs },
      })),
    provider.map((name): TaskEvent => ({ type: "lease_missed", provider: name })),
  ),
  poll: fc.oneof(
    { weight: 3, arbitrary: fc.record({ type: fc.constant("succeeded"), source: fc.constant({ url: 1 }) }) },
    fc.record({ type: fc.constant("still_running"), retryAfterMs }),
    oneOf("poll_missing", "try_again"),
    spoiled,
    providerFailed,
  ),
  store: fc.oneof(
    { weight: 3, arbitrary: fc.record({ type: fc.constant("stored"), video: fc.constant(aVideo()) }) },
    fc.record({ type: fc.constant("part_stored"), upload: fc.constant(anUpload()) }),
    fc.record({ type: fc.constant("store_failed"), retryAfterMs }),
    spoiled,
    providerFailed,
  ),
  cancel: fc.oneof(
    fc.record({ type: fc.constant("cancel_answered"), answer: fc.constantFrom("stopping", "too_late") }),
    oneOf("try_again"),
  ),
  announce: fc.oneof(fc.record({ type: fc.constant("announced"), types: fc.constant(NEWS_TYPES) }), oneOf("try_again")),
  settle: fc.oneof(
    { weight: 2, arbitrary: fc.record({ type: fc.constant("settled"), heard: fc.subarray([1, 2, 3, 4]) }) },
    oneOf("try_again"),
  ),
  release: fc.record({ type: fc.constant("released"), heard: fc.subarray([1, 2, 3, 4]) }),
  purge: oneOf("purged", "try_again"),
};
const anyEvent: fc.Arbitrary<TaskEvent> = fc.oneof(...Object.values(ANSWERS), cancelled, oneOf("abandon", "discard", "hint"));

type Answers = { readonly [Kind in Busy]: TaskEvent };
const answer: fc.Arbitrary<Answers> = fc.record(ANSWERS);

type Step =
  /** The alarm, this much after its time, and what comes of it. */
  | { readonly do: "alarm"; readonly lateMs: number; readonly answer: Answers }
  /** The same, and a crash before anything comes of it. */
  | { readonly do: "crash"; readonly lateMs: number }
  /** A poke, or an alarm that fires twice or early. */
  | { readonly do: "wake" }
  /** What came of the last effect once more, or after another wake. */
  | { readonly do: "answer"; readonly answer: Answers }
  | { readonly do: "event"; readonly event: TaskEvent }
  | { readonly do: "jump"; readonly ms: number };

const lateMs = fc.nat(MINUTE);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant("alarm"), lateMs, answer }) },
  fc.record({ do: fc.constant("crash"), lateMs }),
  fc.record({ do: fc.constant("wake") }),
  fc.record({ do: fc.constant("answer"), answer }),
  fc.record({ do: fc.constant("event"), event: anyEvent }),
  fc.record({ do: fc.constant("jump"), ms: fc.integer({ min: -HOUR, max: HOUR }) }),
);

/** What has to hold between a task and what became of it, whatever happened at `now`. */
function expectLawful(before: Task, after: Task, now: number): void {
  // Another provider may take over; to its tenant the task goes on all the same.
  expect(SEEN[publicStatus(after)]).toBeGreaterThanOrEqual(SEEN[publicStatus(before)]);
  // Final is final: at most what is left of it goes sooner.
  if (isTerminal(before) && after !== before) {
    const expiresAt = (after as typeof before).expiresAt === before.expiresAt ? before.expiresAt : Math.min(before.expiresAt, now);
    expect(after).toEqual({ ...before, expiresAt, told: after.told, left: after.left });
  }
  expect(after.told.slice(0, before.told.length), "what was told stays told").toEqual(before.told);
  expect(new Set(after.told).size, "and is told once").toBe(after.told.length);

  expect(after.since).toBeGreaterThanOrEqual(before.since);
  const hasMoved = publicStatus(after) !== publicStatus(before);
  expect(after.since, "the time of the last change that tenants see").toBe(hasMoved ? Math.max(before.since, now) : before.since);

  const open = (attempt: Attempt): boolean => attempt.outcome === "open";
  expect(after.attempts.filter(open)).toHaveLength(after.status === "submitting" ? 1 : 0);
  const had = before.attempts.length;
  expect(after.attempts.length - had).toBeLessThanOrEqual(1);
  for (const [index, attempt] of before.attempts.entries()) {
    const { outcome, retryAt, askedBackAt, reason: why, rewritten, ...same } = after.attempts[index] as Attempt;
    const ended = outcome === "failed" || outcome === "abandoned" ? { ...attempt, outcome, reason: why } : attempt;
    const expected = open(attempt) ? { ...attempt, outcome, retryAt, askedBackAt, reason: why, rewritten } : ended;
    expect({ outcome, retryAt, askedBackAt, reason: why, rewritten, ...same }).toEqual(expected);
    if (ended !== attempt && !open(attempt))
      expect(attempt.outcome, "only what was accepted can fail").toBe(outcome === attempt.outcome ? outcome : "accepted");
    const rests = outcome === "busy" || why === "forbidden";
    if (open(attempt))
      expect(retryAt, "time is given to a busy route, or a doubted key, only").toSatisfy((at) => at > now === rests);
  }
  expect(after.timeline.at(-1)?.status).toBe(after.status);
  expect(after.timeline[0]).toEqual(before.timeline[0]);
  expect(wakeAt(after, now)).toSatisfy(Number.isFinite);
  if (after.status === "queued" || after.status === "running") {
    expect(wakeAt(after, now), "the last look is at the deadline").toBeLessThanOrEqual(Math.max(after.deadlineAt, now));
  }
}

/** How long a wake may be put off at most, whoever woke the task and however often. */
function expectPunctual({ task, effect, again }: Begun, now: number): void {
  expect(again, "the next look is later than this one").toBeGreaterThan(now);
  expect(again).toSatisfy(Number.isFinite);
  const awaits = task.status === "queued" || task.status === "submitting" || task.status === "running";
  if (awaits && now < task.deadlineAt) expect(again, "the last look is at the deadline").toBeLessThanOrEqual(task.deadlineAt);
  if (effect.kind === "poll" && effect.task.lastPoll) expect(again).toBeLessThanOrEqual(now + 30 * SECOND);
}

describe("whatever happens to a task", () => {
  it("is lawful: paid for once at most, never goes back, and always wakes again", () => {
    const visited = new Set<Task["status"] | "purged">();
    fc.assert(
      fc.property(routeTables, fc.array(step, { maxLength: 60, size: "max" }), (routes, steps) => {
        const at = {
          task: startTask(aSpec({ retentionMs: HOUR })) as Task,
          now: T0,
          alarm: T0,
          effect: { kind: "none" } as Effect,
        };
        let submits = 0;
        /** The attempt that a provider may be at work on, nobody knows; its number. */
        let unsure: number | null = null;

        const wake = (): void => {
          const begun = begin(at.task, at.now, routes);
          expectPunctual(begun, at.now);
          act(begun);
        };
        const act = ({ task, effect, again }: FollowUp): void => {
          expectLawful(at.task, task, at.now);
          if ("task" in effect) expect(effect.task, "what is acted on is what is on record").toBe(task);
          if (effect.kind === "submit") {
            // Nobody may have it already, or be about to.
            const ended = ["busy", "refused", "unsent", "failed", "abandoned"];
            expect(task.attempts.slice(0, -1).filter(({ outcome }) => !ended.includes(outcome))).toEqual([]);
            expect(effect.attempt).toBe(task.attempts.at(-1));
            if (at.task.status === "submitting") unsure = effect.attempt.number;
            if (unsure !== null) expect(effect.attempt.number, "nobody else, and nothing new, while one is unsure").toBe(unsure);
            else expect(new Set(task.attempts.map(({ number }) => number)).size).toBe(task.attempts.length);
            const earlier = at.task.attempts.findLast(({ provider }) => provider === effect.attempt.provider);
            expect(earlier?.retryAt ?? 0, "no route is asked before the time that it named").toBeLessThanOrEqual(at.now);
            if (at.task.status === "queued" || at.task.status === "running") submits++;
          }
          expect(task.attempts).toHaveLength(submits);
          Object.assign(at, { task, effect, alarm: again ?? at.alarm });
        };
        /** False: it is gone. */
        const happen = (event: TaskEvent): boolean => {
          const next = transition(at.task, event, at.now);
          if (next === null) {
            expect(isTerminal(at.task) && at.now >= at.task.expiresAt).toBe(true);
            return false;
          }
          expectLawful(at.task, next, at.now);
          expect(next.attempts).toHaveLength(submits);
          if (event.type === "submitted" && at.task.status === "submitting") unsure = null;
          if (unsure !== null && next.status !== "submitting")
            expect(next.attempts.at(-1)?.outcome, "only a yes makes it sure").toBe("unknown");
          if (next !== at.task) Object.assign(at, { task: next, alarm: wakeAt(next, at.now) });
          return true;
        };

        for (const each of steps) {
          visited.add(at.task.status);
          if (each.do === "jump") at.now += each.ms;
          if ("lateMs" in each) at.now = Math.max(at.now, at.alarm) + each.lateMs;
          if ("lateMs" in each || each.do === "wake") wake();
          const { kind } = at.effect;
          const event = each.do === "event" ? each.event : "answer" in each && kind !== "none" ? each.answer[kind] : null;
          if (event !== null && !happen(event)) {
            visited.add("purged");
            return;
          }
          const next = each.do === "alarm" ? followUp(at.task, at.effect, at.now, routes) : null;
          if (next !== null) act(next);
          expect(JSON.parse(JSON.stringify(at.task)), "survives storage as it was").toEqual(at.task);
        }
      }),
      { numRuns: 500 },
    );
    // Else the property has become a statement about nothing.
    expect([...visited].sort()).toEqual([...TASK_STATUSES, "purged"].sort());
  });
});

// --- Liveness ----------------------------------------------------------------------------------------------------------------

/** How a wake goes wrong, while things do. */
interface Trouble {
  readonly crash: boolean;
  readonly ledgerDown: boolean;
  readonly lateMs: number;
  readonly jumpMs: number;
  /** Somebody pokes the task when this part of its wait is over; 1: nobody does. */
  readonly wokenAfter: number;
}

/** What the world answers from now on, for ever: what matters is that no answer keeps a task from its end. */
interface World {
  readonly submit: TaskEvent;
  readonly poll: TaskEvent;
  readonly store: TaskEvent;
  /** How long each call takes, as part of what it may take at most. */
  readonly slowness: number;
}

const LONGEST_MS = {
  submit: 60 * SECOND,
  poll: 30 * SECOND,
  cancel: 30 * SECOND,
  prepare: 45 * SECOND,
  lease: 5 * SECOND,
  store: 6 * MINUTE,
  settle: SECOND,
  announce: 5 * SECOND,
  release: 5 * SECOND,
};

const trouble: fc.Arbitrary<Trouble> = fc.record({
  crash: fc.nat(3).map((n) => n === 0),
  ledgerDown: fc.boolean(),
  lateMs: fc.nat(MINUTE),
  jumpMs: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: -HOUR, max: HOUR }) }),
  wokenAfter: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.double({ min: 0, max: 1, noNaN: true })),
});

const comeBack = fc.option(
  fc.oneof(fc.constantFrom(0, 1), fc.integer({ min: 0, max: 5 * MINUTE }), fc.integer({ min: 0, max: HOUR })),
);
const submitAnswer: fc.Arbitrary<TaskEvent> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<TaskEvent>({ type: "submitted", operation: 1, prompt: null }) },
  {
    weight: 2,
    arbitrary: comeBack.map((ms): TaskEvent => ({
      type: "submit_refused",
      by: "busy",
      reason: "rate_limited",
      retryAfterMs: ms,
    })),
  },
  {
    weight: 1,
    arbitrary: fc.constant<TaskEvent>({ type: "submit_refused", by: "route", reason: "upstream_rejected" }),
  },
  { weight: 1, arbitrary: fc.boolean().map((repeatable): TaskEvent => ({ type: "submit_unknown", repeatable })) },
  { weight: 1, arbitrary: fc.constant<TaskEvent>({ type: "submit_unsent" }) },
);
const pollAnswer: fc.Arbitrary<TaskEvent> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<TaskEvent>({ type: "succeeded", source: 1 }) },
  { weight: 2, arbitrary: comeBack.map((ms): TaskEvent => ({ type: "still_running", retryAfterMs: ms })) },
  {
    weight: 2,
    arbitrary: fc.constantFrom<TaskEvent>(
      { type: "poll_missing" },
      { type: "try_again" },
      { type: "spoiled", reason: "upstream_invalid_result" },
      { type: "provider_failed", by: "task", reason: "content_policy" },
    ),
  },
);
const storeAnswer: fc.Arbitrary<TaskEvent> = fc.oneof(
  fc.constantFrom<TaskEvent>(
    { type: "stored", video: aVideo() },
    { type: "part_stored", upload: anUpload() },
    { type: "spoiled", reason: "upstream_asset_expired" },
  ),
  comeBack.map((ms): TaskEvent => ({ type: "store_failed", retryAfterMs: ms })),
);
const world: fc.Arbitrary<World> = fc.record({
  submit: submitAnswer,
  poll: pollAnswer,
  store: storeAnswer,
  slowness: fc.double({ min: 0, max: 1, noNaN: true }),
});

/** Does what durable/video-task does: begin, save, act, read again, save; and is woken when it asked to be. */
function live(start: Task, routes: readonly Route[], worlds: readonly World[], troubles: readonly Trouble[]) {
  let task = start;
  let now = T0;
  let alarm = wakeAt(start, now);
  let troubledUntil = T0;
  const wakes: number[] = [];
  let mostAttempts = 0;
  const statuses = new Set<Task["status"]>([task.status]);
  while (!isTerminal(task)) {
    if (wakes.length > 2_000) throw new Error(`still ${task.status} after ${wakes.length} wakes`);
    const fault = now < task.deadlineAt ? troubles[wakes.length] : undefined;
    const due = fault === undefined ? alarm : Math.round(now + (alarm - now) * fault.wokenAfter);
    now = Math.max(now + (fault?.jumpMs ?? 0), due) + (fault?.lateMs ?? 0);
    wakes.push(now);
    const begun = begin(task, now, routes);
    ({ task, again: alarm } = begun);
    mostAttempts = Math.max(mostAttempts, task.attempts.length);
    statuses.add(task.status);
    const { effect } = begun;
    if (effect.kind === "none" || effect.kind === "purge") continue;
    const current = worlds[Math.min(wakes.length, worlds.length) - 1] as World;
    now += Math.round(LONGEST_MS[effect.kind] * current.slowness);
    if (fault !== undefined) troubledUntil = Math.max(troubledUntil, now);
    if (fault?.crash) continue;
    const event = answerTo(effect, current, fault?.ledgerDown ?? false);
    const next = transition(task, event, now);
    if (next === null) throw new Error("gone before its end");
    // Half-way through a copy the alarm that was armed before it stands; here nothing more comes of that copy.
    if (next !== task && event.type !== "part_stored") alarm = wakeAt(next, now);
    task = next;
    statuses.add(task.status);
    // A job that is overdue is given up in the wake that found it running still, and what was left is told in that wake, too.
    for (let step: Effect = effect; ;) {
      const follows: FollowUp | null = followUp(task, step, now, routes);
      const isGoingOn = task.status === "running" && (step.kind === "poll" || step.kind === "lease");
      const { kind } = follows?.effect ?? { kind: "none" };
      if (follows === null || !(kind === "release" || (isGoingOn && (kind === "lease" || kind === "submit")))) break;
      alarm = follows.again ?? alarm;
      step = follows.effect;
      mostAttempts = Math.max(mostAttempts, follows.task.attempts.length);
      if (step.kind === "release") now += Math.round(LONGEST_MS.release * current.slowness);
      if (step.kind === "none" || step.kind === "purge") break;
      const then = transition(follows.task, answerTo(step, current, fault?.ledgerDown ?? false), now) ?? follows.task;
      if (then !== follows.task) alarm = wakeAt(then, now);
      task = then;
    }
  }
  return { task, endedAt: now, troubledUntil, wakes, statuses, mostAttempts };
}

/** `isDown`: our own objects cannot be reached. */
function answerTo(effect: Exclude<Effect, { kind: "none" | "purge" }>, world: World, isDown: boolean): TaskEvent {
  switch (effect.kind) {
    case "settle":
      return isDown ? { type: "try_again" } : { type: "settled", heard: effect.task.left.map(({ stay }) => stay) };
    case "release":
      return { type: "released", heard: isDown ? [] : effect.left.map(({ stay }) => stay) };
    case "announce":
      return isDown ? { type: "try_again" } : { type: "announced", types: NEWS_TYPES };
    case "cancel":
      return { type: "cancel_answered", answer: "stopping" };
    case "prepare":
      return isDown ? { type: "prepare_missed", by: "store" } : { type: "prepared", images: [{ bytes: 1, mimeType: "image/png" }] };
    case "lease":
      if (isDown) return { type: "lease_missed", provider: effect.provider };
      return { type: "leased", lease: aLease(effect.provider) };
    case "submit":
    case "poll":
    case "store":
      return world[effect.kind];
  }
}

/** The most wakes within a span of this length, by clocks that may have run back. */
function crowd(wakes: readonly number[], spanMs: number): number {
  const sorted = wakes.toSorted((a, b) => a - b);
  let first = 0;
  let most = 0;
  for (const [index, at] of sorted.entries()) {
    while (at - (sorted[first] as number) >= spanMs) first++;
    most = Math.max(most, index - first + 1);
  }
  return most;
}

describe("when faults stop", () => {
  /** How long a job usually takes, and is given: mostly more, but a slow one may be due before it usually is ready. */
  const times = fc
    .record({
      medianMs: fc.oneof(fc.integer({ min: SECOND, max: 10 * MINUTE }), fc.integer({ min: SECOND, max: 10 * HOUR })),
      factor: fc.integer({ min: 2, max: 60 }),
    })
    .map(({ medianMs, factor }) => ({ medianMs, deadlineMs: Math.max(Math.min(medianMs * factor, 2 * HOUR), MINUTE) }));

  it("a task reaches its end within 15 minutes of its deadline, or of the last fault, in a bounded number of wakes", () => {
    const ends = new Set<string>();
    fc.assert(
      fc.property(
        routeTables,
        fc.array(world, { minLength: 1, maxLength: 8 }),
        fc.array(trouble, { maxLength: 12 }),
        times,
        (routes, worlds, troubles, { medianMs, deadlineMs }) => {
          const start = startTask(aSpec({ medianMs, deadlineAt: T0 + deadlineMs }));
          const { task, endedAt, troubledUntil, wakes } = live(start, routes, worlds, troubles);
          expect(endedAt - Math.max(task.deadlineAt, troubledUntil)).toBeLessThan(15 * MINUTE);
          // A place at a provider is asked for in a wake of its own here; durable/video-task goes on in the same.
          expect(wakes.length).toBeLessThan(200 + (endedAt - T0) / (8 * SECOND));
          expect(crowd(wakes, MINUTE), "wakes in a minute").toBeLessThanOrEqual(30);
          expect(crowd(wakes, 1), "wakes at one and the same millisecond").toBeLessThanOrEqual(6);
          ends.add(task.status === "failed" ? task.reason : task.status);
        },
      ),
      { numRuns: 2_000 },
    );
    expect([...ends]).toEqual(
      expect.arrayContaining([
        "completed",
        "timeout",
        "queue_timeout",
        "internal_error",
        "upstream_rejected",
        "upstream_ambiguous",
        "upstream_lost",
        "upstream_asset_expired",
      ]),
    );
  });

  it("a video that is being copied when its deadline comes is at its end within 15 minutes, however each copy goes", () => {
    const ends = new Set<string>();
    const copies = fc.record({
      submit: submitAnswer,
      poll: pollAnswer,
      store: storeAnswer,
      slowness: fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0.8, max: 1, noNaN: true })),
    });
    fc.assert(
      fc.property(fc.array(copies, { minLength: 1, maxLength: 12 }), fc.nat(10 * MINUTE), (worlds, leftMs) => {
        const start = aTask({ status: "storing", deadlineAt: T0 + leftMs });
        const { task, endedAt } = live(start, [ALPHA], worlds, []);
        expect(endedAt - task.deadlineAt).toBeLessThan(15 * MINUTE);
        ends.add(task.status === "failed" ? task.reason : task.status);
      }),
      { numRuns: 1_000 },
    );
    expect([...ends]).toEqual(expect.arrayContaining(["completed", "timeout", "internal_error", "upstream_asset_expired"]));
  });

  it.each([1, 2, 12])("%i routes that are busy, and say to come back at once, make no hot loop", (count) => {
    const routes = Array.from({ length: count }, (_, index) => aRoute({ provider: `route-${index}` }));
    for (const retryAfterMs of [0, null, 1, -MINUTE]) {
      const busy: TaskEvent = { type: "submit_refused", by: "busy", reason: "rate_limited", retryAfterMs };
      const never: TaskEvent = { type: "try_again" };
      const { task, endedAt, wakes, mostAttempts } = live(
        startTask(aSpec({ deadlineAt: T0 + HOUR })),
        routes,
        [{ submit: busy, poll: never, store: never, slowness: 0 }],
        [],
      );
      expect(task).toMatchObject({ status: "failed", reason: "queue_timeout" });
      expect(endedAt - task.deadlineAt).toBeLessThan(MINUTE);
      expect(crowd(wakes, MINUTE)).toBeLessThanOrEqual(60);
      expect(mostAttempts).toBeLessThanOrEqual(50);
    }
  });

  it("a route that will not have it is tried three times, not more than once a second", () => {
    const refused: TaskEvent = { type: "submit_refused", by: "route", reason: "upstream_rejected" };
    const never: TaskEvent = { type: "try_again" };
    const { task, wakes } = live(
      startTask(aSpec()),
      [ALPHA, BETA],
      [{ submit: refused, poll: never, store: never, slowness: 0 }],
      [],
    );
    expect(task).toMatchObject({ status: "failed", reason: "upstream_rejected" });
    expect(task.attempts.map(({ startedAt }) => (startedAt - T0) / SECOND)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(wakes).toHaveLength(7);
  });

  it("a task that nothing happens to is completed by one submit, one poll and one copy", () => {
    const fine: World = {
      submit: { type: "submitted", operation: 1, prompt: null },
      poll: { type: "succeeded", source: 1 },
      store: { type: "stored", video: aVideo() },
      slowness: 0.1,
    };
    const { task, wakes, statuses } = live(startTask(aSpec()), [ALPHA], [fine], []);
    expect(task).toMatchObject({ status: "completed", attempts: [{ outcome: "accepted" }] });
    expect(wakes).toHaveLength(4);
    expect([...statuses]).toEqual(["queued", "submitting", "running", "storing", "settling", "completed"]);
  });
});
