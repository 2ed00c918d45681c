// What every stream has: heartbeats, a longest life, and an end when its watcher is gone or would not be let in any more.
import { Vigil, type VigilDeps } from "./vigil.ts";
import type { Watcher } from "./watch.ts";

/** A comment, so that nothing between us and the watcher takes the silence for the end. */
export type StreamEvent = { readonly type: "heartbeat" };

/** No stream waits for more than 5 s at a time, so none is silent for more than 15. */
const SILENCE_MS = 10_000;
/** A request may make a thousand object calls on a free plan. The watcher comes back by itself, and misses nothing. */
const LIFE_MS = 15 * 60_000;
const ALLOWED_EVERY_MS = 60_000;

export class Stream {
  readonly #vigil: Vigil;
  readonly #watcher: Watcher;
  #saidAt = 0;
  #allowedAt = 0;

  constructor(deps: VigilDeps, watcher: Watcher) {
    this.#vigil = new Vigil(deps, watcher.signal);
    this.#watcher = watcher;
  }

  /** Nothing was said for a while. */
  get isSilent(): boolean {
    return this.#vigil.lastedMs - this.#saidAt >= SILENCE_MS;
  }

  say<Event>(event: Event): Event {
    this.#saidAt = this.#vigil.lastedMs;
    return event;
  }

  /** Waits. False: the stream is to end. */
  async goesOn(ms: number): Promise<boolean> {
    const vigil = this.#vigil;
    await vigil.nap(ms);
    if (vigil.isAlone || vigil.lastedMs >= LIFE_MS) return false;
    if (vigil.lastedMs - this.#allowedAt < ALLOWED_EVERY_MS) return true;
    this.#allowedAt = vigil.lastedMs;
    return this.#watcher.isStillAllowed();
  }
}
