import { expect, it } from "vitest";
import { seenTask } from "../../src/core/seen-task.ts";
import { transition } from "../../src/core/task-transition.ts";
import type { Task } from "../../src/core/task.ts";
import { anAttempt, aTask, T0 } from "../support/builders.ts";

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
