// Conditional reading (RFC 9110, section 13): a reply's ETag, and whether the client has that reply already.
import { base64url } from "./encoding.ts";
import { sha256 } from "./hmac.ts";

const DIGEST_BYTES = 15;

/** Of the body as it is sent: another state, another link or another word in it is another ETag. */
export async function etagOf(body: string): Promise<string> {
  return `"${base64url((await sha256(body)).subarray(0, DIGEST_BYTES))}"`;
}

/** Compares weakly, as a 304 wants it: what a proxy compressed has become `W/"..."` on the way. */
export function matchesEtag(ifNoneMatch: string | null, etag: string): boolean {
  if (ifNoneMatch === null) return false;
  if (ifNoneMatch.trim() === "*") return true;
  const known: string[] = ifNoneMatch.match(/"[^"]*"/g) ?? [];
  return known.includes(etag);
}
