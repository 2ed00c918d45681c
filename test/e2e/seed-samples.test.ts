// The public page's own samples, run as they stand there: only the host and the key are put in.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PYTHON } from "../support/programs.ts";
import { startReelay, type Server } from "../support/server.ts";

const SAMPLE_TIMEOUT_MS = 90_000;
const run = promisify(execFile);

let server: Server;
let folder: string;
let page: string;
beforeAll(async () => {
  page = await readFile(join(import.meta.dirname, "../fixtures/seed-video-api.md"), "utf8");
  folder = await mkdtemp(join(tmpdir(), "reelay-samples-"));
  server = await startReelay();
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

/** The first block of code under a heading. */
function sampleUnder(heading: string): string {
  const code = page.split(`### ${heading}\n`)[1]?.split(/^```.*\n/m)[1];
  if (code === undefined) throw new Error(`the page has no sample under ${heading}`);
  return code.replaceAll("https://api.apertis.ai", server.url).replaceAll("sk-your-api-key", server.testKey);
}

async function execute(interpreter: string, file: string, code: string): Promise<string> {
  await writeFile(join(folder, file), code);
  // A proxy of this machine is none of the sample's business.
  const { stdout } = await run(interpreter, [join(folder, file)], {
    timeout: SAMPLE_TIMEOUT_MS,
    env: { ...process.env, NO_PROXY: "*" },
  });
  return stdout;
}

async function expectDownload(output: string): Promise<void> {
  const [, link = ""] = /^Video URL: (\S+)$/m.exec(output) ?? [];
  expect(link).toMatch(/^http/);
  const reply = await fetch(link);
  expect([reply.status, reply.headers.get("content-type")]).toEqual([200, "video/mp4"]);
  expect((await reply.arrayBuffer()).byteLength).toBeGreaterThan(10_000);
}

describe.concurrent("the samples of the seed page", () => {
  it("runs the JavaScript workflow to a video", async ({ expect: expectHere }) => {
    const output = await execute(process.execPath, "workflow.mjs", sampleUnder("JavaScript - Complete Workflow"));
    expectHere(output).toMatch(/^Task created: veo3:\d{10}-\S+$/m);
    await expectDownload(output);
  });

  it.skipIf(PYTHON === null)("runs the Python workflow to a video", async ({ expect: expectHere }) => {
    const output = await execute(PYTHON as string, "workflow.py", sampleUnder("Python - Complete Workflow"));
    expectHere(output).toMatch(/^Task created: veo3:\d{10}-\S+$/m);
    expectHere(output).toMatch(/^Enhanced prompt: (?!N\/A)./m);
    await expectDownload(output);
  });

  it.skipIf(PYTHON === null)("runs the Python sample with frame references", async ({ expect: expectHere }) => {
    const [imports = ""] = sampleUnder("Python - Complete Workflow").split("# Step 1");
    const sample = sampleUnder("With Frame References (veo2-fast-frames)");
    const output = await execute(
      PYTHON as string,
      "frames.py",
      `${imports}${sample}\nprint(response.status_code, response.json()["status"])`,
    );
    expectHere(output).toBe("200 pending\n");
  });
});
