// What was asked for, free of any dialect, and whether the model can do it.
import { fail, ok, type Result } from "./result.ts";
import type { AspectRatio, Catalogue, ModelName } from "./models.ts";
import type { Refusal } from "./errors.ts";

export interface Generation {
  readonly model: ModelName;
  readonly prompt: string;
  readonly enhancePrompt: boolean;
  readonly upsample: boolean;
  /** Null: the model's own default. */
  readonly aspectRatio: AspectRatio | null;
  /** Reference images in order: the tenant's https URLs, or names of uploads (reference-image). */
  readonly images: readonly string[];
}

export type GenerationField = keyof Generation;

/** The longest prompt taken, in code points. */
export const MAX_PROMPT_CODE_POINTS = 8_000;

/** Whether what somebody else made of a prompt is a prompt again, and nothing that looks like a key of ours. */
export function isPromptAgain(text: string): boolean {
  if (text.trim() === "" || text.length > 2 * MAX_PROMPT_CODE_POINTS || !text.isWellFormed()) return false;
  return [...text].length <= MAX_PROMPT_CODE_POINTS && !/sk-(live|test)-/.test(text);
}

/** Whether the named model can make this; the counts are judged before any single image is. */
export function checkGeneration(models: Catalogue, generation: Generation): Result<Generation, Refusal> {
  const model = models[generation.model];
  const { aspectRatio, images } = generation;
  if (aspectRatio !== null && !model.aspectRatios.includes(aspectRatio)) {
    return fail({
      kind: "unsupported_parameter",
      field: "aspectRatio",
      model: model.name,
      hint: `Only ${supporting(models, (each) => each.aspectRatios.length > 0)} take an aspect ratio.`,
    });
  }
  if (images.length > 0 && model.maxImages === 0) {
    return fail({
      kind: "unsupported_parameter",
      field: "images",
      model: model.name,
      hint: `Only ${supporting(models, (each) => each.maxImages > 0)} take images.`,
    });
  }
  if (images.length > model.maxImages) {
    return fail({ kind: "too_many_images", model: model.name, max: model.maxImages, given: images.length });
  }
  return ok(generation);
}

function supporting(models: Catalogue, can: (model: Catalogue[ModelName]) => boolean): string {
  return Object.values(models)
    .filter(can)
    .map((model) => model.name)
    .join(", ");
}
