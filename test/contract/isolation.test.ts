// A tenant sees its own tasks, in the mode of its key, and cannot tell what else there is.
import { listDurableObjectIds, reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { aTenant, call, callWith, createdId, finish, query, type TestTenant } from "../support/gateway.ts";
import { readBooks } from "../support/objects.ts";

/** So that live keys have somewhere to go; it is never reached. */
const WITH_PROVIDER = {
  PROVIDERS: JSON.stringify([{ name: "up", kind: "seed-style", base_url: "https://up.example", api_key_secret: "UP_KEY" }]),
  UP_KEY: "upstream-secret",
};

async function liveTask({ key }: TestTenant): Promise<string> {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ model: "veo3", prompt: "a lake" });
  const reply = await callWith(WITH_PROVIDER, "/v1/video/create", { method: "POST", key, headers, body });
  expect(reply.status).toBe(200);
  return (await reply.json<{ id: string }>()).id;
}

const callers: (TestTenant & { id: string })[] = [];
beforeAll(async () => {
  for (let tenants = 0; tenants < 2; tenants++) {
    const test = await aTenant();
    const live = await aTenant({ tenant: test.tenant, mode: "live" });
    callers.push({ ...test, id: await createdId(test.key, { prompt: "a lake [[stuck]]" }) });
    callers.push({ ...live, id: await liveTask(live) });
  }
});
afterAll(reset);

describe("two tenants, two modes", () => {
  it("each key reads its own task and no other; all others look the same, and wake nothing", async () => {
    const before = (await listDurableObjectIds(env.VIDEO_TASK)).length;
    const refusals: string[] = [];
    for (const caller of callers) {
      for (const { id } of callers) {
        const reply = await query(caller.key, id);
        expect([caller.mode, id, reply.status]).toEqual([caller.mode, id, id === caller.id ? 200 : 404]);
        const body = await reply.text();
        if (id !== caller.id) refusals.push(body);
      }
    }
    refusals.push(await (await query(callers[0]?.key ?? "", "nothing-like-an-id")).text());
    expect(refusals).toHaveLength(13);
    expect(new Set(refusals).size).toBe(1);
    expect((await listDurableObjectIds(env.VIDEO_TASK)).length).toBe(before);
  });

  it("ids do not say whose they are", () => {
    for (const { id, tenant } of callers) expect(id.toLowerCase()).not.toContain(tenant.toLowerCase());
  });
});

it("a test key spends test credits and leaves the live books as they are", async () => {
  const test = await aTenant();
  const live = await aTenant({ tenant: test.tenant, mode: "live" });
  const before = await readBooks(live);
  await finish(test, await createdId(test.key));
  await finish(test, await createdId(test.key, { prompt: "[[refuse:content_policy]]" }));
  expect((await readBooks(test)).account.spent).toBe(40);
  expect(await readBooks(live)).toEqual(before);
});

it("a live key spends live credits and leaves the test books as they are", async () => {
  const test = await aTenant();
  const live = await aTenant({ tenant: test.tenant, mode: "live" });
  const before = await readBooks(test);
  await liveTask(live);
  expect((await readBooks(live)).journal.some(({ kind }) => kind === "hold")).toBe(true);
  expect(await readBooks(test)).toEqual(before);
});

it("a link opens for whom it is given to, without a key, and tells nothing of its tenant", async () => {
  const owner = await aTenant();
  const { video_url } = await finish(owner, await createdId(owner.key));
  const reply = await call(video_url ?? "");
  expect(reply.status).toBe(200);
  await reply.arrayBuffer();
  expect(JSON.stringify([video_url, ...reply.headers])).not.toContain(owner.tenant);
});

it("a reply names no provider, route or attempt", async () => {
  const owner = await aTenant();
  for (const prompt of ["[[slow:0]]", "[[refuse:content_policy]]", "[[lost_submit]]"]) {
    const video = await finish(owner, await createdId(owner.key, { prompt }));
    expect(JSON.stringify(video)).not.toMatch(/simulated|operation|attempt|readyAt/);
  }
});
