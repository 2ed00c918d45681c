// What a body in OpenAI's wire can get wrong, as JSON and as a form. Every one of them leaves nothing behind.
import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { aTenant, call, type TestTenant } from "../support/gateway.ts";
import { expectRefusal } from "../support/refusals.ts";

let owner: TestTenant;
beforeAll(async () => {
  owner = await aTenant();
});
afterAll(reset);

const PNG = "\x89PNG\r\n\x1a\n";
const PNG_URL = `data:image/png;base64,${btoa(PNG)}`;
const GOOD = { model: "veo3", prompt: "a lake" };
const WITH_IMAGE = { model: "veo3-pro-frames", prompt: "a lake" };

async function send(body: BodyInit, type: string | null, headers: Record<string, string> = {}): Promise<Response> {
  const init = { method: "POST", key: owner.key, body };
  return call("/v1/videos", { ...init, headers: { ...(type !== null && { "content-type": type }), ...headers } });
}

describe("JSON", () => {
  it.each<[string, unknown, string, string | null]>([
    ["no prompt", { model: "veo3" }, "missing_required_parameter", "prompt"],
    ["a blank prompt", { ...GOOD, prompt: " \u200b" }, "invalid_value", "prompt"],
    ["a number as prompt", { ...GOOD, prompt: 1 }, "invalid_type", "prompt"],
    ["half a surrogate pair", { ...GOOD, prompt: "\ud800" }, "invalid_unicode", "prompt"],
    ["a control character", { ...GOOD, prompt: "\u0000" }, "invalid_characters", "prompt"],
    ["a long prompt", { ...GOOD, prompt: "a".repeat(8_001) }, "prompt_too_long", "prompt"],
    ["no such model", { ...GOOD, model: "veo4" }, "model_not_found", "model"],
    ["an empty model", { ...GOOD, model: "" }, "invalid_value", "model"],
    ["an object as model", { ...GOOD, model: {} }, "invalid_type", "model"],
    ["__proto__ as model", { ...GOOD, model: "__proto__" }, "model_not_found", "model"],
    ["other seconds", { ...GOOD, seconds: "6" }, "invalid_value", "seconds"],
    ["other seconds as a number", { ...GOOD, seconds: 6 }, "invalid_type", "seconds"],
    ["true seconds", { ...GOOD, seconds: true }, "invalid_type", "seconds"],
    ["another size", { ...GOOD, size: "640x480" }, "invalid_value", "size"],
    ["a size that every object has", { ...GOOD, size: "constructor" }, "invalid_value", "size"],
    ["a text as reference", { ...WITH_IMAGE, input_reference: "https://a.example/x.png" }, "invalid_type", "input_reference"],
    ["an empty reference", { ...WITH_IMAGE, input_reference: {} }, "missing_required_parameter", "input_reference.image_url"],
    ["a file id", { ...WITH_IMAGE, input_reference: { file_id: "file_1" } }, "unsupported_parameter", "input_reference.file_id"],
    ...["data:image/png;base64,AA==", "data:image/png;base64,%", "data:image/png,PNG", "data:", " DATA:;base64,PHN2Zz4="].map(
      (url): [string, unknown, string, string] => [
        `no image as ${url}`,
        { ...WITH_IMAGE, input_reference: { image_url: url } },
        "image_invalid",
        "input_reference.image_url",
      ],
    ),
    [
      "the name of an upload",
      { ...WITH_IMAGE, input_reference: { image_url: `upload:${"0".repeat(64)}` } },
      "image_url_not_allowed",
      "input_reference.image_url",
    ],
    [
      "an image for a model without",
      { ...GOOD, input_reference: { image_url: PNG_URL } },
      "unsupported_parameter",
      "input_reference",
    ],
    [
      "http",
      { ...WITH_IMAGE, input_reference: { image_url: "http://a.example/x.png" } },
      "image_url_not_allowed",
      "input_reference.image_url",
    ],
    [
      "a private address",
      { ...WITH_IMAGE, input_reference: { image_url: "https://127.1/x.png" } },
      "image_url_not_allowed",
      "input_reference.image_url",
    ],
    [
      "an image too many",
      { ...GOOD, input_reference: { image_url: "https://a.example/x.png" } },
      "unsupported_parameter",
      "input_reference",
    ],
    [
      "more in a reference",
      { ...WITH_IMAGE, input_reference: { image_url: "https://a.example/x.png", detail: 1 } },
      "unknown_parameter",
      "input_reference.detail",
    ],
    ["a field of another dialect", { ...GOOD, aspect_ratio: "16:9" }, "unknown_parameter", "aspect_ratio"],
    ["a field of ours", { ...GOOD, tenant_id: "x" }, "unknown_parameter", "tenant_id"],
    ["a list", [GOOD], "invalid_type", null],
  ])("%s", async (_name, body, code, param) => {
    const json = JSON.stringify(body);
    await expectRefusal(owner, async () => send(json, "application/json"), { status: 400, code, param });
  });

  it("names the model that was meant", async () => {
    const json = JSON.stringify({ ...GOOD, model: "sora2" });
    const refused = { status: 400, code: "model_not_found", param: "model" };
    expect(await expectRefusal(owner, async () => send(json, "application/json"), refused)).toContain("Did you mean sora-2?");
  });

  it.each([
    ["what is no JSON", "{", "invalid_json", null],
    ["a name twice", '{"prompt":"a","prompt":"b"}', "duplicate_key", "prompt"],
    ["__proto__", '{"prompt":"a","__proto__":{"admin":true}}', "unknown_parameter", "__proto__"],
    ["an infinite number", '{"prompt":"a","seconds":1e999}', "invalid_type", "seconds"],
  ])("%s", async (_name, body, code, param) => {
    await expectRefusal(owner, async () => send(body, "application/json"), { status: 400, code, param });
    expect(({} as Record<string, unknown>)["admin"]).toBeUndefined();
  });
});

