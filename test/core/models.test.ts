import { describe, expect, it } from "vitest";
import { checkGeneration, MAX_PROMPT_CODE_POINTS } from "../../src/core/generation.ts";
import { ASPECT_RATIOS, catalogue, MODEL_NAMES, withSwitches, type ModelName } from "../../src/core/models.ts";
import { quote } from "../../src/core/pricing.ts";
import { aGeneration, MINUTE } from "../support/builders.ts";

const MODELS = catalogue();

/** The public page's tables: model, whether it takes an aspect ratio, images at most. */
const PUBLISHED: [ModelName, boolean, number][] = [
  ["veo2", false, 0],
  ["veo2-fast", false, 0],
  ["veo2-pro", false, 0],
  ["veo2-fast-frames", false, 2],
  ["veo2-fast-components", false, 3],
  ["veo3", true, 0],
  ["veo3-fast", true, 0],
  ["veo3-pro", true, 0],
  ["veo3-pro-frames", true, 1],
  ["veo3.1", true, 0],
  ["veo3.1-fast", true, 0],
];

const images = (count: number): string[] => Array.from({ length: count }, (_, index) => `https://example.com/${index}.jpg`);

describe("the catalogue", () => {
  it("has the models of the public page, in its order", () => {
    expect(MODEL_NAMES).toEqual(PUBLISHED.map(([name]) => name));
    expect(Object.keys(MODELS)).toEqual(MODEL_NAMES);
  });

  it.each(PUBLISHED)("%s: aspect ratio %s, %i images", (name, ratios, maxImages) => {
    const model = MODELS[name];
    expect(model).toMatchObject({ name, maxImages, upsample: true, deadlineMs: 30 * MINUTE });
    expect(model.aspectRatios).toEqual(ratios ? ["16:9", "9:16"] : []);
    expect(model.imageRole === null).toBe(maxImages === 0);
  });

  it.each(MODEL_NAMES)("prices %s in whole credits, and expects it well before its deadline", (name) => {
    const { credits, upsampleCredits, medianMs, deadlineMs } = MODELS[name];
    expect(credits).toSatisfy(Number.isSafeInteger);
    expect(upsampleCredits).toSatisfy(Number.isSafeInteger);
    expect(Math.min(credits, upsampleCredits)).toBeGreaterThan(0);
    expect(medianMs * 4).toBeLessThan(deadlineMs);
  });

  it("lets an operator set prices and times of one model, and no other's", () => {
    const models = catalogue({ veo3: { credits: 7, deadlineMs: 5 * MINUTE } });
    expect(models.veo3).toEqual({ ...MODELS.veo3, credits: 7, deadlineMs: 5 * MINUTE });
    expect({ ...models, veo3: null }).toEqual({ ...MODELS, veo3: null });
  });
});

describe("withSwitches", () => {
  it("changes the prices that an operator changed while the gateway runs, and nothing else", () => {
    const models = withSwitches(MODELS, { veo3: { off: null, credits: 0, upsampleCredits: null } });
    expect(models.veo3).toEqual({ ...MODELS.veo3, credits: 0 });
    expect({ ...models, veo3: null }).toEqual({ ...MODELS, veo3: null });
    expect(withSwitches(MODELS, {})).toEqual(MODELS);
  });
});

describe("quote", () => {
  it.each(MODEL_NAMES)("is %s's price, and more when it is upsampled", (model) => {
    const { credits, upsampleCredits } = MODELS[model];
    expect(quote(MODELS, aGeneration({ model })).credits).toBe(credits);
    expect(quote(MODELS, aGeneration({ model, upsample: true })).credits).toBe(credits + upsampleCredits);
  });

  it("depends on nothing else", () => {
    const plain = aGeneration({ model: "veo3-pro-frames" });
    expect(quote(MODELS, { ...plain, enhancePrompt: true, aspectRatio: "9:16", images: images(1) })).toEqual(quote(MODELS, plain));
  });

  it("follows the operator's price", () => {
    expect(quote(catalogue({ veo3: { credits: 7, upsampleCredits: 0 } }), aGeneration({ upsample: true })).credits).toBe(7);
  });

  it("says how it comes about", () => {
    const models = catalogue({ veo3: { credits: 40, upsampleCredits: 20 } });
    expect(quote(models, aGeneration())).toEqual({ credits: 40, formula: "40 per video" });
    expect(quote(models, aGeneration({ upsample: true }))).toEqual({ credits: 60, formula: "40 per video + 20 upsampled = 60" });
  });
});

it("prompts may be as long as the contract says", () => {
  expect(MAX_PROMPT_CODE_POINTS).toBe(8_000);
});

// The numbers are rows of the bad-input catalogue.
describe("checkGeneration", () => {
  it.each(PUBLISHED)("%s may have its aspect ratio %s and up to %i images, or none (52, 57)", (model, ratios, maxImages) => {
    const generation = aGeneration({ model, upsample: true, enhancePrompt: true });
    for (const aspectRatio of ratios ? ASPECT_RATIOS : []) {
      expect(checkGeneration(MODELS, { ...generation, aspectRatio })).toEqual({ ok: true, value: { ...generation, aspectRatio } });
    }
    for (let count = 0; count <= maxImages; count++) {
      expect(checkGeneration(MODELS, { ...generation, images: images(count) }).ok).toBe(true);
    }
  });

  it.each(PUBLISHED.filter(([, ratios]) => !ratios))("%s takes no aspect ratio, and is told which models do (54)", (model) => {
    expect(checkGeneration(MODELS, aGeneration({ model, aspectRatio: "16:9" }))).toEqual({
      ok: false,
      error: {
        kind: "unsupported_parameter",
        field: "aspectRatio",
        model,
        hint: "Only veo3, veo3-fast, veo3-pro, veo3-pro-frames, veo3.1, veo3.1-fast take an aspect ratio.",
      },
    });
  });

  it.each(PUBLISHED.filter(([, , max]) => max === 0))("%s takes no images, and is told which models do (55)", (model) => {
    expect(checkGeneration(MODELS, aGeneration({ model, images: images(1) }))).toEqual({
      ok: false,
      error: {
        kind: "unsupported_parameter",
        field: "images",
        model,
        hint: "Only veo2-fast-frames, veo2-fast-components, veo3-pro-frames take images.",
      },
    });
  });

  it.each(PUBLISHED.filter(([, , max]) => max > 0))("%s takes not one image more (56)", (model, _, max) => {
    expect(checkGeneration(MODELS, aGeneration({ model, images: images(max + 1) }))).toEqual({
      ok: false,
      error: { kind: "too_many_images", model, max, given: max + 1 },
    });
  });
});
