import { describe, expect, it } from "vitest";
import { seenTask } from "../../src/core/seen-task.ts";
import { transition } from "../../src/core/task-transition.ts";
import type { QueuedTask, Task } from "../../src/core/task.ts";
import { anAttempt, aTask, MINUTE, SECOND, T0 } from "../support/builders.ts";

const seen = (task: Task) => seenTask(task, null, T0).attempts.map(({ outcome }) => outcome);

it.each(["running", "storing", "settling"] as const)("the attempt of a %s task is under way", (status) => {
  const attempts = [anAttempt({ outcome: "busy" }), anAttempt({ number: 2 })];
  expect(seen(aTask({ status, attempts }))).toEqual(["refused", "under_way"]);
});

it("no attempt of an ended task is under way", () => {
  const attempts = [anAttempt({ outcome: "abandoned" }), anAttempt({ number: 2, provider: "beta" })];
  expect(seen(aTask({ status: "completed", attempts }))).toEqual(["failed", "completed"]);
  const failing = transition(
    aTask({ status: "running" }),
    { type: "provider_failed", by: "task", reason: "content_policy" },
    T0,
  ) as Task;
  expect(seen(failing)).toEqual(["failed"]);
  expect(seen(aTask({ status: "failed" })), "nor of one that an earlier release stored").toEqual(["failed"]);
});

describe("a queued task's estimate", () => {
  const queue = (given: Partial<QueuedTask>) => seenTask(aTask({ medianMs: MINUTE, ...given }), null, T0).queue;
  const wait = { provider: "alpha", until: T0 + 5 * SECOND, position: 3 };

  it("is what its model usually takes, as long as nobody keeps it waiting", () => {
    expect(queue({})).toEqual({ position: null, estimatedSeconds: 60 });
  });

  it("counts from its turn, with what the provider's last generations took", () => {
    expect(queue({ waits: [{ ...wait, startsAt: T0 + 20 * SECOND, usualMs: 400 * SECOND }] })).toEqual({
      position: 3,
      estimatedSeconds: 420,
    });
  });

  it("counts from when a provider may be asked again that is left alone, or has said when", () => {
    const down = { provider: "alpha", until: T0 + 5 * MINUTE, position: null, startsAt: null };
    expect(queue({ waits: [down] })).toEqual({ position: null, estimatedSeconds: 360 });
    const attempts = [anAttempt({ outcome: "busy", retryAt: T0 + 5 * MINUTE, latency: { medianMs: MINUTE, quantiles: null } })];
    expect(queue({ attempts })).toEqual({ position: null, estimatedSeconds: 360 });
  });

  it("is that of the provider where it is done first", () => {
    const slow = { ...wait, provider: "beta", startsAt: T0 + 10 * SECOND, usualMs: 10 * MINUTE };
    const quick = { ...wait, position: 5, startsAt: T0 + MINUTE, usualMs: MINUTE };
    expect(queue({ waits: [slow, quick] })).toEqual({ position: 3, estimatedSeconds: 120 });
  });
});
