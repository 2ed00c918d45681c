// The bad-input catalogue (reliability.md, section 8), rows 96-107: signed links that were changed, and ranges that are odd.
import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { signLink } from "../../../src/core/signing.ts";
import { wire } from "../../../src/wire.ts";
import { aTenant, call, callWith, createdId, finish, type TestTenant } from "../../support/gateway.ts";
import { expectRefusal, readError } from "../../support/refusals.ts";

const INVALID = { status: 403, code: "invalid_signature" };

let owner: TestTenant;
let id: string;
let link: string;
let video: Uint8Array;
beforeAll(async () => {
  owner = await aTenant();
  id = await createdId(owner.key);
  link = (await finish(owner, id)).video_url ?? "";
  video = new Uint8Array(await (await call(link)).arrayBuffer());
});
afterAll(reset);

function refused(url: string, expected: { status: number; code: string } = INVALID): Promise<string> {
  return expectRefusal(owner, async () => call(url), expected);
}

/** The link with other parameters. */
function changed(change: (query: URLSearchParams) => void): string {
  const url = new URL(link);
  change(url.searchParams);
  return url.href;
}

function part(name: string): string {
  return new URL(link).searchParams.get(name) ?? "";
}

/** Reads the body to its end, as a client would. */
async function statusOf(reply: Response): Promise<number> {
  await reply.arrayBuffer();
  return reply.status;
}

async function signed(taskId: string, secondsFromNow: number): Promise<string> {
  const { exp, kid, sig } = await signLink(wire(env).settings.linkKeys, taskId, Math.floor(Date.now() / 1000) + secondsFromNow);
  return `/v1/video/file/${taskId}?${new URLSearchParams({ exp, kid, sig })}`;
}

it("opens, with GET and HEAD, made for a player and for nothing else", async () => {
  const [get, head] = [await call(link), await call(link, { method: "HEAD" })];
  expect([await statusOf(get), head.status, await head.text()]).toEqual([200, 200, ""]);
  for (const { headers } of [get, head]) {
    expect(headers.get("Content-Type")).toBe("video/mp4");
    expect(headers.get("Content-Length")).toBe(String(video.byteLength));
    expect(headers.get("Content-Disposition")).toBe(`inline; filename="${id.replace(":", "-")}.mp4"`);
    expect(headers.get("Accept-Ranges")).toBe("bytes");
    expect(headers.get("ETag")).toMatch(/^"[\w-]+"$/);
    expect(headers.get("X-Content-Type-Options")).toBe("nosniff");
    expect(headers.get("Content-Security-Policy")).toBe("default-src 'none'; sandbox");
    const age = Number(/^private, max-age=(\d+)$/.exec(headers.get("Cache-Control") ?? "")?.[1]);
    // A query made its link from the beginning of the twelfth of an hour that it came in.
    expect(age).toBeGreaterThan(3_290);
    expect(age).toBeLessThanOrEqual(3_600);
    expect(headers.get("x-request-id")).toMatch(/^req_/);
  }
});

it("row 96: any character of the signature changed", async () => {
  const sig = part("sig");
  for (let index = 0; index < sig.length; index++) {
    const other = sig.slice(0, index) + (sig[index] === "A" ? "B" : "A") + sig.slice(index + 1);
    expect([index, await statusOf(await call(changed((query) => query.set("sig", other))))]).toEqual([index, 403]);
  }
  await refused(changed((query) => query.set("sig", `B${sig.slice(1)}`)));
});

