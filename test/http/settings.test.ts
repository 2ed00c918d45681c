import { describe, expect, it } from "vitest";
import { makeApiKey } from "../../src/core/api-key.ts";
import { parseSettings, SettingsError } from "../../src/env.ts";
import { providerTable } from "../../src/wire-providers.ts";

const GOOD = { TASK_ID_SECRETS: "a-secret-for-ids", LINK_SECRETS: "k1:a-secret-for-links" };
const PROVIDER = { name: "up", kind: "seed-style", base_url: "https://up.example/api/", api_key_secret: "UP_KEY" };

function problemsOf(settings: Record<string, unknown>): string[] {
  try {
    parseSettings({ ...GOOD, ...settings });
  } catch (error) {
    expect(error).toBeInstanceOf(SettingsError);
    return (error as Error).message.split("\n");
  }
  return [];
}

function providers(...changes: object[]): { PROVIDERS: string; UP_KEY: string } {
  return { PROVIDERS: JSON.stringify(changes.map((change) => ({ ...PROVIDER, ...change }))), UP_KEY: "canary-key" };
}

function anAccount(given: object): string {
  const private_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
  return JSON.stringify({ client_email: "a@b", private_key, project_id: "p-1", type: "service_account", ...given });
}

describe("the least that must be set", () => {
  it("is two secrets; the rest has defaults", () => {
    expect(parseSettings(GOOD)).toEqual({
      local: false,
      publicUrl: null,
      taskIdSecrets: ["a-secret-for-ids"],
      linkKeys: [{ kid: "k1", secret: "a-secret-for-links" }],
      linkTtlSeconds: 3_600,
      maxVideoBytes: 2 * 2 ** 30,
      models: {},
      providers: [],
      s3: null,
      enhancer: null,
      demo: null,
      adminToken: null,
      alertUrl: null,
    });
  });

  it.each(Object.keys(GOOD))("%s is asked for by name", (name) => {
    expect(problemsOf({ [name]: undefined })).toEqual([`${name}: is not set; it is to be a secret`]);
  });
});

