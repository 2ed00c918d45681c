// What the command line does where something is wrong, missing or dangerous.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { AdminServer, KEY, refusal, startSilent, TENANT, type Run } from "./admin-server.ts";

/** Below the ports that systems give away. */
const NOBODY = "http://127.0.0.1:1024";

const server = new AdminServer();
beforeAll(() => server.start());
afterAll(() => server.stop());
beforeEach(() => server.forget());

const reelay = (...given: Parameters<AdminServer["reelay"]>): Promise<Run> => server.reelay(...given);

describe("exit codes", () => {
  it.each([
    [[]],
    [["tenant"]],
    [["tenant", "lst"]],
    [["tenant", "show"]],
    [["tenant", "show", "acme"]],
    [["tenant", "plan", "aB3dE5fG"]],
    [["tenant", "list", "--limit", "0"]],
    [["tenant", "list", "--all", "--limit", "5"]],
    [["key", "roll", "aB3dE5fGhJ7k", "--overlap", "8d"]],
    [["key", "create", "aB3dE5fG", "--mode", "both"]],
    [["credits", "grant", "aB3dE5fG", "-5", "--reason", "x"]],
    [["credits", "grant", "aB3dE5fG", "5"]],
    [["task", "show"]],
    [["task", "show", "t", "--request-id", "r"]],
    [["model", "price", "veo3"]],
    [["model", "price", "veo3", "5", "--reset"]],
    [["model", "off", "veo3"]],
    [["tenant", "list", "--url", "reelay"]],
    [["tenant", "list", "--url", "https://video.example.com"]],
    [["tenant", "list", "--url", "http://video.example.com", "--admin-token", "t"]],
    [["tenant", "list", "--admin-token", "a\nb"]],
  ])("%j is wrong usage: 2, and nothing is sent", async (args) => {
    const { code, output, errors } = await reelay(args);
    expect({ code, output }).toEqual({ code: 2, output: "" });
    expect(errors).toMatch(/error: |Usage: /);
    expect(server.seen).toEqual([]);
  });

  it("help is none: 0", async () => {
    const { code, output } = await reelay(["credits", "grant", "--help"]);
    expect(code).toBe(0);
    expect(output).toMatch(/--reason.*--json/s);
  });

  it("a refusal is 1, with what was said, its code, the request and what to do", async () => {
    server.answers = { "GET /tenants": refusal(401, "invalid_admin_token", "Wrong token.") };
    const denied = await reelay(["tenant", "list"]);
    expect(denied).toMatchObject({ code: 1, output: "" });
    expect(denied.errors).toMatch(/Wrong token\.\n\(HTTP 401, invalid_admin_token, request req_1\)\n.*REELAY_ADMIN_TOKEN/);
    expect((await reelay(["audit"])).errors).toContain("ADMIN_TOKEN has no operator API");
  });

  it("a page of somebody else's is 1", async () => {
    server.answers = {
      "GET /tenants": { body: "<html>Hello</html>" },
      "GET /audit": { status: 302, headers: { location: "https://login.example.com/" }, body: "" },
    };
    expect(await reelay(["tenant", "list"])).toMatchObject({ code: 1, errors: expect.stringContaining("not the API's: <html>") });
    const { code, errors } = await reelay(["audit"]);
    expect(code).toBe(1);
    expect(errors).toMatch(/leads elsewhere: https:\/\/login\.example\.com.*CF_ACCESS_CLIENT_ID/s);
  });

  it("nobody there is 1, with the way to start it", async () => {
    const { code, errors } = await reelay(["credits", "grant", "aB3dE5fG", "5", "--reason", "x", "--url", NOBODY]);
    expect(code).toBe(1);
    expect(errors).toContain(`Cannot reach ${NOBODY} (connect ECONNREFUSED`);
    expect(errors).toContain("npm start");
  });

  it("a reply that never came is 1, with the word that it may be done", async () => {
    const silent = await startSilent();
    const { code, errors } = await reelay(["credits", "grant", "aB3dE5fG", "5", "--reason", "x", "--url", silent.url]);
    silent.stop();
    expect(code).toBe(1);
    expect(errors).toContain("look before you repeat it");
  });

  it("books that differ are 1", async () => {
    const { granted, held } = TENANT.live;
    const reply = { balances: { granted, held }, journal: { granted, held: 5 }, equal: false };
    server.answers = { "GET /tenants/aB3dE5fG/recompute?mode=live": { body: reply } };
    const { code, output } = await reelay(["credits", "recompute", "aB3dE5fG"]);
    expect(code).toBe(1);
    expect(output).toMatch(/^granted +1,500 +1,500$/m);
    expect(output).toMatch(/^held +0 +5 +DIFFERS$/m);
  });
});

