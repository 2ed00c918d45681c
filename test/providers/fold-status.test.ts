import { expect, it } from "vitest";
import { endedBadly, foldStatus } from "../../src/providers/fold-status.ts";

it.each([
  [["pending", "queued", "IN_QUEUE", "submitted", "NOT_START", "starting", "created"], "running"],
  [["in_progress", "processing", "running", "generating", "image_downloading", "video_generation_completed"], "running"],
  [["a word that nobody knows", "", "requires_continuation"], "running"],
  [["completed", "COMPLETED", "success", "succeeded", "done", "Video Upsampling-Completed"], "succeeded"],
  [["failed", "failure", "error", "video_generation_failed", "incomplete", "budget_exceeded", "requires_action"], "failed"],
  [["canceled", "cancelled", " ABORTED "], "cancelled"],
  [["expired"], "expired"],
] as const)("%j: %s", (words, state) => {
  for (const word of words) expect(foldStatus(word), word).toBe(state);
});

it("takes what was cancelled over there for the task's end, and what took too long there for the provider's fault", () => {
  const failure = () => ({ status: "failed", by: "route", reason: "upstream_rejected" }) as const;
  expect(endedBadly("cancelled", failure)).toEqual({ status: "failed", by: "task", reason: "cancelled" });
  expect(endedBadly("expired", failure)).toEqual({ status: "failed", by: "route", reason: "timeout" });
  expect(endedBadly("failed", failure)).toEqual(failure());
});
