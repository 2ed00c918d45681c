// What came of an effect: an event for the task machine, and for the operator's log why, in our own words.
import type { TaskEvent } from "../core/task-transition.ts";
import { UnclearReplyError } from "../core/upstream-errors.ts";

export interface Performed {
  readonly event: TaskEvent;
  readonly note?: string;
}

/** The kind of an error, which is ours or the platform's to name; a message may be a provider's, unless we wrote it. */
export function nameOf(error: unknown): string {
  if (error instanceof UnclearReplyError) return error.message;
  return error instanceof Error ? error.name : "unknown";
}
