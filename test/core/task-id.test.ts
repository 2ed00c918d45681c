import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MODEL_NAMES } from "../../src/core/models.ts";
import { createdAtSecondsOf, hasTaskIdShape, isOwnTaskId, makeTaskId, orderOf, type TaskOwner } from "../../src/core/task-id.ts";
import { T0 } from "../support/builders.ts";

const OWNER: TaskOwner = { tenant: "Tenant01", mode: "live" };
const RANDOM = Uint8Array.from({ length: 10 }, (_, index) => index);
/** Its MAC was made with Python's hmac. */
const ID = "veo3:1795348800-22aqeayeaudaocajigpezfxdw4";
const SECRETS = ["id-secret"];

const randomBytes = fc.uint8Array({ minLength: 10, maxLength: 10 });

describe("makeTaskId", () => {
  it("writes the model, the second and millisecond of its creation, 70 random bits and a MAC", async () => {
    expect(await makeTaskId("id-secret", OWNER, "veo3", T0, RANDOM)).toBe(ID);
    expect(createdAtSecondsOf(ID)).toBe(T0 / 1000);
    expect(await makeTaskId("id-secret", OWNER, "veo3", T0 + 678, RANDOM)).toBe("veo3:1795348800-paaqeayeaudaocaj4cbtq73fzm");
  });

  it("makes ids that sort as they were created, to the millisecond, whatever their models", async () => {
    const moment = fc.record({ at: fc.integer({ min: 0, max: 999 }), model: fc.constantFrom(...MODEL_NAMES), random: randomBytes });
    await fc.assert(
      fc.asyncProperty(moment, moment, async (a, b) => {
        fc.pre(a.at < b.at);
        const [first, second] = await Promise.all(
          [a, b].map(async ({ at, model, random }) => makeTaskId("s", OWNER, model, T0 + at, random)),
        );
        expect(orderOf(first ?? "") < orderOf(second ?? "")).toBe(true);
      }),
    );
  });

  it("still knows an id of the first release, which had 80 random bits", async () => {
    expect(await isOwnTaskId(SECRETS, OWNER, "veo3:1795348800-aaaqeayeaudaocajjuegvreym4")).toBe(true);
  });

  it.each(MODEL_NAMES)("makes ids of %s that it knows again", async (model) => {
    const id = await makeTaskId("id-secret", OWNER, model, T0, RANDOM);
    expect(id.startsWith(`${model}:`)).toBe(true);
    expect(hasTaskIdShape(id)).toBe(true);
    expect(await isOwnTaskId(SECRETS, OWNER, id)).toBe(true);
  });

  it("goes on for as long as seconds have ten digits", async () => {
    for (const seconds of [1_999_999_999, 2_000_000_000, 9_999_999_999]) {
      const id = await makeTaskId("id-secret", OWNER, "veo3", seconds * 1000, RANDOM);
      expect(createdAtSecondsOf(id)).toBe(seconds);
      expect(await isOwnTaskId(SECRETS, OWNER, id)).toBe(true);
    }
  });

  it("takes no more of the random bytes than it needs", async () => {
    expect(await makeTaskId("id-secret", OWNER, "veo3", T0, Uint8Array.of(...RANDOM, 99))).toBe(ID);
  });

  it("makes different ids of different bytes", async () => {
    await fc.assert(
      fc.asyncProperty(randomBytes, randomBytes, async (a, b) => {
        const [first, second] = [
          await makeTaskId("s", OWNER, "veo3", 1_795_348_800_000, a),
          await makeTaskId("s", OWNER, "veo3", 1_795_348_800_000, b),
        ];
        // Of the first ten bits the millisecond takes the place.
        const used = (random: Uint8Array): string => [(random[1] ?? 0) & 63, ...random.subarray(2)].join();
        expect(first === second).toBe(used(a) === used(b));
      }),
    );
  });
});

describe("isOwnTaskId", () => {
  it.each<[string, TaskOwner]>([
    ["another tenant", { tenant: "Tenant02", mode: "live" }],
    ["the tenant's other mode", { tenant: "Tenant01", mode: "test" }],
    ["a tenant whose name only begins the same", { tenant: "Tenant0", mode: "live" }],
  ])("is false for %s", async (_, owner) => {
    expect(await isOwnTaskId(SECRETS, owner, ID)).toBe(false);
  });

  it("is false for any id with one character changed", async () => {
    await fc.assert(
      fc.asyncProperty(
        randomBytes,
        fc.nat(),
        fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz0123456789:-."),
        async (random, where, other) => {
          const id = await makeTaskId("id-secret", OWNER, "veo3.1-fast", 1_795_348_800_123, random);
          const at = where % id.length;
          const changed = id.slice(0, at) + other + id.slice(at + 1);
          expect(await isOwnTaskId(SECRETS, OWNER, changed)).toBe(changed === id);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("accepts ids of the secret before, while it is listed, and no longer", async () => {
    const older = await makeTaskId("old-secret", OWNER, "veo3", T0, RANDOM);
    expect(await isOwnTaskId(["id-secret", "old-secret"], OWNER, older)).toBe(true);
    expect(await isOwnTaskId(["id-secret", "old-secret"], OWNER, ID)).toBe(true);
    expect(await isOwnTaskId(["id-secret"], OWNER, older)).toBe(false);
    expect(await isOwnTaskId([], OWNER, ID)).toBe(false);
  });

  // The numbers are rows of the bad-input catalogue.
  it.each([
    ["nothing", ""],
    ["the public page's example (89)", "veo3:1234567890-abcdefgh"],
    ["a NUL (89)", `${ID}\0`],
    ["a newline at its end (89)", `${ID}\n`],
    ["a way up (89)", `../${ID}`],
    ["4 kB (89)", ID + "a".repeat(4_096)],
    ["upper case (89)", ID.toUpperCase()],
    ["base32 digits that are none (89)", `${ID.slice(0, -1)}1`],
    ["a time with a leading zero", ID.replace("1795348800", "0795348800")],
    ["no MAC", ID.slice(0, -10)],
    ["a forged MAC (90)", `${ID.slice(0, -10)}aaaaaaaaaa`],
  ])("is false for %s", async (_, id) => {
    expect(await isOwnTaskId(SECRETS, OWNER, id)).toBe(false);
  });
});

describe("hasTaskIdShape", () => {
  it("lets a forged MAC pass, as only its owner's secret can tell", () => {
    expect(hasTaskIdShape(`${ID.slice(0, -10)}aaaaaaaaaa`)).toBe(true);
    expect(hasTaskIdShape("veo3:1234567890-abcdefgh")).toBe(false);
    expect(hasTaskIdShape(`${ID}/..`)).toBe(false);
  });
});

describe("createdAtSecondsOf", () => {
  it("is nothing where the shape is wrong", () => {
    expect(createdAtSecondsOf("veo3:1234567890-abcdefgh")).toBe(0);
  });
});
