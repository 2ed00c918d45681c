// A provider that dies with a task under way and never comes back, and nobody takes over: the ends that are too far away to wait for
// over sockets (test/e2e/killed-provider.test.ts has the others).
import { env } from "cloudflare:workers";
import { reset, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Task } from "../../src/core/task.ts";
import { ConnectionError } from "../../src/net/guarded-fetch.ts";
import type { Route } from "../../src/core/routing.ts";
import clip from "../../src/providers/clips/clip-16x9.mp4";
import { aRoute, MINUTE } from "../support/builders.ts";
import { aTenant, createdId, query, type TestTenant } from "../support/gateway.ts";
import { houseOf, simulatedProvider } from "../support/manage.ts";
import { readBalances, readBooks, readTask, taskStub } from "../support/objects.ts";
import { aSource } from "../support/video-sources.ts";

const GRANTED = 10_000;
const MOST_WAKES = 1_000;
/** Half an hour of polls, on a machine that may do much else. */
const PATIENCE_MS = 5 * 60_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 86_400_000 });
  vi.spyOn(console, "error").mockReturnValue();
});
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

const nobody = async (): Promise<never> => {
  throw new ConnectionError(new AbortController().signal);
};

/** Nobody answers any more. What it has sent until now breaks off half-way. */
async function dies(owner: TestTenant, id: string) {
  const provider = await simulatedProvider(owner, id);
  const submit = vi.spyOn(provider, "submit").mockImplementation(nobody);
  const poll = vi.spyOn(provider, "poll").mockImplementation(nobody);
  const whole = new Uint8Array(clip);
  const open = vi.spyOn(provider, "open").mockImplementation(nobody);
  open.mockImplementationOnce(async () =>
    aSource(whole.subarray(0, whole.length / 2), {
      length: whole.length,
      breaksOff: new ConnectionError(new AbortController().signal),
    }),
  );
  return { submit, poll, open };
}

/** Wakes them all in turn, each at its own time as the platform would, until `isSo` of every one. */
async function drive(owner: TestTenant, ids: readonly string[], isSo: (task: Task) => boolean): Promise<void> {
  const look = async (id: string) =>
    runInDurableObject(taskStub(owner, id), async (_object, { storage }) => {
      const task = storage.kv.get<Task>("task") as Task;
      return { id, isSo: isSo(task), at: (await storage.getAlarm()) ?? 0 };
    });
  let looks = await Promise.all(ids.map(look));
  for (let wakes = 0; wakes < MOST_WAKES; wakes++) {
    const [next] = looks.filter((each) => !each.isSo).toSorted((a, b) => a.at - b.at);
    if (next === undefined) return;
    vi.setSystemTime(Math.max(next.at, Date.now()));
    await runDurableObjectAlarm(taskStub(owner, next.id));
    const after = await look(next.id);
    looks = looks.map((each) => (each.id === after.id ? after : each));
  }
  throw new Error("no end");
}

const isOver = ({ status }: Task): boolean => status === "completed" || status === "failed";

it.each<[string, Task["status"], number, readonly Route[]]>([
  ["while it works", "running", 1, []],
  ["in the middle of the download", "storing", 15, []],
  // What it has made is paid for, and may be had until then: nobody else is paid for the same.
  ["in the middle of the download, and another is ready", "storing", 15, [aRoute({ provider: "spare", mode: "test" })]],
])(
  "dead for good %s: its tasks fail as timeout, holds released, orphans noted",
  async (_name, moment, minutes, others) => {
    const owner = await aTenant();
    const ids = await Promise.all([1, 2].map(async () => createdId(owner.key, { prompt: "a lake [[slow:30]]" })));
    await drive(owner, ids, ({ status }) => status === moment);
    const { submit, poll, open } = await dies(owner, ids[0] ?? "");
    const routes = (await houseOf(owner, ids[0] ?? "")).routes as Route[];
    routes.push(...others);
    await drive(owner, ids, isOver);
    routes.splice(routes.length - others.length, others.length);

    const tasks = (await Promise.all(ids.map(async (id) => readTask(owner, id)))) as Task[];
    for (const task of tasks) {
      expect(task).toMatchObject({ status: "failed", reason: "timeout", attempts: [{ outcome: "abandoned", reason: "timeout" }] });
      expect(task.timeline.at(-1)?.at).toBeGreaterThanOrEqual(task.deadlineAt);
      expect((task.timeline.at(-1)?.at ?? Infinity) - task.deadlineAt).toBeLessThan(minutes * MINUTE);
    }
    expect(submit).not.toHaveBeenCalled();
    expect((moment === "storing" ? open : poll).mock.calls.length).toBeGreaterThan(ids.length);
    expect(await readBalances(owner)).toMatchObject({ available: GRANTED, held: 0, spent: 0 });
    const { journal, orphans } = await readBooks(owner);
    for (const id of ids) {
      expect(journal.filter(({ ref }) => ref === id).map(({ kind }) => kind)).toEqual(["hold", "release"]);
      expect(await env.VIDEOS.head(`videos/${id}`)).toBeNull();
      expect(await (await query(owner.key, id)).json()).toMatchObject({
        status: "failed",
        video_url: null,
        error: { code: "timeout" },
      });
    }
    const byTask = (a: { task: string }, b: { task: string }): number => (a.task < b.task ? -1 : 1);
    const owed = ids.map((task) => ({ task, reason: "timeout", provider: "simulated" }));
    expect(orphans.toSorted(byTask)).toEqual(owed.toSorted(byTask));
  },
  PATIENCE_MS,
);
