// What adapters are given in tests: an account with an upstream, and a job for it.
import type { Generation } from "../../src/core/generation.ts";
import type { Job, Upstream } from "../../src/ports.ts";

export function anUpstream(given: Partial<Upstream> = {}): Upstream {
  return {
    baseUrl: "https://upstream.example",
    credential: "sk-upstream-secret",
    resultHosts: null,
    allowLoopback: false,
    honoursIdempotencyKey: false,
    region: null,
    storageUri: null,
    callbackSecrets: [],
    ...given,
  };
}

/** Images are passed on as URLs, unless `job.images` has files. */
export function aJob(generation: Partial<Generation> = {}, job: Partial<Job> = {}): Job {
  const plain = { model: "veo3", prompt: "a lake", enhancePrompt: false, upsample: false, aspectRatio: null, images: [] } as const;
  const whole: Generation = { ...plain, ...generation };
  const images = whole.images.map((url) => ({ url, file: null }));
  const { model, prompt } = whole;
  return { model, prompt, attempt: 1, reference: "veo3:1-a/1", callbackUrl: null, images, ...job, generation: whole };
}
