// The gateway itself, as its operator sees it: the audit log, the sweep, KV, and the doctor.
import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { AuditEntry, Doctor, List, SweepReport, Tenant } from "../../../src/cli/admin-wire.ts";
import type { LeaseEnd } from "../../../src/ports.ts";
import { wire } from "../../../src/wire.ts";
import { callWith, create, createdId, finish } from "../../support/gateway.ts";
import { aCustomer, admin, adminInit, auditLog, justNow, told } from "../../support/operator.ts";
import { readError } from "../../support/refusals.ts";

afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

const HOUR_MS = 3_600_000;

describe("the audit log", () => {
  it("has every change newest first, page by page, in the API's own words", async () => {
    const { id } = await told<Tenant>("POST", "/tenants", { name: "Acme", plan: { models: ["veo3"] } });
    await told("PATCH", `/tenants/${id}`, { plan: { credits: 5 } });
    const plan = {
      credits: 1_000,
      requests_per_minute: 60,
      live_tasks: 10,
      models: ["veo3"],
      retention_days: 7,
      route_choice: false,
    };
    const all = await told<List<AuditEntry>>("GET", "/audit");
    expect(all).toEqual({
      object: "list",
      data: [
        {
          seq: 2,
          at: justNow(),
          actor: "operator",
          action: "tenant.change",
          target: id,
          before: { name: "Acme", plan },
          after: { name: "Acme", plan: { ...plan, credits: 5 } },
        },
        {
          seq: 1,
          at: justNow(),
          actor: "operator",
          action: "tenant.create",
          target: id,
          before: null,
          after: { name: "Acme", plan },
        },
      ],
      has_more: false,
      last_id: "1",
    });
    const first = await told<List<AuditEntry>>("GET", "/audit?limit=1");
    expect(first).toEqual({ object: "list", data: all.data.slice(0, 1), has_more: true, last_id: "2" });
    expect(await told("GET", "/audit?limit=1&after=2")).toEqual({ ...all, data: all.data.slice(1) });
  });

  it("is not written to by looking", async () => {
    const { tenant } = await aCustomer();
    const before = await auditLog();
    for (const path of [
      "/tenants",
      `/tenants/${tenant}`,
      `/tenants/${tenant}/keys`,
      `/tenants/${tenant}/journal`,
      `/tenants/${tenant}/recompute`,
      `/tenants/${tenant}/orphans`,
      "/models",
      "/audit",
      "/providers",
      "/doctor",
    ]) {
      expect((await admin("GET", path)).status).toBe(200);
    }
    expect(await auditLog()).toEqual(before);
  });

  it.each([
    ["limit=0", "limit"],
    ["after=first", "after"],
  ])("says what is wrong with ?%s", async (text, param) => {
    expect(await readError(await admin("GET", `/audit?${text}`))).toMatchObject({ status: 400, param });
  });
});

describe("the sweep", () => {
  /** A video that no ledger knows, old enough to be judged. */
  async function aLostVideo(): Promise<void> {
    await env.VIDEOS.put("videos/veo3:1700000000-nobodys", "x");
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 2 * HOUR_MS });
  }

  it("says what it would do in a dry run, and leaves everything as it was", async () => {
    await aCustomer();
    await aLostVideo();
    const kept = await env.TENANTS.list();
    const dry = await told<SweepReport>("POST", "/sweep", { dry_run: true });
    expect(dry).toEqual({ ran: true, tenants: 1, objects: 1, orphans: 1, errors: 0 });
    expect(await env.VIDEOS.head("videos/veo3:1700000000-nobodys")).not.toBeNull();
    expect(await env.TENANTS.list()).toEqual(kept);
    expect(await wire(env).registry.lastSweepAt()).toBeNull();
    expect(await auditLog()).toHaveLength(2);
    expect(await told<SweepReport>("POST", "/sweep", { dry_run: true })).toEqual(dry);
  });

  it("does it otherwise, and is noted", async () => {
    await aCustomer();
    await aLostVideo();
    const report = await told<SweepReport>("POST", "/sweep", {}, { "X-Reelay-Actor": "Ada" });
    expect(report).toEqual({ ran: true, tenants: 1, objects: 1, orphans: 1, errors: 0 });
    expect(await env.VIDEOS.head("videos/veo3:1700000000-nobodys")).toBeNull();
    const { ran: _, ...counts } = report;
    expect((await auditLog())[0]).toMatchObject({
      actor: "Ada",
      action: "sweep.run",
      target: "sweep",
      before: null,
      after: counts,
    });
    expect(await told<SweepReport>("POST", "/sweep", {})).toMatchObject({ ran: true, objects: 0, orphans: 0 });
  });

  it("gives way to another pass", async () => {
    await wire(env).registry.beginSweep();
    const idle = { ran: false, tenants: 0, objects: 0, orphans: 0, errors: 0 };
    expect(await told<SweepReport>("POST", "/sweep", {})).toEqual(idle);
    expect(await told<SweepReport>("POST", "/sweep", { dry_run: true })).toEqual(idle);
    expect(await auditLog()).toEqual([]);
  });
});

