import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { base32, base62, base62Digits, base64url, fromBase64, fromBase64url, fromHex, hex } from "../../src/core/encoding.ts";

const utf8 = new TextEncoder();
const bytes = fc.uint8Array({ maxLength: 64 });

describe("base32", () => {
  it.each([
    ["", ""],
    ["f", "my"],
    ["fo", "mzxq"],
    ["foo", "mzxw6"],
    ["foob", "mzxw6yq"],
    ["fooba", "mzxw6ytb"],
    ["foobar", "mzxw6ytboi"],
  ])("writes %j as RFC 4648 does, in lower case without padding", (text, written) => {
    expect(base32(utf8.encode(text))).toBe(written);
  });

  it("writes different bytes differently", () => {
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        expect(base32(a) === base32(b)).toBe(hex(a) === hex(b));
      }),
    );
  });
});

describe("base62", () => {
  it.each([
    [0, 1, "0"],
    [9, 1, "9"],
    [10, 1, "A"],
    [35, 1, "Z"],
    [36, 1, "a"],
    [61, 1, "z"],
    [62, 2, "10"],
    [0, 6, "000000"],
    [2 ** 32 - 1, 6, "4gfFC3"],
  ])("writes %i in %i digits", (value, length, written) => {
    expect(base62(value, length)).toBe(written);
  });
});

describe("base62Digits", () => {
  it("takes one digit a byte, and passes over bytes that would favour some digits", () => {
    expect(base62Digits(Uint8Array.of(0, 61, 62, 247, 248, 255, 123))).toBe("0z0zz");
  });

  it("gives every digit the same share of the bytes", () => {
    const digits = base62Digits(Uint8Array.from({ length: 256 }, (_, byte) => byte));
    const shares = Map.groupBy(digits, (digit) => digit);
    expect(shares.size).toBe(62);
    expect(new Set([...shares.values()].map((share) => share.length))).toEqual(new Set([4]));
  });
});

describe("base64url", () => {
  it("reads what it wrote", () => {
    fc.assert(
      fc.property(bytes, (given) => {
        const text = base64url(given);
        expect(text).toMatch(/^[A-Za-z0-9_-]*$/);
        expect(fromBase64url(text)).toEqual(Uint8Array.from(given));
      }),
    );
  });

  it("writes the two characters that a URL has no escape for", () => {
    expect(base64url(Uint8Array.of(0xfb, 0xff, 0xbf))).toBe("-_-_");
  });

  it.each([
    ["padded", "Zg=="],
    ["in the standard alphabet", "+/+/"],
    ["with a space", "Zm 9"],
    ["with a newline at its end", "Zm9v\n"],
    ["of an impossible length", "A"],
    ["a twin: its last bits are no part of any byte", "Zh"],
    ["a longer twin", "Zm9"],
  ])("refuses a text that is %s", (_, text) => {
    expect(fromBase64url(text)).toBeNull();
  });

  it("has one text a value, so that no signature has a twin", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9_-]{0,12}$/), (text) => {
        const read = fromBase64url(text);
        expect(read === null || base64url(read) === text).toBe(true);
      }),
    );
  });
});

describe("fromBase64", () => {
  it("reads what btoa has written", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), (given) => {
        expect(fromBase64(btoa(String.fromCharCode(...given)))).toEqual(given);
      }),
    );
  });

  it.each(["", "Zg", "Zg=", "Zg===", "-_-_", "Zm 9", "Zh==", "Zm9v\n"])("refuses %j", (text) => {
    expect(fromBase64(text)).toBeNull();
  });
});

describe("hex", () => {
  it("writes two digits a byte", () => {
    expect(hex(Uint8Array.of(0, 1, 15, 16, 255))).toBe("00010f10ff");
  });

  it("is read back, in either case", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), (given) => {
        expect(fromHex(hex(given))).toEqual(given);
        expect(fromHex(hex(given).toUpperCase())).toEqual(given);
      }),
    );
  });

  it.each(["", "0", "abc", "0g", "ab ", "ab\n"])("refuses to read %j", (text) => {
    expect(fromHex(text)).toBeNull();
  });
});
