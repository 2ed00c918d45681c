// What to do with a task at a wake, and what must be on record before it is done. Alarms arrive at least once: a wake too many
// finds nothing due. What an event makes of the task is in task-transition, when to look again in task-schedule.
import { backoff, jitterOf } from "./backoff.ts";
import type { FailureCode } from "./errors.ts";
import { dueToTell, isUnanswered, nextTellAt, placeAt, withoutEnded, withoutIdlePlaces, withoutOtherPlaces } from "./left-place.ts";
import { medianOf } from "./latency.ts";
import { untoldNews, type News } from "./news.ts";
import { isUpload } from "./reference-image.ts";
import { chooseRoute, routesLeft, upstreamModel, type Choice, type Route } from "./routing.ts";
import { ambiguous, failing, handedOn, moved } from "./task-moves.ts";
import { dueAt, goesWithoutPlace, lastStoreAt, pollAt, repeatAt } from "./task-schedule.ts";
import { attemptNumber, isTerminal, lastAttempt } from "./task.ts";
import type {
  Attempt,
  CompletedTask,
  FailedTask,
  LeftPlace,
  QueuedTask,
  RunningTask,
  SettlingTask,
  StoringTask,
  SubmittingTask,
  Task,
} from "./task.ts";

export type Effect =
  | { kind: "none" }
  /** Fetch its images, for a wire that inlines them. */
  | { kind: "prepare"; task: QueuedTask }
  /** Ask the provider's health for a place; that it is asked is on record. */
  | { kind: "lease"; provider: string; model: string; credentials: readonly string[]; task: QueuedTask | RunningTask }
  | { kind: "submit"; attempt: Attempt; task: SubmittingTask }
  | { kind: "poll"; provider: string; task: RunningTask }
  | { kind: "cancel"; provider: string; task: RunningTask }
  /** Tell providers' health of places that the task has left. */
  | { kind: "release"; left: readonly LeftPlace[]; task: Task }
  /** Tell the tenant's events object. */
  | { kind: "announce"; news: readonly News[]; task: Task }
  | { kind: "store"; provider: string; task: StoringTask }
  /** Charge or release, and give back what place there is, whoever was told of it already. */
  | { kind: "settle"; task: SettlingTask }
  | { kind: "purge"; task: CompletedTask | FailedTask };

/** Interrupted copies in a row before the step counts as poisoned. */
export const STORE_TRIES = 8;
const PURGE_RETRY_MS = 60_000;
const LAST_POLL_RETRY_MS = 30_000;
/** Longer than any image may take to be fetched. */
const PREPARE_MS = 90_000;
const LEASE_MS = 10_000;
const RELEASE_MS = 10_000;
const RESUBMIT_CAP_MS = 30_000;
const CANCEL_RETRY_MS = 5_000;
/** From one poll for a hint to the next: whoever has a task's callback URL can have it polled no faster. */
const HINT_SPACING_MS = 2_000;
const SETTLE_CAP_MS = 60_000;
const ANNOUNCE_CAP_MS = 10 * 60_000;
const ATTEMPTS_KEPT = 50;

/**
 * What to do at this wake, the task to have on record before it is done, and when to look `again` should we die while doing it.
 * Where the effect's event changes nothing, that look is the next one.
 */
export interface Begun {
  readonly task: Task;
  readonly effect: Effect;
  readonly again: number;
}

/** The same for what follows in the same wake. `again` null: the look that is armed already stays. */
export type FollowUp = Omit<Begun, "again"> & { readonly again: number | null };

export function begin(stored: Task, now: number, routes: readonly Route[]): Begun {
  const begun = beginStep(withoutEnded(stored, now), now, routes);
  const { task, again } = begun;
  // A step that dies takes neither the last look with it nor the word that is owed of a place.
  const lastAt = task.status === "queued" && now < task.deadlineAt ? task.deadlineAt : Infinity;
  const tellAt = nextTellAt(task) ?? Infinity;
  return { ...begun, again: Math.min(again, lastAt, tellAt > now ? tellAt : Infinity) };
}

