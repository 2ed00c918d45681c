// The models here that come nearest to OpenAI's own, one of which takes images: every dialect that has their names takes them so.
import type { ModelName } from "../core/models.ts";

export interface StandIn {
  readonly plain: ModelName;
  readonly withImage: ModelName;
}

export const SORA: StandIn = { plain: "veo3.1-fast", withImage: "veo2-fast-frames" };
export const SORA_PRO: StandIn = { plain: "veo3.1", withImage: "veo3-pro-frames" };
