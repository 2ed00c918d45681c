// How long to wait after failures, and spread without randomness: no two tasks keep step with each other.

/** Milliseconds to wait after failure number `failures` (1, 2, ...): doubling from `firstMs`, capped, spread by the task's id. */
export function backoff(failures: number, firstMs: number, capMs: number, taskId: string): number {
  const doubled = Math.min(firstMs * 2 ** Math.max(failures - 1, 0), capMs);
  return Math.round(doubled * (0.9 + 0.2 * jitterOf(`${taskId}/${failures}`)));
}

/**
 * A number in [0, 1) that a text always gets: spread without randomness. FNV-1a alone leaves texts that differ only at their end (as
 * `task/up-1` and `task/up-2` do) close together, so its hash is mixed by MurmurHash3's finalizer.
 */
export function jitterOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
