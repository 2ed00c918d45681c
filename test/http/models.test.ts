import { describe, expect, it } from "vitest";
import { call, callWith } from "../support/gateway.ts";
import { tableUnder } from "../support/seed-page.ts";

interface Listed {
  id: string;
  object: string;
  created: number;
  owned_by: string;
  description: string;
  capabilities: { aspect_ratios: string[]; max_images: number; image_role: string | null; upsample: boolean };
  price: { unit: string; credits: number; upsample_credits: number };
  deadline_seconds: number;
}

async function list(settings: Record<string, unknown> = {}): Promise<Listed[]> {
  const reply = await callWith(settings, "/v1/models");
  const body = await reply.json<{ object: string; data: Listed[] }>();
  expect([reply.status, Object.keys(body), body.object]).toEqual([200, ["object", "data"], "list"]);
  return body.data;
}

describe("GET /v1/models", () => {
  it("needs no key, and is the same with any", async () => {
    const [open, odd] = [await call("/v1/models"), await call("/v1/models", { key: "sk-test-nonsense" })];
    expect([open.status, odd.status]).toEqual([200, 200]);
    expect(await odd.text()).toBe(await open.text());
  });

  it("has the shape that OpenAI's clients read, and ours beside it", async () => {
    for (const model of await list()) {
      expect(model).toEqual({
        id: expect.any(String),
        object: "model",
        created: expect.toSatisfy((time: number) => Number.isInteger(time) && time > 1_700_000_000 && time < 10_000_000_000),
        owned_by: expect.any(String),
        description: expect.any(String),
        capabilities: {
          aspect_ratios: expect.any(Array),
          max_images: expect.any(Number),
          image_role: expect.toBeOneOf(["frames", "components", null]),
          upsample: true,
        },
        price: { unit: "video", credits: expect.any(Number), upsample_credits: expect.any(Number) },
        deadline_seconds: 1_800,
        available: true,
      });
      expect(model.price.credits).toBeGreaterThan(0);
    }
  });

  it("lists the page's models in the page's order, with their ratios and limits", async () => {
    const rows = tableUnder("Supported Models").map(([id = "", description = "", ratios = ""]) => ({
      id,
      aspect_ratios: ratios.match(/\d+:\d+/g) ?? [],
      max_images: Number(/max (\d) image/.exec(description)?.[1] ?? 0),
    }));
    const listed = (await list()).map(({ id, capabilities: { aspect_ratios, max_images } }) => ({ id, aspect_ratios, max_images }));
    expect(listed).toEqual(rows);
  });

  it("has the operator's prices and deadlines", async () => {
    const MODELS = JSON.stringify({ veo3: { credits: 7, upsample_credits: 0, deadline_minutes: 10 } });
    const [changed, plain] = [await list({ MODELS }), await list()];
    const veo3 = changed.find(({ id }) => id === "veo3");
    expect([veo3?.price, veo3?.deadline_seconds]).toEqual([{ unit: "video", credits: 7, upsample_credits: 0 }, 600]);
    expect(changed.filter(({ id }) => id !== "veo3")).toEqual(plain.filter(({ id }) => id !== "veo3"));
  });
});
