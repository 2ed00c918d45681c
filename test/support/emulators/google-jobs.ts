// What emulated Google knows of a job, and what it may be told to do with one.
import type { Fault } from "./faults.ts";

/** What to do with one call. */
export type Instruction =
  | Fault
  /** Any call: Google's own error, as HTTP:STATUS:MESSAGE; `list` wraps it in one, as its front end does. */
  | `error:${number}:${string}:${string}`
  | "list"
  /** Query: `echo` tells what was sent, images and all. */
  | "running"
  | "filtered"
  | "audio-filtered"
  | "no-video"
  | "inline"
  | "text-only"
  | "echo"
  | `state:${string}`
  | `failure:${string}:${string}`;

export interface EmulatedJob {
  /** An operation's name, or an interaction's id. */
  readonly name: string;
  readonly isVertex: boolean;
  readonly body: Record<string, unknown>;
  polls: number;
  isCancelled: boolean;
}

/** What a wire needs to answer for a job. */
export interface JobView extends EmulatedJob {
  readonly isDone: boolean;
  readonly told: ReadonlySet<Instruction>;
  readonly video: Uint8Array;
  /** Where the video can be fetched. */
  readonly uri: string;
}

/** What stands for a job in its file's name. */
export function fileOf(name: string): string {
  return name.slice(-12);
}
