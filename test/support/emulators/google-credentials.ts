// A service account as Google gives it out, with a key of its own.
import { generateKeyPairSync } from "node:crypto";

const { publicKey, privateKey } = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
});

export const PUBLIC_KEY = publicKey;

/** Signs in at `origin`. Each has a name of its own, because tokens are kept by credential. */
export function serviceAccountJson(origin: string): string {
  return JSON.stringify({
    type: "service_account",
    project_id: "reelay-test",
    private_key_id: "key-1",
    private_key: privateKey,
    client_email: `reelay-${crypto.randomUUID()}@reelay-test.iam.gserviceaccount.com`,
    token_uri: `${origin}/token`,
  });
}
