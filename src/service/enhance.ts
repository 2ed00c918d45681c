// Prompt enhancement, which may be slow, wrong or talked into things: bounded, judged, and never in the way of a task.
import { isPromptAgain, type Generation } from "../core/generation.ts";
import type { Enhancer } from "../ports.ts";
import { within } from "./within.ts";

const TIMEOUT_MS = 4_000;

/** The rewritten prompt; where none was asked for, or on any failure, the prompt as sent. */
export async function enhance(enhancer: Enhancer | null, { prompt, enhancePrompt }: Generation): Promise<string> {
  if (!enhancePrompt || enhancer === null) return prompt;
  try {
    const enhanced = (await within(TIMEOUT_MS, async (signal) => enhancer.enhance(prompt, signal))).trim();
    return isPromptAgain(enhanced) ? enhanced : prompt;
  } catch {
    return prompt;
  }
}
