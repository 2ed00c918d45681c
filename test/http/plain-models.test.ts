// A model that no configured provider can make larger: told before anything is held, by whatever name the caller's dialect has for it.
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
