// What a no looks like on the wire, and what it leaves behind: nothing.
import { listDurableObjectIds } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect } from "vitest";
import type { TestTenant } from "./gateway.ts";
import { readBooks } from "./objects.ts";

export interface Told {
  readonly status: number;
  readonly code: string;
  readonly param: string | null;
}

const TYPES: Readonly<Record<number, string>> = {
  401: "authentication_error",
  402: "insufficient_quota",
  403: "permission_error",
  422: "idempotency_error",
  429: "rate_limit_error",
  500: "server_error",
  503: "server_error",
};

/** Judges the envelope too, whose form never varies; `message` is for people and is told apart. */
export async function readError(reply: Response): Promise<Told & { readonly message: string }> {
  const { status, headers } = reply;
  expect(status).toBeGreaterThanOrEqual(400);
  expect(headers.get("x-request-id")).toMatch(/^[\w-]{1,64}$/);
  expect(headers.get("content-type")).toMatch(/^application\/json\b/);
  expect(headers.get("cache-control")).toBe("no-store");
  const body = await reply.json<{ error: { message: string; type: string; code: string; param: string | null } }>();
  expect(Object.keys(body)).toEqual(["error"]);
  expect(Object.keys(body.error)).toEqual(["message", "type", "code", "param"]);
  const { message, type, code, param } = body.error;
  expect(type).toBe(TYPES[status] ?? "invalid_request_error");
  expect(message).toMatch(/^\S.*[.?…]$/);
  expect(param).toSatisfy((value: unknown) => value === null || typeof value === "string");
  return { status, code, param, message };
}

/** Sends a request that must be refused, so, and leave neither a row of the ledger nor a task object. Gives the message. */
export async function expectRefusal(
  owner: TestTenant,
  send: () => Promise<Response>,
  expected: { status: number; code: string; param?: string | null },
): Promise<string> {
  const before = await traceOf(owner);
  const { message, ...told } = await readError(await send());
  expect(told).toEqual({ param: null, ...expected });
  expect(await traceOf(owner)).toEqual(before);
  return message;
}

/** What a tenant's requests may change, beside KV's copy of it. */
export async function traceOf(owner: TestTenant) {
  return { taskObjects: (await listDurableObjectIds(env.VIDEO_TASK)).length, books: await readBooks(owner) };
}
