// A thousand live tasks in one local run: how late their polls begin, and how long a plain query takes beside them.
import { setTimeout as sleep } from "node:timers/promises";
import { startReelay } from "../support/server.ts";
import { createVideo, queryVideo } from "../support/tenant-calls.ts";

const TASKS = 1_000;
const CREATES_AT_ONCE = 8;
const IDLE_QUERIES = 200;
const QUERY_EVERY_MS = 50;
const WATCHED_MS = 20_000;
/** The simulated provider's schedule begins with a poll a second, which is no video model's: after this time one every eight is left. */
const SETTLED_MS = 40_000;

export interface Stretch {
  readonly seconds: number;
  readonly latenessMs: readonly number[];
  readonly queryMs: readonly number[];
}

export interface Herd {
  readonly tasks: number;
  readonly idleQueryMs: readonly number[];
  /** While all of them are expected any second, and when they are overdue. */
  readonly expected: Stretch;
  readonly overdue: Stretch;
}

export async function runHerd(): Promise<Herd> {
  const server = await startReelay({ args: ["test/bench/herd-worker.ts"] });
  try {
    const { key } = await get<{ key: string }>(`${server.url}/bench/tenant`);
    const create = async (): Promise<string> => createVideo(server.url, key, { model: "veo3", prompt: "a herd [[stuck]]" });
    const id = await create();
    const timeQuery = async (): Promise<number> => {
      const startedAt = performance.now();
      await queryVideo(server.url, key, id);
      return performance.now() - startedAt;
    };
    for (let index = 0; index < IDLE_QUERIES; index++) await timeQuery(); // to warm up
    const idleQueryMs: number[] = [];
    for (let index = 0; index < IDLE_QUERIES; index++) idleQueryMs.push(await timeQuery());

    let wanted = TASKS - 1;
    const line = async (): Promise<void> => {
      while (wanted-- > 0) await create();
    };
    await Promise.all(Array.from({ length: CREATES_AT_ONCE }, line));

    const watch = async (): Promise<Stretch> => {
      const startedAt = performance.now();
      const before = (await latenessOf(server.url)).length;
      const queryMs: number[] = [];
      while (performance.now() - startedAt < WATCHED_MS) {
        queryMs.push(await timeQuery());
        await sleep(QUERY_EVERY_MS);
      }
      const latenessMs = (await latenessOf(server.url)).slice(before);
      return { seconds: (performance.now() - startedAt) / 1_000, latenessMs, queryMs };
    };
    const createdAt = performance.now();
    const expected = await watch();
    await sleep(Math.max(createdAt + SETTLED_MS - performance.now(), 0));
    return { tasks: TASKS, idleQueryMs, expected, overdue: await watch() };
  } catch (error) {
    throw new Error(`the gateway's last words:\n${server.output().slice(-2_000)}`, { cause: error });
  } finally {
    await server.stop();
  }
}

async function latenessOf(url: string): Promise<number[]> {
  return (await get<{ latenessMs: number[] }>(`${url}/bench/polls`)).latenessMs;
}

async function get<Body>(url: string): Promise<Body> {
  const reply = await fetch(url);
  if (!reply.ok) throw new Error(`${url} answered ${reply.status}`);
  return (await reply.json()) as Body;
}
