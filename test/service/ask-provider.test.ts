// How long a provider may be silent, and what that means for a task; what becomes of its place, and of its images.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RefusedError, RetryableError, UnclearReplyError } from "../../src/core/upstream-errors.ts";
import type { HealthPort, ImageFile, ImageStore, LeaseAsk, LeaseEnd, LeaseReply, Provider } from "../../src/ports.ts";
import { cancel, giveBack, lease, poll, prepare, submit, type AskingHands } from "../../src/service/ask-provider.ts";
import { aGeneration, anAttempt, aPlace, aTask, MINUTE, T0 } from "../support/builders.ts";

/** Each twice as long as it is unless the operator says otherwise. */
const TIMEOUTS = { submitMs: 120_000, pollMs: 60_000 };

let given: AbortSignal | undefined;
let named: string[];
const silent = async (_: unknown, signal: AbortSignal): Promise<never> => {
  given = signal;
  return new Promise(() => undefined);
};
const provider: Provider = {
  traits: { images: "url", callback: "none", idempotentCreate: false, retentionMs: null },
  submit: silent,
  poll: silent,
  cancel: silent,
  open: async () => Promise.reject(new Error("nothing is fetched here")),
};
const hands = { timeoutsOf: (name: string) => (named.push(name), TIMEOUTS) } as unknown as AskingHands;

