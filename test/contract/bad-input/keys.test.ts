// The bad-input catalogue (reliability.md, section 8), rows 1-7, 10, 11 and 113: what comes in the Authorization header.
import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { makeApiKey, parseApiKey } from "../../../src/core/api-key.ts";
import { aTenant, call, create, createdId, finish, query, type TestTenant } from "../../support/gateway.ts";
import { expectRefusal, readError } from "../../support/refusals.ts";

let owner: TestTenant;
beforeAll(async () => {
  owner = await aTenant();
});
afterAll(reset);
afterEach(() => vi.restoreAllMocks());

const BODY = JSON.stringify({ model: "veo3", prompt: "a lake" });

function createWith(authorization: string | null, headers: Record<string, string> = {}): () => Promise<Response> {
  const all = new Headers({ "content-type": "application/json", ...headers });
  if (authorization !== null) all.set("authorization", authorization);
  return async () => call("/v1/video/create", { method: "POST", headers: all, body: BODY });
}

/** A key that could be one of ours, and is not. */
function unknownKey(): string {
  return makeApiKey("test", "Nobody01", crypto.getRandomValues(new Uint8Array(128))).text;
}

/** Another character for the last one. */
function miswritten(key: string): string {
  return key.slice(0, -1) + (key.endsWith("A") ? "B" : "A");
}

it("row 1: no Authorization is told apart from a wrong one, and how to send one", async () => {
  const reply = await createWith(null)();
  expect(reply.headers.get("WWW-Authenticate")).toBe("Bearer");
  const message = await expectRefusal(owner, createWith(null), { status: 401, code: "missing_api_key" });
  expect(message).toContain("Authorization: Bearer sk-");
});

it.each(["Bearer", "Bearer ", "Basic c2stdGVzdDo=", "sk-test-abc", "Token sk-test-abc"])(
  "row 2: %j is not a key",
  async (header) => {
    const message = await expectRefusal(owner, createWith(header), { status: 401, code: "invalid_api_key" });
    expect(message).toContain("Authorization: Bearer sk-");
  },
);

it("row 2: says WWW-Authenticate", async () => {
  expect((await createWith("Bearer nonsense")()).headers.get("WWW-Authenticate")).toBe("Bearer");
});

it.each(["bearer", "BEARER", "Bearer ", "Bearer   "])("row 3: the scheme may be written %j", async (scheme) => {
  const { key } = await aTenant();
  expect((await createWith(`${scheme} ${key}`)()).status).toBe(200);
});

it("row 4: two Authorization headers are none", async () => {
  const headers = new Headers({ "content-type": "application/json" });
  headers.append("authorization", `Bearer ${owner.key}`);
  headers.append("authorization", `Bearer ${owner.key}`);
  const send = async () => call("/v1/video/create", { method: "POST", headers, body: BODY });
  await expectRefusal(owner, send, { status: 401, code: "invalid_api_key" });
});

describe("what cannot be a key costs no look-up", () => {
  const malformed: [string, (key: string) => string][] = [
    ["row 5: a space inside", (key) => `${key.slice(0, 20)} ${key.slice(20)}`],
    ["row 5: a tab inside", (key) => `${key.slice(0, 20)}\t${key.slice(20)}`],
    ["row 5: a letter beyond ASCII", (key) => `${key.slice(0, -1)}é`],
    ["row 5: 10 kB", (key) => key + "A".repeat(10_000)],
    ["row 5: something after it", (key) => `${key}, ${key}`],
    ["row 6: a wrong checksum", miswritten],
    ["row 6: live for test", (key) => key.replace("-test-", "-live-")],
  ];

  it.each(malformed)("%s", async (_, spoil) => {
    const reads = vi.spyOn(env.TENANTS, "get");
    const hashes = vi.spyOn(crypto.subtle, "digest");
    const reply = await createWith(`Bearer ${spoil(owner.key)}`)();
    expect([reads.mock.calls.length, hashes.mock.calls.length]).toEqual([0, 0]);
    expect(await readError(reply)).toMatchObject({ status: 401, code: "invalid_api_key" });
    await expectRefusal(owner, createWith(`Bearer ${spoil(owner.key)}`), { status: 401, code: "invalid_api_key" });
  });

  it("and the spies would have seen one", async () => {
    const reads = vi.spyOn(env.TENANTS, "get");
    const hashes = vi.spyOn(crypto.subtle, "digest");
    const { key } = await aTenant();
    expect((await query(key, "nothing")).status).toBe(404);
    expect(reads).toHaveBeenCalled();
    expect(hashes).toHaveBeenCalled();
  });
});

