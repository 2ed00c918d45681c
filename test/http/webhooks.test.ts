// Webhooks as a tenant meets them: endpoints, secrets, the log, replays, and everything that is refused.
import { env } from "cloudflare:workers";
import { listDurableObjectIds, reset, runDurableObjectAlarm } from "cloudflare:test";
import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { wire } from "../../src/wire.ts";
import { DAY } from "../support/builders.ts";
import { aTenant, call, callWith, ORIGIN, type TestTenant } from "../support/gateway.ts";
import { readError } from "../support/refusals.ts";
import { ANOTHER_SECRET, RECEIVER, SECRET, someNews } from "../support/webhooks.ts";

let owner: TestTenant;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + DAY });
  owner = await aTenant();
});

afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

interface EndpointReply {
  readonly id: string;
  readonly secret: string;
  readonly [field: string]: unknown;
}

interface DeliveryReply {
  readonly id: string;
  readonly state: string;
  readonly attempts: readonly Record<string, unknown>[];
  readonly request: { readonly headers: Record<string, string>; readonly body: Record<string, unknown> };
  readonly [field: string]: unknown;
}

async function send(method: string, path: string, body?: unknown, key = owner.key): Promise<Response> {
  const given = body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  return call(`/v1/webhooks${path}`, { method, key, ...given });
}

async function told<Reply>(method: string, path: string, body?: unknown): Promise<Reply> {
  const reply = await send(method, path, body);
  if (reply.status !== 200) throw new Error(`${method} ${path}: ${reply.status} ${await reply.text()}`);
  return reply.json<Reply>();
}

async function refused(method: string, path: string, body?: unknown, key = owner.key) {
  const { status, code, param } = await readError(await send(method, path, body, key));
  return { status, code, param };
}

async function add(body: Record<string, unknown> = {}): Promise<EndpointReply> {
  return told<EndpointReply>("POST", "", { url: RECEIVER, ...body });
}

/** Every receiver there is. */
function receive(answer: () => Response = () => new Response("ok")) {
  return vi.spyOn(globalThis, "fetch").mockImplementation(async () => answer());
}

async function tell(...news: Parameters<typeof someNews>): Promise<void> {
  await wire(env)
    .eventsOf(owner.tenant, owner.mode)
    .publish([someNews(...news)]);
  await wake();
}

async function wake(): Promise<void> {
  await runDurableObjectAlarm(env.TENANT_EVENTS.getByName(`${owner.tenant}/${owner.mode}`) as unknown as DurableObjectStub);
}

async function deliveries(query = ""): Promise<readonly DeliveryReply[]> {
  return (await told<{ data: DeliveryReply[] }>("GET", `/deliveries${query}`)).data;
}

