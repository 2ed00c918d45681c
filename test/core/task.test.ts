import { outcomeOf } from "../../src/core/breaker.ts";
import { describe, expect, it } from "vitest";
import type { FailureCode } from "../../src/core/errors.ts";
import { untoldNews } from "../../src/core/news.ts";
import { placeEndsAt } from "../../src/core/left-place.ts";
import { publicTask } from "../../src/core/public-task.ts";
import { begin, cancelRefusal, followUp, STORE_TRIES, type Effect, type FollowUp } from "../../src/core/task-machine.ts";
import type { Route } from "../../src/core/routing.ts";
import { wakeAt } from "../../src/core/task-schedule.ts";
import { transition, type TaskEvent } from "../../src/core/task-transition.ts";
import {
  attemptNumber,
  costCentsOf,
  lastAttempt,
  orphansOf,
  startTask,
  TASK_SCHEMA,
  type Attempt,
  type Task,
} from "../../src/core/task.ts";
import {
  aGeneration,
  aPlace,
  anAttempt,
  anUpload,
  aRoute,
  aSpec,
  aTask,
  aVideo,
  DAY,
  HOUR,
  MINUTE,
  SECOND,
  T0,
  TASK_STATUSES,
  type TaskOf,
} from "../support/builders.ts";

const ROUTES = [aRoute({ models: { veo3: "alpha-veo3" } })];
const DEADLINE = T0 + 30 * MINUTE;

const BUSY = { type: "submit_refused", by: "busy", reason: "rate_limited", retryAfterMs: null as number | null } as const;
const REFUSED_BY_ROUTE = { type: "submit_refused", by: "route", reason: "upstream_rejected" } as const;

type EventOf<Type extends TaskEvent["type"]> = Extract<TaskEvent, { type: Type }>;

/** One of each, each as it would change a task that it fits. */
const EVENTS: { readonly [Type in TaskEvent["type"]]: EventOf<Type> } = {
  submitted: { type: "submitted", operation: { job: "j2" }, prompt: null },
  submit_refused: BUSY,
  submit_unknown: { type: "submit_unknown", repeatable: false },
  submit_unsent: { type: "submit_unsent" },
  still_running: { type: "still_running", retryAfterMs: 30 * SECOND },
  poll_missing: { type: "poll_missing" },
  succeeded: { type: "succeeded", source: { url: "s2" } },
  spoiled: { type: "spoiled", reason: "upstream_invalid_result" },
  provider_failed: { type: "provider_failed", by: "task", reason: "content_policy" },
  part_stored: { type: "part_stored", upload: anUpload() },
  stored: { type: "stored", video: aVideo() },
  store_failed: { type: "store_failed", retryAfterMs: null },
  settled: { type: "settled", heard: [] },
  released: { type: "released", heard: [1] },
  hint: { type: "hint" },
  cancel: { type: "cancel", passesOn: false },
  cancel_answered: { type: "cancel_answered", answer: "stopping" },
  announced: { type: "announced", types: ["video.created"] },
  prepared: { type: "prepared", images: [{ bytes: 1, mimeType: "image/png" }] },
  prepare_missed: { type: "prepare_missed", by: "host" },
  prepare_failed: { type: "prepare_failed", reason: "image_invalid" },
  leased: { type: "leased", lease: { provider: "alpha", credential: "ALPHA_KEY", quantiles: null } },
  lease_missed: { type: "lease_missed", provider: "alpha" },
  lease_refused: { type: "lease_refused", wait: { provider: "alpha", until: T0 + MINUTE, position: 3 } },
  abandon: { type: "abandon" },
  links_revoked: { type: "links_revoked" },
  discard: { type: "discard" },
  purged: { type: "purged" },
  try_again: { type: "try_again" },
};
const EVENT_TYPES = Object.keys(EVENTS) as TaskEvent["type"][];

const FITTING: { readonly [Status in Task["status"]]: readonly TaskEvent["type"][] } = {
  queued: ["cancel", "abandon", "prepared", "prepare_failed", "prepare_missed", "leased", "lease_refused", "lease_missed"],
  submitting: ["submitted", "submit_refused", "submit_unknown", "submit_unsent", "abandon"],
  running: ["hint", "still_running", "poll_missing", "succeeded", "spoiled", "provider_failed", "abandon"],
  storing: ["spoiled", "provider_failed", "part_stored", "stored", "store_failed", "abandon"],
  settling: ["settled"],
  completed: ["links_revoked", "discard", "purged"],
  failed: ["discard", "purged"],
};

/** What the last attempt is owed for; null: nothing. */
function lastOrphan(task: TaskOf<"settling">): Attempt | null {
  return orphansOf(task).at(-1)?.attempt ?? null;
}

function likely(status: Task["status"]): Task {
  return status === "queued" ? aTask({ stays: 1, places: [aPlace({ lease: null })] }) : aTask({ status });
}

/** The task after an event that must leave it there. */
function after(task: Task, event: TaskEvent, now: number): Task {
  const next = transition(task, event, now);
  if (next === null) throw new Error(`gone after ${event.type}`);
  return next;
}

function expectStatus<Status extends Task["status"]>(task: Task, status: Status): TaskOf<Status> {
  expect(task.status).toBe(status);
  return task as TaskOf<Status>;
}

/** What a task remembers of its way, once it came into `status` as well. */
function timelineOf(task: Task, status: Task["status"], at: number): Task["timeline"] {
  return [...task.timeline, { at, status }];
}

function expectFailing(task: Task, reason: FailureCode): TaskOf<"settling"> {
  const settling = expectStatus(task, "settling");
  expect(settling.outcome).toMatchObject({ kind: "failed", reason });
  return settling;
}

describe("startTask", () => {
  it("queues what was asked for, due at once and not yet tried", () => {
    const spec = aSpec();
    const timeline = [{ at: T0, status: "queued" }];
    const fresh = { attempts: [], timeline, told: [], images: null, waits: [], leaseMisses: 0, imageMisses: 0, lastReason: null };
    const places = { stays: 0, places: [], left: [] };
    expect(startTask(spec)).toEqual({
      ...spec,
      ...fresh,
      ...places,
      schema: TASK_SCHEMA,
      since: T0,
      status: "queued",
      notBefore: T0,
    });
  });
});

describe("an event that does not fit", () => {
  const strangers = TASK_STATUSES.flatMap((status) =>
    EVENT_TYPES.filter((type) => !FITTING[status].includes(type)).map((type): [TaskEvent["type"], Task["status"]] => [
      type,
      status,
    ]),
  );

  it.each(strangers)("%s changes nothing while %s, not even the object", (type, status) => {
    const task = likely(status);
    for (const now of [T0 - HOUR, T0, T0 + 10 * MINUTE, DEADLINE, T0 + 8 * DAY])
      expect(transition(task, EVENTS[type], now)).toBe(task);
  });
});

it.each(TASK_STATUSES.flatMap((status) => FITTING[status].map((type): [TaskEvent["type"], Task["status"]] => [type, status])))(
  "an event that fits makes something of a task: %s while %s",
  (type, status) => {
    const task = likely(status);
    expect(transition(task, EVENTS[type], type === "purged" ? T0 + 8 * DAY : T0 + 10 * MINUTE)).not.toBe(task);
  },
);

describe("a queued task", () => {
  it("has its intent on record before it is submitted", () => {
    const task = aTask();
    const begun = begin(task, T0, ROUTES);
    const attempt: Attempt = anAttempt({ outcome: "open" });
    const submitting = expectStatus(begun.task, "submitting");
    expect(submitting.attempts).toEqual([attempt]);
    expect(begun.effect).toEqual({ kind: "submit", attempt, task: submitting });
    expect(submitting.since, "tenants still see it pending").toBe(T0);
  });

  it("arms the first poll with the submit, so that both are one row", () => {
    const begun = begin(aTask(), T0, ROUTES);
    const accepted = after(begun.task, EVENTS.submitted, T0 + 2 * SECOND);
    expect(begun.again).toBeGreaterThan(T0 + MINUTE);
    expect(wakeAt(accepted, T0 + 2 * SECOND)).toBe(begun.again);
  });

  it("counts the route's own time where the route says it", () => {
    const begun = begin(aTask(), T0, [aRoute({ medianMs: 5 * MINUTE })]);
    expect(lastAttempt(begun.task).latency.medianMs).toBe(5 * MINUTE);
    expect(begun.again).toBeGreaterThan(T0 + 5 * MINUTE);
  });

  it("waits out the time it was given", () => {
    const task = aTask({ notBefore: T0 + 9 * SECOND });
    expect(begin(task, T0 + 9 * SECOND - 1, ROUTES)).toEqual({ task, effect: { kind: "none" }, again: T0 + 9 * SECOND });
    expect(begin(task, T0 + 9 * SECOND, ROUTES).effect.kind).toBe("submit");
    expect(wakeAt(task, T0)).toBe(T0 + 9 * SECOND);
  });

  it("is submitted up to its deadline, and at it fails as one that nobody had room for", () => {
    expect(begin(aTask(), DEADLINE - 1, ROUTES).effect.kind).toBe("submit");
    const begun = begin(aTask(), DEADLINE, ROUTES);
    expectFailing(begun.task, "queue_timeout");
    expect(begun.effect).toEqual({ kind: "settle", task: begun.task });
  });

  it.each([
    ["there is no route", []],
    ["no route has its model", [aRoute({ models: { veo2: "alpha-veo2" } })]],
    ["every route is for the other mode", [aRoute({ mode: "test" })]],
  ])("fails at once when %s", (_, routes) => {
    const begun = begin(aTask(), T0, routes);
    expectFailing(begun.task, "upstream_rejected");
    expect(begun.task.attempts).toEqual([]);
    expect(begun.effect.kind).toBe("settle");
  });

  it("tries nobody while every route has asked for time, and has nothing new on record", () => {
    const sick = anAttempt({ outcome: "busy", retryAt: T0 + 5 * MINUTE });
    const tired = anAttempt({ provider: "beta", credential: "BETA_KEY", outcome: "busy", retryAt: T0 + 3 * MINUTE });
    const task = aTask({ attempts: [sick, tired] });
    const routes = [aRoute(), aRoute({ provider: "beta", priority: 2 })];
    const begun = begin(task, T0 + SECOND, routes);
    expect(begun).toEqual({ task, effect: { kind: "none" }, again: T0 + 3 * MINUTE });
    expect(begun.task).toBe(task);
    expect(begin(task, T0 + 3 * MINUTE - 1, routes).effect.kind).toBe("none");
    expect(begin(task, T0 + 3 * MINUTE, routes).effect).toMatchObject({ kind: "submit", attempt: { provider: "beta" } });
  });

  it("looks for the last time at its deadline, however long it has to wait and however early it is woken", () => {
    const sick = anAttempt({ outcome: "busy", retryAt: DEADLINE + MINUTE });
    expect(begin(aTask({ attempts: [sick] }), DEADLINE - MINUTE, ROUTES).again, "for its only route").toBe(DEADLINE);
    const early = aTask({ notBefore: DEADLINE + MINUTE });
    expect(begin(early, DEADLINE - MINUTE, ROUTES)).toEqual({ task: early, effect: { kind: "none" }, again: DEADLINE });
    expectFailing(begin(early, DEADLINE, ROUTES).task, "queue_timeout");
    expect(wakeAt(early, DEADLINE - MINUTE)).toBe(DEADLINE);
  });

  it("fails at once when its last refusal came after the deadline", () => {
    const refused = after(aTask({ status: "submitting" }), BUSY, DEADLINE + 10 * SECOND);
    expect(wakeAt(refused, DEADLINE + 10 * SECOND)).toBe(DEADLINE + 10 * SECOND);
    expectFailing(begin(refused, DEADLINE + 10 * SECOND, ROUTES).task, "queue_timeout");
  });

  it("remembers its latest 50 attempts, and every refusal for good whatever its age", () => {
    const busy = Array.from({ length: 48 }, (_, count) => anAttempt({ number: 3 + count, outcome: "busy" }));
    const refused = [anAttempt({ outcome: "refused", number: 1 }), anAttempt({ outcome: "refused", number: 2 })];
    const begun = begin(aTask({ attempts: [...refused, ...busy] }), T0 + MINUTE, ROUTES);
    const attempts = [...refused, ...busy.slice(1), anAttempt({ number: 51, outcome: "open", startedAt: T0 + MINUTE })];
    expect(begun.task.attempts).toEqual(attempts);
    expect(attempts).toHaveLength(50);
  });

  it("gives every attempt a number of its own, however many are forgotten", () => {
    const numbers: number[] = [];
    let task: Task = aTask({ deadlineAt: T0 + 10 * HOUR });
    for (let count = 0; count < 60; count++) {
      const now = Math.max(wakeAt(task, T0), task.attempts.at(-1)?.retryAt ?? T0);
      const { task: submitting } = begin(task, now, [aRoute()]);
      numbers.push(attemptNumber(submitting));
      task = after(submitting, BUSY, now + SECOND);
    }
    expect(numbers).toEqual(Array.from({ length: 60 }, (_, index) => index + 1));
  });

  it("can be cancelled, and owes the provider nothing", () => {
    const cancelled = expectFailing(after(aTask(), EVENTS.cancel, T0 + SECOND), "cancelled");
    expect(lastOrphan(cancelled)).toBeNull();
    expect(wakeAt(cancelled, T0 + SECOND)).toBe(T0 + SECOND);
  });

  it("can be cancelled after a refusal, because no provider has it", () => {
    const refused = aTask({ attempts: [anAttempt({ outcome: "busy" })], notBefore: T0 + MINUTE });
    expect(lastOrphan(expectFailing(after(refused, EVENTS.cancel, T0), "cancelled"))).toBeNull();
  });
});

