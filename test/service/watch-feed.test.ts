import { beforeEach, describe, expect, it } from "vitest";
import { untoldNews, type News } from "../../src/core/news.ts";
import type { FeedEvent } from "../../src/service/watch-feed.ts";
import { aTask, DAY, MINUTE, SECOND, T0 } from "../support/builders.ts";
import { aWatcher, aWorld, OWN_ID, OWNER, take, type World } from "../support/watching.ts";

type Numbered = News & { readonly seq: number };

let world: World;
let news: Numbered[];
let oldest: number;
beforeEach(() => {
  world = aWorld();
  news = [];
  oldest = 1;
  world.feed = (after, limit) => ({
    news: news.filter(({ seq }) => seq > after && seq >= oldest).slice(0, limit),
    latest: news.at(-1)?.seq ?? 0,
    oldest,
  });
});

function publish(count = 1): void {
  const [created] = untoldNews(aTask({ id: OWN_ID, told: [] }));
  for (let each = 0; each < count; each++) news.push({ ...(created as News), seq: (news.at(-1)?.seq ?? 0) + 1 });
}

async function open(lastEventId: string | null = null, rest: Parameters<typeof aWatcher>[0] = {}) {
  return world.watch.tenant(OWNER, aWatcher({ lastEventId, ...rest }));
}

function seqs(events: readonly FeedEvent[]): number[] {
  return events.flatMap((event) => ("video" in event ? [event.seq] : []));
}

describe("a tenant's stream", () => {
  it("begins with what happens next, and says where that is", async () => {
    publish(3);
    const events = await open();
    expect((await events.next()).value).toEqual({ type: "from", seq: 3 });
    world.onSleep = () => publish();
    expect((await events.next()).value).toMatchObject({ type: "video.created", seq: 4, video: { id: OWN_ID, status: "pending" } });
  });

  it("goes on where its watcher has been", async () => {
    publish(5);
    expect(await take(await open("2"), 4)).toMatchObject([{ type: "from", seq: 2 }, { seq: 3 }, { seq: 4 }, { seq: 5 }]);
  });

  it("catches up with any number of pages without a pause", async () => {
    publish(230);
    const caughtUp = await take(await open("0"), 231);
    expect(seqs(caughtUp)).toEqual(news.map(({ seq }) => seq));
    expect(world.looks).toEqual([0, 0, 0, 0, 0]);
  });

  it("tells where something is missing that the feed does not have any more", async () => {
    publish(10);
    oldest = 8;
    expect(await take(await open("3"), 5)).toMatchObject([
      { type: "from", seq: 3 },
      { type: "gap", seq: 7 },
      { seq: 8 },
      { seq: 9 },
      { seq: 10 },
    ]);
  });

  it("tells of no gap where nothing is missing but everything is old", async () => {
    publish(10);
    oldest = 11;
    const events = await open("10");
    world.onSleep = () => publish();
    expect(await take(events, 2)).toMatchObject([
      { type: "from", seq: 10 },
      { type: "video.created", seq: 11 },
    ]);
  });

  it.each(["11", "999999999999999"])(
    "tells of a gap where the last event %s is of a time to come, and goes on from now",
    async (last) => {
      publish(10);
      const events = await open(last);
      world.onSleep = () => publish();
      expect(await take(events, 3)).toMatchObject([
        { type: "from", seq: 10 },
        { type: "gap", seq: 10 },
        { type: "video.created", seq: 11 },
      ]);
    },
  );

  it.each(["-1", "1.5", "processing.3", "x", "", "1e3", "9".repeat(30)])(
    "takes the last event %j, which is none of this feed, for none",
    async (lastEventId) => {
      publish(10);
      expect((await (await open(lastEventId)).next()).value).toEqual({ type: "from", seq: 10 });
    },
  );

  it("gives each reader a fresh link, and none to what is gone", async () => {
    const [, , done] = untoldNews(
      aTask({ status: "completed", id: OWN_ID, told: [], timeline: [{ at: T0, status: "running" }], expiresAt: T0 + DAY }),
    );
    news = [{ ...(done as News), seq: 1 }];
    world.now = T0 + MINUTE;
    const kept = await take(await open("0"), 2);
    expect(kept[1]).toMatchObject({ type: "video.completed", video: { videoUrl: `https://api.example/file/${OWN_ID}?at=60000` } });
    world.now = T0 + DAY;
    const gone = await take(await open("0"), 2);
    expect(gone[1]).toMatchObject({ type: "video.completed", video: { videoUrl: null } });
  });

  it("survives reads that nobody answers", async () => {
    const events = await open();
    await events.next();
    const { feed } = world;
    world.feed = () => {
      throw new Error("unreachable");
    };
    publish();
    let sleeps = 0;
    world.onSleep = () => {
      if (++sleeps === 5) world.feed = feed;
    };
    let event = (await events.next()).value as FeedEvent;
    while (event.type === "heartbeat") event = (await events.next()).value as FeedEvent;
    expect(event).toMatchObject({ type: "video.created", seq: 1 });
  });

  it("ends within a minute, or little more, of its watcher's losing the right to it", async () => {
    await take(await open(null, { isStillAllowed: async () => false }), 1_000);
    expect(world.now - T0).toBeGreaterThanOrEqual(MINUTE);
    expect(world.now - T0).toBeLessThan(66 * SECOND);
  });

  it("is never silent for longer than 15 seconds", async () => {
    const events = await open();
    let [last, longest] = [world.now, 0];
    for (const _ of Array.from({ length: 30 })) {
      await events.next();
      [last, longest] = [world.now, Math.max(longest, world.now - last)];
    }
    expect(longest).toBeGreaterThan(5 * SECOND);
    expect(longest).toBeLessThanOrEqual(15 * SECOND);
  });

  it("costs 12 object calls a minute while nothing happens, and 30 where something always does", async () => {
    await take(await open(), 10_000);
    expect(world.now - T0).toBeGreaterThanOrEqual(15 * MINUTE);
    expect(world.now - T0).toBeLessThan(15 * MINUTE + 5 * SECOND);
    expect(callsInMinute(5)).toBe(12);
    world.onSleep = () => publish();
    const busy = await open();
    while (world.now < T0 + 18 * MINUTE) await busy.next();
    expect(callsInMinute(16)).toBe(30);
  });
});

function callsInMinute(minute: number): number {
  return world.looks.filter((at) => Math.floor(at / MINUTE) === minute).length;
}
