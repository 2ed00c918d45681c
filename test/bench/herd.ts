// A thousand live tasks in one local run: how late their polls begin, and how long a plain query takes beside them.
import { setTimeout as sleep } from "node:timers/promises";
import { startReelay } from "../support/server.ts";
import { createVideo, queryVideo } from "../support/tenant-calls.ts";

const TASKS = 1_000;
const CREATES_AT_ONCE = 8;
/** Long enough that all of them are live at once. */
const GENERATION_SECONDS = 60;
const QUERY_EVERY_MS = 50;
const IDLE_QUERIES = 200;

export interface Herd {
  readonly tasks: number;
  readonly polls: number;
  readonly seconds: number;
  readonly latenessMs: readonly number[];
  readonly idleQueryMs: readonly number[];
  readonly busyQueryMs: readonly number[];
}

export async function runHerd(): Promise<Herd> {
  const server = await startReelay({ args: ["test/bench/herd-worker.ts"] });
  try {
    const { key } = await get<{ key: string }>(`${server.url}/bench/tenant`);
    const asked = await createVideo(server.url, key, { model: "veo3", prompt: "a lake [[stuck]]" });
    const query = async (): Promise<number> => {
      const startedAt = performance.now();
      await queryVideo(server.url, key, asked);
      return performance.now() - startedAt;
    };
    const idleQueryMs: number[] = [];
    for (let index = -IDLE_QUERIES; index < IDLE_QUERIES; index++) {
      const ms = await query();
      if (index >= 0) idleQueryMs.push(ms); // the first ones warm it up
    }

    const ids: string[] = [];
    let wanted = TASKS;
    const herd = { model: "veo3", prompt: `a herd [[slow:${GENERATION_SECONDS}]]` };
    await Promise.all(
      Array.from({ length: CREATES_AT_ONCE }, async () => {
        while (wanted-- > 0) ids.push(await createVideo(server.url, key, herd));
      }),
    );

    const polls = async (): Promise<number[]> => (await get<{ latenessMs: number[] }>(`${server.url}/bench/polls`)).latenessMs;
    const before = (await polls()).length;
    const startedAt = performance.now();
    const busyQueryMs: number[] = [];
    const last = ids.at(-1) ?? asked;
    // All are live until the first is done; from then on they are copied, which is another matter.
    while (performance.now() - startedAt < (GENERATION_SECONDS - 30) * 1_000) {
      busyQueryMs.push(await query());
      await sleep(QUERY_EVERY_MS);
    }
    const seconds = (performance.now() - startedAt) / 1_000;
    const { status } = await queryVideo(server.url, key, last);
    if (status !== "processing") throw new Error(`the last task of the herd is ${status}`);
    const latenessMs = (await polls()).slice(before);
    return { tasks: ids.length, polls: latenessMs.length, seconds, latenessMs, idleQueryMs, busyQueryMs };
  } finally {
    await server.stop();
  }
}

async function get<Body>(url: string): Promise<Body> {
  const reply = await fetch(url);
  if (!reply.ok) throw new Error(`${url} answered ${reply.status}`);
  return (await reply.json()) as Body;
}
