// Polls and delays of a mix under a schedule, counted: no clock, no gateway.
import type { Latency } from "../../src/core/latency.ts";
import { nextPoll, tookMs } from "../../src/core/poll-schedule.ts";
import { quantilesOf, withDuration, type Durations } from "../../src/core/quantiles.ts";
import { MEDIAN_MS, taskIds } from "./latency-mixes.ts";

export interface Counts {
  readonly pollsPerTask: number;
  /** From when a video is done to when that is known. */
  readonly medianDelayMs: number;
  readonly meanDelayMs: number;
  readonly p95DelayMs: number;
  /** The share of tasks that needed one poll only. */
  readonly once: number;
}

interface Watched {
  readonly durationMs: number;
  readonly polls: number;
  readonly foundMs: number;
}

/** Whether the provider says when it is done (and is then polled at once), only promised to, or never did. */
export type Hints = "come" | "are lost" | "none";

/**
 * One task after the other, each by what the gateway saw of the 60 before it. Those before anything was learned are not counted, nor
 * those before number `from`.
 */
export function learning(durationsMs: readonly number[], hints: Hints = "none", from = 0): Counts {
  let seen: Durations = [];
  const hinted = hints !== "none";
  const ids = taskIds(durationsMs.length);
  const watched = durationsMs.map((durationMs, index) => {
    const latency = latencyOf(seen);
    const id = ids[index] ?? "";
    const found = watch(durationMs, (elapsedMs) => nextPoll(latency, hinted, elapsedMs, id));
    const one = hints === "come" ? { ...found, foundMs: durationMs } : found;
    seen = withDuration(seen, tookMs(latency, hinted, one.foundMs, id));
    return latency.quantiles !== null && index >= from ? [one] : [];
  });
  return countsOf(watched.flat());
}

/** What is known of a route after these. */
export function latencyOf(durations: Durations): Latency {
  const quantiles = quantilesOf(durations);
  return { medianMs: quantiles?.[9] ?? MEDIAN_MS, quantiles };
}

/** As every task is while nothing is learned. */
export function cold(durationsMs: readonly number[]): Counts {
  const ids = taskIds(durationsMs.length);
  const next = (elapsedMs: number, id: string): number => nextPoll(latencyOf([]), false, elapsedMs, id);
  return countsOf(durationsMs.map((durationMs, index) => watch(durationMs, (elapsedMs) => next(elapsedMs, ids[index] ?? ""))));
}

export function everyFiveSeconds(durationsMs: readonly number[]): Counts {
  return countsOf(durationsMs.map((durationMs) => watch(durationMs, (elapsedMs) => elapsedMs + 5_000)));
}

function watch(durationMs: number, next: (elapsedMs: number) => number): Watched {
  let polls = 1;
  let foundMs = next(0);
  for (; foundMs < durationMs; polls++) foundMs = next(foundMs);
  return { durationMs, polls, foundMs };
}

function countsOf(watched: readonly Watched[]): Counts {
  const delays = watched.map(({ durationMs, foundMs }) => foundMs - durationMs).toSorted((a, b) => a - b);
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    pollsPerTask: mean(watched.map(({ polls }) => polls)),
    medianDelayMs: delays[Math.floor(delays.length * 0.5)] ?? 0,
    meanDelayMs: mean(delays),
    p95DelayMs: delays[Math.floor(delays.length * 0.95)] ?? 0,
    once: watched.filter(({ polls }) => polls === 1).length / watched.length,
  };
}
