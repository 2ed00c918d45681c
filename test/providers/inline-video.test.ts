import { afterEach, describe, expect, it, vi } from "vitest";
import { base64, callOutlined, CUT, openInline, readOutline } from "../../src/providers/inline-video.ts";
import { stubFetch, thrownBy } from "../support/google-stub.ts";

const signal = new AbortController().signal;
const call = { method: "GET", headers: {}, signal } as const;
const URL_ = "https://upstream.example/v1/job";
afterEach(() => void vi.restoreAllMocks());

/** A reply that comes in pieces of `size` bytes. */
function inPieces(text: string, size: number): Response {
  const bytes = new TextEncoder().encode(text);
  let at = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, (at += size)));
    },
  });
  return new Response(body, { headers: { "content-type": "application/json" } });
}

const video = new Uint8Array(100_001).map((_, at) => (at * 7919) % 251);
const encoded = base64(video);
/** Compared as texts, which is a thousand times as fast as byte by byte. */
const isVideo = (bytes: Uint8Array) => base64(bytes) === encoded;
const bytesOf = async (body: ReadableStream<Uint8Array>) => new Uint8Array(await new Response(body).arrayBuffer());

describe("base64", () => {
  it.each([0, 1, 2, 3, 24_575, 24_576, 24_577, 100_001])("is what it is for %i bytes", (length) => {
    const bytes = video.subarray(0, length);
    expect(atob(base64(bytes)) === Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")).toBe(true);
  });
});

describe("readOutline", () => {
  const whole = {
    name: 'a "quoted" name \\ with ünïcode 🎬 \\',
    done: true,
    count: -1.5e3,
    nothing: null,
    empty: "",
    lists: [[], [1, [2, "x"]], {}, { "": { deep: ["}", "]", ",", ":"] } }],
    'a"key': "v",
  };

  it.each([1, 2, 3, 7, 64, 100_000])("reads what is short as it is, in pieces of %i bytes", async (size) => {
    for (const text of [JSON.stringify(whole), JSON.stringify(whole, null, 2), "[]", '"x"', "7", "null", " true "]) {
      expect(await readOutline(inPieces(text, size), signal)).toEqual({ body: JSON.parse(text) as unknown, readable: true });
    }
  });

  it.each([7, 1000, 4096, 1_000_000])("leaves out what is long, in pieces of %i bytes", async (size) => {
    const escaped = '"'.repeat(20_000);
    const text = JSON.stringify({ before: 1, videos: [{ data: encoded }, escaped, "x"], after: [2] });
    expect(await readOutline(inPieces(text, size), signal)).toEqual({
      body: { before: 1, videos: [{ data: CUT }, CUT, "x"], after: [2] },
      readable: true,
    });
  });

  it("keeps a text of 16 KiB, and cuts one of a byte more", async () => {
    const outline = await readOutline(inPieces(JSON.stringify(["x".repeat(16_384), "x".repeat(16_385)]), 4096), signal);
    expect(outline.body).toEqual(["x".repeat(16_384), CUT]);
  });

  it.each([
    ["no JSON", "<html></html>"],
    ["nothing", ""],
    ["cut JSON", '{"name":"x'],
    ["two values", '{"a":1}{"b":2}'],
    ["an outline of more than 1 MiB", JSON.stringify(Array.from({ length: 110_000 }, () => "123456789"))],
    ["deep nesting", "[".repeat(1_000) + "]".repeat(1_000)],
  ])("does not read %s", async (_, text) => {
    expect(await readOutline(inPieces(text, 4096), signal)).toEqual({ body: null, readable: false });
  });

  it("tells a connection that breaks from a reply that cannot be read", async () => {
    const broken = new ReadableStream({
      pull(controller) {
        controller.error(new Error("reset by canary.example"));
      },
    });
    await expect(readOutline(new Response(broken), signal)).rejects.toMatchObject({ name: "ConnectionError" });
  });
});

describe("callOutlined", () => {
  it("follows no redirect, and does not read one", async () => {
    const stub = stubFetch();
    stub.reply(302, { name: "x" }, { location: "https://elsewhere.example/" });
    expect(await callOutlined(URL_, call)).toMatchObject({ status: 302, body: null, readable: false });
    expect(stub.calls).toHaveLength(1);
  });

  it("sends JSON as JSON", async () => {
    const stub = stubFetch();
    stub.reply(200, { ok: true });
    await callOutlined(URL_, { ...call, method: "POST", headers: { "x-key": "1" }, body: { a: [1] } });
    expect(stub.calls[0]).toMatchObject({ url: URL_, method: "POST", body: { a: [1] } });
    expect(Object.fromEntries(stub.calls[0]?.headers ?? [])).toEqual({ "x-key": "1", "content-type": "application/json" });
  });
});

describe("openInline", () => {
  const path = ["response", "videos", 1, "data"];
  const reply = (text: string) =>
    `{"decoy":{"data":"AAAA"},"response":{"videos":[{"data":"AAAA"},{"type":"v","data":"${text}"},{"data":"AAAA"}]}}`;
  const open = async (text: string, size: number, maxBytes?: number) => {
    stubFetch().queue(() => inPieces(text, size));
    return openInline(URL_, call, path, maxBytes);
  };

  it.each([7, 64, 4096, 65_536, 1_000_000])("decodes the one that is asked for, in pieces of %i bytes", async (size) => {
    const opened = await open(reply(encoded), size);
    expect(opened).toMatchObject({ length: null, offset: 0, validator: null });
    expect(isVideo(await bytesOf(opened.body))).toBe(true);
  });

  it.each([7, 64, 4096, 1_000_000])("reads base64 as servers escape it, in pieces of %i bytes", async (size) => {
    const escaped = encoded.replaceAll("/", "\\/").replaceAll("+", "\\u002b").replaceAll("=", "\\u003D");
    expect(isVideo(await bytesOf((await open(reply(escaped), size)).body))).toBe(true);
  });

  it.each([7, 4096, 65_536])("reads escapes that are cut anywhere, in pieces of %i bytes", async (size) => {
    const escaped = [...encoded].map((char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
    expect(isVideo(await bytesOf((await open(reply(escaped), size)).body))).toBe(true);
  });

  it("reads the alphabet of URLs, without padding, and broken into lines", async () => {
    const other = encoded.replaceAll("/", "_").replaceAll("+", "-").replace(/=+$/, "").replace(/.{76}/g, "$&\\r\\n");
    expect(isVideo(await bytesOf((await open(reply(other), 4096)).body))).toBe(true);
  });

  it.each([1, 2, 3, 5])("decodes a short one, in pieces of %i bytes", async (size) => {
    for (const length of [1, 2, 3, 300]) {
      const short = video.subarray(0, length);
      const escaped = base64(short).replaceAll("/", "\\/").replaceAll("=", "\\u003d");
      expect(await bytesOf((await open(reply(escaped), size)).body)).toEqual(short);
      vi.restoreAllMocks();
    }
  });

  it("opens an empty one as nothing", async () => {
    expect((await bytesOf((await open(reply(""), 10)).body)).byteLength).toBe(0);
  });

  it.each([
    ["there is none", '{"response":{"videos":[]}}'],
    ["another is there", '{"response":{"videos":[{},{"uri":"AAAA"}]}}'],
    ["it is no text", '{"response":{"videos":[{},{"data":7}]}}'],
    ["it is not JSON", "<html></html>"],
  ])("says that it is gone where %s", async (_, text) => {
    expect(await thrownBy(open(text, 4096))).toMatchObject({ name: "AssetGoneError" });
  });

  it.each(["####", "AAAA=AAAA", "é", "\\u00e9\\u00e9\\u00e9\\u00e9"])("refuses %s, which is no base64", async (text) => {
    const opened = await open(reply(text), 4096);
    await expect(bytesOf(opened.body)).rejects.toMatchObject({ name: "RefusedError", reason: "upstream_invalid_result" });
  });

  it("fails where the reply ends inside it", async () => {
    const opened = await open(reply(encoded).slice(0, 60_000), 4096);
    await expect(bytesOf(opened.body)).rejects.toMatchObject({ name: "SourceError", what: "cut_short" });
  });

  it("fails where the reply is too long, before it and inside it", async () => {
    const opened = await open(reply(encoded), 4096, 50_000);
    await expect(bytesOf(opened.body)).rejects.toMatchObject({ name: "SourceError", what: "too_large" });
    await expect(open(`{"padding":"${encoded}"}`, 4096, 50_000)).rejects.toMatchObject({ name: "SourceError", what: "too_large" });
  });

  it("reads no more than is asked of it, and lets go of the reply when it is cancelled", async () => {
    let pulled = 0;
    let isCancelled = false;
    const piece = new TextEncoder().encode("A".repeat(65_536));
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(pulled++ === 0 ? new TextEncoder().encode('{"data":"') : piece);
      },
      cancel() {
        isCancelled = true;
      },
    });
    stubFetch().queue(() => new Response(endless));
    const { body } = await openInline(URL_, call, ["data"]);
    const reader = body.getReader();
    for (let read = 0; read < 3; read++) expect((await reader.read()).value?.byteLength).toBeGreaterThan(0);
    expect(pulled).toBeLessThan(16);
    await reader.cancel();
    await vi.waitFor(() => expect(isCancelled).toBe(true), { timeout: 20_000 });
  });

  it.each([
    [401, "RetryableError"],
    [403, "RetryableError"],
    [429, "RetryableError"],
    [500, "RetryableError"],
    [503, "RetryableError"],
    [404, "AssetGoneError"],
    [410, "AssetGoneError"],
    [302, "UnclearReplyError"],
    [204, "UnclearReplyError"],
  ])("throws for %i", async (status, name) => {
    stubFetch().queue(
      () => new Response(status === 204 ? null : "{}", { status, headers: { location: "https://elsewhere.example/" } }),
    );
    expect(await thrownBy(openInline(URL_, call, path))).toMatchObject({ name });
  });
});
