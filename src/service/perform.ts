// One effect in, one event out: everything a task does to the outside world. It decides nothing; what cannot be done now is an event too.
import type { Effect } from "../core/task-machine.ts";
import type { TaskEvent } from "../core/task-transition.ts";
import type { SettlingTask, StoringTask, Upload } from "../core/task.ts";
import { orphanOf } from "../core/task.ts";
import { AssetGoneError, RefusedError, RetryableError, SourceError, UnclearReplyError } from "../core/upstream-errors.ts";
import type { EventsOf, Job, LedgerOf, PollResult, Provider, Settlement, VideoStore } from "../ports.ts";
import { within } from "./within.ts";

export interface Hands {
  readonly providers: ReadonlyMap<string, Provider>;
  readonly videos: VideoStore;
  readonly ledgerOf: LedgerOf;
  readonly eventsOf: EventsOf;
}

/** Saves a step that is half done, so that a crash goes on from there. */
export type Checkpoint = (event: TaskEvent) => Promise<void>;

/** What happened, and for the operator's log why, in our own words. */
export interface Performed {
  readonly event: TaskEvent;
  readonly note?: string;
}

const SUBMIT_TIMEOUT_MS = 60_000;
const POLL_TIMEOUT_MS = 30_000;
const ANNOUNCE_TIMEOUT_MS = 5_000;
/** With the storing grace of core/task-machine it stays under the 15 minutes that a late task may take at most. */
const STORE_TIMEOUT_MS = 6 * 60_000;

type Busy = Exclude<Effect, { kind: "none" }>;
type Of<Kind extends Busy["kind"]> = Extract<Busy, { kind: Kind }>;

export async function perform(effect: Busy, hands: Hands, checkpoint: Checkpoint): Promise<Performed> {
  switch (effect.kind) {
    case "submit":
      return submit(effect, hands.providers.get(effect.attempt.provider));
    case "poll":
      return poll(effect, hands.providers.get(effect.provider));
    case "cancel":
      return cancel(effect, hands.providers.get(effect.provider));
    case "announce":
      return announce(effect, hands);
    case "store":
      return store(effect, hands.providers.get(effect.provider), hands.videos, checkpoint);
    case "settle":
      return settle(effect.task, hands);
    case "purge":
      return purge(effect, hands);
  }
}

async function submit({ attempt, task }: Of<"submit">, provider: Provider | undefined): Promise<Performed> {
  if (provider === undefined) return refused("route", "no such provider");
  const { prompt, generation, attempts } = task;
  try {
    const job: Job = {
      model: attempt.model,
      prompt,
      generation,
      attempt: attempts.length,
      reference: `${task.id}/${attempts.length}`,
      images: generation.images.map((url) => ({ url, file: null })),
      callbackUrl: null,
    };
    const submitted = await within(SUBMIT_TIMEOUT_MS, async (signal) => provider.submit(job, signal));
    return { event: { type: "submitted", ...submitted } };
  } catch (error) {
    if (error instanceof RetryableError) {
      return {
        event: { type: "submit_refused", by: "busy", reason: "upstream_rejected", retryAfterMs: error.retryAfterMs },
        note: error.code,
      };
    }
    if (error instanceof RefusedError) {
      return { event: { type: "submit_refused", by: error.by, reason: error.reason, retryAfterMs: 0 }, note: error.reason };
    }
    return { event: { type: "submit_unknown" }, note: nameOf(error) };
  }
}

function refused(by: "route" | "task", note: string): Performed {
  return { event: { type: "submit_refused", by, reason: "upstream_rejected", retryAfterMs: 0 }, note };
}

async function poll({ task }: Of<"poll">, provider: Provider | undefined): Promise<Performed> {
  if (provider === undefined) return { event: { type: "try_again" }, note: "no such provider" };
  try {
    return { event: eventOf(await within(POLL_TIMEOUT_MS, async (signal) => provider.poll(task.operation, signal))) };
  } catch (error) {
    if (error instanceof RetryableError) {
      return { event: { type: "still_running", retryAfterMs: error.retryAfterMs }, note: error.code };
    }
    return { event: { type: "try_again" }, note: nameOf(error) };
  }
}