it.each<[string, (query: URLSearchParams) => void]>([
  ["later", (query) => query.set("exp", String(Number(query.get("exp")) + 1))],
  ["removed", (query) => query.delete("exp")],
  ["empty", (query) => query.set("exp", "")],
  ["repeated", (query) => query.append("exp", query.get("exp") ?? "")],
  ["1e10", (query) => query.set("exp", "1e10")],
  ["negative", (query) => query.set("exp", `-${query.get("exp")}`)],
  ["with a plus", (query) => query.set("exp", `+${query.get("exp")}`)],
  ["with a space", (query) => query.set("exp", ` ${query.get("exp")}`)],
  ["with a zero before it", (query) => query.set("exp", `0${query.get("exp")}`)],
  ["in hexadecimal", (query) => query.set("exp", `0x${Number(query.get("exp")).toString(16)}`)],
  ["with a fraction", (query) => query.set("exp", `${query.get("exp")}.0`)],
])("row 97: exp %s", async (_, change) => {
  await refused(changed(change));
});

it("row 98: expired by a second, and says how to get a fresh one", async () => {
  expect(await refused(await signed(id, -1), { status: 403, code: "url_expired" })).toContain("Query the task");
  expect(await statusOf(await call(await signed(id, 5)))).toBe(200);
});

it("row 98: that it expired is told of real links only", async () => {
  const expired = new URL(await signed(id, -1), "https://gateway.example");
  expired.searchParams.set("sig", part("sig"));
  await refused(expired.href);
});

it("row 99: the signature of one video on another", async () => {
  const other = await createdId(owner.key);
  await finish(owner, other);
  await refused(link.replace(id, other));
  expect(await statusOf(await call(await signed(other, 60)))).toBe(200);
});

it.each(["PUT", "POST", "DELETE", "PATCH"])("row 99: a link is not for %s", async (method) => {
  await expectRefusal(owner, async () => call(link, { method }), { status: 405, code: "method_not_allowed" });
  expect(await statusOf(await call(link))).toBe(200);
});

it("row 100: the signature written otherwise", async () => {
  const sig = part("sig");
  const standard = sig.replaceAll("-", "+").replaceAll("_", "/");
  const bytes = Uint8Array.from(atob(standard), (char) => char.charCodeAt(0));
  const hexadecimal = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  // The last character carries 4 bits of nothing: another one there decodes to the same bytes.
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const twin = sig.slice(0, -1) + digits[(digits.indexOf(sig.at(-1) ?? "") & ~3) + 1];
  const spellings = [`${sig}=`, `${sig}==`, sig.toUpperCase(), sig.toLowerCase(), hexadecimal, twin, ` ${sig}`, `${sig}\n`];
  if (standard !== sig) spellings.push(standard);
  for (const spelling of spellings) await refused(changed((query) => query.set("sig", spelling)));
});

describe("row 101: signing keys", () => {
  it.each(["k9", "", "K1", "__proto__", "toString"])("kid %j is not known", async (kid) => {
    await refused(changed((query) => query.set("kid", kid)));
  });

  it("an old one is good until it is retired", async () => {
    const rotating = { LINK_SECRETS: "k2:newer-link-secret,k1:test-link-secret" };
    expect(await statusOf(await callWith(rotating, link))).toBe(200);
    const retired = { LINK_SECRETS: "k2:newer-link-secret" };
    await expectRefusal(owner, async () => callWith(retired, link), INVALID);
    await expectRefusal(owner, async () => callWith({ LINK_SECRETS: "k1:newer-link-secret" }, link), INVALID);
  });
});

describe("row 102: parameters", () => {
  it.each(["x=1", "download=1", "sig2=", "response-content-type=text%2Fhtml"])("another one is refused: %s", async (extra) => {
    await refused(`${link}&${extra}`);
  });

  it("their order does not matter", async () => {
    const { pathname, searchParams } = new URL(link);
    const [exp = "", kid = "", sig = ""] = ["exp", "kid", "sig"].map((name) => searchParams.get(name) ?? "");
    expect(await statusOf(await call(`${pathname}?${new URLSearchParams({ sig, kid, exp })}`))).toBe(200);
  });

  it("none at all", async () => {
    await refused(new URL(link).pathname);
  });
});

