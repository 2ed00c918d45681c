// The seed's query body: what a query answers, a stream sends and a webhook carries are one and the same.
import type { PublicTask } from "../core/public-task.ts";

export interface QueryBody {
  readonly id: string;
  readonly status: PublicTask["status"];
  readonly video_url: string | null;
  readonly enhanced_prompt: string;
  /** Unix seconds. */
  readonly status_update_time: number;
  /** On a failed task only. */
  readonly error?: { readonly code: string; readonly message: string };
}

export function queryBody(task: PublicTask): QueryBody {
  return {
    id: task.id,
    status: task.status,
    video_url: task.videoUrl,
    enhanced_prompt: task.prompt,
    status_update_time: task.statusChangedAt,
    ...(task.error !== null && { error: task.error }),
  };
}