describe("a bad setting is named, its value never", () => {
  const canary = "canary-value";
  it.each<[string, Record<string, unknown>, string?]>([
    ["TASK_ID_SECRETS", { TASK_ID_SECRETS: "canary" }, "at least 12"],
    ["TASK_ID_SECRETS", { TASK_ID_SECRETS: `${canary}-1,${canary}-2,${canary}-3` }, "at most two"],
    ["TASK_ID_SECRETS", { TASK_ID_SECRETS: `${canary}-1,` }],
    ["TASK_ID_SECRETS", { TASK_ID_SECRETS: "" }],
    ["LINK_SECRETS", { LINK_SECRETS: canary }, "kid:secret"],
    ["LINK_SECRETS", { LINK_SECRETS: "k1:canary" }],
    ["LINK_SECRETS", { LINK_SECRETS: `canary kid:${canary}-long` }],
    ["LINK_SECRETS", { LINK_SECRETS: `a:${canary}-1,b:${canary}-2,c:${canary}-3` }, "at most two"],
    ["LINK_TTL_SECONDS", { LINK_TTL_SECONDS: "59" }, "60"],
    ["LINK_TTL_SECONDS", { LINK_TTL_SECONDS: "604801" }, "604800"],
    ["LINK_TTL_SECONDS", { LINK_TTL_SECONDS: canary }],
    ["LINK_TTL_SECONDS", { LINK_TTL_SECONDS: "60.5" }],
    ["MAX_VIDEO_BYTES", { MAX_VIDEO_BYTES: "0" }],
    ["MAX_VIDEO_BYTES", { MAX_VIDEO_BYTES: canary }],
    ["PUBLIC_URL", { PUBLIC_URL: canary }],
    ["ENVIRONMENT", { ENVIRONMENT: canary }, "production"],
    ["MODELS", { MODELS: `{${canary}` }, "JSON"],
    ["MODELS", { MODELS: '{"canary-model":{}}' }],
    ["MODELS.veo3.credits", { MODELS: '{"veo3":{"credits":0}}' }],
    ["MODELS.veo3.credits", { MODELS: '{"veo3":{"credits":1.5}}' }],
    ["MODELS.veo3", { MODELS: '{"veo3":{"canary":1}}' }],
    ["MODELS.veo3.deadline_minutes", { MODELS: '{"veo3":{"deadline_minutes":0}}' }],
    ["PROVIDERS", { PROVIDERS: canary }, "JSON"],
    ["PROVIDERS", { PROVIDERS: "{}" }],
    ["PROVIDERS.1.name", providers({}, {}), "PROVIDERS.0 has the same name"],
    ["PROVIDERS.0.name", providers({ name: "Canary Name" }), "a-z, 0-9"],
    ["PROVIDERS.0.name", providers({ name: "simulated" }), "built in"],
    ["PROVIDERS.0.kind", providers({ kind: canary }), "seed-style"],
    ["PROVIDERS.0.base_url", providers({ base_url: canary })],
    ["PROVIDERS.0.base_url", providers({ base_url: "http://canary.example" }), "https"],
    ["PROVIDERS.0.base_url", { ENVIRONMENT: "local", ...providers({ base_url: "http://canary.example" }) }, "loopback"],
    ["PROVIDERS.0.base_url", providers({ base_url: "http://127.0.0.1:9100" }), "https"],
    ["PROVIDERS.0.base_url", providers({ base_url: "ftp://canary.example" })],
    ["PROVIDERS.0.base_url", providers({ base_url: "https://canary:word@up.example" }), "user and password"],
    ["PROVIDERS.0.base_url", providers({ base_url: "https://up.example/?canary=1" }), "leave ? and # out"],
    ["PROVIDERS.0.result_hosts", providers({ result_hosts: [] })],
    ["PROVIDERS.0.result_hosts", providers({ result_hosts: ["https://canary.example/"] }), "a host"],
    ["PROVIDERS.0.api_key_secret", providers({ api_key_secret: canary }), "the name of a secret"],
    ["PROVIDERS.0.api_key_secret", { ...providers({}), UP_KEY: undefined }, "UP_KEY is not set"],
    ["PROVIDERS.0.api_key_secret", { ...providers({}), UP_KEY: "" }, "UP_KEY is not set"],
    ...["gemini", "veo"].flatMap((kind): [string, Record<string, unknown>, string][] =>
      [
        '{"canary-key"',
        "{}",
        '{"client_email":"canary-key"}',
        '{"client_email":"a","private_key":"canary-key","project_id":7}',
      ].map((UP_KEY) => [
        "PROVIDERS.0.api_key_secret",
        { ...providers({ kind }), UP_KEY },
        "UP_KEY begins with { and is no service",
      ]),
    ),
    ["PROVIDERS.0.callback_secret", providers({ kind: "replicate", callback_secret: canary }), "the name of a secret"],
    ["PROVIDERS.0.callback_secret", providers({ kind: "replicate", callback_secret: "HOOK_KEY" }), "HOOK_KEY is not set"],
    ...[
      "canary-key",
      "whsec_",
      "whsec_canary-key",
      "whsec_AAAA",
      `${btoa("canary-key".repeat(3))}`,
      `whsec_${btoa("canary-key".repeat(3))}\n`,
    ].map((HOOK_KEY): [string, Record<string, unknown>, string] => [
      "PROVIDERS.0.callback_secret",
      { ...providers({ kind: "replicate", callback_secret: "HOOK_KEY" }), HOOK_KEY },
      "HOOK_KEY is not what replicate signs with",
    ]),
    [
      "PROVIDERS.0.callback_secret",
      { ...providers({ kind: "openrouter", callback_secret: "HOOK_KEY" }), HOOK_KEY: "canary-key with a newline\n" },
      "HOOK_KEY is not what openrouter signs with",
    ],
    ...["seed-style", "openai-style", "gemini", "veo", "fal"].map((kind): [string, Record<string, unknown>, string] => [
      "PROVIDERS.0.callback_secret",
      { ...providers({ kind, callback_secret: "HOOK_KEY" }), HOOK_KEY: "canary-key" },
      `${kind} signs no callbacks with a secret`,
    ]),
    ["PROVIDERS.0.timeouts.submit_seconds", providers({ timeouts: { submit_seconds: 4 } }), "5"],
    ["PROVIDERS.0.timeouts.submit_seconds", providers({ timeouts: { submit_seconds: 301 } }), "300"],
    ["PROVIDERS.0.timeouts.poll_seconds", providers({ timeouts: { poll_seconds: 121 } }), "120"],
    ["PROVIDERS.0.timeouts.poll_seconds", providers({ timeouts: { poll_seconds: "30" } })],
    ["PROVIDERS.0.timeouts", providers({ timeouts: { canary: 1 } })],
    ["PROVIDERS.0.timeouts", providers({ timeouts: 60 })],
    ["PROVIDERS.0.models", providers({ models: { "canary-model": "x" } })],
    ["PROVIDERS.0.priority", providers({ priority: -1 })],
    ["PROVIDERS.0.overdue_factor", providers({ overdue_factor: 1.4 }), "1.5"],
    ["PROVIDERS.0.overdue_factor", providers({ overdue_factor: 101 }), "100"],
    ["PROVIDERS.0", providers({ canary: 1 })],
    ["S3_BUCKET", { S3_ENDPOINT: "https://canary.example", S3_ACCESS_KEY_ID: canary, S3_SECRET_ACCESS_KEY: canary }, "is missing"],
    ["S3_ENDPOINT", { S3_ENDPOINT: canary, S3_BUCKET: canary, S3_ACCESS_KEY_ID: canary, S3_SECRET_ACCESS_KEY: canary }],
    ["ENHANCER_MODEL", { ENHANCER_BASE_URL: "https://canary.example" }, "is missing"],
    ["ENHANCER_BASE_URL", { ENHANCER_MODEL: canary }, "is missing"],
    ["ENHANCER_BASE_URL", { ENHANCER_BASE_URL: canary, ENHANCER_MODEL: canary }],
    ["ADMIN_TOKEN", { ADMIN_TOKEN: canary }, "16 characters"],
    ["ADMIN_TOKEN", { ADMIN_TOKEN: `${canary} and another word` }, "without spaces"],
    ["ADMIN_TOKEN", { ADMIN_TOKEN: `sk-${canary.repeat(3)}` }, "begin with sk-"],
    ["ALERT_URL", { ALERT_URL: canary }],
    ["DEMO_PLAN", { DEMO_PLAN: canary }, "JSON"],
    ["DEMO_PLAN.credits", { DEMO_PLAN: '{"credits":-1}' }],
    ["DEMO_PLAN", { DEMO_PLAN: '{"canary":1}' }],
  ])("%s: %j", (name, settings, words = "") => {
    const problems = problemsOf(settings);
    expect(problems).toEqual([expect.stringMatching(new RegExp(`^${name.replaceAll(".", "\\.")}\\b[^:]*: .+`))]);
    expect(problems[0]).toContain(words);
    expect(problems.join()).not.toMatch(/canary-(value|key)|canary\.example/i);
  });

  it.each<[string, Record<string, unknown>]>([
    ["PROVIDERS.0 (up): There is no wieght. Did you mean weight?", providers({ wieght: 2 })],
    [
      "PROVIDERS.0 (up): There is no baseUrl. Did you mean base_url? There is no TAGS. Did you mean tags?",
      providers({ baseUrl: "x", TAGS: [] }),
    ],
    [
      "PROVIDERS.0.timeouts (up): There is no retry. These there are: submit_seconds, poll_seconds",
      providers({ timeouts: { retry: 1 } }),
    ],
    ["PROVIDERS.0.models (up): There is no veo33. Did you mean veo3?", providers({ models: { veo33: "x" } })],
    ["PROVIDERS.0: There is no a\\nb. These there are: name, kind, base_url, ", providers({ name: "Up", "a\nb": 1 })],
    ["MODELS: There is no veo33. Did you mean veo3?", { MODELS: '{"veo33":{}}' }],
    ["MODELS.veo3: There is no credit. Did you mean credits?", { MODELS: '{"veo3":{"credit":5}}' }],
    ["DEMO_PLAN: There is no live-tasks. Did you mean live_tasks?", { DEMO_PLAN: '{"live-tasks":5}' }],
  ])("says which name was meant, or which there are: %s", (expected, settings) => {
    const names = problemsOf(settings).filter((line) => line.startsWith(expected));
    expect(names, problemsOf(settings).join("\n")).toHaveLength(1);
  });

  it("tells all that is wrong with a provider in one failure, beside what is wrong elsewhere", () => {
    const entry = { name: "up", kind: "seed-style", api_key_secret: "NO_KEY", weight: 0, callback_secret: "HOOK" };
    const PROVIDERS = JSON.stringify([7, entry, { ...PROVIDER, kind: "seed" }, { ...PROVIDER, name: "v", base_url: "no" }]);
    const wrong = problemsOf({ PROVIDERS, LINK_TTL_SECONDS: "0", UP_KEY: "canary-key" });
    expect(wrong.map((line) => line.split(":")[0])).toEqual([
      "LINK_TTL_SECONDS",
      "PROVIDERS.0",
      "PROVIDERS.1.weight (up)",
      "PROVIDERS.1.api_key_secret (up)",
      "PROVIDERS.1.base_url (up)",
      "PROVIDERS.1.callback_secret (up)",
      "PROVIDERS.2.kind (up)",
      "PROVIDERS.2.name (up)",
      "PROVIDERS.3.base_url (v)",
    ]);
  });

  it("all at once", () => {
    const names = problemsOf({ TASK_ID_SECRETS: undefined, LINK_TTL_SECONDS: "0", MODELS: "x" }).map((line) => line.split(":")[0]);
    expect(new Set(names)).toEqual(new Set(["TASK_ID_SECRETS", "LINK_TTL_SECONDS", "MODELS"]));
  });
});