function beginStep(task: Task, now: number, routes: readonly Route[]): Begun {
  switch (task.status) {
    case "queued":
      // A place is given back before another is asked for.
      if (dueToTell(task, now).length > 0) return beginRelease(task, now, dueAt(task));
      return now < dueAt(task) ? waiting(task, now, dueAt(task)) : beginSubmit(task, now, routes);
    case "submitting":
      return beginAgain(task, now, routes);
    case "running":
      if (task.cancel === "asked") return beginCancel(task, now);
      if (now < dueAt(task)) return waiting(task, now, dueAt(task));
      return beginPoll(task, now);
    case "storing":
      return now < task.notBefore ? waiting(task, now, task.notBefore) : beginStore(task, now);
    case "settling":
      return beginSettle(task, now);
    case "completed":
    case "failed":
      if (now < task.expiresAt) return waiting(task, now, task.expiresAt);
      // What is to be gone does not wait until somebody hears of its places, but says so once more.
      return task.left.length > 0
        ? { task, effect: { kind: "release", left: task.left, task }, again: now + RELEASE_MS }
        : beginPurge(task, now);
  }
}

function beginPurge(task: CompletedTask | FailedTask, now: number): Begun {
  return { task, effect: { kind: "purge", task }, again: now + PURGE_RETRY_MS };
}

/** What follows in the same wake from the step that was just taken; null: nothing. What could not be done waits for its next look. */
export function followUp(task: Task, step: Effect, now: number, routes: readonly Route[]): FollowUp | null {
  if (step.kind === "announce" || (step.kind === "settle" && task.status === "settling")) return null;
  if (task.status === "settling") return beginSettle(task, now);
  if (dueToTell(task, now).length > 0) return { ...beginRelease(task, now, now), again: null };
  // It may have been asked for while we were away, and the alarm for it come and gone.
  if (task.status === "running" && task.cancel === "asked" && step.kind !== "cancel") return beginCancel(task, now);
  if (task.status === "queued" && step.kind === "release") return begin(task, now, routes);
  if (isTerminal(task) && step.kind === "release" && now >= task.expiresAt) return beginPurge(task, now);
  if (task.status === "queued" && hasMoved(task, step, now)) return beginSubmit(task, now, routes);
  const instead =
    task.status === "running" && (step.kind === "poll" || step.kind === "lease") ? beginInstead(task, now, routes) : null;
  if (instead !== null) return instead;
  const news = untoldNews(task);
  return news.length === 0 ? null : { task, effect: { kind: "announce", news, task }, again: null };
}

/** Whether the step has brought a queued task further, so that the next one may begin at once. */
function hasMoved(task: QueuedTask, step: Effect, now: number): boolean {
  switch (step.kind) {
    case "prepare":
      return task.images !== null;
    case "lease":
      return (
        isHad(task, step.provider) ||
        goesWithoutPlace(task, now) ||
        task.waits.some(({ provider, until }) => provider === step.provider && until > now)
      );
    case "poll":
    case "store":
      return true;
    default:
      return false;
  }
}

/** Whether it has the place. */
function isHad(task: QueuedTask, provider: string): boolean {
  return (placeAt(task, provider)?.lease ?? null) !== null;
}

/** Why a task cannot be cancelled any more; null: it can. `passesOn`: its provider can be asked to stop. */
export function cancelRefusal(task: Task, passesOn: boolean): "ended" | "handing_over" | "copying" | "provider" | null {
  switch (task.status) {
    case "queued":
      return null;
    case "submitting":
      return "handing_over";
    case "running":
      return passesOn ? null : "provider";
    case "storing":
      return "copying";
    case "settling":
    case "completed":
    case "failed":
      return "ended";
  }
}

/** Whether it ended, or is just ending, because somebody wished so. */
export function isCancelled(task: Task): boolean {
  const reason = task.status === "settling" && task.outcome.kind === "failed" ? task.outcome.reason : null;
  return (task.status === "failed" ? task.reason : reason) === "cancelled";
}

/** Whether its end is a matter of moments: it is being settled, or its provider was asked to stop. */
export function isStopping(task: Task): boolean {
  return task.status === "settling" || (task.status === "running" && task.cancel !== "unasked");
}

/** Nothing is due; what has happened meanwhile is told. */
function waiting(task: Task, now: number, until: number): Begun {
  if (dueToTell(task, now).length > 0) return beginRelease(task, now, until);
  const news = untoldNews(task);
  if (news.length === 0) return { task, effect: { kind: "none" }, again: until };
  return { task, effect: { kind: "announce", news, task }, again: Math.min(until, repeatAt(task.since, now, ANNOUNCE_CAP_MS)) };
}

function beginRelease(task: Task, now: number, until: number): Begun {
  const left = dueToTell(task, now);
  const again = until > now ? Math.min(until, now + RELEASE_MS) : now + RELEASE_MS;
  return { task, effect: { kind: "release", left, task }, again };
}

