// The client as its users have it: packed, installed, without another package, against a running `npm start`.
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Reelay, verifyWebhook } from "../../src/client/reelay.ts";
import { startReceiver } from "../support/emulators/receiver.ts";
import { startReelay, type Server } from "../support/server.ts";

const ROOT = join(import.meta.dirname, "../..");

let server: Server;
let reelay: Reelay;
beforeAll(async () => {
  server = await startReelay();
  reelay = new Reelay({ baseUrl: server.url, apiKey: server.testKey });
});
afterAll(async () => {
  await server.stop();
});

it.concurrent("a video is created, followed to its end, waited for and fetched", async () => {
  const { id } = await reelay.create({ model: "veo3", prompt: "a lake [[slow:3]]" });
  const statuses: string[] = [];
  const shares: number[] = [];
  for await (const { event, data } of reelay.events(id)) {
    if (event === "status") statuses.push(data.status);
    else shares.push(data.progress);
  }
  expect(statuses.at(-1)).toBe("completed");
  expect(statuses).toEqual([...new Set(statuses)]);
  expect(shares).toEqual([...new Set(shares)].sort((a, b) => a - b));
  const video = await reelay.wait(id);
  expect((await fetch(video.video_url ?? "")).headers.get("content-type")).toBe("video/mp4");
});

it.concurrent("waiting ends with the task, with the time or with the signal", async () => {
  const [quick, stuck] = [
    await reelay.create({ model: "veo3", prompt: "a lake [[slow:1]]" }),
    await reelay.create({ model: "veo3", prompt: "a lake [[stuck]]" }),
  ];
  const signal = AbortSignal.timeout(1_500);
  const [ended, late, left] = await Promise.allSettled([
    reelay.wait(quick.id),
    reelay.wait(stuck.id, { timeoutMs: 1_000 }),
    reelay.wait(stuck.id, { signal }),
  ]);
  expect(ended).toMatchObject({ value: { id: quick.id, status: "completed" } });
  expect(late).toMatchObject({ reason: { type: "wait_timeout", isRetryable: true } });
  expect((left as PromiseRejectedResult).reason).toBe(signal.reason);
});

it.concurrent("a task token watches its task, and nothing else", async () => {
  const { id } = await reelay.create({ model: "veo3", prompt: "a lake [[slow:1]]" });
  const reply = await fetch(`${server.url}/v1/video/token`, {
    method: "POST",
    headers: { authorization: `Bearer ${server.testKey}`, "content-type": "application/json" },
    body: JSON.stringify({ id }),
  });
  const { token } = (await reply.json()) as { token: string };
  const page = new Reelay({ baseUrl: server.url, taskToken: token });
  let last: string | undefined;
  for await (const { event, data } of page.events(id)) if (event === "status") last = data.status;
  expect(last).toBe("completed");
  expect(await page.wait(id)).toEqual(await reelay.query(id));
  await expect(page.create({ model: "veo3", prompt: "a lake" })).rejects.toMatchObject({ status: 401, code: "invalid_api_key" });
});

it.concurrent("a webhook that the gateway sent is genuine", async () => {
  const receiver = await startReceiver();
  try {
    const headers = { authorization: `Bearer ${server.testKey}` };
    const { secret } = (await (await fetch(`${server.url}/v1/webhooks/secret`, { headers })).json()) as { secret: string };
    const { id } = await reelay.create({ model: "veo3", prompt: "a lake [[slow:0]]", webhook_url: `${receiver.url}/hook` });
    await reelay.wait(id);
    const types = new Set<string>();
    for (let taken = 0; !types.has("video.completed");) {
      const message = receiver.received[taken];
      if (message === undefined) await new Promise((resolve) => setTimeout(resolve, 50));
      else {
        taken++;
        const { type, data } = await verifyWebhook(message.body, message.headers, secret);
        expect([data.id, type]).toEqual([id, message.headers["webhook-event"]]);
        types.add(type);
      }
    }
  } finally {
    await receiver.close();
  }
});

describe("the package", () => {
  let home: string;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), "reelay-client-"));
    const packed = spawnSync("npm", ["pack", "--silent", "--pack-destination", home], { cwd: ROOT, encoding: "utf8" });
    const file = packed.stdout.trim().split("\n").at(-1) ?? "";
    const installed = join(home, "node_modules/reelay");
    await mkdir(installed, { recursive: true });
    const unpacked = spawnSync("tar", ["-xzf", join(home, file), "-C", installed, "--strip-components=1"], { encoding: "utf8" });
    if (packed.status !== 0 || unpacked.status !== 0) throw new Error(`${packed.stdout}${packed.stderr}${unpacked.stderr}`);
    await writeFile(join(home, "package.json"), '{ "type": "module" }');
  });
  afterAll(() => rm(home, { recursive: true, force: true }));

  it("works in plain Node, where no other package is", async () => {
    const program = `
      import { Reelay } from "reelay/client";
      const reelay = new Reelay({ baseUrl: process.argv[2], apiKey: process.argv[3] });
      const { id } = await reelay.create({ model: "veo3", prompt: "a lake [[slow:0]]" });
      console.log((await reelay.wait(id)).status);`;
    await writeFile(join(home, "program.js"), program);
    const ran = spawnSync(process.execPath, ["program.js", server.url, server.testKey], { cwd: home, encoding: "utf8" });
    expect([ran.stdout, ran.stderr]).toEqual(["completed\n", ""]);
  });

  it("brings its types, for a browser's library and for Node's", async () => {
    const program = `
      import { Reelay, ReelayError, verifyWebhook, type Video } from "reelay/client";
      const reelay = new Reelay({ baseUrl: "https://gateway.example", taskToken: "vt_1" });
      export const video: Promise<Video> = reelay.wait("id", { signal: new AbortController().signal });
      for await (const told of reelay.events("id")) if (told.event === "progress") told.data.progress.toFixed();
      export const code = (error: unknown): string | null => (error instanceof ReelayError ? error.code : null);
      export const type: string = (await verifyWebhook("", new Headers(), "")).type;
      // @ts-expect-error: a wish has a prompt
      void reelay.create({ model: "veo3" });`;
    await writeFile(join(home, "program.ts"), program);
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022"];
    const typeRoots = ["--typeRoots", join(ROOT, "node_modules/@types")];
    for (const library of [
      ["--lib", "es2022,dom"],
      ["--lib", "es2024", "--types", "node", ...typeRoots],
    ]) {
      const checked = spawnSync(process.execPath, [tsc, ...options, ...library, "program.ts"], { cwd: home, encoding: "utf8" });
      expect(checked.stdout).toBe("");
    }
  });
});