describe("an endpoint", () => {
  it("is made with a secret that is told this once", async () => {
    const { secret, ...made } = await add({ description: "Orders" });
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(made).toEqual({
      object: "webhook",
      id: expect.stringMatching(/^whe_[a-z2-7]{16}$/),
      url: RECEIVER,
      events: ["video.created", "video.processing", "video.completed", "video.failed"],
      description: "Orders",
      status: "enabled",
      disabled_reason: null,
      disabled_at: null,
      failing_since: null,
      previous_secret_expires_at: null,
      created_at: Math.floor(Date.now() / 1000),
    });
    expect(await told("GET", `/${made.id}`)).toEqual(made);
    expect(await told("GET", "")).toEqual({ object: "list", data: [made] });
  });

  it("may bring its secret, and ask for some events only", async () => {
    expect(await add({ secret: SECRET, events: ["video.failed", "video.failed"] })).toMatchObject({
      secret: SECRET,
      events: ["video.failed"],
    });
  });

  it("is changed, disabled and enabled, and keeps what is not named", async () => {
    const { id } = await add({ description: "Orders" });
    const changed = await told("PATCH", `/${id}`, { url: "https://Other.example", events: ["video.failed"], description: null });
    expect(changed).toMatchObject({
      url: "https://other.example/",
      events: ["video.failed"],
      description: null,
      status: "enabled",
    });
    expect(await told("PATCH", `/${id}`, { status: "disabled" })).toMatchObject({
      status: "disabled",
      disabled_reason: "by_tenant",
      events: ["video.failed"],
    });
    expect(await told("PATCH", `/${id}`, { status: "enabled" })).toMatchObject({ status: "enabled", disabled_reason: null });
  });

  it("is gone when it is deleted", async () => {
    const { id } = await add();
    expect(await told("DELETE", `/${id}`)).toEqual({ id, object: "webhook.deleted", deleted: true });
    expect(await refused("DELETE", `/${id}`)).toEqual({ status: 404, code: "webhook_not_found", param: null });
    expect(await told("GET", "")).toEqual({ object: "list", data: [] });
  });

  it("gets a new secret, with a day of both unless said otherwise", async () => {
    const { id, secret } = await add();
    const now = Math.floor(Date.now() / 1000);
    const rolled = await told<EndpointReply>("POST", `/${id}/roll`);
    expect(rolled).toMatchObject({ id, previous_secret_expires_at: now + 86_400 });
    expect(rolled.secret).not.toBe(secret);
    expect(await told("POST", `/${id}/roll`, { overlap_seconds: 0, secret: ANOTHER_SECRET })).toMatchObject({
      secret: ANOTHER_SECRET,
      previous_secret_expires_at: null,
    });
  });

  it("is tried out with a sample that is no task, and told how that went", async () => {
    const fetching = receive(() => new Response("who are you?", { status: 401 }));
    const { id, secret } = await add();
    const tried = await told<DeliveryReply>("POST", `/${id}/test`);
    expect(tried).toMatchObject({
      object: "webhook_delivery",
      endpoint: id,
      event: "video.completed",
      test: true,
      state: "failed",
      last_status: 401,
      attempts: [{ url: RECEIVER, status: 401, error: null, reply: "who are you?" }],
    });
    const { headers, body } = fetching.mock.calls[0]?.[1] ?? {};
    expect(headers).toMatchObject({ "webhook-test": "true" });
    vi.setSystemTime(Number((headers as Record<string, string>)["webhook-timestamp"]) * 1000);
    expect(new Webhook(secret).verify(body as string, headers as Record<string, string>)).toMatchObject({
      id: expect.stringMatching(/^veo3:\d+-sample/),
      status: "completed",
    });
  });
});

describe("a sample", () => {
  it.each([
    ["video.created", { status: "pending", video_url: null }],
    ["video.processing", { status: "processing", video_url: null }],
    ["video.completed", { status: "completed", video_url: expect.stringContaining("/v1/video/file/") }],
    ["video.failed", { status: "failed", video_url: null, error: { code: "content_policy", message: expect.any(String) } }],
  ])("is of the event that was asked for: %s", async (event, body) => {
    receive();
    const { id } = await add();
    const tried = await told<DeliveryReply>("POST", `/${id}/test`, { event });
    expect(tried).toMatchObject({ event, test: true, state: "delivered", request: { headers: { "webhook-event": event }, body } });
  });

  it("has a link that leads to no video, and is told so as any other", async () => {
    receive();
    const { id } = await add();
    const { request } = await told<{ request: { body: { video_url: string } } }>("POST", `/${id}/test`);
    const link = new URL(request.body.video_url);
    expect(await readError(await call(link.pathname + link.search))).toMatchObject({ status: 404, code: "video_expired" });
  });

  it("of no event that there is is refused", async () => {
    const { id } = await add();
    expect(await refused("POST", `/${id}/test`, { event: "video.done" })).toEqual({
      status: 400,
      code: "invalid_value",
      param: "event",
    });
  });
});

describe("tasks' own webhooks", () => {
  it("have a secret of the account, which stays until it is changed", async () => {
    const first = await told<EndpointReply>("GET", "/secret");
    expect(first).toEqual({ object: "webhook_secret", secret: expect.stringMatching(/^whsec_/), previous_secret_expires_at: null });
    expect(await told("GET", "/secret")).toEqual(first);
    const rolled = await told<EndpointReply>("POST", "/secret/roll", { overlap_seconds: 60 });
    expect(rolled["previous_secret_expires_at"]).toBe(Math.floor(Date.now() / 1000) + 60);
    expect((await told<EndpointReply>("GET", "/secret")).secret).toBe(rolled.secret);
  });

  it("are signed with it", async () => {
    const { secret } = await told<EndpointReply>("GET", "/secret");
    const fetching = receive();
    await tell("video.failed", { webhookUrl: "https://own.example/" });
    const { headers, body } = fetching.mock.calls[0]?.[1] ?? {};
    vi.setSystemTime(Number((headers as Record<string, string>)["webhook-timestamp"]) * 1000);
    expect(new Webhook(secret).verify(body as string, headers as Record<string, string>)).toMatchObject({ status: "failed" });
    expect(await deliveries("?endpoint=task")).toMatchObject([{ endpoint: null, event: "video.failed", state: "delivered" }]);
  });
});

