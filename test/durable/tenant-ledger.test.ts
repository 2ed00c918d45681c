import { env } from "cloudflare:workers";
import { reset, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { hashApiKey, parseApiKey, type ApiKey } from "../../src/core/api-key.ts";
import { makeTaskId } from "../../src/core/task-id.ts";
import type { BooksPort, LedgerPort, ReserveAsk } from "../../src/ports.ts";
import { VideoTask } from "../../src/durable/video-task.ts";
import { wire } from "../../src/wire.ts";
import { anAttempt } from "../support/builders.ts";
import { aTenant, create, WIDE, type TestTenant } from "../support/gateway.ts";
import { ledgerStub, readBalances, readBooks, readTask } from "../support/objects.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

beforeEach(() => {
  // Tomorrow: alarms fire only when a test runs them.
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + DAY_MS });
});

afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

function ledgerOf({ tenant, mode }: TestTenant): LedgerPort {
  return wire(env).ledgerOf(tenant, mode);
}

function booksOf({ tenant, mode }: TestTenant): BooksPort {
  return wire(env).booksOf(tenant, mode);
}

async function ask(owner: TestTenant, given: Partial<ReserveAsk> = {}): Promise<ReserveAsk> {
  const id = await makeTaskId("any", owner, "veo3", Date.now(), crypto.getRandomValues(new Uint8Array(10)));
  const claim = { key: null, fingerprint: id, looks: false };
  const deadlineAt = Date.now() + 30 * MINUTE_MS;
  return {
    id,
    keyId: owner.keyId,
    model: "veo3",
    credits: 10,
    deadlineAt,
    requestId: "req_test",
    claim,
    retentionDays: null,
    metadata: {},
    ...given,
  };
}

describe("under any concurrency", () => {
  it("admits exactly as many holds as there are credits for", async () => {
    const owner = await aTenant({ limits: { creditsPerPeriod: 100 } });
    const asks = await Promise.all(Array.from({ length: 1_000 }, async () => ask(owner)));
    const answers = await Promise.all(asks.map(async (each) => ledgerOf(owner).reserve(each)));
    expect(answers.filter(({ ok }) => ok)).toHaveLength(10);
    expect(answers.filter((answer) => !answer.ok && answer.error.kind === "insufficient_quota")).toHaveLength(990);
    expect(await readBalances(owner)).toMatchObject({ available: 0, held: 100 });
  });

  it("counts creates to the minute exactly, and says when the next is allowed", async () => {
    const owner = await aTenant({ limits: { createsPerMinute: 5 } });
    const answers = await Promise.all(Array.from({ length: 9 }, async () => ledgerOf(owner).reserve(await ask(owner))));
    expect(answers.filter(({ ok }) => ok)).toHaveLength(5);
    expect(answers.at(-1)).toMatchObject({ ok: false, error: { kind: "rate_limit_exceeded", limit: 5, resetSeconds: 60 } });
    vi.setSystemTime(Date.now() + MINUTE_MS);
    expect((await ledgerOf(owner).reserve(await ask(owner))).ok).toBe(true);
  });

  it("holds once for a task however often it is asked, and resolves once whatever comes after", async () => {
    const owner = await aTenant();
    const ledger = ledgerOf(owner);
    const once = await ask(owner);
    await Promise.all([ledger.reserve(once), ledger.reserve(once), ledger.reserve(once)]);
    expect(await readBalances(owner)).toMatchObject({ held: 10 });
    await Promise.all([
      ledger.resolve(once.id, { kind: "charge", videoMs: 8_000, orphans: [] }),
      ledger.resolve(once.id, { kind: "release", orphans: [] }),
    ]);
    await ledger.resolve(once.id, { kind: "charge", videoMs: 8_000, orphans: [] });
    expect(await readBalances(owner)).toMatchObject({ held: 0, spent: 10 });
    expect((await readBooks(owner)).account.live).toBe(0);
  });
});

describe("a key", () => {
  it("that was revoked spends nothing more, at once, though KV still knows it as good", async () => {
    const owner = await aTenant();
    const hash = await hashApiKey(parseApiKey(owner.key) as ApiKey);
    expect((await create(owner.key, { model: "veo3", prompt: "a lake" })).status).toBe(200);
    const stale = await env.TENANTS.get(`k:${hash}`);
    await booksOf(owner).endKey(owner.keyId, { revokedAt: Date.now() });
    expect(await env.TENANTS.get(`k:${hash}`, "json")).toMatchObject({ status: "revoked" });
    await env.TENANTS.put(`k:${hash}`, stale as string);
    const refused = await create(owner.key, { model: "veo3", prompt: "a lake" });
    expect([refused.status, await refused.json()]).toMatchObject([401, { error: { code: "api_key_revoked" } }]);
  });

  it("of a suspended tenant is refused by the ledger at once, and by KV's copy soon after", async () => {
    const owner = await aTenant();
    await booksOf(owner).configure({ status: "suspended" });
    expect(await ledgerOf(owner).reserve(await ask(owner))).toMatchObject({ ok: false, error: { kind: "account_suspended" } });
    const hash = await hashApiKey(parseApiKey(owner.key) as ApiKey);
    expect(await env.TENANTS.get(`k:${hash}`, "json")).toMatchObject({ status: "suspended" });
    await booksOf(owner).configure({ status: "active" });
    expect((await ledgerOf(owner).reserve(await ask(owner))).ok).toBe(true);
  });

  it("of a tenant that was never opened opens nothing", async () => {
    const owner = { ...(await aTenant()), tenant: "nobody00" };
    expect(await ledgerOf(owner).reserve(await ask(owner))).toMatchObject({ ok: false, error: { kind: "invalid_api_key" } });
    const tables = await runInDurableObject(ledgerStub(owner), (_object, { storage }) => [...storage.kv.list()].length);
    expect(tables).toBe(0);
  });
});

