// Every body of the operator API with everything that can be wrong in it: told by the field's name, and nothing changed.
import { reset } from "cloudflare:test";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createdId, finish } from "../../support/gateway.ts";
import { aCustomer, aKeyOf, admin, operatorTrace, type Customer, type Method } from "../../support/operator.ts";
import { readTask } from "../../support/objects.ts";
import { readError } from "../../support/refusals.ts";

type Fault = readonly [change: Record<string, unknown>, param: string | null, code: string];

interface Route {
  readonly method: Method;
  readonly path: string;
  /** A good one, with every field it may have. */
  readonly body: Record<string, unknown>;
  readonly faults: readonly Fault[];
}

const LONG = (length: number): string => "x".repeat(length);
const TYPE = "invalid_type";
const VALUE = "invalid_value";
const MISSING = "missing_required_parameter";
const UNKNOWN = "unknown_parameter";

/** A field that holds one line of text: the faults of each. */
function lineFaults(field: string, max: number): Fault[] {
  return [
    [{ [field]: 7 }, field, TYPE],
    [{ [field]: ["x"] }, field, TYPE],
    [{ [field]: "" }, field, MISSING],
    [{ [field]: "   " }, field, VALUE],
    [{ [field]: LONG(max + 1) }, field, VALUE],
    [{ [field]: "two\nlines" }, field, "invalid_characters"],
    [{ [field]: "\u001b[31mred" }, field, "invalid_characters"],
  ];
}

const missing = (field: string): Fault => [{ [field]: undefined }, field, MISSING];
const notNull = (field: string): Fault => [{ [field]: null }, field, TYPE];

function countFaults(field: string, below: number, above: number): Fault[] {
  return [
    [{ [field]: "5" }, field, TYPE],
    [{ [field]: 1.5 }, field, TYPE],
    [{ [field]: true }, field, TYPE],
    [{ [field]: below }, field, VALUE],
    [{ [field]: above }, field, VALUE],
    [{ [field]: 1e300 }, field, VALUE],
  ];
}

function modelsFaults(field: string): Fault[] {
  return [
    [{ [field]: "veo3" }, field, TYPE],
    [{ [field]: [] }, field, VALUE],
    [{ [field]: ["veo3", "veo9"] }, `${field}.1`, VALUE],
    [{ [field]: [7] }, `${field}.0`, TYPE],
    [{ [field]: Array.from({ length: 12 }, () => "veo3") }, field, VALUE],
  ];
}

/** The same within `plan`. */
function inPlan(faults: readonly Fault[]): Fault[] {
  return faults.map(([change, param, code]) => [{ plan: change }, `plan.${param}`, code]);
}

const PLAN = { credits: 10, requests_per_minute: 5, live_tasks: 2, models: ["veo3"], retention_days: 3 };
const PLAN_FAULTS: readonly Fault[] = [
  [{ plan: 7 }, "plan", TYPE],
  [{ plan: null }, "plan", TYPE],
  [{ plan: [PLAN] }, "plan", TYPE],
  ...inPlan([
    ...countFaults("credits", -1, 1e12 + 1),
    notNull("credits"),
    ...countFaults("requests_per_minute", 0, 1_000_001),
    ...countFaults("live_tasks", 0, 1_000_001),
    ...countFaults("retention_days", 0, 366),
    ...modelsFaults("models"),
    [{ credit: 5 }, "credit", UNKNOWN],
  ]),
];

const REASON_FAULTS = lineFaults("reason", 200);
const MODE_FAULTS: readonly Fault[] = [
  [{ mode: "both" }, "mode", VALUE],
  [{ mode: 7 }, "mode", TYPE],
  [{ mode: null }, "mode", TYPE],
];

