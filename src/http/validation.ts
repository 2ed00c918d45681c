// What zod found, as one error that names the field, says what is allowed, and what was probably meant.
import { z, type Hook } from "@hono/zod-openapi";
import { nearest } from "../core/suggest.ts";
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

/** A number in a query, written in one way only: digits. */
export function wholeNumber(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .refine((text) => /^(0|[1-9]\d{0,15})$/.test(text) && Number(text) >= min && Number(text) <= max, message)
    .transform(Number)
    .openapi({ type: "integer", minimum: min, maximum: max });
}

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
    ? badRequest("duplicate_parameter", "The parameter is given twice.", String(issue.path[0]))
    : toApiError(issue, input);
}

/** A schema may give an issue a code of its own: `params: { code: "prompt_too_long" }`. */
function toApiError(issue: Issue, input: unknown): ApiError {
  const param = issue.path.length > 0 ? issue.path.map((part) => printable(String(part))).join(".") : null;
  const name = param ?? "The body";
  const given = at(input, issue.path);
  switch (issue.code) {
    case "unrecognized_keys": {
      const unknown = issue.keys[0] ?? "";
      const where = [...issue.path, unknown].map((part) => printable(String(part))).join(".");
      return badRequest("unknown_parameter", `There is no such parameter.${issue.message}`, where);
    }
    case "invalid_key":
      return badRequest("invalid_value", `${name} ${issue.issues[0]?.message ?? "is not a name that is allowed"}.`, param);
    case "custom": {
      const code = String(issue.params?.["code"]);
      return badRequest(isErrorCode(code) ? code : "invalid_value", `${name} ${issue.message}.`, param);
    }
    case "invalid_type":
      if (given === undefined) return missing(name, param);
      return notOfType(name, article(issue.expected), param);
    case "invalid_value": {
      if (given === undefined) return missing(name, param);
      const allowed = issue.values.map(String);
      if (typeof given !== "string") return notOfType(name, `one of ${allowed.join(", ")}`, param);
      const code = param === "model" && given !== "" ? "model_not_found" : "invalid_value";
      return badRequest(code, `${name} must be one of ${allowed.join(", ")}.${didYouMean(given, allowed)}`, param);
    }
    case "too_small":
      if (given === "") return missing(name, param);
      return badRequest("invalid_value", `${name}: ${issue.message}.`, param);
    default:
      return badRequest("invalid_value", `${name}: ${issue.message}.`, param);
  }
}

function missing(name: string, param: string | null): ApiError {
  return badRequest("missing_required_parameter", `${name} is required.`, param);
}

function notOfType(name: string, type: string, param: string | null): ApiError {
  return badRequest("invalid_type", `${name} must be ${type}.`, param);
}

function article(type: string): string {
  return /^[aeio]/.test(type) ? `an ${type}` : `a ${type}`;
}

/** `names` are in lower case, and capitals are the commonest slip. */
function didYouMean(word: string, names: readonly string[]): string {
  const meant = nearest(word.toLowerCase(), names);
  return meant === null ? "" : ` Did you mean ${meant}?`;
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  let found = value;
  for (const part of path) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, part)) return undefined;
    found = (found as Record<PropertyKey, unknown>)[part];
  }
  return found;
}