describe("the deliveries' log", () => {
  it("shows what was sent, and what came back", async () => {
    receive(() => new Response("<b>no</b>", { status: 500 }));
    const { id } = await add();
    await tell("video.completed");
    const [listed] = await deliveries();
    expect(listed).toEqual({
      object: "webhook_delivery",
      id: expect.stringMatching(/^msg_[a-z2-7]{16}-1$/),
      endpoint: id,
      task: someNews().task.id,
      event: "video.completed",
      test: false,
      state: "pending",
      created_at: Math.floor(Date.now() / 1000),
      next_attempt_at: expect.any(Number),
      last_status: 500,
      last_error: null,
    });
    const detail = await told<DeliveryReply>("GET", `/deliveries/${listed?.id}`);
    expect(detail).toMatchObject({ ...listed, attempts: [{ url: RECEIVER, status: 500, error: null, reply: "<b>no</b>" }] });
    expect(detail.request.headers).toMatchObject({ "webhook-id": listed?.id, "webhook-event": "video.completed" });
    expect(detail.request.headers).not.toHaveProperty("webhook-signature");
    expect(detail.request.body).toMatchObject({
      id: someNews().task.id,
      status: "completed",
      video_url: expect.stringContaining("/v1/video/file/"),
    });
  });

  it("is walked page by page, and filtered", async () => {
    receive();
    await add();
    await tell("video.created");
    await tell("video.processing");
    await tell("video.completed");
    const first = await told<{ data: DeliveryReply[]; has_more: boolean; last_id: string }>("GET", "/deliveries?limit=2");
    expect(first.data.map(({ event }) => event)).toEqual(["video.completed", "video.processing"]);
    expect(first).toMatchObject({ object: "list", has_more: true, last_id: first.data[1]?.id });
    expect(await told("GET", `/deliveries?limit=2&after=${first.last_id}`)).toMatchObject({
      data: [{ event: "video.created" }],
      has_more: false,
    });
    expect(await deliveries("?state=failed")).toEqual([]);
    expect(await deliveries("?state=delivered")).toHaveLength(3);
    const id = someNews().task.id.replace(/:\d+/, `:${Math.floor(Date.now() / 1000)}`);
    await tell("video.created", { task: { id } });
    expect(await deliveries(`?task=${encodeURIComponent(id)}`)).toMatchObject([{ task: id, event: "video.created" }]);
    expect(await deliveries("?endpoint=whe_aaaaaaaaaaaaaaaa")).toEqual([]);
  });

  it("lets one be sent again, and all that failed", async () => {
    receive(() => new Response("", { status: 410 }));
    const { id } = await add();
    await tell("video.created");
    await tell("video.completed");
    expect(await told("GET", `/${id}`)).toMatchObject({ status: "disabled", disabled_reason: "gone" });
    const [last] = await deliveries();
    expect(await refused("POST", `/deliveries/${last?.id}/replay`)).toEqual({ status: 409, code: "webhook_disabled", param: null });
    await told("PATCH", `/${id}`, { status: "enabled" });
    receive();
    expect(await told("POST", `/deliveries/${last?.id}/replay`)).toMatchObject({ id: last?.id, state: "pending" });
    await wake();
    expect(await deliveries()).toMatchObject([{ state: "delivered" }, { state: "failed" }]);
    expect(await told("POST", `/${id}/replay`, {})).toEqual({ object: "webhook.replay", replayed: 1, has_more: false });
    await wake();
    expect(await deliveries("?state=delivered")).toHaveLength(2);
  });
});

