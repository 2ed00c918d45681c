// What a caller is told of a field that is wrong: a sentence that names it and says what is allowed, alike on every route.
import { reset } from "cloudflare:test";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { aTenant, call, type TestTenant } from "../support/gateway.ts";
import { post } from "../support/manage.ts";
import { readError } from "../support/refusals.ts";

let owner: TestTenant;
beforeAll(async () => {
  owner = await aTenant();
});
afterAll(async () => {
  await reset();
});

const get = async (path: string) => readError(await call(path, { key: owner.key }));
const send = async (path: string, body: unknown) => readError(await post(owner.key, path, body));
const ID = "veo3:1704067200-xxxxxxxx";

describe("limit", () => {
  const lists = ["/v1/video/list", "/v1/videos", "/v1/account/journal", "/v1/webhooks/deliveries"];
  const cases = lists.flatMap((path) => ["0", "-1", "101", "1.5", "x", "", "1e1"].map((limit) => [path, limit] as const));

  it.each(cases)("of %s as %j says from where to where it goes", async (path, limit) => {
    const most = path === "/v1/video/list" ? 50 : 100;
    const message = `limit must be a whole number from 1 to ${most}.`;
    expect(await get(`${path}?limit=${limit}`)).toEqual({ status: 400, code: "invalid_value", param: "limit", message });
  });
});

describe("a query", () => {
  const strict = [
    "/v1/video/list",
    "/v1/webhooks",
    "/v1/webhooks/deliveries",
    "/v1/account/journal",
    "/v1/usage",
    "/v1/video/events",
  ];

  it.each(strict)("of %s with a parameter that it does not have is refused, with no guess where none is near", async (path) => {
    const message = "There is no such parameter.";
    expect(await get(`${path}?foo=bar`)).toEqual({ status: 400, code: "unknown_parameter", param: "foo", message });
  });

  it("of OpenAI's list may hold more than we know", async () => {
    expect((await call("/v1/videos?foo=bar", { key: owner.key })).status).toBe(200);
  });

  it.each([
    ["/v1/video/events", "id"],
    ["/v1/webhooks/deliveries", "task"],
  ])("of %s with an empty %s is not asked for what may be left out", async (path, name) => {
    expect(await get(`${path}?${name}=`)).toMatchObject({ code: "invalid_value", message: `${name} must not be empty.` });
  });

  it.each(["zzz", "", "msg_abcdefghijklmnop-1"])("for deliveries to an endpoint that none can be, %j, names it", async (id) => {
    expect(await get(`/v1/webhooks/deliveries?endpoint=${id}`)).toMatchObject({
      status: 400,
      code: "invalid_value",
      param: "endpoint",
    });
  });

  it("with a parameter twice names it", async () => {
    expect(await get("/v1/video/list?limit=1&limit=2")).toMatchObject({ message: "limit is given twice." });
  });

  it("with the only order there is not is told that one, and no guess", async () => {
    expect(await get("/v1/videos?order=asc")).toMatchObject({ code: "invalid_value", message: "order must be desc." });
  });
});

describe("a body", () => {
  it.each<[string, object, string, string]>([
    ["/v1/video/link", { id: ID, expires_in: 1e99 }, "invalid_value", "expires_in must be a whole number from 60 to 604800."],
    ["/v1/video/link", { id: ID, expires_in: 1 }, "invalid_value", "expires_in must be a whole number from 60 to 604800."],
    ["/v1/video/link", { id: ID, expires_in: "60" }, "invalid_type", "expires_in must be a whole number from 60 to 604800."],
    ["/v1/video/link", { id: ID, expires_in: 60.5 }, "invalid_type", "expires_in must be a whole number from 60 to 604800."],
    ["/v1/video/token", { id: ID, expires_in: 5 }, "invalid_value", "expires_in must be a whole number from 60 to 3600."],
    ["/v1/video/cancel", { id: null }, "invalid_type", "id must be a string."],
    ["/v1/webhooks", { url: "https://example.com", events: [] }, "invalid_value", "events must have at least 1 entry."],
    ["/v1/video/create", { model: "veo3", prompt: "x", metadata: 5 }, "invalid_type", "metadata must be an object."],
    [
      "/v1/video/create",
      { model: "veo3", prompt: "x", max_cost: -1 },
      "invalid_value",
      "max_cost must be a whole number, 0 or more.",
    ],
    [
      "/v1/video/create",
      { model: "veo3", prompt: "x", retention_days: 400 },
      "invalid_value",
      "retention_days must be a whole number from 1 to 365.",
    ],
    [
      "/v1/video/create",
      { model: "veo3", prompt: "x", metadata: { "": "x" } },
      "invalid_value",
      'metadata."" must have 1 to 64 letters, digits, _, . or -.',
    ],
    [
      "/v1/video/create",
      { model: "veo3", prompt: "x", route: { only: ["EU west"] } },
      "invalid_value",
      "route.only.0 must be 1 to 32 of a-z, 0-9 and -.",
    ],
    ["/v1/videos", { prompt: "x", seconds: "99" }, "invalid_value", "seconds must be one of 4, 8, 12."],
  ])("of %s as %j is told what is allowed", async (path, body, code, message) => {
    expect(await send(path, body)).toMatchObject({ status: 400, code, message });
  });

  it("with a name twice names it", async () => {
    expect(await send("/v1/video/cancel", '{"id":"a","id":"b"}')).toMatchObject({
      code: "duplicate_key",
      message: "id is given twice.",
    });
  });
});
