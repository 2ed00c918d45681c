// A tenant's tasks, page by page. The ledger knows which there are; what each is like is read from the task itself, so that the list
// never disagrees with a query.
import type { PublicTask } from "../core/public-task.ts";
import type { Refusal } from "../core/errors.ts";
import { fail, ok, type Result } from "../core/result.ts";
import { seenTask, type SeenTask } from "../core/seen-task.ts";
import { isOwnTaskId } from "../core/task-id.ts";
import type { LedgerOf, LinkSigner, TaskFilter } from "../ports.ts";
import { again } from "./again.ts";
import type { Caller } from "./authenticate.ts";
import { isGone, type FindDeps } from "./find-task.ts";

export interface ListDeps extends FindDeps {
  readonly ledgerOf: LedgerOf;
  readonly links: LinkSigner;
}

export interface ListRequest extends Omit<TaskFilter, "state"> {
  readonly status: PublicTask["status"] | null;
  /** The id of the last task of the page before; null: from the newest. */
  readonly after: string | null;
  readonly limit: number;
}

export interface VideoPage {
  readonly tasks: readonly SeenTask[];
  readonly hasMore: boolean;
  /** Where the next page goes on: of the last task that was looked at, which need not be on this page. */
  readonly lastId: string | null;
}

/** A page looks at this many tasks at most: one object call each, and a free plan allows 50 a request. */
const TASKS_READ = 45;

const STATES = { pending: "held", processing: "held", completed: "settled", failed: "released" } as const;

/** One call to the ledger and one for each task that is looked at. */
export async function listVideos(
  deps: ListDeps,
  caller: Caller,
  { status, after, limit, ...filter }: ListRequest,
  base: string,
): Promise<Result<VideoPage, Refusal>> {
  if (after !== null && !(await isOwnTaskId(deps.taskIdSecrets, caller, after))) return fail({ kind: "invalid_cursor" });
  const asked = { ...filter, state: status === null ? null : STATES[status] };
  // Held tasks are told apart by looking only.
  const most = status === "pending" || status === "processing" ? TASKS_READ : Math.min(limit, TASKS_READ);
  // One more than is looked at says whether there is another page.
  const found = await again(() => deps.ledgerOf(caller.tenant, caller.mode).list(asked, after, most + 1));
  const ids = found.slice(0, most);
  const now = deps.clock();
  const read = await Promise.all(ids.map(async (id) => again(() => deps.taskOf(caller.tenant, id).read())));
  const wanted = read
    .flatMap((task) => (task === null || isGone(task, now) ? [] : [seenTask(task, null, now)]))
    .filter((task) => status === null || task.status === status);
  const shown = wanted.slice(0, limit);
  const tasks = await Promise.all(
    shown.map(async (task) => ({
      ...task,
      videoUrl: task.status === "completed" ? await deps.links.sign(task, base, now) : null,
    })),
  );
  const isCut = wanted.length > limit;
  return ok({ tasks, hasMore: isCut || found.length > most, lastId: (isCut ? shown.at(-1)?.id : ids.at(-1)) ?? null });
}