beforeEach(() => {
  given = undefined;
  named = [];
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => void vi.useRealTimers());

const attempt = anAttempt({ outcome: "open" });
const submitting = aTask({ status: "submitting", attempts: [attempt] });
const running = aTask({ status: "running" });

describe("a provider that is silent", () => {
  it.each([
    ["submit", 120_000, async () => submit({ kind: "submit", attempt, task: submitting }, provider, hands), "submit_unknown"],
    ["poll", 60_000, async () => poll({ kind: "poll", provider: "alpha", task: running }, provider, hands), "try_again"],
    [
      "cancel",
      60_000,
      async () => cancel({ kind: "cancel", provider: "alpha", task: running }, provider, hands),
      "cancel_answered",
    ],
  ])("is given its own time for a %s: %i ms", async (_, ms, ask, type) => {
    const asked = ask();
    await vi.advanceTimersByTimeAsync(ms - 1);
    expect(given?.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await asked).toMatchObject({ event: { type }, note: "TimeoutError" });
    expect(given?.aborted).toBe(true);
    expect(named).toEqual(["alpha"]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("a place", () => {
  const task = aTask({ stays: 3, places: [aPlace({ stay: 3, lease: null })] });
  const wish = { kind: "lease", provider: "alpha", model: "alpha-veo3", credentials: ["KEY_1"], task } as const;
  const ask = (acquire: HealthPort["acquire"]): AskingHands =>
    ({ healthOf: () => ({ acquire }), limitsOf: () => ({ concurrency: 1, perMinute: null }) }) as unknown as AskingHands;

  it("is asked for by the stay that is on record, until the task must have ended", async () => {
    const granted = { provider: "alpha", credential: "KEY_1", quantiles: null };
    const asked: unknown[] = [];
    const grant = async (...given: [LeaseAsk, unknown]): Promise<LeaseReply> => (
      asked.push(...given),
      { kind: "granted", lease: granted, isProbe: false }
    );
    expect(await lease(wish, ask(grant))).toEqual({ event: { type: "leased", lease: granted } });
    expect(asked).toEqual([
      {
        task: task.id,
        stay: 3,
        tenant: task.tenant,
        model: "alpha-veo3",
        credentials: ["KEY_1"],
        since: T0,
        deadlineAt: T0 + 30 * MINUTE,
        until: T0 + 45 * MINUTE,
      },
      { concurrency: 1, perMinute: null },
    ]);
  });

  describe("that is a probe", () => {
    const granted = { provider: "alpha", credential: "KEY_1", quantiles: null };
    const wait = { provider: "alpha", until: T0 + MINUTE, position: null };
    /** Half open, until it is told that nobody is there. */
    const halfOpen = (nobodys: Provider["poll"]) => {
      const ends: LeaseEnd[] = [];
      const health = {
        acquire: async (): Promise<LeaseReply> =>
          ends.length === 0 ? { kind: "granted", lease: granted, isProbe: true } : { kind: "refused", wait, startsAt: null },
        release: async (end: LeaseEnd) => void ends.push(end),
      };
      const asked = {
        healthOf: () => health,
        limitsOf: () => ({ concurrency: 1, perMinute: null }),
        providerOf: () => ({ ...provider, poll: nobodys }),
        probesOf: () => new Map([["KEY_1", { id: "nobody's" }]]),
      } as unknown as AskingHands;
      return { asked, ends };
    };

    it.each([
      ["does not know the job", async () => ({ status: "missing" }) as const],
      ["is busy", async () => Promise.reject(new RetryableError("rate_limited"))],
      ["says anything at all", async () => Promise.reject(new UnclearReplyError("poll answered 502"))],
    ])("is taken where somebody is there, who %s", async (_, nobodys) => {
      const { asked, ends } = halfOpen(nobodys);
      expect(await lease(wish, asked)).toEqual({ event: { type: "leased", lease: granted } });
      expect(ends).toEqual([]);
    });

    it.each([
      ["no connection", async () => Promise.reject(new Error("refused"))],
      ["no answer", silent],
    ])("is given back where there is %s, so that no task is lost to find out", async (_, nobodys) => {
      const { asked, ends } = halfOpen(nobodys);
      const leased = lease(wish, asked);
      await vi.advanceTimersByTimeAsync(5_000);
      expect(await leased).toMatchObject({ event: { type: "lease_refused", wait: { until: T0 + MINUTE } } });
      expect(ends).toMatchObject([{ task: task.id, stay: 3, credential: "KEY_1", reason: "timeout" }]);
    });
  });

  it("that is refused comes with the time of its turn", async () => {
    const wait = { provider: "alpha", until: T0 + MINUTE, position: 2 };
    const refuse = async (): Promise<LeaseReply> => ({ kind: "refused", wait, startsAt: T0 + 2 * MINUTE });
    expect(await lease(wish, ask(refuse))).toMatchObject({
      event: { type: "lease_refused", wait: { ...wait, startsAt: T0 + 2 * MINUTE } },
    });
  });

  it("that nobody can be asked for is missed, and nothing is made up for it", async () => {
    const overloaded = async (): Promise<never> => Promise.reject(new Error("overloaded"));
    expect(await lease(wish, ask(overloaded))).toMatchObject({ event: { type: "lease_missed", provider: "alpha" } });
  });

  it("is missed after five seconds, too", async () => {
    const asked = lease(
      wish,
      ask(async () => new Promise(() => undefined)),
    );
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await asked).toEqual({ event: { type: "lease_missed", provider: "alpha" }, note: "TimeoutError" });
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("places that were left", () => {
  const end = { credential: "KEY_1", model: "alpha-veo3", reason: "timeout", durationMs: null, retryAt: null } as const;
  const left = { ...end, leftAt: T0, tellAt: T0 };

  it("are told, each to its own provider's health, and those that were heard are named", async () => {
    const ends: [string, LeaseEnd][] = [];
    const healthOf = (name: string) => ({
      release: async (given: LeaseEnd) => {
        if (name === "gone") throw new Error("not there");
        if (name === "slow") return new Promise<never>(() => undefined);
        ends.push([name, given]);
        return undefined;
      },
    });
    const told = giveBack(
      "task-1",
      [
        { ...left, provider: "alpha", stay: 1 },
        { ...left, provider: "gone", stay: 2 },
        { ...left, provider: "slow", stay: 3 },
        { ...left, provider: "beta", stay: 4 },
      ],
      { healthOf } as unknown as AskingHands,
    );
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await told).toEqual([1, 4]);
    expect(ends).toEqual([
      ["alpha", { task: "task-1", stay: 1, ...end }],
      ["beta", { task: "task-1", stay: 4, ...end }],
    ]);
  });
});

describe("images for a wire that inlines them", () => {
  const urls = ["https://example.com/1.png", "https://example.com/2.png"];
  const task = aTask({ generation: aGeneration({ images: urls }) });
  const png = (bytes: number): ImageFile => ({ bytes: new Uint8Array(bytes), mimeType: "image/png" });
  let kept: Map<number, ImageFile>;
  let fetched: string[];
  beforeEach(() => {
    kept = new Map();
    fetched = [];
  });

  function handsWith(fetchImage: (url: string) => Promise<ImageFile>, store: Partial<ImageStore> = {}): AskingHands {
    const images: Partial<ImageStore> = {
      put: async (_task, index, file) => void kept.set(index, file),
      read: async (_id, index) => kept.get(index) ?? null,
      ...store,
    };
    return { images, fetchImage: async (url: string) => (fetched.push(url), fetchImage(url)) } as unknown as AskingHands;
  }
  const asked = async (hands: AskingHands) => prepare({ kind: "prepare", task }, hands);

  it("are fetched once, and kept", async () => {
    kept.set(0, png(5));
    expect(await asked(handsWith(async () => png(7)))).toEqual({
      event: {
        type: "prepared",
        images: [
          { bytes: 5, mimeType: "image/png" },
          { bytes: 7, mimeType: "image/png" },
        ],
      },
    });
    expect(fetched).toEqual([urls[1]]);
    expect([...kept.keys()]).toEqual([0, 1]);
  });

  it.each(["image_fetch_failed", "image_invalid"] as const)(
    "that are not what they should be fail the task: %s",
    async (reason) => {
      const refused = handsWith(async () => Promise.reject(new RefusedError("task", reason)));
      expect(await asked(refused)).toMatchObject({ event: { type: "prepare_failed", reason } });
    },
  );

  it("whose server is away are missed, and nothing of where it is gets into the log", async () => {
    const away = handsWith(async () => Promise.reject(new TypeError("getaddrinfo ENOTFOUND images.example")));
    expect(await asked(away)).toEqual({ event: { type: "prepare_missed", by: "host" }, note: "ImageHostError" });
  });

  it("whose server hangs are missed after 15 seconds", async () => {
    const hanging = asked(handsWith(async () => new Promise<never>(() => undefined)));
    await vi.advanceTimersByTimeAsync(15_000);
    expect(await hanging).toMatchObject({ event: { type: "prepare_missed", by: "host" } });
  });

  it.each(["put", "read"] as const)("that our store fails to %s are missed by us", async (what) => {
    const failing = handsWith(async () => png(7), { [what]: async () => Promise.reject(new Error("R2 is away")) });
    expect(await asked(failing)).toMatchObject({ event: { type: "prepare_missed", by: "store" } });
  });
});
