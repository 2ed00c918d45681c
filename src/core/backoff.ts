// When to look again. Everything derives from elapsed time and the task's id, so that an unchanged poll needs no stored counter,
// and no two tasks keep step with each other.

const FASTEST_POLL_MS = 1_000;
const SLOWEST_POLL_MS = 20_000;
/** Each wait is this part of the time already waited: the longer a generation has taken, the less a few seconds matter. */
const GROWTH = 0.15;

/**
 * Milliseconds after submit at which to poll next, for a task `elapsedMs` old by a route that usually takes `medianMs`.
 * The first poll comes just after the median; the schedule is the same however often it is asked.
 */
export function nextPoll(medianMs: number, elapsedMs: number, taskId: string): number {
  const jitter = jitterOf(taskId);
  let at = medianMs * (1 + jitter * GROWTH);
  // Half a step of slack: an alarm that fires a little early must not make two polls of one.
  while (at <= elapsedMs + pollStep(at) / 2) at += pollStep(at) * (0.9 + 0.2 * jitter);
  return Math.round(at);
}

function pollStep(atMs: number): number {
  return Math.min(Math.max(atMs * GROWTH, FASTEST_POLL_MS), SLOWEST_POLL_MS);
}

/** Milliseconds to wait after failure number `failures` (1, 2, ...): doubling from `firstMs`, capped, spread by the task's id. */
export function backoff(failures: number, firstMs: number, capMs: number, taskId: string): number {
  const doubled = Math.min(firstMs * 2 ** Math.max(failures - 1, 0), capMs);
  return Math.round(doubled * (0.9 + 0.2 * jitterOf(`${taskId}/${failures}`)));
}

/** A number in [0, 1) that a text always gets (FNV-1a): spread without randomness. */
export function jitterOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return (hash >>> 0) / 2 ** 32;
}
