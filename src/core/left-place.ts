// The places at providers that a task has left: what came of it there is on the task until the provider's health has heard of it, so
// that no crash, deploy or outage keeps a place from others, up to the time at which it is free again by itself.
import { tookMs } from "./poll-schedule.ts";
import {
  lastAttempt,
  type AttemptReason,
  type Common,
  type LeftPlace,
  type Place,
  type QueuedTask,
  type RunningTask,
  type Task,
  type Attempt,
} from "./task.ts";
import { isRouteTrouble } from "./upstream-errors.ts";

/** A task must have ended by then; a place that nobody gave back is free again. */
const PLACE_GRACE_MS = 15 * 60_000;
const TELL_CAP_MS = 60_000;
const TELL_FIRST_MS = 2_000;
/** What was not heard is told again after a part of the time since. */
const TELL_GROWTH = 0.5;

/** When a task's place is free again at the latest. */
export function placeEndsAt({ deadlineAt }: Pick<Task, "deadlineAt">): number {
  return deadlineAt + PLACE_GRACE_MS;
}

export function placeAt({ places }: Pick<Task, "places">, provider: string): Place | null {
  return places.find((place) => place.provider === provider) ?? null;
}

/** The task without its places. `ending`: what came of the one that it used, whose attempt is closed already; null: a video. */
export function withoutPlaces(task: Task, ending: AttemptReason | null, now: number): Pick<Common, "places" | "left"> {
  const left = task.places.map((place) => leftOf(task, place, ending, now));
  return { places: [], left: [...task.left, ...left] };
}

/** The same, but for one that it has elsewhere: it goes on there. */
export function withoutUsedPlace(task: Task, ending: AttemptReason | null, now: number): Pick<Common, "places" | "left"> {
  return withoutSome(task, (place) => isUsed(task, place), ending, now);
}

/** Without the one that it has not used there. */
export function withoutPlaceAt(task: Task, provider: string, now: number): Pick<Common, "places" | "left"> {
  return withoutSome(task, (place) => place.provider === provider, "cancelled", now);
}

/** Without those that are of no use to a task that goes to `provider`. */
export function withoutOtherPlaces<Asking extends QueuedTask | RunningTask>(task: Asking, provider: string, now: number): Asking {
  return withoutUnused(task, (place) => place.provider !== provider, now);
}

/** The same for one that only asks there, and may be told to wait: where it stands in line already, it goes on standing. */
export function withoutIdlePlaces<Asking extends QueuedTask | RunningTask>(task: Asking, provider: string, now: number): Asking {
  return withoutUnused(task, (place) => place.provider !== provider && !isInLine(task, place), now);
}

function withoutUnused<Asking extends QueuedTask | RunningTask>(
  task: Asking,
  isLeft: (place: Place) => boolean,
  now: number,
): Asking {
  const isUnused = (place: Place): boolean => isLeft(place) && !isUsed(task, place);
  return task.places.some(isUnused) ? { ...task, ...withoutSome(task, isUnused, "cancelled", now) } : task;
}

/** Whether it was asked for a place there, and nobody has answered. */
export function isUnanswered(task: QueuedTask, provider: string): boolean {
  const place = placeAt(task, provider);
  return place !== null && place.lease === null && !isInLine(task, place);
}

function isInLine(task: QueuedTask | RunningTask, { provider, lease }: Place): boolean {
  const waits = task.status === "queued" ? task.waits : (task.elsewhere ?? []);
  return lease === null && waits.some((wait) => wait.provider === provider && wait.position !== null);
}

function withoutSome(
  task: Task,
  isLeft: (place: Place) => boolean,
  ending: AttemptReason | null,
  now: number,
): Pick<Common, "places" | "left"> {
  const { left } = withoutPlaces({ ...task, places: task.places.filter(isLeft) }, ending, now);
  return { places: task.places.filter((place) => !isLeft(place)), left };
}

function isUsed(task: Task, { provider }: Place): boolean {
  return task.status !== "queued" && task.attempts.at(-1)?.provider === provider;
}

