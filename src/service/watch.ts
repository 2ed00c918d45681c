// Watching tasks: one look, a wait for the end, or a stream. All of them wait here, in the Worker, and look at the task, or at the
// tenant's feed, on a schedule that its own next step sets.
import type { Refusal } from "../core/errors.ts";
import { ok, type Result } from "../core/result.ts";
import type { SeenTask } from "../core/seen-task.ts";
import type { TaskOwner } from "../core/task-id.ts";
import { isTerminal } from "../core/task.ts";
import { lookAgainIn } from "../core/watch.ts";
import type { EventsOf } from "../ports.ts";
import { readVideo, type ReadDeps } from "./read-video.ts";
import { openFeed, type FeedEvent } from "./watch-feed.ts";
import { openTask, type TaskEvent } from "./watch-task.ts";
import { Vigil, type VigilDeps } from "./vigil.ts";

export interface WatchDeps extends ReadDeps, VigilDeps {
  readonly eventsOf: EventsOf;
}

export interface Patience {
  /** 0: one look. */
  readonly seconds: number;
  /** What is worth an answer before the time is up. The end always is. */
  readonly isNews: (video: SeenTask) => Promise<boolean>;
  readonly signal: AbortSignal;
}

/** Who holds a stream open. */
export interface Watcher {
  /** The last event that it has; null: it comes for the first time, or brings nothing of ours. */
  readonly lastEventId: string | null;
  /** The gateway's own origin, for links. */
  readonly base: string;
  /** Whether it would still be let in, which is asked once a minute. */
  readonly isStillAllowed: () => Promise<boolean>;
  readonly signal: AbortSignal;
}

export interface Watch {
  /** One object call a look: 1 at once, then 4 a minute while the task's next step is far, and 30 at most. */
  look(owner: TaskOwner, id: string, base: string, patience: Patience): Promise<Result<SeenTask, Refusal>>;
  /** Null: the watcher has seen the end already. */
  task(owner: TaskOwner, id: string, watcher: Watcher): Promise<Result<AsyncGenerator<TaskEvent> | null, Refusal>>;
  /** All of a tenant's tasks. One object call a look: 12 a minute while nothing happens, and 30 at most but to catch up. */
  tenant(owner: TaskOwner, watcher: Watcher): Promise<AsyncGenerator<FeedEvent>>;
}

export function watch(deps: WatchDeps): Watch {
  return {
    async look(owner, id, base, { seconds, isNews, signal }) {
      const vigil = new Vigil(deps, signal);
      let read = await readVideo(deps, owner, id, base);
      for (let isFirst = true; read.ok; isFirst = false) {
        const left = seconds * 1000 - vigil.lastedMs;
        if (left <= 0 || isTerminal(read.value.task) || (await isNews(read.value.video))) break;
        await vigil.nap(Math.min(lookAgainIn(read.value.task, deps.clock(), isFirst), left));
        if (vigil.isAlone) break;
        // A look that nobody answers is made good by the next one: what was seen last still holds.
        read = (await readVideo(deps, owner, id, base).catch(() => null)) ?? read;
      }
      return read.ok ? ok(read.value.video) : read;
    },

    task: async (owner, id, watcher) => openTask(deps, owner, id, watcher),
    tenant: async (owner, watcher) => openFeed(deps, owner, watcher),
  };
}
