// What a provider is given to call back with: which attempt it is about, sealed, so that it says nothing to the provider and nobody
// else can make one. The same attempt always gets the same one, so that a repeated submit names the same URL.
import { base64url, fromBase64url } from "./encoding.ts";
import { hmac, sha256 } from "./hmac.ts";
import type { Mode } from "./api-key.ts";

export interface AttemptRef {
  readonly tenant: string;
  readonly mode: Mode;
  readonly task: string;
  /** 1 for the first. */
  readonly attempt: number;
}

const IV_BYTES = 12;
const LABEL = "callback/v1";

/** AES-GCM under a key of its own; the nonce is derived from the content, so that no two contents share one. */
export async function sealAttempt(secret: string, { tenant, mode, task, attempt }: AttemptRef): Promise<string> {
  const text = [tenant, mode, task, attempt].join("\n");
  const iv = (await hmac(secret, `${LABEL}/nonce\n${text}`)).slice(0, IV_BYTES);
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await keyOf(secret), new TextEncoder().encode(text));
  return base64url(new Uint8Array([...iv, ...new Uint8Array(sealed)]));
}

/** Null: none of the secrets made it. */
export async function openAttempt(secrets: readonly string[], token: string): Promise<AttemptRef | null> {
  const bytes = fromBase64url(token);
  if (bytes === null || bytes.length <= IV_BYTES) return null;
  for (const secret of secrets) {
    const text = await decrypt(secret, bytes);
    const [, tenant, mode, task, attempt] = /^([^\n]+)\n(live|test)\n([^\n]+)\n(\d{1,4})$/.exec(text ?? "") ?? [];
    if (tenant !== undefined && task !== undefined) return { tenant, mode: mode as Mode, task, attempt: Number(attempt) };
  }
  return null;
}

async function decrypt(secret: string, bytes: Uint8Array<ArrayBuffer>): Promise<string | null> {
  try {
    const iv = bytes.subarray(0, IV_BYTES);
    const opened = await crypto.subtle.decrypt({ name: "AES-GCM", iv }, await keyOf(secret), bytes.subarray(IV_BYTES));
    return new TextDecoder().decode(opened);
  } catch {
    return null;
  }
}

async function keyOf(secret: string) {
  const bits = await sha256(`${LABEL}/key\n${secret}`);
  return crypto.subtle.importKey("raw", new Uint8Array(bits), "AES-GCM", false, ["encrypt", "decrypt"]);
}