const ROUTES: Readonly<Record<string, Route>> = {
  "open a tenant": {
    method: "POST",
    path: "/tenants",
    body: { name: "New", plan: PLAN },
    faults: [missing("name"), notNull("name"), ...lineFaults("name", 64), ...PLAN_FAULTS],
  },
  "change a tenant": {
    method: "PATCH",
    path: "/tenants/$tenant",
    body: { name: "Newer", plan: PLAN },
    faults: [[{ name: undefined, plan: undefined }, null, MISSING], ...lineFaults("name", 64), ...PLAN_FAULTS],
  },
  "suspend a tenant": {
    method: "POST",
    path: "/tenants/$tenant/suspend",
    body: { reason: "unpaid" },
    faults: REASON_FAULTS,
  },
  "resume a tenant": {
    method: "POST",
    path: "/tenants/$tenant/resume",
    body: { reason: "paid" },
    faults: REASON_FAULTS,
  },
  "make a key": {
    method: "POST",
    path: "/tenants/$tenant/keys",
    body: {
      mode: "test",
      name: "CI",
      scopes: ["read"],
      budget: 5,
      models: ["veo3"],
      ips: ["203.0.113.7"],
      expires_at: 4_000_000_000,
    },
    faults: [
      missing("mode"),
      ...MODE_FAULTS,
      ...lineFaults("name", 64),
      [{ scopes: "read" }, "scopes", TYPE],
      [{ scopes: [] }, "scopes", VALUE],
      [{ scopes: ["read", "write"] }, "scopes.1", VALUE],
      [{ scopes: ["read", "read", "read", "read"] }, "scopes", VALUE],
      ...countFaults("budget", -1, 1e12 + 1),
      ...modelsFaults("models"),
      [{ ips: "203.0.113.7" }, "ips", TYPE],
      [{ ips: [] }, "ips", VALUE],
      [{ ips: [7] }, "ips.0", TYPE],
      [{ ips: ["203.0.113.7", "nowhere"] }, "ips.1", VALUE],
      [{ ips: [LONG(65)] }, "ips.0", VALUE],
      [{ ips: Array.from({ length: 101 }, () => "203.0.113.7") }, "ips", VALUE],
      ...countFaults("expires_at", 1, 1_800_000_000_000),
      [{ key: "sk-mine" }, "key", UNKNOWN],
    ],
  },
  "roll a key": {
    method: "POST",
    path: "/tenants/$tenant/keys/$key/roll",
    body: { overlap_seconds: 60 },
    faults: [...countFaults("overlap_seconds", -1, 604_801), notNull("overlap_seconds")],
  },
  "revoke a key": { method: "POST", path: "/tenants/$tenant/keys/$key/revoke", body: {}, faults: [] },
  "grant credits": {
    method: "POST",
    path: "/tenants/$tenant/credits",
    body: { kind: "grant", amount: 5, reason: "invoice 7", mode: "live" },
    faults: [
      missing("kind"),
      missing("amount"),
      missing("reason"),
      [{ kind: "gift" }, "kind", VALUE],
      [{ kind: 7 }, "kind", TYPE],
      ...countFaults("amount", 0, 1e12 + 1),
      [{ amount: -5 }, "amount", VALUE],
      [{ amount: null }, "amount", TYPE],
      [{ kind: "adjust", amount: 0 }, "amount", VALUE],
      [{ kind: "adjust", amount: -1e12 - 1 }, "amount", VALUE],
      [{ kind: "adjust", amount: -1e12 }, "amount", VALUE],
      ...REASON_FAULTS,
      ...MODE_FAULTS,
    ],
  },
  "write an orphan off": {
    method: "POST",
    path: "/tenants/$tenant/orphans/1/write-off",
    body: { reason: "lost", mode: "test" },
    faults: [missing("reason"), ...REASON_FAULTS, ...MODE_FAULTS],
  },
  "retry a task": {
    method: "POST",
    path: "/tasks/$task/retry",
    body: { tenant: "$tenant" },
    faults: [
      [{ tenant: 7 }, "tenant", TYPE],
      [{ tenant: null }, "tenant", TYPE],
      [{ tenant: LONG(65) }, "tenant", VALUE],
    ],
  },
  "fail a task": {
    method: "POST",
    path: "/tasks/$task/fail",
    body: { reason: "asked for", tenant: "$tenant" },
    faults: [missing("reason"), ...REASON_FAULTS, [{ tenant: 7 }, "tenant", TYPE], [{ tenant: LONG(65) }, "tenant", VALUE]],
  },
  "change a model": {
    method: "PATCH",
    path: "/models/veo3",
    body: { enabled: false, reason: "repairs", credits: 5, upsample_credits: 0 },
    faults: [
      [{ enabled: undefined, reason: undefined, credits: undefined, upsample_credits: undefined }, null, MISSING],
      missing("reason"),
      [{ enabled: true }, "reason", VALUE],
      [{ enabled: undefined }, "reason", VALUE],
      [{ enabled: "no" }, "enabled", TYPE],
      notNull("enabled"),
      ...REASON_FAULTS,
      ...countFaults("credits", 0, 1e12 + 1),
      ...countFaults("upsample_credits", -1, 1e12 + 1),
      [{ price: 5 }, "price", UNKNOWN],
    ],
  },
  "run the sweep": {
    method: "POST",
    path: "/sweep",
    body: { dry_run: true },
    faults: [
      [{ dry_run: "yes" }, "dry_run", TYPE],
      [{ dry_run: 1 }, "dry_run", TYPE],
      notNull("dry_run"),
      [{ dryRun: true }, "dryRun", UNKNOWN],
    ],
  },
  "rebuild KV": { method: "POST", path: "/rebuild-kv", body: {}, faults: [] },
  "delete a tenant": {
    method: "DELETE",
    path: "/tenants/$tenant",
    body: { confirm: "Newer" },
    faults: [
      missing("confirm"),
      notNull("confirm"),
      [{ confirm: true }, "confirm", TYPE],
      [{ confirm: LONG(10_000) }, "confirm", VALUE],
      [{ confirm: "somebody else" }, "confirm", VALUE],
    ],
  },
};

