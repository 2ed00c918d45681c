// All of a tenant's tasks as one stream, read from its feed. Whoever comes back says what it saw last and misses nothing that the feed
// still has; of what it no longer has, the watcher is told.
import type { NewsType } from "../core/news.ts";
import type { PublicTask } from "../core/public-task.ts";
import type { TaskOwner } from "../core/task-id.ts";
import type { FeedPage } from "../ports.ts";
import { again } from "./again.ts";
import { Stream, type StreamEvent } from "./stream.ts";
import type { WatchDeps, Watcher } from "./watch.ts";

export type FeedEvent =
  | StreamEvent
  /** Where the stream begins: nothing up to here will be told. */
  | { readonly type: "from"; readonly seq: number }
  /** What came between is not kept any more. */
  | { readonly type: "gap"; readonly seq: number }
  | { readonly type: NewsType; readonly seq: number; readonly video: PublicTask };

const PAGE = 50;
const LEAST_LOOK_MS = 2_000;
const MOST_LOOK_MS = 5_000;
const GROWTH = 1.5;

/** The first page is read before the stream begins, so that a failure is an answer and not a stream. */
export async function openFeed(deps: WatchDeps, owner: TaskOwner, watcher: Watcher): Promise<AsyncGenerator<FeedEvent>> {
  const asked = seqOf(watcher.lastEventId);
  // Who comes for the first time needs to know only where the feed stands.
  const first = await (asked === null ? readFeed(deps, owner, 0, 1) : readFeed(deps, owner, asked));
  return feedEvents(deps, owner, first, asked, watcher);
}

async function* feedEvents(
  deps: WatchDeps,
  owner: TaskOwner,
  first: FeedPage,
  asked: number | null,
  watcher: Watcher,
): AsyncGenerator<FeedEvent> {
  const stream = new Stream(deps, watcher);
  let page = first;
  // What comes from the future is of another feed, and nobody knows what of this one was missed.
  const isForeign = asked !== null && asked > first.latest;
  let seq = asked === null || isForeign ? first.latest : asked;
  let waitMs = LEAST_LOOK_MS;
  yield stream.say({ type: "from", seq });
  if (isForeign) yield stream.say({ type: "gap", seq });
  for (;;) {
    if (seq + 1 < page.oldest) {
      seq = page.oldest - 1;
      yield stream.say({ type: "gap", seq });
    }
    const news = page.news.filter((each) => each.seq > seq);
    for (const { type, task, ...each } of news) {
      seq = each.seq;
      yield stream.say({ type, seq, video: { ...task, videoUrl: await linkTo(deps, task, watcher.base) } });
    }
    if (page.news.length < PAGE) {
      waitMs = news.length > 0 ? LEAST_LOOK_MS : Math.min(waitMs * GROWTH, MOST_LOOK_MS);
      if (stream.isSilent) yield stream.say({ type: "heartbeat" });
      if (!(await stream.goesOn(waitMs))) return;
    }
    // Nobody answers: what was read last has nothing new, and the next look may be luckier.
    page = await readFeed(deps, owner, seq).catch(() => ({ ...page, news: [] }));
  }
}

async function readFeed({ eventsOf }: WatchDeps, { tenant, mode }: TaskOwner, after: number, limit = PAGE): Promise<FeedPage> {
  return again(() => eventsOf(tenant, mode).feed(after, limit));
}

/** None to a video that is gone by now. */
async function linkTo({ links, clock }: WatchDeps, task: PublicTask, base: string): Promise<string | null> {
  const now = clock();
  const isKept = task.status === "completed" && (task.expiresAt ?? 0) * 1000 > now;
  return isKept ? links.sign(task, base, now) : null;
}

/** Null: none, or none of ours. */
function seqOf(lastEventId: string | null): number | null {
  return /^\d{1,15}$/.test(lastEventId ?? "") ? Number(lastEventId) : null;
}
