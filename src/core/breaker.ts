// Keeps tasks from a provider that is down, and lets them back little by little. A call is a task's whole stay at the provider: what
// it came to is known when the task leaves. Everything derives from stored times, so nothing has to wake up for it.
import { jitterOf } from "./backoff.ts";
import type { AttemptReason } from "./task.ts";

/**
 * `judgedFrom`: stays that began before it say nothing about the provider now. `openings`: how often in a row it did not recover.
 * From `until` on an open one is half open: a few probes may pass. After `recoveredAt` more and more do.
 */
export type Breaker =
  | {
      readonly state: "closed";
      readonly judgedFrom: number;
      readonly recoveredAt: number | null;
      readonly openings: number;
      /** The last ones, the newest last. */
      readonly calls: readonly { readonly at: number; readonly isGood: boolean }[];
      readonly straightTimeouts: number;
    }
  | {
      readonly state: "open";
      readonly until: number;
      readonly openings: number;
      /** Probes that failed and said so; absent: none. */
      readonly failedProbes?: number;
    };

export type Phase = "closed" | "open" | "half_open" | "ramping";

/** `silent`: it says nothing about the provider's health. */
export type CallOutcome = "good" | "failure" | "timeout" | "silent";

const CALLS_JUDGED = 20;
const WINDOW_MS = 30_000;
const TIMEOUTS_ALLOWED = 5;
const OPEN_MS = 30_000;
/** A provider that stays down costs every probe: the more of them failed, the fewer are sent. */
const OPEN_CAP_MS = 5 * 60_000;
const PROBES = 3;
/** Who fails says so at once, who succeeds takes as long as a video: one failure of three is no news of a provider that fails some. */
const FAILED_PROBES_ALLOWED = 1;
/** A probe takes as long as a video: there is no hurry to ask for the next. */
const PROBE_WAIT_MS = 15_000;
/** Whoever was refused does not come back all at once. */
const SPREAD_MS = 15_000;
/** The share of tasks that may pass grows from a tenth to all of them: one more tenth every 10 s. */
const RAMP_STEP = 0.1;
const RAMP_MS = 100_000;

/** Nothing is known that speaks against it. */
export function closedBreaker(judgedFrom: number): Extract<Breaker, { state: "closed" }> {
  return { state: "closed", judgedFrom, recoveredAt: null, openings: 0, calls: [], straightTimeouts: 0 };
}

/** What a stay that ended so says about the provider. */
export function outcomeOf(reason: AttemptReason | null): CallOutcome {
  switch (reason) {
    case null:
    // The task's own, or its tenant's: the provider did its part.
    case "content_policy":
    case "image_fetch_failed":
    case "image_invalid":
    case "invalid_request":
      return "good";
    case "timeout":
    case "upstream_ambiguous":
      return "timeout";
    case "upstream_rejected":
    case "upstream_invalid_result":
    case "upstream_asset_expired":
    case "upstream_lost":
    case "internal_error":
    case "unavailable":
      return "failure";
    // About the account there, or about us; and who gave up waiting says nothing of what was waited for.
    case "cancelled":
    case "rate_limited":
    case "unauthorized":
    case "out_of_credit":
    case "forbidden":
    case "model_unavailable":
    case "queue_timeout":
      return "silent";
  }
}

export function phaseOf(breaker: Breaker, now: number): Phase {
  if (breaker.state === "open") return now < breaker.until ? "open" : "half_open";
  const { recoveredAt } = breaker;
  return recoveredAt !== null && now < recoveredAt + RAMP_MS * (1 - RAMP_STEP) ? "ramping" : "closed";
}

/** A stay that began at `grantedAt` has ended. */
export function afterCall(breaker: Breaker, outcome: CallOutcome, grantedAt: number, now: number): Breaker {
  if (outcome === "silent") return breaker;
  const isGood = outcome === "good";
  if (breaker.state === "open") {
    const { until, openings, failedProbes = 0 } = breaker;
    // What was under way when it opened is no probe.
    if (grantedAt < until) return breaker;
    if (isGood) return { ...closedBreaker(until), recoveredAt: now, openings };
    // A probe that nobody answered costs its task.
    const goesOn = outcome === "failure" && failedProbes < FAILED_PROBES_ALLOWED;
    return goesOn ? { ...breaker, failedProbes: failedProbes + 1 } : opened(openings + 1, now);
  }
  if (grantedAt < breaker.judgedFrom) return breaker;
  const calls = [...breaker.calls, { at: now, isGood }].filter(({ at }) => at > now - WINDOW_MS).slice(-CALLS_JUDGED);
  const failures = calls.filter((call) => !call.isGood).length;
  const straightTimeouts = outcome === "timeout" ? breaker.straightTimeouts + 1 : 0;
  const isDown = (calls.length >= CALLS_JUDGED && failures * 2 >= calls.length) || straightTimeouts >= TIMEOUTS_ALLOWED;
  if (isDown) return opened(phaseOf(breaker, now) === "ramping" ? breaker.openings + 1 : 1, now);
  return { ...breaker, calls, straightTimeouts };
}

/** When a task that may not pass may ask again; null: it may pass. `leases`: the stays under way. */
export function heldBackUntil(
  breaker: Breaker,
  task: string,
  leases: Iterable<{ readonly grantedAt: number }>,
  now: number,
): number | null {
  const lot = jitterOf(task);
  if (breaker.state === "open") {
    if (now < breaker.until) return breaker.until + lot * SPREAD_MS;
    let probes = 0;
    for (const { grantedAt } of leases) if (grantedAt >= breaker.until) probes++;
    return probes < PROBES ? null : now + PROBE_WAIT_MS + lot * SPREAD_MS;
  }
  if (breaker.recoveredAt === null) return null;
  const passesAt = breaker.recoveredAt + (lot - RAMP_STEP) * RAMP_MS;
  return now < passesAt ? passesAt : null;
}

function opened(openings: number, now: number): Breaker {
  return { state: "open", until: now + Math.min(OPEN_MS * 2 ** (openings - 1), OPEN_CAP_MS), openings };
}
