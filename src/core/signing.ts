// Signed links: one file, GET and HEAD, until a time, or until they are revoked. Nothing but these parameters, each written in one
// way only.
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
  const key = keys[0];
  if (key === undefined) throw new Error("no link key is configured");
  const exp = String(expiresAtSeconds);
  const rev = revision === 0 ? null : String(revision);
  const sig = base64url(await hmac(key.secret, message(id, exp, key.kid, rev)));
  return { exp, kid: key.kid, ...(rev !== null && { rev }), sig };
}

/** `query`: every parameter the link came with. The signature is judged before the time, so that `url_expired` is told only of real links. */
export async function verifyLink(
  keys: LinkKeys,
  id: string,
  query: URLSearchParams,
  nowMs: number,
): Promise<Result<VerifiedLink, { kind: "invalid_signature" | "url_expired" }>> {
  const names = [...query.keys()].sort().join();
  const exp = query.get("exp") ?? "";
  const rev = query.get("rev");
  const key = keys.find((each) => each.kid === query.get("kid"));
  const signature = fromBase64url(query.get("sig") ?? "");
  const isComplete = names === (rev === null ? "exp,kid,sig" : "exp,kid,rev,sig");
  const isWell = /^[1-9]\d{9}$/.test(exp) && (rev === null || /^[1-9]\d{0,8}$/.test(rev));
  if (!isComplete || !isWell || key === undefined || signature?.length !== 32) return fail({ kind: "invalid_signature" });
  if (!(await verifyHmac(key.secret, message(id, exp, key.kid, rev), signature))) return fail({ kind: "invalid_signature" });
  const expiresAtSeconds = Number(exp);
  return expiresAtSeconds * 1000 > nowMs ? ok({ expiresAtSeconds, revision: Number(rev ?? 0) }) : fail({ kind: "url_expired" });
}

function message(id: string, exp: string, kid: string, rev: string | null): string {
  return rev === null ? `v1\n${id}\n${exp}\n${kid}` : `v2\n${id}\n${exp}\n${kid}\n${rev}`;
}
