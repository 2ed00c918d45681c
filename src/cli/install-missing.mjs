// Runs before every npm script that needs the packages. Plain JavaScript without packages, because there may be none yet, and
// for any Node from 18 on, because the newer one this project runs on is itself one of the packages.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

const root = new URL("../../", import.meta.url);

/** Null where there is none. */
function readJson(path) {
  try {
    return JSON.parse(readFileSync(new URL(path, root), "utf8"));
  } catch {
    return null;
  }
}

/**
 * Contents are compared, never times: a checkout or a copy makes files look newer without changing them. What was compared here
 * is what `npm install` makes equal, so that it is not run again after it succeeded.
 */
function isComplete() {
  const wanted = readJson("package-lock.json");
  const installed = readJson("node_modules/.package-lock.json"); // npm writes it last, so it is missing after an interruption
  if (wanted === null || installed === null) return false;
  const { dependencies, devDependencies } = readJson("package.json");
  const locked = wanted.packages[""];
  return (
    isSameList(dependencies, locked.dependencies) &&
    isSameList(devDependencies, locked.devDependencies) &&
    Object.entries(wanted.packages).every(
      ([path, { version, optional, devOptional, peer }]) =>
        // Other platforms' builds are optional, and never here.
        path === "" || optional || devOptional || peer || installed.packages[path]?.version === version,
    )
  );
}

function isSameList(asked = {}, locked = {}) {
  const names = Object.keys(asked);
  return names.length === Object.keys(locked).length && names.every((name) => asked[name] === locked[name]);
}

if (!isComplete()) {
  // On standard error: standard output belongs to the script that comes next, and may be read by a program.
  console.error("Installing what is missing (npm install) ...");
  // Development dependencies too, whatever NODE_ENV says: wrangler is one. Errors only: npm would warn of every package that wants
  // a newer Node than the system's, which is what the package `node` is here for.
  const { status, error } = spawnSync("npm", ["install", "--no-audit", "--no-fund", "--include=dev", "--loglevel=error"], {
    cwd: root,
    stdio: ["inherit", 2, 2],
    shell: process.platform === "win32", // there npm is a .cmd file
  });
  if (error) console.error(`npm install could not be started: ${error.message}`);
  process.exitCode = status ?? 1;
}
