// Google's errors, in replies and in operations: whose they are, and what they mean.
import { z } from "zod";
import { RefusedError, RetryableError } from "../core/upstream-errors.ts";
import type { PollResult } from "../ports.ts";
import { retryAfterMs, type JsonReply } from "./call-json.ts";
import { accountError, ACCOUNT_WAIT_MS, failureOf, folded, isPolicy, outage, refusalOf, says } from "./judge-reply.ts";
import { lenient, text } from "./reply-parts.ts";

/** Codes are HTTP's, gRPC's or words. */
export const googleError = z.looseObject({
  code: text,
  status: text,
  message: text,
  details: lenient(z.array(lenient(z.looseObject({ reason: text, retryDelay: text })))),
});
export type GoogleError = z.infer<typeof googleError>;
const said = lenient(z.union([googleError, z.string().transform((message) => googleError.parse({ message }))]));
const envelope = z.looseObject({ error: said });
const errorReply = z.union([
  envelope,
  z
    .array(envelope)
    .min(1)
    .transform(([first]) => first),
]);

/** What is about the operator's account though it comes as a 400 or with words that are else about content. */
const ABOUT_THE_ACCOUNT = /api key (not valid|not found|invalid|expired)|vpc ?service ?controls|organization'?s policy/;
const UNMET_BY_THE_ACCOUNT = /billing|billed|location|region|storage|bucket|permission/;
const OUT_OF_CREDIT = /depleted|prepay|prepaid/;

// Of operations. Codes are gRPC's numbers, resellers' HTTP ones, or words.
const NOT_FOUND = /^(5|404|not found)$/;
const TIMED_OUT = /^(4|504|deadline exceeded)$/;
const CANCELLED = /^(1|499|cancell?ed)$/;
const INVALID = /^(3|9|11|400|invalid argument|failed precondition|out of range|invalid request)$/;
/** The filter of what is heard, which is spoken of as an issue. The same prompt passes it another time. */
const AUDIO_FILTER = /issue with the audio/;

/**
 * What keeps the account from being served at the moment; null: nothing. `reply` need not be an error. Words that the `prompt` has too
 * decide nothing: some of those who speak this wire repeat it.
 */
export function accountTrouble(reply: JsonReply, prompt: string): RetryableError | null {
  const { status } = reply;
  const error = errorOf(reply);
  const words = wordsOf(error);
  if (status === 429) {
    // Google's words for too many requests name "billing details", too.
    if (says(words, OUT_OF_CREDIT, prompt)) return new RetryableError("out_of_credit", ACCOUNT_WAIT_MS);
    return new RetryableError("rate_limited", retryAfterMs(reply.headers, Date.now()) ?? retryDelayMs(error));
  }
  const reasons = folded(reasonsOf(error));
  // Reasons are of a list of Google's own: no prompt is repeated in them.
  const isTheirs = isAboutTheAccount(status, error, (pattern) => pattern.test(reasons) || says(words, pattern, prompt));
  return isTheirs ? new RetryableError("unauthorized", ACCOUNT_WAIT_MS) : null;
}

/** By the words that `finds` looks in. */
function isAboutTheAccount(status: number, error: GoogleError | null, finds: (pattern: RegExp) => boolean): boolean {
  const isUnmet = isPrecondition(error) && finds(UNMET_BY_THE_ACCOUNT) && !isPolicy(wordsOf(error));
  return (status === 400 || status === 403) && (isUnmet || finds(ABOUT_THE_ACCOUNT));
}

/** Why a call that costs nothing is to be made again later; null: its reply is to be read. */
export function reasonToWait(reply: JsonReply): RetryableError | null {
  return accountTrouble(reply, "") ?? accountError(reply) ?? outage(reply);
}

/** `refusalOf` in Google's words. */
export function googleRefusal(reply: JsonReply, prompt: string): RetryableError | RefusedError | null {
  const error = errorOf(reply);
  const trouble = accountTrouble(reply, prompt);
  if (trouble !== null) return trouble;
  // Of the account, or of the prompt that shares its words: another route shows which.
  if (isAboutTheAccount(reply.status, error, (pattern) => pattern.test(wordsOf(error)))) {
    return new RefusedError("route", "upstream_rejected");
  }
  return refusalOf(reply, error === null ? null : wordsOf(error), prompt);
}

/** A job that has failed with these errors. */
export function googleFailure(errors: readonly (GoogleError | null | undefined)[]): PollResult {
  const words = errors.map(wordsOf).join(" ");
  if (isAudioFilter(words)) return { status: "failed", by: "route", reason: "content_policy" };
  const found = failureOf(words);
  if (found.by === "task") return found;
  const codes = errors.flatMap((error) => [error?.code, error?.status]).map((code) => folded([code]));
  const has = (pattern: RegExp): boolean => codes.some((code) => pattern.test(code));
  if (has(NOT_FOUND)) return { status: "missing" };
  if (has(CANCELLED)) return { status: "failed", by: "task", reason: "cancelled" };
  if (has(TIMED_OUT)) return { ...found, reason: "timeout" };
  const isTheAccounts = errors.some((error) => isPrecondition(error)) && UNMET_BY_THE_ACCOUNT.test(words);
  return has(INVALID) && !isTheAccounts ? { ...found, by: "task" } : found;
}

/** `words`: folded. */
export function isAudioFilter(words: string): boolean {
  return AUDIO_FILTER.test(words);
}

function isPrecondition(error: GoogleError | null | undefined): boolean {
  return [error?.code, error?.status].some((code) => /^(9|failed precondition)$/.test(folded([code])));
}

/** Null: it is not the provider that says no here, or it says nothing. */
export function errorOf({ body }: JsonReply): GoogleError | null {
  const error = errorReply.safeParse(body).data?.error ?? null;
  return error !== null && saysNothing(error) ? null : error;
}

/** As protocols do that write members which were never set. */
export function saysNothing({ code, status, message }: GoogleError): boolean {
  return (code ?? "0") === "0" && !status && !message;
}

/** Folded. */
export function wordsOf(error: GoogleError | null | undefined): string {
  return folded([error?.code, error?.status, error?.message, ...reasonsOf(error)]);
}

function reasonsOf(error: GoogleError | null | undefined): (string | null | undefined)[] {
  return error?.details?.map((detail) => detail?.reason) ?? [];
}

function retryDelayMs(error: GoogleError | null): number | null {
  const delays = error?.details?.map((detail) => /^(\d+(?:\.\d+)?)s$/.exec(detail?.retryDelay ?? "")?.[1]) ?? [];
  const seconds = delays.find((delay) => delay !== undefined);
  return seconds === undefined ? null : Number(seconds) * 1000;
}
