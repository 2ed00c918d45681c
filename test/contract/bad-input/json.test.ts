// The bad-input catalogue (reliability.md, section 8), rows 17-30 and 37: bodies that are not the JSON they should be.
import { reset } from "cloudflare:test";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { aTenant, call, type TestTenant } from "../../support/gateway.ts";
import { expectRefusal } from "../../support/refusals.ts";

let owner: TestTenant;
beforeAll(async () => {
  owner = await aTenant();
});
afterAll(reset);

const CREATE = '{"model":"veo3","prompt":"a lake"}';

async function post(key: string, body: BodyInit | null): Promise<Response> {
  return call("/v1/video/create", { method: "POST", key, headers: { "content-type": "application/json" }, body });
}

function refused(body: BodyInit | null, expected: { code: string; param?: string | null }): Promise<string> {
  return expectRefusal(owner, async () => post(owner.key, body), { status: 400, ...expected });
}

/** A create with one more member, as text. */
function withMember(member: string): string {
  return `${CREATE.slice(0, -1)},${member}}`;
}

it.each<[string, BodyInit | null]>([
  ["none", null],
  ["empty", ""],
  ["blank", " \r\n\t"],
])("row 17: %s", async (_, body) => {
  expect(await refused(body, { code: "invalid_json" })).toContain("send a JSON object");
});

it.each(['{"model":"veo3"', '{"model":"ve', "{", '{"model":'])("row 18: cut short: %s", async (body) => {
  await refused(body, { code: "invalid_json" });
});

it.each([`${CREATE}x`, `${CREATE}${CREATE}`, `${CREATE},`, `${CREATE}\u0000`])("row 19: bytes after the end: %j", async (body) => {
  await refused(body, { code: "invalid_json" });
});

it.each([
  '{"model":"veo3",/* no */"prompt":"x"}',
  '{"model":"veo3","prompt":"x"} // no',
  '{"model":"veo3","prompt":"x",}',
  '{"model":NaN,"prompt":"x"}',
  "{'model':'veo3','prompt':'x'}",
  '{model:"veo3",prompt:"x"}',
  '{"model":"veo3","prompt":"a\nb"}',
  '{"model":"veo3","prompt":undefined}',
])("row 20: nearly JSON: %j", async (body) => {
  await refused(body, { code: "invalid_json" });
});

it.each(["[]", `[${CREATE}]`, '"veo3"', "null", "1", "true"])("row 21: not an object: %s", async (body) => {
  expect(await refused(body, { code: "invalid_type" })).toBe("The body must be an object.");
});

it.each([
  ["row 22: a name given twice", '{"model":"veo2","model":"veo3","prompt":"x"}', "model"],
  ["row 22: twice the same", withMember('"prompt":"a lake"'), "prompt"],
  ["row 23: once escaped", '{"model":"veo2","mod\\u0065l":"veo3","prompt":"x"}', "model"],
  ["row 23: both escaped", '{"\\u006dodel":"veo2","mode\\u006c":"veo3","prompt":"x"}', "model"],
  ["row 22: deep inside", withMember('"images":[{"a":1,"a":2}]'), "a"],
])("%s", async (_, body, param) => {
  expect(await refused(body, { code: "duplicate_key", param })).toContain("twice");
});

