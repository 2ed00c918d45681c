import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RetryableError } from "../../src/core/upstream-errors.ts";
import { googleAccount, googleBaseUrl } from "../../src/providers/google-account.ts";
import { readServiceAccount } from "../../src/providers/google-sign-in.ts";
import { aServiceAccount, publicKey, spread, stubFetch, thrownBy, TOKEN, type Stub } from "../support/google-stub.ts";
import { anUpstream } from "../support/upstreams.ts";

const T0 = Date.UTC(2026, 0, 1);
const BASE = "https://us-central1-aiplatform.googleapis.com";
const signal = new AbortController().signal;
const account = (credential: string, more: Parameters<typeof anUpstream>[0] = {}) =>
  googleAccount(anUpstream({ baseUrl: BASE, credential, ...more }));
const get = { method: "GET", signal } as const;

let stub: Stub;
beforeEach(() => {
  vi.setSystemTime(T0);
  stub = stubFetch();
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const decode = (part = "") => atob(part.replaceAll("-", "+").replaceAll("_", "/"));
const asBytes = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));

describe("an API key", () => {
  it("goes along as a header, and nowhere else", async () => {
    stub.reply(200, {});
    await account("AIza-secret").call(`${BASE}/v1beta/x`, get);
    expect(Object.fromEntries(stub.calls[0]?.headers ?? [])).toEqual({ "x-goog-api-key": "AIza-secret" });
    expect(stub.calls[0]?.url).not.toContain("AIza");
  });

  it("is not tried again when it is refused", async () => {
    stub.reply(401, {});
    expect(await account("AIza-secret").call(`${BASE}/v1beta/x`, get)).toMatchObject({ status: 401 });
    expect(stub.calls).toHaveLength(1);
  });
});

