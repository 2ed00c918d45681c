// What a tenant does with videos: have them priced, create them, read them.
import type { Refusal } from "../core/errors.ts";
import type { Generation } from "../core/generation.ts";
import type { Quote } from "../core/pricing.ts";
import { fail, ok, type Result } from "../core/result.ts";
import { isOwnTaskId } from "../core/task-id.ts";
import type { LinkSigner } from "../ports.ts";
import { again } from "./again.ts";
import type { Caller } from "./authenticate.ts";
import { createVideo, quoteVideo, type CreateDeps, type Created, type CreateRequest } from "./create-video.ts";
import { publicTask, type PublicTask } from "../core/public-task.ts";

export interface VideosDeps extends CreateDeps {
  readonly links: LinkSigner;
}

export interface Videos {
  quote(
    caller: Caller,
    request: Pick<CreateRequest, "generation" | "base" | "maxCost">,
  ): Promise<Result<{ generation: Generation; quote: Quote }, Refusal>>;
  create(caller: Caller, request: CreateRequest): Promise<Result<Created, Refusal>>;
  /** `base`: the gateway's own origin, as its links are to have it. */
  get(caller: Caller, id: string, base: string): Promise<Result<PublicTask, Refusal>>;
}

export function videos(deps: VideosDeps): Videos {
  return {
    quote: async (caller, request) => quoteVideo(deps, caller, request),
    create: async (caller, request) => createVideo(deps, caller, request),

    async get(caller, id, base) {
      if (!(await isOwnTaskId(deps.taskIdSecrets, caller, id))) return fail({ kind: "task_not_found" });
      const task = await again(() => deps.taskOf(caller.tenant, id).read());
      if (task === null) return fail({ kind: "task_not_found" });
      const link = task.status === "completed" ? await deps.links.sign(id, base, deps.clock()) : null;
      return ok(publicTask(task, link));
    },
  };
}
