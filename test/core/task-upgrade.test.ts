import { expect, it } from "vitest";
import { upgraded } from "../../src/core/task-upgrade.ts";
import { TASK_SCHEMA, type Task } from "../../src/core/task.ts";
import { anAttempt, aTask, TASK_STATUSES } from "../support/builders.ts";

const NEW = ["number", "repeat", "elsewhere", "stays", "places", "left", "hintAt", "hintsFrom", "leaseMisses", "imageMisses"];

/** As the release before attempts had numbers stored it. */
function unnumbered(task: Task): Task {
  const older: object = JSON.parse(JSON.stringify(task, (key, value: unknown) => (NEW.includes(key) ? undefined : value)));
  return { ...older, schema: 2 } as unknown as Task;
}

/** As the release before places had numbers stored it. */
function stored(task: Task, more: object = {}): Task {
  const { stays: _, places: _1, left: _2, ...older } = task;
  return { ...older, ...more, schema: TASK_SCHEMA - 1 } as unknown as Task;
}

it.each(TASK_STATUSES)("numbers the attempts of a stored task by their place, as its provider was told: %s", (status) => {
  const task = aTask({ status, attempts: [anAttempt({ outcome: "busy" }), anAttempt({ number: 2, provider: "beta" })] });
  const { places: _, ...same } = upgraded(unnumbered(task));
  expect({ ...same, places: [] }).toEqual(task);
});

it.each(["submitting", "running", "storing"] as const)(
  "has a task that was %s give back the place that it was had with",
  (status) => {
    const quantiles = Array.from({ length: 19 }, (_, index) => index * 1_000);
    const task = aTask({ status, attempts: [anAttempt({ latency: { medianMs: 9_000, quantiles } })] });
    const lease = { provider: "alpha", credential: "ALPHA_KEY", quantiles };
    expect(upgraded(stored(task)).places).toEqual([{ provider: "alpha", stay: 0, lease }]);
  },
);

it("keeps the place that a queued task had, and owes none for one that had none, or has ended", () => {
  const lease = { provider: "alpha", credential: "ALPHA_KEY", quantiles: null };
  const queued = upgraded(stored(aTask(), { lease }));
  expect(queued).toEqual(aTask({ places: [{ provider: "alpha", stay: 0, lease }] }));
  expect(upgraded(stored(aTask(), { lease: null }))).toEqual(aTask());
  for (const status of ["settling", "completed", "failed"] as const)
    expect(upgraded(stored(aTask({ status })))).toEqual(aTask({ status }));
});

it("leaves a task of this release, and of a newer one, as it is", () => {
  for (const schema of [TASK_SCHEMA, TASK_SCHEMA + 1]) {
    const task = { ...aTask(), schema } as Task;
    expect(upgraded(task)).toBe(task);
  }
});
