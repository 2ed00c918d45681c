// What becomes of a running task whose tenant wants it stopped, as its provider's next words tell.
import { expect, it } from "vitest";
import { transition, type TaskEvent } from "../../src/core/task-transition.ts";
import { aTask, SECOND, T0 } from "../support/builders.ts";

/** Each is a provider's fault, for which another provider would be tried without the wish. */
const FAULTS: readonly TaskEvent[] = [
  { type: "provider_failed", by: "route", reason: "upstream_rejected" },
  { type: "spoiled", reason: "upstream_invalid_result" },
];

it.each(["asked", "passed_on"] as const)("is not begun anew by anybody once it is %s", (cancel) => {
  const task = aTask({ status: "running", cancel });
  for (const event of FAULTS) {
    const ended = transition(task, event, T0 + SECOND);
    expect(ended).toMatchObject({ status: "settling", outcome: { kind: "failed", reason: "cancelled" } });
  }
});

it("is cancelled where the provider has forgotten the job that it was to stop", () => {
  const event = { type: "poll_missing" } as const;
  const stopped = transition(aTask({ status: "running", cancel: "passed_on" }), event, T0 + SECOND);
  expect(stopped).toMatchObject({ status: "settling", outcome: { reason: "cancelled" } });
  // Before it has heard of it, that says nothing yet.
  const asked = aTask({ status: "running", cancel: "asked" });
  expect(transition(asked, event, T0 + SECOND)).toBe(asked);
});

it("completes where the provider was faster", () => {
  for (const cancel of ["asked", "passed_on"] as const) {
    const task = aTask({ status: "running", cancel });
    expect(transition(task, { type: "succeeded", source: { url: "s1" } }, T0 + SECOND)).toMatchObject({ status: "storing" });
  }
});
