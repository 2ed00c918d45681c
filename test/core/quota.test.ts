import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { admit, admitByCopy, isPublishDue, type Ask, type Usage } from "../../src/core/quota.ts";
import { aUsage, DAY, HOUR, MINUTE, SECOND, someLimits, T0 } from "../support/builders.ts";

const ASK: Ask = { model: "veo3", credits: 40, retentionDays: null };
const FULL_WINDOW = { startedAt: T0, count: 10 };

const SUSPENDED = aUsage({ status: "suspended" });
const OTHER_MODEL = aUsage({ limits: someLimits({ models: ["veo2"] }) });
const POOR = aUsage({ available: 39 });
const HASTY = aUsage({ window: FULL_WINDOW });
const BUSY = aUsage({ live: 5 });

describe("admit", () => {
  it("admits an ask that every limit has room for", () => {
    expect(admit(aUsage(), ASK, T0)).toEqual({ ok: true, value: null });
  });

  it("admits up to the limit and not beyond", () => {
    expect(admit(aUsage({ available: 40 }), ASK, T0).ok).toBe(true);
    expect(admit(aUsage({ live: 4 }), ASK, T0).ok).toBe(true);
    expect(admit(aUsage({ window: { startedAt: T0, count: 9 } }), ASK, T0).ok).toBe(true);
    expect(admit(aUsage({ limits: someLimits({ models: ["veo2", "veo3"] }) }), ASK, T0).ok).toBe(true);
  });

  it.each([
    ["a suspended tenant", SUSPENDED, { kind: "account_suspended" }],
    ["a tenant that may only read", aUsage({ status: "read_only" }), { kind: "account_read_only" }],
    ["a model outside the plan", OTHER_MODEL, { kind: "model_not_allowed", model: "veo3", allowed: ["veo2"] }],
    ["too few credits", POOR, { kind: "insufficient_quota", needed: 40, available: 39 }],
    [
      "too many creates in this minute",
      HASTY,
      { kind: "rate_limit_exceeded", policy: "create", limit: 10, windowSeconds: 60, resetSeconds: 60 },
    ],
    ["too many tasks at once", BUSY, { kind: "concurrency_limit_exceeded", limit: 5, live: 5 }],
  ])("refuses %s", (_, usage, error) => {
    expect(admit(usage, ASK, T0)).toEqual({ ok: false, error });
  });

  it("tells what matters most first: may you, may you have this, can you pay, is it your turn", () => {
    const wrongs: Partial<Usage>[] = [
      { status: "suspended" },
      { limits: someLimits({ models: [] }) },
      { available: 0 },
      { window: FULL_WINDOW },
      { live: 5 },
    ];
    const heard = wrongs.map((_, first) => {
      const judged = admit(aUsage(Object.assign({}, ...wrongs.slice(first))), ASK, T0);
      return judged.ok ? "admitted" : judged.error.kind;
    });
    expect(heard).toEqual([
      "account_suspended",
      "model_not_allowed",
      "insufficient_quota",
      "rate_limit_exceeded",
      "concurrency_limit_exceeded",
    ]);
  });

  it.each([
    [0, 60],
    [1, 60],
    [1_000, 59],
    [59_000, 1],
    [59_999, 1],
  ])("says after %i ms that the minute ends in %i s", (later, resetSeconds) => {
    expect(admit(HASTY, ASK, T0 + later)).toMatchObject({ error: { resetSeconds } });
  });

  it("forgets the minute when it is over", () => {
    expect(admit(HASTY, ASK, T0 + MINUTE).ok).toBe(true);
  });
});

describe("admitByCopy", () => {
  const judge = (copy: Usage, ageMs: number, now = T0) => admitByCopy(copy, now - ageMs, ASK, now);

  it("admits what the copy has room for, however old it is", () => {
    expect(judge(aUsage(), 30 * DAY)).toEqual({ ok: true, value: null });
  });

  it.each([
    ["too few credits", POOR, MINUTE],
    ["too many tasks at once", BUSY, 5 * SECOND],
  ])("believes a copy that says %s for a while only, so that a lost update heals", (_, copy, believed) => {
    expect(judge(copy, 0)).toEqual(admit(copy, ASK, T0));
    expect(judge(copy, believed - 1).ok).toBe(false);
    expect(judge(copy, believed).ok).toBe(true);
  });

  it.each([
    ["suspended", SUSPENDED],
    ["limited to other models", OTHER_MODEL],
  ])("asks the ledger again of a copy that says %s, once it is a minute old", (_, copy) => {
    expect(judge(copy, MINUTE - 1)).toEqual(admit(copy, ASK, T0));
    expect(judge(copy, MINUTE).ok).toBe(true);
  });

  it("believes a full minute until it is over", () => {
    const judgeAt = (now: number) => admitByCopy(HASTY, T0, ASK, now).ok;
    expect(judgeAt(T0 + MINUTE - 1)).toBe(false);
    expect(judgeAt(T0 + MINUTE)).toBe(true);
  });

  it("never admits what the ledger would refuse for what the copy itself says", () => {
    const usage: fc.Arbitrary<Usage> = fc.record({
      status: fc.constantFrom("active", "suspended", "read_only"),
      limits: fc.record({ models: fc.constantFrom(null, ["veo2"]) }).map(someLimits),
      available: fc.nat(80),
      live: fc.nat(6),
      window: fc.record({ startedAt: fc.integer({ min: T0 - 2 * MINUTE, max: T0 }), count: fc.nat(11) }),
    });
    fc.assert(
      fc.property(usage, (copy) => {
        expect(admitByCopy(copy, T0, ASK, T0)).toEqual(admit(copy, ASK, T0));
      }),
    );
  });
});

describe("isPublishDue", () => {
  it("renews a copy every ten seconds", () => {
    expect(isPublishDue(T0, false, T0 + 10 * SECOND - 1)).toBe(false);
    expect(isPublishDue(T0, false, T0 + 10 * SECOND)).toBe(true);
  });

  it("renews a copy that misled as soon as KV takes another write", () => {
    expect(isPublishDue(T0, true, T0 + SECOND - 1)).toBe(false);
    expect(isPublishDue(T0, true, T0 + SECOND)).toBe(true);
  });

  it("writes nothing while a clock is behind", () => {
    expect(isPublishDue(T0, true, T0 - HOUR)).toBe(false);
  });
});
