// `wrangler dev` as a child that never outlives us, and whose workerds never outlive it.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";

export interface WranglerProcess {
  /** The exit code; where we ended it, the one we were asked for. */
  readonly ended: Promise<number>;
  /** Aborted once it has ended. */
  readonly gone: AbortSignal;
  stop(exitCode: number): void;
}

export function startWrangler(args: readonly string[], env: Readonly<Record<string, string>>): WranglerProcess {
  // The package's main file, because its command starts one more process between us and the one that runs workerd. Not detached:
  // a terminal's Ctrl-C and the end of a process group must reach them all.
  const cli = createRequire(import.meta.url).resolve("wrangler");
  const child = spawn(process.execPath, ["--no-warnings", cli, "dev", ...args], {
    stdio: "inherit",
    env: {
      ...env,
      ...process.env,
      CLOUDFLARE_CF_FETCH_ENABLED: "false", // or it asks the network where on earth we are
      WRANGLER_SEND_METRICS: "false",
      WRANGLER_HIDE_BANNER: "true", // which would ask the network for a newer version
    },
  });
  let wishedCode: number | null = null;
  const stop = (exitCode: number, signal: NodeJS.Signals): void => {
    wishedCode = exitCode;
    child.kill(signal); // wrangler ends its workerds before it goes
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop(0, signal));

  const gone = new AbortController();
  const ended = new Promise<number>((resolve) => {
    child.once("error", (error) => {
      console.error(`wrangler could not be started: ${error.message}`);
      resolve(1);
    });
    child.once("exit", (code, signal) => {
      if (wishedCode === null && code !== 0) console.error(`Reelay has stopped: wrangler ended with ${signal ?? `code ${code}`}.`);
      resolve(wishedCode ?? code ?? 1);
    });
  }).finally(() => gone.abort());
  return { ended, gone: gone.signal, stop: (exitCode) => stop(exitCode, "SIGTERM") };
}
