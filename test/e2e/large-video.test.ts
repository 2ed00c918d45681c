import { spawnSync } from "node:child_process";
import { copyFile, mkdtemp, open, rm, stat, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startSeedStyleEmulator, type Instruction } from "../support/emulators/seed-style.ts";
import { startReelay } from "../support/server.ts";
import { createVideo, untilEnded } from "../support/tenant-calls.ts";

const CLIP = "src/providers/clips/clip-16x9.mp4";
const SIZE = 500 * 1024 * 1024;
/** Less than the file. A JavaScript heap takes its time to give back what it has used, and its growth levels off far below this. */
const ROOM = 400 * 1024 * 1024;

let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "reelay-large-"));
  file = join(folder, "large.mp4");
  await copyFile(CLIP, file);
  // A `free` box fills the rest: a valid MP4 of any size, and on most disks one that takes no room.
  const { size } = await stat(CLIP);
  const box = Buffer.alloc(8);
  box.writeUInt32BE(SIZE - size, 0);
  box.write("free", 4, "latin1");
  const handle = await open(file, "r+");
  await handle.write(box, 0, box.length, size);
  await handle.close();
  await truncate(file, SIZE);
});
afterAll(() => rm(folder, { recursive: true }));

it.each<[string, Instruction]>([
  ["of known length, in one put", "ok"],
  ["of unknown length, in parts", "no-length"],
])("500 MB %s pass through at flat memory", async (_name, download) => {
  const upstream = await startSeedStyleEmulator({ file, script: { download: [download] }, apiKey: "k", pollsBeforeDone: 0 });
  const provider = { name: "up", kind: "seed-style", base_url: upstream.url, api_key_secret: "UP_KEY", median_seconds: 1 };
  const server = await startReelay({ env: { PROVIDERS: JSON.stringify([provider]), UP_KEY: "k" } });
  const before = residentBytes(server.pid);
  let peak = before;
  const id = await createVideo(server.url, server.liveKey, { model: "veo3", prompt: "a very long lake" });
  const video = await untilEnded(server.url, server.liveKey, id, () => {
    peak = Math.max(peak, residentBytes(server.pid));
  });
  expect(video.status).toBe("completed");
  const head = await fetch(video.video_url as string, { method: "HEAD" });
  expect(Number(head.headers.get("content-length"))).toBe(SIZE);
  console.info(`memory: ${mebibytes(before)} before, ${mebibytes(peak)} at most`);
  expect(peak - before).toBeLessThan(ROOM);
  await server.stop();
  await upstream.close();
});

/** Of the processes of a group that run Workers: workerd is where our code is. */
function residentBytes(group: number): number {
  return spawnSync("ps", ["-A", "-o", "pgid=,rss=,comm="], { encoding: "utf8" })
    .stdout.split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([pgid, , command]) => Number(pgid) === group && command?.startsWith("workerd"))
    .reduce((sum, [, rss]) => sum + Number(rss) * 1024, 0);
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`;
}
