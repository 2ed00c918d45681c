// Models, switched off and priced anew while the gateway runs. The edge hears of it within 15 seconds, so the clock is moved.
import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { Model, WholeList } from "../../../src/cli/admin-wire.ts";
import { MODEL_NAMES } from "../../../src/core/models.ts";
import { call, create } from "../../support/gateway.ts";
import { aCustomer, auditLog, told, type Customer } from "../../support/operator.ts";
import { readBalances } from "../../support/objects.ts";
import { readError } from "../../support/refusals.ts";

let customer: Customer;
beforeAll(async () => {
  customer = await aCustomer();
});
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 16_000 });
});
afterEach(async () => {
  await told("PATCH", "/models/veo3", { enabled: true, credits: null, upsample_credits: null });
  hear();
  await call("/v1/models");
});
afterAll(async () => {
  vi.useRealTimers();
  await reset();
});

/** Until every isolate has read the switches again. */
function hear(): void {
  vi.setSystemTime(Date.now() + 16_000);
}

const VEO3 = { model: "veo3", prompt: "a lake [[stuck]]" };

async function quoted(body: object): Promise<{ credits: number; formula: string }> {
  const headers = { "content-type": "application/json" };
  const reply = await call("/v1/video/quote", { method: "POST", key: customer.key, headers, body: JSON.stringify(body) });
  return reply.json();
}

it("are all listed, as they are sold", async () => {
  const { object, data } = await told<WholeList<Model> & { object: string }>("GET", "/models");
  expect([object, data.map(({ id }) => id)]).toEqual(["list", MODEL_NAMES]);
  expect(data).toContainEqual({ id: "veo3", enabled: true, reason: null, credits: 40, upsample_credits: 20 });
});

describe("a model that is switched off", () => {
  it("row 44: is answered 503 with the reason and a time to come back, and nothing is held", async () => {
    const before = await readBalances(customer);
    const row = await told<Model>("PATCH", "/models/veo3", { enabled: false, reason: "the provider is being repaired" });
    expect(row).toEqual({
      id: "veo3",
      enabled: false,
      reason: "the provider is being repaired",
      credits: 40,
      upsample_credits: 20,
    });
    hear();
    const reply = await create(customer.key, VEO3);
    expect(Number(reply.headers.get("Retry-After"))).toBeGreaterThan(0);
    const refused = await readError(reply);
    expect(refused).toMatchObject({ status: 503, code: "model_unavailable" });
    expect(refused.message).toContain("the provider is being repaired");
    expect(await readBalances(customer)).toEqual(before);
    expect((await create(customer.key, { ...VEO3, model: "veo2" })).status).toBe(200);
    const { data } = await (await call("/v1/models")).json<{ data: { id: string; available: boolean }[] }>();
    expect(data.filter(({ available }) => !available).map(({ id }) => id)).toEqual(["veo3"]);
  });

  it("is back when it is switched on", async () => {
    await told("PATCH", "/models/veo3", { enabled: false, reason: "x" });
    hear();
    expect((await create(customer.key, VEO3)).status).toBe(503);
    expect(await told<Model>("PATCH", "/models/veo3", { enabled: true })).toMatchObject({ enabled: true, reason: null });
    hear();
    expect((await create(customer.key, VEO3)).status).toBe(200);
  });
});

describe("a price", () => {
  it("that is changed is quoted, held and told of; what was held before keeps its own", async () => {
    const held = (await readBalances(customer)).held;
    await create(customer.key, VEO3);
    await told("PATCH", "/models/veo3", { credits: 33, upsample_credits: 7 });
    hear();
    expect(await quoted(VEO3)).toMatchObject({ credits: 33, formula: "33 per video" });
    expect(await quoted({ ...VEO3, enable_upsample: true })).toMatchObject({
      credits: 40,
      formula: "33 per video + 7 upsampled = 40",
    });
    const reply = await create(customer.key, VEO3);
    expect(reply.headers.get("X-Credits-Charged")).toBe("33");
    expect((await readBalances(customer)).held).toBe(held + 40 + 33);
  });

  it("may be free of upsampling's, and each is put back by itself", async () => {
    const row = { id: "veo3", enabled: true, reason: null };
    const patch = async (body: object): Promise<Model> => told<Model>("PATCH", "/models/veo3", body);
    expect(await patch({ credits: 1, upsample_credits: 0 })).toEqual({ ...row, credits: 1, upsample_credits: 0 });
    expect(await patch({ credits: null })).toEqual({ ...row, credits: 40, upsample_credits: 0 });
    expect(await patch({ enabled: false, reason: "x" })).toMatchObject({ enabled: false, upsample_credits: 0 });
    expect(await patch({ enabled: true, upsample_credits: null })).toEqual({ ...row, credits: 40, upsample_credits: 20 });
    expect(await env.TENANTS.get("models", "json")).toEqual({});
  });
});

it("leave who changed what, from what, to what", async () => {
  await told("PATCH", "/models/veo3", { enabled: false, reason: "x" }, { "X-Reelay-Actor": "Ada" });
  expect((await auditLog())[0]).toMatchObject({
    actor: "Ada",
    action: "model.change",
    target: "veo3",
    before: { off: null, credits: null, upsample_credits: null },
    after: { off: "x", credits: null, upsample_credits: null },
  });
});
