import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { refundKey, spendKey, UNUSED, type KeyRules, type KeyUse } from "../../src/core/key-rules.ts";
import { MINUTE, T0 } from "../support/builders.ts";

const MONTH = "2026-11";
const ASK = { model: "veo3", credits: 40 };

/** May create, for ever and without bounds. */
function aKey(given: Partial<KeyRules> = {}): KeyRules {
  return { scopes: ["create", "read"], expiresAt: null, revokedAt: null, budget: null, models: null, ips: null, ...given };
}

function used(credits: number, period = MONTH): KeyUse {
  return { period, used: credits };
}

describe("spendKey", () => {
  it("counts what a key without bounds spends", () => {
    expect(spendKey(aKey(), used(1_000_000), ASK, MONTH, T0)).toEqual({ ok: true, value: used(1_000_040) });
  });

  it("refuses a revoked key, whenever that was", () => {
    for (const revokedAt of [0, T0, T0 + MINUTE]) {
      expect(spendKey(aKey({ revokedAt }), UNUSED, ASK, MONTH, T0)).toEqual({ ok: false, error: { kind: "api_key_revoked" } });
    }
  });

  it("refuses a key from the moment that it expires", () => {
    expect(spendKey(aKey({ expiresAt: T0 + 1 }), UNUSED, ASK, MONTH, T0).ok).toBe(true);
    expect(spendKey(aKey({ expiresAt: T0 }), UNUSED, ASK, MONTH, T0)).toEqual({ ok: false, error: { kind: "api_key_expired" } });
  });

  it("refuses a key that may only look", () => {
    const error = { kind: "insufficient_scope", needed: "create" };
    expect(spendKey(aKey({ scopes: ["read"] }), UNUSED, ASK, MONTH, T0)).toEqual({ ok: false, error });
    expect(spendKey(aKey({ scopes: [] }), UNUSED, ASK, MONTH, T0)).toEqual({ ok: false, error });
    expect(spendKey(aKey({ scopes: ["create"] }), UNUSED, ASK, MONTH, T0).ok).toBe(true);
  });

  it("refuses a model that is not among the key's, and says which are", () => {
    expect(spendKey(aKey({ models: ["veo2", "veo3"] }), UNUSED, ASK, MONTH, T0).ok).toBe(true);
    const error = { kind: "model_not_allowed", model: "veo3", allowed: ["veo2"] };
    expect(spendKey(aKey({ models: ["veo2"] }), UNUSED, ASK, MONTH, T0)).toEqual({ ok: false, error });
    expect(spendKey(aKey({ models: [] }), UNUSED, ASK, MONTH, T0)).toMatchObject({ error: { allowed: [] } });
  });

  it("leaves addresses to the edge, which knows them", () => {
    expect(spendKey(aKey({ ips: [] }), UNUSED, ASK, MONTH, T0).ok).toBe(true);
  });

  it("names what is worst first, one thing at a time", () => {
    const wrongs: [string, Partial<KeyRules>][] = [
      ["api_key_revoked", { revokedAt: T0 }],
      ["api_key_expired", { expiresAt: T0 }],
      ["insufficient_scope", { scopes: ["read"] }],
      ["model_not_allowed", { models: ["veo2"] }],
      ["key_budget_exceeded", { budget: 39 }],
    ];
    const told = wrongs.map((_, index) => {
      const rules = Object.assign({}, ...wrongs.slice(index).map(([, wrong]) => wrong)) as Partial<KeyRules>;
      const asked = spendKey(aKey(rules), UNUSED, ASK, MONTH, T0);
      return asked.ok ? null : asked.error.kind;
    });
    expect(told).toEqual(wrongs.map(([kind]) => kind));
  });
});

describe("a key's budget", () => {
  it("may be spent to its last credit and not one more", () => {
    expect(spendKey(aKey({ budget: 100 }), used(60), ASK, MONTH, T0)).toEqual({ ok: true, value: used(100) });
    expect(spendKey(aKey({ budget: 100 }), used(61), ASK, MONTH, T0)).toEqual({
      ok: false,
      error: { kind: "key_budget_exceeded", needed: 40, available: 39 },
    });
  });

  it("of nothing allows what costs nothing", () => {
    expect(spendKey(aKey({ budget: 0 }), UNUSED, { ...ASK, credits: 0 }, MONTH, T0)).toEqual({ ok: true, value: used(0) });
    expect(spendKey(aKey({ budget: 0 }), UNUSED, { ...ASK, credits: 1 }, MONTH, T0).ok).toBe(false);
  });

  it("that was lowered below what is spent has nothing left, not less", () => {
    expect(spendKey(aKey({ budget: 50 }), used(80), ASK, MONTH, T0)).toMatchObject({ error: { available: 0 } });
  });

  it("begins anew with each month", () => {
    expect(spendKey(aKey({ budget: 100 }), used(100, "2026-10"), ASK, MONTH, T0)).toEqual({ ok: true, value: used(40) });
    expect(spendKey(aKey({ budget: 30 }), used(100, "2026-10"), ASK, MONTH, T0)).toMatchObject({ error: { available: 30 } });
  });

  it("is never overspent, whatever is asked, given back and asked again", () => {
    const step = fc.record({ credits: fc.nat(60), isReleased: fc.boolean() });
    fc.assert(
      fc.property(fc.nat(300), fc.array(step, { maxLength: 60 }), (budget, steps) => {
        let use = UNUSED;
        let open = 0;
        for (const { credits, isReleased } of steps) {
          const asked = spendKey(aKey({ budget }), use, { ...ASK, credits }, MONTH, T0);
          expect(asked.ok).toBe(open + credits <= budget);
          if (!asked.ok) continue;
          use = isReleased ? refundKey(asked.value, credits, MONTH) : asked.value;
          open += isReleased ? 0 : credits;
          expect(use).toEqual(used(open));
        }
      }),
    );
  });
});

describe("refundKey", () => {
  it("gives back what a released hold had taken", () => {
    expect(refundKey(used(100), 40, MONTH)).toEqual(used(60));
  });

  it("gives nothing back to a later month's budget, nor to an earlier one's", () => {
    expect(refundKey(used(100), 40, "2026-10")).toEqual(used(100));
    expect(refundKey(used(100), 40, "2026-12")).toEqual(used(100));
  });

  it("never makes a budget larger than it is: a hold may be older than the budget", () => {
    expect(refundKey(used(10), 40, MONTH)).toEqual(used(0));
  });
});
