// How long to wait after failures, and spread without randomness: no two tasks keep step with each other.

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