describe("a task being submitted", () => {
  const submitting = aTask({ status: "submitting" });

  it("runs once the provider has it", () => {
    const event: TaskEvent = { type: "submitted", operation: { job: "j2" }, prompt: "a rewritten lake" };
    const running = expectStatus(after(submitting, event, T0 + 2 * SECOND), "running");
    expect(running).toEqual({
      ...aTask({ status: "running" }),
      attempts: [anAttempt({ outcome: "accepted", rewritten: "a rewritten lake" })],
      timeline: timelineOf(submitting, "running", T0 + 2 * SECOND),
      operation: { job: "j2" },
      since: T0 + 2 * SECOND,
    });
  });

  it("keeps its own prompt where the provider tells none", () => {
    expect(after(submitting, EVENTS.submitted, T0).prompt).toBe("a lake");
  });

  it("that wakes again was interrupted: it fails as ambiguous and is never sent twice", () => {
    const begun = begin(submitting, T0 + MINUTE, ROUTES);
    const settling = expectFailing(begun.task, "upstream_ambiguous");
    expect(begun.effect).toEqual({ kind: "settle", task: settling });
    expect(settling.attempts).toEqual([anAttempt({ outcome: "unknown" })]);
    expect(transition(settling, EVENTS.submitted, T0 + MINUTE), "the answer comes too late").toBe(settling);
  });

  it("fails as ambiguous when nobody can tell what the provider did", () => {
    const settling = expectFailing(after(submitting, EVENTS.submit_unknown, T0), "upstream_ambiguous");
    expect(settling.attempts).toEqual([anAttempt({ outcome: "unknown" })]);
  });

  it("goes back to the queue when nothing was sent, and is tried again there, ever later and with nothing held against it", () => {
    const waits: number[] = [];
    let task: Task = submitting;
    for (let now = T0; waits.length < 7; now += 2 * MINUTE) {
      const queued: Task = expectStatus(after(task, EVENTS.submit_unsent, now), "queued");
      expect(lastAttempt(queued)).toEqual({ ...lastAttempt(task), outcome: "unsent" });
      waits.push(Math.round((queued.notBefore - now) / SECOND));
      expect(wakeAt(queued, now)).toBe(queued.notBefore);
      expect(orphansOf(expectFailing(after(queued, EVENTS.cancel, now), "cancelled"))).toEqual([]);
      task = begin(queued, now + 2 * MINUTE, ROUTES).task;
      expect(lastAttempt(task)).toMatchObject({ provider: "alpha", outcome: "open" });
    }
    for (const [index, about] of [2, 4, 8, 16, 32, 60, 60].entries()) {
      expect(waits[index]).toBeGreaterThanOrEqual(Math.floor(about * 0.9));
      expect(waits[index]).toBeLessThanOrEqual(Math.ceil(about * 1.1));
    }
  });

  it("fails at once when no provider would take it", () => {
    const event: TaskEvent = { type: "submit_refused", by: "task", reason: "content_policy" };
    const settling = expectFailing(after(submitting, event, T0), "content_policy");
    expect(settling.attempts).toEqual([anAttempt({ outcome: "refused", reason: "content_policy" })]);
    expect(lastOrphan(settling)).toBeNull();
  });

  it.each(["busy", "route"] as const)("goes back to the queue after a clean no by %s, for a second", (by) => {
    const refusal = by === "busy" ? { ...BUSY, retryAfterMs: MINUTE } : REFUSED_BY_ROUTE;
    const queued = expectStatus(after(submitting, refusal, T0 + SECOND), "queued");
    expect(queued.notBefore, "another route may be tried").toBe(T0 + 2 * SECOND);
    expect(wakeAt(queued, T0 + SECOND)).toBe(T0 + 2 * SECOND);
    expect(queued.since, "tenants have seen nothing but pending").toBe(T0);
  });

  it("asks no route to wait that will not have it at all", () => {
    const queued = after(submitting, REFUSED_BY_ROUTE, T0);
    expect(queued.attempts).toEqual([anAttempt({ outcome: "refused", reason: "upstream_rejected" })]);
    expect(queued.attempts[0]).not.toHaveProperty("retryAt");
  });

  /** How long a route that is busy is left alone. */
  function waitAfter(task: TaskOf<"submitting">, retryAfterMs: number | null): number {
    const queued = expectStatus(after(task, { ...BUSY, retryAfterMs }, T0), "queued");
    const { retryAt = Number.NaN, askedBackAt, ...attempt } = lastAttempt(queued);
    expect(attempt).toEqual({ ...lastAttempt(task), outcome: "busy", reason: "rate_limited" });
    const asked = retryAfterMs === null ? undefined : T0 + Math.min(Math.max(retryAfterMs, 0), 5 * MINUTE);
    expect(askedBackAt, "what others are told is what the provider said").toBe(asked);
    return retryAt - T0;
  }

  it.each([
    [1, 2 * SECOND],
    [2, 4 * SECOND],
    [3, 8 * SECOND],
    [20, MINUTE],
  ])("leaves a busy route alone for longer the %i. time, within a tenth", (times, about) => {
    const attempts = Array.from({ length: times }, (_, index) => anAttempt({ outcome: index === times - 1 ? "open" : "busy" }));
    for (const retryAfterMs of [null, 0, -MINUTE]) {
      const wait = waitAfter(aTask({ status: "submitting", attempts }), retryAfterMs);
      expect(wait, `asked for ${retryAfterMs}`).toBeGreaterThanOrEqual(about * 0.9);
      expect(wait, `asked for ${retryAfterMs}`).toBeLessThanOrEqual(about * 1.1);
    }
  });

  it.each([
    [30 * SECOND, 30 * SECOND],
    [5 * MINUTE, 5 * MINUTE],
    [5 * MINUTE + 1, 5 * MINUTE],
    [DAY, 5 * MINUTE],
    [Number.POSITIVE_INFINITY, 5 * MINUTE],
  ])("leaves a busy route alone as long as it asks for (%d ms), but for five minutes at most", (retryAfterMs, wait) => {
    expect(waitAfter(submitting, retryAfterMs)).toBe(wait);
  });

  it("goes to another route at once when one is busy for minutes, and comes back when that is over", () => {
    const routes = [aRoute(), aRoute({ provider: "beta", priority: 2 })];
    const refusal = { ...BUSY, retryAfterMs: 5 * MINUTE };
    const next = begin(after(submitting, refusal, T0), T0 + SECOND, routes);
    expect(next.effect).toMatchObject({ kind: "submit", attempt: { provider: "beta" } });
    const both = after(next.task, { ...refusal, retryAfterMs: 10 * MINUTE }, T0 + SECOND);
    expect(begin(both, T0 + 2 * SECOND, routes)).toEqual({ task: both, effect: { kind: "none" }, again: T0 + 5 * MINUTE });
    expect(begin(both, T0 + 5 * MINUTE, routes).effect).toMatchObject({ kind: "submit", attempt: { provider: "alpha" } });
  });

  it("tries the next route, and says so in a new attempt", () => {
    const routes = [aRoute(), aRoute({ provider: "beta", priority: 2 })];
    const queued = expectStatus(after(submitting, REFUSED_BY_ROUTE, T0), "queued");
    const begun = begin(queued, queued.notBefore, routes);
    expect(begun.task.attempts.map(({ provider, outcome }) => [provider, outcome])).toEqual([
      ["alpha", "refused"],
      ["beta", "open"],
    ]);
    expect(begun.effect).toMatchObject({ kind: "submit", attempt: { provider: "beta", startedAt: queued.notBefore } });
  });

  it("looks again at the deadline at the latest", () => {
    const slow = aTask({
      status: "submitting",
      attempts: [anAttempt({ outcome: "open", latency: { medianMs: 2 * HOUR, quantiles: null } })],
    });
    expect(wakeAt(slow, T0)).toBe(DEADLINE);
  });
});

describe("a running task", () => {
  const running = aTask({ status: "running" });
  const polledAt = T0 + 70 * SECOND;

  it("is polled where it was submitted", () => {
    const begun = begin(running, polledAt, []);
    expect(begun.task).toBe(running);
    expect(begun.effect).toEqual({ kind: "poll", provider: "alpha", task: running });
    expect(begun.again).toBeGreaterThan(polledAt);
    expect(begun.again).toBeLessThan(polledAt + 30 * SECOND);
  });

  it("is asked no sooner than the provider said", () => {
    const patient = aTask({ status: "running", notBefore: T0 + 3 * MINUTE });
    const early = begin(patient, T0 + 3 * MINUTE - 1, []);
    expect(early).toEqual({ task: patient, effect: { kind: "none" }, again: early.again });
    expect(early.again).toBeGreaterThanOrEqual(T0 + 3 * MINUTE);
    expect(early.again, "the next poll on its own schedule").toBeLessThan(T0 + 3 * MINUTE + 33 * SECOND);
    expect(begin(patient, T0 + 3 * MINUTE, []).effect.kind).toBe("poll");
    expect(wakeAt(patient, polledAt)).toBe(T0 + 3 * MINUTE);
  });

  it("writes nothing when a poll finds nothing new: the alarm that was armed is the next one", () => {
    expect(transition(running, { type: "still_running", retryAfterMs: null }, polledAt)).toBe(running);
    expect(transition(running, EVENTS.try_again, polledAt)).toBe(running);
  });

  it.each([
    [30 * SECOND, 30 * SECOND],
    [DAY, 5 * MINUTE],
    [-DAY, 0],
  ])("honours a time to come back (%i ms) up to five minutes", (retryAfterMs, wait) => {
    const next = expectStatus(after(running, { type: "still_running", retryAfterMs }, polledAt), "running");
    expect(next.notBefore).toBe(polledAt + wait);
    expect(wakeAt(next, polledAt), "but polls on its own schedule if that is later").toBeGreaterThan(polledAt);
  });

  it("has its last look at the deadline, whatever the provider asked for", () => {
    const asked = after(running, { type: "still_running", retryAfterMs: 5 * MINUTE }, DEADLINE - MINUTE);
    expect(wakeAt(asked, DEADLINE - MINUTE)).toBe(DEADLINE);
    const poked = begin(asked, DEADLINE - 30 * SECOND, []);
    expect(poked, "nor does a poke postpone it").toEqual({ task: asked, effect: { kind: "none" }, again: DEADLINE });
    expect(begin(asked, DEADLINE, []).effect.kind).toBe("poll");
    expect(begin(running, DEADLINE - SECOND, []).again).toBe(DEADLINE);
  });

  it("is polled once more at the deadline before it times out, with the flag on record first", () => {
    const begun = begin(running, DEADLINE, []);
    const last = { ...running, lastPoll: true };
    const effect = { kind: "poll", provider: "alpha", task: last };
    expect(begun).toEqual({ task: last, effect, again: DEADLINE + 30 * SECOND });
    expectFailing(after(last, { type: "still_running", retryAfterMs: null }, DEADLINE), "timeout");
    expectFailing(after(last, EVENTS.poll_missing, DEADLINE), "timeout");
    expectFailing(after(last, EVENTS.try_again, DEADLINE), "timeout");
  });

  it.each([SECOND, 10 * MINUTE, 10 * HOUR])(
    "waits half a minute for its last poll, however long a job takes (%i ms)",
    (medianMs) => {
      const slow = aTask({ status: "running", attempts: [anAttempt({ latency: { medianMs, quantiles: null } })] });
      expect(begin(slow, DEADLINE, []).again).toBe(DEADLINE + 30 * SECOND);
      expect(begin(slow, DEADLINE + MINUTE, []).again).toBe(DEADLINE + MINUTE + 30 * SECOND);
    },
  );

  it("times out when even the last poll was interrupted", () => {
    const begun = begin(aTask({ status: "running", lastPoll: true }), DEADLINE + MINUTE, []);
    expectFailing(begun.task, "timeout");
    expect(begun.effect.kind).toBe("settle");
  });

  it("still delivers what the last poll finds", () => {
    const last = aTask({ status: "running", lastPoll: true });
    const storing = expectStatus(after(last, EVENTS.succeeded, DEADLINE + SECOND), "storing");
    expect(begin(storing, DEADLINE + SECOND, []).effect.kind).toBe("store");
  });

  it("has the last poll at once when a poll from before the deadline answers after it", () => {
    const late = expectStatus(after(running, { type: "still_running", retryAfterMs: MINUTE }, DEADLINE + SECOND), "running");
    expect(wakeAt(late, DEADLINE + SECOND)).toBe(DEADLINE + SECOND);
    expect(begin(late, DEADLINE + SECOND, []).task).toMatchObject({ status: "running", lastPoll: true });
  });

  it("is not lost while the provider may not know it yet", () => {
    expect(transition(running, EVENTS.poll_missing, T0 + 2 * MINUTE - 1)).toBe(running);
  });

  it("is lost when three polls in a row do not find it", () => {
    const once = expectStatus(after(running, EVENTS.poll_missing, T0 + 2 * MINUTE), "running");
    const twice = expectStatus(after(once, EVENTS.poll_missing, T0 + 3 * MINUTE), "running");
    expect([once.misses, twice.misses]).toEqual([1, 2]);
    const lost = expectFailing(after(twice, EVENTS.poll_missing, T0 + 4 * MINUTE), "upstream_lost");
    expect(lastOrphan(lost)).toEqual(anAttempt({ outcome: "abandoned", reason: "upstream_lost" }));
  });

  it("is found again in between, and the count begins anew", () => {
    const twice = aTask({ status: "running", misses: 2 });
    const found = expectStatus(after(twice, { type: "still_running", retryAfterMs: null }, T0 + 3 * MINUTE), "running");
    expect(found.misses).toBe(0);
    expectStatus(after(found, EVENTS.poll_missing, T0 + 4 * MINUTE), "running");
  });

  it("is stored at once when it has succeeded", () => {
    const storing = expectStatus(after(running, EVENTS.succeeded, polledAt), "storing");
    const timeline = timelineOf(running, "storing", polledAt);
    expect(storing).toEqual(aTask({ status: "storing", source: { url: "s2" }, notBefore: polledAt, timeline }));
    expect(storing).not.toHaveProperty("lastPoll");
    expect(wakeAt(storing, polledAt)).toBe(polledAt);
  });

  it("fails as the provider says", () => {
    expectFailing(after(running, EVENTS.provider_failed, polledAt), "content_policy");
  });
});

