// What a model's last generations took, as the schedule of polls and the estimates of tenants want it.
import type { Quantiles } from "./latency.ts";

/** Enough that one odd generation does not move the 95th percentile much, few enough that a provider that changed is believed soon. */
const REMEMBERED = 60;
/** Fewer say too little. */
const ENOUGH = 5;
const STEPS = 20;

/** The newest last. */
export type Durations = readonly number[];

export function withDuration(durations: Durations, ms: number): Durations {
  return [...durations, Math.max(ms, 0)].slice(-REMEMBERED);
}

/** Null: too few are known. */
export function quantilesOf(durations: Durations): Quantiles | null {
  if (durations.length < ENOUGH) return null;
  const sorted = durations.toSorted((a, b) => a - b);
  return Array.from({ length: STEPS - 1 }, (_, index) => valueAt(sorted, (index + 1) / STEPS));
}

/** Between two neighbours in proportion. */
function valueAt(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)] ?? 0;
  const above = sorted[Math.ceil(place)] ?? below;
  return Math.round(below + (above - below) * (place % 1));
}
