// A tenant's own web page in a real browser, on an origin of its own: its backend has the API key, the page only a task token.
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { chromium, type Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CHROMIUM } from "../support/programs.ts";
import { startReelay, type Server } from "../support/server.ts";

/** As README has it, with a look back at what happened. */
const PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><title>A tenant's page</title>
<link rel="icon" href="data:,">
<video id="video" muted playsinline></video>
<script type="module">
  window.seen = [];
  const { gateway, id, token } = await (await fetch("/api/videos", { method: "POST" })).json();
  const url = gateway + "/v1/video/events?" + new URLSearchParams({ id, token });
  const events = new EventSource(url);
  events.addEventListener("progress", ({ data }) => window.seen.push(["progress", JSON.parse(data).progress]));
  events.addEventListener("status", async ({ data }) => {
    const task = JSON.parse(data);
    window.seen.push(["status", task.status]);
    if (task.status !== "completed") return;
    const video = document.getElementById("video");
    video.src = task.video_url;
    await video.play();
    // Left open on purpose: it comes back once, hears that this was the end, and stays away.
    const query = await fetch(gateway + "/v1/video/query?id=" + id, { headers: { authorization: "Bearer " + token } });
    window.seen.push(["etag", query.headers.get("etag")]);
  });
  events.addEventListener("error", () => window.seen.push(["state", events.readyState]));
</script>`;

let server: Server;
beforeAll(async () => {
  server = await startReelay();
});
afterAll(async () => {
  await server.stop();
});

/** The tenant's backend: serves the page, and creates a video when the page asks for one. */
async function startBackend(): Promise<HttpServer> {
  const backend = createServer((request, response) => {
    if (request.method !== "POST") return response.setHeader("Content-Type", "text/html").end(PAGE);
    return void createForPage().then(
      (created) => response.setHeader("Content-Type", "application/json").end(JSON.stringify(created)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve));
  return backend;
}

async function createForPage() {
  const { id } = await post<{ id: string }>("/v1/video/create", { model: "veo3", prompt: "a lake [[slow:4]]" });
  const { token } = await post<{ token: string }>("/v1/video/token", { id });
  return { gateway: server.url, id, token };
}

async function post<Reply>(path: string, body: object): Promise<Reply> {
  const headers = { authorization: `Bearer ${server.testKey}`, "content-type": "application/json" };
  const reply = await fetch(server.url + path, { method: "POST", headers, body: JSON.stringify(body) });
  if (reply.status !== 200) throw new Error(`${path} answered ${reply.status}: ${await reply.text()}`);
  return (await reply.json()) as Reply;
}

describe.skipIf(CHROMIUM === null)("in a browser", () => {
  let browser: Browser;
  let backend: HttpServer;
  beforeAll(async () => {
    backend = await startBackend();
    browser = await chromium.launch({ executablePath: CHROMIUM as string, args: ["--no-sandbox"] });
  });
  afterAll(async () => {
    await browser.close();
    backend.close();
  });

  it("a page watches its video being made with a task token, and plays it", async () => {
    const page = await browser.newPage();
    const problems: string[] = [];
    const asked: string[] = [];
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && problems.push(message.text()));
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("request", (request) => asked.push(`${request.url()} ${JSON.stringify(request.headers())}`));
    const { port } = backend.address() as AddressInfo;
    await page.goto(`http://127.0.0.1:${port}/`);

    // As text, because here is no page.
    const isPlaying = "video.readyState >= 2 && video.currentTime > 0.2";
    await expect.poll(async () => page.evaluate(isPlaying), { timeout: 60_000 }).toBe(true);
    expect(await page.evaluate("[video.videoWidth, video.error]")).toEqual([1280, null]);

    // The stream has ended, EventSource came back once (state 0) and was told to stay away (state 2).
    const seen = async () => page.evaluate<[string, unknown][]>("seen");
    await expect.poll(async () => (await seen()).at(-1), { timeout: 30_000 }).toEqual(["state", 2]);
    const events = await seen();
    const of = (name: string) => events.filter(([kind]) => kind === name).map(([, value]) => value);
    expect(of("status").slice(-2)).toEqual(["processing", "completed"]);
    expect(new Set(of("status")).size).toBe(of("status").length);
    expect(of("progress").length).toBeGreaterThan(1);
    expect(of("progress")).toEqual(of("progress").toSorted((a, b) => Number(a) - Number(b)));
    expect(of("etag")).toEqual([expect.stringMatching(/^"[\w-]+"$/)]);
    expect(problems).toEqual([]);
    expect(asked.join("\n")).not.toContain(server.testKey);
    await page.close();
  });
});
