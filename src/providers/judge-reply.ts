// What a provider's error means, whichever wire it came over. The rule that matters most is in `refusalOf`: what is not clearly
// a no may be a job that is being paid for.
import { z } from "zod";
import { RefusedError, RetryableError, UnclearReplyError } from "../core/upstream-errors.ts";
import { retryAfterMs, type JsonReply } from "./call-json.ts";

/** A member of an unexpected type is as good as absent: a server that adds or changes one must not break the others. */
export function lenient<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().catch(null);
}

// All of these are matched against `folded` words.
export const POLICY =
  /support code|responsible ai|usage guidelines|safety|sensitive words|prohibited|unsafe|moderation|flagged|violat.{0,200}polic|polic.{0,200}violat|content policy|prompt blocked/;
export const OUT_OF_CREDIT = /insufficient (user )?(quota|balance|credit|fund)|depleted|billing/;
const NO_SUCH_MODEL =
  /model not found|no available (channel|key)|model access denied|(unknown|unsupported|invalid) model|model .{0,80}(not found|not exist|not supported|not available|no longer available)/;
const INVALID = /invalid request|invalid image|invalid parameter|missing parameter/;

/**
 * Refusals that are clean even where no provider's own words come with them, as from a proxy or firewall in front of it: who answers
 * these has looked at the request and not begun it. Others (408, 409, 425, 499, ...) may stand for a request that was passed on.
 */
const CLEAN_WITHOUT_WORDS = [400, 401, 402, 403, 404, 405, 413, 414, 415, 422, 429];
/** These are about the operator's account, whatever words come with them. */
const ABOUT_THE_ACCOUNT = [401, 402, 429];
/** An operator has to act first; until then other routes are tried. */
const ACCOUNT_WAIT_MS = 60_000;

/**
 * The no that a failed submit stands for. Null: it cannot be told from a job that was started, so that the submit must not be repeated.
 * `words`: what the provider itself says of it, folded; null where the reply is not the provider's own error.
 */
export function refusalOf(reply: JsonReply, words: string | null): RetryableError | RefusedError | null {
  const { status } = reply;
  const clean = words !== null ? (status >= 400 && status < 500) || status === 503 : CLEAN_WITHOUT_WORDS.includes(status);
  if (!clean) return null;
  // Words before numbers: providers send policy blocks, and models that they do not serve, under nearly any status.
  if (words !== null && POLICY.test(words) && !ABOUT_THE_ACCOUNT.includes(status))
    return new RefusedError("task", "content_policy");
  if (OUT_OF_CREDIT.test(words ?? "")) return new RetryableError("out_of_credit", ACCOUNT_WAIT_MS);
  if (NO_SUCH_MODEL.test(words ?? "")) return new RefusedError("route", "upstream_rejected");
  const later = accountError(reply) ?? outage(reply);
  if (later !== null) return later;
  const invalid = status === 400 || status === 422 || INVALID.test(words ?? "");
  return new RefusedError(invalid ? "task" : "route", "upstream_rejected");
}

/** What is wrong with the operator's account there; null: nothing. */
export function accountError({ status, headers }: JsonReply): RetryableError | null {
  if (status === 401 || status === 403) return new RetryableError("unauthorized", ACCOUNT_WAIT_MS);
  if (status === 402) return new RetryableError("out_of_credit", ACCOUNT_WAIT_MS);
  return status === 429 ? new RetryableError("rate_limited", retryAfterMs(headers, Date.now())) : null;
}

/** Null: the provider is up, as far as this reply tells. */
export function outage({ status, headers }: JsonReply): RetryableError | null {
  const passes = status >= 500 || status === 408 || status === 425;
  return passes ? new RetryableError("unavailable", retryAfterMs(headers, Date.now())) : null;
}

/** A reply that says neither yes nor no. */
export function unclear(verb: string, { status }: { status: number }): UnclearReplyError {
  return new UnclearReplyError(`${verb} answered ${status}, and nothing that could be understood`);
}

export function raise(error: Error): never {
  throw error;
}

export function isSuccess({ status }: JsonReply): boolean {
  return status >= 200 && status < 300;
}

export function joined(words: readonly (string | null | undefined)[]): string {
  return words.filter(Boolean).join(" ");
}

/** Words as they are compared: in small letters, with one blank where any stood between them. */
export function folded(words: readonly (string | null | undefined)[]): string {
  return joined(words)
    .toLowerCase()
    .replace(/[_\s:-]+/g, " ");
}