describe("KV's copies", () => {
  it("are all written again from the ledger within a day of being lost", async () => {
    const owner = await aTenant();
    const hash = await hashApiKey(parseApiKey(owner.key) as ApiKey);
    const names = [`k:${hash}`, `t:${owner.tenant}:test`];
    const before = await Promise.all(names.map(async (name) => env.TENANTS.get(name)));
    await Promise.all(names.map(async (name) => env.TENANTS.delete(name)));
    await ledgerOf(owner).tend();
    expect(await env.TENANTS.get(names[0] as string)).toBeNull();
    vi.setSystemTime(Date.now() + DAY_MS);
    await ledgerOf(owner).tend();
    expect(await env.TENANTS.get(names[0] as string)).toBe(before[0]);
    expect(await env.TENANTS.get(names[1] as string, "json")).toMatchObject({ status: "active", limits: WIDE });
  });

  it("are renewed at once when they would admit what the ledger has just refused", async () => {
    const owner = await aTenant({ limits: { creditsPerPeriod: 20 } });
    const published = async (): Promise<number | undefined> =>
      (await env.TENANTS.get<{ available: number }>(`t:${owner.tenant}:test`, "json"))?.available;
    await ledgerOf(owner).reserve(await ask(owner));
    await ledgerOf(owner).reserve(await ask(owner));
    expect(await published()).toBe(20);
    vi.setSystemTime(Date.now() + 1_000);
    expect((await ledgerOf(owner).reserve(await ask(owner))).ok).toBe(false);
    await vi.waitFor(async () => expect(await published()).toBe(0), { timeout: 20_000 });
  });
});

describe("the watchdog", () => {
  it("gives back a hold whose task never started, and sees to it that it never will", async () => {
    const owner = await aTenant();
    const lost = await ask(owner);
    await ledgerOf(owner).reserve(lost);
    vi.setSystemTime(lost.deadlineAt + 2 * MINUTE_MS);
    expect(await runDurableObjectAlarm(ledgerStub(owner))).toBe(true);
    expect(await readBalances(owner)).toMatchObject({ held: 0, available: WIDE.creditsPerPeriod });
    expect(await wire(env).taskOf(owner.tenant, lost.id).tombstone()).toBe(true);
    expect(await ledgerOf(owner).reserve(lost)).toMatchObject({ ok: false, error: { kind: "not_started" } });
  });

  it("pokes a task that lost its alarm, which then ends by itself", async () => {
    const owner = await aTenant();
    const { id } = await (await create(owner.key, { model: "veo3", prompt: "a lake [[stuck]]" })).json<{ id: string }>();
    const stub = env.VIDEO_TASK.getByName(`${owner.tenant}/${id}`);
    await runDurableObjectAlarm(stub);
    await runInDurableObject(stub, async (_object, { storage }) => storage.deleteAlarm());
    vi.setSystemTime(Date.now() + 32 * MINUTE_MS);
    await runDurableObjectAlarm(ledgerStub(owner));
    for (let wakes = 0; wakes < 3; wakes++) await runDurableObjectAlarm(stub);
    expect(await readTask(owner, id)).toMatchObject({ status: "failed", reason: "timeout" });
    expect(await readBalances(owner)).toMatchObject({ held: 0 });
  });

  it("works through many overdue holds in batches, oldest first, and then rests", async () => {
    const owner = await aTenant({ limits: { liveTasks: 1_000 } });
    for (let count = 0; count < 120; count++) {
      await ledgerOf(owner).reserve(await ask(owner));
      if (count % 40 === 39) vi.setSystemTime(Date.now() + 2_000);
    }
    vi.setSystemTime(Date.now() + 32 * MINUTE_MS);
    const held: number[] = [];
    for (let runs = 0; runs < 4; runs++) {
      await runDurableObjectAlarm(ledgerStub(owner));
      held.push((await readBalances(owner)).held / 10);
    }
    expect(held).toEqual([70, 20, 0, 0]);
    expect(await runInDurableObject(ledgerStub(owner), async (_object, { storage }) => storage.getAlarm())).toBeNull();
  });

  it("sees a hold whose id was made a little before the last look, by a slower clock", async () => {
    const owner = await aTenant();
    const first = await ask(owner);
    await ledgerOf(owner).reserve(first);
    await runDurableObjectAlarm(ledgerStub(owner));
    const late = { ...(await ask(owner)), id: first.id.replace(/:\d+/, `:${Math.floor(Date.now() / 1000) - 5}`) };
    await ledgerOf(owner).reserve(late);
    vi.setSystemTime(late.deadlineAt + 2 * MINUTE_MS);
    await runDurableObjectAlarm(ledgerStub(owner));
    expect(await readBalances(owner)).toMatchObject({ held: 0 });
  });

  it("goes past a task that cannot be reached, and comes back to it", async () => {
    const owner = await aTenant();
    const [one, other] = [await ask(owner), await ask(owner)];
    for (const each of [one, other]) await ledgerOf(owner).reserve(each);
    vi.setSystemTime(one.deadlineAt + 2 * MINUTE_MS);
    vi.spyOn(VideoTask.prototype, "poke").mockRejectedValueOnce(new Error("out of reach"));
    await runDurableObjectAlarm(ledgerStub(owner));
    expect(await readBalances(owner)).toMatchObject({ held: 10 });
    vi.setSystemTime(Date.now() + 2 * MINUTE_MS);
    await runDurableObjectAlarm(ledgerStub(owner));
    expect(await readBalances(owner)).toMatchObject({ held: 0 });
  });

  it("is armed again by the cron's visit when its alarm was lost", async () => {
    const owner = await aTenant();
    await ledgerOf(owner).reserve(await ask(owner));
    await runInDurableObject(ledgerStub(owner), async (_object, { storage }) => storage.deleteAlarm());
    await ledgerOf(owner).tend();
    expect(await runDurableObjectAlarm(ledgerStub(owner))).toBe(true);
  });
});

