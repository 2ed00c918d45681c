// Prompt enhancement by Workers AI: no key, billed to the operator's account. Bound by two lines in wrangler.toml (see README).
import { z } from "zod";
import type { Enhancer } from "../ports.ts";
import { ENHANCER_MAX_TOKENS, enhancerMessages } from "./enhancer-prompt.ts";

const MODEL = "@cf/meta/llama-3.3-70b-instruct-fp8-fast";
const answer = z.looseObject({ response: z.string() });

/** What we use of the binding. */
interface WorkersAi {
  run(model: string, input: object, options?: { signal?: AbortSignal }): Promise<unknown>;
}

export function workersAiEnhancer(ai: WorkersAi): Enhancer {
  return {
    async enhance(prompt, signal) {
      const reply = await ai.run(MODEL, { messages: enhancerMessages(prompt), max_tokens: ENHANCER_MAX_TOKENS }, { signal });
      return answer.parse(reply).response;
    },
  };
}
