import { describe, expect, it } from "vitest";
import { isAddressIn, isAddressRange } from "../../src/net/address-ranges.ts";

describe("an allow-list of addresses", () => {
  it.each([
    ["203.0.113.7", "203.0.113.7"],
    ["203.0.113.255", "203.0.113.0/24"],
    ["203.0.113.7", "0.0.0.0/0"],
    ["2001:db8::1", "2001:DB8:0::/32"],
    ["::ffff:203.0.113.7", "203.0.113.0/24"],
    ["203.0.113.7", "::ffff:203.0.113.7"],
  ])("lets %s in by %s", (address, range) => {
    expect(isAddressIn(address, ["198.51.100.1", range])).toBe(true);
  });

  it.each([
    ["203.0.114.0", "203.0.113.0/24"],
    ["203.0.113.8", "203.0.113.7"],
    ["2001:db9::1", "2001:db8::/32"],
    ["203.0.113.7", "::/0"],
    ["2001:db8::1", "0.0.0.0/0"],
    ["local", "0.0.0.0/0"],
    ["", "0.0.0.0/0"],
    ["203.0.113.7, 198.51.100.1", "0.0.0.0/0"],
    ["203.0.113.7", "nonsense"],
  ])("does not let %s in by %s", (address, range) => {
    expect(isAddressIn(address, [range])).toBe(false);
  });

  it("lets nobody in where it is empty", () => {
    expect(isAddressIn("203.0.113.7", [])).toBe(false);
  });
});

describe("a range", () => {
  it.each(["203.0.113.7", "203.0.113.0/24", "0.0.0.0/0", "2001:db8::1", "2001:db8::/32", "::1/128"])("may be %s", (text) => {
    expect(isAddressRange(text)).toBe(true);
  });

  it.each([
    "",
    "1",
    "10.1",
    "10/8",
    "010.0.0.1",
    "0x7f.0.0.1",
    "203.0.113.7/33",
    "203.0.113.7/",
    "203.0.113.7/24/24",
    "203.0.113.256",
    "2001:db8::/129",
    "example.com",
    " 203.0.113.7",
  ])("cannot be %j", (text) => {
    expect(isAddressRange(text)).toBe(false);
  });
});
