// The client: one file without an import, for Node, Deno, Bun, Workers and browsers. A web page gets a task token, which your server
// makes with POST /v1/video/token, and never the API key, which whoever opens the page could read.

export interface ReelayOptions {
  baseUrl: string;
  apiKey?: string | undefined;
  /** In place of the key: good for `query`, `wait` and `events` of one task. */
  taskToken?: string | undefined;
  fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined;
}

export interface CreateVideo {
  model: string;
  prompt: string;
  enhance_prompt?: boolean | null;
  enable_upsample?: boolean | null;
  aspect_ratio?: "16:9" | "9:16" | null;
  images?: readonly string[] | null;
  max_cost?: number | null;
  metadata?: Readonly<Record<string, string>> | null;
  webhook_url?: string | null;
  retention_days?: number | null;
}

export interface CreatedVideo {
  id: string;
  status: "pending" | "processing" | "completed" | "failed";
  enhanced_prompt: string;
  /** Unix seconds. */
  status_update_time: number;
}

export interface Video extends CreatedVideo {
  /** Fresh at each query and good for about an hour; null but on a completed one. Keep the id, not the link. */
  video_url: string | null;
  /** On a failed one. It was not charged. */
  error?: { code: string; message: string };
}

/** `progress`: 0 to 99, by the time that it has taken. `eventId`: where another `events` goes on, as its `lastEventId`. */
export type VideoEvent = { eventId: string } & (
  | { event: "status"; data: Video }
  | { event: "progress"; data: { id: string; progress: number; elapsed_seconds: number; estimated_seconds: number } }
);

/** `id`: the same at each repetition of a message, so that each can be taken once. */
export interface WebhookEvent {
  id: string;
  type: "video.created" | "video.processing" | "video.completed" | "video.failed";
  data: Video;
}

export type CallOptions = { signal?: AbortSignal | undefined };

/** Whatever goes wrong, but for a signal of yours, which throws its own reason. */
export class ReelayError extends Error {
  /** The gateway's own; or connection_error, task_failed, wait_timeout, webhook_error. */
  declare readonly type: string;
  declare readonly code: string;
  declare readonly status: number | null;
  declare readonly param: string | null;
  declare readonly requestId: string | null;
  declare readonly retryAfterMs: number | null;
  /** Later, the same call may fare better. A create needs the same idempotencyKey then, or it makes a second video. */
  declare readonly isRetryable: boolean;
  /** Of `wait`: the task that failed, or as it was last seen when the time was up. */
  declare readonly task: Video | null;

  constructor(type: string, code: string, message: string, more: Partial<Omit<ReelayError, keyof Error>> = {}, cause?: unknown) {
    super(message, { cause });
    const none = { status: null, param: null, requestId: null, retryAfterMs: null, isRetryable: false, task: null };
    Object.assign(this, { name: "ReelayError", type, code, ...none, ...more });
  }
}

const bytesOf = (base64: string) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
const LOST = ["connection_error", "connection_error", "The gateway did not answer."] as const;
/** Of what waits for a task, so that it outlives a restart of the gateway. */
const PATIENT = { retries: 6, limitMs: 90_000 };
/** Who asks for a longer pause is not asked again at all. */
const [SILENCE_MS, LONGEST_PAUSE_MS, LONGEST_TIMER_MS] = [45_000, 60_000, 2 ** 31 - 1];
type Call = CallOptions & { headers?: Record<string, string>; body?: object; retries?: number; limitMs?: number };

export class Reelay {
  readonly #options: ReelayOptions;

  constructor(options: ReelayOptions) {
    if (!(options.apiKey ?? options.taskToken)) throw new TypeError("An apiKey is needed, or a taskToken.");
    if (options.apiKey && "document" in globalThis) throw new TypeError("A web page takes a taskToken, not an apiKey.");
    this.#options = { ...options, baseUrl: new URL(options.baseUrl).href.replace(/\/+$/, "") };
  }

  /** With the same idempotencyKey it makes one video and one charge, however often; by itself it repeats with one of its own. */
  async create(video: CreateVideo, options: CallOptions & { idempotencyKey?: string } = {}): Promise<CreatedVideo> {
    const headers = { "idempotency-key": options.idempotencyKey ?? crypto.randomUUID() };
    return this.#call("create", { signal: options.signal, headers, body: video });
  }

  async query(id: string, { signal }: CallOptions = {}): Promise<Video> {
    return this.#call(`query?id=${encodeURIComponent(id)}`, { signal });
  }

