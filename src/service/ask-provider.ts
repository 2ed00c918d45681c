// What a task asks of a provider, up to the moment its video is ready: a place, a job, how it is getting on, to stop.
import { placeAt, placeEndsAt } from "../core/left-place.ts";
import { isUpload, type ImageType } from "../core/reference-image.ts";
import type { Effect } from "../core/task-machine.ts";
import type { TaskEvent } from "../core/task-transition.ts";
import { attemptNumber, type Lease, type LeftPlace, type QueuedTask } from "../core/task.ts";
import { RefusedError, RetryableError, UnclearReplyError, type RefusedBy } from "../core/upstream-errors.ts";
import type {
  CallbackUrlOf,
  FetchImage,
  HealthOf,
  ImageFile,
  ImageStore,
  ImageUrlOf,
  Job,
  JobImage,
  PollResult,
  ProbesOf,
  Provider,
  ProviderLimits,
  ProviderOf,
  ProviderTimeouts,
} from "../ports.ts";
import { nameOf, type Performed } from "./performed.ts";
import { within } from "./within.ts";

export interface AskingHands {
  readonly healthOf: HealthOf;
  readonly limitsOf: (provider: string) => ProviderLimits;
  readonly providerOf: ProviderOf;
  readonly probesOf: ProbesOf;
  readonly timeoutsOf: (provider: string) => ProviderTimeouts;
  readonly fetchImage: FetchImage;
  readonly images: ImageStore;
  readonly imageUrlOf: ImageUrlOf;
  readonly callbackUrlOf: CallbackUrlOf;
}

const LEASE_TIMEOUT_MS = 5_000;
const KNOCK_TIMEOUT_MS = 5_000;
const IMAGE_TIMEOUT_MS = 15_000;

type Of<Kind extends Effect["kind"]> = Extract<Effect, { kind: Kind }>;

export async function lease({ task, provider, model, credentials }: Of<"lease">, hands: AskingHands): Promise<Performed> {
  const ask = {
    task: task.id,
    stay: placeAt(task, provider)?.stay ?? task.stays,
    tenant: task.tenant,
    model,
    credentials,
    since: task.createdAt,
    deadlineAt: task.deadlineAt,
    until: placeEndsAt(task),
  };
  const acquire = async () => within(LEASE_TIMEOUT_MS, async () => hands.healthOf(provider).acquire(ask, hands.limitsOf(provider)));
  try {
    let reply = await acquire();
    if (reply.kind === "granted" && reply.isProbe && !(await answers(reply.lease, hands))) {
      // Still dead: its health is told so, and has another word for the task then.
      const end = { credential: reply.lease.credential, model, reason: "timeout", durationMs: null, retryAt: null } as const;
      await within(LEASE_TIMEOUT_MS, async () => hands.healthOf(provider).release({ task: ask.task, stay: ask.stay, ...end }));
      reply = await acquire();
    }
    return reply.kind === "granted"
      ? { event: { type: "leased", lease: reply.lease } }
      : { event: { type: "lease_refused", wait: { ...reply.wait, startsAt: reply.startsAt } }, note: "no place" };
  } catch (error) {
    return { event: { type: "lease_missed", provider }, note: nameOf(error) };
  }
}

/**
 * Whether anybody is there, by asking after a job that cannot exist: a task that is handed over to find out is lost where nobody is.
 * Whatever is answered, somebody is.
 */
async function answers({ provider, credential }: Lease, { providerOf, probesOf }: AskingHands): Promise<boolean> {
  const adapter = providerOf({ provider, credential });
  const nobodys = probesOf(provider).get(credential);
  if (adapter === undefined || nobodys === undefined) return true;
  try {
    await within(KNOCK_TIMEOUT_MS, async (signal) => adapter.poll(nobodys, signal));
    return true;
  } catch (error) {
    return error instanceof RetryableError || error instanceof UnclearReplyError;
  }
}

/** The stays whose end the providers' health has heard of. Never throws. */
export async function giveBack(
  task: string,
  left: readonly LeftPlace[],
  { healthOf }: Pick<AskingHands, "healthOf">,
): Promise<readonly number[]> {
  const told = left.map(async ({ provider, stay, credential, model, reason, durationMs, retryAt }) => {
    const end = { task, stay, credential, model, reason, durationMs, retryAt };
    await within(LEASE_TIMEOUT_MS, async () => healthOf(provider).release(end));
    return stay;
  });
  return (await Promise.allSettled(told)).flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
}

/** One after the other: an image may have 10 MB. What was uploaded, or fetched before, is not fetched. */
export async function prepare({ task }: Of<"prepare">, { fetchImage, images }: AskingHands): Promise<Performed> {
  const prepared: { bytes: number; mimeType: ImageType }[] = [];
  try {
    for (const [index, url] of task.generation.images.entries()) {
      const kept = await images.read(task.id, index);
      const file = kept ?? (await fetched(url, hostOf(task), fetchImage));
      if (kept === null) await images.put(task, index, file);
      prepared.push({ bytes: file.bytes.byteLength, mimeType: file.mimeType });
    }
    return { event: { type: "prepared", images: prepared } };
  } catch (error) {
    if (error instanceof RefusedError && (error.reason === "image_fetch_failed" || error.reason === "image_invalid")) {
      return { event: { type: "prepare_failed", reason: error.reason }, note: error.reason };
    }
    return { event: { type: "prepare_missed", by: error instanceof ImageHostError ? "host" : "store" }, note: nameOf(error) };
  }
}

