// A server that speaks OpenAI's video API on loopback, as the official client knows it, and as other servers bend it.
import { valueOf } from "./faults.ts";
import {
  startVideosEmulator,
  type EmulatedJob,
  type JobState,
  type Told,
  type VideosEmulator,
  type VideosOptions,
  type VideosWire,
} from "./videos-emulator.ts";

export type OpenaiStyleOptions = VideosOptions<Bend>;

/** How servers other than OpenAI's differ. */
type Bend =
  /** Where a finished job names its video, which then is in the storage. */
  | "names:url"
  | "names:video_url"
  | "names:metadata.url"
  /** The same, as a path. */
  | "names:path"
  /** A link that is nobody's business: an address inside the server's own network. */
  | "names:private"
  | "progress-as-text"
  | "ms-times"
  /** The id is called task_id. */
  | "task-id"
  /** The job in a task layer's envelope. */
  | "enveloped"
  | `poll-after-ms:${number}`;

const SIZES = ["720x1280", "1280x720", "1024x1792", "1792x1024"];

const wire: VideosWire<Bend> = {
  prefix: "/v1",
  createdStatus: 200,
  words: { queued: "queued", running: "in_progress", done: "completed", failed: "failed" },
  newId: () => `video_${crypto.randomUUID().replaceAll("-", "")}`,
  complaint: ({ prompt, model, seconds, size }) => {
    if (typeof prompt !== "string" || prompt === "") return "prompt is required";
    if (typeof model !== "string") return "model is required";
    if (seconds !== undefined && !["4", "8", "12"].some((each) => each === seconds)) return "seconds must be one of 4, 8, 12";
    return size === undefined || SIZES.some((each) => each === size) ? null : "size is not supported";
  },
  job: (job, state, told, url) => {
    const whole = { ...videoOf(job, state, told), ...linkOf(job, state, told, url) };
    const { id, ...rest } = whole;
    const named = told.has("task-id") ? { ...rest, task_id: id } : whole;
    return told.has("enveloped") ? { code: "success", message: "", data: named } : named;
  },
  error: (status, message) => ({ error: { message, type: "emulator_error", param: null, code: `emulated_${status}` } }),
  hints: (told): Record<string, string> => {
    const ms = valueOf(told, "poll-after-ms:");
    return ms === null ? {} : { "openai-poll-after-ms": ms };
  },
};

export const startOpenaiStyleEmulator = async (options: OpenaiStyleOptions = {}): Promise<VideosEmulator> =>
  startVideosEmulator(wire, options);

function videoOf({ id, asked, createdAt, polls }: EmulatedJob, { word, failure }: JobState, told: Told<Bend>) {
  const time = (ms: number) => (told.has("ms-times") ? ms : Math.floor(ms / 1000));
  const progress = word === "completed" ? 100 : Math.min(polls * 35, 99);
  return {
    id,
    object: "video",
    model: asked["model"],
    status: word,
    progress: told.has("progress-as-text") ? `${progress}%` : progress,
    created_at: time(createdAt),
    completed_at: word === "completed" ? time(createdAt + 1000) : null,
    expires_at: null,
    prompt: asked["prompt"],
    remixed_from_video_id: null,
    seconds: asked["seconds"] ?? "4",
    size: asked["size"] ?? "720x1280",
    error: failure === null ? null : { code: failure, message: "The video could not be generated." },
  };
}

function linkOf({ id }: EmulatedJob, { word }: JobState, told: Told<Bend>, url: string): object {
  const path = `/storage/${encodeURIComponent(id)}.mp4`;
  if (word !== "completed") return {};
  switch (valueOf(told, "names:")) {
    case "url":
      return { url: `${url}${path}` };
    case "video_url":
      return { video_url: `${url}${path}` };
    case "metadata.url":
      return { metadata: { url: `${url}${path}` } };
    case "path":
      return { url: path };
    case "private":
      return { url: "http://10.0.0.7/outputs/video.mp4" };
    default:
      return {};
  }
}