describe("row 7: a key that nobody has", () => {
  it("is refused in the words of row 6", async () => {
    await expectRefusal(owner, createWith(`Bearer ${unknownKey()}`), { status: 401, code: "invalid_api_key" });
    const [unknown, wrong] = await Promise.all([
      createWith(`Bearer ${unknownKey()}`)(),
      createWith(`Bearer ${miswritten(owner.key)}`)(),
    ]);
    expect(await unknown.text()).toBe(await wrong.text());
  });

  it("meets the address shield before any look-up", async () => {
    const reads = vi.spyOn(env.TENANTS, "get");
    const guess = createWith(null, { "cf-connecting-ip": "203.0.113.7" });
    expect((await guess()).status).toBe(401);
    // The shield's minute may turn over in the middle, so that it takes up to twice as many as it lets pass.
    let guesses = 0;
    let reply: Response;
    do {
      reply = await createWith(`Bearer ${unknownKey()}`, { "cf-connecting-ip": "203.0.113.7" })();
      guesses++;
    } while (reply.status === 401 && guesses < 1_000);
    expect(reads).toHaveBeenCalledTimes(guesses - 1);
    expect(Number(reply.headers.get("Retry-After"))).toBeGreaterThan(0);
    expect(await readError(reply)).toMatchObject({ status: 429, code: "rate_limit_exceeded" });
    const elsewhere = await createWith(`Bearer ${unknownKey()}`, { "cf-connecting-ip": "203.0.113.8" })();
    expect(elsewhere.status).toBe(401);
  });

  it("is remembered for a while, so that asking again costs nothing", async () => {
    const key = unknownKey();
    await createWith(`Bearer ${key}`)();
    const reads = vi.spyOn(env.TENANTS, "get");
    expect((await createWith(`Bearer ${key}`)()).status).toBe(401);
    expect(reads).not.toHaveBeenCalled();
  });
});

it("row 10: a key that may only read does not create, and is told what it lacks", async () => {
  const reader = await aTenant({ scopes: ["read"] });
  const send = async () => create(reader.key, { model: "veo3", prompt: "a lake" });
  expect(await expectRefusal(reader, send, { status: 403, code: "insufficient_scope" })).toContain('"create"');
  expect((await query(reader.key, "nothing")).status).toBe(404);
});

it("row 11: a key in the URL is no key", async () => {
  const send = async () => call(`/v1/video/create?api_key=${owner.key}`, { method: "POST", body: BODY });
  await expectRefusal(owner, send, { status: 401, code: "missing_api_key" });
});

describe("row 113: headers that claim to be somebody else", () => {
  const spoofed = {
    "X-Forwarded-For": "127.0.0.1",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
    Forwarded: "host=evil.example;proto=http",
    "X-Real-IP": "127.0.0.1",
    "CF-Connecting-IP": "127.0.0.1",
    "X-HTTP-Method-Override": "DELETE",
    "X-Original-URL": "/admin",
  };

  it("do not change who is asked, what is asked or where a link leads", async () => {
    const tenant = await aTenant();
    const id = await createdId(tenant.key);
    await finish(tenant, id);
    const reply = await call(`/v1/video/query?id=${id}`, { key: tenant.key, headers: spoofed });
    const { status, video_url } = await reply.json<{ status: string; video_url: string }>();
    expect([status, new URL(video_url).origin]).toEqual(["completed", "https://gateway.example"]);
    expect(JSON.stringify([...reply.headers])).not.toContain("evil.example");
  });

  it("do not make a GET of create a POST", async () => {
    const reply = await call("/v1/video/create", { key: owner.key, headers: { ...spoofed, "X-HTTP-Method-Override": "POST" } });
    expect(await readError(reply)).toMatchObject({ status: 405, code: "method_not_allowed" });
  });

  it("do not make a wrong key a right one", async () => {
    await expectRefusal(owner, createWith(`Bearer ${miswritten(owner.key)}`, spoofed), { status: 401, code: "invalid_api_key" });
  });
});

it("makes keys that parse, so that the rows above are about what they say", () => {
  expect(parseApiKey(unknownKey())).not.toBeNull();
  expect(parseApiKey(miswritten(owner.key))).toBeNull();
});
