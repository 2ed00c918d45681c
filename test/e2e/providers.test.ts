// Every wire, in every form, behind one running gateway: from a tenant's prompt to bytes, and nothing of the provider on the way. What
// the emulators plant in their replies is searched for in all that was said, at the end.
import { createHash } from "node:crypto";
import { globSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LOCAL_ADMIN_TOKEN } from "../../src/cli/demo-tenant.ts";
import { CANARIES } from "../support/emulators/canary.ts";
import type { QueueEmulator } from "../support/emulators/queue-emulator.ts";
import { signedCallback, WEBHOOK_SECRET } from "../support/emulators/replicate.ts";
import { startReceiver, type Receiver } from "../support/emulators/receiver.ts";
import { PNG, redirectsTo, sends, serveImages, type ImageServer } from "../support/image-server.ts";
import { envOf, finishNext, nextJob, startForms, type Form } from "../support/provider-forms.ts";
import { startReelay, type Server } from "../support/server.ts";
import type { Video } from "../support/tenant-calls.ts";

const CLIP = new URL("../../src/providers/clips/clip-16x9.mp4", import.meta.url);
const PROMPT = "a lake at sunset";

let persistTo: string;
let forms: Form[];
let images: ImageServer;
let receiver: Receiver;
let server: Server;
let gateway: string;
/** Everything that the gateway answered, headers and all, but the videos. */
const said: string[] = [];
const finished = new Set<string>();

beforeAll(async () => {
  persistTo = await mkdtemp(join(tmpdir(), "reelay-providers-"));
  forms = await startForms();
  receiver = await startReceiver();
  images = await serveImages({
    "/lake.png": sends("text/plain", PNG),
    "/page.png": sends("image/png", "<html>not an image</html>"),
    "/away.png": redirectsTo("http://10.0.0.7/a.png"),
  });
  server = await startReelay({ persistTo, env: envOf(forms) });
  // Providers on this machine are called back at the address that the task was created at.
  gateway = server.url.replace("localhost", "127.0.0.1");
});

afterAll(async () => {
  await server.stop();
  await Promise.all([...forms, images, receiver].map(async (each) => each.close()));
  await rm(persistTo, { recursive: true });
});

async function ask(path: string, init: RequestInit = {}, key = server.liveKey): Promise<{ status: number; text: string }> {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const reply = await fetch(`${gateway}${path}`, { headers, ...init });
  const text = await reply.text();
  said.push(`${path} ${JSON.stringify([...reply.headers])} ${text}`);
  return { status: reply.status, text };
}

async function get<Body>(path: string, key?: string): Promise<Body> {
  const { status, text } = await ask(path, {}, key);
  if (status !== 200) throw new Error(`${path} answered ${status}: ${text}`);
  return JSON.parse(text) as Body;
}

async function create(model: string, more: object = {}): Promise<string> {
  const body = JSON.stringify({ model, prompt: PROMPT, webhook_url: receiver.url, ...more });
  const { status, text } = await ask("/v1/video/create", { method: "POST", body });
  if (status !== 200) throw new Error(`create answered ${status}: ${text}`);
  return (JSON.parse(text) as Video).id;
}

async function untilEnded(id: string): Promise<Video> {
  for (;;) {
    const video = await get<Video>(`/v1/video/query?id=${encodeURIComponent(id)}`);
    if (video.status === "completed" || video.status === "failed") return video;
    await sleep(250);
  }
}

/** What happened to the credits of each of these tasks, the first movement first. */
async function movementsOf(ids: readonly string[]): Promise<string[][]> {
  const { data } = await get<{ data: { kind: string; ref: string | null }[] }>("/v1/account/journal?limit=100");
  return ids.map((id) => data.flatMap(({ kind, ref }) => (ref === id ? [kind] : [])).reverse());
}

async function attemptsOf(id: string): Promise<{ provider: string; outcome: string }[]> {
  const path = `/admin/v1/tasks?id=${encodeURIComponent(id)}`;
  const { attempts } = await get<{ attempts: { provider: string; outcome: string }[] }>(path, LOCAL_ADMIN_TOKEN);
  return attempts.map(({ provider, outcome }) => ({ provider, outcome }));
}

/** A task for each form, to its end; the providers that call back do. */
async function runAll(): Promise<{ ids: string[]; videos: Video[]; jobs: number[] }> {
  const before = forms.map((form) => form.jobs());
  // What a provider makes of the prompt, where it says so, is a tenant's to read.
  const ids = await Promise.all(forms.map(async ({ model }) => create(model, { enhance_prompt: true })));
  const videos = await Promise.all(
    forms.map(async (form, index) => {
      const ended = untilEnded(ids[index] ?? "");
      await Promise.race([ended, finishNext(form, finished)]);
      return ended;
    }),
  );
  return { ids, videos, jobs: forms.map((form, index) => form.jobs() - (before[index] ?? 0)) };
}

