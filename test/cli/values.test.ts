import { InvalidArgumentError } from "commander";
import { describe, expect, it } from "vitest";
import { isLoopback } from "../../src/cli/loopback.ts";
import * as values from "../../src/cli/values.ts";

const NOW = Date.parse("2026-11-22T12:00:00Z");

describe("a duration", () => {
  it.each([
    ["0", 0],
    ["30s", 30],
    ["15m", 900],
    ["24h", 86_400],
    ["7d", 604_800],
  ])("%s is %i seconds", (text, seconds) => {
    expect(values.duration(text)).toBe(seconds);
  });

  it.each(["", "24", "h", "-1h", "1.5h", "1w", "1H", "1 h", "1d12h", "9999999999d"])("%j is none", (text) => {
    expect(() => values.duration(text)).toThrow(InvalidArgumentError);
  });

  it("is 7 days at most for an overlap", () => {
    expect(values.overlap("168h")).toBe(604_800);
    expect(() => values.overlap("8d")).toThrow("7d at most");
  });
});

describe("an expiry", () => {
  it.each([
    ["90d", "2027-02-20T12:00:00Z"],
    ["2027-01-31", "2027-01-31T00:00:00Z"],
    ["2027-01-31T18:30", "2027-01-31T18:30:00Z"],
    ["2027-01-31T18:30:00+02:00", "2027-01-31T16:30:00Z"],
  ])("%s is %s", (text, at) => {
    expect(values.expiry(text, NOW)).toBe(Date.parse(at) / 1000);
  });

  it.each(["tomorrow", "1", "2027-13-01", "31.01.2027", "2026-11-22", "0s"])("%j is none", (text) => {
    expect(() => values.expiry(text, NOW)).toThrow(InvalidArgumentError);
  });
});

describe("an amount", () => {
  it.each([
    ["1000", 1000],
    ["1,000", 1000],
    ["12,345,678", 12_345_678],
    ["-500", -500],
    ["+5", 5],
  ])("%s is %i", (text, amount) => {
    expect(values.wholeNumber(text)).toBe(amount);
  });

  it.each(["", "1.5", "1,5", "1,0000", "1e3", "0x10", "ten", "99999999999999999999", " 5"])("%j is none", (text) => {
    expect(() => values.wholeNumber(text)).toThrow("whole number");
  });

  it("says its range", () => {
    expect(() => values.countFrom(1)("0")).toThrow("1 or more");
    expect(() => values.countFrom(1, 100)("101")).toThrow("1 to 100");
  });
});

describe("an id", () => {
  it("of a tenant has 8 letters and digits", () => {
    expect(values.tenantId("demo0000")).toBe("demo0000");
    for (const wrong of ["acme", "demo00000", "demo-000", "../../..", ""])
      expect(() => values.tenantId(wrong)).toThrow("8 letters and digits");
  });

  const key = { key: "demo0000bCnO", tenant: "demo0000" };
  it.each(["demo0000bCnO", "sk-live-demo0000bCnO", "sk-test-demo0000bCnO…", `sk-test-demo0000bCnO${"x".repeat(38)}`])(
    "of a key is read from %s",
    (text) => {
      expect(values.keyId(text)).toEqual(key);
    },
  );

  it.each(["demo0000", "demo0000bCnO1", "sk-demo0000bCnO", "sk-live-demo0000bCnO1"])("of a key is not %s", (text) => {
    expect(() => values.keyId(text)).toThrow("12 letters and digits");
  });
});

describe("a list", () => {
  it("is separated by commas", () => {
    expect(values.list("veo3, veo2")).toEqual(["veo3", "veo2"]);
    expect(() => values.list("veo3,,veo2")).toThrow("one,two,three");
  });

  it("may be all", () => {
    expect(values.listOrAll("all")).toBe("all");
    expect(values.listOrAll("veo3")).toEqual(["veo3"]);
  });
});

describe("a gateway's URL", () => {
  it.each(["https://video.example.com", "http://127.0.0.1:8787"])("may be %s", (text) => {
    expect(values.gatewayUrl(text).origin).toBe(text);
  });

  it.each(["video.example.com", "ftp://x", "https://", "https://me:secret@video.example.com"])("may not be %s", (text) => {
    expect(() => values.gatewayUrl(text)).toThrow(InvalidArgumentError);
  });
});

describe("loopback", () => {
  it.each(["localhost", "reelay.localhost", "127.0.0.1", "127.1.2.3", "[::1]", "::1"])("is %s", (host) => {
    expect(isLoopback(host)).toBe(true);
  });

  it.each(["0.0.0.0", "::", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", "notlocalhost"])("is not %s", (host) => {
    expect(isLoopback(host)).toBe(false);
  });
});

describe("who acts", () => {
  it("is 1 to 64 characters that a header can carry", () => {
    expect(values.actor(" Ana (ops) ")).toBe("Ana (ops)");
    for (const wrong of ["", "  ", "Zoë", "a\nb", "x".repeat(65)]) expect(() => values.actor(wrong)).toThrow("1 to 64");
  });

  it.each([
    ["ana", "ana"],
    ["zoë", "zo"],
    ["湖", "operator"],
    ["x".repeat(80), "x".repeat(64)],
  ])("is made from the system's user %s", (user, name) => {
    expect(values.actorFrom(user)).toBe(name);
  });
});