describe("what is refused", () => {
  // Row 109. What of a URL is judged, and how, is test/net/url-policy's.
  it.each([
    "http://receiver.example/",
    "https://10.0.0.1/",
    "https://localhost/",
    "https://user:pass@receiver.example/",
    "https://receiver.example:8443/",
    `${ORIGIN}/v1/video/create`,
    "https://x.workers.dev/",
    "ftp://receiver.example/",
    "receiver.example",
    "",
    "https://receiver.example/\\",
    `https://receiver.example/${"x".repeat(3_000)}`,
  ])("row 109: url %j", async (url) => {
    const reply = await send("POST", "", { url });
    const { message, ...error } = await readError(reply);
    expect(error).toEqual({ status: 400, code: "webhook_url_not_allowed", param: "url" });
    expect(message).toMatch(/^url must (?!.*receiver)/);
  });

  it("row 109: a change to such a url", async () => {
    const { id } = await add();
    const bad = { url: "https://10.0.0.1/", events: ["video.failed"] };
    expect(await refused("PATCH", `/${id}`, bad)).toEqual({ status: 400, code: "webhook_url_not_allowed", param: "url" });
    expect(await told("GET", "")).toMatchObject({ data: [{ id, url: RECEIVER, events: { length: 4 } }] });
  });

  it("row 109: http to this machine, unless it is a developer's", async () => {
    expect(await add({ url: "http://127.0.0.1:9000/hook" })).toMatchObject({ url: "http://127.0.0.1:9000/hook" });
    const init = { method: "POST", key: owner.key, headers: { "content-type": "application/json" } };
    const body = JSON.stringify({ url: "http://127.0.0.1:9000/hook" });
    const reply = await callWith({ ENVIRONMENT: "production", DEMO_KEYS: "" }, "/v1/webhooks", { ...init, body });
    expect((await readError(reply)).code).toBe("webhook_url_not_allowed");
  });

  it.each(["127.0.0.1:8787", "localhost:8787", "[::1]:8787"])(
    "the gateway's own address on a developer's machine, as %s",
    async (host) => {
      const own = "http://127.0.0.1:8787";
      const send = async (url: string) =>
        callWith({ PUBLIC_URL: own }, "/v1/webhooks", {
          method: "POST",
          key: owner.key,
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ url }),
        });
      expect((await readError(await send(`http://${host}/hook`))).code).toBe("webhook_url_not_allowed");
      expect((await send(`http://${host.replace("8787", "8788")}/hook`)).status).toBe(200);
    },
  );

  it.each([
    [{ url: 5 }, "invalid_type", "url"],
    [{ url: null }, "invalid_type", "url"],
    [{ events: [] }, "invalid_value", "events"],
    [{ events: ["video.done"] }, "invalid_value", "events.0"],
    [{ events: "video.failed" }, "invalid_type", "events"],
    [{ description: "x".repeat(201) }, "invalid_value", "description"],
    [{ description: "two\r\nlines" }, "invalid_characters", "description"],
    [{ secret: "whsec_c2hvcnQ=" }, "invalid_value", "secret"],
    [{ secret: "a password of thirty-two letters" }, "invalid_value", "secret"],
    [{ event: ["video.failed"] }, "unknown_parameter", "event"],
  ])("rows 110 and 114: %j", async (body, code, param) => {
    expect(await refused("POST", "", { url: RECEIVER, ...body })).toEqual({ status: 400, code, param });
  });

  it("row 110: an eleventh endpoint", async () => {
    for (let each = 0; each < 10; each++) await add();
    expect(await refused("POST", "", { url: RECEIVER })).toEqual({ status: 400, code: "limit_reached", param: null });
  });

  it.each([
    ["?limit=0", "invalid_value", "limit"],
    ["?limit=-1", "invalid_value", "limit"],
    ["?limit=1e9", "invalid_value", "limit"],
    ["?limit=x", "invalid_value", "limit"],
    ["?after=msg_abcdefghijklmnop-1", "invalid_cursor", "after"],
    ["?after=1", "invalid_cursor", "after"],
    ["?after=msg_%0d%0a", "invalid_cursor", "after"],
    ["?state=lost", "invalid_value", "state"],
    ["?state=failed&state=failed", "duplicate_parameter", "state"],
  ])("row 108: %s", async (query, code, param) => {
    expect(await refused("GET", `/deliveries${query}`)).toEqual({ status: 400, code, param });
  });

  it("row 108: another tenant's cursor, and whatever else is another tenant's", async () => {
    receive();
    const { id } = await add();
    await tell("video.completed");
    const [delivery] = await deliveries();
    const other = await aTenant();
    const notFound = { status: 404, code: "webhook_not_found", param: null };
    for (const [method, path, body] of [
      ["GET", `/${id}`],
      ["PATCH", `/${id}`, { status: "disabled" }],
      ["DELETE", `/${id}`],
      ["POST", `/${id}/roll`],
      ["POST", `/${id}/test`],
      ["POST", `/${id}/replay`],
    ] as const) {
      expect(await refused(method, path, body, other.key)).toEqual(notFound);
    }
    for (const [method, path] of [
      ["GET", `/deliveries/${delivery?.id}`],
      ["POST", `/deliveries/${delivery?.id}/replay`],
    ] as const) {
      expect(await refused(method, path, undefined, other.key)).toEqual({ status: 404, code: "delivery_not_found", param: null });
    }
    expect((await refused("GET", `/deliveries?after=${delivery?.id}`, undefined, other.key)).code).toBe("invalid_cursor");
    // The same tenant's other mode is another account in this too.
    const live = await aTenant({ tenant: owner.tenant, mode: "live" });
    expect(await refused("GET", `/${id}`, undefined, live.key)).toEqual(notFound);
    expect(await told("GET", `/${id}`)).toMatchObject({ status: "enabled" });
  });

  it.each(["nobody", "whe_..%2f..%2fadmin", "whe_aaaaaaaaaaaaaaaa%0d%0a", "%00", "x".repeat(4_000)])(
    "ids that are none: %s",
    async (id) => {
      expect(await refused("GET", `/${id}`)).toEqual({ status: 404, code: "webhook_not_found", param: null });
      expect(await refused("GET", `/deliveries/${id}`)).toEqual({ status: 404, code: "delivery_not_found", param: null });
    },
  );

  it("keys without the right to it", async () => {
    const { key: reader } = await aTenant({ tenant: owner.tenant, scopes: ["read"] });
    const { key: creator } = await aTenant({ tenant: owner.tenant, scopes: ["create", "read"] });
    const { key: blind } = await aTenant({ tenant: owner.tenant, scopes: ["create", "manage"] });
    const { id } = await add();
    const denied = { status: 403, code: "insufficient_scope", param: null };
    expect((await send("GET", "", undefined, reader)).status).toBe(200);
    expect((await send("GET", "/secret", undefined, creator)).status).toBe(200);
    expect(await refused("GET", "/secret", undefined, reader)).toEqual(denied);
    expect(await refused("GET", "", undefined, blind)).toEqual(denied);
    for (const [method, path] of [
      ["POST", ""],
      ["PATCH", `/${id}`],
      ["DELETE", `/${id}`],
      ["POST", `/${id}/roll`],
      ["POST", `/${id}/test`],
      ["POST", `/${id}/replay`],
      ["POST", "/secret/roll"],
      ["POST", "/deliveries/msg_aaaaaaaaaaaaaaaa-1/replay"],
    ] as const) {
      expect(await refused(method, path, undefined, creator)).toEqual(denied);
    }
    expect((await readError(await call("/v1/webhooks"))).code).toBe("missing_api_key");
  });

  it("a body that is no JSON, even where none is needed", async () => {
    const { id } = await add();
    const post = async (path: string, init: RequestInit) =>
      readError(await call(`/v1/webhooks${path}`, { method: "POST", key: owner.key, ...init }));
    expect((await post(`/${id}/roll`, { body: "overlap_seconds=0" })).code).toBe("unsupported_media_type");
    expect((await post(`/${id}/roll`, { body: "{", headers: { "content-type": "application/json" } })).code).toBe("invalid_json");
    expect((await post(`/${id}/roll`, { body: '{"overlap":1}', headers: { "content-type": "application/json" } })).code).toBe(
      "unknown_parameter",
    );
    expect((await post("", { body: "" })).code).toBe("unsupported_media_type");
    const typed = await call(`/v1/webhooks/${id}/test`, {
      method: "POST",
      key: owner.key,
      headers: { "content-type": "application/json" },
    });
    expect(typed.status).toBe(200);
  });

  it("methods that are none of a path's", async () => {
    expect(await refused("PUT", "")).toEqual({ status: 405, code: "method_not_allowed", param: null });
    expect(await refused("POST", "/secret")).toEqual({ status: 405, code: "method_not_allowed", param: null });
  });

  it("whoever is refused at the door wakes nothing", async () => {
    const objects = async () => (await listDurableObjectIds(env.TENANT_EVENTS as unknown as DurableObjectNamespace)).length;
    const before = await objects();
    await refused("GET", "", undefined, "sk-test-nobody");
    await refused("POST", "", { url: "https://10.0.0.1/" });
    expect(await objects()).toBe(before);
  });
});
