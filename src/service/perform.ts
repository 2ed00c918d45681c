// One effect in, one event out: everything a task does to the outside world. It decides nothing; what cannot be done now is an event too.
import type { Effect } from "../core/task-machine.ts";
import type { TaskEvent } from "../core/task-transition.ts";
import type { SettlingTask, StoringTask, Upload } from "../core/task.ts";
import { lastAttempt, orphansOf } from "../core/task.ts";
import { AssetGoneError, RefusedError, RetryableError, SourceError } from "../core/upstream-errors.ts";
import type { EventsOf, LedgerOf, Provider, Settlement, VideoStore } from "../ports.ts";
import { cancel, giveBack, lease, poll, prepare, submit, type AskingHands } from "./ask-provider.ts";
import { nameOf, type Performed } from "./performed.ts";
import { within } from "./within.ts";

export interface Hands extends AskingHands {
  readonly videos: VideoStore;
  readonly ledgerOf: LedgerOf;
  readonly eventsOf: EventsOf;
}

/** Saves a step that is half done, so that a crash goes on from there. */
export type Checkpoint = (event: TaskEvent) => Promise<void>;

const ANNOUNCE_TIMEOUT_MS = 5_000;
/** With the storing grace of core/task-machine it stays under the 15 minutes that a late task may take at most. */
const STORE_TIMEOUT_MS = 6 * 60_000;

type Busy = Exclude<Effect, { kind: "none" }>;
type Of<Kind extends Busy["kind"]> = Extract<Busy, { kind: Kind }>;

export async function perform(effect: Busy, hands: Hands, checkpoint: Checkpoint): Promise<Performed> {
  switch (effect.kind) {
    case "prepare":
      return prepare(effect, hands);
    case "lease":
      return lease(effect, hands);
    case "release":
      return { event: { type: "released", heard: await giveBack(effect.task.id, effect.left, hands) } };
    case "submit":
      return submit(effect, hands.providerOf(effect.attempt), hands);
    case "poll":
      return poll(effect, hands.providerOf(lastAttempt(effect.task)), hands);
    case "cancel":
      return cancel(effect, hands.providerOf(lastAttempt(effect.task)), hands);
    case "announce":
      return announce(effect, hands);
    case "store":
      return store(effect, hands.providerOf(lastAttempt(effect.task)), hands.videos, checkpoint);
    case "settle":
      return settle(effect.task, hands);
    case "purge":
      return purge(effect, hands);
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

async function store(
  { task }: Of<"store">,
  provider: Provider | undefined,
  videos: VideoStore,
  checkpoint: Checkpoint,
): Promise<Performed> {
  if (provider === undefined) return { event: { type: "store_failed", retryAfterMs: null }, note: "no such provider" };
  let { upload } = task;
  try {
    await within(STORE_TIMEOUT_MS, async (signal) => {
      const source = await provider.open(task.source, resumePoint(task), signal);
      await videos.store(task, source, task.upload, async (made: Upload) => {
        upload = made;
        await checkpoint({ type: "part_stored", upload: made });
      });
    });
    const video = await videos.verify(task.id);
    if (video !== null) return { event: { type: "stored", video } };
    await videos.remove(task.id, null);
    return { event: { type: "spoiled", reason: "upstream_invalid_result" }, note: "does not play" };
  } catch (error) {
    const event = endOfCopy(error);
    // Another link, or another provider's video, is another file: what was copied of this one is given up.
    const isLeft = upload !== null || error instanceof AssetGoneError;
    if (event !== null && isLeft) await videos.remove(task.id, upload).catch(() => undefined);
    const note = error instanceof SourceError ? error.what : nameOf(error);
    if (event !== null) return { event, note };
    return { event: { type: "store_failed", retryAfterMs: error instanceof RetryableError ? error.retryAfterMs : null }, note };
  }
}

/** Null: the same copy may go on. */
function endOfCopy(error: unknown): TaskEvent | null {
  if (error instanceof AssetGoneError) return { type: "spoiled", reason: "upstream_asset_expired" };
  if (error instanceof RefusedError) return { type: "provider_failed", by: "route", reason: error.reason };
  if (!(error instanceof SourceError)) return null;
  return error.what === "cut_short"
    ? { type: "spoiled", reason: "upstream_invalid_result" }
    : { type: "provider_failed", by: "route", reason: "upstream_invalid_result" };
}

function resumePoint({ upload }: StoringTask): { offset: number; validator: string } | null {
  return upload !== null && upload.bytes > 0 && upload.validator !== null
    ? { offset: upload.bytes, validator: upload.validator }
    : null;
}

async function settle(task: SettlingTask, { videos, images, ledgerOf, healthOf }: Hands): Promise<Performed> {
  const { outcome } = task;
  // Beside the money, which does not wait for it.
  const telling = giveBack(task.id, task.left, { healthOf });
  try {
    // What is left of a copy goes first, but never holds the credits up: the purge removes it once more.
    if (outcome.kind === "failed") await videos.remove(task.id, outcome.upload).catch(() => undefined);
    // They may have been put though none is on record: one of several could not be had, or the task ended meanwhile.
    const count = task.generation.images.length;
    if (count > 0) await images.remove(task.id, count).catch(() => undefined);
    await ledgerOf(task.tenant, task.mode).resolve(task.id, settlementOf(task));
    return { event: { type: "settled", heard: await telling } };
  } catch (error) {
    return { event: { type: "try_again" }, note: nameOf(error) };
  }
}

function settlementOf(task: SettlingTask): Settlement {
  const orphans = orphansOf(task);
  return task.outcome.kind === "completed"
    ? { kind: "charge", videoMs: task.outcome.video.durationMs, orphans }
    : { kind: "release", orphans };
}

async function purge({ task }: Of<"purge">, { videos, images, ledgerOf }: Hands): Promise<Performed> {
  try {
    await videos.remove(task.id, null);
    await images.remove(task.id, task.generation.images.length);
    await ledgerOf(task.tenant, task.mode).forget(task.id);
    return { event: { type: "purged" } };
  } catch (error) {
    return { event: { type: "try_again" }, note: nameOf(error) };
  }
}
