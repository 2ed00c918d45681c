// One exchange with a gateway, and what may come of it in place of an answer.
import { printable } from "./printable.ts";

/** What the gateway answered instead of what was asked for. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  /** Null where the answer is not the API's. */
  readonly code: string | null;
  readonly requestId: string | null;
  /** When it may be asked again, if at all. */
  readonly pollAfterMs: number;
  /** The API's own words; null where the answer is not the API's. */
  readonly json: string | null;

  constructor(reply: Response, text: string) {
    const said = envelopeIn(text);
    super(printable(said?.message ?? foreign(reply, text)));
    this.status = reply.status;
    this.code = said?.code ?? null;
    this.requestId = reply.headers.get("x-request-id");
    this.pollAfterMs = pollAfterMs(reply);
    this.json = said === null ? null : text;
  }
}

/** Nothing answered. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
  /** The request may have arrived all the same, and changed something. */
  readonly mayBeDone: boolean;

  constructor(message: string, mayBeDone: boolean) {
    super(message);
    this.mayBeDone = mayBeDone;
  }
}

const DEFAULT_POLL_MS = 2_000;
const MAX_POLL_MS = 60_000;
/** Where there was no connection, nothing was said on it. */
const NOT_CONNECTED = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT|ERR_TLS_.*|.*CERT.*)$/;

/** Throws UnreachableError. */
export async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    throw unreachable(url, init.method, error);
  }
}

/** The whole body. Throws UnreachableError where it breaks off. */
export async function readText(reply: Response, method: string): Promise<string> {
  try {
    return await reply.text();
  } catch (error) {
    throw unreachable(reply.url, method, error);
  }
}

export async function errorOf(reply: Response): Promise<ApiError> {
  return new ApiError(reply, await reply.text().catch(() => ""));
}

export function pollAfterMs(reply: Response): number {
  const seconds = Number(reply.headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds * 1000, MAX_POLL_MS) : DEFAULT_POLL_MS;
}

function unreachable(url: string, method: string | undefined, error: unknown): UnreachableError {
  const cause: unknown = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const { code = "", message = String(cause) } = cause as { code?: unknown; message?: string };
  // A host with several addresses fails with a list of errors, whose own message is empty.
  const mayBeDone = (method ?? "GET") !== "GET" && !NOT_CONNECTED.test(String(code));
  return new UnreachableError(`Cannot reach ${new URL(url).origin} (${message || code}).`, mayBeDone);
}

/** A proxy's page, a login form, another server. */
function foreign({ headers }: Response, text: string): string {
  const elsewhere = headers.get("location");
  return elsewhere === null
    ? `The answer is not the API's: ${text.slice(0, 200)}`
    : `The answer leads elsewhere: ${elsewhere.slice(0, 200)}`;
}

function envelopeIn(text: string): { message: string; code: string | null } | null {
  try {
    const { message, code } = (JSON.parse(text) as { error: { message: unknown; code: unknown } }).error;
    return typeof message === "string" ? { message, code: typeof code === "string" ? code : null } : null;
  } catch {
    return null;
  }
}
