// What zod found, as one error that names the field, says what is allowed, and what was probably meant.
import { z, type Hook } from "@hono/zod-openapi";
import { didYouMean } from "../core/suggest.ts";
import type { AppEnv } from "./context.ts";
import { isErrorCode } from "./error-texts.ts";
import { answer, badRequest, type ApiError } from "./errors.ts";
import { printable } from "./json-body.ts";

type Issue = z.core.$ZodIssue;

/** An object that takes these fields and no other, because paying for an option that is ignored is worse than being told. */
export function strictBody<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) => (issue.code === "unrecognized_keys" ? didYouMean(issue.keys[0] ?? "", Object.keys(shape)) : undefined),
  });
}

/** A number in a body. `max`: null for as large a one as JSON holds exactly. */
export function whole(min: number, max: number | null = null) {
  const allowed = max === null ? `must be a whole number, ${min} or more` : rangeOf(min, max);
  const number = z.int(allowed).min(min, allowed);
  return max === null ? number : number.max(max, allowed);
}

/** A number in a query, written in one way only: digits. */
export function wholeNumber(min: number, max: number) {
  const message = rangeOf(min, max);
  return z
    .string()
    .refine((text) => /^(0|[1-9]\d{0,15})$/.test(text) && Number(text) >= min && Number(text) <= max, message)
    .transform(Number)
    .openapi({ type: "integer", minimum: min, maximum: max });
}

function rangeOf(min: number, max: number): string {
  return `must be a whole number from ${min} to ${max}`;
}

/** A text that may be left out, but not be empty. */
export const notEmpty = z.string().min(1, "must not be empty");

/** The first fault is told; the next one comes with the next try. */
// oxlint-disable-next-line no-explicit-any -- as @hono/zod-openapi declares a default hook
export const invalidRequest: Hook<any, AppEnv, any, any> = (result, c) => {
  if (result.success) return undefined;
  const input: unknown = "data" in result ? result.data : undefined;
  return answer(c, faultOf(result.error, input, result.target));
};

export function faultOf({ issues: [issue] }: z.core.$ZodError, input: unknown, target: string): ApiError {
  if (issue === undefined) return badRequest("invalid_value", "The request is not valid.");
  const repeated = target === "query" && Array.isArray(at(input, issue.path));
  return repeated
    ? badRequest("duplicate_parameter", `${String(issue.path[0])} is given twice.`, String(issue.path[0]))
    : toApiError(issue, input);
}

/** A schema may give an issue a code of its own: `params: { code: "prompt_too_long" }`. */
function toApiError(issue: Issue, input: unknown): ApiError {
  const param = issue.path.length > 0 ? pathOf(issue.path) : null;
  const name = param ?? "The body";
  const given = at(input, issue.path);
  switch (issue.code) {
    case "unrecognized_keys": {
      const unknown = issue.keys[0] ?? "";
      return badRequest("unknown_parameter", `There is no such parameter.${issue.message}`, pathOf([...issue.path, unknown]));
    }
    case "invalid_key":
      return badRequest("invalid_value", `${name} ${issue.issues[0]?.message ?? "is not a name that is allowed"}.`, param);
    case "custom": {
      const code = String(issue.params?.["code"]);
      return badRequest(isErrorCode(code) ? code : "invalid_value", `${name} ${issue.message}.`, param);
    }
    case "invalid_type":
      if (given === undefined) return missing(name, param);
      return badRequest("invalid_type", `${name} ${ownWords(issue) ?? `must be ${nounOf(issue.expected)}`}.`, param);
    case "invalid_value": {
      if (given === undefined) return missing(name, param);
      const allowed = issue.values.map(String);
      const choice = `must be ${allowed.length === 1 ? "" : "one of "}${allowed.join(", ")}`;
      if (typeof given !== "string") return badRequest("invalid_type", `${name} ${choice}.`, param);
      const code = param === "model" && given !== "" ? "model_not_found" : "invalid_value";
      return badRequest(code, `${name} ${choice}.${didYouMean(given, allowed)}`, param);
    }
    case "too_small": {
      const own = ownWords(issue);
      if (given === "" && own === null) return missing(name, param);
      return badRequest("invalid_value", `${name} ${own ?? boundOf("at least", issue.minimum, issue.origin)}.`, param);
    }
    case "too_big":
      return badRequest("invalid_value", `${name} ${ownWords(issue) ?? boundOf("at most", issue.maximum, issue.origin)}.`, param);
    default:
      return badRequest("invalid_value", `${name} ${ownWords(issue) ?? "is not of the form that is allowed"}.`, param);
  }
}

function missing(name: string, param: string | null): ApiError {
  return badRequest("missing_required_parameter", `${name} is required.`, param);
}

/** A schema's own message goes on from the name of the field; zod's do not, and are not for callers. */
function ownWords({ message }: Issue): string | null {
  return message.startsWith("must ") ? message : null;
}

/** zod's word for a type, in JSON's. */
function nounOf(type: string): string {
  if (type === "int") return "a whole number";
  const noun = type === "record" ? "object" : type;
  return /^[aeio]/.test(noun) ? `an ${noun}` : `a ${noun}`;
}

function boundOf(how: "at least" | "at most", bound: number | bigint, origin: string): string {
  const units: Readonly<Record<string, string>> = { string: "character", array: "entry" };
  const unit = units[origin];
  if (unit === undefined) return `must be ${how} ${bound}`;
  const many = unit === "entry" ? "entries" : `${unit}s`;
  return `must have ${how} ${bound} ${Number(bound) === 1 ? unit : many}`;
}

/** `images.0`; a name that is empty is shown as one. */
function pathOf(path: readonly PropertyKey[]): string {
  return path.map((part) => (part === "" ? '""' : printable(String(part)))).join(".");
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  let found = value;
  for (const part of path) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, part)) return undefined;
    found = (found as Record<PropertyKey, unknown>)[part];
  }
  return found;
}
