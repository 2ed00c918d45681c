import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { base64url } from "../../src/core/encoding.ts";
import { hmac, verifyHmac } from "../../src/core/hmac.ts";
import { signLink, verifyLink, type LinkKeys, type SignedLink } from "../../src/core/signing.ts";
import { SECOND, T0, TASK_ID } from "../support/builders.ts";

const FIRST = { kid: "k1", secret: "first-secret" };
const SECOND_KEY = { kid: "k2", secret: "second-secret" };
const KEYS: LinkKeys = [FIRST];
const EXPIRES = T0 / 1000 + 3_600;
/** Made with Python's hmac. */
const SIGNED: SignedLink = { exp: "1795352400", kid: "k1", sig: "Q-FCQGzAf9JVA6okWubs78VutmN1r-ZPOA52rKrXJwQ" };

const verify = async (link: ConstructorParameters<typeof URLSearchParams>[0] | SignedLink, now = T0, keys = KEYS, id = TASK_ID) =>
  verifyLink(keys, id, new URLSearchParams(link as Record<string, string>), now);
const FORGED = { ok: false, error: { kind: "invalid_signature" } };
const EXPIRED = { ok: false, error: { kind: "url_expired" } };
const GOOD = { ok: true, value: { expiresAtSeconds: EXPIRES, revision: 0 } };

describe("signLink", () => {
  it("signs id, time and key name with HMAC-SHA256 in base64url", async () => {
    expect(await signLink(KEYS, TASK_ID, EXPIRES)).toEqual(SIGNED);
  });

  it("uses the first key", async () => {
    expect((await signLink([SECOND_KEY, FIRST], TASK_ID, EXPIRES)).kid).toBe("k2");
  });

  it("throws without a key rather than hand out a link that nobody can open", async () => {
    await expect(signLink([], TASK_ID, EXPIRES)).rejects.toThrow("no link key is configured");
  });
});

