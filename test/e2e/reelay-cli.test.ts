// The operator's day with the command line, as a new user types it: from no tenant to a paying one whose books are right.
import { execFile } from "node:child_process";
import { parseEnv } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LOCAL_ADMIN_TOKEN } from "../../src/cli/demo-tenant.ts";
import { startSeedStyleEmulator, type SeedStyleEmulator } from "../support/emulators/seed-style.ts";
import { startReelay, type Server } from "../support/server.ts";
import { createVideo, untilEnded } from "../support/tenant-calls.ts";

interface Run {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

let upstream: SeedStyleEmulator;
let server: Server;
beforeAll(async () => {
  upstream = await startSeedStyleEmulator({ apiKey: "sk-upstream", pollsBeforeDone: 0 });
  const provider = { name: "up", kind: "seed-style", base_url: upstream.url, api_key_secret: "UP_KEY", median_seconds: 1 };
  server = await startReelay({ env: { PROVIDERS: JSON.stringify([provider]), UP_KEY: "sk-upstream" } });
});
afterAll(async () => {
  await server.stop();
  await upstream.close();
});

/** In a shell that knows no more than the gateway's address. */
function reelay(...args: string[]): Promise<Run> {
  return reelayIn({ REELAY_URL: server.url, REELAY_ADMIN_TOKEN: "" }, ...args);
}

/** What `npm run reelay` runs, without npm, which takes twice as long as what it runs. */
async function reelayIn(settings: Readonly<Record<string, string>>, ...args: string[]): Promise<Run> {
  return run(process.execPath, ["src/cli/reelay.ts", ...args], settings);
}

function run(program: string, args: readonly string[], settings: Readonly<Record<string, string>>): Promise<Run> {
  return new Promise((resolve) => {
    const env = { ...process.env, ...settings };
    execFile(program, args, { env }, (error, output, errors) => {
      resolve({ code: error === null ? 0 : Number(error.code), output, errors });
    });
  });
}

/** What was printed, where it went well. */
async function done(...args: string[]): Promise<string> {
  const { code, output, errors } = await reelay(...args);
  expect({ code, errors }, args.join(" ")).toEqual({ code: 0, errors: "" });
  return output;
}

async function json<Body>(...args: string[]): Promise<Body> {
  return JSON.parse(await done("--json", ...args)) as Body;
}

const createStatus = async (key: string): Promise<number> => {
  const reply = await fetch(`${server.url}/v1/video/create`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "veo3", prompt: "A lake at sunset" }),
  });
  return reply.status;
};

describe("npm start", () => {
  it("says which command there is for operators", () => {
    expect(server.output()).toContain(`npm run reelay -- --url ${server.url} tenant list`);
    expect(server.output()).not.toContain(LOCAL_ADMIN_TOKEN);
  });
});

it("is run by npm, as it is typed", async () => {
  const settings = { REELAY_URL: server.url, REELAY_ADMIN_TOKEN: "" };
  const typed = await run("npm", ["run", "--silent", "reelay", "--", "--json", "tenant", "list"], settings);
  // As JSON: a table tells how long ago a tenant was made.
  expect(typed).toEqual({ code: 0, errors: "", output: await done("--json", "tenant", "list") });
});

describe("npm start for others to reach", () => {
  it("keeps the operator API closed, because everybody knows the local token", async () => {
    const open = await startReelay({ args: ["--ip", "0.0.0.0"] });
    try {
      expect(open.output()).toMatch(/Operator +closed/);
      const { code, errors } = await reelayIn({ REELAY_URL: open.url, REELAY_ADMIN_TOKEN: "" }, "tenant", "list");
      expect(code).toBe(1);
      expect(errors).toContain("ADMIN_TOKEN has no operator API");
    } finally {
      await open.stop();
    }
  });
});

