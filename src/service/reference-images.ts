// Images that come along with a create: kept before the task starts, so that a task that was promised has them, and given to a
// provider that takes URLs by a signed link of ours. They go with the end of their task; what a crash leaves, the sweep finds.
import type { Refusal } from "../core/errors.ts";
import { uploadName } from "../core/reference-image.ts";
import { fail, ok, type Result } from "../core/result.ts";
import { signImageLink, verifyImageLink, type LinkKeys } from "../core/signing.ts";
import type { TaskSpec } from "../core/task.ts";
import { hasTaskIdShape } from "../core/task-id.ts";
import type { Clock, ImageFile, ImageStore, ImageUrlOf, OpenImage } from "../ports.ts";
import { again } from "./again.ts";
import { within } from "./within.ts";

export const IMAGE_PATH = "/v1/video/image";
const KEEP_TIMEOUT_MS = 15_000;
/** A provider may come for the image after it has taken the job; past its deadline no task lasts longer than this. */
const LINK_GRACE_MS = 15 * 60_000;

export async function uploadNames(uploads: readonly ImageFile[]): Promise<string[]> {
  return Promise.all(uploads.map(async ({ bytes }) => uploadName(bytes)));
}

/** Repeatable: who repeats a create brings the same bytes, or is not let in. False: they could not be kept. */
export async function keepUploads(images: ImageStore, task: TaskSpec, uploads: readonly ImageFile[]): Promise<boolean> {
  // They follow what was named by URL.
  const first = task.generation.images.length - uploads.length;
  try {
    for (const [index, file] of uploads.entries()) {
      await again(async () => within(KEEP_TIMEOUT_MS, async () => images.put(task, first + index, file)));
    }
    return true;
  } catch {
    return false;
  }
}

export interface ReferenceImages {
  readonly urlOf: ImageUrlOf;
  /** One R2 read; no KV, no object. The link is all the permission there is. */
  open(id: string, index: number, query: URLSearchParams): Promise<Result<OpenImage & { secondsLeft: number }, Refusal>>;
}

export function referenceImages(deps: {
  images: ImageStore;
  linkKeys: LinkKeys;
  /** The origin that the gateway is known by; null: the one that the task was created at. */
  publicUrl: string | null;
  clock: Clock;
}): ReferenceImages {
  const { images, linkKeys, publicUrl, clock } = deps;
  return {
    // Of the task alone, so that a submit that is repeated says the same.
    async urlOf({ id, base, deadlineAt }, index) {
      const origin = publicUrl ?? base;
      if (!/^https?:\/\//.test(origin)) return null;
      const signed = await signImageLink(linkKeys, id, index, Math.ceil((deadlineAt + LINK_GRACE_MS) / 1000));
      return `${origin}${IMAGE_PATH}/${encodeURIComponent(id).replaceAll("%3A", ":")}/${index}?${new URLSearchParams({ ...signed })}`;
    },

    async open(id, index, query) {
      if (!hasTaskIdShape(id)) return fail({ kind: "not_found" });
      const now = clock();
      const verified = await verifyImageLink(linkKeys, id, index, query, now);
      if (!verified.ok) return verified;
      const found = await images.open(id, index);
      return found === null ? fail({ kind: "not_found" }) : ok({ ...found, secondsLeft: Math.floor(verified.value - now / 1000) });
    },
  };
}
