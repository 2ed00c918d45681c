// A world for watchers: time passes only while they sleep, the task is what a script says of that moment, and every object call is
// counted.
import { makeTaskId } from "../../src/core/task-id.ts";
import type { Task } from "../../src/core/task.ts";
import type { EventsPort, FeedPage, TaskPort } from "../../src/ports.ts";
import { watch, type Watch, type Watcher } from "../../src/service/watch.ts";
import { T0 } from "./builders.ts";

export const OWNER = { tenant: "Tenant01", mode: "live" } as const;
export const BASE = "https://api.example";
const SECRET = "id-secret";

export const OWN_ID = await makeTaskId(SECRET, OWNER, "veo3", T0, new Uint8Array(10));

export interface World {
  readonly watch: Watch;
  /** Unix milliseconds. */
  now: number;
  /** Of each look: milliseconds since T0. */
  readonly looks: number[];
  /** The task at a moment, in milliseconds since T0. */
  task: (at: number) => Task | null;
  feed: (after: number, limit: number) => FeedPage;
  /** What happens while somebody sleeps. */
  onSleep: () => void;
}

export function aWorld(): World {
  const look = (): number => {
    world.looks.push(world.now - T0);
    return world.now - T0;
  };
  const world: World = {
    now: T0,
    looks: [],
    task: () => null,
    feed: () => ({ news: [], latest: 0, oldest: 1 }),
    onSleep: () => undefined,
    watch: watch({
      taskOf: () => ({ read: async () => world.task(look()) }) as unknown as TaskPort,
      eventsOf: () =>
        ({
          feed: async (after, limit) => {
            look();
            return world.feed(after, limit);
          },
        }) as Pick<EventsPort, "feed"> as EventsPort,
      links: { revocable: true, sign: async ({ id }, base, now) => `${base}/file/${id}?at=${now - T0}` },
      taskIdSecrets: [SECRET],
      clock: () => world.now,
      sleep: async (ms, signal) => {
        if (!(ms > 0)) throw new Error(`a sleep of ${ms}`);
        if (!signal.aborted) world.now += ms;
        world.onSleep();
      },
    }),
  };
  return world;
}

export function aWatcher(given: Partial<Watcher> = {}): Watcher {
  return { lastEventId: null, base: BASE, isStillAllowed: async () => true, signal: new AbortController().signal, ...given };
}

/** The first so many events, or all where the stream ends before. */
export async function take<Event>(events: AsyncGenerator<Event>, count: number): Promise<Event[]> {
  const taken: Event[] = [];
  while (taken.length < count) {
    const { done, value } = await events.next();
    if (done) break;
    taken.push(value);
  }
  return taken;
}