describe("a finished job without a usable video", () => {
  it.each(["running", "storing"] as const)("is polled again after a while, from %s", (status) => {
    const again = expectStatus(after(aTask({ status, misses: 2 }), EVENTS.spoiled, T0 + 2 * MINUTE), "running");
    expect(again).toMatchObject({ spoiled: 1, misses: 0, lastPoll: false, operation: { job: "j1" } });
    expect(again).not.toHaveProperty("source");
    expect(again.notBefore).toBeGreaterThan(T0 + 2 * MINUTE);
  });

  it.each([
    [0, 2 * SECOND],
    [1, 4 * SECOND],
  ])("is left longer the second time (after %i), within a tenth", (spoiled, wait) => {
    const again = expectStatus(after(aTask({ status: "storing", spoiled }), EVENTS.spoiled, T0), "running");
    expect(again.notBefore - T0).toBeGreaterThanOrEqual(wait * 0.9);
    expect(again.notBefore - T0).toBeLessThanOrEqual(wait * 1.1);
  });

  const alone = { route: { fallback: false, only: null } } as const;

  it.each(["upstream_invalid_result", "upstream_asset_expired"] as const)("is given up the third time, as %s", (reason) => {
    for (const spoiled of [0, 1]) {
      expectStatus(after(aTask({ status: "storing", spoiled }), { type: "spoiled", reason }, T0), "running");
    }
    expectFailing(after(aTask({ ...alone, status: "storing", spoiled: 2 }), { type: "spoiled", reason }, T0), reason);
  });

  it("remembers across the polls between, so that it cannot go on for ever", () => {
    const polled = after(aTask({ ...alone, status: "running", spoiled: 2 }), EVENTS.succeeded, T0);
    expectFailing(after(polled, EVENTS.spoiled, T0), "upstream_invalid_result");
  });

  it("is given up at the deadline", () => {
    expectStatus(after(aTask({ status: "storing" }), EVENTS.spoiled, DEADLINE - 1), "running");
    expectFailing(after(aTask({ status: "storing" }), EVENTS.spoiled, DEADLINE), "upstream_invalid_result");
  });
});

describe("a task being stored", () => {
  it("counts the try before it is made, so that a copy which kills the isolate is counted too", () => {
    const task = aTask({ status: "storing", tries: 2 });
    const begun = begin(task, T0, []);
    const trying = { ...task, tries: 3 };
    expect(begun.task).toEqual(trying);
    expect(begun.effect).toEqual({ kind: "store", provider: "alpha", task: trying });
    expect(begun.again).toBeGreaterThan(T0 + 7 * SECOND);
    expect(begun.again).toBeLessThan(T0 + 9 * SECOND);
  });

  it.each([
    [0, 2 * SECOND],
    [1, 4 * SECOND],
    [4, 32 * SECOND],
    [5, MINUTE],
    [500, MINUTE],
  ])("waits longer before the next try, after %i failures before, within a tenth", (failures, about) => {
    const task = aTask({ status: "storing", tries: 1, failures });
    for (const retryAfterMs of [null, 0, -MINUTE]) {
      const failed = expectStatus(after(task, { type: "store_failed", retryAfterMs }, T0), "storing");
      expect(failed.failures).toBe(failures + 1);
      expect(failed.notBefore).toBeGreaterThanOrEqual(T0 + about * 0.9);
      expect(failed.notBefore).toBeLessThanOrEqual(T0 + about * 1.1);
      expect(begin(failed, failed.notBefore - 1, [])).toEqual({
        task: failed,
        effect: { kind: "none" },
        again: failed.notBefore,
      });
      expect(wakeAt(failed, T0)).toBe(failed.notBefore);
    }
  });

  it("waits as long as the source says, up to five minutes", () => {
    const wait = (retryAfterMs: number): number =>
      expectStatus(after(aTask({ status: "storing" }), { type: "store_failed", retryAfterMs }, T0), "storing").notBefore - T0;
    expect(wait(20 * SECOND)).toBe(20 * SECOND);
    expect(wait(HOUR)).toBe(5 * MINUTE);
  });

  it("is given up after too many copies in a row that were interrupted", () => {
    expect(begin(aTask({ status: "storing", tries: STORE_TRIES - 1 }), T0, []).effect.kind).toBe("store");
    const begun = begin(aTask({ status: "storing", tries: STORE_TRIES }), T0, []);
    expectFailing(begun.task, "internal_error");
    expect(begun.effect.kind).toBe("settle");
  });

  it("does not take a copy that failed for one that was interrupted", () => {
    const trying = begin(aTask({ status: "storing", tries: STORE_TRIES - 1 }), T0, []).task;
    const failed = expectStatus(after(trying, EVENTS.store_failed, T0), "storing");
    expect(failed).toMatchObject({ tries: 0, failures: 1 });
    expect(begin(failed, T0 + MINUTE, []).task).toMatchObject({ status: "storing", tries: 1, failures: 1 });
  });

  it("outlives an outage of the store of 20 minutes", () => {
    let task: Task = aTask({ status: "storing", notBefore: T0 });
    let copies = 0;
    for (let now = T0; now < T0 + 20 * MINUTE; now = wakeAt(task, now)) {
      const begun = begin(task, now, []);
      expect(begun.effect.kind).toBe("store");
      task = after(begun.task, EVENTS.store_failed, now);
      copies++;
    }
    expect(copies).toBeGreaterThan(STORE_TRIES);
    expect(copies, "without a storm of copies").toBeLessThan(30);
    const back = wakeAt(task, T0 + 20 * MINUTE);
    expect(back).toBeLessThan(T0 + 22 * MINUTE);
    expectStatus(after(begin(task, back, []).task, EVENTS.stored, back), "settling");
  });

  it("ends within 15 minutes of its deadline even when the very last copy takes six of them and fails", () => {
    const lastStart = DEADLINE + 8 * MINUTE - 1;
    const begun = begin(aTask({ status: "storing" }), lastStart, []);
    expect(begun.effect.kind).toBe("store");
    const failedAt = lastStart + 6 * MINUTE;
    const failed = after(begun.task, { type: "store_failed", retryAfterMs: 5 * MINUTE }, failedAt);
    expect(wakeAt(failed, failedAt), "looks again at once").toBeLessThanOrEqual(failedAt);
    expectFailing(begin(failed, failedAt, []).task, "timeout");
  });

  it("is not told to wait beyond the time that is left for storing", () => {
    const late = DEADLINE + 8 * MINUTE - SECOND;
    const failed = after(aTask({ status: "storing" }), { type: "store_failed", retryAfterMs: 5 * MINUTE }, late);
    expect(wakeAt(failed, late)).toBe(DEADLINE + 8 * MINUTE);
    expectFailing(begin(failed, DEADLINE + 8 * MINUTE, []).task, "timeout");
  });

  it("may take some minutes past the deadline, because it is paid for and nearly there", () => {
    expect(begin(aTask({ status: "storing" }), DEADLINE + 8 * MINUTE - 1, []).effect.kind).toBe("store");
    expectFailing(begin(aTask({ status: "storing" }), DEADLINE + 8 * MINUTE, []).task, "timeout");
  });

  it("goes on from the last part after a crash", () => {
    const upload = anUpload({ bytes: 16_777_216 });
    const marked = expectStatus(after(aTask({ status: "storing", tries: 1 }), { type: "part_stored", upload }, T0), "storing");
    expect(marked).toEqual({ ...aTask({ status: "storing", tries: 1 }), upload });
    expect(begin(marked, T0, []).effect).toMatchObject({ kind: "store", task: { upload } });
  });

  it("names the upload it leaves behind when it fails, and begins a new one when it is spoiled", () => {
    const upload = anUpload();
    const task = aTask({ status: "storing", upload });
    expect(expectFailing(after(task, EVENTS.provider_failed, T0), "content_policy").outcome).toMatchObject({ upload });
    expect(expectFailing(begin(task, DEADLINE + HOUR, []).task, "timeout").outcome).toMatchObject({ upload });
    expect(after(task, EVENTS.spoiled, T0)).not.toHaveProperty("upload");
  });

  it("is settled before tenants see it completed", () => {
    const video = aVideo({ bytes: 7 });
    const settling = expectStatus(after(aTask({ status: "storing" }), { type: "stored", video }, T0 + SECOND), "settling");
    expect(settling.outcome).toEqual({ kind: "completed", video });
    expect(settling).not.toHaveProperty("operation");
    expect(wakeAt(settling, T0 + SECOND)).toBe(T0 + SECOND);
  });
});

describe("a task being settled", () => {
  it("asks the ledger again until it has answered, a little later each time and within a minute", () => {
    const task = aTask({ status: "settling" });
    expect(begin(task, T0, [])).toEqual({ task, effect: { kind: "settle", task }, again: T0 + 2 * SECOND });
    expect(begin(task, T0 + 20 * SECOND, []).again).toBe(T0 + 30 * SECOND);
    expect(begin(task, T0 + HOUR, []).again).toBe(T0 + HOUR + MINUTE);
    expect(begin(task, T0 - HOUR, []).again, "after a clock that ran back").toBe(T0 - HOUR + 2 * SECOND);
    expect(transition(task, EVENTS.try_again, T0)).toBe(task);
  });

  it("becomes completed with its video, kept for its retention from then on", () => {
    const task = aTask({ status: "settling", retentionMs: 2 * DAY });
    const completed = expectStatus(after(task, EVENTS.settled, T0 + MINUTE), "completed");
    expect(completed).toEqual({
      ...aTask({ status: "completed", retentionMs: 2 * DAY }),
      timeline: timelineOf(task, "completed", T0 + MINUTE),
      since: T0 + MINUTE,
      expiresAt: T0 + MINUTE + 2 * DAY,
    });
    expect(completed).not.toHaveProperty("outcome");
  });

  it("becomes failed with its reason", () => {
    const task = aTask({ status: "settling", outcome: { kind: "failed", reason: "upstream_lost", upload: null } });
    expect(after(task, EVENTS.settled, T0 + MINUTE)).toEqual({
      ...aTask({ status: "failed", reason: "upstream_lost" }),
      timeline: timelineOf(task, "failed", T0 + MINUTE),
      since: T0 + MINUTE,
      expiresAt: T0 + MINUTE + 7 * DAY,
    });
  });
});

describe.each(["completed", "failed"] as const)("a %s task", (status) => {
  const task = aTask({ status, expiresAt: T0 + DAY });

  it("is left alone until it expires, then purged until that has worked", () => {
    expect(wakeAt(task, T0)).toBe(T0 + DAY);
    expect(begin(task, T0 + DAY - 1, [])).toEqual({ task, effect: { kind: "none" }, again: T0 + DAY });
    expect(begin(task, T0 + DAY, [])).toEqual({ task, effect: { kind: "purge", task }, again: T0 + DAY + MINUTE });
    expect(transition(task, EVENTS.try_again, T0 + DAY)).toBe(task);
    expect(transition(task, EVENTS.purged, T0 + DAY)).toBeNull();
  });

  it("is not gone before its time, whoever says so", () => {
    expect(transition(task, EVENTS.purged, T0 + DAY - 1)).toBe(task);
  });
});

