import { describe, expect, it } from "vitest";
import {
  beginTry,
  changeEndpoint,
  deliveryIdOf,
  endTry,
  giveUp,
  hookOf,
  isSigningSecret,
  judge,
  liveSecrets,
  makeHook,
  makeSigningSecret,
  MAX_TRIES,
  messageHeaders,
  noteTry,
  placeOf,
  replay,
  rollSecret,
  treatment,
  type DisabledReason,
  type PendingDelivery,
} from "../../src/core/webhook.ts";
import { DAY, HOUR, MINUTE, SECOND, T0 } from "../support/builders.ts";
import { aDelivery, anEndpoint, ANOTHER_SECRET, aTry, SECRET } from "../support/webhooks.ts";

const bytes = (length: number, value = 7): Uint8Array => new Uint8Array(length).fill(value);

describe("judge", () => {
  it.each([
    [200, "delivered"],
    [204, "delivered"],
    [299, "delivered"],
    [301, "failed"],
    [308, "failed"],
    [400, "failed"],
    [404, "failed"],
    [410, "gone"],
    [429, "failed"],
    [500, "failed"],
    [199, "failed"],
    [null, "failed"],
  ] as const)("takes %s for %s", (status, verdict) => {
    expect(judge({ status })).toBe(verdict);
  });
});

describe("a try", () => {
  it("is on record before it is made, for longer than it may take", () => {
    expect(beginTry(aDelivery(), T0)).toMatchObject({ state: "pending", tries: 1, nextAt: T0 + 40 * SECOND });
    const later = beginTry(aDelivery({ tries: 4 }), T0);
    expect(later?.nextAt).toBeGreaterThanOrEqual(T0 + 4.5 * HOUR);
  });

  it("that ended without a word too often is not begun again", () => {
    expect(beginTry(aDelivery({ tries: MAX_TRIES + 2 }), T0)).not.toBeNull();
    expect(beginTry(aDelivery({ tries: MAX_TRIES + 3 }), T0)).toBeNull();
  });

  it("that was taken ends the delivery", () => {
    expect(endTry(aDelivery({ tries: 3 }), aTry(), null, T0)).toMatchObject({
      state: "delivered",
      nextAt: null,
      attempts: [{ status: 200 }],
    });
  });

  it.each([
    [1, 5 * SECOND],
    [2, 5 * MINUTE],
    [3, 30 * MINUTE],
    [4, 2 * HOUR],
    [5, 5 * HOUR],
    [6, 10 * HOUR],
    [7, 10 * HOUR],
  ])("number %i that failed is followed by another after %i ms, more or less", (tries, wait) => {
    const after = Array.from({ length: 50 }, (_, each) =>
      endTry(aDelivery({ id: `msg_${each}`, tries }), aTry({ status: 500 }), null, T0),
    );
    const waits = after.map(({ nextAt }) => (nextAt ?? 0) - T0);
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(0.9 * wait);
    expect(Math.max(...waits)).toBeLessThanOrEqual(1.1 * wait);
    expect(new Set(waits).size).toBeGreaterThan(40);
  });

  it("number eight is the last", () => {
    expect(endTry(aDelivery({ tries: MAX_TRIES }), aTry({ status: 500 }), null, T0)).toMatchObject({
      state: "failed",
      nextAt: null,
    });
  });

  it("that is told to wait waits, a day at most, and never less than the schedule", () => {
    const nextAfter = (ms: number) => endTry(aDelivery({ tries: 1 }), aTry({ status: 429 }), ms, T0).nextAt ?? 0;
    expect(nextAfter(HOUR)).toBe(T0 + HOUR);
    expect(nextAfter(400 * DAY)).toBe(T0 + DAY);
    expect(nextAfter(0)).toBeGreaterThanOrEqual(T0 + 4.5 * SECOND);
  });

  it("of a receiver that is gone, of a test, and of one that was given up meanwhile, is the last", () => {
    const failing = aTry({ status: 500 });
    expect(endTry(aDelivery({ tries: 1 }), aTry({ status: 410 }), null, T0).state).toBe("failed");
    expect(endTry(aDelivery({ tries: 1, isTest: true }), failing, null, T0).state).toBe("failed");
    expect(endTry(giveUp(aDelivery({ tries: 1 })), failing, null, T0).state).toBe("failed");
    expect(endTry(giveUp(aDelivery({ tries: 1 })), aTry(), null, T0).state).toBe("delivered");
  });

  it("is one of twenty that the log keeps", () => {
    let delivery: PendingDelivery = aDelivery();
    for (let each = 0; each < 30; each++) delivery = replay(endTry(delivery, aTry({ ms: each }), null, T0), T0);
    expect(delivery.attempts.map(({ ms }) => ms)).toEqual(Array.from({ length: 20 }, (_, each) => each + 10));
  });
});

