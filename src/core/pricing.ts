import type { Generation } from "./generation.ts";
import type { Catalogue } from "./models.ts";

/** The price of a generation in whole credits, fixed at create: the hold is for exactly this, and the charge never exceeds it. */
export function quote(models: Catalogue, generation: Generation): number {
  const model = models[generation.model];
  return model.credits + (generation.upsample ? model.upsampleCredits : 0);
}
