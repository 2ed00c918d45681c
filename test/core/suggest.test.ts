import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MODEL_NAMES } from "../../src/core/models.ts";
import { nearest } from "../../src/core/suggest.ts";

const FIELDS = ["model", "prompt", "enhance_prompt", "enable_upsample", "aspect_ratio", "images"];

describe("nearest", () => {
  it.each([
    ["veo-3", "veo3"],
    ["veo31", "veo3"],
    ["veo3.1-fst", "veo3.1-fast"],
    ["veo3-pro-frame", "veo3-pro-frames"],
    ["veo2-fast-component", "veo2-fast-components"],
  ])("takes %s for %s", (word, name) => {
    expect(nearest(word, MODEL_NAMES)).toBe(name);
  });

  it.each([
    ["promt", "prompt"],
    ["aspectRatio", "aspect_ratio"],
    ["image", "images"],
    ["enhancePrompt", "enhance_prompt"],
    ["modle", "model"],
  ])("takes the field %s for %s", (word, name) => {
    expect(nearest(word, FIELDS)).toBe(name);
  });

  it.each(["", "sora-2", "gpt-image", "a very long word that is nothing like any of them"])("has no guess for %j", (word) => {
    expect(nearest(word, MODEL_NAMES)).toBeNull();
  });

  it.each([
    ["asc", ["desc"]],
    ["99", ["4", "8", "12"]],
    ["foo", ["status", "model", "from", "to", "after", "limit"]],
    ["16:10", ["16:9", "9:16"]],
  ])("does not take %s for anything of %j", (word, names) => {
    expect(nearest(word, names)).toBeNull();
  });

  it("knows the names of which at most a third is wrong, two letters in each other's place counting as one, and no others", () => {
    // Optimal string alignment by its definition.
    const distance = (from: string, to: string): number => {
      if (from === "" || to === "") return from.length + to.length;
      const rest = distance(from.slice(1), to.slice(1));
      if (from[0] === to[0]) return rest;
      const isSwap = from.length > 1 && to.length > 1 && from[0] === to[1] && from[1] === to[0];
      const swap = isSwap ? distance(from.slice(2), to.slice(2)) : Infinity;
      return 1 + Math.min(rest, distance(from.slice(1), to), distance(from, to.slice(1)), swap);
    };
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 7 });
    const long = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 9, maxLength: 9 });
    fc.assert(
      fc.property(letters, fc.oneof(letters, long), (word, name) => {
        expect(nearest(word, [name])).toBe(distance(word, name) <= Math.floor(name.length / 3) ? name : null);
      }),
      { numRuns: 500 },
    );
  });

  it("forgives a third of a long name's letters", () => {
    const name = "veo2-fast-components";
    expect(nearest(`${name}123456`, [name])).toBe(name);
    expect(nearest(`${name}1234567`, [name])).toBeNull();
  });

  it("prefers an exact name, then the first of those as near", () => {
    expect(nearest("veo2", ["veo3", "veo2"])).toBe("veo2");
    expect(nearest("veo4", ["veo3", "veo2"])).toBe("veo3");
  });

  it("has nothing to suggest from nothing", () => {
    expect(nearest("veo3", [])).toBeNull();
  });

  it("takes no longer over a megabyte than over a word", () => {
    expect(nearest("x".repeat(2 ** 20), MODEL_NAMES)).toBeNull();
    expect(nearest(`prompt${" ".repeat(2 ** 20)}`, FIELDS)).toBeNull();
  });
});
