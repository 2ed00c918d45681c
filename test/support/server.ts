// A gateway for end-to-end tests: the real `npm start`, in a process group of its own.
import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DEMO_LIVE_KEY, DEMO_TEST_KEY } from "../../src/cli/demo-tenant.ts";

export interface ServerOptions {
  /** What an operator would put into an env file. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: any free one. */
  readonly port?: number;
  /** Default: a directory of its own, gone after `stop`. */
  readonly persistTo?: string;
  /** More arguments for `wrangler dev`. */
  readonly args?: readonly string[];
}

export interface Server {
  readonly url: string;
  readonly testKey: string;
  readonly liveKey: string;
  /** Of npm; its process group has the same number. */
  readonly pid: number;
  /** Everything printed so far, by npm and by all it runs. */
  output(): string;
  /** Ends it as a process manager would, and waits until the last process is gone. */
  stop(): Promise<void>;
  /** Ends it as a power cut would. What is in `persistTo` stays. */
  kill(): Promise<void>;
}

const START_TIMEOUT_MS = 90_000;
const STOP_TIMEOUT_MS = 15_000;
const LOOK_MS = 50;

/** Resolves once the banner is printed. Throws with the whole output where that does not happen. */
export async function startReelay({ env = {}, port = 0, persistTo, args = [] }: ServerOptions = {}): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), "reelay-"));
  const envFile = join(folder, "settings.env");
  await writeFile(envFile, Object.entries(env).map(asEnvLine).join(""));
  // Inspector 0: several servers run at once, and would look for a free one at the same moment.
  const wranglerArgs = [
    "--port",
    port,
    "--inspector-port",
    0,
    "--persist-to",
    persistTo ?? join(folder, "state"),
    "--env-file",
    envFile,
  ];
  const child = spawn("npm", ["start", "--", ...wranglerArgs.map(String), ...args], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error("npm could not be started");
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
  const killGroup = (): void => signalGroup(pid, "SIGKILL");
  process.once("exit", killGroup); // a test run that is broken off leaves nothing behind

  const end = async (signal: NodeJS.Signals): Promise<void> => {
    signalGroup(pid, signal);
    const deadline = Date.now() + STOP_TIMEOUT_MS;
    while (livingIn(pid).length > 0) {
      if (Date.now() > deadline) {
        killGroup();
        throw new Error(`these processes outlived ${signal}:\n${livingIn(pid).join("\n")}`);
      }
      await sleep(LOOK_MS);
    }
    process.off("exit", killGroup);
    await rm(folder, { recursive: true, force: true });
  };

  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const url = /Base URL\s+(\S+)/.exec(output)?.[1];
    if (url !== undefined) {
      return {
        url,
        testKey: DEMO_TEST_KEY,
        liveKey: DEMO_LIVE_KEY,
        pid,
        output: () => output,
        stop: () => end("SIGTERM"),
        kill: () => end("SIGKILL"),
      };
    }
    if (child.exitCode !== null || Date.now() > deadline) {
      await end("SIGKILL");
      throw new Error(`npm start ${child.exitCode === null ? "gave no banner" : `ended with ${child.exitCode}`}:\n${output}`);
    }
    await sleep(LOOK_MS);
  }
}

/** The processes of a group that are not just waiting to be reaped, one a line. */
export function livingIn(group: number): string[] {
  return spawnSync("ps", ["-A", "-o", "pgid=,stat=,args="], { encoding: "utf8" })
    .stdout.split("\n")
    .filter((line) => {
      const [pgid, stat] = line.trim().split(/\s+/);
      return Number(pgid) === group && !stat?.startsWith("Z");
    });
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // Nobody left.
  }
}

/** In the quotes that the value has none of; env files know no escapes. */
function asEnvLine([name, value]: readonly [string, string]): string {
  const quote = ["'", '"', "`"].find((each) => !value.includes(each));
  if (quote === undefined) throw new Error(`${name} has every kind of quote`);
  return `${name}=${quote}${value}${quote}\n`;
}