describe("a replay", () => {
  it("begins the tries anew, whatever came of them, and keeps the log", () => {
    const failed = giveUp(aDelivery({ tries: 8, attempts: [aTry({ status: 500 })] }));
    expect(replay(failed, T0)).toEqual({ ...failed, state: "pending", tries: 0, nextAt: T0 });
  });
});

describe("an endpoint", () => {
  const failing = (sinceDaysAgo: number, notedDaysAgo = 0.1) =>
    anEndpoint({ failing: { since: T0 - sinceDaysAgo * DAY, notedAt: T0 - notedDaysAgo * DAY } });

  it("that takes what it gets is not written again", () => {
    const endpoint = anEndpoint();
    expect(noteTry(endpoint, "delivered", T0)).toBe(endpoint);
    expect(noteTry(failing(3), "delivered", T0).failing).toBeNull();
  });

  it("that fails is noted, once an hour", () => {
    const noted = noteTry(anEndpoint(), "failed", T0);
    expect(noted.failing).toEqual({ since: T0, notedAt: T0 });
    expect(noteTry(noted, "failed", T0 + 59 * MINUTE)).toBe(noted);
    expect(noteTry(noted, "failed", T0 + HOUR).failing).toEqual({ since: T0, notedAt: T0 + HOUR });
  });

  it("is disabled when it has failed for five days, and not before", () => {
    expect(noteTry(failing(4.99), "failed", T0).disabled).toBeNull();
    expect(noteTry(failing(5), "failed", T0).disabled).toEqual({ at: T0, reason: "failing" });
  });

  it("that nothing was sent to for days is not judged by what was before", () => {
    expect(noteTry(failing(20, 2.1), "failed", T0)).toMatchObject({ disabled: null, failing: { since: T0, notedAt: T0 } });
  });

  it("that says it is gone is disabled at once; one that is disabled stays as it is", () => {
    const gone = noteTry(anEndpoint(), "gone", T0);
    expect(gone.disabled).toEqual({ at: T0, reason: "gone" });
    expect(noteTry(gone, "gone", T0 + HOUR)).toBe(gone);
    expect(noteTry(gone, "delivered", T0 + HOUR)).toBe(gone);
  });

  it("that is enabled has a clean slate", () => {
    const disabled = noteTry(failing(5), "failed", T0);
    expect(changeEndpoint(disabled, { enabled: true }, T0)).toMatchObject({ disabled: null, failing: null });
    expect(changeEndpoint(failing(3), { enabled: true }, T0).failing).not.toBeNull();
    expect(changeEndpoint(anEndpoint(), { enabled: false }, T0).disabled).toEqual({ at: T0, reason: "by_tenant" });
    expect(changeEndpoint(disabled, { description: "mine" }, T0)).toEqual({ ...disabled, description: "mine" });
  });

  it.each([
    [null, "send"],
    ["gone", "keep"],
    ["failing", "keep"],
    ["by_tenant", "skip"],
  ] as const)("that is disabled as %s is treated so: %s", (reason: DisabledReason | null, how) => {
    const endpoint = anEndpoint({ events: ["video.failed"], disabled: reason === null ? null : { at: T0, reason } });
    expect(treatment(endpoint, "video.failed")).toBe(how);
    expect(treatment(endpoint, "video.completed")).toBe("skip");
  });
});

