import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isTaskToken, makeTaskToken, readTaskToken } from "../../src/core/task-token.ts";
import { SECOND, T0, TASK_ID } from "../support/builders.ts";

const HOLDER = { mode: "test", keyId: "Tenant01Key1" } as const;
const SECRETS = ["id-secret"];
const EXPIRES = T0 / 1000 + 900;
const INVALID = { ok: false, error: { kind: "invalid_task_token" } };

const token = await makeTaskToken("id-secret", HOLDER, TASK_ID, EXPIRES);

describe("makeTaskToken", () => {
  it("says whose it is and until when, and nothing of the task", () => {
    expect(token).toMatch(/^vt_test_Tenant01Key1_1795349700_[A-Za-z0-9_-]{43}$/);
    expect(isTaskToken(token)).toBe(true);
    expect(token).not.toContain(TASK_ID.slice(-26));
  });

  it("needs no escape in a URL", () => {
    expect(new URLSearchParams({ token }).toString()).toBe(`token=${token}`);
  });

  it("signs with a word of its own before everything else", async () => {
    // Made with Python's hmac over "task-token/v1\ntest\nTenant01Key1\n1795349700\n" + the id.
    expect(token.slice(-43)).toBe("pS-VXQXPO8T92Dz0XJMIC_CTdA2v-d618S5xZwnO2o0");
  });
});

describe("readTaskToken", () => {
  it("gives the tenant, the mode and the key that it was asked for with", async () => {
    const read = await readTaskToken(SECRETS, token, TASK_ID, T0);
    expect(read).toEqual({ ok: true, value: { tenant: "Tenant01", mode: "test", keyId: "Tenant01Key1" } });
  });

  it.each([
    [EXPIRES * 1000 - 1, { ok: true }],
    [EXPIRES * 1000, { ok: false, error: { kind: "task_token_expired" } }],
    [EXPIRES * 1000 + SECOND, { ok: false, error: { kind: "task_token_expired" } }],
  ])("at %i", async (now, expected) => {
    expect(await readTaskToken(SECRETS, token, TASK_ID, now)).toMatchObject(expected);
  });

  it.each(["", "veo3:1795348800-bbbbbbbbbbbbbbbbbbbbbbbbbb", `${TASK_ID} `, TASK_ID.toUpperCase()])(
    "is good for its own task, not for %j",
    async (id) => {
      expect(await readTaskToken(SECRETS, token, id, T0)).toEqual(INVALID);
    },
  );

  it("accepts the secret before the one in use, and none older", async () => {
    expect(await readTaskToken(["new-secret", "id-secret"], token, TASK_ID, T0)).toMatchObject({ ok: true });
    expect(await readTaskToken(["newer-secret", "new-secret"], token, TASK_ID, T0)).toEqual(INVALID);
  });

  it("does not tell of a forged one whether it would have expired", async () => {
    const forged = await makeTaskToken("no-secret", HOLDER, TASK_ID, 1_000_000_000);
    expect(await readTaskToken(SECRETS, forged, TASK_ID, T0)).toEqual(INVALID);
  });

  it.each([
    ["another tenant's key", token.replace("Tenant01", "Tenant02")],
    ["another key", token.replace("Key1", "Key2")],
    ["the other mode", token.replace("_test_", "_live_")],
    ["a later end", token.replace(String(EXPIRES), String(EXPIRES + 1))],
  ])("refuses one that was changed to %s", async (_, changed) => {
    expect(changed).not.toBe(token);
    expect(await readTaskToken(SECRETS, changed, TASK_ID, T0)).toEqual(INVALID);
  });

  it("refuses one that differs in a single character, whichever it is", async () => {
    const place = fc.integer({ min: 0, max: token.length - 1 });
    await fc.assert(
      fc.asyncProperty(place, fc.stringMatching(/^[A-Za-z0-9_.=%-]$/), async (index, character) => {
        fc.pre(token[index] !== character);
        const changed = token.slice(0, index) + character + token.slice(index + 1);
        expect(await readTaskToken(SECRETS, changed, TASK_ID, T0)).toEqual(INVALID);
      }),
    );
  });

  it.each([
    "",
    "vt_",
    "sk-test-abc",
    `${token}=`,
    `${token} `,
    ` ${token}`,
    `${token}A`,
    token.toUpperCase(),
    "vt_test_Tenant01Key1_1795349700_",
  ])("refuses %j", async (text) => {
    expect(await readTaskToken(SECRETS, text, TASK_ID, T0)).toEqual(INVALID);
  });
});
