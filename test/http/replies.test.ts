// What every reply has, whatever the request was; row 114 of the bad-input catalogue (reliability.md, section 8).
import { reset } from "cloudflare:test";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { aTenant, call, createdId, finish, type TestTenant } from "../support/gateway.ts";

let owner: TestTenant;
beforeAll(async () => {
  owner = await aTenant();
});
afterAll(reset);

const FILE = "/v1/video/file/veo3:1704067200-abcdefghijklmnopqrstuvwxyz";

it("is well without a key", async () => {
  const reply = await call("/healthz");
  expect([reply.status, await reply.json()]).toEqual([200, { status: "ok" }]);
});

it.each(["/healthz", "/v1/models", "/v1/video/query?id=x", "/nothing", FILE])(
  "%s is not sniffed, not cached, not referred to",
  async (path) => {
    const { headers } = await call(path, { key: owner.key });
    expect(headers.get("X-Content-Type-Options")).toBe("nosniff");
    expect(headers.get("Cache-Control")).toBe("no-store");
    expect(headers.get("Referrer-Policy")).toBe("no-referrer");
    expect(headers.get("Strict-Transport-Security")).toMatch(/^max-age=\d{7,}/);
  },
);

describe("HEAD", () => {
  it.each(["/healthz", "/v1/models", "/v1/video/query?id=x", "/nothing"])(
    "%s has GET's status and headers, and no body",
    async (path) => {
      const [head, get] = [await call(path, { method: "HEAD", key: owner.key }), await call(path, { key: owner.key })];
      expect([head.status, await head.text()]).toEqual([get.status, ""]);
      const varying = ["x-request-id"];
      const named = (reply: Response) => [...reply.headers].filter(([name]) => !varying.includes(name));
      expect(named(head)).toEqual(named(get));
    },
  );

  it("tells a task's state by status alone", async () => {
    const tenant = await aTenant();
    const id = await createdId(tenant.key);
    await finish(tenant, id);
    const reply = await call(`/v1/video/query?id=${id}`, { method: "HEAD", key: tenant.key });
    expect([reply.status, await reply.text()]).toEqual([200, ""]);
  });
});

describe("row 114: the request's id", () => {
  const paths = ["/healthz", "/v1/models", "/v1/video/query?id=x", "/nothing", FILE, "/v1/video/create"];

  it.each(paths)("is on every reply, one of our own where none came: %s", async (path) => {
    const [one, other] = [await call(path), await call(path)];
    expect(one.headers.get("x-request-id")).toMatch(/^req_[a-z2-7]{20}$/);
    expect(other.headers.get("x-request-id")).not.toBe(one.headers.get("x-request-id"));
  });

  it.each(paths)("is the caller's where it is harmless: %s", async (path) => {
    for (const given of ["a", "my-request_1", "x".repeat(64)]) {
      const reply = await call(path, { headers: { "x-request-id": given } });
      expect(reply.headers.get("x-request-id")).toBe(given);
    }
  });

  it.each(["x".repeat(65), "a b", "a,b", "<script>", "a:b", "a%0d%0ab", "a\tb"])(
    "is ours where the caller's is not: %j",
    async (given) => {
      const reply = await call("/healthz", { headers: { "x-request-id": given } });
      expect(reply.headers.get("x-request-id")).toMatch(/^req_[a-z2-7]{20}$/);
    },
  );
});