describe("a form", () => {
  const BOUNDARY = "b0undary";
  const TYPE = `multipart/form-data; boundary=${BOUNDARY}`;

  /** As a program that knows no better, or no good, would write it. */
  function form(parts: readonly (readonly [disposition: string, value: string])[]): string {
    const lines = parts.map(([about, value]) => `--${BOUNDARY}\r\nContent-Disposition: form-data; ${about}\r\n\r\n${value}\r\n`);
    return `${lines.join("")}--${BOUNDARY}--\r\n`;
  }

  const PROMPT = ['name="prompt"', "a lake"] as const;
  const FRAMES = [PROMPT, ['name="model"', "veo3-pro-frames"]] as const;

  it("written like that is read", async () => {
    const { key } = await aTenant();
    const reply = await call("/v1/videos", { method: "POST", key, headers: { "content-type": TYPE }, body: form([PROMPT]) });
    expect(reply.status).toBe(200);
  });

  it.each<[string, string, string, string | null]>([
    ["with no part", form([]), "missing_required_parameter", "prompt"],
    ["with an empty prompt", form([['name="prompt"', ""]]), "invalid_value", "prompt"],
    ["with a file as prompt", form([['name="prompt"; filename="a.txt"', "a lake"]]), "invalid_type", "prompt"],
    ["with a file as model", form([PROMPT, ['name="model"; filename="m"', "veo3"]]), "invalid_type", "model"],
    [
      "with a file id",
      form([...FRAMES, ['name="input_reference[file_id]"', "f"]]),
      "unsupported_parameter",
      "input_reference.file_id",
    ],
    [
      "with a data URL of no image",
      form([...FRAMES, ['name="input_reference[image_url]"', "data:,x"]]),
      "image_invalid",
      "input_reference.image_url",
    ],
    [
      "with a private address",
      form([...FRAMES, ['name="input_reference[image_url]"', "https://[::1]/"]]),
      "image_url_not_allowed",
      "input_reference.image_url",
    ],
    [
      "with a text as reference",
      form([...FRAMES, ['name="input_reference"', "https://a.example/x"]]),
      "invalid_type",
      "input_reference",
    ],
    ["with a part twice", form([PROMPT, PROMPT]), "duplicate_parameter", "prompt"],
    [
      "with an inner part twice",
      form([...FRAMES, ['name="input_reference[image_url]"', "a"], ['name="input_reference[image_url]"', "b"]]),
      "duplicate_parameter",
      "input_reference[image_url]",
    ],
    ["with other seconds", form([PROMPT, ['name="seconds"', "5"]]), "invalid_value", "seconds"],
    ["with the text null", form([PROMPT, ['name="size"', "null"]]), "invalid_value", "size"],
    ["with __proto__", form([PROMPT, ['name="__proto__"', "x"]]), "unknown_parameter", "__proto__"],
    [
      "with __proto__ inside",
      form([...FRAMES, ['name="input_reference[__proto__]"', "x"], ['name="input_reference[image_url]"', "https://a.example/x"]]),
      "unknown_parameter",
      "input_reference.__proto__",
    ],
    [
      "with a path as name",
      form([PROMPT, ['name="input_reference[image_url][x]"', "x"]]),
      "unknown_parameter",
      "input_reference[image_url][x]",
    ],
    ["with an array", form([PROMPT, ['name="prompt[]"', "x"]]), "unknown_parameter", "prompt[]"],
    ["with no name", form([PROMPT, ['name=""', "x"]]), "invalid_form", null],
    ["with the name of a method", form([PROMPT, ['name="toString"', "x"]]), "unknown_parameter", "toString"],
    ["cut off", form([PROMPT]).slice(0, -10), "invalid_form", null],
    ["that is none", "{}", "invalid_form", null],
    ["that is empty", "", "invalid_form", null],
    ["with another boundary", form([PROMPT]).replaceAll(BOUNDARY, "other"), "invalid_form", null],
  ])("%s", async (_name, body, code, param) => {
    await expectRefusal(owner, async () => send(body, TYPE), { status: 400, code, param });
    expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
  });

  it("without a boundary", async () => {
    await expectRefusal(owner, async () => send(form([PROMPT]), "multipart/form-data"), { status: 400, code: "invalid_form" });
  });

  it("that is not UTF-8", async () => {
    const body = new TextEncoder().encode(form([['name="prompt"', "a lake #"]]));
    body[body.indexOf("#".charCodeAt(0))] = 0xff;
    await expectRefusal(owner, async () => send(body, TYPE), { status: 400, code: "invalid_encoding" });
  });

  it("with a thousand parts", async () => {
    const parts = Array.from({ length: 1_000 }, (_, index) => [`name="p${index}"`, "x"] as const);
    const refused = { status: 400, code: "unknown_parameter", param: "p0" };
    await expectRefusal(owner, async () => send(form([PROMPT, ...parts]), TYPE), refused);
  });

  it("with more text than JSON may have", async () => {
    const body = form([PROMPT, ['name="size"', "x".repeat(256 * 1024)]]);
    await expectRefusal(owner, async () => send(body, TYPE), { status: 413, code: "payload_too_large" });
  });

  it("that is compressed", async () => {
    const send415 = async () => send(form([PROMPT]), TYPE, { "content-encoding": "gzip" });
    await expectRefusal(owner, send415, { status: 415, code: "unsupported_encoding" });
  });
});

