// When to ask a provider whether a video is done. Everything derives from elapsed time, the task's id and what its attempt was told
// of the route, so that an unchanged poll needs no stored counter, and no two tasks keep step with each other.
import { jitterOf } from "./backoff.ts";
import { medianOf, type Latency, type Quantiles } from "./latency.ts";

const FASTEST_POLL_MS = 1_000;
const SLOWEST_POLL_MS = 20_000;

/** Where nothing is learned yet each wait is this part of the time already waited: the longer it has taken, the less seconds matter. */
const COLD_GROWTH = 0.15;

/** Half of all videos are to be found within this time of being done; sooner where a generation takes only seconds. */
const WANTED_DELAY_MS = 3_000;
const FAST_ROUTE_SHARE = 1 / 10;
/** Where three seconds are nothing (the median is over three minutes), this part of the median instead. */
const SLOW_ROUTE_SHARE = 1 / 60;
/** What the tail's longer waits lose of that half, the others make up for. */
const WAIT_MARGIN = 0.9;
/** To begin earlier finds the quick ones sooner, and is worth this many times the fewest polls possible. */
const EARLIER_WORTH = 1.08;
/** Beginnings that are weighed: the 5th percentile to the 50th. */
const BEGINNINGS = 10;
const TAIL_GROWTH = 1.2;
/** What the first poll finds done has taken at least this part of the time until then, as far as anybody knows. */
const SHORTEST_SHARE = 0.6;

/** A safety net's first two polls, in medians, where nothing is learned yet; and how it goes on. */
const NET_FIRST = 1.5;
const NET_SECOND = 2.5;
const NET_GROWTH = 0.25;
const NET_FASTEST_MS = 10_000;
const NET_SLOWEST_MS = 60_000;
/** Later than this after a poll was due, it was the provider's own hint that found the video. */
const POLL_TAKES_MS = 2_000;

/** A poll. */
interface Look {
  /** Milliseconds after submit. */
  readonly at: number;
  /** The shorter of the waits before and after it, in milliseconds. */
  readonly wait: number;
}

/**
 * Milliseconds after submit at which to poll next, for a task `elapsedMs` old; the schedule is the same however often it is asked.
 * `hinted`: the provider says when something happens, and polls are a safety net.
 */
export function nextPoll(latency: Latency, hinted: boolean, elapsedMs: number, taskId: string): number {
  for (const { at, wait } of looks(latency, hinted, taskId)) {
    // Half a wait of slack: an alarm that fires a little early must not make two polls of one.
    if (at > elapsedMs + wait / 2) return at;
  }
  throw new Error("a schedule never ends");
}

/**
 * How long a generation took that was found done `foundMs` after submit, for the route's percentiles: it was done some time since the
 * poll before. To learn `foundMs` itself would let the first poll creep later and later, since nothing is ever found before it.
 */
export function tookMs(latency: Latency, hinted: boolean, foundMs: number, taskId: string): number {
  let before: number | null = null;
  let finding: number | null = null;
  for (const { at } of looks(latency, hinted, taskId)) {
    if (at > foundMs) break;
    before = finding;
    finding = at;
  }
  if (finding === null || (hinted && foundMs > finding + POLL_TAKES_MS)) return foundMs;
  if (before !== null) return Math.round((before + finding) / 2);
  return Math.round(finding * (1 - (1 - SHORTEST_SHARE) * jitterOf(`${taskId}/took`)));
}

/** Without end, each later than the one before. */
function* looks(latency: Latency, hinted: boolean, taskId: string): Generator<Look> {
  const jitter = jitterOf(taskId);
  const { medianMs, quantiles } = latency;
  const schedule = hinted ? net(latency, jitter) : quantiles === null ? cold(medianMs, jitter) : learned(quantiles, jitter);
  let at = 0;
  let before = 0;
  for (const wait of schedule) {
    if (at > 0) yield { at: Math.round(at), wait: Math.min(before, wait) };
    at += wait;
    before = wait;
  }
}

/** Waits, the first of them until the first poll, which comes just after the median. */
function* cold(medianMs: number, jitter: number): Generator<number> {
  let at = medianMs * (1 + jitter * COLD_GROWTH);
  yield at;
  for (;;) {
    const wait = clamped(at * COLD_GROWTH, FASTEST_POLL_MS, SLOWEST_POLL_MS) * (0.9 + 0.2 * jitter);
    yield wait;
    at += wait;
  }
}

/** Even steps, so that half of what they catch is caught within half a step, and longer ones where hardly anything is left to catch. */
function* learned(quantiles: Quantiles, jitter: number): Generator<number> {
  const beginning = beginningOf(quantiles);
  let { wait } = beginning;
  let at = Math.max(beginning.at + wait * (jitter - 0.5), FASTEST_POLL_MS);
  yield at;
  const slowest = Math.max(wait, SLOWEST_POLL_MS);
  const tail = quantiles.at(-1) ?? at;
  for (;;) {
    if (at > tail) wait = Math.min(wait * TAIL_GROWTH, slowest);
    yield wait;
    at += wait;
  }
}

/** Where to begin, and in which steps. */
function beginningOf(quantiles: Quantiles): { at: number; wait: number } {
  const median = medianOf(quantiles);
  const wanted = Math.max(Math.min(WANTED_DELAY_MS, median * FAST_ROUTE_SHARE), median * SLOW_ROUTE_SHARE);
  const choices = quantiles.slice(0, BEGINNINGS).map((at, index) => {
    const left = 1 - (index + 1) / (quantiles.length + 1);
    // What is done before the first poll is found late: the later that is, the closer must the others lie to find half of all in time.
    const wait = Math.max(2 * wanted * left * WAIT_MARGIN, FASTEST_POLL_MS);
    return { at, wait, polls: 1 + Math.max(left * (remainingMs(quantiles, index) / wait - 0.5), 0) };
  });
  const most = Math.min(...choices.map(({ polls }) => polls)) * EARLIER_WORTH;
  return choices.find(({ polls }) => polls <= most) ?? { at: median, wait: SLOWEST_POLL_MS };
}

/** How much longer it takes on average, once a quantile has passed: between two of them half of their distance. */
function remainingMs(quantiles: Quantiles, index: number): number {
  const from = quantiles[index] ?? 0;
  const rest = quantiles.slice(index);
  const last = rest.at(-1) ?? from;
  // Beyond the last as if it went on falling as it did over the last five: to a fifth over ln 5 times what it takes on average.
  const beyond = last + (last - (rest.at(-5) ?? from)) / Math.log(5);
  const middles = rest.slice(1).map((at, place) => (at + (rest[place] ?? at)) / 2);
  return [...middles, beyond].reduce((sum, middle) => sum + middle - from, 0) / rest.length;
}

/** For most tasks not one; three where hints are lost. */
function* net({ medianMs, quantiles }: Latency, jitter: number): Generator<number> {
  const p75 = quantiles?.[14] ?? medianMs * NET_FIRST;
  const p95 = quantiles?.[18] ?? medianMs * NET_SECOND;
  const first = Math.max(p75 * (0.9 + 0.1 * jitter), FASTEST_POLL_MS);
  yield first;
  const second = Math.max(p95 * (0.9 + 0.1 * jitter), first + NET_FASTEST_MS);
  yield second - first;
  for (let at = second; ;) {
    const wait = clamped(at * NET_GROWTH, NET_FASTEST_MS, NET_SLOWEST_MS);
    yield wait;
    at += wait;
  }
}

function clamped(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
