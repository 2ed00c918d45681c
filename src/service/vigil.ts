// The time that a watcher waits: in the Worker, where waiting is free, and not in an object, which is billed for it. It is counted
// by its naps as well as by the clock, so that a clock that stands or jumps back prolongs nothing.
import type { Clock } from "../ports.ts";

/** Ends early, and quietly, where the signal says so. */
export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

export interface VigilDeps {
  readonly sleep: Sleep;
  readonly clock: Clock;
}

export class Vigil {
  readonly #deps: VigilDeps;
  readonly #signal: AbortSignal;
  readonly #startedAt: number;
  #napped = 0;

  constructor(deps: VigilDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
    this.#startedAt = deps.clock();
  }

  /** Milliseconds that it has lasted. */
  get lastedMs(): number {
    return Math.max(this.#napped, this.#deps.clock() - this.#startedAt);
  }

  /** Nobody waits any more. */
  get isAlone(): boolean {
    return this.#signal.aborted;
  }

  async nap(ms: number): Promise<void> {
    await this.#deps.sleep(ms, this.#signal);
    this.#napped += ms;
  }
}
