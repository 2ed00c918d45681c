import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openAttempt, sealAttempt, type AttemptRef } from "../../src/core/callback-token.ts";
import { base64url, fromBase64url } from "../../src/core/encoding.ts";
import { sha256 } from "../../src/core/hmac.ts";
import { TASK_ID } from "../support/builders.ts";

const REF: AttemptRef = { tenant: "Tenant01", mode: "live", task: TASK_ID, attempt: 2 };
const SECRETS = ["id-secret"];
const NONCE_BYTES = 12;

const token = await sealAttempt("id-secret", REF);
const sealed = fromBase64url(token) as Uint8Array<ArrayBuffer>;

const word = fc.stringMatching(/^[A-Za-z0-9:.-]{1,40}$/);
const anyRef: fc.Arbitrary<AttemptRef> = fc.record({
  tenant: word,
  mode: fc.constantFrom("live", "test"),
  task: word,
  attempt: fc.integer({ min: 1, max: 9_999 }),
});

/** As sealAttempt would, but for the label and the text. */
async function sealedAs(label: string, text: string): Promise<string> {
  const bits = new Uint8Array(await sha256(`${label}/key\nid-secret`));
  const key = await crypto.subtle.importKey("raw", bits, "AES-GCM", false, ["encrypt"]);
  const iv = new Uint8Array(NONCE_BYTES).fill(7);
  const made = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, new TextEncoder().encode(text));
  return base64url(new Uint8Array([...iv, ...new Uint8Array(made)]));
}

describe("sealAttempt", () => {
  it("is opened again, whatever the attempt", async () => {
    await fc.assert(
      fc.asyncProperty(anyRef, async (ref) => {
        expect(await openAttempt(SECRETS, await sealAttempt("id-secret", ref))).toEqual(ref);
      }),
    );
  });

  it("makes a part of a path that says nothing to whom it is given", () => {
    expect(token).toMatch(/^[A-Za-z0-9_-]{40,400}$/);
    const text = new TextDecoder().decode(sealed);
    for (const part of ["Tenant01", "live", TASK_ID, TASK_ID.slice(-26)]) {
      expect(token).not.toContain(part);
      expect(text).not.toContain(part);
    }
  });

  it("makes the same one of the same attempt, so that a repeated submit names the same URL", async () => {
    expect(await sealAttempt("id-secret", { ...REF })).toBe(token);
  });

  it("shares a nonce between no two contents, and no two secrets", async () => {
    const nonceOf = async (secret: string, ref: AttemptRef) => (await sealAttempt(secret, ref)).slice(0, (NONCE_BYTES / 3) * 4);
    await fc.assert(
      fc.asyncProperty(anyRef, anyRef, async (a, b) => {
        fc.pre(JSON.stringify(a) !== JSON.stringify(b));
        expect(await nonceOf("id-secret", a)).not.toBe(await nonceOf("id-secret", b));
        expect(await nonceOf("id-secret", a)).not.toBe(await nonceOf("new-secret", a));
      }),
    );
    const near: AttemptRef[] = [REF, { ...REF, attempt: 3 }, { ...REF, mode: "test" }, { ...REF, tenant: "Tenant02" }];
    expect(new Set(await Promise.all(near.map(async (ref) => nonceOf("id-secret", ref)))).size).toBe(near.length);
  });
});

describe("openAttempt", () => {
  it("accepts the secret before the one in use, and none older", async () => {
    expect(await openAttempt(["new-secret", "id-secret"], token)).toEqual(REF);
    expect(await openAttempt(["newer-secret", "new-secret"], token)).toBeNull();
    expect(await openAttempt([], token)).toBeNull();
  });

  it("refuses one of which any byte was changed", async () => {
    const changed = fc.tuple(fc.integer({ min: 0, max: sealed.length - 1 }), fc.integer({ min: 1, max: 255 }));
    await fc.assert(
      fc.asyncProperty(changed, async ([place, change]) => {
        const forged = sealed.map((byte, index) => (index === place ? byte ^ change : byte));
        expect(await openAttempt(SECRETS, base64url(forged))).toBeNull();
      }),
    );
  });

  it("refuses one that is shorter or longer", async () => {
    for (let length = 0; length < sealed.length; length++) {
      expect(await openAttempt(SECRETS, base64url(sealed.subarray(0, length))), `${length} bytes`).toBeNull();
    }
    for (const more of [`${token}A`, `${token}AAAA`, `A${token}`, `${token}=`, `${token} `, ` ${token}`, `${token}\n`]) {
      expect(await openAttempt(SECRETS, more), more).toBeNull();
    }
  });

  it("takes what is sealed under its own label", async () => {
    expect(await openAttempt(SECRETS, await sealedAs("callback/v1", `Tenant01\nlive\n${TASK_ID}\n2`))).toEqual(REF);
  });

  it.each(["callback/v2", "callback", "task-token/v1", ""])("takes nothing that is sealed under %j", async (label) => {
    expect(await openAttempt(SECRETS, await sealedAs(label, `Tenant01\nlive\n${TASK_ID}\n2`))).toBeNull();
  });

  it.each([
    "",
    "Tenant01",
    `Tenant01\nlive\n${TASK_ID}`,
    `Tenant01\nlive\n${TASK_ID}\n2\n3`,
    `Tenant01\ndead\n${TASK_ID}\n2`,
    `\nlive\n${TASK_ID}\n2`,
    "Tenant01\nlive\n\n2",
    `Tenant01\nlive\n${TASK_ID}\nx`,
    `Tenant01\nlive\n${TASK_ID}\n-1`,
    `Tenant01\nlive\n${TASK_ID}\n10000`,
  ])("takes no other content: %j", async (text) => {
    expect(await openAttempt(SECRETS, await sealedAs("callback/v1", text))).toBeNull();
  });

  it("takes no text of any other kind", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 200 }), async (text) => {
        expect(await openAttempt(SECRETS, text)).toBeNull();
      }),
    );
  });
});
