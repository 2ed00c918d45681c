// The provider of every test key: no key, no network, real clips. What becomes of a job is scripted by tags in its prompt and
// derives from its operation and the clock alone, so that it survives restarts and never needs a store. Only that a job was to stop is
// remembered, and forgotten with the isolate: then it finishes all the same, as a provider's may.
import { z } from "zod";
import type { FailureCode } from "../core/errors.ts";
import type { AspectRatio } from "../core/models.ts";
import { AssetGoneError, RefusedError, RetryableError } from "../core/upstream-errors.ts";
import type { Clock, Provider, VideoSource } from "../ports.ts";
import landscape from "./clips/clip-16x9.mp4";
import portrait from "./clips/clip-9x16.mp4";

const MEDIAN_MS = 6_000;
/** For as long as this after it is ready, a `flaky_poll` job fails its polls and an `expired_link` job gives links that are gone. */
const TROUBLE_MS = 3_000;
const BUSY_RETRY_MS = 2_000;

const FATES = ["stuck", "fail", "refuse", "busy", "flaky_poll", "lost_submit", "expired_link", "truncated", "cancellable"] as const;
type Fate = (typeof FATES)[number] | "none";
const REASONS = ["content_policy", "upstream_rejected"] as const satisfies readonly FailureCode[];

/** Jobs that were asked to stop; the latest are enough. */
const MOST_STOPPED = 1_000;

const operation = z.object({
  /** Absent in what the last release stored. */
  job: z.string().default(""),
  readyAt: z.number(),
  fate: z.enum([...FATES, "none"]),
  reason: z.enum(REASONS),
  aspectRatio: z.enum(["16:9", "9:16"]),
});
const source = z.object({ aspectRatio: z.enum(["16:9", "9:16"]), expired: z.boolean(), truncated: z.boolean() });

const clips: Record<AspectRatio, ArrayBuffer> = { "16:9": landscape, "9:16": portrait };

interface Script {
  readonly fate: Fate;
  readonly reason: (typeof REASONS)[number];
  readonly generationMs: number;
}

function provider(clock: Clock): Provider {
  const stopped = new Set<string>();
  return {
    traits: { images: "url", callback: "none", idempotentCreate: false, retentionMs: null },

    async submit({ generation, attempt, reference }) {
      const { fate, reason, generationMs } = readTags(generation.prompt);
      if (fate === "refuse") throw new RefusedError("task", reason);
      if (fate === "busy" && attempt <= 2) throw new RetryableError("rate_limited", BUSY_RETRY_MS);
      if (fate === "lost_submit") throw new Error("the reply to the submit was lost");
      const aspectRatio = generation.aspectRatio ?? "16:9";
      return { operation: { job: reference, readyAt: clock() + generationMs, fate, reason, aspectRatio }, prompt: null };
    },

    async poll(handle) {
      const { job, readyAt, fate, reason, aspectRatio } = operation.parse(handle);
      if (stopped.has(job)) return { status: "failed", by: "route", reason: "upstream_rejected" };
      const now = clock();
      if (fate === "stuck" || now < readyAt) return { status: "running" };
      const troubled = now < readyAt + TROUBLE_MS;
      if (fate === "flaky_poll" && troubled) throw new Error("the poll failed");
      if (fate === "fail") return { status: "failed", by: reason === "content_policy" ? "task" : "route", reason };
      return {
        status: "succeeded",
        source: { aspectRatio, expired: fate === "expired_link" && troubled, truncated: fate === "truncated" },
      };
    },

    canCancel: (handle) => operation.safeParse(handle).data?.fate === "cancellable",

    async cancel(handle) {
      const { job, readyAt } = operation.parse(handle);
      if (clock() >= readyAt) return "too_late";
      stopped.add(job);
      for (const oldest of stopped) if (stopped.size > MOST_STOPPED) stopped.delete(oldest);
      return "stopping";
    },

    async open(handle): Promise<VideoSource> {
      const { aspectRatio, expired, truncated } = source.parse(handle);
      if (expired) throw new AssetGoneError();
      const clip = clips[aspectRatio];
      const sent = truncated ? clip.slice(0, clip.byteLength / 2) : clip;
      const body = new Response(sent).body;
      if (body === null) throw new Error("a clip has a body");
      return { body, length: clip.byteLength, offset: 0, validator: null };
    },
  };
}

/** `[[fate]]`, `[[fate:detail]]` and `[[slow:seconds]]`, anywhere in the prompt; what is not a tag of ours is just a prompt. */
function readTags(prompt: string): Script {
  let fate: Fate = "none";
  let reason: Script["reason"] = "content_policy";
  let generationMs = MEDIAN_MS;
  for (const [, name, detail] of prompt.matchAll(/\[\[([a-z_]+)(?::([a-z0-9_]+))?\]\]/g)) {
    const named = FATES.find((each) => each === name);
    if (named !== undefined) fate = named;
    reason = REASONS.find((each) => each === detail) ?? reason;
    if (name === "slow" && /^\d{1,4}$/.test(detail ?? "")) generationMs = Number(detail) * 1000;
  }
  return { fate, reason, generationMs };
}

export const simulated = { provider, MEDIAN_MS };
