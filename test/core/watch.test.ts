import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Quantiles } from "../../src/core/latency.ts";
import { pollAt } from "../../src/core/task-schedule.ts";
import type { Task } from "../../src/core/task.ts";
import { lookAgainIn, markText, parseMark, progressOf, retryAfterSeconds } from "../../src/core/watch.ts";
import { aTask, anAttempt, aVideo, HOUR, MINUTE, SECOND, T0, TASK_STATUSES } from "../support/builders.ts";

const running = aTask({ status: "running" });
const moments = fc.integer({ min: -MINUTE, max: 3 * HOUR }).map((after) => T0 + after);
const live = fc.constantFrom(...TASK_STATUSES.filter((status) => status !== "completed" && status !== "failed"));

describe("lookAgainIn", () => {
  it("is quick the first time, for who has just created a task or comes to see its end", () => {
    for (const status of TASK_STATUSES) expect(lookAgainIn(aTask({ status }), T0 + MINUTE, true)).toBe(SECOND);
  });

  it("is 2 to 15 seconds after that, whatever the task does and the clock says", () => {
    fc.assert(
      fc.property(live, moments, (status, now) => {
        const wait = lookAgainIn(aTask({ status }), now, false);
        expect(wait).toBeGreaterThanOrEqual(2 * SECOND);
        expect(wait).toBeLessThanOrEqual(15 * SECOND);
      }),
    );
  });

  it("is just after the task's own look, where that is near", () => {
    const poll = pollAt(running, T0 + 30 * SECOND);
    for (const before of [10 * SECOND, 3 * SECOND, 1]) {
      const at = poll - before + lookAgainIn(running, poll - before, false);
      expect(at).toBe(Math.max(poll + 1_500, poll - before + 2 * SECOND));
    }
  });

  it("is as late as it may be while nothing is due", () => {
    expect(lookAgainIn(running, T0 + SECOND, false)).toBe(15 * SECOND);
    expect(lookAgainIn(aTask({ notBefore: T0 + MINUTE }), T0, false)).toBe(15 * SECOND);
  });

  it.each<Task>([
    aTask(),
    aTask({ status: "submitting" }),
    aTask({ status: "storing", timeline: [{ at: T0, status: "storing" }] }),
    aTask({ status: "settling", timeline: [{ at: T0, status: "settling" }] }),
  ])("grows with the time that a step takes: $status", (task) => {
    const waits = [0, 2, 10, 20, 60].map((seconds) => lookAgainIn(task, T0 + seconds * SECOND, false) / SECOND);
    expect(waits).toEqual([2, 2, 5, 10, 15]);
  });
});

describe("retryAfterSeconds", () => {
  it("is null once a task has ended", () => {
    expect(retryAfterSeconds(aTask({ status: "completed" }), T0)).toBeNull();
    expect(retryAfterSeconds(aTask({ status: "failed" }), T0)).toBeNull();
  });

  it("is 2 to 10 whole seconds until then", () => {
    fc.assert(
      fc.property(live, moments, (status, now) => {
        expect([2, 3, 4, 5, 6, 7, 8, 9, 10]).toContain(retryAfterSeconds(aTask({ status }), now));
      }),
    );
  });

  it("is short for a task that was just created, and long in the middle of a generation", () => {
    expect(retryAfterSeconds(aTask(), T0)).toBe(2);
    expect(retryAfterSeconds(running, T0 + 10 * SECOND)).toBe(10);
  });
});

describe("progressOf", () => {
  it("is nothing in the queue, and counts the wait there to both its times", () => {
    expect(progressOf(aTask(), T0 + 30 * SECOND)).toEqual({ percent: 0, elapsedSeconds: 30, estimatedSeconds: 90 });
    expect(progressOf(aTask({ notBefore: T0 + MINUTE }), T0)).toEqual({ percent: 0, elapsedSeconds: 0, estimatedSeconds: 120 });
  });

  it.each([
    [0, 0, 60],
    [30, 35, 60],
    [60, 70, 60],
    [90, 82, 120],
    [120, 95, 120],
    [240, 96, 240],
    [1_800, 96, 1_800],
  ])("after %i seconds of a generation that usually takes 60 is %i, of an estimated %i", (seconds, percent, estimated) => {
    const progress = progressOf(running, T0 + seconds * SECOND);
    expect(progress).toEqual({ percent, elapsedSeconds: seconds, estimatedSeconds: estimated });
  });

  it("measures against the time within which nine in ten were done, where that is known", () => {
    const quantiles: Quantiles = Array.from({ length: 19 }, (_, index) => (index < 17 ? MINUTE : 5 * MINUTE));
    const task = aTask({ status: "running", attempts: [anAttempt({ latency: { medianMs: MINUTE, quantiles } })] });
    expect(progressOf(task, T0 + 3 * MINUTE)).toEqual({ percent: 82, elapsedSeconds: 180, estimatedSeconds: 300 });
  });

  it("counts from the attempt that is under way", () => {
    const task = aTask({ status: "running", attempts: [anAttempt(), anAttempt({ startedAt: T0 + 10 * MINUTE })] });
    expect(progressOf(task, T0 + 10.5 * MINUTE)).toEqual({ percent: 35, elapsedSeconds: 630, estimatedSeconds: 660 });
  });

  it("is nearly done while the video is copied, however early", () => {
    const at = T0 + SECOND;
    expect(progressOf(aTask({ status: "storing" }), at).percent).toBe(97);
    expect(progressOf(aTask({ status: "settling", outcome: { kind: "completed", video: aVideo() } }), at).percent).toBe(99);
  });

  it("never goes back while a generation runs, and never reaches the end", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: HOUR }), moments, moments, (medianMs, one, other) => {
        const task = aTask({ status: "running", attempts: [anAttempt({ latency: { medianMs, quantiles: null } })] });
        const [early, late] = [one, other].sort((a, b) => a - b).map((now) => progressOf(task, now));
        expect(late?.percent).toBeGreaterThanOrEqual(early?.percent ?? 0);
        expect(late?.percent).toBeLessThanOrEqual(97);
        expect(early?.percent).toBeGreaterThanOrEqual(0);
        expect(late?.estimatedSeconds).toBeGreaterThanOrEqual(late?.elapsedSeconds ?? 0);
        for (const value of Object.values(late ?? {})) expect(Number.isInteger(value)).toBe(true);
      }),
    );
  });
});

describe("a mark", () => {
  it.each(["pending", "processing", "completed", "failed"] as const)("of %s is read as it was written", (status) => {
    for (const percent of [0, 7, 99]) expect(parseMark(markText({ status, percent }))).toEqual({ status, percent });
  });

  it.each([
    null,
    "",
    "17",
    "processing",
    "processing.",
    "processing.100",
    "processing.-1",
    "processing.1e1",
    "done.3",
    " processing.3",
    "processing.3\n",
  ])("is not read out of %j", (text) => {
    expect(parseMark(text)).toBeNull();
  });
});
