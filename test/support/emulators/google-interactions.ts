// What Google's Interactions take and answer, in both forms.
import { valueOf } from "./faults.ts";
import { fileOf, type JobView } from "./google-jobs.ts";

const TASKS = ["text_to_video", "image_to_video", "reference_to_video"];

/** Null: taken. */
export function refuseInteraction(body: Record<string, unknown>, isVertex: boolean): string | null {
  const given = body["response_format"];
  if (isVertex && !Array.isArray(given)) return "response_format must be a list";
  const format = formatOf(body);
  const input = body["input"];
  const parts = Array.isArray(input) ? (input as Record<string, unknown>[]) : [{ type: "text", text: input }];
  if (typeof body["model"] !== "string") return "model is required";
  if (body["background"] !== true) return "the emulator answers background interactions only";
  if (format["type"] !== "video") return "response_format must be a video's";
  if (!/^\d+s$/.test(String((format["duration"] as string | number | undefined) ?? "8s")))
    return "duration must be a text such as 8s";
  if (isVertex && format["delivery"] === "uri" && typeof format["gcs_uri"] !== "string") return "gcs_uri is required";
  const { task = "text_to_video" } = ((body["generation_config"] ?? {}) as { video_config?: { task?: string } }).video_config ?? {};
  const images = parts.filter(({ type }) => type === "image");
  if (!TASKS.includes(task) || (task === "text_to_video") !== (images.length === 0))
    return `the task ${task} does not fit the input`;
  if (images.some(({ data, mime_type: type }) => typeof data !== "string" || typeof type !== "string"))
    return "an image needs its data";
  const { uris = [] } = (body["webhook_config"] ?? {}) as { uris?: readonly string[] };
  // Loopback is this emulator's own concession.
  if (!uris.every((uri) => /^(https:|http:\/\/127\.0\.0\.1[:/])/.test(uri))) return "webhook_config.uris must be HTTPS";
  return parts.some(({ type, text }) => type === "text" && typeof text === "string") ? null : "a text is required";
}

export function interactionOf(job: JobView): object {
  const { name: id, told, isDone } = job;
  const common = { id, object: "interaction", model: job.body["model"], created: "2026-01-01T00:00:00Z" };
  const echo = told.has("echo") ? [{ type: "user_input", content: job.body["input"] }] : [];
  const [, code, message] = /^([^:]*):(.*)$/s.exec(valueOf(told, "failure:") ?? "") ?? [];
  if (code !== undefined) return { ...common, status: "failed", steps: echo, errors: [{ code, message }] };
  const state = valueOf(told, "state:");
  if (state !== null) return { ...common, status: state, steps: echo };
  if (job.isCancelled) return { ...common, status: "cancelled", steps: echo };
  if (!isDone) return { ...common, status: "in_progress", steps: echo };
  const text = { type: "text", text: "I can't make a video of that person." };
  const content = told.has("text-only") || told.has("filtered") ? [text] : told.has("no-video") ? [] : [video(job)];
  return { ...common, status: "completed", steps: [...echo, { type: "model_output", content }], usage: { total_tokens: 1 } };
}

function video(job: JobView): object {
  const { delivery, gcs_uri: bucket } = formatOf(job.body);
  const common = { type: "video", mime_type: "video/mp4" };
  if (delivery !== "uri" || job.told.has("inline")) return { ...common, data: Buffer.from(job.video).toString("base64") };
  return { ...common, uri: typeof bucket === "string" ? `${bucket.replace(/\/$/, "")}/${fileOf(job.name)}.mp4` : job.uri };
}

function formatOf(body: Record<string, unknown>): Record<string, unknown> {
  return ([body["response_format"] ?? {}].flat()[0] ?? {}) as Record<string, unknown>;
}
