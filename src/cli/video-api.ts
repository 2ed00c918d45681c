// The public API as the demo calls it.
import { printable } from "./printable.ts";

export interface VideoTask {
  readonly id: string;
  readonly status: "pending" | "processing" | "completed" | "failed";
  readonly video_url?: string | null;
  readonly error?: { readonly message: string };
}

export interface VideoRequest {
  readonly model: string;
  readonly prompt: string;
  readonly aspect_ratio?: string;
  readonly images?: readonly string[];
}

/** What the gateway answered instead of what was asked for. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly requestId: string | null;
  /** When it may be asked again, if at all. */
  readonly pollAfterMs: number;

  constructor(reply: Response, message: string) {
    super(message);
    this.status = reply.status;
    this.requestId = reply.headers.get("x-request-id");
    this.pollAfterMs = pollAfterMs(reply);
  }
}

/** Nothing answered. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
}

const REQUEST_TIMEOUT_MS = 30_000;
const DEFAULT_POLL_MS = 2_000;
const MAX_POLL_MS = 60_000;

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
    return this.#call(`/v1/video/query?id=${encodeURIComponent(id)}`, { headers: this.#headers });
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

async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new UnreachableError(`Cannot reach ${new URL(url).origin} (${cause instanceof Error ? cause.message : String(cause)}).`);
  }
}

async function errorOf(reply: Response): Promise<ApiError> {
  const text = await reply.text().catch(() => "");
  return new ApiError(reply, printable(messageIn(text)));
}

function messageIn(text: string): string {
  try {
    return (JSON.parse(text) as { error: { message: string } }).error.message;
  } catch {
    return `The answer is not the API's: ${text.slice(0, 200)}`;
  }
}

function pollAfterMs(reply: Response): number {
  const seconds = Number(reply.headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds * 1000, MAX_POLL_MS) : DEFAULT_POLL_MS;
}