describe("a form with a file", () => {
  const FILE = 'name="input_reference"; filename="a.png"';
  const MIB = 2 ** 20;

  /** A latin-1 text is its bytes. */
  function form(parts: readonly (readonly [about: string, value: string | Uint8Array])[]): Blob {
    const pieces = parts.flatMap(([about, value]) => [
      `--b\r\nContent-Disposition: form-data; ${about}\r\n\r\n`,
      typeof value === "string" ? latin1(value) : value,
      "\r\n",
    ]);
    return new Blob([...pieces, "--b--\r\n"]);
  }
  const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
  const sendForm = async (body: Blob) => send(body, "multipart/form-data; boundary=b");

  const PROMPT = ['name="prompt"', "a lake"] as const;
  const IMAGE = [FILE, PNG] as const;

  it.each([
    ["that is empty", ""],
    ["of SVG", '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'],
    ["of GIF", "GIF89a"],
    ["of HTML before PNG", `<script>${PNG}`],
    ["of RIFF that is no WebP", "RIFF\x10\0\0\0WAVEfmt "],
    ["cut off in its first bytes", PNG.slice(0, 7)],
  ])("%s", async (_name, content) => {
    const refused = { status: 400, code: "image_invalid", param: "input_reference" };
    const message = await expectRefusal(owner, async () => sendForm(form([PROMPT, [FILE, content]])), refused);
    expect(message).toContain("JPEG, PNG or WebP");
  });

  it.each<[string, readonly (readonly [string, string])[], string, string | null]>([
    ["and no prompt", [IMAGE], "missing_required_parameter", "prompt"],
    ["for a model that takes none", [PROMPT, IMAGE, ['name="model"', "veo3"]], "unsupported_parameter", "input_reference"],
    ["twice", [PROMPT, IMAGE, IMAGE], "duplicate_parameter", "input_reference"],
    [
      "and a URL",
      [PROMPT, IMAGE, ['name="input_reference[image_url]"', "https://a.example/x"]],
      "duplicate_parameter",
      "input_reference",
    ],
    ["as URL", [PROMPT, ['name="input_reference[image_url]"; filename="a.png"', PNG]], "invalid_type", "input_reference.image_url"],
    ["of another name", [PROMPT, ['name="image"; filename="a.png"', PNG]], "unknown_parameter", "image"],
    ["and a field too many", [PROMPT, IMAGE, ['name="tenant"', "x"]], "unknown_parameter", "tenant"],
    ["and a prompt that is not UTF-8", [['name="prompt"', "a lake \xff"], IMAGE], "invalid_encoding", null],
  ])("%s", async (_name, parts, code, param) => {
    await expectRefusal(owner, async () => sendForm(form(parts)), { status: 400, code, param });
  });

  it("that is larger than an image may be", async () => {
    const content = new Uint8Array(10 * MIB + 1);
    content.set(latin1(PNG));
    const refused = { status: 413, code: "payload_too_large", param: "input_reference" };
    await expectRefusal(owner, async () => sendForm(form([PROMPT, [FILE, content]])), refused);
  });

  it("that is larger than any form may be", async () => {
    const body = form([PROMPT, [FILE, new Uint8Array(11 * MIB)]]);
    const message = await expectRefusal(owner, async () => sendForm(body), { status: 413, code: "payload_too_large" });
    expect(message).toContain("10 MB");
  });

  it("and more text than JSON may have", async () => {
    const body = form([PROMPT, IMAGE, ['name="size"', "x".repeat(256 * 1024)]]);
    await expectRefusal(owner, async () => sendForm(body), { status: 413, code: "payload_too_large" });
  });

  it("that quota refuses: nothing is kept", async () => {
    const poor = await aTenant({ limits: { creditsPerPeriod: 1 } });
    const send402 = async () =>
      call("/v1/videos", {
        method: "POST",
        key: poor.key,
        headers: { "content-type": "multipart/form-data; boundary=b" },
        body: form([PROMPT, IMAGE]),
      });
    await expectRefusal(poor, send402, { status: 402, code: "insufficient_quota" });
    expect((await env.VIDEOS.list({ prefix: "images/" })).objects).toEqual([]);
  });
});