/** The wish stays on record until the provider has answered; a deadline ends it like everything else. */
function beginCancel(task: RunningTask, now: number): Begun {
  if (now >= task.deadlineAt) return beginPoll({ ...task, cancel: "passed_on" }, now);
  return { task, effect: { kind: "cancel", provider: lastAttempt(task).provider, task }, again: now + CANCEL_RETRY_MS };
}

function beginSubmit(task: QueuedTask, now: number, routes: readonly Route[]): Begun {
  if (now >= task.deadlineAt) return beginSettle(failing(task, task.lastReason ?? "queue_timeout", now), now);
  const choice = choiceFor(task, now, routes);
  const model = choice && upstreamModel(choice.route, task.generation.model);
  if (choice === null || model === null) {
    return beginSettle(failing(task, task.lastReason ?? whyNobody(task, routes), now), now);
  }
  const { route, credentials } = choice;
  if (choice.readyAt > now) return waiting(task, now, Math.ceil(Math.min(choice.readyAt, choice.tooLateAt)));
  if (route.images === "inline" && task.generation.images.length > 0 && task.images === null) {
    return { task, effect: { kind: "prepare", task }, again: Math.min(now + PREPARE_MS, task.deadlineAt) };
  }
  const lease = placeAt(task, route.provider)?.lease ?? null;
  if (route.leased && lease === null && !(goesWithoutPlace(task, now) && isUnanswered(task, route.provider))) {
    const asking = askingAt(withoutIdlePlaces(task, route.provider, now), route.provider);
    const effect: Effect = { kind: "lease", provider: route.provider, model, credentials, task: asking };
    return { task: asking, effect, again: Math.min(now + LEASE_MS, task.deadlineAt) };
  }
  // A place or a turn elsewhere goes to whoever waits for it before this task's submit, which may take a minute.
  const here = withoutOtherPlaces(task, route.provider, now);
  if (here !== task) return beginRelease(here, now, now);
  const quantiles = lease?.quantiles ?? null;
  const median = quantiles === null ? (route.medianMs ?? task.medianMs) : medianOf(quantiles);
  const p95 = quantiles?.at(-1);
  const number = attemptNumber(task) + 1;
  const attempt: Attempt = {
    number,
    provider: route.provider,
    // Nobody knows which of them is spent: none is worn out first.
    credential: lease?.credential ?? credentials[Math.floor(jitterOf(`${task.id}/${number}`) * credentials.length)] ?? "",
    model,
    startedAt: now,
    latency: { medianMs: median, quantiles },
    hinted: route.hinted === "any" || (route.hinted === "https" && task.base.startsWith("https:")),
    repeatable: route.resubmits,
    overdueAt: route.overdueFactor === null || p95 === undefined ? null : Math.round(now + p95 * route.overdueFactor),
    costCents: route.costCents,
    outcome: "open",
  };
  const submitting: SubmittingTask = {
    ...moved(task, "submitting", now),
    attempts: [...forgetful(task.attempts), attempt],
    repeat: null,
  };
  return { task: submitting, effect: { kind: "submit", attempt, task: submitting }, again: pollAt(submitting, now) };
}

/** Why no route can have a task that none has refused. */
function whyNobody(task: QueuedTask, routes: readonly Route[]): FailureCode {
  if (routesLeft(routes, task).length > 0) return "queue_timeout";
  return routesLeft(routes, { ...task, images: null }).length > 0 ? "image_invalid" : "upstream_rejected";
}

/** A place that it has comes before any that it might get, while it may be used. */
function choiceFor(task: QueuedTask, now: number, routes: readonly Route[]): Choice | null {
  const lease = task.places.find((place) => place.lease !== null)?.lease;
  const there = lease
    ? chooseRoute(
        routes.filter(({ provider }) => provider === lease.provider),
        task,
        now,
      )
    : null;
  const isUsable = there !== null && there.readyAt <= now && there.credentials.includes(lease?.credential ?? "");
  return isUsable ? there : chooseRoute(routes, task, now);
}

/** On record before it is asked for; asked for again it is the same place. */
function askingAt<Asking extends QueuedTask | RunningTask>(task: Asking, provider: string): Asking {
  if (placeAt(task, provider) !== null) return task;
  const stay = task.stays + 1;
  return { ...task, stays: stay, places: [...task.places, { provider, stay, lease: null }] };
}

