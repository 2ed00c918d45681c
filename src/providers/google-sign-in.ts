// Signing in to Google with a service account's JSON, for tokens that live an hour.
import { z } from "zod";
import { base64url } from "../core/encoding.ts";
import { RetryableError } from "../core/upstream-errors.ts";
import { quietFetch } from "../net/guarded-fetch.ts";
import { MAX_REPLY_BYTES } from "./call-json.ts";
import { readOutline } from "./inline-video.ts";
import { accountError, ACCOUNT_WAIT_MS, outage } from "./judge-reply.ts";
import { lenient } from "./reply-parts.ts";

const TOKEN_URL = "https://oauth2.googleapis.com/token";
const SCOPE = "https://www.googleapis.com/auth/cloud-platform";
export const LOOPBACK = /^http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(\/|$)/;
const TOKEN_SECONDS = 3600;
/** So that no token runs out between here and Google. */
const RENEW_EARLY_MS = 5 * 60_000;

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

/** One value a credential, not a promise: a request of Workers must not wait for what another one fetches. */
const tokens = new Map<string, { readonly token: string; readonly renewAt: number }>();

export function isServiceAccount(credential: string): boolean {
  return credential.trimStart().startsWith("{");
}

/** Null: what the operator gave is no such JSON, or would have us sign in elsewhere than at Google. */
export function readServiceAccount(credential: string, allowLoopback: boolean): ServiceAccount | null {
  const account = serviceAccount.safeParse(parsed(credential)).data ?? null;
  const at = account?.token_uri ?? TOKEN_URL;
  return at === TOKEN_URL || (allowLoopback && LOOPBACK.test(at)) ? account : null;
}

/** A token of the account's. `account` null: the credential is none to sign in with. */
export async function tokenOf(credential: string, account: ServiceAccount | null, signal: AbortSignal): Promise<string> {
  const known = tokens.get(credential);
  if (known !== undefined && known.renewAt > Date.now()) return known.token;
  if (account === null) throw new RetryableError("unauthorized", ACCOUNT_WAIT_MS);
  const { token, seconds } = await requestToken(account, signal);
  tokens.set(credential, { token, renewAt: Date.now() + seconds * 1000 - RENEW_EARLY_MS });
  return token;
}

/** It may have been refused. One that another call has fetched since stays. */
export function forgetToken(credential: string, token: string): void {
  if (tokens.get(credential)?.token === token) tokens.delete(credential);
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
    .then(async (response) => {
      const read = await readOutline(response, signal, MAX_REPLY_BYTES);
      return { status: response.status, headers: response.headers, ...read };
    })
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
