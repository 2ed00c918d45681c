// What destroys is asked for twice: by the name of the thing, because a yes is typed without reading.
import { createInterface } from "node:readline/promises";
import type { Readable, Writable } from "node:stream";
import { UsageError } from "./dev-arguments.ts";
import { printable } from "./printable.ts";

export interface Question {
  /** What is about to happen, in a sentence. */
  readonly what: string;
  /** What has to be typed: the thing's name, or its id where it has none. */
  readonly word: string;
}

export interface Terminal {
  readonly input: Readable & { readonly isTTY?: boolean };
  readonly output: Writable;
}

/** The answer was another. */
export class NotConfirmedError extends Error {
  override readonly name = "NotConfirmedError";
}

/** Throws NotConfirmedError; UsageError where nobody can be asked. */
export async function confirm({ what, word }: Question, { input, output }: Terminal): Promise<void> {
  if (input.isTTY !== true) throw new UsageError(`${what} Nobody can confirm it here: say --yes if you mean it.`);
  const asked = createInterface({ input, output, terminal: false });
  const wanted = printable(word);
  try {
    // Where the input ends, the question is never answered: without this the process would end as if all were well.
    const closed = new Promise<string>((resolve) => asked.once("close", () => resolve("")));
    const answer = await Promise.race([asked.question(`${what}\nType ${wanted} to go on: `), closed]);
    if (answer.trim() !== wanted) throw new NotConfirmedError("Not confirmed: nothing was changed.");
  } finally {
    asked.close();
  }
}
