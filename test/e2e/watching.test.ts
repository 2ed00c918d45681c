// Watching tasks over a real `npm start`: streams that break off and go on, and very many that wait at once.
import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readEvents, type ServerEvent } from "../support/event-stream.ts";
import { startReelay, type Server } from "../support/server.ts";
import { createVideo, queryVideo } from "../support/tenant-calls.ts";

let server: Server;
beforeAll(async () => {
  server = await startReelay();
});
afterAll(async () => {
  await server.stop();
});

async function open(path: string, headers: Record<string, string> = {}, signal?: AbortSignal): Promise<Response> {
  const authorization = `Bearer ${server.testKey}`;
  return fetch(server.url + path, { headers: { authorization, ...headers }, ...(signal && { signal }) });
}

/** Reads until `isEnough`, then breaks the connection off. */
async function readUntil(
  path: string,
  lastEventId: string | null,
  isEnough: (event: ServerEvent) => boolean,
): Promise<ServerEvent[]> {
  const gone = new AbortController();
  const reply = await open(path, lastEventId === null ? {} : { "last-event-id": lastEventId }, gone.signal);
  const events: ServerEvent[] = [];
  for await (const event of readEvents(reply.body as ReadableStream<Uint8Array>)) {
    events.push(event);
    if (isEnough(event)) break;
  }
  gone.abort();
  return events;
}

it("one task's events go on after every disconnect where they broke off, until the end", async () => {
  const id = await createVideo(server.url, server.testKey, { model: "veo3", prompt: "a lake [[slow:10]]" });
  const path = `/v1/video/events?id=${encodeURIComponent(id)}`;
  const seen: ServerEvent[] = [];
  while (seen.at(-1)?.data["status"] !== "completed") {
    const before = seen.length;
    seen.push(...(await readUntil(path, seen.at(-1)?.id ?? null, () => true)));
    expect(seen.length).toBeGreaterThan(before);
  }
  const statuses = seen.filter(({ event }) => event === "status").map(({ data }) => data["status"]);
  expect(statuses).toEqual([...new Set(statuses)]);
  const shares = seen.filter(({ event }) => event === "progress").map(({ data }) => Number(data["progress"]));
  expect(shares.length).toBeGreaterThan(2);
  expect(shares).toEqual([...new Set(shares)].sort((a, b) => a - b));
  expect(seen.at(-1)?.data).toEqual(await queryVideo(server.url, server.testKey, id));
  expect((await open(path, { "last-event-id": seen.at(-1)?.id ?? "" })).status).toBe(204);
});

it("all of a tenant's events are told once each, however often the stream breaks off", async () => {
  const before = await readUntil("/v1/video/events", "0", ({ event }) => event === "video.completed");
  let last = before.at(-1)?.id ?? null;
  const ids = await Promise.all(
    [0, 1, 2].map(async (each) =>
      createVideo(server.url, server.testKey, { model: "veo3", prompt: `lake ${each} [[slow:${each}]]` }),
    ),
  );
  const told: string[] = [];
  while (told.filter((each) => each.endsWith("video.completed")).length < ids.length) {
    const [event] = await readUntil("/v1/video/events", last, () => true);
    if (event === undefined) continue;
    told.push(`${String(event.data["id"])} ${event.event}`);
    last = event.id;
  }
  const types = ["video.created", "video.processing", "video.completed"];
  expect(told.toSorted()).toEqual(ids.flatMap((id) => types.map((type) => `${id} ${type}`)).toSorted());
});

const STREAMS = 400;
const POLLS = 100;
/** While they wait, and wrangler beside the gateway: garbage that is not collected yet. */
const KIB_A_WAIT = 150;

it("500 waits are open at once, and take no more memory the longer they wait", async () => {
  const id = await createVideo(server.url, server.testKey, { model: "veo3", prompt: "a lake [[stuck]]" });
  const gone = new AbortController();
  let beats = 0;
  let answered = 0;
  let broken = 0;
  await Promise.all(
    Array.from({ length: STREAMS }, async () => {
      const reply = await open(`/v1/video/events?id=${id}`, {}, gone.signal);
      expect(reply.status).toBe(200);
      void count(reply.body as ReadableStream<Uint8Array>, () => beats++).catch(() => broken++);
    }),
  );
  // Last, because they end by themselves.
  const polls = Array.from({ length: POLLS }, async () => {
    const reply = await open(`/v1/video/query?id=${id}`, { prefer: "wait=60" }, gone.signal).catch(() => null);
    if (reply !== null) answered++;
  });
  await queryVideo(server.url, server.testKey, id);
  await sleep(20_000); // until what is allocated is also collected
  const [before, heard] = [memoryOf(server.pid), beats];
  await sleep(20_000);
  const after = memoryOf(server.pid);
  expect([answered, broken]).toEqual([0, 0]);
  expect(beats - heard).toBeGreaterThanOrEqual(STREAMS); // they are alive
  expect(after - before).toBeLessThan((STREAMS + POLLS) * KIB_A_WAIT);
  gone.abort();
  await Promise.all(polls);
  expect(await queryVideo(server.url, server.testKey, id)).toMatchObject({ status: "processing" });
});

async function count(body: ReadableStream<Uint8Array>, onChunk: () => void): Promise<void> {
  for await (const _ of body) onChunk();
}

/** Of a process group, in KiB. */
function memoryOf(group: number): number {
  const lines = spawnSync("ps", ["-A", "-o", "pgid=,rss="], { encoding: "utf8" }).stdout.trim().split("\n");
  const sizes = lines.map((line) => line.trim().split(/\s+/).map(Number));
  return sizes.reduce((sum, [pgid, rss]) => sum + (pgid === group ? (rss ?? 0) : 0), 0);
}
