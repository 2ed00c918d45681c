// How an adapter says what it knows of a call that did not go well. What it cannot name is unknown, and an unknown answer to a paid
// call is never repeated.
import type { FailureCode } from "./errors.ts";

/** What is the matter with a provider, or with the operator's account there. */
export type RetryableCode = "rate_limited" | "unavailable" | "unauthorized" | "out_of_credit";

/** The provider cleanly said "not now": nothing happened, and it (or another route) may be asked again. */
export class RetryableError extends Error {
  override readonly name = "RetryableError";
  readonly code: RetryableCode;
  readonly retryAfterMs: number | null;

  constructor(code: RetryableCode, retryAfterMs: number | null = null) {
    super(code);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Whose no it is: the `task`'s (nobody will make it), or this `route`'s, so that another may serve it. Of a route, that may be because
 * it has no such `model` (any more), or perhaps because of the `key`: one request alone cannot tell that from a dislike of the request.
 */
export type RefusedBy = "task" | "route" | "model" | "key";

/** What a provider has against a route, whichever task asks. */
export type RouteTrouble = "model_unavailable" | "forbidden";

export function isRouteTrouble(reason: string | null | undefined): reason is RouteTrouble {
  return reason === "model_unavailable" || reason === "forbidden";
}

/** The provider cleanly said no. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly by: RefusedBy;
  readonly reason: FailureCode;

  constructor(by: RefusedError["by"], reason: FailureCode) {
    super(reason);
    this.by = by;
    this.reason = reason;
  }
}

/** A finished result can no longer be fetched from where it was: poll for a fresh link. */
export class AssetGoneError extends Error {
  override readonly name = "AssetGoneError";
}

/** A reply that says neither yes nor no. Its message is in our own words, without a host or a provider's text: safe to log. */
export class UnclearReplyError extends Error {
  override readonly name = "UnclearReplyError";
}

/** The source sent more than allowed, or stopped short of what it announced. */
export class SourceError extends Error {
  override readonly name = "SourceError";
  readonly what: "too_large" | "cut_short";

  constructor(what: SourceError["what"]) {
    super(what);
    this.what = what;
  }
}
