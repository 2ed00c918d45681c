// The bad-input catalogue (reliability.md, section 8), rows 13-16 and 31-36, and a body that never ends:
// what is wrong before anybody has read a word of it.
import { reset } from "cloudflare:test";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { aTenant, call, callWith, ORIGIN, type TestTenant } from "../../support/gateway.ts";
import { expectRefusal, readError } from "../../support/refusals.ts";

let owner: TestTenant;
beforeAll(async () => {
  owner = await aTenant();
});
afterAll(reset);

const CREATE = '{"model":"veo3","prompt":"a lake"}';
const MAX_BYTES = 256 * 1024;
const FILE = "/v1/video/file/veo3:1704067200-abcdefghijklmnopqrstuvwxyz";

async function post(key: string, body: BodyInit | null, headers: Record<string, string> = {}): Promise<Response> {
  return call("/v1/video/create", { method: "POST", key, headers: { "content-type": "application/json", ...headers }, body });
}

/** A create of so many bytes, of which spaces are the most. */
function createOf(bytes: number): string {
  return CREATE + " ".repeat(bytes - CREATE.length);
}

it.each([
  ["GET", "/v1/video/create", "POST, OPTIONS"],
  ["PUT", "/v1/video/create", "POST, OPTIONS"],
  ["POST", "/v1/video/query", "GET, HEAD, OPTIONS"],
  ["PATCH", "/v1/video/query?id=x", "GET, HEAD, OPTIONS"],
  ["DELETE", FILE, "GET, HEAD, OPTIONS"],
  ["PUT", FILE, "GET, HEAD, OPTIONS"],
  ["POST", "/v1/models", "GET, HEAD, OPTIONS"],
  ["DELETE", "/healthz", "GET, HEAD, OPTIONS"],
])("row 13: %s %s is told what is allowed there", async (method, path, allow) => {
  const send = async () => call(path, { method, key: owner.key });
  const message = await expectRefusal(owner, send, { status: 405, code: "method_not_allowed" });
  expect(message).toContain(allow);
  expect((await send()).headers.get("Allow")).toBe(allow);
});

describe("row 14: a path that is nearly one of ours", () => {
  it.each([
    "/V1/Video/create",
    "/v1/video/Create",
    "//v1/video/create",
    "/v1//video/create",
    "/v1/video/create/",
    "/v1/video/create;x=1",
    "/v1/video/create%2f",
    "/v1/video/create%00",
    "/v1/video",
    "/v1",
    "/",
    "/v1/video/file",
    "/v1/video/file/a/b",
    "/admin",
    "/.env",
  ])("%s", async (path) => {
    const send = async () =>
      call(`${ORIGIN}${path}`, { method: "POST", key: owner.key, headers: { "content-type": "application/json" }, body: CREATE });
    await expectRefusal(owner, send, { status: 404, code: "not_found" });
    expect((await readError(await call(`${ORIGIN}${path}`))).code).toBe("not_found");
  });
});

describe("row 15: a URL of more than 8 kB", () => {
  it.each(["/v1/video/query?id=", "/v1/video/file/", "/nothing/"])("%s…", async (path) => {
    const send = async () => call(path + "a".repeat(8 * 1024), { key: owner.key });
    expect(await expectRefusal(owner, send, { status: 414, code: "uri_too_long" })).toContain("8192");
  });

  it("the last character of 8 kB is the last one read", async () => {
    const path = "/v1/video/query?id=";
    const room = 8 * 1024 - ORIGIN.length - path.length;
    const send = (length: number) => async () => call(path + "a".repeat(length), { key: owner.key });
    await expectRefusal(owner, send(room), { status: 404, code: "task_not_found" });
    await expectRefusal(owner, send(room + 1), { status: 414, code: "uri_too_long" });
  });
});

describe("row 16: a browser that asks first", () => {
  it.each(["/v1/video/create", "/v1/video/query?id=x", "/v1/models", FILE, "/nothing"])(
    "may call %s from anywhere",
    async (path) => {
      const reply = await call(path, {
        method: "OPTIONS",
        headers: {
          Origin: "https://page.example",
          "Access-Control-Request-Method": "POST",
          "Access-Control-Request-Headers": "authorization, content-type",
        },
      });
      expect([reply.status, await reply.text()]).toEqual([204, ""]);
      const { headers } = reply;
      expect(headers.get("Access-Control-Allow-Origin")).toBe("*");
      expect(headers.get("Access-Control-Allow-Methods")).toContain("POST");
      expect(headers.get("Access-Control-Allow-Headers")?.toLowerCase()).toMatch(/authorization, ?content-type/);
      // Credentials would be cookies, and "*" with credentials would let any page use a person's.
      expect(headers.get("Access-Control-Allow-Credentials")).toBeNull();
      expect(headers.get("x-request-id")).toMatch(/^req_/);
    },
  );

  it("may read the replies and their headers, errors too", async () => {
    const reply = await call("/v1/video/query?id=x", { key: owner.key, headers: { Origin: "https://page.example" } });
    expect(reply.headers.get("Access-Control-Allow-Origin")).toBe("*");
    expect(reply.headers.get("Access-Control-Expose-Headers")).toMatch(/x-request-id.*Retry-After.*RateLimit/);
    expect(reply.headers.get("Access-Control-Allow-Credentials")).toBeNull();
  });
});

