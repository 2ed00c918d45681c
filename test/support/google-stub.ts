// fetch as the tests of Google's wires see it: what was asked, and the replies that were queued for it, in order.
import { expect, vi } from "vitest";

export interface StubbedCall {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  /** What was sent, parsed where it is JSON. */
  readonly body: unknown;
}

export interface Stub {
  readonly calls: StubbedCall[];
  /** What the first call sent, as the JSON that it is. */
  sent<Body>(): Body;
  /** Queues a reply: an object as JSON, a text as a page. */
  reply(status: number, body: unknown, headers?: Record<string, string>): void;
  queue(make: () => Response): void;
}

/** Restored by `vi.restoreAllMocks()`. A call without a reply fails as a connection does. */
export function stubFetch(): Stub {
  const calls: StubbedCall[] = [];
  const replies: (() => Response)[] = [];
  vi.spyOn(globalThis, "fetch").mockImplementation(async (url, init = {}) => {
    const { method = "GET", headers, body } = init;
    const sent = typeof body === "string" && body.startsWith("{") ? (JSON.parse(body) as unknown) : (body ?? null);
    calls.push({ url: url as string, method, headers: new Headers(headers), body: sent });
    const next = replies.shift();
    if (next === undefined) throw new TypeError(`connect ECONNREFUSED ${url as string}`);
    return next();
  });
  return {
    calls,
    sent: <Body>() => calls[0]?.body as Body,
    queue: (make) => void replies.push(make),
    reply(status, body, headers = {}) {
      const isPage = typeof body === "string";
      const type = { "content-type": isPage ? "text/html" : "application/json" };
      const text = isPage ? body : JSON.stringify(body);
      replies.push(() => new Response(text, { status, headers: { ...type, ...headers } }));
    },
  };
}

export async function thrownBy(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    (value) => expect.unreachable(`it resolved: ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
}

/** All that a log could have of an error. The stack names files of ours and lines of them, never what is in a reply. */
export function spread(error: unknown): string {
  if (!(error instanceof Error)) return JSON.stringify(error);
  return [error.name, error.message, error.stack, JSON.stringify(error), String(error.cause)].join("\n");
}

const pair = (await crypto.subtle.generateKey(
  { name: "RSASSA-PKCS1-v1_5", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" },
  true,
  ["sign", "verify"],
)) as CryptoKeyPair;
export const { publicKey } = pair;
const pkcs8 = new Uint8Array((await crypto.subtle.exportKey("pkcs8", pair.privateKey)) as ArrayBuffer);
const pem = `-----BEGIN PRIVATE KEY-----\n${btoa(String.fromCharCode(...pkcs8)).replace(/.{64}/g, "$&\n")}\n-----END PRIVATE KEY-----\n`;

/** Each has a name of its own, because tokens are kept by credential. */
export function aServiceAccount(given: Record<string, unknown> = {}): string {
  return JSON.stringify({
    type: "service_account",
    project_id: "reelay-test",
    private_key_id: "key-1",
    private_key: pem,
    client_email: `reelay-${crypto.randomUUID()}@reelay-test.iam.gserviceaccount.com`,
    token_uri: "https://oauth2.googleapis.com/token",
    ...given,
  });
}

export const TOKEN = { access_token: "ya29.token-1", expires_in: 3599, token_type: "Bearer" };
