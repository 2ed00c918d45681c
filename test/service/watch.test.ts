import { beforeEach, describe, expect, it } from "vitest";
import type { SeenTask } from "../../src/core/seen-task.ts";
import type { Task } from "../../src/core/task.ts";
import type { TaskEvent } from "../../src/service/watch-task.ts";
import { aTask, anAttempt, MINUTE, SECOND, T0 } from "../support/builders.ts";
import { aWatcher, aWorld, BASE, OWN_ID, OWNER, take, type World } from "../support/watching.ts";

const attempts = [anAttempt({ latency: { medianMs: 90 * SECOND, quantiles: null } })];
const queued = aTask({ id: OWN_ID });
const running = aTask({ status: "running", id: OWN_ID, attempts });
const completed = aTask({ status: "completed", id: OWN_ID, attempts });

const HOURS = 10 * 60 * MINUTE;

let world: World;
beforeEach(() => {
  world = aWorld();
});

/** Running from the third second on, completed after so many. */
function completedAfter(seconds: number): (at: number) => Task {
  return (at) => (at < 3 * SECOND ? queued : at < seconds * SECOND ? running : completed);
}

describe("a wait", () => {
  const never = async () => false;
  const { signal } = new AbortController();

  async function look(seconds: number, isNews: (video: SeenTask) => Promise<boolean> = never) {
    return world.watch.look(OWNER, OWN_ID, BASE, { seconds, isNews, signal });
  }

  it("of no seconds is one look", async () => {
    world.task = () => running;
    expect(await look(0)).toMatchObject({ ok: true, value: { status: "processing", retryAfterSeconds: 10 } });
    expect(world.looks).toEqual([0]);
  });

  it("is over as soon as the task has ended", async () => {
    world.task = completedAfter(20);
    expect(await look(60)).toMatchObject({ ok: true, value: { status: "completed", retryAfterSeconds: null } });
    expect(world.looks.at(-1)).toBeLessThan(35 * SECOND);
  });

  it("does not begin where the task has ended already", async () => {
    world.task = () => completed;
    await look(60);
    expect(world.looks).toEqual([0]);
  });

  it("gives what there is when its time is up, to the second", async () => {
    world.task = () => running;
    expect(await look(20)).toMatchObject({ ok: true, value: { status: "processing" } });
    expect(world.looks.at(-1)).toBe(20 * SECOND);
    expect(world.now - T0).toBe(20 * SECOND);
  });

  it("is over with whatever its client calls news", async () => {
    world.task = completedAfter(40);
    const isNews = async ({ status }: SeenTask) => status !== "pending";
    expect(await look(60, isNews)).toMatchObject({ ok: true, value: { status: "processing" } });
    expect(world.looks.at(-1)).toBeLessThan(10 * SECOND);
  });

  it("ends with its client, and looks no more", async () => {
    const gone = new AbortController();
    world.task = () => running;
    world.onSleep = () => gone.abort();
    const patience = { seconds: 60, isNews: never, signal: gone.signal };
    expect(await world.watch.look(OWNER, OWN_ID, BASE, patience)).toMatchObject({ ok: true });
    expect(world.looks).toEqual([0]);
  });

  it("survives looks that nobody answers", async () => {
    world.task = (at) => {
      if (at > 0 && at < 30 * SECOND) throw new Error("unreachable");
      return completedAfter(20)(at);
    };
    expect(await look(60)).toMatchObject({ ok: true, value: { status: "completed" } });
  });

  it("tells of a task that was deleted meanwhile what every other reader hears", async () => {
    world.task = (at) => (at < 10 * SECOND ? running : null);
    expect(await look(60)).toEqual({ ok: false, error: { kind: "task_not_found" } });
  });

  it("asks no object for an id that is not the owner's", async () => {
    const other = { tenant: "Tenant02", mode: "live" } as const;
    const answer = await world.watch.look(other, OWN_ID, BASE, { seconds: 60, isNews: never, signal });
    expect(answer).toEqual({ ok: false, error: { kind: "task_not_found" } });
    expect(world.looks).toEqual([]);
  });

  it("is not prolonged by a clock that stands or runs backwards", async () => {
    world.task = () => running;
    world.onSleep = () => (world.now = T0 - MINUTE);
    await look(60);
    expect(world.looks.length).toBeLessThan(12);
  });

  describe("costs, in a minute", () => {
    it("6 object calls while the task's next step is far", async () => {
      world.task = () => running;
      await look(60);
      expect(world.looks.map((at) => at / SECOND)).toEqual([0, 1, 16, 31, 46, 60]);
    });

    it("32 at most, with the quickest provider there is", async () => {
      const fast = aTask({ ...running, attempts: [anAttempt({ latency: { medianMs: SECOND, quantiles: null } })] });
      world.task = () => fast;
      await look(60);
      expect(world.looks.length).toBeGreaterThan(15);
      expect(world.looks.length).toBeLessThanOrEqual(32);
    });
  });
});

