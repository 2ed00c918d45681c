import { describe, expect, it } from "vitest";
import { failureOf, folded, refusalOf } from "../../src/providers/judge-reply.ts";

const reply = (status: number) => ({ status, headers: new Headers(), body: null, readable: true });
const refused = (status: number, words: string | null, prompt = "a lake") => {
  const error = refusalOf(reply(status), words === null ? null : folded([words]), prompt);
  if (error === null) return "unknown";
  return "by" in error ? `${error.by}: ${error.reason}` : error.code;
};

describe("a refused submit", () => {
  it.each([
    [403, null, "route: upstream_rejected"],
    [400, null, "route: upstream_rejected"],
    [403, "your content is forbidden", "task: content_policy"],
    [403, "Use of this API is prohibited in your country", "key: upstream_rejected"],
    [403, "prohibited_content", "task: content_policy"],
    [403, "Your account was flagged", "key: upstream_rejected"],
    [403, "access denied", "key: upstream_rejected"],
    [403, "permission denied: the model x does not exist", "key: upstream_rejected"],
    [403, "model_not_found", "route: upstream_rejected"],
    [403, "insufficient balance", "out_of_credit"],
    [401, "model not found or you have no access to it", "unauthorized"],
    [429, "the model is currently not available due to high demand", "rate_limited"],
    [503, "the model is currently not available due to high demand", "unavailable"],
    [503, "moderation service temporarily unavailable", "unavailable"],
    [503, "safety system overloaded, try again", "unavailable"],
    [503, "prompt_blocked", "task: content_policy"],
    [503, "your prompt contains sensitive words", "task: content_policy"],
    [503, "rejected by our content policy", "task: content_policy"],
    [503, "the prompt was blocked", "task: content_policy"],
    [503, "model_not_found: no", "model: upstream_rejected"],
    [503, "There is no available channel for model x", "model: upstream_rejected"],
    [503, "channel:no_available_key", "model: upstream_rejected"],
    [404, "the model veo-9 was not found", "model: upstream_rejected"],
    [404, "no such page", "route: upstream_rejected"],
    [400, "image_load_error", "task: image_fetch_failed"],
    [422, "Failed to download image from URL", "task: image_fetch_failed"],
    [400, "invalid_image: cannot decode", "task: image_invalid"],
    [422, "image_too_small", "task: image_invalid"],
    [422, "Unsupported image format", "task: image_invalid"],
    [400, "duration must be 8", "task: upstream_rejected"],
  ] as const)("%i with %j: %s", (status, words, expected) => {
    expect(refused(status, words)).toBe(expected);
  });

  it.each([408, 409, 425, 451, 499, 500, 502, 504])("%i leaves the outcome unknown, whoever says so", (status) => {
    expect([refused(status, "litellm: timed out"), refused(status, null)]).toEqual(["unknown", "unknown"]);
  });

  it.each([
    [400, "bad prompt: a phone with a depleted battery", "a phone with a depleted battery", "task: upstream_rejected"],
    [422, "invalid value: billing clerk", "a billing clerk", "task: upstream_rejected"],
    [403, "refused: insufficient quota of love", "an insufficient quota of love", "key: upstream_rejected"],
    [429, "slow down: depleted", "a depleted mine", "rate_limited"],
    [404, "cannot make: the model was not found", "the model was not found", "route: upstream_rejected"],
    [503, "busy with: a model not found", "a model not found", "unavailable"],
  ] as const)("%i with %j never tells of the account or the model in the prompt's words", (status, words, prompt, expected) => {
    expect(refused(status, words, prompt)).toBe(expected);
  });
});

describe("a failed job", () => {
  it.each([
    ["blocked by our safety system", "task", "content_policy"],
    ["could not fetch the image", "task", "image_fetch_failed"],
    ["the image is too large", "task", "image_invalid"],
    ["out of memory", "route", "upstream_rejected"],
    ["", "route", "upstream_rejected"],
  ] as const)("%j is the %s's: %s", (words, by, reason) => {
    expect(failureOf(words)).toEqual({ status: "failed", by, reason });
  });
});