describe("a task that an operator ends", () => {
  it.each(["queued", "running", "storing"] as const)(
    "fails as cancelled from %s, whatever a provider is doing with it",
    (status) => {
      const settling = expectFailing(after(likely(status), EVENTS.abandon, T0 + MINUTE), "cancelled");
      expect(begin(settling, T0 + MINUTE, []).effect).toEqual({ kind: "settle", task: settling });
      const abandoned = anAttempt({ outcome: "abandoned", reason: "cancelled" });
      expect(lastOrphan(settling)).toEqual(status === "queued" ? null : abandoned);
    },
  );

  it("counts as handed over while it is being submitted, and hears no answer any more", () => {
    const settling = expectFailing(after(aTask({ status: "submitting" }), EVENTS.abandon, T0 + SECOND), "cancelled");
    expect(lastOrphan(settling)).toEqual(anAttempt({ outcome: "unknown" }));
    expect(transition(settling, EVENTS.submitted, T0 + 2 * SECOND)).toBe(settling);
  });

  it("names the upload that it leaves behind", () => {
    const task = aTask({ status: "storing", upload: anUpload() });
    expect(expectFailing(after(task, EVENTS.abandon, T0), "cancelled").outcome).toMatchObject({ upload: anUpload() });
  });

  it.each(["completed", "failed"] as const)("may be discarded once it is %s, and is then purged at once", (status) => {
    const task = aTask({ status, expiresAt: T0 + DAY });
    const discarded = after(task, EVENTS.discard, T0 + MINUTE);
    expect(discarded).toEqual({ ...task, expiresAt: T0 + MINUTE });
    expect(wakeAt(discarded, T0 + MINUTE)).toBe(T0 + MINUTE);
    expect(begin(discarded, T0 + MINUTE, []).effect.kind).toBe("purge");
    expect(transition(discarded, EVENTS.discard, T0 + HOUR), "no later the second time").toBe(discarded);
  });
});

describe("what a task remembers of its way", () => {
  it("is each state, and when it came into it", () => {
    let task: Task = begin(aTask(), T0 + SECOND, ROUTES).task;
    task = after(task, { ...BUSY, retryAfterMs: SECOND }, T0 + 2 * SECOND);
    task = begin(task, T0 + 5 * SECOND, ROUTES).task;
    task = after(task, EVENTS.submitted, T0 + 6 * SECOND);
    task = after(task, EVENTS.succeeded, T0 + 7 * SECOND);
    task = after(task, EVENTS.spoiled, T0 + 8 * SECOND);
    task = begin(task, DEADLINE, ROUTES).task;
    task = after(task, EVENTS.try_again, DEADLINE + SECOND);
    task = after(task, EVENTS.settled, DEADLINE + 2 * SECOND);
    expect(task.timeline.map(({ at, status }) => [(at - T0) / SECOND, status])).toEqual([
      [0, "queued"],
      [1, "submitting"],
      [2, "queued"],
      [5, "submitting"],
      [6, "running"],
      [7, "storing"],
      [8, "running"],
      [1_801, "settling"],
      [1_802, "failed"],
    ]);
  });

  it("stays short however often it is refused: the beginning, and the latest", () => {
    let task: Task = aTask({ deadlineAt: T0 + DAY });
    for (let count = 1; count <= 100; count++) {
      task = begin(task, T0 + count * 2 * MINUTE, ROUTES).task;
      task = after(task, BUSY, T0 + count * 2 * MINUTE);
    }
    expect(task.timeline).toHaveLength(60);
    expect(task.timeline[0]).toEqual({ at: T0, status: "queued" });
    expect(task.timeline.at(-2)).toEqual({ at: T0 + 200 * MINUTE, status: "submitting" });
    expect(task.timeline.at(-1)).toEqual({ at: T0 + 200 * MINUTE, status: "queued" });
    expect(task.timeline[1]?.at).toBe(T0 + 142 * MINUTE);
  });
});

describe("the time from which tenants see a task processing", () => {
  const refused: TaskEvent = { type: "submit_refused", by: "task", reason: "content_policy" };

  it.each([
    { status: "queued", event: EVENTS.cancel },
    { status: "queued", event: EVENTS.abandon },
    { status: "submitting", event: EVENTS.abandon },
    { status: "submitting", event: EVENTS.submit_unknown },
    { status: "submitting", event: refused },
  ] as const)("is when a pending task begins to be settled: $status, $event.type", ({ status, event }) => {
    expect(after(likely(status), event, T0 + 9 * SECOND)).toMatchObject({ status: "settling", since: T0 + 9 * SECOND });
  });

  it.each([
    ["is due and nobody had room for it", aTask(), DEADLINE, ROUTES],
    ["has no route", aTask(), T0 + 9 * SECOND, []],
    ["was interrupted while it was handed over", aTask({ status: "submitting" }), T0 + 9 * SECOND, ROUTES],
  ])("is when a task that %s is given up", (_, task, now, routes) => {
    expect(begin(task, now, routes).task).toMatchObject({ status: "settling", since: now });
  });

  it.each(["running", "storing"] as const)("stays as it was when a %s task is settled", (status) => {
    expect(after(likely(status), EVENTS.provider_failed, T0 + MINUTE)).toMatchObject({ status: "settling", since: T0 });
    expect(after(likely(status), EVENTS.abandon, T0 + MINUTE).since).toBe(T0);
  });
});

describe("a clock that runs backwards", () => {
  it.each([
    ["submitted", aTask({ status: "submitting", since: T0 })],
    ["settled", aTask({ status: "settling", since: T0 })],
    ["cancel", aTask({ since: T0 })],
  ] as const)("does not make %s older than the status before it", (type, task) => {
    expect(after(task, EVENTS[type], T0 - HOUR).since).toBe(T0);
  });

  it("only delays the next poll", () => {
    const running = aTask({ status: "running" });
    expect(begin(running, T0 - HOUR, []).again).toBeGreaterThan(T0);
    expect(begin(running, T0 - HOUR, []).again).toBeLessThan(T0 + 2 * MINUTE);
  });
});

describe("orphanOf", () => {
  const failedFor = (reason: FailureCode, attempts: readonly Attempt[] = [anAttempt()]): TaskOf<"settling"> =>
    aTask({ status: "settling", attempts, outcome: { kind: "failed", reason, upload: null } });

  it.each([
    "timeout",
    "upstream_lost",
    "internal_error",
    "upstream_invalid_result",
    "upstream_asset_expired",
    "cancelled",
  ] as const)("names the paid work behind a task that failed as %s", (reason) => {
    expect(lastOrphan(failedFor(reason))).toEqual(anAttempt());
  });

  it("names an attempt that nobody knows the outcome of", () => {
    const unknown = anAttempt({ outcome: "unknown" });
    expect(lastOrphan(failedFor("upstream_ambiguous", [anAttempt({ outcome: "busy" }), unknown]))).toEqual(unknown);
  });

  it.each([
    ["completed", aTask({ status: "settling" })],
    ["refused by the provider, which bills nothing", failedFor("content_policy")],
    ["never accepted by any provider", failedFor("queue_timeout", [anAttempt({ outcome: "busy" })])],
    ["refused by all", failedFor("upstream_rejected", [anAttempt({ outcome: "refused" })])],
    ["broken before it was tried", failedFor("internal_error", [])],
  ])("names nothing for a task that was %s", (_, task) => {
    expect(lastOrphan(task)).toBeNull();
  });
});

it("adds up what orphans cost, and does not guess", () => {
  const orphan = (costCents: number | null) => ({ attempt: anAttempt({ costCents }), reason: "timeout" }) as const;
  expect(costCentsOf([orphan(40), orphan(2.5)])).toBe(42.5);
  expect(costCentsOf([orphan(40), orphan(null)])).toBeNull();
});

describe("lastAttempt", () => {
  it("throws where there is none, because that is a bug", () => {
    expect(() => lastAttempt(aTask())).toThrow("a queued task has no attempt");
  });
});

it("carries the whole request through every status", () => {
  const spec = aSpec({ tenant: "Tenant02", mode: "test", credits: 7, prompt: "a lake, rewritten", retentionMs: DAY });
  let task: Task = begin(startTask(spec), T0, [aRoute({ mode: "test" })]).task;
  for (const type of ["submitted", "succeeded", "stored", "settled"] as const) {
    task = after(task, EVENTS[type], T0 + MINUTE);
    expect(task).toMatchObject(spec);
  }
  expect(task.status).toBe("completed");
});

describe("cancelling what a provider works on", () => {
  const asked = { ...aTask({ status: "running" }), cancel: "asked" } as const;

  it.each([
    ["queued", true, null],
    ["submitting", true, "handing_over"],
    ["running", true, null],
    ["running", false, "provider"],
    ["storing", true, "copying"],
    ["settling", true, "ended"],
    ["completed", true, "ended"],
    ["failed", true, "ended"],
  ] as const)("of a %s task, with a provider that can stop: %s, is refused as %s", (status, passesOn, why) => {
    expect(cancelRefusal(likely(status), passesOn)).toBe(why);
  });

  it("is passed on once, at the next wake, before any poll", () => {
    const task = after(aTask({ status: "running" }), { type: "cancel", passesOn: true }, T0 + SECOND);
    expect(task).toMatchObject({ status: "running", cancel: "asked" });
    expect(begin(task, T0 + SECOND, ROUTES).effect).toMatchObject({ kind: "cancel", provider: "alpha" });
    expect(after(task, { type: "cancel", passesOn: true }, T0 + SECOND)).toBe(task);
  });

  it("is passed on at once, whatever a poll under way says of the time to come back", () => {
    const asked = after(aTask({ status: "running" }), { type: "cancel", passesOn: true }, T0 + SECOND);
    expect(wakeAt(asked, T0 + SECOND)).toBe(T0 + SECOND);
    const poll = begin(aTask({ status: "running" }), T0 + SECOND, []).effect;
    const answered = after(asked, { type: "still_running", retryAfterMs: 5 * MINUTE }, T0 + 2 * SECOND);
    expect(wakeAt(answered, T0 + 2 * SECOND)).toBe(T0 + 2 * SECOND);
    for (const task of [asked, answered]) expect(followUp(task, poll, T0 + 2 * SECOND, [])?.effect.kind).toBe("cancel");
    const untold = { ...asked, told: [] };
    const cancel = begin(untold, T0 + 2 * SECOND, []).effect;
    expect(followUp(untold, cancel, T0 + 3 * SECOND, [])?.effect.kind, "once a wake").toBe("announce");
  });

  it("is repeated when its answer was lost", () => {
    const { task, again } = begin(asked, T0 + SECOND, ROUTES);
    expect(begin(task, again, ROUTES).effect.kind).toBe("cancel");
  });

  it("ends as cancelled when the provider then says that it failed, and is owed", () => {
    const stopping = after(asked, EVENTS.cancel_answered, T0 + SECOND);
    expect(begin(stopping, T0 + 5 * SECOND, ROUTES).effect.kind).toBe("poll");
    const settling = expectFailing(after(stopping, EVENTS.provider_failed, T0 + 5 * SECOND), "cancelled");
    expect(lastOrphan(settling)).toEqual(anAttempt({ outcome: "abandoned", reason: "cancelled" }));
  });

  it("is completed and charged when the provider was faster", () => {
    const stopping = after(asked, EVENTS.cancel_answered, T0 + SECOND);
    expect(after(stopping, EVENTS.succeeded, T0 + 5 * SECOND).status).toBe("storing");
  });

  it("may be asked for again where it came too late", () => {
    const late = after(asked, { type: "cancel_answered", answer: "too_late" }, T0 + SECOND);
    expect(late).toMatchObject({ status: "running", cancel: "unasked" });
  });

  it("does not outlive the deadline", () => {
    const { effect } = begin(asked, DEADLINE, ROUTES);
    expect(effect).toMatchObject({ kind: "poll", task: { lastPoll: true } });
  });
});

