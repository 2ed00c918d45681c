// What a tenant does with videos: have them priced, create them, read, list, cancel and delete them.
import type { Refusal } from "../core/errors.ts";
import type { Generation } from "../core/generation.ts";
import type { Quote } from "../core/pricing.ts";
import { fail, ok, type Result } from "../core/result.ts";
import type { SeenTask } from "../core/seen-task.ts";
import { isStopping } from "../core/task-machine.ts";
import { isTerminal } from "../core/task.ts";
import type { TaskOwner } from "../core/task-id.ts";
import { again } from "./again.ts";
import type { Caller } from "./authenticate.ts";
import { createVideo, quoteVideo, type CreateDeps, type Created, type CreateRequest, type QuoteRequest } from "./create-video.ts";
import { findTask } from "./find-task.ts";
import { listVideos, type ListDeps, type ListRequest, type VideoPage } from "./list-videos.ts";
import { readVideo } from "./read-video.ts";

export type VideosDeps = CreateDeps & ListDeps;

export interface Videos {
  quote(caller: Caller, request: QuoteRequest): Promise<Result<{ generation: Generation; quote: Quote }, Refusal>>;
  create(caller: Caller, request: CreateRequest): Promise<Result<Created, Refusal>>;
  /** `base`: the gateway's own origin, as its links are to have it. */
  get(owner: TaskOwner, id: string, base: string): Promise<Result<SeenTask, Refusal>>;
  list(caller: Caller, request: ListRequest, base: string): Promise<Result<VideoPage, Refusal>>;
  /** `passedOn`: the provider is being asked to stop, and may still finish; else it is ending, and nothing is charged. */
  cancel(caller: Caller, id: string, base: string): Promise<Result<{ task: SeenTask; passedOn: boolean }, Refusal>>;
  /** Of an ended task: its video and everything known of it, now. */
  delete(caller: Caller, id: string): Promise<Result<null, Refusal>>;
}

export function videos(deps: VideosDeps): Videos {
  async function get(owner: TaskOwner, id: string, base: string): Promise<Result<SeenTask, Refusal>> {
    const read = await readVideo(deps, owner, id, base);
    return read.ok ? ok(read.value.video) : read;
  }

  return {
    quote: async (caller, request) => quoteVideo(deps, caller, request),
    create: async (caller, request) => createVideo(deps, caller, request),
    get,
    list: async (caller, request, base) => listVideos(deps, caller, request, base),

    async cancel(caller, id, base) {
      const found = await findTask(deps, caller, id);
      if (!found.ok) return found;
      const cancelled = await again(() => deps.taskOf(caller.tenant, id).cancel());
      if (!cancelled.ok) return cancelled;
      const after = await get(caller, id, base);
      return after.ok ? ok({ task: after.value, passedOn: cancelled.value === "passed_on" }) : after;
    },

    async delete(caller, id) {
      const found = await findTask(deps, caller, id);
      if (!found.ok) return found;
      if (!isTerminal(found.value)) return fail({ kind: "task_not_ended", isStopping: isStopping(found.value) });
      const isDiscarded = await again(() => deps.taskOf(caller.tenant, id).discard());
      return isDiscarded ? ok(null) : fail({ kind: "task_not_ended", isStopping: false });
    },
  };
}