describe("a signing secret", () => {
  it("that is rolled signs beside the new one for a while, and two are the most", () => {
    const rolled = rollSecret({ current: SECRET, previous: null }, ANOTHER_SECRET, HOUR, T0);
    expect(liveSecrets(rolled, T0 + HOUR - 1)).toEqual([ANOTHER_SECRET, SECRET]);
    expect(liveSecrets(rolled, T0 + HOUR)).toEqual([ANOTHER_SECRET]);
    const third = makeSigningSecret(bytes(32));
    expect(liveSecrets(rollSecret(rolled, third, HOUR, T0), T0)).toEqual([third, ANOTHER_SECRET]);
  });

  it("that is rolled twice to the same changes nothing, and without an overlap ends at once", () => {
    const rolled = rollSecret({ current: SECRET, previous: null }, ANOTHER_SECRET, HOUR, T0);
    expect(rollSecret(rolled, ANOTHER_SECRET, 2 * HOUR, T0 + MINUTE)).toBe(rolled);
    expect(rollSecret(rolled, SECRET, 0, T0)).toEqual({ current: SECRET, previous: null });
  });

  it("is made of 32 bytes, as Standard Webhooks writes them", () => {
    expect(makeSigningSecret(bytes(32, 0))).toBe("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    expect(isSigningSecret(makeSigningSecret(bytes(32, 255)))).toBe(true);
  });

  const brought = (length: number): string => `whsec_${btoa("x".repeat(length))}`;
  it.each([
    [brought(24), true],
    [brought(25), true],
    [brought(64), true],
    [brought(23), false],
    [brought(65), false],
    [brought(24).slice("whsec_".length), false],
    [`${brought(24)}=`, false],
    [brought(24).replace(/.$/, "-"), false],
    [brought(25).replaceAll("=", ""), false],
    ["whsec_", false],
    [` ${brought(24)}`, false],
    [`${brought(24)}\n`, false],
  ])("that a tenant brings is 24 to 64 bytes: %s is %s", (text, fine) => {
    expect(isSigningSecret(text)).toBe(fine);
  });
});

describe("ids", () => {
  it("say where a delivery lies", () => {
    const hook = makeHook(bytes(10));
    expect(placeOf(deliveryIdOf({ hook, seq: 42 }))).toEqual({ hook, seq: 42 });
  });

  it.each([
    "",
    "msg_",
    "msg_abcdefghijklmnop-0",
    "msg_abcdefghijklmnop-1 ",
    "msg_abcdefghijklmno1-1",
    "msg_abcdefghijklmnop-1e3",
    "msg_abcdefghijklmnop-1\n",
  ])("of no form that we give are nobody's: %j", (id) => {
    expect(placeOf(id)).toBeNull();
  });

  it.each(["", "whe_", "whe_ABCDEFGHIJKLMNOP", "whe_abcdefghijklmnop\n", "abcdefghijklmnop", "whe_abcdefghijklmnopq"])(
    "of endpoints are no better: %j",
    (id) => {
      expect(hookOf(id)).toBeNull();
    },
  );
});

describe("a message's headers", () => {
  it("name the event, and the time of the try in whole seconds", () => {
    expect(messageHeaders({ id: "msg_1", event: "video.failed", isTest: false, at: T0 + 999 })).toEqual({
      "content-type": "application/json",
      "user-agent": "Reelay-Webhooks/1",
      "webhook-id": "msg_1",
      "webhook-timestamp": String(T0 / 1000),
      "webhook-event": "video.failed",
    });
    expect(messageHeaders({ id: "msg_1", event: "video.failed", isTest: true, at: T0 })).toMatchObject({ "webhook-test": "true" });
  });
});
