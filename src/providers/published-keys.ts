// The public keys that a provider says it signs callbacks with (a JWKS). Asked for without its own key, and remembered: where they cannot
// be had, nothing is genuine, a hint is lost, and the next poll finds out.
import { z } from "zod";
import type { Upstream } from "../ports.ts";
import { callJson } from "./call-json.ts";
import { isSuccess } from "./judge-reply.ts";
import { lenient } from "./reply-parts.ts";

/** Providers allow a day; an hour is how long callbacks may go unheard after one changed its keys, and polls do not need them. */
const KEYS_TTL_MS = 60 * 60_000;
const MAX_KEYS = 10;

const ed25519 = z.looseObject({ kty: z.literal("OKP"), crv: z.literal("Ed25519"), x: z.string().regex(/^[\w-]{43}$/) });
/** 2,048 to 8,192 bits. */
const rsa = z.looseObject({ kty: z.literal("RSA"), n: z.string().regex(/^[\w-]{342,1366}$/), e: z.string().regex(/^[\w-]{2,8}$/) });
const keySet = z.looseObject({ keys: z.array(lenient(z.union([ed25519, rsa]))) });
type PublicJwk = z.infer<typeof ed25519> | z.infer<typeof rsa>;

export type Signing = "Ed25519" | "RS256";
const ALGORITHMS = { Ed25519: { name: "Ed25519" }, RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" } } as const;

/** Whether one of the signatures is over the message, by one of the published keys of its kind. */
export type SignedByPublished = (
  signing: Signing,
  signatures: readonly Uint8Array<ArrayBuffer>[],
  message: string,
  signal: AbortSignal,
) => Promise<boolean>;

export function publishedKeys(url: string): SignedByPublished {
  let known: { readonly keys: readonly Imported[]; readonly until: number } | null = null;

  async function keysAt(now: number, signal: AbortSignal): Promise<readonly Imported[]> {
    if (known !== null && now < known.until) return known.keys;
    const reply = await callJson(url, { method: "GET", headers: {}, signal }).catch(() => null);
    const listed = reply !== null && isSuccess(reply) ? (keySet.safeParse(reply.body).data?.keys ?? []) : [];
    const mine = listed.flatMap((each) => each ?? []).slice(0, MAX_KEYS);
    const imported = await Promise.allSettled(mine.map(importKey));
    const keys = imported.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    if (keys.length > 0) known = { keys, until: now + KEYS_TTL_MS };
    return keys;
  }

  return async (signing, signatures, message, signal) => {
    const bytes = new TextEncoder().encode(message);
    for (const { key } of (await keysAt(Date.now(), signal)).filter((each) => each.signing === signing)) {
      for (const signature of signatures) {
        if (await crypto.subtle.verify(ALGORITHMS[signing].name, key, signature, bytes)) return true;
      }
    }
    return false;
  };
}

/** An emulator on this machine signs with keys of its own. */
export function keysUrlOf({ baseUrl, allowLoopback }: Upstream, published: string): string {
  const { protocol, origin } = new URL(baseUrl);
  return allowLoopback && protocol === "http:" ? `${origin}/.well-known/jwks.json` : published;
}

async function importKey(jwk: PublicJwk) {
  const signing: Signing = jwk.kty === "OKP" ? "Ed25519" : "RS256";
  // Nothing but the key itself: what else it is said to be good for is not ours to judge.
  const plain = jwk.kty === "OKP" ? { kty: jwk.kty, crv: jwk.crv, x: jwk.x } : { kty: jwk.kty, n: jwk.n, e: jwk.e };
  return { signing, key: await crypto.subtle.importKey("jwk", plain, ALGORITHMS[signing], false, ["verify"]) };
}
type Imported = Awaited<ReturnType<typeof importKey>>;
