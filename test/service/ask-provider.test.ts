// How long a provider may be silent, and what that means for a task.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Provider } from "../../src/ports.ts";
import { cancel, poll, submit, type AskingHands } from "../../src/service/ask-provider.ts";
import { anAttempt, aTask } from "../support/builders.ts";

/** Each twice as long as it is unless the operator says otherwise. */
const TIMEOUTS = { submitMs: 120_000, pollMs: 60_000 };

let given: AbortSignal | undefined;
let named: string[];
const silent = async (_: unknown, signal: AbortSignal): Promise<never> => {
  given = signal;
  return new Promise(() => undefined);
};
const provider: Provider = {
  traits: { images: "url", callback: false, idempotentCreate: false, retentionMs: null },
  submit: silent,
  poll: silent,
  cancel: silent,
  open: async () => Promise.reject(new Error("nothing is fetched here")),
};
const hands = { timeoutsOf: (name: string) => (named.push(name), TIMEOUTS) } as unknown as AskingHands;

beforeEach(() => {
  given = undefined;
  named = [];
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => void vi.useRealTimers());

const attempt = anAttempt({ outcome: "open" });
const submitting = aTask({ status: "submitting", attempts: [attempt] });
const running = aTask({ status: "running" });

describe("a provider that is silent", () => {
  it.each([
    ["submit", 120_000, async () => submit({ kind: "submit", attempt, task: submitting }, provider, hands), "submit_unknown"],
    ["poll", 60_000, async () => poll({ kind: "poll", provider: "alpha", task: running }, provider, hands), "try_again"],
    [
      "cancel",
      60_000,
      async () => cancel({ kind: "cancel", provider: "alpha", task: running }, provider, hands),
      "cancel_answered",
    ],
  ])("is given its own time for a %s: %i ms", async (_, ms, ask, type) => {
    const asked = ask();
    await vi.advanceTimersByTimeAsync(ms - 1);
    expect(given?.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await asked).toMatchObject({ event: { type }, note: "TimeoutError" });
    expect(given?.aborted).toBe(true);
    expect(named).toEqual(["alpha"]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
