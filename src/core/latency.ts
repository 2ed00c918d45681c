// How long a route takes, as it is known: learned from its last generations, or told by the operator or the catalogue.

/** Milliseconds within which 5, 10, ... 95 in a hundred of the last generations were done: 19 numbers, never falling. */
export type Quantiles = readonly number[];

export interface Latency {
  readonly medianMs: number;
  /** Null: nothing is learned yet. */
  readonly quantiles: Quantiles | null;
}
