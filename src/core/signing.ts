// Signed links: one file, GET and HEAD, until a time. Nothing but these three parameters, each written in one way only.
import { base64url, fromBase64url } from "./encoding.ts";
import { fail, ok, type Result } from "./result.ts";
import { hmac, verifyHmac } from "./hmac.ts";

/** The first signs; all verify, so that a key can be rotated without breaking links that are out. */
export type LinkKeys = readonly { readonly kid: string; readonly secret: string }[];

export interface SignedLink {
  /** Unix seconds. */
  readonly exp: string;
  readonly kid: string;
  readonly sig: string;
}

export async function signLink(keys: LinkKeys, id: string, expiresAtSeconds: number): Promise<SignedLink> {
  const key = keys[0];
  if (key === undefined) throw new Error("no link key is configured");
  const exp = String(expiresAtSeconds);
  return { exp, kid: key.kid, sig: base64url(await hmac(key.secret, message(id, exp, key.kid))) };
}

/** `query`: every parameter the link came with. The signature is judged before the time, so that `url_expired` is told only of real links. */
export async function verifyLink(
  keys: LinkKeys,
  id: string,
  query: URLSearchParams,
  nowMs: number,
): Promise<Result<{ expiresAtSeconds: number }, { kind: "invalid_signature" | "url_expired" }>> {
  const names = [...query.keys()].sort().join();
  const exp = query.get("exp") ?? "";
  const key = keys.find((each) => each.kid === query.get("kid"));
  const signature = fromBase64url(query.get("sig") ?? "");
  if (names !== "exp,kid,sig" || !/^[1-9]\d{9}$/.test(exp) || key === undefined || signature?.length !== 32) {
    return fail({ kind: "invalid_signature" });
  }
  if (!(await verifyHmac(key.secret, message(id, exp, key.kid), signature))) return fail({ kind: "invalid_signature" });
  const expiresAtSeconds = Number(exp);
  return expiresAtSeconds * 1000 > nowMs ? ok({ expiresAtSeconds }) : fail({ kind: "url_expired" });
}

function message(id: string, exp: string, kid: string): string {
  return `v1\n${id}\n${exp}\n${kid}`;
}
