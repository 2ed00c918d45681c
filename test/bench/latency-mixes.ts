// What generations take, for a bench of polls: 11 s to 6 min with a long tail, as video models are said to take, in three widths.
// Log-normal around a minute; the same durations and task ids at every run.
import { base32 } from "../../src/core/encoding.ts";

export interface Mix {
  readonly name: string;
  readonly sigma: number;
  /** In the order in which they happen. */
  readonly durationsMs: readonly number[];
}

/** What an operator or the catalogue would say of each. */
export const MEDIAN_MS = 60_000;
const SHORTEST_MS = 11_000;
const LONGEST_MS = 360_000;
const COUNT = 4_000;

export const MIXES: readonly Mix[] = [mix("narrow", 0.3), mix("medium", 0.5), mix("wide", 0.8)];

function mix(name: string, sigma: number): Mix {
  const random = randomOf(sigma * 1_000);
  const durationsMs = Array.from({ length: COUNT }, () => {
    const ms = MEDIAN_MS * Math.exp(sigma * normal(random));
    return Math.round(Math.min(Math.max(ms, SHORTEST_MS), LONGEST_MS));
  });
  return { name, sigma, durationsMs };
}

/** Ids as tasks have them: their polls are spread by them. */
export function taskIds(count: number): string[] {
  const random = randomOf(1);
  const bytes = (): Uint8Array => Uint8Array.from({ length: 16 }, () => Math.floor(random() * 256));
  return Array.from({ length: count }, () => `veo3:1795348800-${base32(bytes())}`);
}

/** Box and Muller. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Numbers in [0, 1) that are the same at every run (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
