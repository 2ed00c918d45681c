// The presigned links against the S3 endpoint that wrangler emulates, which judges signatures as R2 does.
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AwsClient } from "aws4fetch";
import { afterAll, beforeAll, expect, it } from "vitest";
import { presigner } from "../../src/stores/presign.ts";
import { videoKey } from "../../src/stores/video-key.ts";

const WRANGLER = resolve("node_modules/wrangler/bin/wrangler.js");
const CREDENTIALS = { accessKeyId: "local-access-key", secretAccessKey: "local-secret-key" };
const BUCKET = "presigned-links";
const ID = "veo3.1-fast:1704067200-abcdefghijklmnopqrstuvwxyz";
const BYTES = Uint8Array.from({ length: 1_000 }, (_, index) => index % 251);
const CONFIG = {
  name: "presigned-links",
  main: "worker.js",
  compatibility_date: "2026-11-01",
  r2_buckets: [{ binding: "VIDEOS", bucket_name: BUCKET, local_dev: { experimental_s3_credentials: CREDENTIALS } }],
};

let folder: string;
let group: number | undefined;
let output = "";
let endpoint: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "reelay-presigned-"));
  await writeFile(join(folder, "wrangler.json"), JSON.stringify(CONFIG));
  await writeFile(join(folder, "worker.js"), `export default { fetch: () => new Response("ready") };`);
  const port = await freePort();
  const args = [WRANGLER, "dev", "--port", String(port), "--inspector-port", "0", "--persist-to", join(folder, "state")];
  const env = { ...process.env, CLOUDFLARE_CF_FETCH_ENABLED: "false", WRANGLER_SEND_METRICS: "false" };
  // A process group of its own, because wrangler's children outlive it.
  const wrangler = spawn(process.execPath, args, { cwd: folder, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  group = wrangler.pid;
  process.once("exit", killGroup); // a test run that is broken off leaves nothing behind
  wrangler.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  wrangler.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
  const base = `http://localhost:${port}`;
  await ready(base);
  endpoint = `${base}/cdn-cgi/local/r2/s3`;
  const client = new AwsClient({ ...CREDENTIALS, service: "s3", region: "auto" });
  const put = await client.fetch(`${endpoint}/${BUCKET}/${videoKey(encodeURIComponent(ID))}`, { method: "PUT", body: BYTES });
  expect(put.status, await put.text()).toBe(200);
});

afterAll(async () => {
  killGroup();
  process.off("exit", killGroup);
  await rm(folder, { recursive: true, force: true });
});

function killGroup(): void {
  try {
    if (group !== undefined) process.kill(-group, "SIGKILL");
  } catch {
    // Nobody left.
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}

async function ready(base: string): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const reply = await fetch(base).catch(() => null);
    if (reply !== null && (await reply.text()) === "ready") return;
    await sleep(200);
  }
  throw new Error(`wrangler dev did not start:\n${output}`);
}

async function linkFor(id: string, now = Date.now(), secretAccessKey = CREDENTIALS.secretAccessKey): Promise<string> {
  const signer = presigner({ endpoint, bucket: BUCKET, accessKeyId: CREDENTIALS.accessKeyId, secretAccessKey, ttlSeconds: 900 });
  return signer.sign({ id, linkRevision: 0 }, "https://unused.example", now);
}

it("gives the video, whole and in parts", async () => {
  const link = await linkFor(ID);
  const whole = await fetch(link);
  expect(whole.status).toBe(200);
  expect(new Uint8Array(await whole.arrayBuffer())).toEqual(BYTES);
  const part = await fetch(link, { headers: { range: "bytes=10-19" } });
  expect(part.status).toBe(206);
  expect(part.headers.get("content-range")).toBe("bytes 10-19/1000");
  expect(new Uint8Array(await part.arrayBuffer())).toEqual(BYTES.slice(10, 20));
});

it("gives nothing for a link that was changed", async () => {
  const link = await linkFor(ID);
  const others = [
    link.replace("abcdef", "bbcdef"),
    link.replace("X-Amz-Expires=900", "X-Amz-Expires=901"),
    link.replace(/(X-Amz-Signature=)(.)/, (_, name: string, first: string) => name + (first === "0" ? "1" : "0")),
    await linkFor(ID, Date.now(), "another-secret"),
  ];
  for (const other of others) expect((await fetch(other)).status).toBe(403);
});

it("gives nothing once the link has expired", async () => {
  expect((await fetch(await linkFor(ID, Date.now() - 901_000))).status).toBe(403);
});

it("allows nothing but reading", async () => {
  const link = await linkFor(ID);
  expect((await fetch(link, { method: "PUT", body: "mine" })).status).toBe(403);
  expect((await fetch(link, { method: "DELETE" })).status).toBe(403);
});
