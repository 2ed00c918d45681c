// What a step leaves in the log, and what an operator is told at once.
import { describe, expect, it } from "vitest";
import { taskAlert, taskLog } from "../../src/service/task-log.ts";
import { anAttempt, aTask } from "../support/builders.ts";

describe("a step's line", () => {
  const had = [anAttempt({ provider: "alpha" })];

  it("names the provider that is asked for a place, also before there is any attempt", () => {
    const ask = { kind: "lease", provider: "beta", model: "m", credentials: ["BETA_KEY"] } as const;
    for (const attempts of [[], had]) {
      const task = aTask({ attempts });
      const line = taskLog(task, { ...ask, task }, { type: "lease_missed", provider: "beta" }, "no place", 5);
      expect(line).toMatchObject({
        event: "task_step",
        step: "lease",
        outcome: "lease_missed",
        note: "no place",
        provider: "beta",
      });
    }
  });

  it("names the provider that is handed the task", () => {
    const attempt = anAttempt({ provider: "beta" });
    const task = aTask({ status: "submitting", attempts: [...had, attempt] });
    const line = taskLog(task, { kind: "submit", attempt, task }, { type: "submit_unsent" }, undefined, 5);
    expect(line).toMatchObject({ step: "submit", provider: "beta" });
  });

  it.each([
    [had, "alpha"],
    [[], null],
  ])("of a step that asks none names whoever had the task last: %#", (attempts, provider) => {
    const task = aTask({ attempts });
    expect(taskLog(task, { kind: "announce", news: [], task }, { type: "try_again" }, undefined, 5)).toMatchObject({ provider });
  });
});

describe("the alert of a provider's credentials", () => {
  it.each([
    ["unauthorized", "ALPHA_KEY_2", "ALPHA_KEY_2"],
    ["out_of_credit", "ALPHA_KEY", "ALPHA_KEY"],
    ["forbidden", "ALPHA_KEY", "ALPHA_KEY"],
    ["unauthorized", "", null],
  ])("on %s names the secret that was used, %j", (note, credential, told) => {
    const task = aTask({
      status: "running",
      attempts: [anAttempt({ credential: "FIRST" }), anAttempt({ provider: "alpha", credential })],
    });
    const expected = { task: task.id, tenant: task.tenant, mode: task.mode, provider: "alpha", why: note, credential: told };
    expect(taskAlert([task, task, task], note)).toEqual({ kind: "provider_credentials", entry: expected });
  });
});
