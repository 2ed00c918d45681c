// The words that providers have for how a job is doing, in ours. A word that no list has means running: a server with a new one is at
// work, and the deadline decides.
import type { PollResult } from "../ports.ts";

/** `cancelled`: over there, by whomever. `expired`: the provider took too long. */
export type JobState = "running" | "succeeded" | "failed" | "cancelled" | "expired";

const SUCCEEDED = /^(completed|success|successful|succeeded|done|ok|video_upsampling_completed)$/;
const FAILED =
  /^(failed|failure|error|video_generation_failed|video_upsampling_failed|incomplete|budget_exceeded|requires_action)$/;
const CANCELLED = /^(cancell?ed|aborted)$/;
const EXPIRED = /^(expired|timed_out|timeout)$/;

export function foldStatus(status: string): JobState {
  const word = statusWord(status);
  if (SUCCEEDED.test(word)) return "succeeded";
  if (FAILED.test(word)) return "failed";
  if (CANCELLED.test(word)) return "cancelled";
  return EXPIRED.test(word) ? "expired" : "running";
}

/** As words are compared. */
export function statusWord(status: string): string {
  return status
    .trim()
    .toLowerCase()
    .replace(/[\s-]+/g, "_");
}

/** A job that ended without a video. `failure`: what its provider's words make of it, where it says that it failed. */
export function endedBadly(state: Exclude<JobState, "running" | "succeeded">, failure: () => PollResult): PollResult {
  switch (state) {
    case "failed":
      return failure();
    // Nobody else begins what was stopped there.
    case "cancelled":
      return { status: "failed", by: "task", reason: "cancelled" };
    case "expired":
      return { status: "failed", by: "route", reason: "timeout" };
  }
}
