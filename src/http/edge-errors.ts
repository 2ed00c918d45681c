// What is answered before a route is reached, or instead of one.
import { badRequest, type ApiError } from "./errors.ts";

export const MAX_URL_LENGTH = 8 * 1024;

export const uriTooLong = badRequest("uri_too_long", `The URL has more than ${MAX_URL_LENGTH} characters.`, null, 414);

export function methodNotAllowed(allow: string): ApiError {
  return { ...badRequest("method_not_allowed", `Use ${allow} here.`, null, 405), headers: { Allow: allow } };
}

export const invalidAdminToken: ApiError = {
  status: 401,
  type: "authentication_error",
  code: "invalid_admin_token",
  message: "Send the gateway's ADMIN_TOKEN in the header: Authorization: Bearer …",
  headers: { "WWW-Authenticate": "Bearer" },
};

export function invalidIdempotencyKey(why: string): ApiError {
  return badRequest("invalid_idempotency_key", `Idempotency-Key ${why}.`);
}
