// The real command line against a server that says what a test wants it to say. What a gateway says: test/e2e/reelay-cli.test.ts.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { LOCAL_ADMIN_TOKEN } from "../../src/cli/demo-tenant.ts";
import { AdminServer, KEY, page, refusal, TENANT, TENANT_ROW, type Run } from "./admin-server.ts";

const HOSTILE = "Ac\u001b[2J\u001b]0;owned\u0007me\u009b31m\u202e";

const server = new AdminServer();
beforeAll(() => server.start());
afterAll(() => server.stop());
beforeEach(() => server.forget());

const reelay = (...given: Parameters<AdminServer["reelay"]>): Promise<Run> => server.reelay(...given);
const lines = (): string[] => server.seen.map(({ line }) => line);

describe("what is sent", () => {
  it("is the local token to loopback, and the system's user", async () => {
    server.answers = { "GET /tenants": page([TENANT_ROW]) };
    expect(await reelay(["tenant", "list"])).toMatchObject({ code: 0, errors: "" });
    expect(server.seen[0]?.token).toBe(`Bearer ${LOCAL_ADMIN_TOKEN}`);
    expect(server.seen[0]?.actor).toMatch(/^[\x20-\x7e]{1,64}$/);
    expect(server.seen[0]?.access).toBeUndefined();
  });

  it("is what the environment says, also to get through Cloudflare Access", async () => {
    server.answers = { "GET /tenants": page([]) };
    const access = { CF_ACCESS_CLIENT_ID: "id.access", CF_ACCESS_CLIENT_SECRET: "s" };
    const { errors } = await reelay(["tenant", "list", "--actor", "ana"], { REELAY_ADMIN_TOKEN: " from-env ", ...access });
    expect(errors).toBe("");
    expect(server.seen[0]).toMatchObject({ token: "Bearer from-env", actor: "ana", access: "id.access" });
  });

  it("may be a token from the command line, with a warning", async () => {
    server.answers = { "GET /tenants": page([]) };
    const { errors } = await reelay(["tenant", "list", "--admin-token", "typed"]);
    expect(server.seen[0]?.token).toBe("Bearer typed");
    expect(errors).toMatch(/shell's history.*REELAY_ADMIN_TOKEN/);
    expect(errors).not.toContain("typed");
  });

  it.each([
    [["tenant", "create", "Acme"], "POST /tenants", { name: "Acme" }],
    [
      ["tenant", "create", "Acme", "--credits", "1,000", "--models", "veo3,veo2"],
      "POST /tenants",
      { name: "Acme", plan: { credits: 1000, models: ["veo3", "veo2"] } },
    ],
    [["tenant", "plan", "aB3dE5fG", "--models", "all"], "PATCH /tenants/aB3dE5fG", { plan: { models: null } }],
    [["tenant", "suspend", "aB3dE5fG", "--reason", "unpaid"], "POST /tenants/aB3dE5fG/suspend", { reason: "unpaid" }],
    [
      ["credits", "adjust", "aB3dE5fG", "-500", "--reason", "typo"],
      "POST /tenants/aB3dE5fG/credits",
      { kind: "adjust", amount: -500, reason: "typo", mode: "live" },
    ],
  ])("%j asks for %s", async (args, line, body) => {
    server.answers = { [line]: { body: TENANT } };
    expect(await reelay(args)).toMatchObject({ code: 0 });
    expect(server.seen.map((each) => [each.line, each.body])).toEqual([[line, body]]);
  });

  it("is each value as one segment or parameter", async () => {
    server.answers = {
      "PATCH /models/..%2F..%2Fx%3F": { body: { id: "x", enabled: true, reason: null, credits: 1, upsample_credits: 0 } },
    };
    expect(await reelay(["model", "on", "../../x?"])).toMatchObject({ code: 0 });
    await reelay(["task", "show", "--request-id", "a&b=c"]);
    expect(lines()[1]).toBe("GET /tasks?request_id=a%26b%3Dc");
  });
});

describe("what is shown", () => {
  it("of a task says why each attempt came to nothing", async () => {
    const attempt = { provider: "up", model: "v3", started_at: 1_764_000_000, outcome: "busy", reason: "rate_limited" };
    const told = { id: "t:1", tenant: "aB3dE5fG", mode: "live", status: "running", model: "veo3", credits: 40, failure: null };
    const attempts = [attempt, { ...attempt, provider: "spare", outcome: "accepted", reason: null }];
    const rest = {
      created_at: 1_764_000_000,
      deadline_at: 1_764_001_800,
      key_id: "k",
      request_id: "r",
      hold: "held",
      timeline: [],
    };
    server.answers = { "GET /tasks?id=t%3A1": { body: { ...told, ...rest, attempts } } };
    const { output } = await reelay(["task", "show", "t:1"]);
    expect(output).toMatch(/ up +v3 +busy +rate_limited$/m);
    expect(output).toMatch(/ spare +v3 +accepted +-$/m);
  });

  it("is a table, with thousands separated and both kinds of time", async () => {
    server.answers = { "GET /tenants/aB3dE5fG": { body: TENANT } };
    const { output } = await reelay(["tenant", "show", "aB3dE5fG"]);
    expect(output).toMatch(/^Created +2025-11-24 16:00:00Z \(\d+ (month|year)s? ago\)$/m);
    expect(output).toMatch(/^credits +available +held +spent/m);
    expect(output).toMatch(/^live +1,400 +0 +100 +0 +1,500/m);
  });

  it("has nothing that a terminal would obey, in tables, errors and JSON", async () => {
    server.answers = {
      "GET /tenants": page([{ ...TENANT_ROW, name: HOSTILE }]),
      "GET /audit": refusal(400, "invalid_value", HOSTILE),
    };
    const runs = [await reelay(["tenant", "list"]), await reelay(["tenant", "list", "--json"]), await reelay(["audit"])];
    for (const { output, errors } of runs) expect(output + errors).not.toMatch(/[^\P{C}\n]/u);
    expect((JSON.parse(runs[1]?.output ?? "") as { data: unknown[] }).data).toEqual([{ ...TENANT_ROW, name: HOSTILE }]);
  });

  it("is a new key once, and the word that it is", async () => {
    const body = { ...KEY, key: "sk-live-whole" };
    server.answers = { "POST /tenants/aB3dE5fG/keys": { body }, "POST /tenants/aB3dE5fG/keys/aB3dE5fGhJ7k/roll": { body } };
    for (const args of [
      ["create", "aB3dE5fG"],
      ["roll", "sk-live-aB3dE5fGhJ7k", "--overlap", "2h"],
    ]) {
      const { output } = await reelay(["key", ...args]);
      expect(output.split("sk-live-whole")).toHaveLength(2);
      expect(output).toContain("will not be shown again");
    }
    expect(server.seen[1]?.body).toEqual({ overlap_seconds: 7_200 });
  });

  it("is one page and the way to the next, or all of them", async () => {
    server.answers = {
      "GET /tenants": page([TENANT_ROW], "aB3dE5fG"),
      "GET /tenants?limit=100": page([TENANT_ROW], "aB3dE5fG"),
      "GET /tenants?limit=100&after=aB3dE5fG": page([{ ...TENANT_ROW, id: "zzzzzzzz" }]),
    };
    const one = await reelay(["tenant", "list"]);
    expect(one.errors).toContain('--after "aB3dE5fG"');
    expect(one.output).not.toContain("zzzzzzzz");
    const all = await reelay(["tenant", "list", "--all", "--json"]);
    expect(all.errors).toBe("");
    expect(JSON.parse(all.output)).toMatchObject({ object: "list", data: [TENANT_ROW, { id: "zzzzzzzz" }], has_more: false });
  });

  it("ends where a server gives the same page for ever", async () => {
    const again = page([TENANT_ROW], "x");
    server.answers = { "GET /tenants?limit=100": again, "GET /tenants?limit=100&after=x": again };
    expect(await reelay(["tenant", "list", "--all"])).toMatchObject({
      code: 1,
      errors: expect.stringContaining("again and again"),
    });
  });

  it("with --json is the reply as it came, refused or not", async () => {
    const told = refusal(409, "task_ended", "It has ended.");
    server.answers = { "GET /models": { body: '{ "object":"list", "data":[] }' }, "POST /tasks/t%3A1/retry": told };
    expect(await reelay(["model", "list", "--json"])).toMatchObject({
      code: 0,
      output: '{ "object":"list", "data":[] }\n',
      errors: "",
    });
    const { code, output, errors } = await reelay(["--json", "task", "retry", "t:1"]);
    expect([code, JSON.parse(output)]).toEqual([1, told.body]);
    expect(errors).toBe("It has ended.\n(HTTP 409, task_ended, request req_1)\n");
  });
});
