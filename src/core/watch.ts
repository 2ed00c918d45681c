// How a task is watched from outside: when it is worth looking again, and how far it is. Both derive from the task alone, so that
// whoever comes back after a disconnect finds the same.
import { publicStatus, type PublicTask } from "./public-task.ts";
import { wakeAt } from "./task-schedule.ts";
import { isTerminal, type QueuedTask, type Task } from "./task.ts";

/** Who has just created a task, or comes to see its end, is answered quickly. */
const FIRST_LOOK_MS = 1_000;
const LEAST_LOOK_MS = 2_000;
const MOST_LOOK_MS = 15_000;
/** What the task's own look takes, before there is something to see. */
const LAG_MS = 1_500;
/** A step that is under way is looked at after this part of the time that it has taken. */
const GROWTH = 0.5;
/** An alarm may be early, so a poll that is nearly due counts as done, by up to half a step. A watcher is not to miss it. */
const NEARLY_DUE_MS = [11_000, 5_000, 2_000, 1_000];

const MAX_RETRY_AFTER_SECONDS = 10;

/** Milliseconds after which a task that has not ended is worth another look. */
export function lookAgainIn(task: Task, now: number, isFirst: boolean): number {
  if (isFirst) return FIRST_LOOK_MS;
  const step = NEARLY_DUE_MS.map((ms) => wakeAt(task, now - ms)).find((at) => at > now) ?? wakeAt(task, now);
  const due = step + LAG_MS - now;
  // The next thing to happen to a submit is its answer, not the poll that is armed for the case that we die.
  const isUnderWay = task.status === "submitting" || due <= LAG_MS;
  const wait = isUnderWay ? (now - (task.timeline.at(-1)?.at ?? now)) * GROWTH : due;
  return Math.min(Math.max(wait, LEAST_LOOK_MS), MOST_LOOK_MS);
}

/** When a client should ask again, in whole seconds; null: never, the task has ended. */
export function retryAfterSeconds(task: Task, now: number): number | null {
  if (isTerminal(task)) return null;
  return Math.min(Math.ceil(lookAgainIn(task, now, false) / 1000), MAX_RETRY_AFTER_SECONDS);
}

export interface Progress {
  /** 0 to 99: the end is told by the status. */
  readonly percent: number;
  readonly elapsedSeconds: number;
  /** How many seconds after its creation it will probably have ended. */
  readonly estimatedSeconds: number;
}

/** Where a generation stands that has taken as long as half of them do, and as nine in ten do. */
const MEDIAN_PERCENT = 70;
const P90_PERCENT = 95;
const COPYING_PERCENT = 97;
const LAST_PERCENT = 99;
const P90_INDEX = 17;
/** Where nothing is learned yet. */
const P90_TO_MEDIAN = 2;

/**
 * No provider says how far it is, so this is the time that the generation has taken, measured against what its route usually takes.
 * What takes longer comes ever nearer to the last percent without reaching it.
 */
export function progressOf(task: Task, now: number): Progress {
  const attempt = task.attempts.at(-1);
  // A task in the queue has yet to begin, however often it was tried.
  const turn = task.status === "queued" ? nextTurn(task, now) : null;
  const known = attempt?.latency ?? { medianMs: task.medianMs, quantiles: null };
  const { medianMs, quantiles } = turn?.usualMs == null ? known : { medianMs: turn.usualMs, quantiles: null };
  const p90Ms = Math.max(quantiles?.[P90_INDEX] ?? medianMs * P90_TO_MEDIAN, medianMs + 1);
  const begunAt = turn?.startsAt ?? attempt?.startedAt ?? now;
  const takenMs = Math.max(now - begunAt, 0);
  const usualMs = takenMs <= medianMs ? medianMs : takenMs <= p90Ms ? p90Ms : takenMs;
  return {
    percent: Math.floor(percentOf(task, takenMs, medianMs, p90Ms)),
    elapsedSeconds: Math.round(Math.max(now - task.createdAt, 0) / 1000),
    estimatedSeconds: Math.round(Math.max(begunAt - task.createdAt + usualMs, 0) / 1000),
  };
}

/** Where a queued task will probably begin first: when, and how long it usually takes there, as far as that is known. */
function nextTurn(task: QueuedTask, now: number): { readonly startsAt: number; readonly usualMs: number | null } {
  const waits = task.waits
    .map(({ provider, startsAt, until, usualMs = null }) => ({ provider, startsAt: startsAt ?? until, usualMs }))
    .filter(({ startsAt }) => startsAt > now);
  const busy = task.attempts.flatMap(({ provider, retryAt = 0 }) =>
    retryAt > now && waits.every((wait) => wait.provider !== provider) ? [{ startsAt: retryAt, usualMs: null }] : [],
  );
  const [first] = [...waits, ...busy].sort((a, b) => a.startsAt + (a.usualMs ?? 0) - b.startsAt - (b.usualMs ?? 0));
  const notBefore = Math.max(task.notBefore, now);
  return first === undefined ? { startsAt: notBefore, usualMs: null } : { ...first, startsAt: Math.max(first.startsAt, notBefore) };
}

function percentOf(task: Task, takenMs: number, medianMs: number, p90Ms: number): number {
  if (publicStatus(task) === "pending") return 0;
  if (task.status === "storing") return COPYING_PERCENT;
  if (task.status === "settling") return LAST_PERCENT;
  if (takenMs <= medianMs) return (takenMs / medianMs) * MEDIAN_PERCENT;
  if (takenMs <= p90Ms) return MEDIAN_PERCENT + ((takenMs - medianMs) / (p90Ms - medianMs)) * (P90_PERCENT - MEDIAN_PERCENT);
  return P90_PERCENT + (1 - p90Ms / takenMs) * (COPYING_PERCENT - P90_PERCENT);
}

/** What a watcher has been told already, as the `id:` of an event carries it: enough to go on where a stream broke off. */
export interface Mark {
  readonly status: PublicTask["status"];
  readonly percent: number;
}

export function markText({ status, percent }: Mark): string {
  return `${status}.${percent}`;
}

/** Null: none, or none of ours; the watcher is told everything anew. */
export function parseMark(text: string | null): Mark | null {
  const [, status, percent] = /^(pending|processing|completed|failed)\.(\d{1,2})$/.exec(text ?? "") ?? [];
  return status === undefined ? null : { status: status as Mark["status"], percent: Number(percent) };
}
