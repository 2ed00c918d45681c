// An account with Google, in either of its two forms: an API key for the Developer API, or a service account's JSON for Vertex, whose
// tokens live an hour. What both of Google's wires do in its name is here: calls, downloads, and reading Google's errors.
import { z } from "zod";
import { base64url } from "../core/encoding.ts";
import { RefusedError, RetryableError, UnclearReplyError } from "../core/upstream-errors.ts";
import { quietFetch } from "../net/guarded-fetch.ts";
import type { ResumePoint, Upstream, VideoSource } from "../ports.ts";
import { retryAfterMs, type JsonReply } from "./call-json.ts";
import { callOutlined, openInline, readOutline, type JsonPath, type OutlinedCall } from "./inline-video.ts";
import { accountError, folded, lenient, outage, POLICY, refusalOf } from "./judge-reply.ts";
import { resultOpener } from "./open-result.ts";

const TOKEN_URL = "https://oauth2.googleapis.com/token";
const SCOPE = "https://www.googleapis.com/auth/cloud-platform";
const STORAGE_ORIGIN = "https://storage.googleapis.com";
const LOOPBACK = /^http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(\/|$)/;
const TOKEN_SECONDS = 3600;
/** So that no token runs out between here and Google. */
const RENEW_EARLY_MS = 5 * 60_000;
const ACCOUNT_WAIT_MS = 60_000;
const FILES_KEPT_MS = 48 * 60 * 60_000;
const MAX_WORDS = 2_000;

const serviceAccount = z.looseObject({
  client_email: z.string().min(1),
  private_key: z.string().min(1),
  private_key_id: lenient(z.string()),
  project_id: z.string().regex(/^[a-z][a-z0-9.:-]*$/),
  token_uri: lenient(z.string()),
});
type ServiceAccount = z.infer<typeof serviceAccount>;

const tokenReply = z.looseObject({
  access_token: z.string().regex(/^[\x21-\x7e]{1,8192}$/),
  expires_in: lenient(z.number().positive()),
});

const text = lenient(z.union([z.string(), z.number()]).transform((value) => String(value).slice(0, MAX_WORDS)));
/** An error as Google says it, in replies and in operations: codes are HTTP's, gRPC's or words. */
export const googleError = z.looseObject({
  code: text,
  status: text,
  message: text,
  details: lenient(z.array(lenient(z.looseObject({ reason: text, retryDelay: text })))),
});
export type GoogleError = z.infer<typeof googleError>;
const said = lenient(z.union([googleError, z.string().transform((message) => googleError.parse({ message }))]));
const envelope = z.looseObject({ error: said });
const errorReply = z.union([
  envelope,
  z
    .array(envelope)
    .min(1)
    .transform(([first]) => first),
]);

/** What is about the operator's account though it comes as a 400 or with words that are else about content. */
const ABOUT_THE_ACCOUNT = /api key (not valid|not found|invalid|expired)|vpc ?service ?controls|organization'?s policy/;
const UNMET_BY_THE_ACCOUNT = /billing|billed|location|region|storage|bucket|permission/;
const OUT_OF_CREDIT = /depleted|prepay|prepaid/;

/** One value a credential, not a promise: a request of Workers must not wait for what another one fetches. */
const tokens = new Map<string, { readonly token: string; readonly renewAt: number }>();

export interface GoogleAccount {
  readonly isVertex: boolean;
  /** Vertex only: `projects/P`. */
  readonly project: string;
  /** Of the Developer API's files; on Vertex the bucket's owner decides. */
  readonly retentionMs: number | null;
  /** A JSON call in the account's name; long texts of the reply are CUT. A token that is refused is renewed once. */
  call(url: string, call: BareCall): Promise<JsonReply>;
  /** The video at a URL that a reply named, or in a bucket of the account's. */
  openUrl(url: string, from: ResumePoint | null, signal: AbortSignal): Promise<VideoSource>;
  /** The video at `path` in the reply to `call`. */
  openInline(url: string, call: BareCall, path: JsonPath): Promise<VideoSource>;
}

export interface BareCall extends Omit<OutlinedCall, "headers"> {
  readonly headers?: Readonly<Record<string, string>>;
}

export function isServiceAccount(credential: string): boolean {
  return credential.trimStart().startsWith("{");
}

/** Where the account's API is. */
export function googleBaseUrl(credential: string, region: string): string {
  if (!isServiceAccount(credential)) return "https://generativelanguage.googleapis.com";
  if (region === "global") return "https://aiplatform.googleapis.com";
  return /^(us|eu)$/.test(region)
    ? `https://aiplatform.${region}.rep.googleapis.com`
    : `https://${region}-aiplatform.googleapis.com`;
}

