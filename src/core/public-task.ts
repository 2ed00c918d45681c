// A task as its tenant may see it, before a dialect gives it names. No provider, route or attempt gets past here.
import { describeFailure, type FailureCode } from "./errors.ts";
import type { AspectRatio } from "./models.ts";
import { isTerminal, type Metadata, type StoredVideo, type Task } from "./task.ts";

export interface PublicTask {
  readonly id: string;
  readonly model: string;
  /** Unix seconds. */
  readonly createdAt: number;
  readonly metadata: Metadata;
  readonly aspectRatio: AspectRatio | null;
  readonly upsample: boolean;
  /** Held for it, and charged once it is completed. */
  readonly credits: number;
  readonly status: "pending" | "processing" | "completed" | "failed";
  /** Unix seconds; never goes back. */
  readonly statusChangedAt: number;
  /** The prompt as it was sent to the provider, or as the provider says that it used it. */
  readonly prompt: string;
  /** A fresh signed link; null but on a completed task. */
  readonly videoUrl: string | null;
  /** What its links carry; 0 but on a completed task whose links were revoked. */
  readonly linkRevision: number;
  /** What was made; null but on a completed task. */
  readonly video: StoredVideo | null;
  /** Unix seconds: until when an ended task is kept; null while it has not ended. */
  readonly expiresAt: number | null;
  readonly error: { readonly code: FailureCode; readonly message: string } | null;
}

export function publicTask(task: Task, videoUrl: string | null): PublicTask {
  return {
    id: task.id,
    model: task.generation.model,
    createdAt: Math.floor(task.createdAt / 1000),
    metadata: task.metadata,
    aspectRatio: task.generation.aspectRatio,
    upsample: task.generation.upsample,
    credits: task.credits,
    status: publicStatus(task),
    statusChangedAt: Math.floor(task.since / 1000),
    prompt: task.attempts.at(-1)?.rewritten ?? task.prompt,
    videoUrl,
    linkRevision: task.status === "completed" ? task.linkRevision : 0,
    video: task.status === "completed" ? task.video : null,
    expiresAt: isTerminal(task) ? Math.floor(task.expiresAt / 1000) : null,
    error: task.status === "failed" ? { code: task.reason, message: describeFailure(task.reason) } : null,
  };
}

export function publicStatus(task: Task): PublicTask["status"] {
  switch (task.status) {
    case "queued":
    case "submitting": // What a provider worked on once never goes back, whoever works on it next.
      return task.attempts.some(({ outcome }) => outcome === "failed" || outcome === "abandoned") ? "processing" : "pending";
    case "running":
    case "storing":
    case "settling": // The end is told when the money has followed it, not before.
      return "processing";
    case "completed":
    case "failed":
      return task.status;
  }
}
