import { describe, expect, it } from "vitest";
import { accountTrouble, googleRefusal } from "../../src/providers/google-errors.ts";

describe("what Google's errors mean", () => {
  const replyOf = (status: number, body: unknown, headers = {}) => ({
    status,
    headers: new Headers(headers),
    body,
    readable: true,
  });
  const error = (code: number | string, message: string, status = "", details: unknown[] = []) => ({
    error: { code, message, status, details },
  });
  const contentPolicy = { name: "RefusedError", by: "task", reason: "content_policy" };
  const byTask = { name: "RefusedError", by: "task", reason: "upstream_rejected" };
  const byRoute = { name: "RefusedError", by: "route", reason: "upstream_rejected" };
  const byKey = { name: "RefusedError", by: "key", reason: "upstream_rejected" };
  const byModel = { name: "RefusedError", by: "model", reason: "upstream_rejected" };
  const retryable = (code: string, retryAfterMs: number | null = 60_000) => ({ name: "RetryableError", code, retryAfterMs });

  const DENIED =
    "Permission 'aiplatform.endpoints.predict' denied on resource " +
    "'//aiplatform.googleapis.com/projects/p/locations/us-central1/publishers/google/models/veo-3.1-generate-001' (or it may not exist).";

  it.each([
    [400, error(400, "Your use case is currently not supported", "INVALID_ARGUMENT"), byTask],
    [400, error(400, "allow_adult for personGeneration is currently not supported", "INVALID_ARGUMENT"), byTask],
    [400, error("invalid_request", "duration must be a string"), byTask],
    [400, error(400, "Precondition check failed.", "FAILED_PRECONDITION"), byTask],
    [400, error(400, "This prompt contains sensitive words. Support codes: 58061214", "INVALID_ARGUMENT"), contentPolicy],
    [400, error("PROHIBITED_CONTENT", "blocked"), contentPolicy],
    [400, error(400, "Precondition: violates our usage guidelines in your region", "FAILED_PRECONDITION"), contentPolicy],
    [400, [error(400, "responsible AI practices", "INVALID_ARGUMENT")], contentPolicy],
    [400, error(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT"), retryable("unauthorized")],
    [400, error(400, "bad", "INVALID_ARGUMENT", [{ reason: "API_KEY_INVALID" }]), retryable("unauthorized")],
    [400, error(400, "API key expired. Please renew the API key.", "INVALID_ARGUMENT"), retryable("unauthorized")],
    [400, error(400, "User location is not supported for the API use.", "FAILED_PRECONDITION"), retryable("unauthorized")],
    [400, error("failed_precondition", "only accessible to billed users at this time"), retryable("unauthorized")],
    [400, error(400, "The service agent has no permission on the bucket", "FAILED_PRECONDITION"), retryable("unauthorized")],
    [401, error(401, "Request had invalid authentication credentials", "UNAUTHENTICATED"), retryable("unauthorized")],
    [403, error(403, DENIED, "PERMISSION_DENIED"), byKey],
    [403, error("", DENIED), byKey],
    [403, error(403, "Request is prohibited by organization's policy.", "PERMISSION_DENIED"), retryable("unauthorized")],
    [403, error(403, "This API method requires billing to be enabled.", "PERMISSION_DENIED"), retryable("out_of_credit")],
    [404, error(404, "models/veo-3.0 is not found for API version v1beta", "NOT_FOUND"), byModel],
    [404, error(404, "This model is no longer available.", "NOT_FOUND"), byModel],
    [
      404,
      error(404, "Publisher Model `projects/p/x` was not found or your project does not have access to it", "NOT_FOUND"),
      byModel,
    ],
    [400, error(400, "Publisher Model `projects/p/x` was not found", "FAILED_PRECONDITION"), byRoute],
    [
      429,
      error(429, "You exceeded your current quota, please check your plan and billing details.", "RESOURCE_EXHAUSTED"),
      retryable("rate_limited", null),
    ],
    [429, [error(429, "flagged", "RESOURCE_EXHAUSTED")], retryable("rate_limited", null)],
    [429, error(429, "x", "RESOURCE_EXHAUSTED", [null, {}, { retryDelay: "36.5s" }]), retryable("rate_limited", 36_500)],
    [429, error(429, "x", "RESOURCE_EXHAUSTED", [{ retryDelay: "soon" }]), retryable("rate_limited", null)],
    [429, error(429, "Your prepayment credits are depleted.", "RESOURCE_EXHAUSTED"), retryable("out_of_credit")],
    [429, "<html>", retryable("rate_limited", null)],
    [503, error(503, "The model is overloaded.", "UNAVAILABLE"), retryable("unavailable", null)],
    [503, { error: "overloaded" }, retryable("unavailable", null)],
  ] as [number, unknown, object][])("a submit's %i with %j", (status, body, expected) => {
    expect(googleRefusal(replyOf(status, body), "a lake")).toMatchObject(expected);
  });

  const KEY = error(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT");
  const KEY_WITH_REASON = error(400, KEY.error.message as string, "INVALID_ARGUMENT", [{ reason: "API_KEY_INVALID" }]);
  const PLACE = error(400, "User location is not supported for the API use.", "FAILED_PRECONDITION");
  it.each([
    ["a valid passport on a desk", KEY_WITH_REASON, retryable("unauthorized")],
    ["a valid passport on a desk", KEY, byRoute],
    ["a secret location at dusk", PLACE, byRoute],
    ["a lake", KEY, retryable("unauthorized")],
    ["a lake", PLACE, retryable("unauthorized")],
  ])("where the prompt is %j, %j is never the task's fault", (prompt, body, expected) => {
    expect(googleRefusal(replyOf(400, body), prompt)).toMatchObject(expected);
  });

  it.each([
    [500, error(500, "unsafe", "INTERNAL")],
    [502, "<html>"],
    [503, "<html>"],
    [503, {}],
    [504, error(504, "late", "DEADLINE_EXCEEDED")],
    [409, "<html>"],
    [200, error(400, "INVALID_ARGUMENT")],
  ])("a submit's %i with %j is no clean no", (status, body) => {
    expect(googleRefusal(replyOf(status, body), "a lake")).toBeNull();
  });

  it("waits as Retry-After says, before what the body says", () => {
    const body = error(429, "x", "RESOURCE_EXHAUSTED", [{ retryDelay: "36s" }]);
    expect(accountTrouble(replyOf(429, body, { "retry-after": "7" }), "a lake")).toMatchObject({ retryAfterMs: 7_000 });
  });

  it.each([null, [], {}, 7, "x", [[]], { error: [] }, { error: 7 }, { error: { code: {}, message: [], details: "x" } }])(
    "makes nothing of %j",
    (body) => {
      expect(googleRefusal(replyOf(503, body), "a lake")).toBeNull();
      expect(accountTrouble(replyOf(400, body), "a lake")).toBeNull();
    },
  );
});
