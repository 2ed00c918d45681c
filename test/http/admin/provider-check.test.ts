// Trying a provider: whether it answers and takes each of its keys, found out by asking after a job that cannot exist.
import { reset } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ProviderCheck, WholeList } from "../../../src/cli/admin-wire.ts";
import { PROVIDER_KINDS, type ProviderKind } from "../../../src/env-providers.ts";
import { checkKeys } from "../../../src/service/operator/provider-check.ts";
import { parseSettings } from "../../../src/env.ts";
import { providerTable } from "../../../src/wire-providers.ts";
import { DAY } from "../../support/builders.ts";
import { callWith } from "../../support/gateway.ts";
import { aServiceAccount, stubFetch, TOKEN, type Stub } from "../../support/google-stub.ts";
import { adminInit, auditLog } from "../../support/operator.ts";
import { readError } from "../../support/refusals.ts";

const HOST = "https://up.example";
const KEY = "canary-key";
const CHAT = "canary words of the provider's";

let upstream: Stub;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + DAY });
  upstream = stubFetch();
});

afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

function settings(kind: ProviderKind, given: Record<string, string> = { UP_KEY: KEY }) {
  const PROVIDERS = JSON.stringify([{ name: "up", kind, base_url: HOST, api_key_secret: Object.keys(given) }]);
  return { PROVIDERS, ...given };
}

async function check(bindings: object, name = "up", body: unknown = {}): Promise<Response> {
  return callWith({ ...bindings }, `/admin/v1/providers/${name}/check`, { method: "POST", ...adminInit(body) });
}

async function resultOf(bindings: object): Promise<string | undefined> {
  const reply = await check(bindings);
  const text = await reply.text();
  expect([reply.status, text]).toEqual([200, expect.not.stringMatching(/canary|up\.example/)]);
  const { name, ok, keys } = JSON.parse(text) as ProviderCheck;
  expect(keys).toEqual([{ credential: "UP_KEY", result: expect.any(String) as string, ms: 0 }]);
  expect({ name, ok }).toEqual({ name: "up", ok: ["accepted", "rate_limited"].includes(keys[0]?.result ?? "") });
  return keys[0]?.result;
}

/** How each wire says that it has no such job. */
const MISSES: Record<ProviderKind, readonly [status: number, body: unknown]> = {
  "seed-style": [404, { error: { message: CHAT, code: "task_not_found" } }],
  "openai-style": [404, { error: { message: CHAT, type: "invalid_request_error" } }],
  gemini: [400, { error: { code: "invalid_request", message: "Invalid interaction name" } }],
  veo: [404, { error: { code: 404, message: CHAT, status: "NOT_FOUND" } }],
  fal: [404, { detail: CHAT }],
  replicate: [404, { detail: CHAT }],
  openrouter: [404, { error: { code: 404, message: CHAT } }],
};

describe.each(PROVIDER_KINDS)("a key of %s", (kind) => {
  const [missStatus, miss] = MISSES[kind];
  const error = { error: { message: CHAT, code: CHAT }, detail: CHAT };

  it.each<[string, number, unknown]>([
    ["accepted", missStatus, miss],
    ["unauthorized", 401, error],
    ["unauthorized", 403, error],
    ["out_of_credit", 402, error],
    ["rate_limited", 429, error],
    ["unavailable", 500, error],
    ["unavailable", 503, `<h1>${CHAT}</h1>`],
    ["unclear", 404, `<h1>${CHAT}</h1>`],
    ["unclear", 200, `<h1>${CHAT}</h1>`],
  ])("is %s where the answer is %i", async (result, status, body) => {
    upstream.reply(status, body);
    expect(await resultOf(settings(kind))).toBe(result);
  });

  it("is unavailable where the connection breaks", async () => {
    expect(await resultOf(settings(kind))).toBe("unavailable");
    expect(upstream.calls).toHaveLength(1);
  });

  it("is tried by reading, never by submitting", async () => {
    upstream.reply(missStatus, miss);
    await check(settings(kind));
    expect(upstream.calls.map(({ method, url }) => [method, url])).toEqual([
      ["GET", expect.stringMatching(/reelay[_-]?check|00000000-0000-4000-8000-0{12}/)],
    ]);
  });

  it("has a probe that its adapter understands", async () => {
    upstream.reply(missStatus, miss);
    const { providers } = parseSettings({
      TASK_ID_SECRETS: "a-secret-for-ids",
      LINK_SECRETS: "k1:a-secret-for-links",
      ...settings(kind),
    });
    const { providerOf, probesOf } = providerTable(providers, false, Date.now);
    const read = providerOf({ provider: "up", credential: "UP_KEY" })?.poll(probesOf("up").get("UP_KEY") ?? null, signal());
    expect(await read).toEqual({ status: "missing" });
  });
});

