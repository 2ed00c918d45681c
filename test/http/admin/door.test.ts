// Who gets into the operator API, and whom it takes them for.
import { reset } from "cloudflare:test";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call, callWith } from "../../support/gateway.ts";
import { aCustomer, ADMIN_TOKEN, adminInit, auditLog, told, type Customer, type Method } from "../../support/operator.ts";
import { readError } from "../../support/refusals.ts";

let customer: Customer;
beforeAll(async () => {
  customer = await aCustomer();
});
afterAll(reset);

const ROUTES: readonly [Method, string][] = [
  ["POST", "/tenants"],
  ["GET", "/tenants"],
  ["GET", "/tenants/x"],
  ["PATCH", "/tenants/x"],
  ["POST", "/tenants/x/suspend"],
  ["POST", "/tenants/x/resume"],
  ["DELETE", "/tenants/x"],
  ["POST", "/tenants/x/keys"],
  ["GET", "/tenants/x/keys"],
  ["POST", "/tenants/x/keys/y/roll"],
  ["POST", "/tenants/x/keys/y/revoke"],
  ["POST", "/tenants/x/credits"],
  ["GET", "/tenants/x/journal"],
  ["GET", "/tenants/x/recompute"],
  ["GET", "/tenants/x/orphans"],
  ["POST", "/tenants/x/orphans/1/write-off"],
  ["GET", "/tasks?id=x"],
  ["POST", "/tasks/x/fail"],
  ["POST", "/tasks/x/retry"],
  ["GET", "/models"],
  ["PATCH", "/models/veo3"],
  ["GET", "/audit"],
  ["GET", "/providers"],
  ["POST", "/providers/x/check"],
  ["POST", "/sweep"],
  ["POST", "/rebuild-kv"],
  ["GET", "/doctor"],
];

/** All of a reply but what is different in every one. */
async function bytesOf(reply: Response): Promise<string> {
  const headers = [...reply.headers].filter(([name]) => name !== "x-request-id");
  return JSON.stringify([reply.status, headers, await reply.text()]);
}

function initOf(method: Method, token: string | null): RequestInit {
  const headers = token === null ? {} : { authorization: `Bearer ${token}` };
  return { method, headers: { ...headers, "content-type": "application/json" }, ...(method !== "GET" && { body: "{}" }) };
}

describe.each(ROUTES)("%s %s", (method, path) => {
  it("is not there without ADMIN_TOKEN, whatever is sent", async () => {
    for (const token of [ADMIN_TOKEN, "undefined", customer.key, null]) {
      const closed = await callWith({ ADMIN_TOKEN: undefined }, `/admin/v1${path}`, initOf(method, token));
      const unknown = await callWith({ ADMIN_TOKEN: undefined }, "/nothing/here", initOf(method, token));
      expect(closed.status).toBe(404);
      expect(await bytesOf(closed)).toBe(await bytesOf(unknown));
    }
  });

  it("row 12: is not there for a tenant's key", async () => {
    const closed = await call(`/admin/v1${path}`, initOf(method, customer.key));
    const unknown = await call("/nothing/here", initOf(method, customer.key));
    expect(await bytesOf(closed)).toBe(await bytesOf(unknown));
    expect(closed.status).toBe(404);
  });

  it.each([
    ["none", null],
    ["a wrong one", "test-admin-token-0124"],
    ["part of it", ADMIN_TOKEN.slice(0, -1)],
  ])("refuses a token that is %s", async (_, token) => {
    const reply = await call(`/admin/v1${path}`, initOf(method, token));
    expect(reply.headers.get("WWW-Authenticate")).toBe("Bearer");
    expect(await readError(reply)).toMatchObject({ status: 401, code: "invalid_admin_token", param: null });
  });

  it("opens with the token: what is wrong then is the request", async () => {
    const { status } = await call(`/admin/v1${path}`, initOf(method, ADMIN_TOKEN));
    expect([200, 400, 404]).toContain(status);
  });
});

it("what is not there is not found, and a method that a path does not have is told so", async () => {
  expect(await readError(await call("/admin/v1/nothing", adminInit()))).toMatchObject({ status: 404, code: "not_found" });
  const reply = await call("/admin/v1/doctor", { method: "DELETE", ...adminInit() });
  expect(reply.headers.get("Allow")).toBe("GET, HEAD, OPTIONS");
  expect(await readError(reply)).toMatchObject({ status: 405, code: "method_not_allowed" });
});

describe("who acts", () => {
  async function actorWith(headers: Record<string, string>): Promise<string | undefined> {
    await told("POST", "/rebuild-kv", {}, headers);
    return (await auditLog())[0]?.actor;
  }

  it("is the one that X-Reelay-Actor names, else the user of Cloudflare Access, else the operator", async () => {
    const both = { "X-Reelay-Actor": "Ada L. (ops)", "Cf-Access-Authenticated-User-Email": "ada@example.com" };
    expect(await actorWith(both)).toBe("Ada L. (ops)");
    expect(await actorWith({ "Cf-Access-Authenticated-User-Email": "ada@example.com" })).toBe("ada@example.com");
    expect(await actorWith({})).toBe("operator");
  });

  it.each(["", "a".repeat(65), "Zo\u00eb"])("cannot be %j", async (name) => {
    const reply = await call("/admin/v1/rebuild-kv", { method: "POST", ...adminInit({}, { "X-Reelay-Actor": name }) });
    expect(await readError(reply)).toMatchObject({ status: 400, code: "invalid_value", param: "X-Reelay-Actor" });
  });
});