describe("the books", () => {
  it("refuse to be written when they do not add up, and stay as they were", async () => {
    const owner = await aTenant();
    const good = await readBooks(owner);
    await runInDurableObject(ledgerStub(owner), (_object, { storage }) => storage.kv.put("account", { ...good.account, spent: 1 }));
    const alert = vi.spyOn(console, "error").mockReturnValue();
    expect((await ledgerOf(owner).reserve(await ask(owner))).ok).toBe(false);
    expect(alert).toHaveBeenCalledWith(expect.stringContaining("invariant_broken"));
    const after = await readBooks(owner);
    expect(after.journal).toEqual(good.journal);
    expect(after.rows).toEqual({});
  });

  it.each(["this release", "release 0.1.0, which knew no cost"])(
    "note what an orphan cost, in a ledger opened by %s",
    async (release) => {
      const owner = await aTenant();
      if (release !== "this release") {
        await runInDurableObject(ledgerStub(owner), (_object, { storage }) => {
          storage.sql.exec("ALTER TABLE orphans DROP COLUMN cost_cents");
          storage.sql.exec("INSERT INTO orphans (at, task, provider, model, reason) VALUES (1, 'veo3:1', 'up', 'veo3', 'timeout')");
        });
        expect(await booksOf(owner).orphans(null, 10)).toMatchObject([{ task: "veo3:1", costCents: null }]);
      }
      const [first, second] = [await ask(owner), await ask(owner)];
      for (const { id } of [first, second]) {
        await ledgerOf(owner).reserve(id === first.id ? first : second);
        const orphan = { attempt: anAttempt({ costCents: id === first.id ? 12.5 : null }), reason: "timeout" } as const;
        await ledgerOf(owner).resolve(id, { kind: "release", orphans: [orphan] });
      }
      const noted = [
        { task: second.id, costCents: null },
        { task: first.id, costCents: 12.5 },
      ];
      const listed = await booksOf(owner).orphans(null, 10);
      expect(listed.slice(0, 2)).toMatchObject(noted);
      expect(listed.slice(2)).toMatchObject(release === "this release" ? [] : [{ task: "veo3:1", costCents: null }]);
      expect(await booksOf(owner).writeOff(listed[1]!.seq, "lost")).toMatchObject({ ...noted[1], writtenOff: { reason: "lost" } });
    },
  );

  it("open a new month with a new grant, and let the old one's rest expire", async () => {
    const owner = await aTenant({ limits: { creditsPerPeriod: 100 } });
    await booksOf(owner).grant(50, "bought");
    vi.setSystemTime(Date.now() + 32 * DAY_MS);
    const later = await ask(owner, { credits: 120 });
    expect((await ledgerOf(owner).reserve(later)).ok).toBe(true);
    expect(await readBalances(owner)).toMatchObject({ granted: 250, expired: 100, held: 120, available: 30 });
  });
});
