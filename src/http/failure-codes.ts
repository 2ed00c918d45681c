// Why an accepted task ended without a video: what a query of it answers, with more of why and what to do than its message has
// room for.
import { describeFailure, type FailureCode } from "../core/errors.ts";
import type { PublicTask } from "../core/public-task.ts";
import { queryBody, type QueryBody } from "../service/query-body.ts";

export interface FailureEntry {
  readonly code: FailureCode;
  /** What a query answers. */
  readonly example: QueryBody;
  readonly why: string;
  readonly todo: string;
}

/** A code without one does not build. */
const FAILURES: Record<FailureCode, { readonly why: string; readonly todo: string }> = {
  content_policy: {
    why: "Providers refuse prompts and images by rules of their own: violence, nudity, real persons, protected works and the like.",
    todo: "Say it in another way, or use other images. The same prompt is likely to be refused again, by any model.",
  },
  image_fetch_failed: {
    why: "An image's server did not answer, asked for a password, or sent us elsewhere.",
    todo: "Open the URL in a private window: it must show the image, without signing in.",
  },
  image_invalid: {
    why: "What the URL gave is not an image that providers take: another format, too large, or a page about the image.",
    todo: "Use the image's own URL, not that of a page that shows it.",
  },
  upstream_rejected: {
    why: "Each provider that could make this video said no to it, cleanly and before any work began.",
    todo: "Try fewer or other options, or another model. If every request ends so, tell the operator.",
  },
  upstream_ambiguous: {
    why: "The answer to the hand-over was lost, so a provider may or may not be at work. A second hand-over could make the video twice.",
    todo: "Create a new task. It has nothing to do with what you sent.",
  },
  upstream_lost: {
    why: "The provider had accepted the task, and later said several times that it knows no such task.",
    todo: "Create a new task.",
  },
  upstream_invalid_result: {
    why: "Every video is read back and checked before it is called completed. This one was cut off, empty or no video.",
    todo: "Create a new task. If it happens again with the same model, tell the operator.",
  },
  upstream_asset_expired: {
    why: "Providers keep finished videos for a short time only, and this one was gone before it was copied.",
    todo: "Create a new task.",
  },
  timeout: {
    why: "Every task has a deadline, counted from create; GET /v1/models has it as deadline_seconds. The provider was still at work.",
    todo: "Create a new task, perhaps with a faster model or without upsampling.",
  },
  queue_timeout: {
    why: "Providers take so many tasks at a time. They were busy until the deadline, and work on this one never began.",
    todo: "Create a new task later, or with another model.",
  },
  internal_error: {
    why: "A step of ours failed repeatedly.",
    todo: "Create a new task. If it happens again, tell the operator the task's id.",
  },
  cancelled: {
    why: "You cancelled it, or the operator did.",
    todo: "Nothing. Create a new task if you want the video after all.",
  },
};

export function failureEntries(): FailureEntry[] {
  return (Object.keys(FAILURES) as FailureCode[]).map((code) => {
    const error = { code, message: describeFailure(code) };
    return { code, ...FAILURES[code], example: queryBody(sampleTask({ status: "failed", error })) };
  });
}

/** A task as the examples tell of it. */
export function sampleTask(change: Partial<PublicTask>): PublicTask {
  return {
    id: "veo3:1704067200-xxxxxxxx",
    model: "veo3",
    createdAt: 1_704_067_200,
    metadata: {},
    aspectRatio: "16:9",
    upsample: false,
    credits: 40,
    status: "pending",
    statusChangedAt: 1_704_067_200,
    prompt: "A serene lake with mountains in the background at sunset",
    videoUrl: null,
    linkRevision: 0,
    video: null,
    expiresAt: null,
    error: null,
    ...change,
  };
}