const names = (): string[] => forms.map(({ name }) => name);
const each = <Value>(value: Value): Value[] => forms.map(() => value);

it("makes a video over every wire in every form, through its errors, of the provider's bytes, charged once", async () => {
  // What these say is searched for at the end, as everything is.
  const later = ["return-503"];
  for (const form of forms)
    form.does({
      create: [["return-429", "retry-after:1"], ...later],
      query: later,
      result: later,
      download: later,
      storage: later,
    });
  const { ids, videos, jobs } = await runAll();
  expect(videos.map(({ status }, index) => `${names()[index]} ${status}`)).toEqual(names().map((name) => `${name} completed`));
  const sha = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
  const files = await Promise.all(
    videos.map(async ({ video_url: link }) => {
      const reply = await fetch(link as string);
      said.push(`${link} ${JSON.stringify([...reply.headers])}`);
      return sha(new Uint8Array(await reply.arrayBuffer()));
    }),
  );
  expect(files).toEqual(each(sha(await readFile(CLIP))));
  expect(jobs).toEqual(each(1));
  expect(await movementsOf(ids)).toEqual(each(["hold", "settle"]));
  const attempts = ["busy", "busy", "accepted"];
  expect(await Promise.all(ids.map(attemptsOf))).toEqual(
    names().map((provider) => attempts.map((outcome) => ({ provider, outcome }))),
  );
});

describe("a callback", () => {
  /** One for each provider that was given a URL. */
  const urls = (): string[] => forms.flatMap((form) => form.callbackUrls().slice(0, 1)).map((url) => new URL(url).pathname);
  const post = async (path: string, body = "{}") => (await ask(path, { method: "POST", body })).status;

  it("that comes again, or is forged, changes nothing", async () => {
    expect(urls()).toHaveLength(3);
    const books = await get<{ data: unknown[] }>("/v1/account/journal?limit=100");
    const jobs = forms.map((form) => form.jobs());
    for (const url of urls()) {
      expect([await post(url), await post(url, "not JSON"), await post(url, '{"status":"ERROR"}')]).toEqual([200, 200, 200]);
      const forged = url.slice(0, -1) + (url.endsWith("A") ? "B" : "A");
      expect([await post(forged), await post(`${url}A`), await post(`/v1/callbacks/${"A".repeat(60)}`)]).toEqual([404, 404, 404]);
    }
    expect(await get("/v1/account/journal?limit=100")).toEqual(books);
    expect(forms.map((form) => form.jobs())).toEqual(jobs);
  });

  it("of the provider's own that comes again after its task's end changes nothing", async () => {
    type Listed = Record<"id" | "status" | "status_update_time", unknown>;
    const tasks = async () => (await get<{ data: Listed[] }>("/v1/video/list?limit=50")).data;
    const read = async () => ({
      books: await get("/v1/account/journal?limit=100"),
      tasks: (await tasks()).map(({ id, status, status_update_time: at }) => ({ id, status, at })),
      jobs: forms.map((form) => form.jobs()),
    });
    const before = await read();
    const calling = forms.filter(({ finish }) => finish !== null);
    expect(calling.map(({ name }) => name)).toEqual(["gemini-key", "fal", "replicate"]);
    for (const form of calling) {
      const ended = [...new Set(form.ids())].filter((id) => finished.has(id));
      expect(ended).toHaveLength(1);
      // Sent where it was asked for, and once more by hand, to see that it is taken for genuine.
      const sent = await form.finish?.(ended[0] ?? "");
      const reply = await fetch(form.callbackUrls().at(-1) ?? "", { method: "POST", ...sent });
      said.push(await reply.text());
      expect(reply.status).toBe(200);
    }
    // Longer than a hint takes to be followed.
    await sleep(2_500);
    expect(await read()).toEqual(before);
  });

  it("is a hint only if it is signed as the operator was told", async () => {
    const form = forms.find(({ name }) => name === "replicate") as Form;
    const queue = form.queue as QueueEmulator;
    const id = await create(form.model);
    // Its first poll; the next one of its own is ten seconds away.
    const job = await nextJob(form, finished);
    const polls = (): number => queue.requests().filter(({ call, path }) => call === "query" && path.includes(job)).length;
    const webhook = form.callbackUrls().at(-1) ?? "";
    const body = JSON.stringify({ id: job, status: "succeeded" });
    const forge = (secret: string, at = Date.now()) => signedCallback(body, secret, "msg_forged", at);
    const stale = forge(WEBHOOK_SECRET, Date.now() - 301_000);
    for (const callback of [{ headers: {}, body }, forge(`whsec_${btoa("nobody's secret at all")}`), stale]) {
      const reply = await fetch(webhook, { method: "POST", ...callback });
      expect([reply.status, await reply.json()]).toEqual([200, { received: true }]);
    }
    await sleep(1_500);
    expect(polls()).toBe(1);
    await queue.finish(job);
    expect((await untilEnded(id)).status).toBe("completed");
    expect(polls()).toBe(2);
  });
});