describe.each(["veo", "gemini"] as const)("a service account with %s", (kind) => {
  it("is accepted where it may ask in its own project", async () => {
    upstream.reply(200, TOKEN);
    upstream.reply(...MISSES[kind]);
    expect(await resultOf(settings(kind, { UP_KEY: aServiceAccount() }))).toBe("accepted");
    expect(JSON.stringify(upstream.calls[1])).toContain("projects/reelay-test/locations/");
  });

  it("is refused where Google gives it no token", async () => {
    upstream.reply(400, { error: "invalid_grant", error_description: CHAT });
    expect(await resultOf(settings(kind, { UP_KEY: aServiceAccount() }))).toBe("unauthorized");
  });

  it("is refused where its private key is none", async () => {
    expect(
      await resultOf(
        settings(kind, {
          UP_KEY: aServiceAccount({ private_key: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----" }),
        }),
      ),
    ).toBe("unauthorized");
    expect(upstream.calls).toEqual([]);
  });
});

describe("several keys", () => {
  const several = settings("seed-style", { UP_KEY: KEY, UP_KEY_2: "canary-second" });

  it("are told apart, and asked with at the same time", async () => {
    let arrived = 0;
    const all = Promise.withResolvers<void>();
    vi.spyOn(globalThis, "fetch").mockImplementation(async (_url, init) => {
      if (++arrived === 2) all.resolve();
      await all.promise;
      const isFirst = new Headers(init?.headers).get("authorization") === `Bearer ${KEY}`;
      return Response.json({ error: { message: CHAT } }, { status: isFirst ? 401 : 404 });
    });
    expect(await (await check(several)).json()).toEqual({
      name: "up",
      ok: false,
      keys: [
        { credential: "UP_KEY", result: "unauthorized", ms: 0 },
        { credential: "UP_KEY_2", result: "accepted", ms: 0 },
      ],
    });
  });
});

describe("a check", () => {
  it("says how long the answer took", async () => {
    upstream.queue(() => {
      vi.setSystemTime(Date.now() + 120);
      return Response.json({ error: { message: CHAT } }, { status: 404 });
    });
    const { keys } = await (await check(settings("seed-style"))).json<ProviderCheck>();
    expect(keys).toEqual([{ credential: "UP_KEY", result: "accepted", ms: 120 }]);
  });

  it("waits 15 seconds for one that never answers, and hangs up", async () => {
    vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] });
    let given: AbortSignal | undefined;
    const poll = async (_probe: unknown, signal: AbortSignal) => {
      given = signal;
      return new Promise<never>(() => undefined);
    };
    const traits = { images: "url", callback: "none", idempotentCreate: false, retentionMs: null } as const;
    const unused = async () => Promise.reject(new Error("a check only polls"));
    const checked = checkKeys("up", {
      providerOf: () => ({ traits, poll, submit: unused, open: unused }),
      probesOf: () => new Map([["UP_KEY", null]]),
      clock: () => Date.now(),
    });
    await vi.advanceTimersByTimeAsync(15_000);
    expect(await checked).toEqual([{ credential: "UP_KEY", verdict: "unavailable", ms: 15_000 }]);
    expect(given?.aborted).toBe(true);
  });

  it("changes nothing: no breaker opens, no key is spent, nothing is noted", async () => {
    const bindings = settings("seed-style");
    for (let time = 1; time <= 6; time++) {
      upstream.reply(401, {});
      expect(await resultOf(bindings)).toBe("unauthorized");
    }
    const list = await callWith(bindings, "/admin/v1/providers", adminInit());
    expect((await list.json<WholeList<object>>()).data).toMatchObject([{ health: { breaker: "closed", spent: [], leases: 0 } }]);
    expect(await auditLog()).toEqual([]);
  });

  it.each(["nobody", "simulated", "constructor"])("of a provider that there is not is told so: %s", async (name) => {
    expect(await readError(await check(settings("fal"), name))).toMatchObject({ status: 404, code: "provider_not_found" });
    expect(upstream.calls).toEqual([]);
  });

  it.each([
    [{ reason: "x" }, "reason"],
    [[], null],
  ])("refuses %j", async (body, param) => {
    expect(await readError(await check(settings("fal"), "up", body))).toMatchObject({ status: 400, param });
    expect(upstream.calls).toEqual([]);
  });

  it("is not for tenants", async () => {
    const init = { method: "POST", headers: { authorization: "Bearer sk-test-whoever" } };
    expect((await callWith(settings("fal"), "/admin/v1/providers/up/check", init)).status).toBe(404);
    expect(upstream.calls).toEqual([]);
  });
});

function signal(): AbortSignal {
  return new AbortController().signal;
}
