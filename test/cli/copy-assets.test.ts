import { spawnSync } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const SCALAR = "node_modules/@scalar/api-reference/dist/browser";

let folder: string;
let copy: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "reelay-assets-"));
  copy = join(folder, "dist/assets/assets/scalar.js");
  for (const each of ["src/cli", SCALAR]) await mkdir(join(folder, each), { recursive: true });
  await copyFile(join(ROOT, "src/cli/copy-assets.mjs"), join(folder, "src/cli/copy-assets.mjs"));
  await writeFile(join(folder, SCALAR, "standalone.js"), "one");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function run(): number | null {
  return spawnSync(process.execPath, [join(folder, "src/cli/copy-assets.mjs")]).status;
}

it("copies what is served, and the headers that it is served with", async () => {
  expect(run()).toBe(0);
  expect(await readFile(copy, "utf8")).toBe("one");
  expect(await readFile(join(folder, "dist/assets/_headers"), "utf8")).toMatch(
    /^\/assets\/\*\n(?: {2}.*\n)* {2}X-Content-Type-Options: nosniff$/m,
  );
});

it("is asked for by the version that is installed, because browsers keep each for good", async () => {
  const { version } = JSON.parse(await readFile(join(ROOT, "node_modules/@scalar/api-reference/package.json"), "utf8"));
  expect(await readFile(join(ROOT, "src/http/docs.ts"), "utf8")).toContain(`SCALAR_VERSION = "${version}"`);
  run();
  expect(await readFile(join(folder, "dist/assets/_headers"), "utf8")).toContain(
    "Cache-Control: public, max-age=31536000, immutable",
  );
});

it("leaves an equal file alone, and renews one that differs", async () => {
  run();
  await utimes(copy, 1, 1);
  run();
  expect((await stat(copy)).mtimeMs).toBe(1000);
  await writeFile(join(folder, SCALAR, "standalone.js"), "two");
  run();
  expect(await readFile(copy, "utf8")).toBe("two");
});

it("fails where the package is missing", async () => {
  await rm(join(folder, SCALAR), { recursive: true });
  expect(run()).not.toBe(0);
});
