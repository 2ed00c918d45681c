// What no configured provider can make: told before anything is held, by whatever name the caller's dialect has for it.
import { reset } from "cloudflare:test";
import { afterEach, expect, it } from "vitest";
import { aTenant, call, callWith } from "../support/gateway.ts";
import { readError } from "../support/refusals.ts";

const provider = { name: "fal", kind: "fal", api_key_secret: "FAL_KEY", models: { veo2: "fal-ai/veo2", veo3: "fal-ai/veo3" } };
const SETTINGS = { PROVIDERS: JSON.stringify([provider]), FAL_KEY: "id:secret" };
const LARGER = { model: "veo2", prompt: "a lake", enable_upsample: true };

afterEach(async () => {
  await reset();
});

it.each([
  ["a create", "/v1/video/create", LARGER, "enable_upsample"],
  ["a dry run", "/v1/video/create", { ...LARGER, dry_run: true }, "enable_upsample"],
  ["a quote", "/v1/video/quote", LARGER, "enable_upsample"],
  ["OpenAI's dialect", "/v1/videos", { model: "veo2", prompt: "a lake", size: "1792x1024" }, "size"],
])("refuses %s of a larger video, names the field, and holds nothing", async (_, path, body, param) => {
  const { key } = await aTenant({ mode: "live" });
  const init = { method: "POST", key, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const error = await readError(await callWith(SETTINGS, path, init));
  expect(error).toMatchObject({ status: 400, code: "unsupported_parameter", param });
  expect(error.message).toContain("No provider here makes this model's videos larger.");
  const account = await (await call("/v1/account", { key })).json<{ credits: { held: number } }>();
  expect(account.credits.held).toBe(0);
  const page = await (await call("/v1/video/list", { key })).json<{ data: unknown[] }>();
  expect(page.data).toEqual([]);
});

it("takes the same where a provider can", async () => {
  const { key } = await aTenant({ mode: "live" });
  const body = JSON.stringify({ ...LARGER, model: "veo3" });
  const reply = await callWith(SETTINGS, "/v1/video/quote", {
    method: "POST",
    key,
    headers: { "content-type": "application/json" },
    body,
  });
  expect(reply.status).toBe(200);
});

it("refuses more images than anybody here has room for, and takes as many as they have", async () => {
  const { key } = await aTenant({ mode: "live" });
  const one = { name: "one", kind: "openai-style", base_url: "https://one.example", api_key_secret: "ONE_KEY" };
  const quoted = async (count: number): Promise<Response> => {
    const images = Array.from({ length: count }, (_, n) => `https://example.com/${n}.png`);
    const body = JSON.stringify({ model: "veo2-fast-components", prompt: "a lake", images });
    const init = { method: "POST", key, headers: { "content-type": "application/json" }, body };
    return callWith({ PROVIDERS: JSON.stringify([one]), ONE_KEY: "k" }, "/v1/video/quote", init);
  };
  expect((await quoted(1)).status).toBe(200);
  const error = await readError(await quoted(2));
  expect(error).toMatchObject({ status: 400, code: "unsupported_parameter", param: "images" });
  expect(error.message).toContain("No provider here takes so many images");
});
