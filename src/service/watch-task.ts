// One task as a stream of events: each status once, its progress as it grows, a heartbeat where both are silent; over with its end.
import type { Refusal } from "../core/errors.ts";
import type { PublicTask } from "../core/public-task.ts";
import { ok, type Result } from "../core/result.ts";
import type { TaskOwner } from "../core/task-id.ts";
import { isTerminal } from "../core/task.ts";
import { lookAgainIn, markText, parseMark, progressOf, type Mark, type Progress } from "../core/watch.ts";
import { readVideo, type VideoSight } from "./read-video.ts";
import { Stream, type StreamEvent } from "./stream.ts";
import type { WatchDeps, Watcher } from "./watch.ts";

export type TaskEvent =
  | StreamEvent
  | { readonly type: "status"; readonly mark: string; readonly video: PublicTask }
  | ({ readonly type: "progress"; readonly mark: string; readonly id: string } & Progress);

/** Progress is made of time, so it may be told between two looks. */
const TICK_MS = 3_000;

/** The first look is taken before the stream begins, so that a no is an answer and not a stream. */
export async function openTask(
  deps: WatchDeps,
  owner: TaskOwner,
  id: string,
  watcher: Watcher,
): Promise<Result<AsyncGenerator<TaskEvent> | null, Refusal>> {
  const first = await readVideo(deps, owner, id, watcher.base);
  if (!first.ok) return first;
  const known = parseMark(watcher.lastEventId);
  if (isTerminal(first.value.task) && known?.status === first.value.video.status) return ok(null);
  return ok(taskEvents(deps, owner, first.value, known, watcher));
}

async function* taskEvents(
  deps: WatchDeps,
  owner: TaskOwner,
  first: VideoSight,
  known: Mark | null,
  watcher: Watcher,
): AsyncGenerator<TaskEvent> {
  const stream = new Stream(deps, watcher);
  let { task, video } = first;
  let told = known?.status ?? null;
  let percent = known?.percent ?? -1;
  for (let isFirst = true; ; isFirst = false) {
    if (video.status !== told) {
      told = video.status;
      yield stream.say({ type: "status", mark: markText({ status: told, percent: Math.max(percent, 0) }), video });
    }
    if (isTerminal(task)) return;

    for (let left = lookAgainIn(task, deps.clock(), isFirst); left > 0; left -= TICK_MS) {
      const progress = progressOf(task, deps.clock());
      if (progress.percent > percent) {
        percent = progress.percent;
        yield stream.say({ type: "progress", mark: markText({ status: told, percent }), id: task.id, ...progress });
      }
      if (stream.isSilent) yield stream.say({ type: "heartbeat" });
      if (!(await stream.goesOn(Math.min(left, TICK_MS)))) return;
    }

    // Nobody answers: the next look may be luckier.
    const read = await readVideo(deps, owner, task.id, watcher.base).catch(() => null);
    if (read?.ok === false) return; // deleted
    if (read !== null) ({ task, video } = read.value);
  }
}
