// Task tokens: what a web page may hold instead of the API key.
import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { wire } from "../../src/wire.ts";
import { aTenant, call, callWith, createdId, finish, query, type TestTenant } from "../support/gateway.ts";
import { expectRefusal, readError } from "../support/refusals.ts";

const INVALID = { status: 401, code: "invalid_task_token" };
const SECOND = 1_000;

let owner: TestTenant;
let id: string;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 86_400_000 });
  owner = await aTenant();
  id = await createdId(owner.key, { prompt: "a lake [[stuck]]" });
});
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

async function ask(body: unknown, key = owner.key): Promise<Response> {
  const init = { method: "POST", key, headers: { "content-type": "application/json" } };
  return call("/v1/video/token", { ...init, body: JSON.stringify(body) });
}

async function tokenFor(task: string, seconds?: number): Promise<string> {
  return (await (await ask({ id: task, expires_in: seconds })).json<{ token: string }>()).token;
}

describe("POST /v1/video/token", () => {
  it.each([
    [{}, 900],
    [{ expires_in: null }, 900],
    [{ expires_in: 60 }, 60],
    [{ expires_in: 3_600 }, 3_600],
  ])("with %j gives a token, and until when it is good", async (given, seconds) => {
    const reply = await ask({ id, ...given });
    expect([reply.status, await reply.json()]).toEqual([
      200,
      { id, token: expect.stringMatching(/^vt_test_[\w-]+$/), expires_at: Math.floor(Date.now() / 1000) + seconds },
    ]);
  });

  it.each<[object, string, string]>([
    [{ expires_in: 59 }, "invalid_value", "expires_in"],
    [{ expires_in: 3_601 }, "invalid_value", "expires_in"],
    [{ expires_in: 900.5 }, "invalid_type", "expires_in"],
    [{ expires_in: "900" }, "invalid_type", "expires_in"],
    [{ id: undefined }, "missing_required_parameter", "id"],
    [{ id: "" }, "missing_required_parameter", "id"],
    [{ id: 1 }, "invalid_type", "id"],
    [{ expires: 900 }, "unknown_parameter", "expires"],
  ])("refuses %j", async (given, code, param) => {
    await expectRefusal(owner, async () => ask({ id, ...given }), { status: 400, code, param });
  });

  it("knows no tasks but the caller's own", async () => {
    const [other, live] = [await aTenant(), await aTenant({ tenant: owner.tenant, mode: "live" })];
    const answers = await Promise.all([ask({ id }, other.key), ask({ id }, live.key), ask({ id: `${id}x` })]);
    const bodies = await Promise.all(answers.map(async (reply) => [reply.status, await reply.text()]));
    expect(new Set(bodies.map(String)).size).toBe(1);
    expect(bodies[0]?.[0]).toBe(404);
  });

  it("wants a key that may read", async () => {
    const { key } = await aTenant({ tenant: owner.tenant, scopes: ["create"] });
    expect(await readError(await ask({ id }, key))).toMatchObject({ status: 403, code: "insufficient_scope" });
  });

  it("gives no token for a token", async () => {
    const token = await tokenFor(id);
    expect(await readError(await ask({ id }, token))).toMatchObject({ status: 401, code: "invalid_api_key" });
  });
});

