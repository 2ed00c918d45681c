// How long a route takes, as it is known: learned from its last generations, or told by the operator or the catalogue.

/** Milliseconds within which 5, 10, ... 95 in a hundred of the last generations were done: 19 numbers, never falling. */
export type Quantiles = readonly number[];

export interface Latency {
  readonly medianMs: number;
  /** Null: nothing is learned yet. */
  readonly quantiles: Quantiles | null;
}

export function medianOf(quantiles: Quantiles): number {
  return quantiles[quantiles.length >> 1] ?? 0;
}

/**
 * How much time a task must have left to be worth handing over: what nearly all generations take there, as far as that is learned; a
 * median that somebody told is a guess, and keeps nobody from trying. At most half of its time, so that none is too late from the start.
 */
export function neededMs(quantiles: Quantiles | null, task: { readonly createdAt: number; readonly deadlineAt: number }): number {
  return Math.min(quantiles?.at(-1) ?? 0, (task.deadlineAt - task.createdAt) / 2);
}