let customer: Customer;
let rolled: Customer;
let task: string;
beforeAll(async () => {
  customer = await aCustomer();
  rolled = await aKeyOf(customer.tenant);
  await finish(customer, await createdId(customer.key, { prompt: "[[lost_submit]]" }));
  task = await createdId(customer.key, { prompt: "[[stuck]]" });
});
afterAll(reset);

/** The names in a route, by what they stand for here. */
function filled(text: string): string {
  return text.replaceAll("$tenant", customer.tenant).replaceAll("$key", rolled.keyId).replaceAll("$task", task);
}

async function trace() {
  return { of: await operatorTrace(customer.tenant), task: (await readTask(customer, task))?.attempts.length };
}

describe.each(Object.entries(ROUTES))("%s", (_, { method, path, body, faults }) => {
  const send = async (text: string, headers?: Record<string, string>): Promise<Response> =>
    admin(method, filled(path), filled(text), headers);
  let before: Awaited<ReturnType<typeof trace>>;
  beforeAll(async () => {
    before = await trace();
  });

  const everywhere: Fault[] = [[{ colour: "red" }, "colour", UNKNOWN]];
  it.each([...everywhere, ...faults].map((fault) => [JSON.stringify(fault[0]).slice(0, 60), fault] as const))(
    "refuses %s",
    async (_name, [change, param, code]) => {
      // A plan's fault takes the place of one field of it.
      const plan = typeof change["plan"] === "object" && change["plan"] !== null && !Array.isArray(change["plan"]);
      const changed = plan ? { ...body, plan: { ...PLAN, ...(change["plan"] as object) } } : { ...body, ...change };
      const refused = await readError(await send(JSON.stringify(changed)));
      expect(refused).toMatchObject({ status: 400, code, param });
      if (param !== null && code !== UNKNOWN) expect(refused.message).toContain(param);
      expect(await trace()).toEqual(before);
    },
  );

  it.each([
    ["nothing", "", "invalid_json"],
    ["a list", "[]", TYPE],
    ["null", "null", TYPE],
    ["a text", '"x"', TYPE],
    ["half a body", '{"a":', "invalid_json"],
    ["a name twice", '{"reason":"a","reason":"b"}', "duplicate_key"],
    ["more than 256 KiB", JSON.stringify({ reason: LONG(262_144) }), "payload_too_large"],
  ])("refuses %s", async (_name, text, code) => {
    expect(await readError(await send(text))).toMatchObject({ code });
    expect(await trace()).toEqual(before);
  });

  it("refuses what does not say that it is JSON", async () => {
    const reply = await send(JSON.stringify(body), { "content-type": "text/plain" });
    expect(await readError(reply)).toMatchObject({ status: 415, code: "unsupported_media_type" });
    expect(await trace()).toEqual(before);
  });

  it("takes the good one", async () => {
    expect((await send(JSON.stringify(body))).status).toBe(200);
  });
});

it("a model that there is not is told so, with what was probably meant", async () => {
  const reply = await admin("PATCH", "/models/veo4", { credits: 5 });
  expect(await readError(reply)).toMatchObject({ status: 400, code: "model_not_found", param: "model" });
});
