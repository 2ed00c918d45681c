// The providers as their operator sees them: how they are, and keeping tasks from one.
import { env } from "cloudflare:workers";
import { reset } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Provider, WholeList } from "../../../src/cli/admin-wire.ts";
import type { LeaseEnd, LeaseReply } from "../../../src/ports.ts";
import { wire } from "../../../src/wire.ts";
import { DAY, HOUR, MINUTE } from "../../support/builders.ts";
import { callWith } from "../../support/gateway.ts";
import { admin, adminInit, auditLog, type Method } from "../../support/operator.ts";
import { readError } from "../../support/refusals.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + DAY });
});

afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

const SETTINGS = {
  PROVIDERS: JSON.stringify([
    {
      name: "up",
      kind: "seed-style",
      base_url: "https://up.example/of-one-account",
      api_key_secret: "UP_KEY",
      models: { veo3: "v3" },
      concurrency: 10,
      requests_per_minute: 60,
      weight: 2.5,
      tags: ["eu"],
      timeouts: { submit_seconds: 90 },
      median_seconds: 7.5,
      overdue_factor: 2,
      cost_cents: 12.5,
    },
    { name: "spare", kind: "seed-style", base_url: "https://spare.example", api_key_secret: "UP_KEY", priority: 2 },
  ]),
  UP_KEY: "upstream-secret",
};

const WELL = { held: false, breaker: "closed", open_until: null, leases: 0, waiting: 0, spent: [], latency: {} };
const UP = {
  name: "up",
  kind: "seed-style",
  host: "up.example",
  priority: 1,
  weight: 2.5,
  tags: ["eu"],
  models: ["veo3"],
  region: null,
  concurrency: 10,
  requests_per_minute: 60,
  timeouts: { submit_seconds: 90, poll_seconds: 30 },
  median_seconds: 7.5,
  overdue_factor: 2,
  cost_cents: 12.5,
  traits: { images: "url", callbacks: "none", idempotent_create: false, cancel: false, retention_seconds: 86_400 },
  health: WELL,
};

async function ask(method: Method, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response> {
  return callWith(SETTINGS, `/admin/v1${path}`, { method, ...adminInit(body, headers) });
}

async function acquire(task: string, concurrency: number | null = null): Promise<LeaseReply> {
  const now = Date.now();
  const times = { since: now, deadlineAt: now + HOUR, until: now + HOUR };
  const rest = { stay: 1, tenant: "Tenant01", model: "v3", credentials: ["UP_KEY"], ...times };
  return wire(env)
    .healthOf("up")
    .acquire({ task, ...rest }, { concurrency, perMinute: null });
}

async function release(task: string, given: Partial<LeaseEnd> = {}): Promise<void> {
  const end = { stay: 1, credential: "UP_KEY", model: "v3", reason: null, durationMs: null, retryAt: null };
  await wire(env)
    .healthOf("up")
    .release({ task, ...end, ...given });
}

async function shown(): Promise<Provider | undefined> {
  const { data } = await (await ask("GET", "/providers")).json<WholeList<Provider>>();
  return data[0];
}

describe("the list", () => {
  it.each<[kind: string, more: object, expected: object]>([
    ["fal", {}, { callbacks: "signed", cancel: true, retention_seconds: 604_800 }],
    ["replicate", {}, { callbacks: "unsigned", cancel: true, retention_seconds: 3_600 }],
    ["replicate", { callback_secret: "HOOKS" }, { callbacks: "signed" }],
    ["openrouter", { honours_idempotency_key: true }, { callbacks: "unsigned", cancel: false, idempotent_create: true }],
    ["openrouter", { callback_secret: "HOOKS" }, { callbacks: "signed", retention_seconds: null }],
    ["veo", {}, { images: "inline", callbacks: "none", cancel: false, retention_seconds: 172_800 }],
  ])("says what %s can do, with %j", async (kind, more, expected) => {
    const PROVIDERS = JSON.stringify([{ name: "up", kind, api_key_secret: "UP_KEY", ...more }]);
    const bindings = { PROVIDERS, UP_KEY: "upstream-secret", HOOKS: `whsec_${btoa("the secret of an account")}` };
    const { data } = await (await callWith(bindings, "/admin/v1/providers", adminInit())).json<WholeList<Provider>>();
    expect(data[0]?.traits).toMatchObject(expected);
  });

  it.each([
    ["fal", {}, "queue.fal.run"],
    ["gemini", {}, "generativelanguage.googleapis.com"],
    ["openrouter", {}, "openrouter.ai"],
    ["openrouter", { base_url: "https://router.example/api" }, "router.example"],
  ])("says at which host %s with %j is asked", async (kind, more, host) => {
    const PROVIDERS = JSON.stringify([{ name: "up", kind, api_key_secret: "UP_KEY", ...more }]);
    const reply = await callWith({ PROVIDERS, UP_KEY: "upstream-secret" }, "/admin/v1/providers", adminInit());
    expect((await reply.json<WholeList<Provider>>()).data[0]?.host).toBe(host);
  });

  it("has each as it is configured and as it is, without what is secret about it", async () => {
    const text = await (await ask("GET", "/providers")).text();
    const spare = {
      name: "spare",
      host: "spare.example",
      priority: 2,
      weight: 1,
      tags: [],
      models: null,
      concurrency: null,
      requests_per_minute: null,
      timeouts: { submit_seconds: 60, poll_seconds: 30 },
      median_seconds: null,
      overdue_factor: null,
      cost_cents: null,
    };
    expect(JSON.parse(text)).toEqual({ object: "list", data: [UP, { ...UP, ...spare }] });
    expect(text).not.toMatch(/user|pass|example\/|secret|UP_KEY/);
  });

  it("shows what is under way, what waits, and what the last generations took", async () => {
    for (let index = 1; index <= 5; index++) {
      await acquire(`done-${index}`);
      await release(`done-${index}`, { durationMs: index * 10_000 });
    }
    await acquire("task-1", 1);
    await acquire("task-2", 1);
    expect((await shown())?.health).toEqual({
      ...WELL,
      leases: 1,
      waiting: 1,
      latency: { v3: { p50_seconds: 30, p95_seconds: 48 } },
    });
  });

  it("shows what keeps tasks away: an open breaker, a secret that was refused", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    for (let index = 1; index <= 6; index++) await acquire(`task-${index}`);
    for (let index = 1; index <= 5; index++) await release(`task-${index}`, { reason: "timeout" });
    await release("task-6", { reason: "out_of_credit" });
    const now = Math.floor(Date.now() / 1000);
    expect((await shown())?.health).toEqual({
      ...WELL,
      breaker: "open",
      open_until: now + 30,
      spent: [{ credential: "UP_KEY", why: "out_of_credit", until: now + (5 * MINUTE) / 1000 }],
    });
  });

  it("has a provider whose health does not answer all the same", async () => {
    const down = { view: async () => Promise.reject(new Error("down")) };
    const PROVIDER_HEALTH = { getByName: (name: string) => (name === "up" ? down : env.PROVIDER_HEALTH.getByName(name)) };
    const reply = await callWith({ ...SETTINGS, PROVIDER_HEALTH }, "/admin/v1/providers", adminInit());
    expect((await reply.json<WholeList<Provider>>()).data.map(({ health }) => health)).toEqual([null, WELL]);
  });
});

