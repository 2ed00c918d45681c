import { spawnSync } from "node:child_process";
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const SCRIPT = join(import.meta.dirname, "../../src/cli/install-missing.mjs");
const WANTED = { a: "1.0.0", b: "2.0.0" };

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "reelay-install-"));
  for (const each of ["src/cli", "node_modules", "bin"]) await mkdir(join(folder, each), { recursive: true });
  await copyFile(SCRIPT, join(folder, "src/cli/install-missing.mjs"));
  await put("package.json", { dependencies: { a: "^1.0.0" }, devDependencies: { b: "^2.0.0" } });
  await put("package-lock.json", {
    packages: { "": { dependencies: { a: "^1.0.0" }, devDependencies: { b: "^2.0.0" } }, ...packages(WANTED) },
  });
  // Writes down what it was asked for.
  await writeFile(join(folder, "bin/npm"), `#!/bin/sh\necho "$@" >> "${folder}/npm.log"\nexit "\${NPM_EXIT:-0}"\n`);
  await chmod(join(folder, "bin/npm"), 0o755);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function put(file: string, content: unknown): Promise<void> {
  await writeFile(join(folder, file), JSON.stringify(content));
}

function packages(versions: Record<string, string>) {
  const installed = Object.entries(versions).map(([name, version]) => [`node_modules/${name}`, { version }]);
  return { ...Object.fromEntries(installed), "node_modules/other-platform": { version: "9.0.0", optional: true } };
}

async function run(npmExit = 0): Promise<{ code: number | null; asked: string }> {
  const env = { ...process.env, NPM_EXIT: String(npmExit), PATH: `${join(folder, "bin")}${delimiter}${process.env.PATH}` };
  const { status } = spawnSync(process.execPath, [join(folder, "src/cli/install-missing.mjs")], { env });
  return { code: status, asked: await readFile(join(folder, "npm.log"), "utf8").catch(() => "") };
}

describe("install-missing", () => {
  it("installs where nothing is installed", async () => {
    expect(await run()).toEqual({ code: 0, asked: "install --no-audit --no-fund --include=dev --loglevel=error\n" });
  });

  it("does nothing where what the lock file names is installed, whatever the files' times are", async () => {
    await put("node_modules/.package-lock.json", { packages: { ...packages(WANTED), "node_modules/other-platform": undefined } });
    await put("package.json", JSON.parse(await readFile(join(folder, "package.json"), "utf8")));
    expect(await run()).toEqual({ code: 0, asked: "" });
  });

  it.each([
    ["a package has another version", { a: "1.0.0", b: "1.9.0" }],
    ["a package is missing", { a: "1.0.0" }],
  ])("installs where %s", async (_, versions) => {
    await put("node_modules/.package-lock.json", { packages: packages(versions) });
    expect((await run()).asked).toContain("install");
  });

  it("installs where package.json asks for what the lock file does not", async () => {
    await put("node_modules/.package-lock.json", { packages: packages(WANTED) });
    await put("package.json", { dependencies: { a: "^1.0.0", c: "^3.0.0" }, devDependencies: { b: "^2.0.0" } });
    expect((await run()).asked).toContain("install");
  });

  it("fails where npm does", async () => {
    expect((await run(7)).code).toBe(7);
  });
});
