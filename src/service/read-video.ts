// A task as its tenant sees it now, beside the task itself, by which a watcher knows when to look again.
import type { Refusal } from "../core/errors.ts";
import { ok, type Result } from "../core/result.ts";
import { seenTask, type SeenTask } from "../core/seen-task.ts";
import type { Task } from "../core/task.ts";
import type { TaskOwner } from "../core/task-id.ts";
import type { LinkSigner } from "../ports.ts";
import { findTask, type FindDeps } from "./find-task.ts";

export interface ReadDeps extends FindDeps {
  readonly links: LinkSigner;
}

export interface VideoSight {
  readonly task: Task;
  readonly video: SeenTask;
}

/** One object call, none for an id that is not the owner's. `base`: the gateway's own origin, as its links are to have it. */
export async function readVideo(deps: ReadDeps, owner: TaskOwner, id: string, base: string): Promise<Result<VideoSight, Refusal>> {
  const found = await findTask(deps, owner, id);
  if (!found.ok) return found;
  const now = deps.clock();
  const video = seenTask(found.value, null, now);
  const videoUrl = video.status === "completed" ? await deps.links.sign(video, base, now) : null;
  return ok({ task: found.value, video: { ...video, videoUrl } });
}
