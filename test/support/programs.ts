// Programs that are not npm packages. `.ci/run` installs them; on another machine a test that needs one is skipped, and says so.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

function runs(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

const isCi = process.env.CI === "true";

/** Null only outside CI: there its absence fails the test. */
export const FFPROBE = isCi || runs("ffprobe", "-version") ? "ffprobe" : null;

/** A Python that has httpx. Null only outside CI. */
export const PYTHON =
  ["python3", "/usr/bin/python3"].find((python) => runs(python, "-c", "import httpx")) ?? (isCi ? "python3" : null);

/** A browser, by its path. Null only outside CI. */
export const CHROMIUM =
  ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) => existsSync(path)) ??
  (isCi ? "/usr/bin/chromium" : null);