describe("a provider's hint", () => {
  const running = aTask({ status: "running", notBefore: T0 + 5 * MINUTE });
  const now = T0 + 10 * SECOND;

  it("has the task polled at once, though its provider had named a later time", () => {
    const hinted = after(running, { type: "hint" }, now);
    expect(wakeAt(hinted, now)).toBe(now);
    const polled = begin(hinted, now, []);
    expect(polled).toMatchObject({ effect: { kind: "poll" }, task: { hintAt: null } });
    expect(begin(polled.task, now + 10 * SECOND, []).effect.kind, "once").toBe("none");
  });

  it("is followed every two seconds at most, however many come", () => {
    let task: Task = running;
    const polls: number[] = [];
    const writes = new Set<Task>();
    for (let at = now; at < now + 10 * SECOND; at += 100) {
      task = after(task, { type: "hint" }, at);
      writes.add(task);
      if (wakeAt(task, at) > at) continue;
      const begun = begin(task, at, []);
      if (begun.effect.kind === "poll") polls.push(at - now);
      task = begun.task;
    }
    expect(polls).toEqual([0, 2, 4, 6, 8].map((second) => second * SECOND));
    expect(writes.size, "and written down as seldom").toBeLessThanOrEqual(11);
  });

  it("that comes while the provider is asked is followed when that is over, whatever it answers", () => {
    const begun = begin(after(running, { type: "hint" }, now), now, []);
    const hinted = after(begun.task, { type: "hint" }, now + SECOND);
    for (const retryAfterMs of [null, 5 * MINUTE]) {
      const answered = after(hinted, { type: "still_running", retryAfterMs }, now + SECOND);
      expect(wakeAt(answered, now + SECOND)).toBe(now + 2 * SECOND);
      expect(begin(answered, now + 2 * SECOND, []).effect.kind).toBe("poll");
    }
  });

  it("does not put off the next poll, nor the last one", () => {
    const hinted = after(aTask({ status: "running", hintsFrom: DEADLINE + SECOND }), { type: "hint" }, DEADLINE - SECOND);
    expect(wakeAt(hinted, DEADLINE - SECOND)).toBe(DEADLINE);
    expect(begin(hinted, DEADLINE, [])).toMatchObject({ effect: { kind: "poll", task: { lastPoll: true } } });
  });
});

describe("news", () => {
  const untold = { told: [] } as const;
  const types = (task: Task): string[] => untoldNews(task).map(({ type }) => type);

  it("is each status once, in order", () => {
    const running = after({ ...aTask({ status: "submitting" }), ...untold }, EVENTS.submitted, T0 + SECOND);
    expect(types(running)).toEqual(["video.created", "video.processing"]);
    const told = after(running, { type: "announced", types: ["video.created", "video.processing"] }, T0 + SECOND);
    expect(types(told)).toEqual([]);
    const done = after({ ...aTask({ status: "settling" }), told: told.told }, EVENTS.settled, T0 + MINUTE);
    expect(types(done)).toEqual(["video.completed"]);
  });

  it("tells of each status as it was then", () => {
    const done = after({ ...aTask({ status: "settling" }), ...untold }, EVENTS.settled, T0 + MINUTE);
    const [created, completed] = untoldNews(done);
    expect(created).toMatchObject({ at: T0, task: { status: "pending", statusChangedAt: T0 / 1000, videoUrl: null } });
    expect(completed).toMatchObject({ type: "video.completed", at: T0 + MINUTE, base: "https://api.example" });
  });

  it("follows in the wake in which it happened, and leaves the alarm as it is", () => {
    const running = after({ ...aTask({ status: "submitting" }), ...untold }, EVENTS.submitted, T0 + SECOND);
    const step = { kind: "submit", attempt: anAttempt(), task: aTask({ status: "submitting" }) } as const;
    expect(followUp(running, step, T0 + SECOND, ROUTES)).toMatchObject({ effect: { kind: "announce" }, again: null });
  });

  it("never keeps a poll waiting", () => {
    const running = { ...aTask({ status: "running" }), ...untold };
    expect(begin(running, T0 + MINUTE, ROUTES).effect.kind).toBe("poll");
  });

  it("of an end that nobody heard of is told again, ever more seldom, until the task is gone", () => {
    const failed = { ...aTask({ status: "failed" }), ...untold };
    const waits: number[] = [];
    for (let now = T0; now < T0 + DAY;) {
      const { effect, again } = begin(failed, now, ROUTES);
      expect(effect.kind).toBe("announce");
      waits.push(again - now);
      now = again;
    }
    expect(waits[0]).toBe(2 * SECOND);
    expect(waits).toEqual(waits.toSorted((a, b) => a - b));
    expect(waits.at(-1)).toBe(10 * MINUTE);
    expect(begin(failed, failed.expiresAt, ROUTES).effect.kind).toBe("purge");
  });
});

describe("an attempt", () => {
  it.each([
    ["none", "https://api.example", false],
    ["https", "https://api.example", true],
    ["https", "http://127.0.0.1:8787", false],
    ["any", "http://127.0.0.1:8787", true],
  ] as const)("at a route that calls back at %s URLs, of a task created at %s, counts on hints: %s", (hinted, base, expected) => {
    const { task } = begin(aTask({ base }), T0, [aRoute({ hinted })]);
    expect(task.attempts).toMatchObject([{ hinted: expected }]);
  });
});

