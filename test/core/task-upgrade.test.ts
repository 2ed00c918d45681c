import { expect, it } from "vitest";
import { upgraded } from "../../src/core/task-upgrade.ts";
import { TASK_SCHEMA, type Task } from "../../src/core/task.ts";
import { anAttempt, aTask, TASK_STATUSES } from "../support/builders.ts";

const NEW = ["number", "repeat", "elsewhere"];

/** As the release before attempts had numbers stored it. */
function unnumbered(task: Task): Task {
  const older: object = JSON.parse(JSON.stringify(task, (key, value: unknown) => (NEW.includes(key) ? undefined : value)));
  return { ...older, schema: 2 } as unknown as Task;
}

it.each(TASK_STATUSES)("numbers the attempts of a stored task by their place, as its provider was told: %s", (status) => {
  const task = aTask({ status, attempts: [anAttempt({ outcome: "busy" }), anAttempt({ number: 2, provider: "beta" })] });
  expect(upgraded(unnumbered(task))).toEqual(task);
});

it("leaves a task of this release, and of a newer one, as it is", () => {
  for (const schema of [TASK_SCHEMA, TASK_SCHEMA + 1]) {
    const task = { ...aTask(), schema } as Task;
    expect(upgraded(task)).toBe(task);
  }
});
