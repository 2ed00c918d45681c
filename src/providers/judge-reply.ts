// What a provider's error means, whichever wire it came over. The rule that matters most is in `refusalOf`: what is not clearly
// a no may be a job that is being paid for.
import { RefusedError, RetryableError, UnclearReplyError } from "../core/upstream-errors.ts";
import type { PollResult } from "../ports.ts";
import { retryAfterMs, type JsonReply } from "./call-json.ts";

// All of these are matched against `folded` words.
const POLICY =
  /support code|responsible ai|usage guidelines|safety|sensitive words|prohibited|unsafe|moderation|(?<!account.{0,30})flagged|violat.{0,200}polic|polic.{0,200}violat|content policy|prompt blocked|\bblocklist\b|\bspii\b/;
const ABOUT_CONTENT =
  /\b(content|prompts?|images?)\b.{0,40}\b(forbidden|prohibited|blocked|disallowed)|(forbidden|prohibited|blocked|disallowed|unsafe) (content|prompt|image)/;
/** With ABOUT_CONTENT, what is clear also under a 503, where words about safety may be about a service that is down. */
const BLOCKED = /content policy|(prompt|moderation) blocked|sensitive words/;
const OUT_OF_CREDIT = /insufficient (user )?(quota|balance|credit|fund)|depleted|billing/;
/** Of a server with several behind it, what it says when none of them has the model: no outage, which would be all models'. */
const NOT_SERVED = /model not found|no available (channel|key)/;
const NO_SUCH_MODEL =
  /model not found|no available (channel|key)|model access denied|(unknown|unsupported|invalid) model|\bmodels?\b.{0,120}(not found|not exist|not supported|not available|no longer available)/;
/** Google's names the resource, a model among them, and says of it that "it may not exist". */
const DENIED = /permission\b.{0,120}?\bdenied/;
const INVALID = /invalid request|invalid parameter|missing parameter/;
const IMAGE_UNREAD =
  /image load error|file download error|(not|cannot|can't|unable to|failed to|error) (fetch|download|load|retrieve|access|open)(ing)?\b.{0,40}\b(image|file|url)|\b(image|file|url)s?\b.{0,60}(not|cannot|can't) (be )?(fetched|downloaded|loaded|retrieved|accessed|accessible|reached|reachable)/;
const IMAGE_INVALID =
  /\b(invalid|unsupported|corrupt(ed)?) (\w+ )?(image|file format|file type)|\bimage .{0,60}(too (large|small|big)|invalid|unsupported|not supported|corrupt|not (be )?(decoded?|read|identified|opened))|file too large|(not|cannot|can't|unable to|failed to) (decode|identify|read|open)\b.{0,30}\bimage|unsupported image format/;

/**
 * Who answers these has looked at the request and not begun it, be it the provider or a proxy before it. Others (408, 409, 425, 499,
 * ...) may stand for a request that was passed on, whoever says so: LiteLLM answers 408 itself when what it called did not answer.
 */
const CLEAN = [400, 401, 402, 403, 404, 405, 413, 414, 415, 422, 429];
const CLEAN_IN_OWN_WORDS = [410, 503];
/** An operator has to act first; until then other routes are tried. */
export const ACCOUNT_WAIT_MS = 60_000;

/**
 * The no that a failed submit stands for. Null: it cannot be told from a job that was started, so that the submit must not be repeated.
 * `words`: what the provider itself says of it, folded; null where the reply is not the provider's own error. What rests a key or a
 * model for every tenant is never decided by words that the `prompt` has too: some providers repeat it in their errors.
 */
export function refusalOf(reply: JsonReply, words: string | null, prompt: string): RetryableError | RefusedError | null {
  const { status } = reply;
  const isClean = CLEAN.includes(status) || (words !== null && CLEAN_IN_OWN_WORDS.includes(status));
  if (!isClean) return null;
  const isUnpaid = says(words ?? "", OUT_OF_CREDIT, prompt);
  // By their numbers alone, whatever comes with them.
  if (status === 401 || status === 402 || status === 429) {
    return status === 429 && isUnpaid ? outOfCredit() : accountError(reply);
  }
  // Of a proxy or firewall in front of it, which may dislike anything about the request.
  if (words === null) return new RefusedError("route", "upstream_rejected");
  // Policy blocks come under nearly any number.
  if (isPolicy(words, status)) return new RefusedError("task", "content_policy");
  if (status === 503) {
    return says(words, NOT_SERVED, prompt) ? new RefusedError("model", "upstream_rejected") : outage(reply);
  }
  if (status === 403) {
    if (isUnpaid) return outOfCredit();
    if (says(words, DENIED, prompt)) return new RefusedError("key", "upstream_rejected");
    return new RefusedError(NO_SUCH_MODEL.test(words) ? "route" : "key", "upstream_rejected");
  }
  if (status === 404 || status === 410) {
    return new RefusedError(says(words, NO_SUCH_MODEL, prompt) ? "model" : "route", "upstream_rejected");
  }
  const image = imageTrouble(words);
  if (image !== null) return new RefusedError("task", image);
  const isInvalid = status === 400 || status === 422 || INVALID.test(words);
  return new RefusedError(isInvalid && !NO_SUCH_MODEL.test(words) ? "task" : "route", "upstream_rejected");
}

/** What is prohibited under a 403 may as well be who asks, or from where. */
export function isPolicy(words: string, status?: number): boolean {
  if (status === 503) return ABOUT_CONTENT.test(words) || BLOCKED.test(words);
  return ABOUT_CONTENT.test(words) || POLICY.test(status === 403 ? words.replaceAll("prohibited", "") : words);
}

/** Whether it says so in words of its own: none of them is the prompt's. */
export function says(words: string, pattern: RegExp, prompt: string): boolean {
  const found = pattern.exec(words)?.[0];
  if (found === undefined) return false;
  const promptWords = new Set(folded([prompt]).match(/\w+/g));
  return !(found.match(/\w{4,}/g) ?? []).some((word) => promptWords.has(word));
}

/** A job that has failed, by what its provider says of it in folded words. */
export function failureOf(words: string): Extract<PollResult, { status: "failed" }> {
  if (isPolicy(words)) return { status: "failed", by: "task", reason: "content_policy" };
  const image = imageTrouble(words);
  if (image !== null) return { status: "failed", by: "task", reason: image };
  return { status: "failed", by: "route", reason: "upstream_rejected" };
}

/** A job that has ended well, and without a video: by its provider's folded words it was filtered, or there is no telling. */
export function withoutVideo(words: string): PollResult {
  return isPolicy(words) ? { status: "failed", by: "task", reason: "content_policy" } : { status: "empty" };
}

function imageTrouble(words: string): "image_fetch_failed" | "image_invalid" | null {
  if (IMAGE_UNREAD.test(words)) return "image_fetch_failed";
  return IMAGE_INVALID.test(words) ? "image_invalid" : null;
}

function outOfCredit(): RetryableError {
  return new RetryableError("out_of_credit", ACCOUNT_WAIT_MS);
}

/** What is wrong with the operator's account there; null: nothing. */
export function accountError({ status, headers }: JsonReply): RetryableError | null {
  if (status === 401 || status === 403) return new RetryableError("unauthorized", ACCOUNT_WAIT_MS);
  if (status === 402) return outOfCredit();
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
