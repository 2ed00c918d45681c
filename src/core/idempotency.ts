// A repeated create gives the same task. A key is the tenant's, whichever API key brings it, and is kept for a day.
import { fail, ok, type Result } from "./result.ts";

/** How long a key stands for its task. */
export const IDEMPOTENCY_MS = 24 * 60 * 60_000;
/** Retries that an SDK makes by itself carry no key; within this time the same body is taken for the same wish. */
export const SDK_RETRY_MS = 2 * 60_000;
/** A hold this old without a task was left by a crash, and may be started by whoever repeats it; a younger one is under way. */
export const IN_PROGRESS_MS = 15_000;

/** What makes two creates the same. */
export interface Claim {
  /** Null: told apart by body and time only. */
  readonly key: string | null;
  /** Hash of what was asked for. On record with every task, so that an SDK's retry finds it. */
  readonly fingerprint: string;
  /** Whether this may be a repetition, by its key or as an SDK's retry; else it is a wish of its own. */
  readonly looks: boolean;
}

/** The header's value as the key it names, quoted or bare; null where there is none. */
export function parseIdempotencyKey(header: string | null): Result<string | null, string> {
  if (header === null) return ok(null);
  const quoted = /^"((?:[^"\\]|\\["\\])*)"$/.exec(header);
  const key = quoted ? (quoted[1] as string).replaceAll(/\\(["\\])/g, "$1") : header;
  if (!quoted && /[",]/.test(header)) return fail("must be one value");
  if (!/^[ -~]{1,255}$/.test(key) || key.trim() === "") return fail("must be 1 to 255 printable ASCII characters");
  return ok(key);
}

/** A text that is the same for the same JSON, whatever the order of its names. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value)
    .filter(([, each]) => each !== undefined && each !== null)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([name, each]) => `${JSON.stringify(name)}:${canonicalJson(each)}`).join()}}`;
}