  /** Until it is completed. Throws where it failed, or is under way after `timeoutMs`: it goes on then, and so may you. */
  async wait(id: string, { signal, timeoutMs = Infinity }: CallOptions & { timeoutMs?: number } = {}): Promise<Video> {
    const path = `query?id=${encodeURIComponent(id)}`;
    const headers: Record<string, string> = { prefer: "wait=60" };
    let task: Video | null = null;
    const read = async (reply: Response) => ({ reply, seen: reply.status === 304 ? task : ((await reply.json()) as Video) });
    return within(timeoutMs, signal, async (limit) => {
      try {
        for (;;) {
          const askedAt = Date.now();
          const { reply, seen } = await this.#call(path, { ...PATIENT, headers, signal: limit }, read);
          task = seen;
          if (task?.status === "completed") return task;
          const { code, message } = task?.error ?? { code: "unknown", message: "It failed." };
          if (task?.status === "failed") throw new ReelayError("task_failed", code, message, { task });
          headers["if-none-match"] = reply.headers.get("etag") ?? '""';
          // Where nothing made the gateway hold its reply back, we do.
          const pace = reply.headers.has("preference-applied") ? 1_000 : (retryAfterOf(reply) ?? 2_000);
          await sleep(askedAt + pace - Date.now(), limit);
        }
      } catch (error) {
        if (error !== limit.reason || signal?.aborted) throw error;
        throw new ReelayError("wait_timeout", "wait_timeout", `${id} is under way still.`, { isRetryable: true, task });
      }
    });
  }

  /** Each status and the progress between, until the task has ended. A connection that breaks is made anew where it broke off. */
  async *events(id: string, { signal, lastEventId = "" }: CallOptions & { lastEventId?: string } = {}) {
    for (let [eventId, pauseMs] = [lastEventId, 2_000]; ; await sleep(pauseMs, signal)) {
      const headers = { accept: "text/event-stream", ...(eventId !== "" && { "last-event-id": eventId }) };
      const reply = await this.#call(`events?id=${encodeURIComponent(id)}`, { ...PATIENT, signal, headers }, async (each) => each);
      if (reply.status === 204 || reply.body === null) return; // its end was told before
      if (!/^text\/event-stream\b/.test(reply.headers.get("content-type") ?? "")) throw new ReelayError(...LOST);
      for await (const block of blocksIn(reply.body, signal)) {
        [eventId, pauseMs] = [block.get("id") ?? eventId, Number(block.get("retry") ?? pauseMs)];
        const [event, data] = [block.get("event"), block.get("data")];
        if (data === undefined || (event !== "status" && event !== "progress")) continue;
        const told = { event, eventId, data: JSON.parse(data) } as VideoEvent;
        yield told;
        if (told.event === "status" && /completed|failed/.test(told.data.status)) return;
      }
    }
  }

  /** What `read` makes of the reply. Repeated where that may help. */
  async #call<T>(path: string, call: Call, read = async (reply: Response) => (await reply.json()) as T): Promise<T> {
    const { baseUrl, apiKey, taskToken, fetch: ownFetch } = this.#options;
    const { signal, headers, body, retries, limitMs } = { retries: 2, limitMs: 30_000, ...call };
    const post = body && { method: "POST", body: JSON.stringify(body) };
    const init = {
      ...post,
      headers: { authorization: `Bearer ${apiKey ?? taskToken}`, "content-type": "application/json", ...headers },
    };
    for (let tries = 0; ; tries++) {
      try {
        return await within(limitMs, signal, async (limit) => {
          const reply = await (ownFetch ?? fetch)(`${baseUrl}/v1/video/${path}`, { ...init, signal: limit });
          if (reply.ok || reply.status === 304) return read(reply);
          throw await refusalIn(reply);
        });
      } catch (error) {
        signal?.throwIfAborted();
        const failure = error instanceof ReelayError ? error : new ReelayError(...LOST, { isRetryable: true }, error);
        const pause = failure.retryAfterMs ?? Math.min(500 * 2 ** tries, 8_000) * (0.75 + Math.random() / 4);
        if (!failure.isRetryable || tries >= retries || pause > LONGEST_PAUSE_MS) throw failure;
        await sleep(pause, signal);
      }
    }
  }
}