describe("a hold", () => {
  it("keeps new tasks away until it is released, and is noted", async () => {
    await acquire("task-1");
    const held = await ask("POST", "/providers/up/hold", { reason: "maintenance" }, { "X-Reelay-Actor": "Ada" });
    expect([held.status, await held.json()]).toEqual([200, { ...UP, health: { ...WELL, held: true, leases: 1 } }]);
    expect(await acquire("task-2")).toMatchObject({ kind: "refused" });
    const released = await ask("POST", "/providers/up/release", {});
    expect([released.status, await released.json()]).toEqual([200, { ...UP, health: { ...WELL, leases: 1 } }]);
    expect(await acquire("task-2")).toMatchObject({ kind: "granted" });
    expect(await auditLog()).toMatchObject([
      { actor: "operator", action: "provider.release", target: "up", before: { held: true }, after: { held: false, reason: null } },
      {
        actor: "Ada",
        action: "provider.hold",
        target: "up",
        before: { held: false },
        after: { held: true, reason: "maintenance" },
      },
    ]);
  });

  it("is of one provider", async () => {
    await ask("POST", "/providers/spare/hold", {});
    expect(await acquire("task-1")).toMatchObject({ kind: "granted" });
  });

  it("when released, ends also what else kept tasks away", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    for (let index = 1; index <= 6; index++) await acquire(`task-${index}`);
    await release("task-1", { reason: "unauthorized" });
    for (let index = 2; index <= 6; index++) await release(`task-${index}`, { reason: "timeout" });
    await ask("POST", "/providers/up/release", { reason: "new key" });
    expect(await shown()).toEqual(UP);
  });

  it.each(["/providers/nobody/hold", "/providers/simulated/hold", "/providers/nobody/release"])(
    "of a provider that there is not is told so: %s",
    async (path) => {
      expect(await readError(await ask("POST", path, {}))).toMatchObject({ status: 404, code: "provider_not_found" });
      expect(await auditLog()).toEqual([]);
    },
  );

  it.each([
    [{ reason: "" }, "reason"],
    [{ reason: 7 }, "reason"],
    [{ reason: "two\nlines" }, "reason"],
    [{ reasons: "x" }, "reasons"],
    [[], null],
  ])("refuses %j", async (body, param) => {
    for (const verb of ["hold", "release"]) {
      expect(await readError(await ask("POST", `/providers/up/${verb}`, body))).toMatchObject({ status: 400, param });
    }
    expect(await auditLog()).toEqual([]);
    expect((await shown())?.health?.held).toBe(false);
  });

  it("is not for tenants", async () => {
    const headers = { authorization: "Bearer sk-test-whoever" };
    expect((await admin("POST", "/providers/up/hold", {}, headers)).status).toBe(404);
  });
});
