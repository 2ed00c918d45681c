// Rows 76 to 78 of the bad-input catalogue (reliability.md, section 8): what becomes of a reference image once it is fetched.
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { MAX_IMAGE_BYTES } from "../../src/core/reference-image.ts";
import { imageFetcher } from "../../src/net/image-fetch.ts";
import { judgeWebhookUrl } from "../../src/net/url-policy.ts";
import { PNG, redirectsTo, sends, serveImages, type ImageServer } from "../support/image-server.ts";

const GATEWAY = "gateway.example";
const JPEG = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 1, 2, 3]);
const WEBP = Buffer.from("RIFF\x10\0\0\0WEBPVP8 ", "latin1");
const SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>';

const judged: string[] = [];
const fetchImage = imageFetcher((url, ownHost) => {
  judged.push(url);
  return judgeWebhookUrl(url, [ownHost], true);
});

let server: ImageServer;
beforeAll(async () => {
  const large = new Uint8Array(MAX_IMAGE_BYTES + 1);
  large.set(PNG);
  const chunked = (size: number) => (_: unknown, response: { write(part: Uint8Array): void; end(): void }) => {
    for (let sent = 0; sent < size; sent += 2 ** 20) response.write(large.subarray(sent, Math.min(sent + 2 ** 20, size)));
    response.end();
  };
  server = await serveImages({
    "/png": sends("image/png", PNG),
    "/jpeg": sends("image/jpeg", JPEG),
    "/webp": sends("image/webp", WEBP),
    "/lies": sends("text/html", PNG),
    "/html": sends("image/png", "<html><h1>Not here</h1></html>"),
    "/svg": sends("image/svg+xml", SVG),
    "/gif": sends("image/gif", "GIF89a"),
    "/polyglot": sends("image/png", Buffer.concat([Buffer.from("<script>"), PNG])),
    "/riff": sends("image/webp", Buffer.from("RIFF\x10\0\0\0WAVEfmt ", "latin1")),
    "/empty": sends("image/png", ""),
    "/just-fits": chunked(MAX_IMAGE_BYTES),
    "/too-large": chunked(MAX_IMAGE_BYTES + 1),
    "/endless": (_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(large.subarray(0, 65_536)));
      };
      response.writeHead(200, { "content-type": "image/png" }).on("drain", more);
      more();
    },
    "/huge": (_request, response) => {
      response.writeHead(200, { "content-type": "image/png", "content-length": 30_000_000_000 });
      const more = (): void => {
        while (!response.destroyed && response.write(large.subarray(0, 65_536)));
      };
      response.on("drain", more);
      more();
    },
    "/slow": (_request, response) => void response.writeHead(200, { "content-type": "image/png" }).write(PNG),
    "/silent": () => undefined,
    "/cut": (_request, response) => {
      response.writeHead(200, { "content-type": "image/png", "content-length": 100 });
      response.write(PNG, () => response.destroy());
    },
    "/hop": redirectsTo("/png"),
    "/hops": redirectsTo("/hop"),
    "/hops-3": redirectsTo("/hops"),
    "/hops-4": redirectsTo("/hops-3"),
    "/to-private": redirectsTo("http://10.0.0.7/a.png"),
    "/to-metadata": redirectsTo("http://169.254.169.254/latest/meta-data/"),
    "/to-us": redirectsTo(`https://${GATEWAY}/v1/account`),
    "/to-file": redirectsTo("file:///etc/passwd"),
    "/to-nowhere": (_request, response) => void response.writeHead(302).end(),
    ...Object.fromEntries(
      [204, 403, 404, 410, 408, 425, 429, 500, 502, 503, 504].map((status) => [
        `/${status}`,
        (_request, response) => void response.writeHead(status).end(),
      ]),
    ),
  });
});
afterAll(async () => server.close());
afterEach(() => void judged.splice(0));

const get = async (path: string, signal = new AbortController().signal) => fetchImage(`${server.url}${path}`, GATEWAY, signal);

it.each([
  ["/png", "image/png", PNG],
  ["/jpeg", "image/jpeg", JPEG],
  ["/webp", "image/webp", WEBP],
  ["/lies", "image/png", PNG],
] as const)("reads %s whole, and tells what it is by its first bytes", async (path, mimeType, bytes) => {
  const file = await get(path);
  expect(file.mimeType).toBe(mimeType);
  expect(Buffer.from(file.bytes).equals(bytes)).toBe(true);
});

describe("row 76 and 77: where an image may be", () => {
  it("follows three redirects, and judges each", async () => {
    expect((await get("/hops-3")).mimeType).toBe("image/png");
    expect(judged).toEqual(["/hops-3", "/hops", "/hop", "/png"].map((path) => `${server.url}${path}`));
  });

  it.each(["/hops-4", "/to-private", "/to-metadata", "/to-us", "/to-file", "/to-nowhere"])("refuses %s", async (path) => {
    await expect(get(path)).rejects.toMatchObject({ name: "RefusedError", by: "task", reason: "image_fetch_failed" });
  });

  it("asks no host that it has refused", async () => {
    await expect(fetchImage("http://10.0.0.7/a.png", GATEWAY, AbortSignal.timeout(0))).rejects.toMatchObject({
      reason: "image_fetch_failed",
    });
  });
});

describe("row 78: what an image is", () => {
  it.each(["/html", "/svg", "/gif", "/polyglot", "/riff", "/empty", "/too-large", "/endless", "/huge", "/204"])(
    "refuses %s",
    async (path) => {
      await expect(get(path)).rejects.toMatchObject({ name: "RefusedError", by: "task", reason: "image_invalid" });
    },
  );

  it("takes one that just fits", async () => {
    expect((await get("/just-fits")).bytes.byteLength).toBe(MAX_IMAGE_BYTES);
  });
});

describe("a server that does not give it", () => {
  it.each(["/403", "/404", "/410"])("%s is the URL's own fault", async (path) => {
    await expect(get(path)).rejects.toMatchObject({ name: "RefusedError", by: "task", reason: "image_fetch_failed" });
  });

  it.each(["/408", "/425", "/429", "/500", "/502", "/503", "/504", "/cut"])("%s may pass, and refuses nothing", async (path) => {
    const error: unknown = await get(path).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect((error as Error).name).not.toBe("RefusedError");
    expect(String(error)).not.toContain(new URL(server.url).host);
  });

  it.each(["/slow", "/silent"])("gives %s up when its caller does", async (path) => {
    const giveUp = new AbortController();
    const asked = server.seen.length;
    const got = get(path, giveUp.signal).catch((thrown: unknown) => thrown);
    while (server.seen.length === asked) await new Promise((resolve) => setTimeout(resolve, 5));
    giveUp.abort();
    const error = await got;
    expect(error).toBeInstanceOf(Error);
    expect((error as Error).name).not.toBe("RefusedError");
  });
});
