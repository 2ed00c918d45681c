import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hashApiKey, makeApiKey, parseApiKey, type ApiKey, type Mode } from "../../src/core/api-key.ts";

const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** Checksum and hash of these were made with Python's zlib and hashlib. */
const LIVE = "sk-live-Tenant01abcd0123456789ABCDEFGHIJKLMNOPQRSTUV1K1BE4";
const TEST = "sk-test-Tenant01abcd0123456789ABCDEFGHIJKLMNOPQRSTUV1Juqan";
const LIVE_SHA256 = "8b47819ff9074c4918a66d252613084adf3c17fd5bb406dc309d0af0fa440963";

/** The bytes that the digits of LIVE and TEST come from. */
const RANDOM = Uint8Array.from([36, 37, 38, 39, ...Array.from({ length: 60 }, (_, index) => index)]);

const modes = fc.constantFrom<Mode>("live", "test");
const tenants = fc.stringMatching(/^[0-9A-Za-z]{8}$/);
/** Enough that too few digits are next to impossible. */
const random = fc.uint8Array({ minLength: 64, maxLength: 64, max: 247 });
const keys = fc.tuple(modes, tenants, random).map(([mode, tenant, bytes]) => makeApiKey(mode, tenant, bytes));

describe("parseApiKey", () => {
  it.each<[Mode, string]>([
    ["live", LIVE],
    ["test", TEST],
  ])("reads a %s key", (mode, text) => {
    expect(parseApiKey(text)).toEqual({ text, mode, id: "Tenant01abcd", tenant: "Tenant01" });
  });

  // The numbers are rows of the bad-input catalogue.
  it.each([
    ["nothing", ""],
    ["the public page's placeholder", "sk-your-api-key"],
    ["a space inside (5)", LIVE.replace("abcd", "ab d")],
    ["a tab inside (5)", LIVE.replace("abcd", "ab\td")],
    ["UTF-8 (5)", LIVE.replace("abcd", "abçd")],
    ["a letter that only looks right (5)", LIVE.replace("a", "а")],
    ["10 kB (5)", `sk-live-${"A".repeat(10_000)}`],
    ["10 kB behind a good key (5)", LIVE + "A".repeat(10_000)],
    ["a space before", ` ${LIVE}`],
    ["a space after", `${LIVE} `],
    ["a newline after", `${LIVE}\n`],
    ["two keys, as two headers join", `${LIVE}, ${LIVE}`],
    ["another mode", LIVE.replace("live", "prod")],
    ["an upper-case prefix", LIVE.replace("sk-live", "SK-LIVE")],
    ["a character too few", LIVE.slice(0, -1)],
    ["a character too many", `${LIVE}0`],
    ["a wrong checksum (6)", `${LIVE.slice(0, -6)}1K1BE5`],
    ["another key's checksum (6)", LIVE.slice(0, -6) + TEST.slice(-6)],
    ["the other mode with the same checksum", LIVE.replace("live", "test")],
  ])("refuses %s", (_, text) => {
    expect(parseApiKey(text)).toBeNull();
  });

  it("refuses any key with one character changed: a typing error never costs a look-up", () => {
    fc.assert(
      fc.property(keys, fc.nat(), fc.constantFrom(...BASE62), ({ text }, where, digit) => {
        const at = where % text.length;
        const changed = text.slice(0, at) + digit + text.slice(at + 1);
        expect(parseApiKey(changed) === null).toBe(changed !== text);
      }),
      { numRuns: 1_000 },
    );
  });

  it("refuses any key with two neighbours swapped", () => {
    fc.assert(
      fc.property(keys, fc.nat(), ({ text }, where) => {
        const at = where % (text.length - 1);
        const swapped = text.slice(0, at) + text.charAt(at + 1) + text.charAt(at) + text.slice(at + 2);
        expect(parseApiKey(swapped) === null).toBe(swapped !== text);
      }),
    );
  });
});

describe("makeApiKey", () => {
  it("writes the shape that is published, and a checksum as others compute it", () => {
    expect(makeApiKey("live", "Tenant01", RANDOM).text).toBe(LIVE);
    expect(makeApiKey("test", "Tenant01", RANDOM).text).toBe(TEST);
  });

  it("takes 36 digits' worth of the bytes, however many there are", () => {
    expect(makeApiKey("live", "Tenant01", RANDOM.subarray(0, 36)).text).toBe(LIVE);
    expect(makeApiKey("live", "Tenant01", Uint8Array.of(...RANDOM, ...RANDOM)).text).toBe(LIVE);
    expect(makeApiKey("live", "Tenant01", Uint8Array.of(255, ...RANDOM)).text).toBe(LIVE);
  });

  it("makes what parseApiKey reads, naming its tenant and mode", () => {
    fc.assert(
      fc.property(modes, tenants, random, (mode, tenant, bytes) => {
        const key = makeApiKey(mode, tenant, bytes);
        expect(key.text).toMatch(/^sk-(live|test)-[A-Za-z0-9]{50}$/);
        expect(key).toMatchObject({ mode, tenant } satisfies Partial<ApiKey>);
        expect(key.id.startsWith(tenant)).toBe(true);
        expect(parseApiKey(key.text)).toEqual(key);
      }),
    );
  });

  it("makes two keys of the same bytes in two modes, neither of which is the other", () => {
    fc.assert(
      fc.property(tenants, random, (tenant, bytes) => {
        const live = makeApiKey("live", tenant, bytes);
        const test = makeApiKey("test", tenant, bytes);
        expect(parseApiKey(live.text)?.mode).toBe("live");
        expect(parseApiKey(test.text)?.mode).toBe("test");
        expect(parseApiKey(live.text.replace("sk-live", "sk-test"))).toBeNull();
      }),
    );
  });

  it.each([
    ["too short a tenant id", "Tenant1", RANDOM, "a tenant id has 8 characters"],
    ["too long a tenant id", "Tenant012", RANDOM, "a tenant id has 8 characters"],
    ["a tenant id that is not base62", "Tenant-1", RANDOM, "a tenant id is base62"],
    ["too few bytes", "Tenant01", new Uint8Array(35), "not enough random bytes"],
    ["an unlucky draw", "Tenant01", new Uint8Array(64).fill(255), "not enough random bytes"],
  ])("throws on %s", (_, tenant, bytes, message) => {
    expect(() => makeApiKey("live", tenant, bytes)).toThrow(new RangeError(message));
  });
});

describe("hashApiKey", () => {
  it("is the SHA-256 of the whole key, in hex", async () => {
    expect(await hashApiKey(makeApiKey("live", "Tenant01", RANDOM))).toBe(LIVE_SHA256);
  });

  it("differs between modes", async () => {
    expect(await hashApiKey(makeApiKey("test", "Tenant01", RANDOM))).not.toBe(LIVE_SHA256);
  });
});
