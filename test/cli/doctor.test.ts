import { describe, expect, it } from "vitest";
import { clock, encryption } from "../../src/cli/commands/doctor.ts";

const SERVER = "Sun, 22 Nov 2026 12:00:00 GMT";
const AT = Date.parse(SERVER);

describe("the clock check", () => {
  it.each([
    ["the same time", AT, AT + 100],
    ["29 s behind", AT - 29_000, AT - 29_000],
    ["30 s ahead, of which one is the header's", AT + 30_900, AT + 30_900],
    ["a minute for the call, and the header from within it", AT - 50_000, AT + 10_000],
  ])("is content with %s", (_case, before, after) => {
    expect(clock(SERVER, before, after).ok).toBe(true);
  });

  it.each([
    ["behind", AT - 75_000, "75", "1 min 15 s behind"],
    ["ahead", AT + 3_600_999, "3600", "1 h ahead"],
  ])("says that this machine is %s", (_case, now, _seconds, detail) => {
    const check = clock(SERVER, now, now);
    expect(check).toMatchObject({ ok: false, detail: `this machine is ${detail}` });
    expect(check.mend).toContain("clock");
  });

  it.each([null, "soon"])("has nothing against a gateway whose Date is %s", (date) => {
    expect(clock(date, AT, AT).ok).toBe(true);
  });
});

describe("the encryption check", () => {
  it.each([
    ["https://video.example.com", true],
    ["http://127.0.0.1:8787", true],
    ["http://localhost:8787", true],
    ["http://video.example.com", false],
    ["http://192.168.0.7:8787", false],
  ])("of %s is %s", (url, ok) => {
    expect(encryption(new URL(url)).ok).toBe(ok);
  });
});