describe("a good setting", () => {
  it("may be two secrets while one is rotated, the newer first", () => {
    const { taskIdSecrets, linkKeys } = parseSettings({
      TASK_ID_SECRETS: "newer-id-secret, older-id-secret",
      LINK_SECRETS: "k2:newer:link:secret,k1:older-link-secret",
    });
    expect(taskIdSecrets).toEqual(["newer-id-secret", "older-id-secret"]);
    expect(linkKeys).toEqual([
      { kid: "k2", secret: "newer:link:secret" },
      { kid: "k1", secret: "older-link-secret" },
    ]);
  });

  it("makes a provider whole, with its key from the secret that it names", () => {
    const [provider] = parseSettings({
      ...GOOD,
      ...providers({ models: { veo3: "veo-3" }, priority: 2, overdue_factor: 1.5 }),
    }).providers;
    expect(provider).toMatchObject({ name: "up", base_url: "https://up.example/api", priority: 2, overdue_factor: 1.5 });
    expect(provider?.credentials).toEqual([{ name: "UP_KEY", value: "canary-key" }]);
  });

  it("may be a service account's JSON for Google's wires, and any text for the others", () => {
    const account = anAccount({});
    for (const [kind, UP_KEY] of [
      ["veo", account],
      ["gemini", ` ${account}`],
      ["veo", "plain-key"],
      ["fal", "{not-json"],
    ]) {
      expect(problemsOf({ ...providers({ kind }), UP_KEY })).toEqual([]);
    }
  });

  it.each([
    { private_key: "canary-key" },
    { private_key: "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----" },
    { token_uri: "https://canary.example/token" },
    { token_uri: "http://127.0.0.1:9/token" },
  ])("may not be a service account's JSON with %j", (given) => {
    const [problem] = problemsOf({ ...providers({ kind: "veo" }), UP_KEY: anAccount(given) });
    expect(problem).toContain("PROVIDERS.0.api_key_secret (up): UP_KEY begins with { and is no service account's JSON");
    expect(problem).not.toContain("canary");
  });

  it("may not mix API keys and service accounts in one provider: their models have other names", () => {
    const mixed = { ...providers({ kind: "gemini", api_key_secret: ["UP_KEY", "UP_KEY_2"] }), UP_KEY_2: anAccount({}) };
    expect(problemsOf(mixed)).toEqual([
      expect.stringContaining("PROVIDERS.0.api_key_secret (up): API keys and service accounts are two"),
    ]);
    expect(problemsOf({ ...mixed, UP_KEY: anAccount({}) })).toEqual([]);
  });

  it("takes several keys of one provider", () => {
    const several = providers({ api_key_secret: ["UP_KEY", "UP_KEY_2"] });
    const [provider] = parseSettings({ ...GOOD, UP_KEY_2: "second-key", ...several }).providers;
    expect(provider?.credentials.map(({ name }) => name)).toEqual(["UP_KEY", "UP_KEY_2"]);
    expect(problemsOf(several).join()).toContain("UP_KEY_2 is not set");
  });

  it("knows where the wires live that have a host of their own, and asks for the others'", () => {
    for (const kind of ["fal", "replicate", "gemini", "veo", "openrouter"]) {
      expect(problemsOf(providers({ kind, base_url: undefined })), kind).toEqual([]);
    }
    for (const kind of ["seed-style", "openai-style"]) {
      expect(problemsOf(providers({ kind, base_url: undefined })).join(), kind).toContain("base_url");
    }
  });

  it("does not send anybody to an API that is closed", () => {
    const closed = providers({ kind: "openai-style", base_url: "https://api.openai.com" });
    expect(problemsOf(closed).join()).toContain("closed");
  });

  it.each([
    ["seed-style", "/v1", "/v1"],
    ["seed-style", "/api/v1/", "/v1"],
    ["openai-style", "/V1//", "/V1"],
    ["replicate", "/v1", "/v1"],
    ["openrouter", "/api/v1", "/v1"],
    ["gemini", "/v1beta", "/v1beta"],
    ["veo", "/v1", "/v1"],
  ])("asks for %s's address without the version at its end, which the wire adds: %s", (kind, path, version) => {
    expect(problemsOf(providers({ kind, base_url: `https://up.example${path}` }))).toEqual([
      `PROVIDERS.0.base_url (up): leave ${version} out at its end; ${kind} adds the version itself`,
    ]);
  });

  it.each([
    ["seed-style", "/v1/videos"],
    ["seed-style", "/apiv1"],
    ["openrouter", "/api"],
    ["fal", "/v1"],
  ])("takes an address of %s that ends in no version of its wire's: %s", (kind, path) => {
    expect(problemsOf(providers({ kind, base_url: `https://up.example${path}` }))).toEqual([]);
  });

  it.each(["http://127.0.0.1:9100", "http://localhost:9100", "http://[::1]:9100"])(
    "%s is a provider's address in local runs only",
    (base_url) => {
      expect(problemsOf({ ENVIRONMENT: "local", ...providers({ base_url }) })).toEqual([]);
      expect(problemsOf(providers({ base_url }))).toHaveLength(1);
    },
  );

  it.each([
    ["replicate", `whsec_${btoa("the secret of an account")}`],
    ["openrouter", "a-secret-of-a-workspace"],
  ])("%s has the secrets that its callbacks are signed with", (kind, value) => {
    const secretsOf = (callback_secret: unknown): unknown => {
      const settings = { ...GOOD, ...providers({ kind, callback_secret }), FIRST: value, SECOND: value };
      return parseSettings(settings).providers[0]?.callbackSecrets;
    };
    expect([secretsOf(undefined), secretsOf("FIRST"), secretsOf(["FIRST", "SECOND"])]).toEqual([[], [value], [value, value]]);
  });

  it.each([
    [undefined, { submitMs: 60_000, pollMs: 30_000 }],
    [{}, { submitMs: 60_000, pollMs: 30_000 }],
    [{ submit_seconds: 300 }, { submitMs: 300_000, pollMs: 30_000 }],
    [
      { submit_seconds: 5, poll_seconds: 7.5 },
      { submitMs: 5_000, pollMs: 7_500 },
    ],
  ])("with timeouts %j a provider has %j", (timeouts, expected) => {
    const settings = parseSettings({ ...GOOD, ...providers({ timeouts }) });
    const { timeoutsOf } = providerTable(settings.providers, false, Date.now);
    expect(timeoutsOf("up")).toEqual(expected);
    for (const other of ["simulated", "taken-out"]) expect(timeoutsOf(other)).toEqual({ submitMs: 60_000, pollMs: 30_000 });
  });

  it("sells no larger video of a model that has one size there", () => {
    const plainOnly = (given: object): readonly string[] | undefined => {
      const settings = parseSettings({ ...GOOD, ...providers(given) });
      return providerTable(settings.providers, false, Date.now).routes.find(({ provider }) => provider === "up")?.plainOnly;
    };
    expect(plainOnly({ kind: "veo" })).toEqual(expect.arrayContaining(["veo2", "veo2-fast"]));
    expect(plainOnly({ kind: "veo" })).not.toContain("veo3");
    expect(plainOnly({ kind: "fal" })).toEqual([]);
    expect(plainOnly({ kind: "fal", models: { veo2: "fal-ai/veo2", veo3: "fal-ai/veo3" } })).toEqual(["veo2"]);
    expect(plainOnly({})).toEqual([]);
  });

  it("knows demo keys in local runs only", () => {
    const keys = (["test", "live"] as const).map((mode) => makeApiKey(mode, "demo0000", new Uint8Array(64).fill(7)).text);
    const DEMO_KEYS = keys.join();
    expect(parseSettings({ ...GOOD, DEMO_KEYS }).demo).toBeNull();
    expect(parseSettings({ ...GOOD, DEMO_KEYS, ENVIRONMENT: "local" }).demo?.keys).toEqual(keys);
  });

  it("has no slash at the end of PUBLIC_URL", () => {
    expect(parseSettings({ ...GOOD, PUBLIC_URL: "https://videos.example/api//" }).publicUrl).toBe("https://videos.example/api");
  });
});