export function googleAccount(upstream: Upstream): GoogleAccount {
  const { credential, baseUrl, allowLoopback } = upstream;
  const isVertex = isServiceAccount(credential);
  const service = isVertex ? readServiceAccount(credential, allowLoopback) : null;
  const ownOrigin = new URL(baseUrl).origin;

  async function ownHeaders(signal: AbortSignal): Promise<Record<string, string>> {
    if (!isVertex) return { "x-goog-api-key": credential };
    const known = tokens.get(credential);
    if (known !== undefined && known.renewAt > Date.now()) return { authorization: `Bearer ${known.token}` };
    if (service === null) throw new RetryableError("unauthorized", ACCOUNT_WAIT_MS);
    const { token, seconds } = await requestToken(service, signal);
    tokens.set(credential, { token, renewAt: Date.now() + seconds * 1000 - RENEW_EARLY_MS });
    return { authorization: `Bearer ${token}` };
  }

  async function call(url: string, bare: BareCall): Promise<JsonReply> {
    const ask = async (): Promise<JsonReply> =>
      callOutlined(url, { ...bare, headers: { ...bare.headers, ...(await ownHeaders(bare.signal)) } });
    const reply = await ask();
    // Nothing was begun: whose token is refused was not let in.
    return reply.status === 401 && tokens.delete(credential) ? ask() : reply;
  }

  async function openUrl(url: string, from: ResumePoint | null, signal: AbortSignal): Promise<VideoSource> {
    const isStored = url.startsWith("gs://");
    const target = isStored ? storageUrl(url) : mediaUrl(url);
    const own = isStored ? { ...upstream, baseUrl: new URL(target).origin } : upstream;
    try {
      return await resultOpener(own, await ownHeaders(signal))(target, from, signal);
    } catch (error) {
      // It may be the token that was refused: the next try begins with another.
      if (error instanceof UnclearReplyError) tokens.delete(credential);
      throw error;
    }
  }

  /** A bucket is read only if the operator named it: with our rights, a reply could name anybody's. */
  function storageUrl(uri: string): string {
    const [, bucket, object] = /^gs:\/\/([a-z0-9][a-z0-9._-]*)\/(.+)$/s.exec(uri) ?? [];
    const isOwn = bucket !== undefined && upstream.storageUri?.split("/")[2] === bucket;
    if (!isVertex || !isOwn || object === undefined) throw new RefusedError("task", "upstream_invalid_result");
    const origin = allowLoopback && LOOPBACK.test(baseUrl) ? ownOrigin : STORAGE_ORIGIN;
    return `${origin}/storage/v1/b/${bucket}/o/${encodeURIComponent(object)}?alt=media`;
  }

  /** A file of the account's is named without saying that its bytes are wanted, not its description. */
  function mediaUrl(url: string): string {
    const parsed = URL.parse(url);
    const isBare = parsed?.origin === ownOrigin && parsed.pathname.includes("/files/") && parsed.search === "";
    return isBare ? `${parsed.href}?alt=media` : url;
  }

  return {
    isVertex,
    project: `projects/${service?.project_id ?? ""}`,
    retentionMs: isVertex ? null : FILES_KEPT_MS,
    call,
    openUrl,
    openInline: async (url, bare, path) => {
      try {
        return await openInline(url, { ...bare, headers: await ownHeaders(bare.signal) }, path);
      } catch (error) {
        if (error instanceof RetryableError && error.code === "unauthorized") tokens.delete(credential);
        throw error;
      }
    },
  };
}

/** Null: what the operator gave is no such JSON, or would have us sign in elsewhere than at Google. */
export function readServiceAccount(credential: string, allowLoopback: boolean): ServiceAccount | null {
  const account = serviceAccount.safeParse(parsed(credential)).data ?? null;
  const at = account?.token_uri ?? TOKEN_URL;
  return at === TOKEN_URL || (allowLoopback && LOOPBACK.test(at)) ? account : null;
}

