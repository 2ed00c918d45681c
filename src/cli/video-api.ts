// The public API as the demo calls it.
import { errorOf, pollAfterMs, reach } from "./gateway-call.ts";

export interface VideoTask {
  readonly id: string;
  readonly status: "pending" | "processing" | "completed" | "failed";
  readonly video_url?: string | null;
  readonly error?: { readonly message: string };
  /** 0 to 100; absent in the reply to a create. */
  readonly progress?: number;
}

export interface VideoRequest {
  readonly model: string;
  readonly prompt: string;
  readonly aspect_ratio?: string;
  readonly images?: readonly string[];
}

const REQUEST_TIMEOUT_MS = 30_000;

export class VideoApi {
  readonly #base: string;
  readonly #headers: Record<string, string>;

  constructor(base: string, key: string) {
    this.#base = base.replace(/\/+$/, "");
    this.#headers = { authorization: `Bearer ${key}` };
  }

  async create(request: VideoRequest): Promise<VideoTask> {
    const { task } = await this.#call("/v1/video/create", {
      method: "POST",
      headers: { ...this.#headers, "content-type": "application/json" },
      body: JSON.stringify(request),
    });
    return task;
  }

  /** `pollAfterMs`: how long the gateway wants to be left alone. */
  async query(id: string): Promise<{ task: VideoTask; pollAfterMs: number }> {
    return this.#call(`/v1/video/query?id=${encodeURIComponent(id)}`, {
      headers: { ...this.#headers, prefer: "return=representation" },
    });
  }

  async #call(path: string, init: RequestInit): Promise<{ task: VideoTask; pollAfterMs: number }> {
    const reply = await reach(this.#base + path, { ...init, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    if (!reply.ok) throw await errorOf(reply);
    return { task: (await reply.json()) as VideoTask, pollAfterMs: pollAfterMs(reply) };
  }
}

/** The video's bytes, from its signed link: the link is all the permission there is to show. */
export async function openVideo(link: string): Promise<ReadableStream<Uint8Array>> {
  const reply = await reach(link, {});
  if (!reply.ok || reply.body === null) throw await errorOf(reply);
  return reply.body;
}