describe("a service account", () => {
  it("signs in with what Google asks for", async () => {
    const credential = aServiceAccount();
    stub.reply(200, TOKEN);
    stub.reply(200, {});
    await account(credential).call(`${BASE}/v1/x`, get);
    const [signIn, call] = stub.calls;
    expect(signIn).toMatchObject({ url: "https://oauth2.googleapis.com/token", method: "POST" });
    expect(Object.fromEntries(signIn?.headers ?? [])).toEqual({ "content-type": "application/x-www-form-urlencoded" });
    const form = new URLSearchParams(signIn?.body as string);
    expect(form.get("grant_type")).toBe("urn:ietf:params:oauth:grant-type:jwt-bearer");
    const [head, claims, signature] = form.get("assertion")?.split(".") ?? [];
    expect(JSON.parse(decode(head))).toEqual({ alg: "RS256", typ: "JWT", kid: "key-1" });
    expect(JSON.parse(decode(claims))).toEqual({
      iss: (JSON.parse(credential) as { client_email: string }).client_email,
      scope: "https://www.googleapis.com/auth/cloud-platform",
      aud: "https://oauth2.googleapis.com/token",
      iat: T0 / 1000,
      exp: T0 / 1000 + 3600,
    });
    const signed = asBytes(`${head}.${claims}`);
    expect(await crypto.subtle.verify("RSASSA-PKCS1-v1_5", publicKey, asBytes(decode(signature)), signed)).toBe(true);
    expect(Object.fromEntries(call?.headers ?? [])).toEqual({ authorization: "Bearer ya29.token-1" });
  });

  it("keeps its token until five minutes before it ends, whoever asks", async () => {
    const credential = aServiceAccount();
    stub.reply(200, TOKEN);
    for (let n = 0; n < 3; n++) stub.reply(200, {});
    await account(credential).call(`${BASE}/v1/x`, get);
    vi.setSystemTime(T0 + (3599 - 300) * 1000 - 1);
    await account(credential).call(`${BASE}/v1/x`, get);
    expect(stub.calls).toHaveLength(3);
    vi.setSystemTime(T0 + (3599 - 300) * 1000);
    stub.calls.length = 0;
    await account(credential)
      .call(`${BASE}/v1/x`, get)
      .catch(() => undefined);
    expect(stub.calls[0]?.url).toBe("https://oauth2.googleapis.com/token");
  });

  it("has a token of its own", async () => {
    for (const token of ["ya29.a", "ya29.b"]) {
      stub.reply(200, { ...TOKEN, access_token: token });
      stub.reply(200, {});
      await account(aServiceAccount()).call(`${BASE}/v1/x`, get);
    }
    expect(stub.calls.map(({ headers }) => headers.get("authorization"))).toEqual([null, "Bearer ya29.a", null, "Bearer ya29.b"]);
  });

  it("asks once more with a fresh token where another call has thrown the refused one away already", async () => {
    const credential = aServiceAccount();
    const of = account(credential);
    const refusals = 2;
    let asked = 0;
    let fresh = 0;
    vi.mocked(fetch).mockImplementation(async (input, init) => {
      const url = new Request(input).url;
      if (url.endsWith("/token")) return Response.json({ ...TOKEN, access_token: `ya29.${fresh++}` });
      const isOld = new Headers(init?.headers).get("authorization") === "Bearer ya29.0";
      if (!isOld || url.endsWith("/first")) return Response.json({ name: "x" });
      // Both have the old one in hand before either hears that it is refused.
      asked++;
      await vi.waitUntil(() => asked >= refusals);
      return Response.json({}, { status: 401 });
    });
    await of.call(`${BASE}/v1/first`, get);
    const both = await Promise.all([of.call(`${BASE}/v1/x`, get), of.call(`${BASE}/v1/y`, get)]);
    expect(both.map(({ status }) => status)).toEqual([200, 200]);
  });

  it("renews a token that is refused, once", async () => {
    const credential = aServiceAccount();
    for (const [status, body] of [
      [200, TOKEN],
      [401, {}],
      [200, { ...TOKEN, access_token: "ya29.token-2" }],
      [401, {}],
    ] as const)
      stub.reply(status, body);
    expect(await account(credential).call(`${BASE}/v1/x`, get)).toMatchObject({ status: 401 });
    expect(stub.calls.map(({ headers }) => headers.get("authorization"))).toEqual([
      null,
      "Bearer ya29.token-1",
      null,
      "Bearer ya29.token-2",
    ]);
  });

  const unauthorized = new RetryableError("unauthorized", 60_000);
  const unavailable = new RetryableError("unavailable");
  it.each([
    [400, { error: "invalid_grant", error_description: "CANARY" }, unauthorized],
    [401, { error: "invalid_client" }, unauthorized],
    [403, {}, unauthorized],
    [404, "<html>CANARY</html>", unauthorized],
    [429, {}, new RetryableError("rate_limited")],
    [500, "<html>CANARY</html>", unavailable],
    [503, {}, unavailable],
    [302, "", unavailable],
    [200, {}, unavailable],
    [200, "<html>CANARY</html>", unavailable],
    [200, { access_token: "" }, unavailable],
    [200, { access_token: "two\nlines" }, unavailable],
    [200, { access_token: "x".repeat(8_193) }, unavailable],
    [200, { access_token: { CANARY: 1 } }, unavailable],
  ])("is not signed in by %i %j, and asks for nothing", async (status, body, error) => {
    stub.reply(status, body, { location: "https://canary.example/" });
    const thrown = await thrownBy(account(aServiceAccount()).call(`${BASE}/v1/x`, get));
    expect(thrown).toEqual(error);
    expect(spread(thrown)).not.toMatch(/canary/i);
    expect(stub.calls).toHaveLength(1);
  });

  it("may be tried again where the sign-in breaks", async () => {
    expect(await thrownBy(account(aServiceAccount()).call(`${BASE}/v1/x`, get))).toEqual(unavailable);
  });

  it("is kept no longer than its reply says, and not at all where that does not say", async () => {
    const credential = aServiceAccount();
    for (let n = 0; n < 2; n++) {
      stub.reply(200, { access_token: "ya29.token-1" });
      stub.reply(200, {});
      await account(credential).call(`${BASE}/v1/x`, get);
    }
    expect(stub.calls.map(({ method }) => method)).toEqual(["POST", "GET", "POST", "GET"]);
  });

  it.each([
    ["no JSON", "{"],
    ["no key", aServiceAccount({ private_key: undefined })],
    ["a key that is none", aServiceAccount({ private_key: "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----" })],
    ["no project", aServiceAccount({ project_id: undefined })],
    ["a project that is a path", aServiceAccount({ project_id: "a/../b" })],
    ["another place to sign in", aServiceAccount({ token_uri: "https://canary.example/token" })],
    ["a metadata service to sign in", aServiceAccount({ token_uri: "http://169.254.169.254/token" })],
    ["this machine to sign in, which is for local runs", aServiceAccount({ token_uri: "http://127.0.0.1:9/token" })],
    ["a host that begins as this machine", aServiceAccount({ token_uri: "http://127.0.0.1.canary.example/token" })],
    ["a user name that looks like this machine", aServiceAccount({ token_uri: "http://127.0.0.1:9@canary.example/token" })],
  ])("with %s is the operator's to put right, and asks nobody", async (_, credential) => {
    const thrown = await thrownBy(account(credential).call(`${BASE}/v1/x`, get));
    expect(thrown).toEqual(unauthorized);
    expect(spread(thrown)).not.toMatch(/canary/i);
    expect(stub.calls).toHaveLength(0);
  });

  it("may sign in at this machine in local runs, and still nowhere else", () => {
    expect(readServiceAccount(aServiceAccount({ token_uri: "http://127.0.0.1:9/token" }), true)).not.toBeNull();
    expect(readServiceAccount(aServiceAccount({ token_uri: "http://127.0.0.1:9@canary.example/token" }), true)).toBeNull();
    expect(readServiceAccount(aServiceAccount({ token_uri: "https://canary.example/token" }), true)).toBeNull();
    expect(readServiceAccount(aServiceAccount({ token_uri: undefined }), false)).not.toBeNull();
  });
});

