// What is told of each public code beside its message: why it comes, what to do, whether it cost anything. A code that is not in
// one of these tables does not build; its status, type and message have their home in errors.ts and the files that answer them.
import { ACCOUNT_ERRORS } from "./error-texts-account.ts";
import { INPUT_ERRORS } from "./error-texts-input.ts";
import { OPERATOR_ERRORS } from "./error-texts-operator.ts";

export interface ErrorText {
  readonly why: string;
  readonly todo: string;
  /** Where it is not simply no. */
  readonly charged?: string;
  readonly on: Place | readonly Place[];
}

/** What an operation has or does that makes a code possible there. */
export type Place =
  | "everywhere"
  | "key"
  | "body"
  | "form"
  | "query"
  | "input"
  | "generation"
  | "max_cost"
  | "webhook_url"
  | "create"
  | "task"
  /** Takes a task token too. */
  | "watch"
  | "cancel"
  | "delete"
  | "list"
  | "list_videos"
  | "link"
  | "file"
  /** The same bytes, for the API key. */
  | "content"
  | "webhook"
  | "webhook_add"
  | "webhook_send"
  | "delivery"
  | "operator"
  | "nowhere";

export const ERROR_TEXTS = { ...INPUT_ERRORS, ...ACCOUNT_ERRORS, ...OPERATOR_ERRORS };

/** Every code that an error body may have. */
export type ErrorCode = keyof typeof ERROR_TEXTS;

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_TEXTS, code);
}
