// Every public code with all that is known of it: status, type, an example, why, what to do, whether it was charged. The
// reference and the page of errors are drawn from here.
import { ERROR_TEXTS, type ErrorCode, type ErrorText, type Place } from "./error-texts.ts";
import { sampleErrors } from "./error-samples.ts";
import { mayRepeat, type ApiError, type ErrorStatus } from "./errors.ts";

export interface ErrorEntry {
  readonly code: ErrorCode;
  readonly status: ErrorStatus;
  readonly type: string;
  /** A whole reply's body. */
  readonly example: { readonly error: { message: string; type: string; code: string; param: string | null } };
  readonly why: string;
  readonly todo: string;
  readonly charged: string;
  /** Whether the same request may succeed later. */
  readonly retry: boolean;
  /** Whether the reply says when. */
  readonly retryAfter: boolean;
  readonly on: readonly Place[];
}

export const STATUS_TITLES: Readonly<Record<ErrorStatus, string>> = {
  400: "Bad request",
  401: "Unauthorized",
  402: "Payment required",
  403: "Forbidden",
  404: "Not found",
  405: "Method not allowed",
  408: "Request timeout",
  409: "Conflict",
  413: "Content too large",
  414: "URI too long",
  415: "Unsupported media type",
  416: "Range not satisfiable",
  422: "Unprocessable content",
  429: "Too many requests",
  500: "Internal server error",
  503: "Service unavailable",
};

let known: readonly ErrorEntry[] | null = null;

/** By status. Made once an isolate, when somebody asks. */
export function errorEntries(): readonly ErrorEntry[] {
  if (known !== null) return known;
  const samples = sampleErrors();
  const texts = Object.entries(ERROR_TEXTS) as [ErrorCode, ErrorText][];
  known = texts
    .map(([code, text]) => {
      const sample = samples.find((each) => each.code === code);
      if (sample === undefined) throw new Error(`no sample has the code ${code}`);
      return toEntry(sample, text);
    })
    .sort((a, b) => a.status - b.status);
  return known;
}

function toEntry(sample: ApiError, { why, todo, charged = "No.", on }: ErrorText): ErrorEntry {
  const { status, type, code, message, param = null, headers = {} } = sample;
  const example = { error: { message, type, code, param } };
  const retryAfter = "Retry-After" in headers;
  return {
    code,
    status,
    type,
    example,
    why,
    todo,
    charged,
    retry: mayRepeat(sample),
    retryAfter,
    on: typeof on === "string" ? [on] : on,
  };
}