describe("KV", () => {
  it("is written anew from the ledgers and the registry: every key, every tenant, every switch", async () => {
    const [one, two] = [await aCustomer(), await aCustomer({ name: "Other", key: { mode: "live", scopes: ["read"] } })];
    await told("POST", `/tenants/${two.tenant}/keys/${two.keyId}/revoke`, {});
    await told("PATCH", "/models/veo2", { enabled: false, reason: "x" });
    await finish(one, await createdId(one.key));
    const names = async (): Promise<string[]> => (await env.TENANTS.list()).keys.map(({ name }) => name);
    const before = await names();
    const values = async () =>
      Object.fromEntries(
        await Promise.all(before.filter((name) => name.startsWith("k:")).map(async (name) => [name, await env.TENANTS.get(name)])),
      );
    const keys = await values();
    expect(before).toHaveLength(7);

    for (const name of before) await env.TENANTS.delete(name);
    expect(await told("POST", "/rebuild-kv", {}, { "X-Reelay-Actor": "Ada" })).toEqual({ tenants: 2 });
    expect(await names()).toEqual(before);
    expect(await values()).toEqual(keys);
    expect(await env.TENANTS.get("models", "json")).toMatchObject({ veo2: { off: "x" } });
    expect(await env.TENANTS.get(`t:${one.tenant}:test`, "json")).toMatchObject({ status: "active", available: 9_960 });
    expect((await create(one.key, { model: "veo3", prompt: "a lake" })).status).toBe(200);
    expect((await auditLog())[0]).toMatchObject({ actor: "Ada", action: "kv.rebuild", target: "kv", after: { tenants: 2 } });
  });
});

const healthOfUp = () => wire(env).healthOf("up");

/** Tasks that were given a place at `up`, and left it for this reason. */
async function endStays(reason: LeaseEnd["reason"], count: number): Promise<void> {
  const now = Date.now();
  const tasks = Array.from({ length: count }, (_, index) => `task-${index}`);
  const rest = { stay: 1, tenant: "Tenant01", model: "v3", credentials: ["UP_KEY"], since: now };
  const until = now + HOUR_MS;
  for (const task of tasks)
    await healthOfUp().acquire({ task, ...rest, deadlineAt: until, until }, { concurrency: null, perMinute: null });
  const end = { stay: 1, credential: "UP_KEY", model: "v3", reason, durationMs: null, retryAt: null };
  for (const task of tasks) await healthOfUp().release({ task, ...end });
}

describe("the doctor", () => {
  const findings = async (changes: Record<string, unknown>): Promise<Doctor> =>
    (await callWith(changes, "/admin/v1/doctor", adminInit())).json<Doctor>();

  const WELL = {
    PUBLIC_URL: "https://gateway.example",
    ALERT_URL: "https://alerts.example/hook",
    PROVIDERS: JSON.stringify([{ name: "up", kind: "seed-style", base_url: "https://up.example", api_key_secret: "UP_KEY" }]),
    UP_KEY: "upstream-secret",
  };

  it("finds nothing wrong with a gateway that has all it needs", async () => {
    await told("POST", "/sweep", {});
    const { ok, checks } = await findings(WELL);
    expect([ok, checks.filter((check) => !check.ok || check.mend !== null)]).toEqual([true, []]);
    expect(checks.map(({ name }) => name)).toEqual(expect.arrayContaining(["kv", "r2", "objects", "cron", "providers"]));
    expect(JSON.stringify(checks)).not.toMatch(/-secret|alerts\.example/);
  });

  it("says of each thing that is wrong how it is mended", async () => {
    const down = { TENANTS: { get: async () => Promise.reject(new Error("down")) } };
    const { ok, checks } = await findings({ ...down, ENVIRONMENT: "production" });
    expect(ok).toBe(false);
    const advised = checks.filter(({ mend }) => mend !== null);
    expect(advised.map(({ name }) => name)).toEqual(["kv", "cron", "providers", "public_url", "alerts"]);
    expect(advised.map((check) => check.ok)).toEqual([false, false, true, true, true]);
    for (const { detail, mend } of advised)
      expect([detail, mend]).toEqual([expect.stringMatching(/\S/), expect.stringMatching(/\.$/)]);
  });

  describe("of a provider that gets no new tasks", () => {
    const providers = async (): Promise<object | undefined> =>
      (await findings(WELL)).checks.find(({ name }) => name === "providers");
    const mend = expect.stringContaining("reelay provider list") as string;

    it("says that an operator holds it", async () => {
      await healthOfUp().hold(true);
      expect(await providers()).toEqual({ name: "providers", ok: true, detail: "1 configured; up is held by an operator", mend });
      await healthOfUp().hold(false);
      expect(await providers()).toEqual({ name: "providers", ok: true, detail: "1 configured", mend: null });
    });

    it("says that it is held back", async () => {
      vi.spyOn(console, "warn").mockImplementation(() => undefined);
      await endStays("timeout", 5);
      expect(await providers()).toMatchObject({ ok: true, detail: expect.stringContaining("; up is held back") as string, mend });
    });

    it("says that it has no usable key, and which it refused", async () => {
      await endStays("unauthorized", 1);
      expect(await providers()).toMatchObject({ ok: true, detail: "1 configured; up has no usable key: it refused UP_KEY", mend });
    });

    it("says that it cannot be told of", async () => {
      const PROVIDER_HEALTH = { getByName: () => ({ view: async () => Promise.reject(new Error("down")) }) };
      const { checks } = await findings({ ...WELL, PROVIDER_HEALTH });
      expect(checks.find(({ name }) => name === "providers")).toMatchObject({
        ok: true,
        detail: expect.stringContaining("; up cannot be told of") as string,
      });
    });
  });

  it("takes nothing amiss in a local run that nobody has set up", async () => {
    expect(await told<Doctor>("GET", "/doctor")).toMatchObject({ ok: true });
  });
});
