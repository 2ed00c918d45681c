// `npm run demo -- "a lake at sunset"`: what a tenant does with the API, from the prompt to the file.
import { constants, createWriteStream } from "node:fs";
import { access, rename, rm, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { Command, CommanderError } from "commander";
import { DEMO_TEST_KEY } from "./demo-tenant.ts";
import { ApiError, UnreachableError } from "./gateway-call.ts";
import { LOCAL_URL } from "./loopback.ts";
import { printable } from "./printable.ts";
import { ProgressLine } from "./progress-line.ts";
import { openVideo, VideoApi, type VideoRequest, type VideoTask } from "./video-api.ts";

/** Polls in a row that may fail before we give up: the task goes on meanwhile, so a restart of the server is no reason to. */
const MAX_FAILED_POLLS = 5;
const FAILED_POLL_MS = 2_000;
/** Sooner than a program would look: somebody is watching, and reading costs no credits. */
const LOOK_MS = 1_000;

interface Options {
  readonly key: string;
  readonly url: string;
  readonly model: string;
  readonly aspectRatio?: string;
  readonly image?: readonly string[];
  readonly out?: string;
}

/** The task ended without a video. */
class TaskFailedError extends Error {}

const program = new Command("npm run demo --")
  .description("Creates a video, waits for it and saves it.")
  .argument("<prompt...>", 'what the video shows, as in: npm run demo -- "a lake at sunset"')
  .option("--key <key>", "API key", DEMO_TEST_KEY)
  .option("--url <url>", "the gateway", LOCAL_URL)
  .option("--model <model>", "one of GET /v1/models", "veo3")
  .option("--aspect-ratio <ratio>", "16:9 or 9:16")
  .option("--image <url...>", "reference images")
  .option("--out <file>", "where to save it (default: reelay-<task>.mp4)")
  .showHelpAfterError()
  .exitOverride()
  .action((words: string[], options: Options) => run(words.join(" "), options));

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeFor(error);
}

async function run(prompt: string, options: Options): Promise<void> {
  await check(options);
  const api = new VideoApi(options.url, options.key);
  const line = new ProgressLine(process.stderr);
  try {
    line.show("creating");
    const created = await api.create(requestFor(prompt, options));
    const link = await untilCompleted(api, created, line);
    const file = resolve(options.out ?? `reelay-${created.id.replaceAll(/[^\w.-]/g, "-")}.mp4`);
    line.show("saving");
    await save(link, file);
    line.end();
    console.log(`Saved ${file} (${await sizeOf(file)})\n${printable(link)}`);
  } finally {
    line.end();
  }
}

/** What can be known to go wrong before it costs anything. */
async function check({ url, out = "video.mp4" }: Options): Promise<void> {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) program.error(`error: --url ${printable(url)} is not a URL`);
  const folder = dirname(resolve(out));
  await access(folder, constants.W_OK).catch(() => program.error(`error: cannot write to ${printable(folder)}`));
}

function requestFor(prompt: string, { model, aspectRatio, image }: Options): VideoRequest {
  return {
    model,
    prompt,
    ...(aspectRatio !== undefined && { aspect_ratio: aspectRatio }),
    ...(image !== undefined && { images: image }),
  };
}

/** The finished video's link. Throws TaskFailedError where there will be none. */
async function untilCompleted(api: VideoApi, created: VideoTask, line: ProgressLine): Promise<string> {
  let task = created;
  for (let failedPolls = 0; ;) {
    const progress = task.status === "processing" && task.progress !== undefined ? `  ${line.percent(task.progress)}` : "";
    line.show(`${printable(task.status)}${progress}  ${printable(task.id)}`);
    if (task.status === "completed" && task.video_url) return task.video_url;
    if (task.status === "failed") throw new TaskFailedError(`${task.id} failed: ${task.error?.message ?? "no reason given"}`);
    try {
      const answer = await api.query(task.id);
      task = answer.task;
      failedPolls = 0;
      if (task.status === "pending" || task.status === "processing") await sleep(Math.min(answer.pollAfterMs, LOOK_MS));
    } catch (error) {
      failedPolls++;
      if (!isPassing(error) || failedPolls >= MAX_FAILED_POLLS) throw error;
      await sleep(error instanceof ApiError ? error.pollAfterMs : FAILED_POLL_MS);
    }
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof UnreachableError || (error instanceof ApiError && (error.status === 429 || error.status >= 500));
}

/** Under its own name only once it is whole. */
async function save(link: string, file: string): Promise<void> {
  const part = `${file}.part`;
  try {
    await pipeline(await openVideo(link), createWriteStream(part));
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

async function sizeOf(file: string): Promise<string> {
  const { size } = await stat(file);
  return size < 1_000_000 ? `${Math.ceil(size / 1000)} kB` : `${(size / 1_000_000).toFixed(1)} MB`;
}

/** Says what went wrong. 2: the command line is wrong; 1: anything else. */
function exitCodeFor(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof ApiError) {
    console.error(
      `${error.message} (HTTP ${error.status}${error.requestId === null ? "" : `, request ${printable(error.requestId)}`})`,
    );
  } else if (error instanceof UnreachableError) {
    console.error(`${printable(error.message)} Is the server running? Start it with: npm start`);
  } else {
    console.error(printable(error instanceof Error ? error.message : String(error)));
  }
  return 1;
}
