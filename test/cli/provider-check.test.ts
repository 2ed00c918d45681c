// `reelay provider check`, against a server that says what a test wants it to say.
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { AdminServer, refusal } from "./admin-server.ts";

const server = new AdminServer();
beforeAll(() => server.start());
afterAll(() => server.stop());
beforeEach(() => server.forget());

const OK = { name: "up", ok: true, keys: [{ credential: "UP_KEY", result: "accepted", ms: 1_234 }] };
const BAD = {
  name: "down",
  ok: false,
  keys: [
    { credential: "A", result: "unauthorized", ms: 80 },
    { credential: "B", result: "out_of_credit", ms: 80 },
    { credential: "C", result: "rate_limited", ms: 80 },
    { credential: "D", result: "unavailable", ms: 15_000 },
    { credential: "E", result: "unclear", ms: 80 },
  ],
};
const BOTH = {
  "GET /providers": { body: { object: "list", data: [{ name: "up" }, { name: "down" }] } },
  "POST /providers/up/check": { body: OK },
  "POST /providers/down/check": { body: BAD },
};

it("tries the one that is named", async () => {
  server.answers = BOTH;
  const { code, output } = await server.reelay(["provider", "check", "up"]);
  expect(server.seen.map(({ line, body }) => [line, body])).toEqual([["POST /providers/up/check", {}]]);
  expect(code).toBe(0);
  expect(output).toMatch(/^up +UP_KEY +ok +1,234 +-$/m);
});

it("tries all of them else, says what to do about each key, and ends with 1 where one is not accepted", async () => {
  server.answers = BOTH;
  const { code, output } = await server.reelay(["provider", "check"]);
  expect(code).toBe(1);
  expect(output).toMatch(/^up +UP_KEY +ok +1,234 +-$/m);
  expect(output).toMatch(/^down +A +REFUSED +80 +set its secret anew/m);
  expect(output).toMatch(/^down +B +NO CREDIT +80 +pay the provider/m);
  expect(output).toMatch(/^down +C +ok +80 +accepted, and busy now$/m);
  expect(output).toMatch(/^down +D +DOWN +15,000 +no answer/m);
  expect(output).toMatch(/^down +E +UNCLEAR +80 +what answers does not speak this kind/m);
});

it("ends with 1 also where the one that is named is not accepted, and for scripts has the reply as it came", async () => {
  server.answers = BOTH;
  const { code, output } = await server.reelay(["provider", "check", "down", "--json"]);
  expect([code, JSON.parse(output)]).toEqual([1, BAD]);
});

it("has one list of all for scripts", async () => {
  server.answers = BOTH;
  const { code, output } = await server.reelay(["provider", "check", "--json"]);
  expect([code, JSON.parse(output)]).toEqual([1, { object: "list", data: [OK, BAD] }]);
});

it("has nothing to find fault with where there is no provider", async () => {
  server.answers = { "GET /providers": { body: { object: "list", data: [] } } };
  const { code, output } = await server.reelay(["provider", "check"]);
  expect([code, output]).toEqual([0, expect.stringContaining("No providers but the simulated one")]);
});

it("says so where there is no such provider", async () => {
  server.answers = { "POST /providers/..%2Fup/check": refusal(404, "provider_not_found", "There is no such provider.") };
  const { code, errors } = await server.reelay(["provider", "check", "../up"]);
  expect([code, errors]).toEqual([1, expect.stringContaining("There is no such provider.")]);
});