describe("what destroys", () => {
  const calls = [
    [["tenant", "delete", "aB3dE5fG"], ["GET /tenants/aB3dE5fG"], "DELETE /tenants/aB3dE5fG", { confirm: "Acme" }],
    [["key", "revoke", "aB3dE5fGhJ7k"], [], "POST /tenants/aB3dE5fG/keys/aB3dE5fGhJ7k/revoke", {}],
    [["task", "fail", "t:1", "--reason", "stuck"], [], "POST /tasks/t%3A1/fail", { reason: "stuck" }],
    [
      ["orphan", "write-off", "aB3dE5fG", "3", "--reason", "lost"],
      [],
      "POST /tenants/aB3dE5fG/orphans/3/write-off",
      { reason: "lost", mode: "live" },
    ],
  ] as const;
  const task = { id: "t:1", tenant: "aB3dE5fG", mode: "live", status: "failed", model: "veo3", credits: 5, created_at: 1 };
  const orphan = { seq: 3, at: 1, task: "t:1", provider: "up", model: "veo3", reason: "late", cost_cents: 40, written_off: null };
  beforeEach(() => {
    server.answers = {
      "GET /tenants/aB3dE5fG": { body: TENANT },
      "DELETE /tenants/aB3dE5fG": { body: { id: "aB3dE5fG", deleted: true } },
      "GET /tenants/aB3dE5fG/keys": { body: { object: "list", data: [KEY] } },
      "POST /tenants/aB3dE5fG/keys/aB3dE5fGhJ7k/revoke": { body: KEY },
      "GET /tasks?id=t%3A1": { body: task },
      "POST /tasks/t%3A1/fail": { body: { ...task, timeline: [], attempts: [], hold: "released", failure: "internal_error" } },
      "POST /tenants/aB3dE5fG/orphans/3/write-off": { body: orphan },
    };
  });

  it.each(calls)("%j is not done where nobody can be asked", async (args, _before, line) => {
    const { code, errors } = await reelay(args);
    expect(code).toBe(2);
    expect(errors).toContain("--yes");
    expect(server.seen.map((each) => each.line)).not.toContain(line);
  });

  it.each(calls)("%j --yes is done", async (args, before, line, body) => {
    expect(await reelay([...args, "--yes"])).toMatchObject({ code: 0, errors: "" });
    expect(server.seen.map((each) => each.line)).toEqual([...before, line]);
    expect(server.seen.at(-1)?.body).toEqual(body);
  });
});

describe("doctor", () => {
  const good = { name: "cron", ok: true, detail: "2 min ago", mend: null };
  const bad = { name: "retention", ok: false, detail: "no rule", mend: "Add one." };

  it("adds what only a caller sees, and is content: 0", async () => {
    server.answers = { "GET /healthz": { body: {} }, "GET /doctor": { body: { ok: true, checks: [good] } } };
    const { code, output } = await reelay(["doctor"]);
    expect(code).toBe(0);
    for (const name of ["health", "clock", "encryption", "cron"]) expect(output).toMatch(new RegExp(`^ok +${name} `, "m"));
    expect(output).toContain("All is well.");
  });

  it("says how to mend what is bad: 1", async () => {
    server.answers = {
      "GET /healthz": { body: {}, headers: { date: "Sun, 22 Nov 2020 12:00:00 GMT" } },
      "GET /doctor": { body: { ok: false, checks: [good, bad] } },
    };
    const { code, output } = await reelay(["doctor"]);
    expect(code).toBe(1);
    expect(output).toMatch(/^BAD +retention +no rule$/m);
    expect(output).toMatch(/To mend:.*clock: .*retention: Add one\./s);
    const { checks, ok } = JSON.parse((await reelay(["doctor", "--json"])).output) as { ok: boolean; checks: { name: string }[] };
    expect([ok, checks.map(({ name }) => name)]).toEqual([false, ["health", "clock", "encryption", "cron", "retention"]]);
  });

  it("says what to do where the operator API is closed, or the gateway gone", async () => {
    server.answers = { "GET /healthz": { body: {} } };
    expect((await reelay(["doctor"])).output).toContain("npx wrangler secret put ADMIN_TOKEN");
    const gone = await reelay(["doctor", "--url", NOBODY]);
    expect(gone.code).toBe(1);
    expect(gone.output).toMatch(/^BAD +health .*npm start/ms);
  });

  it("keeps the token to itself over plain http", async () => {
    const { code, output } = await reelay(["doctor", "--url", "http://reelay.invalid"], { REELAY_ADMIN_TOKEN: "t" });
    expect(code).toBe(1);
    expect(output).toMatch(/^BAD +encryption +http$/m);
  });
});