// The numbers are rows of the bad-input catalogue.
describe("verifyLink", () => {
  it("opens what signLink signed, up to its second and not at it (98)", async () => {
    expect(await verify(SIGNED, T0)).toEqual(GOOD);
    expect(await verify(SIGNED, EXPIRES * SECOND - 1)).toEqual(GOOD);
    expect(await verify(SIGNED, EXPIRES * SECOND)).toEqual(EXPIRED);
    expect(await verify(SIGNED, (EXPIRES + 1) * SECOND)).toEqual(EXPIRED);
  });

  it("opens links of any year that has ten digits", async () => {
    for (const expires of [1_000_000_000, 2_000_000_000, 9_999_999_999]) {
      const link = await signLink(KEYS, TASK_ID, expires);
      expect(await verify({ ...link }, 0)).toEqual({ ok: true, value: { expiresAtSeconds: expires, revision: 0 } });
    }
  });

  it("does not care about the order of the parameters (102)", async () => {
    const { exp, kid, sig } = SIGNED;
    expect(await verify(`sig=${sig}&exp=${exp}&kid=${kid}`)).toEqual(GOOD);
  });

  it("opens one file only (99)", async () => {
    expect(await verify(SIGNED, T0, KEYS, TASK_ID.replace("veo3", "veo2"))).toEqual(FORGED);
  });

  it("tells the time only of real links: a forged one is not expired but forged", async () => {
    expect(await verify({ ...SIGNED, exp: "1795352399" }, (EXPIRES + 9) * SECOND)).toEqual(FORGED);
  });

  it("refuses a link with any one character changed in its id or any parameter (96, 97)", async () => {
    const fields = ["id", "exp", "kid", "sig"] as const;
    const printable = fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...fields), fc.nat(), printable, async (field, where, other) => {
        const link = { id: TASK_ID, ...SIGNED };
        const at = where % link[field].length;
        const changed = { ...link, [field]: link[field].slice(0, at) + other + link[field].slice(at + 1) };
        const { id, ...query } = changed;
        // A second key that is known: renaming the key must not be a way round it.
        const judged = await verifyLink([FIRST, { kid: "k3", secret: "third" }], id, new URLSearchParams(query), T0);
        expect(judged).toEqual(changed[field] === link[field] ? GOOD : FORGED);
      }),
      { numRuns: 1_000 },
    );
  });

  it("refuses a link with any one bit of its signature flipped (96)", async () => {
    const signature = await hmac(FIRST.secret, `v1\n${TASK_ID}\n${EXPIRES}\nk1`);
    expect(base64url(signature)).toBe(SIGNED.sig);
    for (let bit = 0; bit < 256; bit++) {
      const flipped = signature.map((byte, index) => (index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
      expect(await verify({ ...SIGNED, sig: base64url(flipped) })).toEqual(FORGED);
    }
  });

  it.each([
    ["padded", `${SIGNED.sig}=`],
    ["in standard base64", SIGNED.sig.replaceAll("-", "+").replaceAll("_", "/")],
    ["in upper case", SIGNED.sig.toUpperCase()],
    ["in lower case", SIGNED.sig.toLowerCase()],
    ["with a twin's last bits", `${SIGNED.sig.slice(0, -1)}R`],
    ["with a space after", `${SIGNED.sig} `],
    ["cut short", SIGNED.sig.slice(0, -4)],
    ["too long", `${SIGNED.sig}AAAA`],
    ["empty", ""],
  ])("refuses a signature that is %s (100)", async (_, sig) => {
    expect(sig).not.toBe(SIGNED.sig);
    expect(await verify({ ...SIGNED, sig })).toEqual(FORGED);
  });

  it.each([
    "",
    "0",
    "1e10",
    "-1795352400",
    "+1795352400",
    " 1795352400",
    "01795352400",
    "1795352400.0",
    "0x6B0301D0",
    "17953524000",
    "NaN",
  ])("refuses %j as a time, even when it is signed (97)", async (exp) => {
    const sig = base64url(await hmac(FIRST.secret, `v1\n${TASK_ID}\n${exp}\nk1`));
    expect(await verify(new URLSearchParams({ exp, kid: "k1", sig }))).toEqual(FORGED);
  });

  it.each(["exp", "kid", "sig"] as const)("refuses a link without, or with two of, %s (97, 102)", async (name) => {
    const without = new URLSearchParams({ ...SIGNED });
    without.delete(name);
    expect(await verify(without)).toEqual(FORGED);
    const twice = new URLSearchParams({ ...SIGNED });
    twice.append(name, SIGNED[name]);
    expect(await verify(twice)).toEqual(FORGED);
  });

  it.each(["download=1", "EXP=1", "exp%2Ckid=1", "=", "a"])("refuses an extra parameter (102): %s", async (extra) => {
    expect(await verify(`${new URLSearchParams({ ...SIGNED })}&${extra}`)).toEqual(FORGED);
  });

  it("refuses parameters that only read like the three together", async () => {
    const { exp, kid, sig } = SIGNED;
    expect(await verify(new URLSearchParams({ "exp,kid": exp, sig }))).toEqual(FORGED);
    expect(await verify(new URLSearchParams({ exp, "kid,sig": kid }))).toEqual(FORGED);
  });

  it("opens links of both keys while they are rotated, and refuses the retired one after (101)", async () => {
    const fresh = await signLink([SECOND_KEY, FIRST], TASK_ID, EXPIRES);
    for (const link of [SIGNED, fresh]) expect(await verify(link, T0, [SECOND_KEY, FIRST])).toEqual(GOOD);
    expect(await verify(SIGNED, T0, [SECOND_KEY])).toEqual(FORGED);
    expect(await verify(fresh, T0, [SECOND_KEY])).toEqual(GOOD);
    expect(await verify(fresh, T0, [])).toEqual(FORGED);
  });

  it("judges a link by the key it names, not by any that fits", async () => {
    expect(await verify({ ...SIGNED, kid: "k2" }, T0, [SECOND_KEY, FIRST])).toEqual(FORGED);
    expect(await verify(SIGNED, T0, [{ ...FIRST, secret: "another" }])).toEqual(FORGED);
  });
});

describe("verifyHmac", () => {
  it("is true for the same key and message only", async () => {
    const code = Uint8Array.from(await hmac("key", "message"));
    expect(await verifyHmac("key", "message", code)).toBe(true);
    expect(await verifyHmac("key", "massage", code)).toBe(false);
    expect(await verifyHmac("kay", "message", code)).toBe(false);
    expect(await verifyHmac("key", "message", code.slice(0, 31))).toBe(false);
  });
});