describe("names that mean something to JavaScript", () => {
  it.each([
    ["row 24: __proto__", withMember('"__proto__":{"admin":true}'), "__proto__"],
    ["row 24: __proto__ escaped", withMember('"__pr\\u006fto__":{"admin":true}'), "__proto__"],
    ["row 25: constructor.prototype", withMember('"constructor":{"prototype":{"admin":true}}'), "constructor"],
    ["row 25: toString", withMember('"toString":1'), "toString"],
    ["row 25: hasOwnProperty", withMember('"hasOwnProperty":null'), "hasOwnProperty"],
  ])("%s", async (_, body, param) => {
    await refused(body, { code: "unknown_parameter", param });
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  it("row 25: __proto__ inside an item of images", async () => {
    const body = '{"model":"veo3-pro-frames","prompt":"x","images":[{"__proto__":{"admin":true}}]}';
    await refused(body, { code: "invalid_type", param: "images.0" });
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });
});

it("row 26: a byte order mark before it is passed over", async () => {
  const { key } = await aTenant();
  expect((await post(key, `\ufeff${CREATE}`)).status).toBe(200);
});

describe("row 27: not UTF-8", () => {
  const utf8 = (text: string) => new TextEncoder().encode(text);
  const utf16 = (littleEndian: boolean) => {
    const view = new DataView(new ArrayBuffer(CREATE.length * 2));
    for (let index = 0; index < CREATE.length; index++) view.setUint16(index * 2, CREATE.charCodeAt(index), littleEndian);
    return new Uint8Array(view.buffer);
  };
  const inPrompt = (...bytes: number[]) => new Uint8Array([...utf8('{"model":"veo3","prompt":"'), ...bytes, ...utf8('"}')]);

  it.each<[string, Uint8Array<ArrayBuffer>]>([
    ["UTF-16, little end first", utf16(true)],
    ["UTF-16, big end first", utf16(false)],
    ["UTF-16 with its mark", new Uint8Array([0xff, 0xfe, ...utf16(true)])],
    ["a lone continuation byte", inPrompt(0x80)],
    ["a cut sequence", inPrompt(0xe4, 0xb8)],
    ["an overlong slash", inPrompt(0xc0, 0xaf)],
    ["half a surrogate pair", inPrompt(0xed, 0xa0, 0x80)],
    ["Latin-1", inPrompt(0xe9)],
  ])("%s", async (_, body) => {
    expect(await refused(body, { code: "invalid_encoding" })).toContain("UTF-8");
  });
});

it.each(["\\ud800", "\\udc00", "a lake \\ud83d", "\\ude00\\ud83d"])("row 28: half a surrogate pair: %s", async (text) => {
  const message = await refused(`{"model":"veo3","prompt":"${text}"}`, { code: "invalid_unicode", param: "prompt" });
  expect(message).toContain("surrogate");
});

describe("row 29: control characters in a prompt", () => {
  it.each(["\\u0000", "\\u0001", "\\b", "\\u000b", "\\f", "\\u001b", "\\u001f", "\\u007f"])("%s is refused", async (text) => {
    await refused(`{"model":"veo3","prompt":"a ${text} lake"}`, { code: "invalid_characters", param: "prompt" });
  });

  it.each(["\\t", "\\n", "\\r\\n"])("%s is not", async (text) => {
    const { key } = await aTenant();
    expect((await post(key, `{"model":"veo3","prompt":"a${text}lake"}`)).status).toBe(200);
  });
});

describe("row 30: nested deeper than any request is", () => {
  it.each([
    ["100,000 arrays", "[".repeat(100_000) + "]".repeat(100_000)],
    ["100,000 arrays in a field", withMember(`"images":${"[".repeat(100_000)}${"]".repeat(100_000)}`)],
    ["10,000 objects", '{"a":'.repeat(10_000) + "1" + "}".repeat(10_000)],
    ["nine", "[".repeat(9) + "]".repeat(9)],
  ])("%s", async (_, body) => {
    expect(await refused(body, { code: "too_deep" })).toContain("8 deep");
  });

  it("eight are judged by their fields", async () => {
    await refused(withMember(`"images":${"[".repeat(7)}${"]".repeat(7)}`), { code: "invalid_type", param: "images.0" });
  });

  it("brackets in a prompt are not nesting", async () => {
    const { key } = await aTenant();
    expect((await post(key, `{"model":"veo3","prompt":"${"[{".repeat(100)}"}`)).status).toBe(200);
  });
});

describe("row 37: numbers beyond counting", () => {
  const numbers = ["1e999", "-1e999", "9".repeat(400)];
  const fields = ["model", "prompt", "enhance_prompt", "enable_upsample", "aspect_ratio", "images"];

  it.each(fields.flatMap((field) => numbers.map((number) => [field, number] as const)))("%s: %#", async (field, number) => {
    const members = { model: '"veo3"', prompt: '"a lake"', [field]: number };
    const body = `{${Object.entries(members).map(([name, value]) => `"${name}":${value}`)}}`;
    await refused(body, { code: "invalid_type", param: field });
  });

  it("inside images", async () => {
    await refused('{"model":"veo3-pro-frames","prompt":"x","images":[1e999]}', { code: "invalid_type", param: "images.0" });
  });
});