describe("where the API is", () => {
  it.each([
    ["AIza-secret", "us-central1", "https://generativelanguage.googleapis.com"],
    ["{}", "us-central1", "https://us-central1-aiplatform.googleapis.com"],
    ["{}", "global", "https://aiplatform.googleapis.com"],
    ["{}", "eu", "https://aiplatform.eu.rep.googleapis.com"],
    [" {}", "us", "https://aiplatform.us.rep.googleapis.com"],
  ])("%s in %s: %s", (credential, region, url) => {
    expect(googleBaseUrl(credential, region)).toBe(url);
  });
});

describe("opening a URL", () => {
  const VIDEO = { "content-type": "video/mp4", "content-length": "1" };
  const key = account("AIza-secret");
  const stored = { storageUri: "gs://reelay-videos/out/" };
  const open = (of: ReturnType<typeof account>, url: string) => of.openUrl(url, null, signal);

  it.each([
    [`${BASE}/v1beta/files/abc`, `${BASE}/v1beta/files/abc?alt=media`],
    [`${BASE}/v1beta/files/abc:download?alt=media`, `${BASE}/v1beta/files/abc:download?alt=media`],
    [`${BASE}/download/v.mp4?sig=a%20b`, `${BASE}/download/v.mp4?sig=a%20b`],
    [`${BASE}/files/v.mp4?sig=a%20b`, `${BASE}/files/v.mp4?sig=a%20b`],
  ])("asks the account's own origin for bytes, with the key: %s", async (url, asked) => {
    stub.queue(() => new Response("x", { headers: VIDEO }));
    expect(await open(key, url)).toMatchObject({ length: 1, offset: 0 });
    expect(stub.calls[0]?.url).toBe(asked);
    expect(stub.calls[0]?.headers.get("x-goog-api-key")).toBe("AIza-secret");
  });

  it("leaves other origins' URLs as they are, and the key at home", async () => {
    stub.queue(() => new Response("x", { headers: VIDEO }));
    await open(key, "https://cdn.example.com/files/abc");
    expect(stub.calls[0]?.url).toBe("https://cdn.example.com/files/abc");
    expect(stub.calls[0]?.headers.has("x-goog-api-key")).toBe(false);
  });

  it("carries the key over no redirect to elsewhere", async () => {
    stub.queue(() => new Response(null, { status: 302, headers: { location: "https://cdn.example.com/v.mp4" } }));
    stub.queue(() => new Response("x", { headers: VIDEO }));
    await open(key, `${BASE}/v1beta/files/abc`);
    expect(stub.calls.map(({ headers }) => headers.has("x-goog-api-key"))).toEqual([true, false]);
  });

  it("reads the operator's bucket with the token", async () => {
    stub.reply(200, TOKEN);
    stub.queue(() => new Response("x", { headers: VIDEO }));
    await open(account(aServiceAccount(), stored), "gs://reelay-videos/out/a b/v%2F.mp4");
    expect(stub.calls[1]?.url).toBe(
      "https://storage.googleapis.com/storage/v1/b/reelay-videos/o/out%2Fa%20b%2Fv%252F.mp4?alt=media",
    );
    expect(stub.calls[1]?.headers.get("authorization")).toBe("Bearer ya29.token-1");
  });

  it("reads buckets at a base URL on this machine in local runs", async () => {
    stub.reply(200, TOKEN);
    stub.queue(() => new Response("x", { headers: VIDEO }));
    const local = account(aServiceAccount(), { ...stored, baseUrl: "http://127.0.0.1:9", allowLoopback: true });
    await open(local, "gs://reelay-videos/v.mp4");
    expect(stub.calls[1]?.url).toBe("http://127.0.0.1:9/storage/v1/b/reelay-videos/o/v.mp4?alt=media");
  });

  it.each([
    ["another's bucket", "gs://somebody-else/v.mp4", stored],
    ["a bucket that begins as ours", "gs://reelay-videos-2/v.mp4", stored],
    ["a bucket where none was named", "gs://reelay-videos/v.mp4", {}],
    ["no bucket", "gs:///v.mp4", stored],
    ["no object", "gs://reelay-videos/", stored],
    ["a path for a bucket", "gs://../v.mp4", stored],
    ["a private host", "https://10.0.0.1/v.mp4", stored],
    ["a metadata service", "http://169.254.169.254/computeMetadata/v1/", stored],
    ["a script", "javascript:alert(1)", stored],
  ])("refuses %s", async (_, url, more) => {
    stub.reply(200, TOKEN);
    const of = account(aServiceAccount(), more);
    expect(await thrownBy(open(of, url))).toMatchObject({ name: "RefusedError", by: "task", reason: "upstream_invalid_result" });
    for (const each of stub.calls) expect(each.url).toBe("https://oauth2.googleapis.com/token");
  });

  it("refuses a bucket that comes to an API key", async () => {
    expect(await thrownBy(open(account("AIza-secret", stored), "gs://reelay-videos/v.mp4"))).toMatchObject({
      name: "RefusedError",
    });
    expect(stub.calls).toHaveLength(0);
  });
});