/** The intent is on record and no answer is: it was lost, or we died in between, and the provider may be at work. */
function beginAgain(task: SubmittingTask, now: number, routes: readonly Route[]): Begun {
  const attempt = lastAttempt(task);
  // As it was sent, and as it would be sent again: settings may have changed in between.
  const isRepeatable =
    attempt.repeatable === true && routes.some(({ provider, resubmits }) => provider === attempt.provider && resubmits);
  if (!isRepeatable || now >= task.deadlineAt) return beginSettle(ambiguous(task, now), now);
  if (task.repeat !== null && now < task.repeat.notBefore)
    return waiting(task, now, Math.min(task.repeat.notBefore, task.deadlineAt));
  const again = Math.min(repeatAt(attempt.startedAt, now, RESUBMIT_CAP_MS), task.deadlineAt);
  // On record before it is asked again: whatever but a yes it answers now may be about the repetition only.
  const repeating: SubmittingTask = { ...task, repeat: { notBefore: again } };
  return { task: repeating, effect: { kind: "submit", attempt, task: repeating }, again };
}

/**
 * A job that takes far longer than its like is given up when another route can have the task now: until a place is had there, it goes
 * on being polled where it is. Null: it is not to be given up, or nobody is ready.
 */
function beginInstead(task: RunningTask, now: number, routes: readonly Route[]): FollowUp | null {
  if (task.elsewhere === null || task.cancel !== "unasked" || now >= task.deadlineAt) return null;
  const given: QueuedTask = { ...handedOn(task, "abandoned", "timeout", now), waits: task.elsewhere };
  // Whether an image can still be had is found out while it is queued only: a job that is under way is not given up for that.
  const isReady = ({ images }: Route): boolean =>
    images === "url" || task.images !== null || task.generation.images.every(isUpload);
  const choice = chooseRoute(routes.filter(isReady), given, now);
  if (choice === null || choice.readyAt > now) return null;
  const { route, credentials } = choice;
  const model = upstreamModel(route, task.generation.model);
  if (!route.leased || model === null) return beginSubmit(given, now, routes);
  // The look that is armed already is the next poll.
  const asking = askingAt(withoutIdlePlaces(task, route.provider, now), route.provider);
  return { task: asking, effect: { kind: "lease", provider: route.provider, model, credentials, task: asking }, again: null };
}

function beginPoll(running: RunningTask, now: number): Begun {
  // Before the poll, so that a hint which comes while we ask is one of its own.
  const isHinted = running.hintAt !== null && running.hintAt <= now;
  const task: RunningTask = isHinted ? { ...running, hintAt: null, hintsFrom: now + HINT_SPACING_MS } : running;
  const provider = lastAttempt(task).provider;
  if (now < task.deadlineAt)
    return { task, effect: { kind: "poll", provider, task }, again: Math.min(pollAt(task, now), task.hintAt ?? Infinity) };
  // The flag is written before the poll, so that a poll which kills the isolate is not the last one for ever.
  if (task.lastPoll) return beginSettle(failing(task, "timeout", now), now);
  const last: RunningTask = { ...task, lastPoll: true };
  return { task: last, effect: { kind: "poll", provider, task: last }, again: now + LAST_POLL_RETRY_MS };
}

function beginStore(task: StoringTask, now: number): Begun {
  if (now >= lastStoreAt(task)) return beginSettle(failing(task, "timeout", now), now);
  if (task.tries >= STORE_TRIES) return beginSettle(failing(task, "internal_error", now), now);
  const trying: StoringTask = { ...task, tries: task.tries + 1 };
  const { provider } = lastAttempt(task);
  return {
    task: trying,
    effect: { kind: "store", provider, task: trying },
    again: now + backoff(trying.tries, 2_000, 60_000, task.id),
  };
}

function beginSettle(task: SettlingTask, now: number): Begun {
  return { task, effect: { kind: "settle", task }, again: repeatAt(task.settlingSince, now, SETTLE_CAP_MS) };
}

/** Who is busy, or cannot be called, for half an hour is tried often, and the oldest of that helps nobody. */
function forgetful(attempts: readonly Attempt[]): readonly Attempt[] {
  if (attempts.length < ATTEMPTS_KEPT) return attempts;
  const oldest = attempts.findIndex(({ outcome }) => outcome === "busy" || outcome === "unsent");
  return attempts.filter((_, index) => index !== oldest);
}
