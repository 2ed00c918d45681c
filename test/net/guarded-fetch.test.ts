import { afterEach, describe, expect, it, vi } from "vitest";
import { ConnectionError, guardedFetch } from "../../src/net/guarded-fetch.ts";
import { resultUrlJudge } from "../../src/net/url-policy.ts";

const KEY = "Bearer sk-upstream-secret";
const OWN = "https://upstream.example";
const signal = new AbortController().signal;
const get = guardedFetch({
  judge: resultUrlJudge({ ownOrigin: OWN, hosts: null, allowLoopback: false }),
  ownOrigin: OWN,
  ownHeaders: { authorization: KEY },
});

/** Replies in order; each call is remembered as its URL and headers. */
function stubFetch(...replies: Response[]) {
  const calls: { url: string; headers: Headers; init: RequestInit }[] = [];
  vi.spyOn(globalThis, "fetch").mockImplementation(async (url, init = {}) => {
    calls.push({ url: url as string, headers: new Headers(init.headers), init });
    return replies.shift() ?? new Response("bytes");
  });
  return calls;
}

const redirect = (location: string, status = 302) => new Response("moved", { status, headers: { location } });

afterEach(() => vi.restoreAllMocks());

describe("guardedFetch", () => {
  it("sends the provider's key to the provider's own origin, and asks for bytes as they are", async () => {
    const calls = stubFetch();
    await get(`${OWN}/files/v.mp4`, { headers: { range: "bytes=5-" }, signal });
    expect(Object.fromEntries(calls[0]?.headers ?? [])).toEqual({
      authorization: KEY,
      "accept-encoding": "identity",
      range: "bytes=5-",
    });
    expect(calls[0]?.init).toMatchObject({ redirect: "manual", signal });
  });

  it.each(["https://cdn.example.com/v.mp4", "https://upstream.example.evil.com/", "https://sub.upstream.example/v.mp4"])(
    "sends no key to %s",
    async (url) => {
      const calls = stubFetch();
      await get(url, { signal });
      expect(calls[0]?.headers.has("authorization")).toBe(false);
    },
  );

  it("drops the key when a redirect leaves the origin, and keeps the range", async () => {
    const calls = stubFetch(redirect("/moved.mp4"), redirect("https://cdn.example.com/v.mp4", 307));
    const reply = await get(`${OWN}/v.mp4`, { headers: { range: "bytes=5-" }, signal });
    expect(await reply.text()).toBe("bytes");
    expect(calls.map(({ url, headers }) => [url, headers.get("authorization"), headers.get("range")])).toEqual([
      [`${OWN}/v.mp4`, KEY, "bytes=5-"],
      [`${OWN}/moved.mp4`, KEY, "bytes=5-"],
      ["https://cdn.example.com/v.mp4", null, "bytes=5-"],
    ]);
  });

  it.each([301, 302, 303, 307, 308])("follows %i by hand and gives the unread body up", async (status) => {
    const moved = redirect("https://cdn.example.com/v.mp4", status);
    const cancel = vi.spyOn(moved.body as ReadableStream, "cancel");
    const calls = stubFetch(moved);
    expect((await get(`${OWN}/v.mp4`, { signal })).status).toBe(200);
    expect(calls).toHaveLength(2);
    expect(cancel).toHaveBeenCalledOnce();
  });

  it("follows three redirects and not a fourth", async () => {
    const hop = () => redirect("https://cdn.example.com/v.mp4");
    stubFetch(hop(), hop(), hop());
    expect((await get(`${OWN}/v.mp4`, { signal })).status).toBe(200);
    const calls = stubFetch(hop(), hop(), hop(), hop());
    await expect(get(`${OWN}/v.mp4`, { signal })).rejects.toMatchObject({ name: "RefusedError", by: "task" });
    expect(calls).toHaveLength(4);
  });

  it.each([
    "http://cdn.example.com/v.mp4",
    "https://169.254.169.254/latest",
    "https://127.1/",
    "//localhost/v.mp4",
    "https://user:pw@cdn.example.com/",
    "file:///etc/passwd",
    "https://",
  ])("refuses a redirect to %s before it is followed", async (location) => {
    const calls = stubFetch(redirect(location));
    await expect(get(`${OWN}/v.mp4`, { signal })).rejects.toMatchObject({ by: "task", reason: "upstream_invalid_result" });
    expect(calls).toHaveLength(1);
  });

  it("refuses a redirect to nowhere", async () => {
    stubFetch(new Response(null, { status: 302 }));
    await expect(get(`${OWN}/v.mp4`, { signal })).rejects.toMatchObject({ name: "RefusedError" });
  });

  it("refuses a URL that is not allowed without any call", async () => {
    const calls = stubFetch();
    await expect(get("http://10.0.0.1/v.mp4", { signal })).rejects.toMatchObject({ name: "RefusedError" });
    await expect(get("not a url", { signal })).rejects.toMatchObject({ name: "RefusedError" });
    expect(calls).toHaveLength(0);
  });

  it.each([200, 206, 304, 403, 500])("hands a %i to the caller", async (status) => {
    stubFetch(new Response(null, { status }));
    expect((await get(`${OWN}/v.mp4`, { signal })).status).toBe(status);
  });

  it("names neither host nor key when the connection fails", async () => {
    vi.spyOn(globalThis, "fetch").mockRejectedValue(new TypeError(`connect ECONNREFUSED upstream.example ${KEY}`));
    const error: unknown = await get(`${OWN}/v.mp4`, { signal }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ name: "ConnectionError", message: "the connection failed" });
    expect((error as Error).cause).toBeUndefined();
  });
});