describe("a task's stream", () => {
  async function open(given: Parameters<typeof aWatcher>[0] = {}): Promise<AsyncGenerator<TaskEvent>> {
    const opened = await world.watch.task(OWNER, OWN_ID, aWatcher(given));
    if (!opened.ok || opened.value === null) throw new Error("it did not open");
    return opened.value;
  }

  it("tells each status once, with a link at the end, and ends there", async () => {
    world.task = completedAfter(100);
    const events = await take(await open(), 1_000);
    const statuses = events.flatMap((event) => (event.type === "status" ? [event.video] : []));
    expect(statuses.map(({ status }) => status)).toEqual(["pending", "processing", "completed"]);
    expect(statuses.map(({ videoUrl }) => videoUrl)).toEqual([
      null,
      null,
      expect.stringMatching(/^https:\/\/api\.example\/file\//),
    ]);
    expect(events.at(-1)).toMatchObject({ type: "status", mark: expect.stringMatching(/^completed\.\d+$/) });
  });

  it("tells how far it is only when that grew, and never less than before", async () => {
    world.task = completedAfter(100);
    const events = await take(await open(), 1_000);
    const percents = events.flatMap((event) => (event.type === "progress" ? [event.percent] : []));
    expect(percents.length).toBeGreaterThan(10);
    expect(percents).toEqual([...new Set(percents)].sort((a, b) => a - b));
  });

  it("does not let the progress fall when another provider begins anew", async () => {
    const second = aTask({ ...running, attempts: [...attempts, anAttempt({ startedAt: T0 + 60 * SECOND })] });
    world.task = (at) => (at < 60 * SECOND ? running : at < 200 * SECOND ? second : completed);
    const events = await take(await open(), 1_000);
    const percents = events.flatMap((event) => (event.type === "progress" ? [event.percent] : []));
    expect(percents).toEqual([...percents].sort((a, b) => a - b));
  });

  it("is never silent for longer than 15 seconds", async () => {
    world.task = () => aTask({ id: OWN_ID, notBefore: T0 + 10 * MINUTE });
    const events = await open();
    let [last, longest] = [world.now, 0];
    for (const _ of Array.from({ length: 30 })) {
      await events.next();
      [last, longest] = [world.now, Math.max(longest, world.now - last)];
    }
    expect(longest).toBeGreaterThan(5 * SECOND);
    expect(longest).toBeLessThanOrEqual(15 * SECOND);
  });

  it("goes on where its watcher has been, saying nothing twice", async () => {
    world.task = completedAfter(100);
    world.now = T0 + 50 * SECOND;
    const events = await take(await open({ lastEventId: "processing.60" }), 1_000);
    expect(events.filter(({ type }) => type === "status")).toMatchObject([{ video: { status: "completed" } }]);
    const percents = events.flatMap((event) => (event.type === "progress" ? [event.percent] : []));
    expect(Math.min(...percents)).toBeGreaterThan(60);
  });

  it("tells what changed while its watcher was away", async () => {
    world.task = () => completed;
    expect(await take(await open({ lastEventId: "processing.60" }), 10)).toMatchObject([
      { type: "status", mark: "completed.60", video: { status: "completed" } },
    ]);
  });

  it("does not open for who has seen the end", async () => {
    world.task = () => completed;
    expect(await world.watch.task(OWNER, OWN_ID, aWatcher({ lastEventId: "completed.95" }))).toEqual({ ok: true, value: null });
  });

  it.each(["", "0", "processing", "processing.1000", "<script>", "completed.1\n", "x".repeat(100)])(
    "takes the last event %j for none",
    async (lastEventId) => {
      world.task = () => completed;
      expect(await take(await open({ lastEventId }), 10)).toMatchObject([{ type: "status", mark: "completed.0" }]);
    },
  );

  it("refuses before it opens", async () => {
    expect(await world.watch.task(OWNER, OWN_ID, aWatcher())).toEqual({ ok: false, error: { kind: "task_not_found" } });
  });

  it("survives looks that nobody answers", async () => {
    world.task = (at) => {
      if (at > 0 && at < 50 * SECOND) throw new Error("unreachable");
      return completedAfter(40)(at);
    };
    expect((await take(await open(), 1_000)).at(-1)).toMatchObject({ type: "status", video: { status: "completed" } });
  });

  it("ends when the task is deleted", async () => {
    world.task = (at) => (at < 30 * SECOND ? running : null);
    await take(await open(), 1_000);
    expect(world.now - T0).toBeLessThan(60 * SECOND);
  });

  it("ends within a minute, or little more, of its watcher's losing the right to it", async () => {
    world.task = () => aTask({ id: OWN_ID, notBefore: T0 + HOURS });
    let asked = 0;
    await take(await open({ isStillAllowed: async () => ++asked < 3 }), 1_000);
    expect(asked).toBe(3);
    expect(world.now - T0).toBeLessThanOrEqual(3 * 63 * SECOND);
  });

  it("ends after a quarter of an hour, to be opened anew", async () => {
    world.task = () => aTask({ id: OWN_ID, notBefore: T0 + HOURS });
    await take(await open(), 10_000);
    expect(world.now - T0).toBeGreaterThanOrEqual(15 * MINUTE);
    expect(world.now - T0).toBeLessThan(15 * MINUTE + 5 * SECOND);
  });

  it("ends with its watcher, and looks no more", async () => {
    const gone = new AbortController();
    world.task = () => running;
    const events = await open({ signal: gone.signal });
    await take(events, 5);
    const looks = world.looks.length;
    gone.abort();
    await take(events, 1_000);
    expect(world.looks.length).toBe(looks);
  });

  it("costs 5 object calls in its first minute and 4 in each one after, while the task's next step is far", async () => {
    world.task = () => aTask({ id: OWN_ID, notBefore: T0 + HOURS });
    await take(await open(), 10_000);
    const perMinute = Array.from(
      { length: 15 },
      (_, minute) => world.looks.filter((at) => Math.floor(at / MINUTE) === minute).length,
    );
    expect(perMinute).toEqual([5, ...Array.from({ length: 14 }, () => 4)]);
  });
});