describe("another provider", () => {
  const routes = [aRoute(), aRoute({ provider: "beta", priority: 2 })];
  const failed = { type: "provider_failed", by: "route", reason: "upstream_rejected" } as const;

  it("is made once more by its only provider after a filter that it may pass, and then fails as content_policy, nothing owed", () => {
    const filtered: TaskEvent = { type: "provider_failed", by: "route", reason: "content_policy" };
    const only = [aRoute()];
    const first = after(aTask({ status: "running" }), filtered, T0 + MINUTE);
    const again = begin(first, T0 + MINUTE, only);
    expect(again.effect).toMatchObject({ kind: "submit", attempt: { provider: "alpha", number: 2 } });
    const second = after(after(again.task, EVENTS.submitted, T0 + MINUTE), filtered, T0 + 2 * MINUTE);
    const settling = expectFailing(begin(second, T0 + 2 * MINUTE, only).task, "content_policy");
    expect(orphansOf(settling)).toEqual([]);
  });

  const OVERDUE = T0 + 5 * MINUTE;
  const slow = aTask({ status: "running", attempts: [anAttempt({ overdueAt: OVERDUE })] });
  const leased = routes.map((route) => ({ ...route, leased: true }));
  const BETA_LEASE = { provider: "beta", credential: "BETA_KEY", quantiles: null };

  /** What follows in the same wake from a poll that finds the job still running. */
  function polled(task: TaskOf<"running">, now: number, given: readonly Route[]): FollowUp | null {
    const begun = begin(task, now, given);
    expect(begun.effect.kind).toBe("poll");
    return followUp(after(begun.task, { type: "still_running", retryAfterMs: null }, now), begun.effect, now, given);
  }

  it.each([
    ["its provider gave up", { type: "provider_failed", by: "task", reason: "content_policy" }, "failed", "content_policy"],
    ["it is lost", { type: "poll_missing" }, "abandoned", "upstream_lost"],
    ["an operator ends it", EVENTS.abandon, "abandoned", "cancelled"],
  ] as const)("that fails has what became of its attempt on record: %s", (_, event, outcome, reason) => {
    const running = aTask({ status: "running", misses: 2 });
    const settling = expectFailing(after(running, event, T0 + 5 * MINUTE), reason);
    expect(settling.attempts).toEqual([anAttempt({ outcome, reason })]);
  });

  it("that times out, or whose copy never ends well, has too", () => {
    const last = aTask({ status: "running", lastPoll: true });
    const timedOut = expectFailing(after(last, EVENTS.try_again, DEADLINE), "timeout");
    expect(timedOut.attempts).toEqual([anAttempt({ outcome: "abandoned", reason: "timeout" })]);
    const poisoned = begin(aTask({ status: "storing", tries: STORE_TRIES }), T0 + MINUTE, ROUTES).task;
    expect(poisoned.attempts).toEqual([anAttempt({ outcome: "abandoned", reason: "internal_error" })]);
    expect(orphansOf(expectFailing(poisoned, "internal_error"))).toHaveLength(1);
  });

  it.each(["running", "storing"] as const)("takes over at once from one that failed a %s task", (status) => {
    const queued = expectStatus(after(likely(status), failed, T0 + MINUTE), "queued");
    expect(queued.attempts).toEqual([anAttempt({ outcome: "failed", reason: "upstream_rejected" })]);
    const step = { kind: "poll", provider: "alpha", task: aTask({ status: "running" }) } as const;
    expect(followUp(queued, step, T0 + MINUTE, routes)?.effect).toMatchObject({ kind: "submit", attempt: { provider: "beta" } });
  });

  it("is the same task to its tenant: it goes on processing, and its time does not start anew", () => {
    const running = aTask({ status: "running" });
    const queued = after(running, failed, T0 + MINUTE);
    expect(publicTask(queued, null)).toMatchObject({ status: "processing", statusChangedAt: T0 / 1000 });
    const taken = after(begin(queued, T0 + MINUTE, routes).task, EVENTS.submitted, T0 + 2 * MINUTE);
    expect(publicTask(taken, null)).toMatchObject({ status: "processing", statusChangedAt: T0 / 1000 });
    expect(taken.deadlineAt).toBe(running.deadlineAt);
  });

  it("may do better than one that says itself that it took too long, which is owed nothing", () => {
    const running = aTask({ status: "running", places: [aPlace()] });
    const queued = expectStatus(after(running, { type: "provider_failed", by: "route", reason: "timeout" }, T0 + MINUTE), "queued");
    expect(queued.attempts).toEqual([anAttempt({ outcome: "failed", reason: "timeout" })]);
    expect(queued.left, "and it is its fault, however soon").toMatchObject([{ provider: "alpha", reason: "timeout" }]);
    const heard = after(queued, { type: "released", heard: [1] }, T0 + MINUTE);
    expect(begin(heard, T0 + MINUTE, routes).effect).toMatchObject({ kind: "submit", attempt: { provider: "beta" } });
    const alone = expectFailing(begin(heard, T0 + MINUTE, ROUTES).task, "timeout");
    expect(orphansOf(alone)).toEqual([]);
  });

  it("is not asked where the fault is the task's own", () => {
    for (const reason of ["content_policy", "image_invalid", "cancelled", "upstream_rejected"] as const)
      expectFailing(after(aTask({ status: "running" }), { type: "provider_failed", by: "task", reason }, T0), reason);
  });

  it("is not asked where the tenant wants none, or no time is left", () => {
    const alone = aTask({ status: "running", route: { fallback: false, only: null } });
    expectFailing(after(alone, failed, T0), "upstream_rejected");
    expectFailing(after(aTask({ status: "running" }), failed, DEADLINE), "upstream_rejected");
  });

  it("that is not there leaves the reason of the one that failed", () => {
    const queued = after(aTask({ status: "running" }), failed, T0 + MINUTE);
    expectFailing(begin(queued, T0 + MINUTE, ROUTES).task, "upstream_rejected");
  });

  it("takes over from one that takes far longer than it should, which is owed what it still makes", () => {
    expect(followUp(slow, begin(slow, OVERDUE, routes).effect, OVERDUE, routes), "it may be done").toBeNull();
    const begun = polled(slow, OVERDUE, routes);
    expect(begun?.effect).toMatchObject({ kind: "submit", attempt: { provider: "beta" } });
    expect(begun?.again, "and there is another look should we die meanwhile").toBeGreaterThan(OVERDUE);
    const settling = expectStatus(begin({ ...begun?.task, deadlineAt: T0 } as Task, T0 + 6 * MINUTE, []).task, "settling");
    expect(orphansOf(settling)).toMatchObject([
      { attempt: { provider: "alpha", outcome: "abandoned" }, reason: "timeout" },
      { attempt: { provider: "beta", outcome: "unknown" }, reason: "upstream_ambiguous" },
    ]);
  });

  it("takes over only after a last look, which finds it still running", () => {
    for (const now of [OVERDUE - 1, OVERDUE, OVERDUE + MINUTE]) {
      const begun = begin(slow, now, routes);
      expect(begun.task).toBe(slow);
      expect(begun.effect.kind).toBe("poll");
    }
    const done = after(slow, EVENTS.succeeded, OVERDUE);
    expect(done.status).toBe("storing");
    const look = begin(slow, OVERDUE, routes).effect;
    expect(followUp(after(slow, EVENTS.poll_missing, OVERDUE), look, OVERDUE, routes)).toBeNull();
    const dead = followUp(after(slow, EVENTS.try_again, OVERDUE), look, OVERDUE, routes);
    expect(dead?.effect, "or finds nobody").toMatchObject({ kind: "submit", attempt: { provider: "beta" } });
    expect(after(slow, EVENTS.try_again, OVERDUE - 1)).toBe(slow);
    expect(polled(slow, OVERDUE - 1, routes)).toBeNull();
  });

  it.each([
    ["there is no other", slow, ROUTES],
    ["its tenant wants it stopped", { ...slow, cancel: "passed_on" } as const, routes],
    ["its tenant wants no other", { ...slow, route: { fallback: false, only: null } }, routes],
    ["it says that it does not know the job", { ...slow, misses: 1, attempts: [anAttempt()] }, routes],
  ])("does not take over where %s", (_, task, given) => {
    expect(polled(task, OVERDUE, given)).toBeNull();
  });

  it("is asked for a place while the first is still polled, and takes over when it has one", () => {
    const asked = polled({ ...slow, stays: 1, places: [aPlace()] }, OVERDUE, leased);
    expect(asked).toMatchObject({ effect: { kind: "lease", provider: "beta" }, task: { status: "running" }, again: null });
    expect(asked?.task.places, "and keeps the first").toMatchObject([{ provider: "alpha" }, { provider: "beta", stay: 2 }]);
    const granted = after(asked?.task as Task, { type: "leased", lease: BETA_LEASE }, OVERDUE);
    expect(granted).toMatchObject({
      status: "queued",
      places: [{ provider: "beta", lease: BETA_LEASE }],
      left: [{ provider: "alpha", reason: "timeout" }],
      attempts: [{ outcome: "abandoned", reason: "timeout" }],
    });
    const told = followUp(granted, asked?.effect as Effect, OVERDUE, leased);
    expect(told?.effect.kind, "of the first, in the same wake").toBe("release");
    const heard = after(granted, { type: "released", heard: [1] }, OVERDUE);
    const begun = followUp(heard, told?.effect as Effect, OVERDUE, leased);
    expect(begun?.effect).toMatchObject({ kind: "submit", attempt: { provider: "beta", credential: "BETA_KEY" } });
    expect(begin(heard, OVERDUE + SECOND, leased).effect, "or after a crash").toMatchObject({ kind: "submit" });
  });

  it("that has no room leaves the job where it is, and what is made there is not lost", () => {
    const asked = polled(slow, OVERDUE, leased);
    const wait = { provider: "beta", until: OVERDUE + 5 * MINUTE, position: 9 };
    const refused = expectStatus(after(asked?.task as Task, { type: "lease_refused", wait }, OVERDUE), "running");
    expect(refused.attempts).toBe(slow.attempts);
    expect(followUp(refused, asked?.effect as Effect, OVERDUE, leased), "nobody else is there").toBeNull();
    const third = [...leased, aRoute({ provider: "gamma", priority: 3, leased: true })];
    expect(followUp(refused, asked?.effect as Effect, OVERDUE, third)?.effect).toMatchObject({ provider: "gamma" });
    expect(polled(refused, OVERDUE + 4 * MINUTE, leased), "it waits as it was told").toBeNull();
    expect(polled(refused, OVERDUE + 5 * MINUTE, leased)?.effect).toMatchObject({ kind: "lease", provider: "beta" });
    expect(wakeAt(refused, OVERDUE)).toBeLessThan(OVERDUE + 30 * SECOND);
    expect(begin(refused, OVERDUE + 20 * SECOND, leased).effect.kind).toBe("poll");
    expect(after(refused, EVENTS.succeeded, OVERDUE + 20 * SECOND).status).toBe("storing");
  });

  it("whose health cannot be asked is asked again later, and gets no job without a place", () => {
    const asked = polled(slow, OVERDUE, leased);
    const missed = expectStatus(after(asked?.task as Task, { type: "lease_missed", provider: "beta" }, OVERDUE), "running");
    expect(missed).toMatchObject({ places: [], left: [{ provider: "beta", reason: "cancelled" }] });
    expect(
      polled(after(missed, { type: "released", heard: [1] }, OVERDUE) as TaskOf<"running">, OVERDUE + SECOND, leased),
    ).toBeNull();
    expect(polled(missed, OVERDUE + 15 * SECOND, leased)?.effect).toMatchObject({ kind: "release" });
    const heard = after(missed, { type: "released", heard: [1] }, OVERDUE) as TaskOf<"running">;
    expect(polled(heard, OVERDUE + 15 * SECOND, leased)?.effect).toMatchObject({ kind: "lease", provider: "beta" });
  });

  it("that wants images sent along takes over only where they are at hand: a link may have ended, and the job goes on", () => {
    const inline = leased.map((route) => ({ ...route, images: "inline" as const }));
    const pictured = (image: string, more: Partial<TaskOf<"running">> = {}) =>
      polled({ ...slow, generation: aGeneration({ images: [image] }), ...more }, OVERDUE, inline);
    expect(pictured("https://example.com/a.png")).toBeNull();
    const fetched = { images: [{ bytes: 10, mimeType: "image/png" as const }] };
    expect(pictured("https://example.com/a.png", fetched)?.effect).toMatchObject({ kind: "lease", provider: "beta" });
    const asked = pictured("upload:0123");
    expect(asked?.effect).toMatchObject({ kind: "lease", provider: "beta" });
    const granted = after(asked?.task as Task, { type: "leased", lease: BETA_LEASE }, OVERDUE);
    expect(followUp(granted, asked?.effect as Effect, OVERDUE, inline)?.effect.kind).toBe("prepare");
  });

  it("takes over in the place that it granted, though a better one has none", () => {
    const gamma = aRoute({ provider: "gamma", priority: 3, leased: true });
    const three = [...leased, gamma];
    const wait = { provider: "beta", until: OVERDUE + MINUTE, position: 4 };
    const asked = polled(slow, OVERDUE, three);
    const refused = after(asked?.task as Task, { type: "lease_refused", wait }, OVERDUE);
    const elsewhere = followUp(refused, asked?.effect as Effect, OVERDUE, three);
    expect(elsewhere?.effect).toMatchObject({ kind: "lease", provider: "gamma" });
    expect(elsewhere?.task.places, "and stands in line at the other").toMatchObject([{ provider: "beta" }, { provider: "gamma" }]);
    const lease = { provider: "gamma", credential: "GAMMA_KEY", quantiles: null };
    const granted = after(elsewhere?.task as Task, { type: "leased", lease }, OVERDUE);
    const told = after(granted, { type: "released", heard: [1] }, OVERDUE);
    const leaving = begin(told, OVERDUE + 2 * MINUTE, three);
    expect(leaving).toMatchObject({ effect: { kind: "release", left: [{ provider: "beta" }] } });
    const begun = followUp(
      after(leaving.task, { type: "released", heard: [] }, OVERDUE + 2 * MINUTE),
      leaving.effect,
      OVERDUE + 2 * MINUTE,
      three,
    );
    expect(begun?.effect).toMatchObject({ kind: "submit", attempt: { provider: "gamma", credential: "GAMMA_KEY" } });
  });

  it("whose place comes when the task is to be stopped does not get it", () => {
    const asked = expectStatus(polled(slow, OVERDUE, leased)?.task as Task, "running");
    const stopping: Task = { ...asked, cancel: "asked" };
    expect(after(stopping, { type: "leased", lease: BETA_LEASE }, OVERDUE)).toMatchObject({
      status: "running",
      places: [],
      left: [{ provider: "beta", reason: "cancelled" }],
    });
    expect(after(slow, { type: "leased", lease: BETA_LEASE }, OVERDUE), "nor where none was asked for").toBe(slow);
  });

  it("records what was abandoned though the task was completed in the end", () => {
    const attempts = [anAttempt({ outcome: "abandoned", reason: "timeout" }), anAttempt({ provider: "beta" })];
    expect(orphansOf(aTask({ status: "settling", attempts }))).toHaveLength(1);
  });

  it.each(["upstream_invalid_result", "upstream_asset_expired"] as const)(
    "is told apart from what was paid for and was no use: %s is an orphan, whatever becomes of the task",
    (reason) => {
      const useless = anAttempt({ outcome: "failed", reason, costCents: 40 });
      const running = aTask({ status: "running", attempts: [anAttempt({ costCents: 40 })] });
      const queued = after(running, { type: "provider_failed", by: "route", reason }, T0 + MINUTE);
      const alone = expectFailing(begin(queued, T0 + MINUTE, ROUTES).task, reason);
      expect(orphansOf(alone), "nobody else was there").toEqual([{ attempt: useless, reason }]);
      const done = aTask({ status: "settling", attempts: [useless, anAttempt({ provider: "beta" })] });
      expect(orphansOf(done), "another one made it").toEqual([{ attempt: useless, reason }]);
    },
  );

  it("owes nothing to one that says that it failed", () => {
    const attempts = [anAttempt({ outcome: "failed", reason: "upstream_rejected" }), anAttempt({ provider: "beta" })];
    expect(orphansOf(aTask({ status: "settling", attempts }))).toEqual([]);
  });

  it("leaves one orphan for each that was given up, when the deadline, an operator or a closed tenant ends the task", () => {
    const abandoned = anAttempt({ outcome: "abandoned", reason: "timeout" });
    const queued = aTask({ attempts: [abandoned], lastReason: "timeout" });
    const running = aTask({ status: "running", attempts: [abandoned, anAttempt({ provider: "beta" })] });
    const reasons = (task: Task): string[] =>
      orphansOf(expectStatus(task, "settling")).map(({ attempt, reason }) => `${attempt.provider} ${reason}`);
    expect(reasons(begin(queued, DEADLINE, ROUTES).task)).toEqual(["alpha timeout"]);
    expect(reasons(after(queued, EVENTS.abandon, T0 + MINUTE))).toEqual(["alpha timeout"]);
    expect(reasons(after({ ...running, lastPoll: true }, EVENTS.still_running, DEADLINE))).toEqual([
      "alpha timeout",
      "beta timeout",
    ]);
    expect(reasons(after(running, EVENTS.abandon, T0 + MINUTE))).toEqual(["alpha timeout", "beta cancelled"]);
  });
});

it("a task that is deleted tells of the place that it left, once, and is gone whether or not that is heard", () => {
  const left = [
    {
      provider: "alpha",
      stay: 1,
      credential: "K",
      model: "",
      reason: null,
      durationMs: null,
      retryAt: null,
      leftAt: T0,
      tellAt: T0,
    },
  ];
  // Told at its end, and not heard: it would be told again in a while.
  const task = aTask({ status: "failed", left: left.map((each) => ({ ...each, tellAt: T0 + MINUTE })), expiresAt: T0 + SECOND });
  const begun = begin(task, T0 + SECOND, []);
  expect(begun.effect).toMatchObject({ kind: "release", left: [{ stay: 1 }] });
  for (const heard of [[], [1]]) {
    const told = after(task, { type: "released", heard }, T0 + SECOND);
    expect(followUp(told, begun.effect, T0 + SECOND, [])?.effect.kind).toBe("purge");
  }
});

