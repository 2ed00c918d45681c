import type { Generation } from "./generation.ts";
import type { Catalogue } from "./models.ts";

export interface Quote {
  /** Whole credits. */
  readonly credits: number;
  /** How they come about, as `40 per video + 20 upsampled = 60`. */
  readonly formula: string;
}

/** The price of a generation, fixed at create: the hold is for exactly this, and the charge never exceeds it. */
export function quote(models: Catalogue, generation: Generation): Quote {
  const { credits, upsampleCredits } = models[generation.model];
  if (!generation.upsample) return { credits, formula: `${credits} per video` };
  const total = credits + upsampleCredits;
  return { credits: total, formula: `${credits} per video + ${upsampleCredits} upsampled = ${total}` };
}
