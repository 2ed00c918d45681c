// A task as its tenant may see it, before a dialect gives it names. No provider, route or attempt gets past here.
import { describeFailure, type FailureCode } from "./errors.ts";
import type { Task } from "./task.ts";

export interface PublicTask {
  readonly id: string;
  readonly model: string;
  readonly status: "pending" | "processing" | "completed" | "failed";
  /** Unix seconds; never goes back. */
  readonly statusChangedAt: number;
  /** The prompt as it was sent to the provider. */
  readonly prompt: string;
  /** A fresh signed link; null but on a completed task. */
  readonly videoUrl: string | null;
  readonly error: { readonly code: FailureCode; readonly message: string } | null;
}

export function publicTask(task: Task, videoUrl: string | null): PublicTask {
  return {
    id: task.id,
    model: task.generation.model,
    status: publicStatus(task),
    statusChangedAt: Math.floor(task.since / 1000),
    prompt: task.prompt,
    videoUrl,
    error: task.status === "failed" ? { code: task.reason, message: describeFailure(task.reason) } : null,
  };
}

function publicStatus(task: Task): PublicTask["status"] {
  switch (task.status) {
    case "queued":
    case "submitting":
      return "pending";
    case "running":
    case "storing":
    case "settling": // The end is told when the money has followed it, not before.
      return "processing";
    case "completed":
    case "failed":
      return task.status;
  }
}
