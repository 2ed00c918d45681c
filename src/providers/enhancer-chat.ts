// Prompt enhancement by any OpenAI-compatible chat completions API (POST {base}/chat/completions).
import { z } from "zod";
import type { Enhancer } from "../ports.ts";
import { callJson } from "./call-json.ts";
import { ENHANCER_MAX_TOKENS, enhancerMessages } from "./enhancer-prompt.ts";

const completion = z.looseObject({
  choices: z.array(z.looseObject({ message: z.looseObject({ content: z.string() }) })).min(1),
});

export interface ChatEnhancerConfig {
  /** Includes the version, as `https://api.example.com/v1`; no trailing slash. */
  readonly baseUrl: string;
  readonly model: string;
  readonly apiKey: string | null;
}

export function chatEnhancer({ baseUrl, model, apiKey }: ChatEnhancerConfig): Enhancer {
  return {
    async enhance(prompt, signal) {
      const reply = await callJson(`${baseUrl}/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", ...(apiKey !== null && { authorization: `Bearer ${apiKey}` }) },
        body: { model, messages: enhancerMessages(prompt), max_tokens: ENHANCER_MAX_TOKENS },
        signal,
      });
      if (reply.status !== 200) throw new Error(`the enhancer answered ${reply.status}`);
      return completion.parse(reply.body).choices[0]?.message.content ?? "";
    },
  };
}
