// Signed links: one file, GET and HEAD, until a time, or until they are revoked; and to a reference image, for the provider that is to
// fetch it. Nothing but these parameters, each written in one way only.
import { base64url, fromBase64url } from "./encoding.ts";
import { fail, ok, type Result } from "./result.ts";
import { hmac, verifyHmac } from "./hmac.ts";

/** The first signs; all verify, so that a key can be rotated without breaking links that are out. */
export type LinkKeys = readonly { readonly kid: string; readonly secret: string }[];

export interface SignedLink {
  /** Unix seconds. */
  readonly exp: string;
  readonly kid: string;
  /** Left out for 0, as in every link until the video's links are revoked for the first time. */
  readonly rev?: string;
  readonly sig: string;
}

/** What a link that is real and in time says. */
export interface VerifiedLink {
  readonly expiresAtSeconds: number;
  readonly revision: number;
}

/** Links that are made within this part of their life are the same, so that the replies that carry them are. */
const STEADY_PART = 1 / 12;

/** The unix milliseconds from which a link's life counts that is made at `nowMs`. */
export function linkEpoch(nowMs: number, ttlSeconds: number): number {
  const stepMs = ttlSeconds * 1000 * STEADY_PART;
  return Math.floor(nowMs / stepMs) * stepMs;
}

export async function signLink(keys: LinkKeys, id: string, expiresAtSeconds: number, revision = 0): Promise<SignedLink> {
  const rev = revision === 0 ? null : String(revision);
  const { exp, kid, sig } = await sign(keys, expiresAtSeconds, (...rest) => message(id, rev, ...rest));
  return { exp, kid, ...(rev !== null && { rev }), sig };
}

/** To one reference image of a task. Under a label of its own, so that neither kind of link opens what the other does. */
export async function signImageLink(
  keys: LinkKeys,
  id: string,
  index: number,
  expiresAtSeconds: number,
): Promise<Omit<SignedLink, "rev">> {
  return sign(keys, expiresAtSeconds, (...rest) => imageMessage(id, index, ...rest));
}

type Verified<Value> = Result<Value, { kind: "invalid_signature" | "url_expired" }>;
type MessageOf = (exp: string, kid: string) => string;

/** `query`: every parameter the link came with. The signature is judged before the time, so that `url_expired` is told only of real links. */
export async function verifyLink(
  keys: LinkKeys,
  id: string,
  query: URLSearchParams,
  nowMs: number,
): Promise<Verified<VerifiedLink>> {
  const rev = query.get("rev");
  if (rev !== null && !/^[1-9]\d{0,8}$/.test(rev)) return fail({ kind: "invalid_signature" });
  const names = rev === null ? "exp,kid,sig" : "exp,kid,rev,sig";
  const verified = await verify(keys, query, names, nowMs, (...rest) => message(id, rev, ...rest));
  return verified.ok ? ok({ expiresAtSeconds: verified.value, revision: Number(rev ?? 0) }) : verified;
}

/** Until when it opens the image, in unix seconds. */
export async function verifyImageLink(
  keys: LinkKeys,
  id: string,
  index: number,
  query: URLSearchParams,
  nowMs: number,
): Promise<Verified<number>> {
  return verify(keys, query, "exp,kid,sig", nowMs, (...rest) => imageMessage(id, index, ...rest));
}

async function sign(keys: LinkKeys, expiresAtSeconds: number, messageOf: MessageOf): Promise<Omit<SignedLink, "rev">> {
  const key = keys[0];
  if (key === undefined) throw new Error("no link key is configured");
  const exp = String(expiresAtSeconds);
  return { exp, kid: key.kid, sig: base64url(await hmac(key.secret, messageOf(exp, key.kid))) };
}

async function verify(
  keys: LinkKeys,
  query: URLSearchParams,
  names: string,
  nowMs: number,
  messageOf: MessageOf,
): Promise<Verified<number>> {
  const exp = query.get("exp") ?? "";
  const key = keys.find((each) => each.kid === query.get("kid"));
  const signature = fromBase64url(query.get("sig") ?? "");
  const isComplete = [...query.keys()].sort().join() === names;
  if (!isComplete || !/^[1-9]\d{9}$/.test(exp) || key === undefined || signature?.length !== 32) {
    return fail({ kind: "invalid_signature" });
  }
  if (!(await verifyHmac(key.secret, messageOf(exp, key.kid), signature))) return fail({ kind: "invalid_signature" });
  const expiresAtSeconds = Number(exp);
  return expiresAtSeconds * 1000 > nowMs ? ok(expiresAtSeconds) : fail({ kind: "url_expired" });
}

function message(id: string, rev: string | null, exp: string, kid: string): string {
  return rev === null ? `v1\n${id}\n${exp}\n${kid}` : `v2\n${id}\n${exp}\n${kid}\n${rev}`;
}

function imageMessage(id: string, index: number, exp: string, kid: string): string {
  return `image-v1\n${id}\n${index}\n${exp}\n${kid}`;
}
