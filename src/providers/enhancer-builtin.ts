// The enhancer of test keys: always the same words for the same prompt, so that a test can expect them.
import type { Enhancer } from "../ports.ts";

const ENRICHMENT = "Cinematic lighting, smooth camera movement, rich natural colours, fine detail.";

export const builtinEnhancer: Enhancer = {
  async enhance(prompt) {
    const sentence = /[.!?。！？]$/.test(prompt.trim()) ? prompt.trim() : `${prompt.trim()}.`;
    return `${sentence} ${ENRICHMENT}`;
  },
};