describe("the size of a body", () => {
  it("row 31: 256 KiB and one byte are too many", async () => {
    const send = async () => post(owner.key, createOf(MAX_BYTES + 1));
    expect(await expectRefusal(owner, send, { status: 413, code: "payload_too_large" })).toContain(String(MAX_BYTES));
  });

  it("row 31: 256 KiB are not", async () => {
    const { key } = await aTenant();
    expect((await post(key, createOf(MAX_BYTES))).status).toBe(200);
  });

  it.each([{}, { "content-length": "34" }])(
    "row 32: an endless stream is cut off early, whatever it announces: %j",
    async (headers) => {
      let sent = 0;
      const endless = (): ReadableStream =>
        new ReadableStream({
          pull(controller) {
            sent += 16_384;
            controller.enqueue(new Uint8Array(16_384).fill(0x20));
          },
        });
      await expectRefusal(owner, async () => post(owner.key, endless(), headers), { status: 413, code: "payload_too_large" });
      expect(sent).toBeLessThan(4 * MAX_BYTES);
    },
  );

  it.each(["99999999999", "1"])("row 33: Content-Length: %s does not count, the bytes do", async (length) => {
    const { key } = await aTenant();
    expect((await post(key, CREATE, { "content-length": length })).status).toBe(200);
  });
});

describe("row 34: Content-Encoding", () => {
  it.each(["gzip", "br", "deflate", "gzip, identity", "zstd"])("%s is not taken", async (encoding) => {
    const gzipped = await new Response(
      new Blob([createOf(1_000_000)]).stream().pipeThrough(new CompressionStream("gzip")),
    ).arrayBuffer();
    const send = async () => post(owner.key, gzipped, { "content-encoding": encoding });
    expect(await expectRefusal(owner, send, { status: 415, code: "unsupported_encoding" })).toContain("Content-Encoding");
  });
});

describe("Content-Type", () => {
  it.each([
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/vnd.api+json",
    "application/json-patch+json",
    "application/jsonp",
    "text/json",
    "*/*",
    "json",
  ])("row 35: %s is not taken", async (type) => {
    const send = async () => post(owner.key, CREATE, { "content-type": type });
    expect(await expectRefusal(owner, send, { status: 415, code: "unsupported_media_type" })).toContain("application/json");
  });

  it("row 35: none is not taken", async () => {
    const body = new TextEncoder().encode(CREATE);
    const send = async () => call("/v1/video/create", { method: "POST", key: owner.key, body });
    await expectRefusal(owner, send, { status: 415, code: "unsupported_media_type" });
  });

  it.each(["gbk", "utf-16", "iso-8859-1", "utf-8, gbk"])("row 36: charset=%s is not taken", async (charset) => {
    const send = async () => post(owner.key, CREATE, { "content-type": `application/json; charset=${charset}` });
    await expectRefusal(owner, send, { status: 415, code: "unsupported_media_type" });
  });

  it.each([
    "application/json; charset=utf-8",
    'application/json;charset="UTF-8"',
    "Application/JSON",
    "application/json; version=1",
  ])("row 36: %s is taken", async (type) => {
    const { key } = await aTenant();
    expect((await post(key, CREATE, { "content-type": type })).status).toBe(200);
  });
});

describe("a body that stalls", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it("is given up after 15 seconds with 408", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const stalled = new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode('{"model":')) });
    // In the test's own context, or the clock that it turns could not reach the reader.
    const init = { method: "POST", key: owner.key, headers: { "content-type": "application/json" }, body: stalled };
    const reply = callWith({}, "/v1/video/create", init);
    while (vi.getTimerCount() === 0) await scheduler.wait(10);
    vi.advanceTimersByTime(14_999);
    await scheduler.wait(50);
    let answered = false;
    const told = reply.then(async (settled) => {
      answered = true;
      return readError(settled);
    });
    await scheduler.wait(50);
    expect(answered).toBe(false);
    vi.advanceTimersByTime(1);
    expect(await told).toMatchObject({ status: 408, code: "request_timeout", message: expect.stringContaining("15 s") });
    expect(vi.getTimerCount()).toBe(0);
  });
});
