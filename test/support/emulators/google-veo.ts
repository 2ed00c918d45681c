// What Google's Veo takes and answers, in both forms.
import { valueOf } from "./faults.ts";
import { fileOf, type JobView } from "./google-jobs.ts";

const PARAMETERS = [
  "sampleCount",
  "durationSeconds",
  "aspectRatio",
  "resolution",
  "personGeneration",
  "negativePrompt",
  "enhancePrompt",
];
const VERTEX_PARAMETERS = [...PARAMETERS, "storageUri", "generateAudio", "seed", "fps", "compressionQuality", "resizeMode"];

/** Null: taken. */
export function refuseVeo(body: Record<string, unknown>, model: string, isVertex: boolean): string | null {
  const [instance] = (body["instances"] ?? []) as Record<string, unknown>[];
  const parameters = (body["parameters"] ?? {}) as Record<string, unknown>;
  if (typeof instance?.["prompt"] !== "string") return "prompt is required";
  const unknown = Object.keys(parameters).find((name) => !(isVertex ? VERTEX_PARAMETERS : PARAMETERS).includes(name));
  if (unknown !== undefined) return `\`${unknown}\` isn't supported by this model.`;
  if (model.startsWith("veo-2") && "resolution" in parameters) return "`resolution` isn't supported by this model.";
  if (isVertex && !model.startsWith("veo-2") && typeof parameters["generateAudio"] !== "boolean")
    return "generateAudio is required";
  const references = (instance["referenceImages"] ?? []) as Record<string, unknown>[];
  const images = [instance["image"], instance["lastFrame"], ...references.map(({ image }) => image)].filter(
    (each) => each !== undefined,
  );
  if (instance["lastFrame"] !== undefined && instance["image"] === undefined) return "lastFrame needs an image";
  if (references.some(({ referenceType }) => !/^asset$/i.test(String(referenceType)))) return "referenceType must be asset";
  const isLong = Number(parameters["durationSeconds"] ?? 8) === 8;
  if (!isLong && (references.length > 0 || parameters["resolution"] === "1080p")) return "durationSeconds must be 8";
  const isFlat = (image: unknown): boolean => typeof (image as Record<string, unknown>)["bytesBase64Encoded"] === "string";
  return images.every(isFlat) ? null : "`inlineData` isn't supported by this model.";
}

export function operationOf(job: JobView): object {
  const { name, told } = job;
  if (!job.isDone) return { name };
  const [, code, message] = /^([^:]*):(.*)$/s.exec(valueOf(told, "failure:") ?? "") ?? [];
  if (code !== undefined) return { name, done: true, error: { code: Number(code), message, details: [] } };
  return { name, done: true, response: job.isVertex ? vertexResponse(job) : { generateVideoResponse: outcome(job) } };
}

function vertexResponse(job: JobView): object {
  const filtered = filter(job);
  if (filtered !== null) return filtered;
  if (job.told.has("no-video")) return { raiMediaFilteredCount: 0, videos: [] };
  const { storageUri } = job.body["parameters"] as { storageUri?: string };
  const at =
    storageUri === undefined || job.told.has("inline")
      ? { bytesBase64Encoded: Buffer.from(job.video).toString("base64") }
      : { gcsUri: `${storageUri.replace(/\/$/, "")}/${fileOf(job.name)}/sample_0.mp4` };
  return { raiMediaFilteredCount: 0, videos: [{ ...at, mimeType: "video/mp4" }] };
}

function outcome(job: JobView): object {
  const filtered = filter(job);
  if (filtered !== null) return filtered;
  if (job.told.has("no-video")) return {};
  if (job.told.has("inline")) {
    return { generatedSamples: [{ video: { encodedVideo: Buffer.from(job.video).toString("base64"), encoding: "video/mp4" } }] };
  }
  return { generatedSamples: [{ video: { uri: `${job.uri}:download?alt=media` } }] };
}

function filter({ told }: JobView): object | null {
  const reason = told.has("filtered")
    ? "Sorry, we can't create videos with this prompt. Support codes: 58061214"
    : told.has("audio-filtered")
      ? "We encountered an issue with the audio for your prompt. You have not been charged for this attempt."
      : null;
  return reason === null ? null : { raiMediaFilteredCount: 1, raiMediaFilteredReasons: [reason] };
}
