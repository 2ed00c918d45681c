import { describe, expect, it } from "vitest";
import { describeFailure, type FailureCode } from "../../src/core/errors.ts";

/** All of them, or this does not build. */
const CODES: Record<FailureCode, true> = {
  content_policy: true,
  image_fetch_failed: true,
  image_invalid: true,
  upstream_rejected: true,
  upstream_ambiguous: true,
  upstream_lost: true,
  upstream_invalid_result: true,
  upstream_asset_expired: true,
  timeout: true,
  queue_timeout: true,
  internal_error: true,
  cancelled: true,
};

describe.each(Object.keys(CODES) as FailureCode[])("the message for %s", (code) => {
  const message = describeFailure(code);

  it("ends on the promise that matters", () => {
    expect(message).toMatch(/[.] You were not charged\.$/);
  });

  it("names no provider, host or id", () => {
    expect(message).not.toMatch(
      /google|vertex|gemini|openai|fal\b|replicate|kling|runway|luma|minimax|apertis|simulated|cloudflare|R2/i,
    );
    expect(message).not.toMatch(/https?:|[a-z0-9]\.[a-z]{2,}|\d/);
  });

  it("is whole sentences, and not the code again", () => {
    expect(message).toMatch(/^[A-Z]/);
    expect(message).not.toContain("undefined");
    expect(message).not.toContain("_");
  });
});

it("has a message of its own for every code", () => {
  const messages = Object.keys(CODES).map((code) => describeFailure(code as FailureCode));
  expect(new Set(messages).size).toBe(messages.length);
});
