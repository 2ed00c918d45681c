// What a job's images are to the model it asks for. The wires name these differently, and mean the same.
import { catalogue } from "../core/models.ts";
import type { Job, JobImage } from "../ports.ts";

/** The frames to begin and end on, or elements to compose; of one kind only. */
export interface ImageRoles {
  readonly first: JobImage | null;
  readonly last: JobImage | null;
  readonly references: readonly JobImage[];
}

const CATALOGUE = catalogue();

export function imageRoles({ generation, images }: Job): ImageRoles {
  if (CATALOGUE[generation.model].imageRole === "components") return { first: null, last: null, references: images };
  const [first = null, last = null] = images;
  return { first, last, references: [] };
}