describe("a place at a provider", () => {
  const leased = aRoute({ leased: true, overdueFactor: 2 });
  const quantiles = Array.from({ length: 19 }, (_, index) => (index + 1) * 10 * SECOND);
  const lease = { provider: "alpha", credential: "ALPHA_KEY", quantiles };
  const ask = begin(aTask(), T0, [leased]);
  const step = ask.effect;

  it("is asked for before the submit, with the keys that may be tried", () => {
    expect(ask).toMatchObject({
      effect: { kind: "lease", provider: "alpha", credentials: ["ALPHA_KEY"] },
      again: T0 + 10 * SECOND,
    });
  });

  it("is on record before it is asked for, and is the same one when it is asked for again", () => {
    expect(ask.task).toMatchObject({ stays: 1, places: [{ provider: "alpha", stay: 1, lease: null }] });
    expect(begin(ask.task, T0 + 10 * SECOND, [leased])).toMatchObject({ task: ask.task, effect: { kind: "lease" } });
  });

  it("is taken in the same wake, and tells how long things take there", () => {
    const queued = after(ask.task, { type: "leased", lease }, T0);
    const next = followUp(queued, step, T0, [leased]);
    expect(next?.effect).toMatchObject({
      kind: "submit",
      attempt: { credential: "ALPHA_KEY", latency: { medianMs: 100 * SECOND, quantiles }, overdueAt: T0 + 380 * SECOND },
    });
    expect(next?.task.places, "and held").toEqual([{ provider: "alpha", stay: 1, lease }]);
  });

  it("that is refused lets another provider have its turn at once, or waits", () => {
    const wait = { provider: "alpha", until: T0 + MINUTE, position: 7 };
    const queued = after(ask.task, { type: "lease_refused", wait }, T0);
    const beta = aRoute({ provider: "beta", priority: 2, leased: true });
    const next = followUp(queued, step, T0, [leased, beta]);
    expect(next?.effect).toMatchObject({ kind: "lease", provider: "beta" });
    expect(next?.task, "it goes on standing in line there").toMatchObject({
      places: [
        { provider: "alpha", stay: 1, lease: null },
        { provider: "beta", stay: 2 },
      ],
      left: [],
    });
    const lease = { provider: "beta", credential: "BETA_KEY", quantiles: null };
    const leaving = followUp(after(next?.task as Task, { type: "leased", lease }, T0), next?.effect as Effect, T0, [leased, beta]);
    expect(leaving, "until it goes elsewhere: before the submit, which may take long").toMatchObject({
      effect: { kind: "release", left: [{ provider: "alpha", stay: 1 }] },
      task: { status: "queued", places: [{ provider: "beta" }] },
    });
    for (const heard of [[1], []]) {
      const told = after(leaving?.task as Task, { type: "released", heard }, T0);
      expect(followUp(told, leaving?.effect as Effect, T0, [leased, beta])?.effect, "heard or not").toMatchObject({
        kind: "submit",
        attempt: { provider: "beta" },
      });
    }
    const cancelled = after(next?.task as Task, EVENTS.cancel, T0);
    expect(cancelled.left, "or ends").toMatchObject([{ provider: "alpha" }, { provider: "beta" }]);
    const apart = after(ask.task, { type: "lease_refused", wait: { ...wait, position: null } }, T0);
    expect(apart.places, "where there is no line, nothing is to be left").toEqual([]);
    expect(followUp(queued, step, T0, [leased])).toMatchObject({ effect: { kind: "none" }, again: T0 + MINUTE });
  });

  it("is not waited for longer than what is begun there could be done in time", () => {
    const until = DEADLINE - MINUTE;
    const wait = { provider: "alpha", until, position: 7, neededMs: 4 * MINUTE };
    const queued = after(ask.task, { type: "lease_refused", wait }, T0);
    expect(begin(queued, T0, [leased])).toMatchObject({ effect: { kind: "none" }, again: DEADLINE - 4 * MINUTE });
    expect(begin(queued, DEADLINE - 4 * MINUTE - 1, [leased]).effect.kind).toBe("none");
    const ended = begin(queued, DEADLINE - 4 * MINUTE, [leased]);
    expectFailing(ended.task, "queue_timeout");
    expect(ended.effect.kind, "and its hold is released").toBe("settle");
    expect(orphansOf(ended.task as TaskOf<"settling">)).toEqual([]);
  });

  it("that comes too late for one provider is waited for at a faster one", () => {
    const slow = { provider: "alpha", until: T0 + MINUTE, position: 7, neededMs: 10 * MINUTE };
    const fast = { provider: "beta", until: DEADLINE - 3 * MINUTE, position: 7, neededMs: 2 * MINUTE };
    const both = [leased, aRoute({ provider: "beta", leased: true })];
    const queued = aTask({ waits: [slow, fast] });
    expect(begin(queued, DEADLINE - 11 * MINUTE, both).effect).toMatchObject({ kind: "lease", provider: "alpha" });
    expect(begin(queued, DEADLINE - 10 * MINUTE, both)).toMatchObject({ effect: { kind: "none" }, again: fast.until });
    expect(begin(queued, fast.until, both).effect).toMatchObject({ kind: "lease", provider: "beta" });
    expectFailing(begin(queued, DEADLINE - 2 * MINUTE, both).task, "queue_timeout");
  });

  it("says nothing against a provider whose video was made and could not be copied", () => {
    const attempts = [anAttempt({ latency: { medianMs: 30 * SECOND, quantiles: null } })];
    const timeline = [
      { at: T0, status: "queued" as const },
      { at: T0 + MINUTE, status: "storing" as const },
    ];
    const storing = aTask({ status: "storing", attempts, places: [aPlace()], timeline });
    const ended = begin(storing, DEADLINE + 8 * MINUTE, ROUTES).task;
    expectFailing(ended, "timeout");
    expect(ended.left).toMatchObject([{ reason: "queue_timeout", durationMs: expect.any(Number) }]);
    expect(ended.left[0]?.durationMs).toBeLessThanOrEqual(MINUTE);
  });

  it("that is had is not used when it is too late", () => {
    const queued = after(ask.task, { type: "leased", lease }, T0);
    expect(begin(queued, DEADLINE - 190 * SECOND - 1, [leased]).effect.kind).toBe("submit");
    const ended = begin(queued, DEADLINE - 190 * SECOND, [leased]);
    expectFailing(ended.task, "queue_timeout");
    expect(ended.task.left).toMatchObject([{ provider: "alpha", reason: "cancelled" }]);
  });

  it("is never refused into the past, so that there is no hot loop", () => {
    const queued = after(ask.task, { type: "lease_refused", wait: { provider: "alpha", until: 0, position: null } }, T0);
    expect(begin(queued, T0, [leased])).toMatchObject({ effect: { kind: "none" }, again: T0 + SECOND });
  });

  it("is sent the prompt as its tenant's, not as the first provider rewrote it, which the tenant reads as long as that one is at it", () => {
    const submitting = aTask({ status: "submitting", prompt: "a lake" });
    const running = after(submitting, { type: "submitted", operation: { job: "j2" }, prompt: "a rewritten lake" }, T0);
    expect(publicTask(running, null).prompt).toBe("a rewritten lake");
    const handed = after(running, { type: "provider_failed", by: "route", reason: "upstream_rejected" }, T0 + MINUTE);
    const next = begin(handed, T0 + MINUTE, [aRoute(), aRoute({ provider: "beta", priority: 2 })]);
    expect(next).toMatchObject({ effect: { kind: "submit", attempt: { provider: "beta" } }, task: { prompt: "a lake" } });
    expect(publicTask(next.task, null).prompt).toBe("a lake");
  });

  it("is not to blame for what no provider could make", () => {
    const running = aTask({ status: "running", places: [aPlace()] });
    const settling = after(running, { type: "provider_failed", by: "task", reason: "upstream_rejected" }, T0 + MINUTE);
    expectFailing(settling, "upstream_rejected");
    expect(settling.left).toMatchObject([{ reason: "invalid_request" }]);
    expect(outcomeOf("invalid_request")).toBe("good");
  });

  it("is tried after one without the model, which is not asked again; a key that met a 403 waits, and another of its keys may serve", () => {
    const submitting = aTask({ status: "submitting", places: [aPlace()] });
    const refusedBy = (by: "model" | "key") => {
      const queued = after(submitting, { type: "submit_refused", by, reason: "upstream_rejected" }, T0);
      return expectStatus(after(queued, { type: "released", heard: [1] }, T0), "queued");
    };
    const noModel = refusedBy("model");
    expect(after(submitting, { type: "submit_refused", by: "model", reason: "upstream_rejected" }, T0).left).toMatchObject([
      { reason: "model_unavailable" },
    ]);
    expect(begin(noModel, T0 + MINUTE, [aRoute(), aRoute({ provider: "beta", priority: 2 })]).effect).toMatchObject({
      kind: "submit",
      attempt: { provider: "beta" },
    });
    expectFailing(begin(noModel, T0 + MINUTE, ROUTES).task, "upstream_rejected");
    const forbidden = refusedBy("key");
    expect(after(submitting, { type: "submit_refused", by: "key", reason: "upstream_rejected" }, T0).left).toMatchObject([
      { reason: "forbidden" },
    ]);
    const twoKeys = [aRoute({ credentials: [...aRoute().credentials, "ALPHA_KEY_2"] })];
    expect(begin(forbidden, T0 + 2 * SECOND, twoKeys).effect).toMatchObject({ attempt: { credential: "ALPHA_KEY_2" } });
  });

  const places = [aPlace()];
  const told = { provider: "alpha", stay: 1, credential: "ALPHA_KEY", model: "alpha-veo3", retryAt: null };

  it("is left with what came of it", () => {
    const running = aTask({ status: "running", places });
    const storing = after(running, EVENTS.succeeded, T0 + 40 * SECOND);
    expect(storing.places).toEqual(places);
    const [done] = after(storing, EVENTS.stored, T0 + 50 * SECOND).left;
    const at = { leftAt: T0 + 50 * SECOND, tellAt: T0 + 50 * SECOND };
    expect(done).toEqual({ ...told, ...at, reason: null, durationMs: expect.any(Number) });
    expect(done?.durationMs).toBeLessThanOrEqual(40 * SECOND);
    const queued = after(running, { type: "provider_failed", by: "route", reason: "upstream_rejected" }, T0 + MINUTE);
    expect(queued).toMatchObject({ places: [], left: [{ ...told, reason: "upstream_rejected", durationMs: null }] });
    const submitting = aTask({ status: "submitting", places });
    expect(after(submitting, BUSY, T0).left, "it did not say for how long").toMatchObject([
      { reason: "rate_limited", retryAt: null },
    ]);
    const told30 = after(submitting, { ...BUSY, retryAfterMs: 30 * SECOND }, T0);
    expect(told30.left).toMatchObject([{ reason: "rate_limited", retryAt: T0 + 30 * SECOND }]);
    expect(after(submitting, REFUSED_BY_ROUTE, T0).left, "a clear no is healthy").toMatchObject([{ reason: null }]);
    expect(after(submitting, EVENTS.submit_unknown, T0).left).toMatchObject([{ reason: "upstream_ambiguous" }]);
    const unsent = after(submitting, EVENTS.submit_unsent, T0);
    expect(unsent.left, "it knows nothing of it").toMatchObject([{ reason: "cancelled", durationMs: null }]);
    expect(after(submitting, EVENTS.submitted, T0)).toMatchObject({ places, left: [] });
  });

  it("that we left too early says nothing of its provider; later, that it takes at least so long", () => {
    const attempts = [anAttempt({ latency: { medianMs: 100 * SECOND, quantiles }, overdueAt: T0 + 380 * SECOND })];
    const running = aTask({ status: "running", lastPoll: true, attempts, places });
    const left = (task: TaskOf<"running">, ms: number) =>
      after(task, { type: "still_running", retryAfterMs: null }, T0 + ms).left[0];
    expect(left(running, 190 * SECOND - 1)).toMatchObject({ reason: "queue_timeout", durationMs: null });
    expect(left(running, 190 * SECOND)).toMatchObject({ reason: "timeout", durationMs: 190 * SECOND });
    const unknown = { ...running, attempts: [anAttempt()] };
    expect(left(unknown, MINUTE), "where nothing is known").toMatchObject({ reason: "timeout", durationMs: null });
    const both = [...places, aPlace({ provider: "beta", stay: 2, lease: null })];
    const overdue = aTask({ status: "running", attempts, elsewhere: [], places: both });
    const given = after(overdue, { type: "leased", lease: { ...lease, provider: "beta" } }, T0 + 380 * SECOND);
    expect(given.left).toMatchObject([{ reason: "timeout", durationMs: 380 * SECOND }]);
  });

  it("is left unused by a task that is cancelled, or goes elsewhere, before its submit", () => {
    const queued = aTask({ places, stays: 1 });
    expect(after(queued, EVENTS.cancel, T0)).toMatchObject({ places: [], left: [{ provider: "alpha", reason: "cancelled" }] });
    const elsewhere = begin(aTask({ places: [aPlace({ provider: "beta" })], stays: 1 }), T0, [leased]);
    expect(elsewhere.task).toMatchObject({ places: [{ provider: "alpha", stay: 2 }], left: [{ provider: "beta", stay: 1 }] });
    expect(after(aTask(), EVENTS.cancel, T0).left, "there was none").toEqual([]);
  });

  it.each(["cancel", "abandon"] as const)("is given back by a task that %s ends while it asks for one", (type) => {
    const ended = expectStatus(after(ask.task, EVENTS[type], T0 + SECOND), "settling");
    expect(ended.left).toMatchObject([{ provider: "alpha", stay: 1, reason: "cancelled" }]);
    const late = after(ended, { type: "leased", lease }, T0 + 2 * SECOND);
    expect(late, "whatever the answer is").toBe(ended);
    expect(followUp(late, step, T0 + 2 * SECOND, [leased])?.effect).toEqual({ kind: "settle", task: ended });
  });

  describe("that nobody can be asked for", () => {
    const keys = ["KEY_1", "KEY_2", "KEY_3"];
    const several = aRoute({ leased: true, credentials: keys });
    const missed = { type: "lease_missed", provider: "alpha" } as const;

    it("is asked for again a little later, five times in a row, and then the task goes on without", () => {
      const waits: number[] = [];
      let begun = begin(aTask(), T0, [several]);
      let now = T0;
      while (begun.effect.kind === "lease" && waits.length < 20) {
        const task = after(begun.task, missed, now);
        waits.push(wakeAt(task, now) - now);
        expect(followUp(task, begun.effect, now, [several])?.effect.kind).toBe(waits.length < 5 ? undefined : "submit");
        now = wakeAt(task, now);
        begun = begin(task, now, [several]);
      }
      expect(waits.map((wait) => Math.round(wait / SECOND))).toEqual([1, 2, 4, 8, 0]);
      expect(begun.effect).toMatchObject({ kind: "submit", attempt: { latency: { quantiles: null }, overdueAt: null } });
      expect(begun.task.places, "which it may have all the same").toMatchObject([{ provider: "alpha", stay: 1, lease: null }]);
      expect(after(begun.task, BUSY, now).left).toMatchObject([{ stay: 1, reason: "rate_limited" }]);
    });

    it("is gone on without after one try where the deadline is near", () => {
      const late = begin(aTask(), DEADLINE - 2 * MINUTE, [several]);
      expect(late.effect.kind).toBe("lease");
      const task = after(late.task, missed, DEADLINE - 2 * MINUTE);
      expect(followUp(task, late.effect, DEADLINE - 2 * MINUTE, [several])?.effect.kind).toBe("submit");
    });

    it("is counted anew once there was an answer", () => {
      const first = after(after(ask.task, missed, T0), { type: "leased", lease }, T0 + SECOND);
      expect(first).toMatchObject({ leaseMisses: 0 });
      const wait = { provider: "alpha", until: T0 + MINUTE, position: 1 };
      expect(after(after(ask.task, missed, T0), { type: "lease_refused", wait }, T0)).toMatchObject({ leaseMisses: 0 });
    });

    it("keeps no other provider's places, holds and breakers from being asked", () => {
      const beta = aRoute({ provider: "beta", leased: true });
      const task = aTask({ stays: 1, places: [aPlace({ lease: null })], leaseMisses: 5 });
      expect(begin(task, T0, [beta]).effect, "what was asked for is given back first").toMatchObject({ kind: "lease" });
      const waits = [{ provider: "beta", until: T0, position: 5 }];
      const inLine = aTask({ stays: 1, places: [aPlace({ provider: "beta", lease: null })], waits, leaseMisses: 5 });
      expect(begin(inLine, T0, [beta]).effect).toMatchObject({ kind: "lease", provider: "beta" });
    });

    it("has tasks go on with any of the keys, not all with the first", () => {
      const used = Array.from({ length: 50 }, (_, index) => {
        const unanswered = { stays: 1, places: [aPlace({ lease: null })], leaseMisses: 5 };
        const { effect } = begin(aTask({ id: `veo3:1-${index}`, ...unanswered }), T0, [several]);
        return effect.kind === "submit" ? effect.attempt.credential : null;
      });
      expect(new Set(used)).toEqual(new Set(keys));
    });
  });

  describe("that was left", () => {
    const refused = after(aTask({ status: "submitting", places, stays: 1 }), BUSY, T0);
    const submitted: Effect = { kind: "submit", attempt: anAttempt(), task: aTask({ status: "submitting" }) };

    it("is told of in the same wake, before another is asked for", () => {
      const next = followUp(refused, submitted, T0, [leased]);
      expect(next).toMatchObject({ task: refused, effect: { kind: "release", left: refused.left }, again: null });
      const heard = after(refused, { type: "released", heard: [1] }, T0 + SECOND);
      expect(heard.left).toEqual([]);
      expect(begin(refused, T0 + MINUTE, [leased]).effect, "also after a crash").toMatchObject({ kind: "release" });
      const beta = aRoute({ provider: "beta", leased: true });
      const release = next?.effect as Effect;
      expect(followUp(heard, release, T0 + SECOND, [leased, beta])?.effect).toMatchObject({ kind: "lease", provider: "beta" });
      expect(followUp(heard, release, T0, [beta]), "no sooner than it may").toMatchObject({ effect: { kind: "none" } });
    });

    it("keeps no task from its next step, and is told again until its time is over", () => {
      let task = refused;
      const waits: number[] = [];
      let now = T0;
      for (let tries = 0; tries < 60 && task.left.length > 0; tries++) {
        task = after(task, { type: "released", heard: [] }, now) as TaskOf<"queued">;
        const tellAt = task.left[0]?.tellAt ?? 0;
        expect(begin(task, now, [leased]).effect.kind, "its next step").not.toBe("release");
        expect(wakeAt(task, now)).toBeLessThanOrEqual(tellAt);
        waits.push(tellAt - now);
        now = tellAt;
        if (now < placeEndsAt(task))
          expect(
            begin({ ...task, waits: [{ provider: "alpha", until: DEADLINE, position: 1 }] }, now, [leased]).effect,
          ).toMatchObject({ kind: "release" });
        else task = begin(task, now, []).task as TaskOf<"queued">;
      }
      expect(task.left).toEqual([]);
      expect(now).toBeLessThan(placeEndsAt(task) + 2 * MINUTE);
      expect(waits.slice(0, 3)).toEqual([2 * SECOND, 2 * SECOND, 2 * SECOND]);
      expect(Math.max(...waits)).toBe(MINUTE);
    });

    it("is told of with the end, which does not wait until it was heard", () => {
      const ended = after(aTask({ status: "running", places }), EVENTS.abandon, T0);
      const settle = begin(ended, T0, []).effect;
      expect(settle.kind).toBe("settle");
      expect(after(ended, { type: "settled", heard: [1] }, T0)).toMatchObject({ status: "failed", left: [] });
      const unheard = after(ended, EVENTS.settled, T0 + SECOND);
      expect(unheard).toMatchObject({ status: "failed", left: [{ stay: 1, tellAt: T0 + 3 * SECOND }] });
      expect(wakeAt(unheard, T0 + SECOND)).toBe(T0 + 3 * SECOND);
      expect(begin(unheard, T0 + 3 * SECOND, []).effect).toMatchObject({ kind: "release" });
      const heard = after(unheard, EVENTS.released, T0 + 4 * SECOND);
      expect(wakeAt(heard, T0 + 4 * SECOND)).toBe((heard as TaskOf<"failed">).expiresAt);
    });

    it("puts off no poll, and is told of beside it", () => {
      const left = after(refused, { type: "released", heard: [] }, T0).left;
      const running = aTask({ status: "running", left });
      const begun = begin(running, T0 + SECOND, [leased]);
      expect(begun.effect.kind).toBe("poll");
      expect(begun.again).toBe(left[0]?.tellAt);
      const now = T0 + 2 * SECOND;
      expect(followUp(running, begun.effect, now, [leased])?.effect.kind).toBe("release");
    });
  });
});

