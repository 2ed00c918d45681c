// How many reserves a second one ledger object admits, beside a bare object in the same run: `npm run bench:ledger`.
// The ratio is what counts; the figures themselves are this machine's, and of the local runtime.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const COUNT = 2_000;
const ROUNDS = 5;
/** What `reserve` may cost at most, against the bare object. */
const CEILING = 1.5;

const port = await freePort();
const folder = await mkdtemp(join(tmpdir(), "reelay-bench-"));
const wrangler = spawn(
  process.execPath,
  [
    "--no-warnings",
    createRequire(import.meta.url).resolve("wrangler"),
    "dev",
    "--config=test/bench/wrangler.toml",
    `--port=${port}`,
    "--inspector-port=0",
    `--persist-to=${folder}`,
    "--var=ENVIRONMENT:local",
    "--show-interactive-dev-session=false",
  ],
  {
    stdio: "ignore",
    env: {
      ...process.env,
      TASK_ID_SECRETS: "bench-only-task-ids",
      LINK_SECRETS: "k1:bench-only-links",
      CLOUDFLARE_CF_FETCH_ENABLED: "false",
      WRANGLER_SEND_METRICS: "false",
    },
  },
);
try {
  await measure("bare", 100);
  await measure("ledger", 100);
  const ratios: number[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    const bare = await measure("bare", COUNT);
    const ledger = await measure("ledger", COUNT);
    ratios.push(ledger / bare);
    console.log(
      `round ${round}: bare ${perSecond(bare)} reserves/s, ledger ${perSecond(ledger)} reserves/s, ratio ${(ledger / bare).toFixed(2)}`,
    );
  }
  const median = ratios.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? Infinity;
  console.log(`median ratio ${median.toFixed(2)}; ${CEILING} is the ceiling`);
  process.exitCode = median <= CEILING ? 0 : 1;
} finally {
  wrangler.kill("SIGTERM");
  await new Promise((resolve) => wrangler.once("exit", resolve));
  await rm(folder, { recursive: true, force: true });
}

/** Milliseconds. */
async function measure(what: "bare" | "ledger", count: number): Promise<number> {
  for (let tries = 0; ; tries++) {
    try {
      const reply = await fetch(`http://127.0.0.1:${port}/?what=${what}&count=${count}`);
      return ((await reply.json()) as { ms: number }).ms;
    } catch (error) {
      if (tries === 100) throw error;
      await sleep(200);
    }
  }
}

function perSecond(ms: number): string {
  return String(Math.round((COUNT / ms) * 1000)).padStart(5);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port: free } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return free;
}