/** `body` as it came, before anything parsed it; several secrets while they are changed. As Standard Webhooks has it. */
export async function verifyWebhook(
  body: string | Uint8Array | ArrayBuffer,
  headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>,
  secrets: string | readonly string[],
  { toleranceSeconds = 300 }: { toleranceSeconds?: number } = {},
): Promise<WebhookEvent> {
  const entries = Symbol.iterator in headers ? [...(headers as Headers)] : Object.entries(headers);
  const given = new Map(entries.map(([name, value]) => [name.toLowerCase(), String(value)]));
  const [id = "", sentAt = "", signatures = ""] = ["id", "timestamp", "signature"].map((name) => given.get(`webhook-${name}`));
  for (const [name, value] of Object.entries({ id, timestamp: sentAt, signature: signatures }))
    if (value === "") throw new ReelayError("webhook_error", "missing_header", `The header webhook-${name} is missing.`);
  const message = await new Blob([`${id}.${sentAt}.`, body as string]).arrayBuffer();
  const proofs = signatures.split(" ").flatMap((each) => (/^v1,[A-Za-z0-9+/]{43}=$/.test(each) ? [bytesOf(each.slice(3))] : []));
  let isSigned = false;
  for (const secret of [secrets].flat()) {
    const encoded = /^(?:whsec_)?([A-Za-z0-9+/]{16,}={0,2})$/.exec(secret)?.[1];
    if (encoded === undefined) throw new TypeError("A webhook's secret is whsec_ and base64.");
    const key = await crypto.subtle.importKey("raw", bytesOf(encoded), { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
    for (const proof of proofs) isSigned ||= await crypto.subtle.verify("HMAC", key, proof, message);
  }
  if (!isSigned)
    throw new ReelayError(
      "webhook_error",
      "invalid_signature",
      "No signature matches: another secret signed it, or the body is not as it came.",
    );
  const age = Math.round(Date.now() / 1000 - Number(sentAt));
  const when = age < 0 ? `${-age} s in the future` : `${age} s ago`;
  if (!(Math.abs(age) <= toleranceSeconds))
    throw new ReelayError(
      "webhook_error",
      "timestamp_out_of_tolerance",
      `It was signed ${when}; ${toleranceSeconds} s are allowed.`,
    );
  const data = JSON.parse(typeof body === "string" ? body : new TextDecoder().decode(body)) as Video;
  // The header that names the type is not signed. The status is.
  return { id, type: `video.${data.status === "pending" ? "created" : data.status}`, data };
}

/** Server-sent events, as the gateway writes them: no field twice. A stream that breaks or falls silent has ended. */
async function* blocksIn(stream: ReadableStream<Uint8Array>, signal: AbortSignal | undefined) {
  const [reader, decoder] = [stream.getReader(), new TextDecoder()];
  const stop = (): void => void reader.cancel().catch(() => undefined);
  const read = async (limit: AbortSignal) => {
    limit.addEventListener("abort", stop);
    return reader.read().catch(() => null);
  };
  try {
    for (let text = ""; ;) {
      const chunk = await within(SILENCE_MS, signal, read);
      if (!chunk?.value) return;
      const blocks = (text + decoder.decode(chunk.value, { stream: true })).split(/\r?\n\r?\n/);
      text = blocks.pop() ?? "";
      for (const block of blocks)
        yield new Map(block.split(/\r?\n/).map((line) => [line.split(":", 1)[0], line.replace(/^[^:]*:? ?/, "")]));
    }
  } finally {
    stop();
  }
}

async function refusalIn(reply: Response): Promise<ReelayError> {
  const { status, headers } = reply;
  const { error } = ((await reply.json().catch(() => null)) ?? {}) as { error?: Partial<ReelayError> };
  const { type = "unknown", code = "unknown", message = `The gateway answered ${status}.`, param = null } = error ?? {};
  const should = headers.get("x-should-retry") ?? String(status >= 500 || [408, 409, 429].includes(status));
  const [requestId, retryAfterMs] = [headers.get("x-request-id"), retryAfterOf(reply)];
  return new ReelayError(type, code, message, { status, param, requestId, retryAfterMs, isRetryable: should === "true" });
}

function retryAfterOf({ headers }: Response): number | null {
  const [ms, after] = [headers.get("retry-after-ms"), headers.get("retry-after") ?? ""];
  const wait = ms !== null ? Number(ms) : /^\d+$/.test(after) ? Number(after) * 1000 : Date.parse(after) - Date.now();
  return Number.isNaN(wait) ? null : Math.max(wait, 0);
}

async function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await within(ms, signal, async (end) => new Promise((resolve) => end.addEventListener("abort", resolve)));
}

/** `act` finds its signal aborted after so long, or with the other. */
async function within<T>(ms: number, signal: AbortSignal | undefined, act: (limit: AbortSignal) => Promise<T>): Promise<T> {
  signal?.throwIfAborted();
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), Math.min(ms, LONGEST_TIMER_MS));
  return act(AbortSignal.any(signal ? [signal, late.signal] : [late.signal])).finally(() => clearTimeout(timer));
}