async function cancel({ task }: Of<"cancel">, provider: Provider | undefined): Promise<Performed> {
  if (provider?.cancel === undefined) return { event: { type: "cancel_answered", answer: "too_late" }, note: "cannot cancel" };
  try {
    const answer = await within(POLL_TIMEOUT_MS, async (signal) => provider.cancel?.(task.operation, signal));
    return { event: { type: "cancel_answered", answer: answer ?? "too_late" } };
  } catch (error) {
    return { event: { type: "try_again" }, note: nameOf(error) };
  }
}

/** On record there, and delivered from there: how slow a receiver is never matters here. */
async function announce({ news, task }: Of<"announce">, { eventsOf }: Hands): Promise<Performed> {
  try {
    await within(ANNOUNCE_TIMEOUT_MS, async () => eventsOf(task.tenant, task.mode).publish(news));
    return { event: { type: "announced", types: news.map(({ type }) => type) } };
  } catch (error) {
    return { event: { type: "try_again" }, note: nameOf(error) };
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
      return { type: "provider_failed", reason: result.reason };
  }
}

async function store(
  { task }: Of<"store">,
  provider: Provider | undefined,
  videos: VideoStore,
  checkpoint: Checkpoint,
): Promise<Performed> {
  if (provider === undefined) return { event: { type: "store_failed", retryAfterMs: null }, note: "no such provider" };
  try {
    await within(STORE_TIMEOUT_MS, async (signal) => {
      const source = await provider.open(task.source, resumePoint(task), signal);
      await videos.store(task, source, task.upload, async (upload: Upload) => checkpoint({ type: "part_stored", upload }));
    });
    const video = await videos.verify(task.id);
    if (video !== null) return { event: { type: "stored", video } };
    await videos.remove(task.id, null);
    return { event: { type: "spoiled", reason: "upstream_invalid_result" }, note: "does not play" };
  } catch (error) {
    const note = nameOf(error);
    if (error instanceof AssetGoneError) {
      // Another link is another file, as far as we can tell: what was copied of this one is given up.
      await videos.remove(task.id, task.upload).catch(() => undefined);
      return { event: { type: "spoiled", reason: "upstream_asset_expired" }, note };
    }
    if (error instanceof RefusedError) return { event: { type: "provider_failed", reason: error.reason }, note };
    if (error instanceof SourceError) {
      return error.what === "cut_short"
        ? { event: { type: "spoiled", reason: "upstream_invalid_result" }, note: error.what }
        : { event: { type: "provider_failed", reason: "upstream_invalid_result" }, note: error.what };
    }
    return { event: { type: "store_failed", retryAfterMs: error instanceof RetryableError ? error.retryAfterMs : null }, note };
  }
}

function resumePoint({ upload }: StoringTask): { offset: number; validator: string } | null {
  return upload !== null && upload.bytes > 0 && upload.validator !== null
    ? { offset: upload.bytes, validator: upload.validator }
    : null;
}

async function settle(task: SettlingTask, { videos, ledgerOf }: Hands): Promise<Performed> {
  const { outcome } = task;
  try {
    // What is left of a copy goes first, but never holds the credits up: the purge removes it once more.
    if (outcome.kind === "failed") await videos.remove(task.id, outcome.upload).catch(() => undefined);
    await ledgerOf(task.tenant, task.mode).resolve(task.id, settlementOf(task));
    return { event: { type: "settled" } };
  } catch (error) {
    return { event: { type: "try_again" }, note: nameOf(error) };
  }
}

function settlementOf(task: SettlingTask): Settlement {
  if (task.outcome.kind === "completed") return { kind: "charge", videoMs: task.outcome.video.durationMs };
  const attempt = orphanOf(task);
  return { kind: "release", orphan: attempt && { attempt, reason: task.outcome.reason } };
}

async function purge({ task }: Of<"purge">, { videos, ledgerOf }: Hands): Promise<Performed> {
  try {
    await videos.remove(task.id, null);
    await ledgerOf(task.tenant, task.mode).forget(task.id);
    return { event: { type: "purged" } };
  } catch (error) {
    return { event: { type: "try_again" }, note: nameOf(error) };
  }
}

/** The kind of an error, which is ours or the platform's to name; a message may be a provider's, unless we wrote it. */
function nameOf(error: unknown): string {
  if (error instanceof UnclearReplyError) return error.message;
  return error instanceof Error ? error.name : "unknown";
}