/** The server of an image cannot be reached, or does not answer as it should. */
class ImageHostError extends Error {
  override readonly name = "ImageHostError";
}

async function fetched(url: string, ownHost: string, fetchImage: FetchImage): Promise<ImageFile> {
  try {
    return await within(IMAGE_TIMEOUT_MS, async (signal) => fetchImage(url, ownHost, signal));
  } catch (error) {
    throw error instanceof RefusedError ? error : new ImageHostError();
  }
}

function hostOf({ base }: QueuedTask): string {
  return URL.parse(base)?.host ?? "";
}

export async function submit(
  { attempt, task }: Of<"submit">,
  provider: Provider | undefined,
  hands: AskingHands,
): Promise<Performed> {
  if (provider === undefined) return refused("route", "no such provider");
  const { prompt, generation } = task;
  let job: Job;
  const number = attemptNumber(task);
  try {
    job = {
      model: attempt.model,
      prompt,
      generation,
      attempt: number,
      reference: `${task.id}/${number}`,
      images: await imagesFor(task, provider, hands),
      callbackUrl: attempt.hinted ? await hands.callbackUrlOf(task, number) : null,
    };
  } catch (error) {
    // Ours, and the provider has heard of nothing.
    if (error instanceof RefusedError) return refused("route", error.reason);
    return { event: { type: "submit_unsent" }, note: nameOf(error) };
  }
  try {
    const { submitMs } = hands.timeoutsOf(attempt.provider);
    const submitted = await within(submitMs, async (signal) => provider.submit(job, signal));
    return { event: { type: "submitted", ...submitted } };
  } catch (error) {
    if (error instanceof RetryableError) {
      return {
        event: { type: "submit_refused", by: "busy", reason: error.code, retryAfterMs: error.retryAfterMs },
        note: error.code,
      };
    }
    if (error instanceof RefusedError) {
      return { event: { type: "submit_refused", by: error.by, reason: error.reason }, note: noteOf(error) };
    }
    return { event: { type: "submit_unknown", repeatable: provider.traits.idempotentCreate }, note: nameOf(error) };
  }
}

function noteOf({ by, reason }: RefusedError): string {
  if (by === "model") return "model_unavailable";
  return by === "key" ? "forbidden" : reason;
}

function refused(by: RefusedBy, note: string): Performed {
  return { event: { type: "submit_refused", by, reason: "upstream_rejected" }, note };
}

/** As this adapter takes them, before the provider is called: what cannot be had then costs nothing. */
async function imagesFor(
  task: Of<"submit">["task"],
  { traits }: Provider,
  { images, imageUrlOf }: AskingHands,
): Promise<JobImage[]> {
  return Promise.all(
    task.generation.images.map(async (image, index) => {
      const isInline = traits.images === "inline";
      const file = isInline ? await images.read(task.id, index) : null;
      const url = isInline || !isUpload(image) ? image : await imageUrlOf(task, index);
      if ((isInline && file === null) || url === null) throw new RefusedError("route", "upstream_rejected");
      return { url, file };
    }),
  );
}

export async function poll(
  { task, provider: name }: Of<"poll">,
  provider: Provider | undefined,
  { timeoutsOf }: AskingHands,
): Promise<Performed> {
  if (provider === undefined) return { event: { type: "try_again" }, note: "no such provider" };
  try {
    return { event: eventOf(await within(timeoutsOf(name).pollMs, async (signal) => provider.poll(task.operation, signal))) };
  } catch (error) {
    if (error instanceof RetryableError) {
      return { event: { type: "still_running", retryAfterMs: error.retryAfterMs }, note: error.code };
    }
    return { event: { type: "try_again" }, note: nameOf(error) };
  }
}

export async function cancel(
  { task, provider: name }: Of<"cancel">,
  provider: Provider | undefined,
  { timeoutsOf }: AskingHands,
): Promise<Performed> {
  if (provider?.cancel === undefined) return { event: { type: "cancel_answered", answer: "too_late" }, note: "cannot cancel" };
  try {
    const answer = await within(timeoutsOf(name).pollMs, async (signal) => provider.cancel?.(task.operation, signal));
    return { event: { type: "cancel_answered", answer: answer ?? "too_late" } };
  } catch (error) {
    // It may have been heard. The polls tell, and a provider that cannot be told must not keep them from doing so.
    return { event: { type: "cancel_answered", answer: "stopping" }, note: nameOf(error) };
  }
}

function eventOf(result: PollResult): TaskEvent {
  switch (result.status) {
    case "running":
      return { type: "still_running", retryAfterMs: result.retryAfterMs ?? null };
    case "succeeded":
      return { type: "succeeded", source: result.source };
    case "empty":
      return { type: "spoiled", reason: "upstream_invalid_result" };
    case "missing":
      return { type: "poll_missing" };
    case "failed":
      return { type: "provider_failed", by: result.by, reason: result.reason };
  }
}
