// Links that a tenant asks for: one with a life of its own, or none of those that are out any more.
import type { Refusal } from "../core/errors.ts";
import { publicTask } from "../core/public-task.ts";
import { fail, ok, type Result } from "../core/result.ts";
import type { CompletedTask } from "../core/task.ts";
import type { LinkSigner } from "../ports.ts";
import { again } from "./again.ts";
import type { Caller } from "./authenticate.ts";
import { findTask, type FindDeps } from "./find-task.ts";

export interface LinksDeps extends FindDeps {
  readonly links: LinkSigner;
  /** Of a link that nobody gave a life. */
  readonly linkTtlSeconds: number;
}

export interface VideoLinks {
  /** `expiresAt` in unix seconds: never past the video's own end. */
  make(
    caller: Caller,
    id: string,
    lifeSeconds: number | null,
    base: string,
  ): Promise<Result<{ url: string; expiresAt: number }, Refusal>>;
  /** Every link that is out stops working, and what is asked for later works. */
  revoke(caller: Caller, id: string): Promise<Result<null, Refusal>>;
}

export function videoLinks(deps: LinksDeps): VideoLinks {
  async function findCompleted(caller: Caller, id: string): Promise<Result<CompletedTask, Refusal>> {
    const found = await findTask(deps, caller, id);
    if (!found.ok) return found;
    const task = found.value;
    if (task.status === "completed") return ok(task);
    return fail({ kind: "video_not_ready", why: task.status === "failed" ? "failed" : "under_way" });
  }

  return {
    async make(caller, id, lifeSeconds, base) {
      const found = await findCompleted(caller, id);
      if (!found.ok) return found;
      const now = deps.clock();
      const asked = Math.floor(now / 1000) + (lifeSeconds ?? deps.linkTtlSeconds);
      const expiresAt = Math.min(asked, Math.floor(found.value.expiresAt / 1000));
      const life = expiresAt - Math.floor(now / 1000);
      // The last second of a video is too short for a link.
      if (life < 1) return fail({ kind: "task_not_found" });
      return ok({ url: await deps.links.sign(publicTask(found.value, null), base, now, life), expiresAt });
    },

    async revoke(caller, id) {
      const found = await findCompleted(caller, id);
      if (!found.ok) return found;
      if (!deps.links.revocable) return fail({ kind: "links_not_revocable" });
      // Twice is once too many at worst: a second revocation changes nothing that the first was to leave as it is.
      return again(() => deps.taskOf(caller.tenant, id).revokeLinks());
    },
  };
}
