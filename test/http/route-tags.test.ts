// `route.only` with tags that no provider of what is asked for has: told before anything is held.
import { reset } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { aTenant, callWith, finish, create, type TestTenant } from "../support/gateway.ts";
import { expectRefusal, readError } from "../support/refusals.ts";

const fal = { kind: "fal", api_key_secret: "FAL_KEY" };
const EU = { ...fal, name: "canary-eu", tags: ["quick", "eu"], models: { veo2: "fal-ai/veo2", veo3: "fal-ai/veo3" } };
const US = { ...fal, name: "canary-us", tags: ["us"], models: { veo3: "fal-ai/veo3" } };
const PLAIN = { ...fal, name: "canary-plain", models: { "veo3-fast": "fal-ai/veo3/fast" } };
const VALID = { model: "veo3", prompt: "a lake" };

afterEach(async () => {
  vi.restoreAllMocks();
  await reset();
});

const ways: [string, (owner: TestTenant, body: object, providers?: object[]) => Promise<Response>][] = [
  ["a quote", async (owner, body, providers) => send("/v1/video/quote", owner, body, providers)],
  ["a dry run", async (owner, body, providers) => send("/v1/video/create", owner, { ...body, dry_run: true }, providers)],
  ["a create", async (owner, body, providers) => send("/v1/video/create", owner, body, providers)],
  [
    "a create with a key",
    async (owner, body, providers) => send("/v1/video/create", owner, body, providers, { "idempotency-key": "k" }),
  ],
];

async function send(
  path: string,
  { key }: TestTenant,
  body: object,
  providers: object[] = [EU, US, PLAIN],
  headers = {},
): Promise<Response> {
  const settings = { PROVIDERS: JSON.stringify(providers), FAL_KEY: "id:secret" };
  const init = { method: "POST", key, body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } };
  return callWith(settings, path, init);
}

describe.each(ways)("%s", (_, ask) => {
  it.each<[string, object, string]>([
    ["nobody has", { ...VALID, route: { only: ["asia", "moon"] } }, "at least one of eu, quick, us"],
    ["nobody with the model has", { ...VALID, model: "veo2", route: { only: ["us"] } }, "at least one of eu, quick:"],
    [
      "are asked of a model whose providers have none",
      { ...VALID, model: "veo3-fast", route: { only: ["eu"] } },
      "must be left out",
    ],
  ])("is refused with tags that %s, says which would do, and leaves nothing", async (__, body, words) => {
    const owner = await aTenant({ mode: "live", limits: { choosesRoutes: true } });
    const refused = { status: 400, code: "invalid_value", param: "route.only" };
    const message = await expectRefusal(owner, async () => ask(owner, body), refused);
    expect(message).toContain(words);
    expect(message).not.toContain("canary");
  });

  it("says which tags there are to nobody whose plan does not let choose", async () => {
    const owner = await aTenant({ mode: "live" });
    const refused = { status: 403, code: "route_not_allowed", param: "route" };
    await expectRefusal(owner, async () => ask(owner, { ...VALID, route: { only: ["asia"] } }), refused);
  });

  it("is taken with one tag that leads somewhere", async () => {
    const owner = await aTenant({ mode: "live", limits: { choosesRoutes: true } });
    expect((await ask(owner, { ...VALID, route: { only: ["asia", "us"] } })).status).toBe(200);
  });
});

it("a create that was taken is repeated by its key, though the tag is gone since", async () => {
  const owner = await aTenant({ mode: "live", limits: { choosesRoutes: true } });
  const body = { ...VALID, route: { only: ["us"] } };
  const again = { "idempotency-key": "the-one" };
  const first = await (await send("/v1/video/create", owner, body, [EU, US], again)).json<{ id: string }>();
  const repeated = await send("/v1/video/create", owner, body, [EU], again);
  expect([repeated.status, (await repeated.json<{ id: string }>()).id]).toEqual([200, first.id]);
  expect(await readError(await send("/v1/video/create", owner, body, [EU]))).toMatchObject({ param: "route.only" });
});

it("a test key's video is the simulated provider's, whatever the tags", async () => {
  const owner = await aTenant({ limits: { choosesRoutes: true } });
  const reply = await create(owner.key, { ...VALID, prompt: "a lake [[slow:0]]", route: { only: ["eu"] } });
  expect((await finish(owner, (await reply.json<{ id: string }>()).id)).status).toBe("completed");
});