describe("a submit of unknown outcome to a provider that knows a repetition", () => {
  const routes = [aRoute({ resubmits: true })];
  const submitting = aTask({ status: "submitting", attempts: [anAttempt({ outcome: "open", repeatable: true })] });

  it("is repeatable as it was sent, whatever the settings say by now", () => {
    expect(begin(aTask(), T0, routes).effect).toMatchObject({ attempt: { repeatable: true } });
    expect(begin(aTask(), T0, ROUTES).effect).toMatchObject({ attempt: { repeatable: false } });
    const before = aTask({ status: "submitting", attempts: [anAttempt({ outcome: "open", repeatable: false })] });
    expectFailing(begin(before, T0 + MINUTE, routes).task, "upstream_ambiguous");
    expectFailing(begin(submitting, T0 + MINUTE, ROUTES).task, "upstream_ambiguous");
  });

  it("is repeated as the same attempt, ever more seldom, up to the deadline", () => {
    const unknown = after(submitting, { type: "submit_unknown", repeatable: true }, T0 + SECOND);
    expect(unknown).toBe(submitting);
    const begun = begin(unknown, T0 + MINUTE, routes);
    const next = T0 + MINUTE + 30 * SECOND;
    expect(begun).toEqual({
      task: { ...submitting, repeat: { notBefore: next } },
      effect: { kind: "submit", attempt: submitting.attempts[0], task: begun.task },
      again: next,
    });
    expect(begin(begun.task, next - 1, routes), "no sooner, whoever wakes it").toMatchObject({
      effect: { kind: "none" },
      again: next,
    });
    expect(begin(begun.task, next, routes).effect).toMatchObject({ kind: "submit", attempt: submitting.attempts[0] });
    expectFailing(begin(unknown, DEADLINE, routes).task, "upstream_ambiguous");
    expectFailing(begin(begun.task, DEADLINE, routes).task, "upstream_ambiguous");
  });

  const repeated = expectStatus(begin(submitting, T0 + MINUTE, routes).task, "submitting");

  it("is over with a yes", () => {
    const running = expectStatus(after(repeated, EVENTS.submitted, T0 + MINUTE), "running");
    expect(running).not.toHaveProperty("repeat");
    expect(running.attempts).toEqual([anAttempt({ repeatable: true })]);
  });

  it("is not over with a 'not now' to the repetition: it is repeated as the same one, when the provider says", () => {
    const again = repeated.repeat?.notBefore ?? 0;
    for (const reason of ["rate_limited", "unavailable", "unauthorized", "out_of_credit"] as const) {
      const soon = after(repeated, { ...BUSY, reason, retryAfterMs: SECOND }, T0 + MINUTE);
      expect(soon, "it is to come back later anyway").toBe(repeated);
      expect(after(repeated, { ...BUSY, reason }, T0 + MINUTE)).toBe(repeated);
    }
    expect(wakeAt(repeated, T0 + MINUTE)).toBe(again);
    const later = after(repeated, { ...BUSY, retryAfterMs: 2 * MINUTE }, T0 + MINUTE);
    expect(wakeAt(later, T0 + MINUTE)).toBe(T0 + 3 * MINUTE);
    const two = [...routes, aRoute({ provider: "beta" })];
    expect(begin(later, T0 + 3 * MINUTE - 1, two).effect.kind, "nobody else is asked meanwhile").toBe("none");
    expect(begin(later, T0 + 3 * MINUTE, two).effect).toMatchObject({ kind: "submit", attempt: submitting.attempts[0] });
    const late = after(repeated, { ...BUSY, retryAfterMs: 5 * MINUTE }, DEADLINE - MINUTE);
    expect(wakeAt(late, DEADLINE - MINUTE), "its last look is at the deadline").toBe(DEADLINE);
  });

  it("goes on when the repetition could not be sent", () => {
    expect(after(repeated, EVENTS.submit_unsent, T0 + MINUTE)).toBe(repeated);
  });

  it.each(["route", "task"] as const)("stays unknown after any other no to the repetition, by %s: nobody else is asked", (by) => {
    const refusal: TaskEvent = { type: "submit_refused", by, reason: "upstream_rejected" };
    const settling = expectFailing(after(repeated, refusal, T0 + MINUTE), "upstream_ambiguous");
    expect(settling.attempts).toEqual([anAttempt({ outcome: "unknown", repeatable: true })]);
    expect(lastOrphan(settling)).toEqual(settling.attempts[0]);
  });
});

describe("reference images for a wire that inlines them", () => {
  const inline = [aRoute({ images: "inline" })];
  const task = aTask({ generation: aGeneration({ images: ["https://example.com/a.png"] }) });

  it("are fetched before anybody is asked, once", () => {
    const begun = begin(task, T0, inline);
    expect(begun.effect).toEqual({ kind: "prepare", task });
    const prepared = after(task, EVENTS.prepared, T0 + SECOND);
    expect(followUp(prepared, begun.effect, T0 + SECOND, inline)?.effect.kind).toBe("submit");
    expect(begin(aTask(), T0, inline).effect.kind, "there are none to fetch").toBe("submit");
    expect(begin(task, T0, ROUTES).effect.kind, "a wire that takes URLs gets them as they are").toBe("submit");
  });

  it("of a type that nobody here takes fail the task as image_invalid, and nobody is asked", () => {
    const picky = [aRoute({ images: "inline", imageTypes: ["image/png"] })];
    const webp: TaskEvent = { type: "prepared", images: [{ bytes: 10, mimeType: "image/webp" }] };
    const begun = begin(task, T0, picky);
    const fetched = after(task, webp, T0 + SECOND);
    expect(followUp(fetched, begun.effect, T0 + SECOND, picky)?.effect.kind).toBe("settle");
    expectFailing(begin(fetched, T0 + SECOND, picky).task, "image_invalid");
  });

  it.each(["image_fetch_failed", "image_invalid"] as const)("fail the task as %s, with nothing owed", (reason) => {
    const settling = expectFailing(after(task, { type: "prepare_failed", reason }, T0), reason);
    expect(orphansOf(settling)).toEqual([]);
  });

  it("are tried three times, seconds apart, where their server is not to be had: then the task fails, and not at its deadline", () => {
    const missed = { type: "prepare_missed", by: "host" } as const;
    const first = after(task, missed, T0);
    expect(wakeAt(first, T0) - T0).toBeGreaterThan(SECOND);
    expect(begin(first, T0 + SECOND, inline).effect.kind).toBe("none");
    const second = after(first, missed, T0 + 3 * SECOND);
    expect(begin(second, wakeAt(second, T0 + 3 * SECOND), inline).effect.kind).toBe("prepare");
    expect(wakeAt(second, T0 + 3 * SECOND)).toBeLessThan(T0 + 10 * SECOND);
    expect(orphansOf(expectFailing(after(second, missed, T0 + 10 * SECOND), "image_fetch_failed"))).toEqual([]);
  });

  it("are waited for while it is our own store that fails, and at the deadline the fault is called ours", () => {
    let waiting: Task = task;
    for (let now = T0; now < DEADLINE; now = wakeAt(waiting, now)) {
      expect(begin(waiting, now, inline).effect.kind).toBe("prepare");
      waiting = after(waiting, { type: "prepare_missed", by: "store" }, now);
    }
    expectFailing(begin(waiting, DEADLINE, inline).task, "internal_error");
    const prepared = after(waiting, EVENTS.prepared, DEADLINE - SECOND);
    expectFailing(begin(prepared, DEADLINE, inline).task, "queue_timeout");
  });

  it("may have 14 MB together, whatever each may have: nobody is asked with more", () => {
    const together = (...sizes: number[]): TaskEvent => ({
      type: "prepared",
      images: sizes.map((size) => ({ bytes: size * 1024 * 1024, mimeType: "image/png" as const })),
    });
    expect(after(task, together(7, 5, 2), T0).status).toBe("queued");
    expectFailing(after(task, together(10, 4.1), T0), "image_invalid");
  });
});