function leftOf(task: Task, place: Place, ending: AttemptReason | null, now: number): LeftPlace {
  const { provider, stay, lease } = place;
  const at = { provider, stay, leftAt: now, tellAt: now };
  if (!isUsed(task, place)) return { ...at, credential: lease?.credential ?? "", ...UNUSED };
  return { ...at, credential: lastAttempt(task).credential, ...endOf(task, ending, now) };
}

type End = Pick<LeftPlace, "model" | "reason" | "durationMs" | "retryAt">;

/** Of a task that ended, or went elsewhere, before it was handed over. */
const UNUSED: End = { model: "", reason: "cancelled", durationMs: null, retryAt: null };

function endOf(task: Task, ending: AttemptReason | null, now: number): End {
  const attempt = lastAttempt(task);
  const { model, startedAt, askedBackAt = null } = attempt;
  const end = { model, durationMs: null, retryAt: askedBackAt };
  if (ending === null) {
    const madeAt = task.timeline.findLast(({ status }) => status === "storing")?.at ?? now;
    return { ...end, reason: null, durationMs: madeIn(task, attempt, madeAt) };
  }
  // Whoever says a clear no is well: one tenant's bad requests are not to close a provider for all.
  if (attempt.outcome === "refused") return { ...end, reason: isRouteTrouble(attempt.reason) ? attempt.reason : null };
  // What went wrong before it was called, it knows nothing of.
  if (attempt.outcome === "unsent") return { ...end, reason: "cancelled" };
  const reason = attempt.reason ?? ending;
  if (reason !== "timeout" || attempt.outcome === "failed") return { ...end, reason };
  // The video was made, and not copied: that took its time here, or at a server of files.
  const madeAt = task.timeline.find(({ status, at }) => status === "storing" && at >= startedAt)?.at;
  return madeAt === undefined
    ? { ...end, ...waitedOut(attempt, now) }
    : { ...end, reason: "queue_timeout", durationMs: madeIn(task, attempt, madeAt) };
}

function madeIn({ id }: Task, { startedAt, latency, hinted }: Attempt, madeAt: number): number {
  return tookMs(latency, hinted, Math.max(madeAt - startedAt, 0), id);
}

/**
 * What it says of a provider that we waited no longer. Short of what nearly all take there, nothing: the task came late. Else it takes
 * at least as long, and is counted so: percentiles of those alone that were waited for would fall with each one given up.
 */
function waitedOut({ startedAt, latency }: Attempt, now: number): Pick<LeftPlace, "reason" | "durationMs"> {
  const p95 = latency.quantiles?.at(-1);
  const stayMs = Math.max(now - startedAt, 0);
  if (p95 === undefined) return { reason: "timeout", durationMs: null };
  return stayMs < p95 ? { reason: "queue_timeout", durationMs: null } : { reason: "timeout", durationMs: stayMs };
}

/** Of the places that were left, those to be told of now. */
export function dueToTell(task: Task, now: number): readonly LeftPlace[] {
  return task.left.filter(({ tellAt }) => tellAt <= now);
}

/** When the next one is told of; null: none is left to be. */
export function nextTellAt({ left }: Task): number | null {
  return left.length === 0 ? null : Math.min(...left.map(({ tellAt }) => tellAt));
}

/** The task without those that are free by themselves. */
export function withoutEnded<Kind extends Task>(task: Kind, now: number): Kind {
  return task.left.length > 0 && now >= placeEndsAt(task) ? { ...task, left: [] } : task;
}

/** Those that were told and not `heard` are told again, ever more seldom. */
export function stillToTell(task: Task, heard: readonly number[], now: number): readonly LeftPlace[] {
  if (task.left.length === 0) return task.left;
  return task.left
    .filter(({ stay }) => !heard.includes(stay))
    .map((place) => {
      if (place.tellAt > now) return place;
      const wait = Math.min(Math.max((now - place.leftAt) * TELL_GROWTH, TELL_FIRST_MS), TELL_CAP_MS);
      return { ...place, tellAt: now + Math.round(wait) };
    });
}