describe("a reference image, for a wire that sends it along", () => {
  const veoKey = (): Form => forms.find(({ name }) => name === "veo-key") as Form;

  it("arrives as it was fetched", async () => {
    const id = await create(veoKey().model, { images: [`${images.url}/lake.png`] });
    expect((await untilEnded(id)).status).toBe("completed");
    expect(veoKey().creates().at(-1)).toMatchObject({
      instances: [{ image: { bytesBase64Encoded: PNG.toString("base64"), mimeType: "image/png" } }],
    });
    expect(await movementsOf([id])).toEqual([["hold", "settle"]]);
  });

  it("arrives as it was uploaded", async () => {
    const body = new FormData();
    body.set("model", veoKey().model);
    body.set("prompt", PROMPT);
    body.set("input_reference", new File([PNG], "lake.png"));
    const headers = { authorization: `Bearer ${server.liveKey}` };
    const { status, text } = await ask("/v1/videos", { method: "POST", headers, body });
    expect(status, text).toBe(200);
    expect((await untilEnded((JSON.parse(text) as Video).id)).status).toBe("completed");
    expect(veoKey().creates().at(-1)).toMatchObject({
      instances: [{ image: { bytesBase64Encoded: PNG.toString("base64"), mimeType: "image/png" } }],
    });
  });

  it.each([
    ["/missing.png", "image_fetch_failed"],
    ["/away.png", "image_fetch_failed"],
    ["/page.png", "image_invalid"],
  ])("%s: the task fails with %s before any provider is asked, and the hold is released", async (path, code) => {
    const jobs = veoKey().creates().length;
    const id = await create(veoKey().model, { images: [`${images.url}${path}`] });
    expect(await untilEnded(id)).toMatchObject({ status: "failed", video_url: null, error: { code } });
    expect(await movementsOf([id])).toEqual([["hold", "release"]]);
    expect(await attemptsOf(id)).toEqual([]);
    expect(veoKey().creates()).toHaveLength(jobs);
  });
});

it("fails a task whose job fails, over every wire, and releases its hold", async () => {
  for (const form of forms) form.failJobs();
  const { ids, videos, jobs } = await runAll();
  expect(videos.map(({ status }) => status)).toEqual(each("failed"));
  expect(videos.map(({ error }) => error?.code)).toEqual(
    names().map((name) => (name === "seed-style" ? "content_policy" : "upstream_rejected")),
  );
  expect(jobs).toEqual(each(1));
  expect(await movementsOf(ids)).toEqual(each(["hold", "release"]));
});

it("fails a task that no provider takes, over every wire, and releases its hold", async () => {
  for (const form of forms) form.refuseJobs();
  const { ids, videos, jobs } = await runAll();
  expect(videos.map(({ error }) => error?.code)).toEqual(each("upstream_rejected"));
  expect(jobs).toEqual(each(0));
  expect(await movementsOf(ids)).toEqual(each(["hold", "release"]));
});

it("has told nobody of a provider's words, keys, hosts and ids", async () => {
  const ids = forms.flatMap((form) => form.ids());
  expect(ids.length).toBeGreaterThanOrEqual(2 * forms.length);
  const hosts = forms.flatMap(({ baseUrl, queue }) => [baseUrl, ...(queue === null ? [] : [queue.filesUrl])]);
  const secrets = forms.flatMap(({ credential, callbackSecret = [] }) => [credential, callbackSecret].flat());
  const hidden = [...CANARIES, "caught fire", ...ids, ...hosts.map((url) => new URL(url).host), ...secrets];
  const webhooks = receiver.received.map(({ headers, body }) => `${JSON.stringify(headers)} ${body}`);
  expect(webhooks.length).toBeGreaterThan(forms.length);
  // Of every binding a local run prints the name and the beginning, before it takes a request.
  const log = server.output();
  expect(log).toContain('"event":"task_step"');
  const kept = globSync(join(persistTo, "v3/{r2,kv}/**/*.sqlite*"));
  expect(kept.length).toBeGreaterThan(1);
  const places: Record<string, string> = { said: said.join("\n"), webhooks: webhooks.join("\n"), log };
  for (const file of kept) places[file] = (await readFile(file)).toString("latin1");
  for (const [place, text] of Object.entries(places)) {
    expect(
      hidden.filter((needle) => text.includes(needle)),
      place,
    ).toEqual([]);
  }
});