/** What keeps the account from being served at the moment; null: nothing. `reply` need not be an error. */
export function accountTrouble(reply: JsonReply): RetryableError | null {
  const { status } = reply;
  const error = errorOf(reply);
  const words = wordsOf(error);
  if (status === 429) {
    // Google's words for too many requests name "billing details", too.
    if (OUT_OF_CREDIT.test(words)) return new RetryableError("out_of_credit", ACCOUNT_WAIT_MS);
    return new RetryableError("rate_limited", retryAfterMs(reply.headers, Date.now()) ?? retryDelayMs(error));
  }
  const isUnmet = /failed precondition/.test(words) && UNMET_BY_THE_ACCOUNT.test(words) && !POLICY.test(words);
  const isTheirs = (status === 400 || status === 403) && (isUnmet || ABOUT_THE_ACCOUNT.test(words));
  return isTheirs ? new RetryableError("unauthorized", ACCOUNT_WAIT_MS) : null;
}

/** Why a call that costs nothing is to be made again later; null: its reply is to be read. */
export function reasonToWait(reply: JsonReply): RetryableError | null {
  return accountTrouble(reply) ?? accountError(reply) ?? outage(reply);
}

/** `refusalOf` in Google's words. */
export function googleRefusal(reply: JsonReply): RetryableError | RefusedError | null {
  const error = errorOf(reply);
  return accountTrouble(reply) ?? refusalOf(reply, error === null ? null : wordsOf(error));
}

/** Null: it is not the provider that says no here, or it says nothing. */
export function errorOf({ body }: JsonReply): GoogleError | null {
  const error = errorReply.safeParse(body).data?.error ?? null;
  return error !== null && saysNothing(error) ? null : error;
}

/** As protocols do that write members which were never set. */
export function saysNothing({ code, status, message }: GoogleError): boolean {
  return (code ?? "0") === "0" && !status && !message;
}

/** Folded. */
export function wordsOf(error: GoogleError | null | undefined): string {
  const reasons = error?.details?.map((detail) => detail?.reason) ?? [];
  return folded([error?.code, error?.status, error?.message, ...reasons]);
}

function retryDelayMs(error: GoogleError | null): number | null {
  const delays = error?.details?.map((detail) => /^(\d+(?:\.\d+)?)s$/.exec(detail?.retryDelay ?? "")?.[1]) ?? [];
  const seconds = delays.find((delay) => delay !== undefined);
  return seconds === undefined ? null : Number(seconds) * 1000;
}

/** Throws RetryableError whatever goes wrong: nobody has been asked for a video yet. */
async function requestToken(account: ServiceAccount, signal: AbortSignal): Promise<{ token: string; seconds: number }> {
  const url = account.token_uri ?? TOKEN_URL;
  const assertion = await signedAssertion(account, url).catch((): never => {
    throw new RetryableError("unauthorized", ACCOUNT_WAIT_MS);
  });
  const body = new URLSearchParams({ grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion }).toString();
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  const reply = await quietFetch(url, { method: "POST", headers, body, redirect: "manual", signal })
    .then(async (response) => ({ status: response.status, headers: response.headers, ...(await readOutline(response, signal)) }))
    .catch((): never => {
      throw new RetryableError("unavailable");
    });
  const token = reply.status === 200 ? tokenReply.safeParse(reply.body).data : undefined;
  if (token !== undefined) return { token: token.access_token, seconds: Math.min(token.expires_in ?? 0, TOKEN_SECONDS) };
  if (reply.status === 429) throw accountError(reply);
  // A key that was withdrawn, or a clock that is wrong, comes as 400 or 401.
  if (reply.status >= 400 && reply.status < 500) throw new RetryableError("unauthorized", ACCOUNT_WAIT_MS);
  throw outage(reply) ?? new RetryableError("unavailable");
}

async function signedAssertion({ client_email, private_key, private_key_id }: ServiceAccount, audience: string): Promise<string> {
  const iat = Math.floor(Date.now() / 1000);
  const header = {
    alg: "RS256",
    typ: "JWT",
    ...(private_key_id === null || private_key_id === undefined ? {} : { kid: private_key_id }),
  };
  const claims = { iss: client_email, scope: SCOPE, aud: audience, iat, exp: iat + TOKEN_SECONDS };
  const encoder = new TextEncoder();
  const message = [header, claims].map((part) => base64url(encoder.encode(JSON.stringify(part)))).join(".");
  const der = Uint8Array.from(atob(private_key.replace(/-----[A-Z ]+-----|\s/g, "")), (char) => char.charCodeAt(0));
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
  const signature = await crypto.subtle.sign(algorithm.name, key, encoder.encode(message));
  return `${message}.${base64url(new Uint8Array(signature))}`;
}

function parsed(credential: string): unknown {
  try {
    return JSON.parse(credential);
  } catch {
    return null;
  }
}
