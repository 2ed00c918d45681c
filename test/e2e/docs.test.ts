// The reference as its reader meets it: in a browser, which reports whatever the pages may not do, and by pasting its samples.
import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Script } from "node:vm";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CHROMIUM, PYTHON } from "../support/programs.ts";
import { startReelay, type Server } from "../support/server.ts";

interface Sample {
  readonly lang: "shell" | "python" | "javascript";
  readonly source: string;
}
type Paths = Record<string, Record<string, { operationId: string; "x-codeSamples": Sample[] }>>;

/** The browser's, as text: here is no page. */
const REPORT_VIOLATIONS = `addEventListener("securitypolicyviolation", (event) => {
  console.warn("violation of " + event.violatedDirective + ": " + event.blockedURI);
})`;

const run = promisify(execFile);
let server: Server;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "reelay-docs-"));
  server = await startReelay();
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

describe.skipIf(CHROMIUM === null)("in a browser", () => {
  let browser: Browser;
  beforeAll(async () => {
    // Root, as in CI, has no sandbox of its own.
    browser = await chromium.launch({ executablePath: CHROMIUM as string, args: ["--no-sandbox"] });
  });
  afterAll(() => browser.close());

  /** Opens a page, and writes down what should not happen on it. */
  async function open(path: string): Promise<{ page: Page; complaints: string[] }> {
    const page = await browser.newPage();
    page.setDefaultTimeout(60_000);
    const complaints: string[] = [];
    page.on("console", (message) => {
      // A violation of the policy, a resource that is not there: both are errors on the console.
      const isTold = /^violation|document validation errors/.test(message.text());
      if (message.type() === "error" || isTold) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("request", (request) => {
      if (!request.url().startsWith(server.url) && !/^(data|blob):/.test(request.url())) complaints.push(`asks ${request.url()}`);
    });
    await page.addInitScript(REPORT_VIOLATIONS);
    await page.goto(server.url + path);
    return { page, complaints };
  }

  it("/docs shows the operations, and asks nobody but this gateway", async () => {
    const { page, complaints } = await open("/docs");
    await page.getByRole("heading", { name: "Create a video" }).waitFor();
    await page.getByText("sk-your-api-key").first().waitFor();
    expect(await page.title()).toBe("API reference - Reelay");
    expect(complaints).toEqual([]);
    await page.close();
  });

  it("/docs sends a request of the reader's to this gateway", async () => {
    const { page, complaints } = await open("/docs#tag/models/GET/v1/models");
    await page.getByRole("heading", { name: "List the models" }).waitFor();
    await page.getByRole("button", { name: /^Test Request.*\/v1\/models\b/ }).click();
    const reply = page.waitForResponse(`${server.url}/v1/models`);
    await page.getByRole("button", { name: /^Send/ }).first().click();
    expect((await reply).status()).toBe(200);
    expect(complaints).toEqual([]);
    await page.close();
  });

  it("/errors leads to a code, and to the reference", async () => {
    const { page, complaints } = await open("/errors");
    await page.getByRole("navigation").getByRole("link", { name: "insufficient_quota" }).click();
    expect(page.url()).toBe(`${server.url}/errors#insufficient_quota`);
    expect(await page.locator("#insufficient_quota").textContent()).toContain("This costs 40 credits, and 12 are available.");
    await page.emulateMedia({ media: "print" });
    expect(await page.getByRole("navigation").isVisible()).toBe(false);
    await page.emulateMedia({ media: "screen" });
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    await page.getByRole("link", { name: "API reference" }).click();
    await page.waitForURL(`${server.url}/docs`);
    expect(complaints).toEqual([]);
    await page.close();
  });
});

describe("the samples", () => {
  let paths: Paths;
  let id: string;
  beforeAll(async () => {
    ({ paths } = (await (await fetch(`${server.url}/openapi.json`)).json()) as { paths: Paths });
    const created = await fetch(`${server.url}/v1/video/create`, {
      method: "POST",
      headers: { Authorization: `Bearer ${server.testKey}`, "Content-Type": "application/json" },
      body: JSON.stringify({ model: "veo3", prompt: "A lake" }),
    });
    ({ id } = (await created.json()) as { id: string });
  });

  function sampleOf(path: string, method: string, lang: Sample["lang"]): string {
    const source = paths[path]?.[method]?.["x-codeSamples"].find((each) => each.lang === lang)?.source ?? "";
    return source.replaceAll("sk-your-api-key", server.testKey).replaceAll("veo3:1704067200-xxxxxxxx", id);
  }

  async function execute(lang: Sample["lang"], name: string, source: string): Promise<string> {
    const [command, file] = {
      shell: ["sh", join(folder, `${name}.sh`)],
      python: [PYTHON as string, join(folder, `${name}.py`)],
      javascript: [process.execPath, join(folder, `${name}.mjs`)],
    }[lang] as [string, string];
    await writeFile(file, source);
    // A proxy of this machine is none of the sample's business.
    return (await run(command, [file], { timeout: 60_000, env: { ...process.env, NO_PROXY: "*" } })).stdout;
  }

  const CALLS = [
    ["post", "/v1/video/create", "pending"],
    ["get", "/v1/video/query", "enhanced_prompt"],
    ["get", "/v1/models", "veo3.1-fast"],
    ["get", "/v1/account", "available"],
  ] as const;

  it.each(CALLS)("%s %s runs in curl and JavaScript, as it stands there", async (method, path, expected) => {
    for (const lang of ["shell", "javascript"] as const) {
      const name = `${method}${path.replaceAll("/", "-")}`;
      expect(await execute(lang, name, sampleOf(path, method, lang))).toContain(expected);
    }
  });

  it.skipIf(PYTHON === null)("all run in Python, as they stand there", async () => {
    const source = CALLS.map(([method, path]) => sampleOf(path, method, "python")).join("\n");
    const output = await execute("python", "calls", source);
    for (const [, , expected] of CALLS) expect(output).toContain(expected);
    expect(output.match(/^200 /gm)).toHaveLength(CALLS.length);
  });

  it("of every operation can be read by the language that they are in", async () => {
    const all = Object.values(paths).flatMap((methods) => Object.values(methods));
    expect(all.length).toBeGreaterThan(7);
    for (const { operationId, "x-codeSamples": samples } of all) {
      for (const { lang, source } of samples) {
        if (lang === "shell") expect(spawnSync("sh", ["-n"], { input: source }).status, operationId).toBe(0);
        if (lang === "javascript") expect(() => new Script(`async () => {\n${source}\n}`), operationId).not.toThrow();
      }
    }
    if (PYTHON === null) return;
    const sources = all.map((each) => each["x-codeSamples"].find(({ lang }) => lang === "python")?.source);
    const reading = "import ast, json, sys\nfor source in json.load(sys.stdin): ast.parse(source)";
    const read = spawnSync(PYTHON, ["-c", reading], { input: JSON.stringify(sources), encoding: "utf8" });
    expect(read).toMatchObject({ status: 0, stderr: "" });
  });
});