it("a link to a video that was deleted says so", async () => {
  const gone = await createdId(owner.key);
  const { video_url } = await finish(owner, gone);
  await wire(env).videos.remove(gone, null);
  for (const url of [video_url ?? "", await signed(gone, 60)]) await refused(url, { status: 404, code: "video_expired" });
  expect(await statusOf(await call(video_url ?? "", { method: "HEAD" }))).toBe(404);
});

async function ranged(range: string, headers: Record<string, string> = {}): Promise<Response> {
  return call(link, { headers: { Range: range, ...headers } });
}

async function expectPart(reply: Response, from: number, to: number): Promise<void> {
  expect([reply.status, reply.headers.get("Content-Range")]).toEqual([206, `bytes ${from}-${to}/${video.byteLength}`]);
  expect(reply.headers.get("Content-Length")).toBe(String(to - from + 1));
  expect(new Uint8Array(await reply.arrayBuffer())).toEqual(video.slice(from, to + 1));
}

async function expectWhole(reply: Response): Promise<void> {
  expect([reply.status, reply.headers.get("Content-Range")]).toEqual([200, null]);
  expect(reply.headers.get("Content-Type")).toBe("video/mp4");
  expect((await reply.arrayBuffer()).byteLength).toBe(video.byteLength);
}

describe("ranges", () => {
  it("row 103: first byte, last byte, all but five", async () => {
    const last = video.byteLength - 1;
    await expectPart(await ranged("bytes=0-0"), 0, 0);
    await expectPart(await ranged("bytes=-1"), last, last);
    await expectPart(await ranged("bytes=5-"), 5, last);
    await expectPart(await ranged("bytes=100-199"), 100, 199);
    await expectPart(await ranged(`bytes=-${last + 100}`), 0, last);
  });

  it("row 104: past the end, or nothing", async () => {
    for (const range of [`bytes=${video.byteLength}-`, `bytes=${video.byteLength + 9}-${video.byteLength + 20}`, "bytes=-0"]) {
      const reply = await ranged(range);
      expect(reply.headers.get("Content-Range")).toBe(`bytes */${video.byteLength}`);
      expect(await readError(reply)).toMatchObject({ status: 416, code: "range_not_satisfiable" });
    }
  });

  it.each(["bytes=3-1", "items=0-1", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=0x1-2", "bytes 0-1", "0-1"])(
    "row 105: %s is none",
    async (range) => expectWhole(await ranged(range)),
  );

  it("row 105: an end of 25 digits is the end", async () => {
    await expectPart(await ranged(`bytes=5-${"9".repeat(25)}`), 5, video.byteLength - 1);
  });

  it("row 106: a thousand of them are none", async () => {
    const many = Array.from({ length: 1_000 }, (_, index) => `${index}-${index}`).join();
    await expectWhole(await ranged(`bytes=${many}`));
    await expectWhole(await ranged("bytes=0-1,5-6"));
  });

  it("row 107: If-Range with an ETag that is not the video's means the whole", async () => {
    await expectWhole(await ranged("bytes=0-0", { "If-Range": '"old"' }));
    await expectWhole(await ranged("bytes=0-0", { "If-Range": new Date().toUTCString() }));
    const etag = (await call(link, { method: "HEAD" })).headers.get("ETag") ?? "";
    await expectPart(await ranged("bytes=0-0", { "If-Range": etag }), 0, 0);
    await expectWhole(await ranged("bytes=0-0", { "If-Range": `W/${etag}` }));
  });

  it("says 304 to who has it already", async () => {
    const etag = (await call(link, { method: "HEAD" })).headers.get("ETag") ?? "";
    for (const known of [etag, `W/${etag}`, "*", `"old", ${etag}`]) {
      const reply = await call(link, { headers: { "If-None-Match": known } });
      expect([known, reply.status, await reply.text()]).toEqual([known, 304, ""]);
      expect(reply.headers.get("ETag")).toBe(etag);
    }
    await expectWhole(await call(link, { headers: { "If-None-Match": '"old"' } }));
  });
});
