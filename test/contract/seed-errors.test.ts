// The public API page's table of errors: each status can be met, and each reply has the one form that errors have.
import { reset } from "cloudflare:test";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { aTenant, call, callWith, create, createdId, query, type TestTenant } from "../support/gateway.ts";
import { readError } from "../support/refusals.ts";
import { tableUnder } from "../support/seed-page.ts";

const VALID = { model: "veo3", prompt: "a lake" };

let owner: TestTenant;
beforeAll(async () => {
  owner = await aTenant();
});
afterAll(reset);

/** What of ours goes wrong: no object answers. */
const BROKEN = {
  VIDEO_TASK: {
    getByName() {
      throw new Error("a secret detail");
    },
  },
};

const meet: Record<string, () => Promise<Response>> = {
  "400": async () => create(owner.key, { ...VALID, aspect_ratio: "1:1" }),
  "401": async () => create("sk-your-api-key", VALID),
  "402": async () => create((await aTenant({ limits: { creditsPerPeriod: 39 } })).key, VALID),
  "404": async () => query(owner.key, "veo3:1234567890-abcdefgh"),
  "429": async () => {
    const hasty = await aTenant({ limits: { createsPerMinute: 1 } });
    await create(hasty.key, VALID);
    return create(hasty.key, VALID);
  },
  "500": async () => callWith(BROKEN, `/v1/video/query?id=${await createdId(owner.key)}`, { key: owner.key }),
};

const told: Record<string, { code: string; param: string | null }> = {
  "400": { code: "invalid_value", param: "aspect_ratio" },
  "401": { code: "invalid_api_key", param: null },
  "402": { code: "insufficient_quota", param: null },
  "404": { code: "task_not_found", param: null },
  "429": { code: "rate_limit_exceeded", param: null },
  "500": { code: "internal_error", param: null },
};

describe("the error table", () => {
  const rows = tableUnder("Error Responses");

  it("is the one that is tested here", () => {
    expect(rows.map(([status]) => status)).toEqual(Object.keys(meet));
  });

  it.each(rows)("%s: %s", async (status = "") => {
    const reply = await meet[status]?.();
    expect(await readError(reply as Response)).toMatchObject({ status: Number(status), ...told[status] });
  });
});

it("tells nothing of what went wrong on our side but the id to ask about", async () => {
  const id = await createdId(owner.key);
  const reply = await callWith(BROKEN, `/v1/video/query?id=${id}`, { key: owner.key, headers: { "x-request-id": "find-me" } });
  expect(reply.headers.get("x-request-id")).toBe("find-me");
  expect((await readError(reply)).message).toMatch(/x-request-id/);
});

it("tells a browser, too", async () => {
  const reply = await call("/v1/video/query?id=x", { key: owner.key, headers: { Origin: "https://page.example" } });
  expect([reply.status, reply.headers.get("Access-Control-Allow-Origin")]).toEqual([404, "*"]);
});
