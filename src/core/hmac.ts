// HMAC-SHA256 by WebCrypto: a pure function of key and message, though its answer comes as a promise.

const utf8 = new TextEncoder();

async function importKey(secret: string) {
  return crypto.subtle.importKey("raw", utf8.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
}

export async function hmac(secret: string, message: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", await importKey(secret), utf8.encode(message)));
}

/** In constant time. */
export async function verifyHmac(secret: string, message: string, signature: Uint8Array<ArrayBuffer>): Promise<boolean> {
  return crypto.subtle.verify("HMAC", await importKey(secret), signature, utf8.encode(message));
}

export async function sha256(message: string | Uint8Array): Promise<Uint8Array> {
  const bytes = typeof message === "string" ? utf8.encode(message) : (message as Uint8Array<ArrayBuffer>);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}
