// A hand-over: what the provider is given, and what an error means before it is called and after.
import { describe, expect, it } from "vitest";
import { RefusedError } from "../../src/core/upstream-errors.ts";
import type { Job, Provider } from "../../src/ports.ts";
import { submit, type AskingHands } from "../../src/service/ask-provider.ts";
import { aGeneration, anAttempt, aTask, TASK_ID } from "../support/builders.ts";

const attempt = anAttempt({ number: 61, outcome: "open", hinted: true });
const task = aTask({
  status: "submitting",
  attempts: [anAttempt({ number: 7, outcome: "busy" }), attempt],
  generation: aGeneration({ images: ["https://example.com/a.png"] }),
});
const FILE = { bytes: new Uint8Array(1), mimeType: "image/png" } as const;
const HANDS = { images: { read: async () => FILE }, callbackUrlOf: async (_: unknown, number: number) => `at/${number}` };

/** What comes of a hand-over, and the jobs that its provider was given. */
async function handOver(hands: object = {}, answer: () => Promise<never> = async () => ({ operation: 1, prompt: null }) as never) {
  const jobs: Job[] = [];
  const provider = {
    traits: { images: "inline", callback: "any", idempotentCreate: true },
    submit: async (job: Job) => (jobs.push(job), answer()),
  } as unknown as Provider;
  const all = { ...HANDS, timeoutsOf: () => ({ submitMs: 60_000 }), imageUrlOf: async () => null, ...hands };
  const { event } = await submit({ kind: "submit", attempt, task }, provider, all as unknown as AskingHands);
  return { event, jobs };
}

describe("a hand-over", () => {
  it("carries the number of its attempt, as reference and to be called back, however many are forgotten", async () => {
    const { event, jobs } = await handOver();
    expect(event).toEqual({ type: "submitted", operation: 1, prompt: null });
    expect(jobs).toMatchObject([{ attempt: 61, reference: `${TASK_ID}/61`, callbackUrl: "at/61", images: [{ file: FILE }] }]);
  });

  it("that fails on our side was not sent: only the provider's own silence leaves it unknown", async () => {
    const broken = async () => Promise.reject(new Error("get: We encountered an internal error. (10001)"));
    for (const hands of [{ images: { read: broken } }, { callbackUrlOf: broken }])
      expect(await handOver(hands)).toEqual({ event: { type: "submit_unsent" }, jobs: [] });
    const { event, jobs } = await handOver({}, broken);
    expect(event).toEqual({ type: "submit_unknown", repeatable: true });
    expect(jobs).toHaveLength(1);
  });

  it("of an image that is not there any more is none for this route", async () => {
    const refused = { type: "submit_refused", by: "route", reason: "upstream_rejected" };
    expect(await handOver({ images: { read: async () => null } })).toEqual({ event: refused, jobs: [] });
    const no = async () => Promise.reject(new RefusedError("route", "upstream_rejected"));
    expect(await handOver({}, no)).toMatchObject({ event: refused });
  });
});
