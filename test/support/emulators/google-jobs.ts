// What emulated Google knows of a job, and what it may be told to do with one.

/** Any call. `error:HTTP:STATUS:MESSAGE` is Google's own error; `list` wraps it in one, as its front end does. */
type OnAnyCall =
  | "ok"
  | `error:${number}:${string}:${string}`
  | "list"
  | `html:${number}`
  | `retry-after:${number}`
  /** The connection is reset before anything happens. */
  | "reset"
  /** The call has its effect, and the connection is reset instead of an answer. */
  | "accept-then-drop"
  /** The call has its effect, and is never answered. */
  | "hang"
  /** Half of what was announced, then a reset. */
  | "truncate"
  | "bad-json"
  | `redirect:${string}`;
export type Instruction =
  | OnAnyCall
  /** `create` only. */
  | "no-id"
  /** `query` only. `echo` tells what was sent, images and all. */
  | "running"
  | "not-found"
  | "filtered"
  | "audio-filtered"
  | "no-video"
  | "inline"
  | "text-only"
  | "echo"
  | `state:${string}`
  | `failure:${string}:${string}`
  /** `download` only. */
  | "json-body";

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

export function valueOf(told: ReadonlySet<Instruction>, prefix: string): string | null {
  return [...told].find((each) => each.startsWith(prefix))?.slice(prefix.length) ?? null;
}