describe("npm run reelay", () => {
  let tenant: string;
  let liveKey: string;
  let testKey: string;
  let task: string;
  let price: number;

  it("works at once against npm start", async () => {
    expect(await done("tenant", "list")).toMatch(/^(id +name|No tenants yet)/);
  });

  it("makes a tenant with a plan, and changes it", async () => {
    const made = await done("tenant", "create", "Acme Films", "--credits", "1,000", "--live-tasks", "3");
    tenant = /^Tenant +(\w{8})$/m.exec(made)?.[1] ?? "";
    expect(made).toContain(`npm run reelay -- key create ${tenant}`);
    expect(made).toMatch(/^live +1,000 +0 +0/m);
    expect(await done("tenant", "plan", tenant, "--live-tasks", "5")).toContain(
      "1,000 credits a month, 60 creates a minute, 5 at once",
    );
    expect(await done("tenant", "rename", tenant, "Acme")).toMatch(/^Name +Acme$/m);
    expect(await done("tenant", "list")).toMatch(new RegExp(`^${tenant} +Acme +active +\\d{4}-`, "m"));
  });

  it("makes two keys, and shows each of them once", async () => {
    const shown = await done("key", "create", tenant, "--name", "ci", "--scopes", "create,read", "--budget", "500");
    liveKey = /sk-live-\w{50}/.exec(shown)?.[0] ?? "";
    expect(shown).toContain("will not be shown again");
    testKey = (await json<{ key: string }>("key", "create", tenant, "--mode", "test")).key;
    const list = await done("key", "list", tenant);
    expect(list).toContain(`${liveKey.slice(0, 20)}…${liveKey.slice(-4)}`);
    expect(list).not.toContain(liveKey.slice(0, 24));
    expect(list).not.toContain(testKey.slice(0, 24));
  });

  it("grants and corrects credits", async () => {
    expect(await done("credits", "grant", tenant, "500", "--reason", "invoice 1")).toMatch(/^live +1,500 +0 +0 +0 +1,500 +0/m);
    expect(await done("credits", "adjust", tenant, "-20", "--reason", "a typo")).toMatch(/^live +1,480 +0 +0 +0 +1,500 +-20/m);
  });

  it("shows what a video cost, and how it came to be", async () => {
    task = await createVideo(server.url, liveKey, { model: "veo3", prompt: "A lake at sunset" });
    expect((await untilEnded(server.url, liveKey, task)).status).toBe("completed");
    const found = await json<{ credits: number; request_id: string }>("task", "show", task);
    price = found.credits;
    const shown = await done("task", "show", "--request-id", found.request_id);
    expect(shown).toMatch(new RegExp(`^Task +${task}$`, "m"));
    expect(shown).toMatch(/^Status +completed$/m);
    expect(shown).toMatch(/^Credits +\d+, settled$/m);
    expect(shown).toMatch(/^at +after +step +took$/m);
    expect(shown).toMatch(/^\d{4}-\S+ \S+ +up +veo3 /m);
    expect(shown).not.toContain("A lake at sunset");
  });

  it("tells where every credit went, and that the books are right", async () => {
    const journal = await done("credits", "journal", tenant);
    expect(journal).toMatch(/ settle +\d+ +veo3:/);
    expect(journal).toMatch(/ adjust +-20 +a typo$/m);
    expect(journal).toMatch(/ grant +500 +invoice 1$/m);
    expect(await done("credits", "recompute", tenant)).toContain("agree");
    const { live } = await json<{ live: Record<string, number> }>("credits", "show", tenant);
    expect(live).toMatchObject({ available: 1480 - price, held: 0, spent: price });
  });

  it("walks a long list page by page", async () => {
    const first = await reelay("credits", "journal", tenant, "--limit", "2");
    const cursor = /--after "(\w+)"/.exec(first.errors)?.[1] ?? "";
    expect(first.output.trimEnd().split("\n")).toHaveLength(3);
    const rest = await json<{ data: unknown[] }>("credits", "journal", tenant, "--after", cursor, "--all");
    const all = await json<{ data: unknown[] }>("credits", "journal", tenant, "--all");
    expect(all.data).toHaveLength(2 + rest.data.length);
  });

  it("rolls a key: both work for a while, with no overlap only the new one", async () => {
    const rolled = await done("key", "roll", liveKey.slice(8, 20), "--overlap", "1h");
    const next = /sk-live-\w{50}/.exec(rolled)?.[0] ?? "";
    expect(rolled).toContain("stops in 1 h");
    expect([await createStatus(liveKey), await createStatus(next)]).toEqual([200, 200]);
    const { key: last } = await json<{ key: string }>("key", "roll", next.slice(8, 20), "--overlap", "0");
    expect([await createStatus(next), await createStatus(last)]).toEqual([401, 200]);
    liveKey = last;
  });

  it("revokes a key at once, but never unasked", async () => {
    const unasked = await reelay("key", "revoke", liveKey.slice(8, 20));
    expect(unasked).toMatchObject({ code: 2, output: "" });
    expect(unasked.errors).toContain("--yes");
    expect(await createStatus(liveKey)).toBe(200);
    expect(await done("key", "revoke", liveKey.slice(8, 20), "--yes")).toContain("is revoked");
    expect(await createStatus(liveKey)).toBe(401);
    expect(await done("key", "list", tenant)).toContain("revoked 2");
  });

  it("fails a task that is stuck, and looks at one at once", async () => {
    const stuck = await createVideo(server.url, testKey, { model: "veo3", prompt: "A lake [[stuck]]" });
    expect(await done("task", "retry", stuck)).toMatch(new RegExp(`^Task +${stuck}$`, "m"));
    expect(await done("task", "fail", stuck, "--reason", "stuck", "--yes")).toMatch(/^Status +(settling|failed) \(cancelled\)$/m);
    expect((await untilEnded(server.url, testKey, stuck)).status).toBe("failed");
    const again = await reelay("task", "fail", stuck, "--reason", "stuck", "--yes");
    expect(again.code).toBe(1);
    expect(again.errors).toContain("task_ended");
  });

  it("suspends and resumes", async () => {
    expect(await done("tenant", "suspend", tenant, "--reason", "unpaid")).toMatch(/^Status +suspended$/m);
    expect(await createStatus(testKey)).toBe(403);
    expect(await done("tenant", "resume", tenant)).toMatch(/^Status +active$/m);
    expect(await createStatus(testKey)).toBe(200);
  });

  it("shows providers, orphans, what was changed, and sweeps", async () => {
    expect(await done("provider", "list")).toMatch(/^up +seed-style +1 +all .* ok +/m);
    expect(await done("provider", "hold", "up", "--reason", "repairs")).toMatch(/^up .* HELD +/m);
    expect(await done("provider", "release", "up")).toMatch(/^up .* ok +/m);
    expect(await done("orphan", "list", tenant)).toBe("No orphans.\n");
    expect(await done("sweep", "--dry-run")).toContain("nothing was changed");
    expect(await done("sweep")).toMatch(/^Errors +0$/m);
    expect(await done("rebuild-kv")).toMatch(/^Rebuilt: \d+ tenants\.$/m);
    expect(await done("audit", "--limit", "100")).toMatch(/ tenant\.suspend +\w{8} +.*active -> suspended/);
  });

  it("names who acted", async () => {
    await done("tenant", "rename", tenant, "Acme 2", "--actor", "ana");
    const { data } = await json<{ data: { actor: string }[] }>("audit", "--limit", "1");
    expect(data[0]?.actor).toBe("ana");
  });

  it("examines the gateway, from inside and from here", async () => {
    const { output } = await reelay("doctor");
    for (const name of ["health", "clock", "encryption", "kv", "r2", "objects"])
      expect(output).toMatch(new RegExp(`^ok +${name} `, "m"));
  });

  it("deletes a tenant, but never unasked", async () => {
    expect((await reelay("tenant", "delete", tenant)).code).toBe(2);
    expect(await done("tenant", "delete", tenant, "--yes")).toContain("is deleted");
    expect([401, 403]).toContain(await createStatus(testKey)); // its key is revoked, and it is suspended
  });

  it("switches a model off and on, and prices it", async () => {
    expect(await done("model", "off", "veo3", "--reason", "maintenance")).toMatch(/^veo3 +OFF +\d+ +\d+ +maintenance$/m);
    await expect.poll(() => createStatus(server.testKey), { timeout: 60_000, interval: 1_000 }).toBe(503);
    expect(await done("model", "on", "veo3")).toMatch(/^veo3 +on /m);
    expect(await done("model", "price", "veo3", "1234")).toMatch(/^veo3 +on +1,234 /m);
    expect(await done("model", "price", "veo3", "--reset")).toMatch(new RegExp(`^veo3 +on +${price} `, "m"));
    expect(await done("model", "list")).toMatch(/^veo2 +on /m);
  });

  it("says what the API said where it refuses: 1", async () => {
    const missing = await reelay("tenant", "show", "zzzzzzzz", "--json");
    expect(missing.code).toBe(1);
    expect(JSON.parse(missing.output)).toMatchObject({ error: { code: expect.stringMatching(/not_found/) } });
    const denied = await reelay("tenant", "list", "--admin-token", "a-wrong-token");
    expect(denied.code).toBe(1);
    expect(denied.errors).toMatch(/shell's history.*invalid_admin_token.*REELAY_ADMIN_TOKEN/s);
  });

  it("takes no wrong command line: 2", async () => {
    for (const args of [["tenant"], ["tenant", "shwo"], ["key", "roll", "demo0000bCnO", "--overlap", "8d"]])
      expect((await reelay(...args)).code, args.join(" ")).toBe(2);
  });

  it("makes the secrets of a gateway that takes them", async () => {
    const secrets = parseEnv(await done("init", "--secrets")) as Record<string, string>;
    const own = await startReelay({ env: secrets });
    try {
      const shell = { REELAY_URL: own.url, REELAY_ADMIN_TOKEN: secrets.ADMIN_TOKEN ?? "" };
      expect(await reelayIn(shell, "tenant", "list")).toMatchObject({ code: 0, errors: "" });
      const outside = await reelayIn({ ...shell, REELAY_ADMIN_TOKEN: "" }, "tenant", "list");
      expect(outside.errors).toContain("invalid_admin_token");
    } finally {
      await own.stop();
    }
  });
});
