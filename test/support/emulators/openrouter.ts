// OpenRouter's video API on loopback, as its reference documents it. It calls back to https only, so that nobody on this machine is called:
// what it would send is to be had all the same.
import { createHmac } from "node:crypto";
import { valueOf } from "./faults.ts";
import {
  startVideosEmulator,
  type EmulatedJob,
  type Told,
  type VideosEmulator,
  type VideosOptions,
  type VideosWire,
} from "./videos-emulator.ts";

export type OpenrouterOptions = VideosOptions<Bend>;

type Bend =
  /** The documented form of polling_url is relative. */
  | "absolute-polling-url"
  /** That polling_url. */
  | `polling-url:${string}`
  /** A finished job has its signed link, too. */
  | "signed-url"
  /** A finished job has its signed link only. */
  | "only-signed-url"
  /** A finished job without any video. */
  | "no-url"
  /** That content URL. */
  | `content-url:${string}`;

const PREFIX = "/api/v1";

const wire: VideosWire<Bend> = {
  prefix: PREFIX,
  createdStatus: 202,
  words: { queued: "pending", running: "in_progress", done: "completed", failed: "failed" },
  newId: () => `gen-vid-${Math.floor(Date.now() / 1000)}-${crypto.randomUUID().replaceAll("-", "").slice(0, 20)}`,
  complaint: ({ prompt, model, frame_images: frames, callback_url: callback }) => {
    if (typeof prompt !== "string" || prompt === "") return "prompt is required";
    if (typeof model !== "string" || !model.includes("/")) return `${String(model)} is not a valid model ID`;
    if (frames !== undefined && !(Array.isArray(frames) && frames.every(isFrame))) return "frame_images is malformed";
    const isHttps = typeof callback === "string" && callback.startsWith("https://");
    return callback === undefined || isHttps ? null : "callback_url must be HTTPS";
  },
  job: (job, state, told, url) => ({
    id: job.id,
    polling_url: valueOf(told, "polling-url:") ?? `${told.has("absolute-polling-url") ? url : ""}${pathOf(job)}`,
    status: state.word,
    ...(state.failure === null ? {} : { error: state.failure }),
    ...(state.word === "completed" ? finished(job, told, url) : {}),
  }),
  error: (status, message) => ({ error: { code: status, message } }),
};

export const startOpenrouterEmulator = async (options: OpenrouterOptions = {}): Promise<VideosEmulator> =>
  startVideosEmulator(wire, options);

/** What it sends when a job has ended, as a workspace with a signing secret gets it; `at` in unix milliseconds. */
export function openrouterCallback(id: string, secret: string, at = Date.now()) {
  const status = "completed";
  const data = { id, status, generation_id: "gen-1", model: "google/veo-3.1", unsigned_urls: [], usage: { cost: 0.5 } };
  const body = JSON.stringify({ type: `video.generation.${status}`, created_at: new Date(at).toISOString(), data });
  const time = Math.floor(at / 1000);
  const hash = createHmac("sha256", secret).update(`${time},${body}`).digest("hex");
  const own = { "x-openrouter-signature": `t=${time},v1=${hash}`, "x-openrouter-idempotency-key": `${id}-${status}` };
  return { headers: { "content-type": "application/json", ...own }, body };
}

function isFrame(frame: unknown): boolean {
  const {
    type,
    frame_type: at,
    image_url: image,
  } = frame as { type?: unknown; frame_type?: unknown; image_url?: { url?: unknown } };
  return type === "image_url" && (at === "first_frame" || at === "last_frame") && typeof image?.url === "string";
}

const pathOf = ({ id }: EmulatedJob): string => `${PREFIX}/videos/${encodeURIComponent(id)}`;

function finished(job: EmulatedJob, told: Told<Bend>, url: string): object {
  const whole = { generation_id: job.id, usage: { cost: 0.5, is_byok: false } };
  if (told.has("no-url")) return { ...whole, unsigned_urls: [] };
  const content = valueOf(told, "content-url:") ?? `${url}${pathOf(job)}/content?index=0`;
  const isSigned = told.has("signed-url") || told.has("only-signed-url");
  return {
    ...whole,
    ...(told.has("only-signed-url") ? {} : { unsigned_urls: [content] }),
    ...(isSigned ? { urls: [`${url}/storage/${encodeURIComponent(job.id)}.mp4?signature=s`], expires_at: 2_000_000_000 } : {}),
  };
}