it.each(["text/plain", "application/x-www-form-urlencoded", "multipart/mixed; boundary=b", "multipart/form-dataX", null])(
  "a body of type %s",
  async (type) => {
    const body = new TextEncoder().encode("prompt=a+lake");
    const refused = { status: 415, code: "unsupported_media_type" };
    expect(await expectRefusal(owner, async () => send(body, type), refused)).toMatch(/application\/json.* multipart\/form-data/);
  },
);

describe("who asks", () => {
  it.each([
    ["POST", "/v1/videos"],
    ["GET", "/v1/videos"],
    ["GET", "/v1/videos/x"],
    ["DELETE", "/v1/videos/x"],
    ["GET", "/v1/videos/x/content"],
  ])("needs a key for %s %s", async (method, path) => {
    await expectRefusal(owner, async () => call(path, { method }), { status: 401, code: "missing_api_key" });
  });

  it("creates and deletes with no key that is only for reading", async () => {
    const reader = await aTenant({ scopes: ["read"] });
    const refused = { status: 403, code: "insufficient_scope" };
    await expectRefusal(reader, async () => call("/v1/videos", { method: "POST", key: reader.key }), refused);
    await expectRefusal(reader, async () => call("/v1/videos/x", { method: "DELETE", key: reader.key }), refused);
  });

  it.each(["", "/content"])("is told of no id but its own: GET%s", async (suffix) => {
    for (const id of ["x", "%00", "..%2f..%2fadmin", "%E0%A4%A", "a".repeat(4_096), "veo3:1704067200-abcdefghijklmnopqrstuvwxyz"]) {
      const get = async () => call(`/v1/videos/${id}${suffix}`, { key: owner.key });
      await expectRefusal(owner, get, { status: 404, code: "task_not_found" });
    }
  });

  it("is braked when it guesses", async () => {
    const { key } = await aTenant();
    // The shield's minute may turn over in the middle, so that it takes up to twice as many as it lets pass.
    let status = 404;
    for (let guesses = 0; status === 404 && guesses < 400; guesses++)
      status = (await call(`/v1/videos/veo3:1704067200-${guesses}`, { key })).status;
    expect(status).toBe(429);
  });
});

it.each([
  ["PUT", "/v1/videos", "POST, GET, HEAD, OPTIONS"],
  ["POST", "/v1/videos/x", "GET, DELETE, HEAD, OPTIONS"],
  ["DELETE", "/v1/videos/x/content", "GET, HEAD, OPTIONS"],
])("%s %s is told what is allowed there", async (method, path, allow) => {
  const reply = async () => call(path, { method, key: owner.key });
  await expectRefusal(owner, reply, { status: 405, code: "method_not_allowed" });
  expect((await reply()).headers.get("allow")).toBe(allow);
});
