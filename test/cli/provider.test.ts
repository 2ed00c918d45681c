// `reelay provider`, against a server that says what a test wants it to say.
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { AdminServer, refusal } from "./admin-server.ts";

const server = new AdminServer();
beforeAll(() => server.start());
afterAll(() => server.stop());
beforeEach(() => server.forget());

const WELL = { held: false, breaker: "closed", open_until: null, leases: 3, waiting: 0, spent: [], latency: {} };
const UP = {
  name: "up",
  kind: "seed-style",
  host: "up.example",
  priority: 1,
  weight: 1,
  tags: [],
  models: null,
  region: null,
  concurrency: 10,
  requests_per_minute: null,
  timeouts: { submit_seconds: 60, poll_seconds: 30 },
  median_seconds: null,
  overdue_factor: null,
  cost_cents: null,
  traits: { images: "url", callbacks: "none", idempotent_create: false, cancel: false, retention_seconds: 86_400 },
  health: WELL,
};
const CALLING = { images: "inline", callbacks: "signed", idempotent_create: false, cancel: true, retention_seconds: 604_800 };

it("lists how each provider is, and what is the matter with it until when", async () => {
  const spent = [{ credential: "UP_KEY", why: "out_of_credit", until: 1_764_000_000 }];
  const data = [
    UP,
    { ...UP, name: "busy", concurrency: null, health: { ...WELL, waiting: 1_200, spent } },
    { ...UP, name: "down", health: { ...WELL, breaker: "open", open_until: 1_764_000_000 } },
    { ...UP, name: "probed", health: { ...WELL, breaker: "half_open" } },
    { ...UP, name: "back", health: { ...WELL, breaker: "ramping" } },
    { ...UP, name: "held", health: { ...WELL, held: true, breaker: "open", open_until: 1_764_000_000 } },
    { ...UP, name: "mute", health: null },
    { ...UP, name: "tagged", weight: 2.5, tags: ["eu", "quick"] },
    { ...UP, name: "calling", traits: CALLING },
    { ...UP, name: "called", traits: { ...CALLING, callbacks: "unsigned", retention_seconds: null } },
  ];
  server.answers = { "GET /providers": { body: { object: "list", data } } };
  const { code, output } = await server.reelay(["provider", "list"]);
  expect(code).toBe(0);
  expect(output).toMatch(/^up +seed-style +1 +all +- +1 +- +- +no +24 h +ok +3\/10 +0 +-$/m);
  expect(output).toMatch(/^tagged .* 2\.5 +eu,quick +- +no /m);
  expect(output).toMatch(/^calling .* signed +yes +7 d +ok /m);
  expect(output).toMatch(/^called .* unsigned +yes +- +ok /m);
  expect(output).toMatch(/^busy .* ok +3 +1,200 +UP_KEY out_of_credit until 2025-11-24 16:00:00Z \(.* ago\)$/m);
  expect(output).toMatch(/^down .* DOWN +3\/10 +0 +left alone until 2025-11-24 16:00:00Z/m);
  expect(output).toMatch(/^probed .* probing /m);
  expect(output).toMatch(/^back .* recovering /m);
  expect(output).toMatch(/^held .* HELD /m);
  expect(output).toMatch(/^mute .* unknown +- +- +-$/m);
});

it.each([
  [["hold", "up", "--reason", "repairs"], "POST /providers/up/hold", { reason: "repairs" }, "New tasks go elsewhere"],
  [["hold", "up"], "POST /providers/up/hold", {}, "until it is released"],
  [["release", "up"], "POST /providers/up/release", {}, "ask again"],
  [["release", "../up", "--reason", "x"], "POST /providers/..%2Fup/release", { reason: "x" }, "ask again"],
])("%j asks for %s", async (args, line, body, said) => {
  server.answers = { [line]: { body: UP } };
  const { code, output } = await server.reelay(["provider", ...args]);
  expect(code).toBe(0);
  expect(server.seen.map((each) => [each.line, each.body])).toEqual([[line, body]]);
  expect(output).toContain(said);
});

it("says so where there is no such provider", async () => {
  server.answers = { "POST /providers/nobody/hold": refusal(404, "provider_not_found", "There is no such provider.") };
  const { code, errors } = await server.reelay(["provider", "hold", "nobody"]);
  expect([code, errors]).toEqual([1, expect.stringContaining("There is no such provider.")]);
});