describe("a task token", () => {
  it("reads its task as the API key does, in the header or in the URL", async () => {
    const token = await tokenFor(id);
    const body = await (await query(owner.key, id)).text();
    const replies = [await query(token, id), await call(`/v1/video/query?id=${id}&token=${token}`)];
    for (const reply of replies) expect([reply.status, await reply.text()]).toEqual([200, body]);
  });

  it("leads to the video", async () => {
    const done = await createdId(owner.key);
    const token = await tokenFor(done);
    await finish(owner, done);
    const { video_url: link } = await (await query(token, done)).json<{ video_url: string }>();
    expect((await call(link)).headers.get("content-type")).toBe("video/mp4");
  });

  it("opens its task's events, and no others", async () => {
    const token = await tokenFor(id);
    const opened = await call(`/v1/video/events?id=${id}&token=${token}`);
    expect(opened.headers.get("content-type")).toMatch(/^text\/event-stream\b/);
    await opened.body?.cancel();
    for (const search of [`?token=${token}`, `?id=${await createdId(owner.key)}&token=${token}`]) {
      expect(await readError(await call(`/v1/video/events${search}`))).toMatchObject(INVALID);
    }
  });

  it("is good for no other task of its tenant, and for none of another's", async () => {
    const token = await tokenFor(id);
    const other = await aTenant();
    for (const foreign of [await createdId(owner.key), await createdId(other.key), "x", ""]) {
      expect(await readError(await query(token, foreign))).toMatchObject(INVALID);
    }
  });

  it("is no key", async () => {
    const token = await tokenFor(id);
    for (const [method, path] of [
      ...["/v1/video/list", "/v1/account", "/v1/account/journal", "/v1/usage", "/v1/webhooks"].map(
        (each) => ["GET", each] as const,
      ),
      ...["create", "quote", "token", "cancel", "delete", "link"].map((each) => ["POST", `/v1/video/${each}`] as const),
    ]) {
      const inHeader = await call(`${path}?id=${id}`, { method, key: token });
      const inUrl = await call(`${path}?id=${id}&token=${token}`, { method });
      for (const reply of [inHeader, inUrl]) expect([401, 404], path).toContain(reply.status);
    }
  });

  it("is refused once its time is over", async () => {
    const token = await tokenFor(id, 60);
    vi.setSystemTime(Date.now() + 60 * SECOND);
    expect(await readError(await query(token, id))).toMatchObject({ status: 401, code: "task_token_expired" });
    expect((await query(token, id)).headers.get("www-authenticate")).toBe("Bearer");
  });

  it("outlives a change of the operator's secret", async () => {
    const token = await tokenFor(id);
    const path = `/v1/video/query?id=${id}`;
    const { TASK_ID_SECRETS: secret } = env as unknown as Record<string, string>;
    expect((await callWith({ TASK_ID_SECRETS: `a-new-id-secret,${secret}` }, path, { key: token })).status).toBe(200);
    expect((await callWith({ TASK_ID_SECRETS: "a-new-id-secret" }, path, { key: token })).status).toBe(401);
  });

  it("stops within a minute of its tenant's being suspended", async () => {
    const token = await tokenFor(id);
    expect((await query(token, id)).status).toBe(200);
    await wire(env).booksOf(owner.tenant, owner.mode).configure({ status: "suspended" });
    vi.setSystemTime(Date.now() + 60 * SECOND);
    expect(await readError(await query(token, id))).toMatchObject({ status: 403, code: "account_suspended" });
  });

  it("is believed by nobody while nobody knows whether its tenant stands", async () => {
    const token = await tokenFor(id);
    const broken = { get: () => Promise.reject(new Error("KV is down")) };
    const reply = await callWith({ TENANTS: broken }, `/v1/video/query?id=${id}`, { key: token });
    expect(await readError(reply)).toMatchObject({ status: 503, code: "auth_unavailable" });
  });

  it("asks the ledger where KV has not heard of the tenant yet", async () => {
    const token = await tokenFor(id);
    const empty = { get: async () => null };
    expect((await callWith({ TENANTS: empty }, `/v1/video/query?id=${id}`, { key: token })).status).toBe(200);
  });

  it("comes second to what the header says", async () => {
    const token = await tokenFor(id);
    const path = `/v1/video/query?id=${id}&token=${token}`;
    expect((await call(path.replace(token, "rubbish"), { key: owner.key })).status).toBe(200);
    expect(await readError(await call(path, { headers: { authorization: "Bearer rubbish" } }))).toMatchObject({
      code: "invalid_api_key",
    });
  });

  it("is never an API key in a URL", async () => {
    const message = await expectRefusal(owner, async () => call(`/v1/video/query?id=${id}&token=${owner.key}`), INVALID);
    expect(message).not.toContain(owner.key);
  });

  it("is nothing else", async () => {
    for (const token of ["", "vt_", "vt_test", "%00", "vt_%0d%0a", "null"]) {
      await expectRefusal(owner, async () => call(`/v1/video/query?id=${id}&token=${token}`), INVALID);
    }
  });

  it("is given once, as the id is", async () => {
    const token = await tokenFor(id);
    const twice = { status: 400, code: "duplicate_parameter" };
    await expectRefusal(owner, async () => call(`/v1/video/query?id=${id}&token=${token}&token=${token}`), {
      ...twice,
      param: "token",
    });
    await expectRefusal(owner, async () => call(`/v1/video/query?id=${id}&id=x&token=${token}`), { ...twice, param: "id" });
  });

  it("is in no line of the log", async () => {
    const token = await tokenFor(id);
    const lines: string[] = [];
    for (const level of ["log", "info", "warn", "error"] as const) {
      vi.spyOn(console, level).mockImplementation((...parts: unknown[]) => void lines.push(parts.map(String).join(" ")));
    }
    await call(`/v1/video/query?id=${id}&token=${token}`);
    await query(token, id);
    expect(lines.length).toBeGreaterThan(1);
    expect(lines.join("\n")).not.toContain(token.slice(0, 30));
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ tenant: owner.tenant, key: owner.keyId, task: id });
  });
});
