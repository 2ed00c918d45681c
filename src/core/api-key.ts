// `sk-(live|test)-` + key id (12, the first 8 name the tenant) + secret (32) + checksum (6), all base62.
// Shape and checksum are judged before any look-up; at rest there is only the SHA-256 of the whole.
import { base62, base62Digits, hex } from "./encoding.ts";
import { sha256 } from "./hmac.ts";

export type Mode = "live" | "test";
export type Scope = "create" | "read" | "manage";
export const SCOPES = ["create", "read", "manage"] as const satisfies readonly Scope[];

export interface ApiKey {
  readonly text: string;
  readonly mode: Mode;
  readonly id: string;
  readonly tenant: string;
}

const SHAPE = /^sk-(live|test)-([0-9A-Za-z]{8}[0-9A-Za-z]{4})([0-9A-Za-z]{32})([0-9A-Za-z]{6})$/;
export const TENANT_ID_LENGTH = 8;
const KEY_ID_REST = 4;
const SECRET_LENGTH = 32;

/** Null for anything that cannot be one of our keys; costs no I/O and no hash. */
export function parseApiKey(text: string): ApiKey | null {
  const parts = SHAPE.exec(text);
  if (parts === null) return null;
  const [, mode, id, , checksum] = parts as unknown as [string, Mode, string, string, string];
  if (checksumOf(text.slice(0, -checksum.length)) !== checksum) return null;
  return { text, mode, id, tenant: id.slice(0, TENANT_ID_LENGTH) };
}

/** `random`: 64 bytes or more. Bytes that would bias a digit are skipped, so too unlucky a draw throws; draw again. */
export function makeApiKey(mode: Mode, tenant: string, random: Uint8Array): ApiKey {
  const digits = base62Digits(random);
  if (tenant.length !== TENANT_ID_LENGTH) throw new RangeError("a tenant id has 8 characters");
  if (digits.length < KEY_ID_REST + SECRET_LENGTH) throw new RangeError("not enough random bytes");
  const open = `sk-${mode}-${tenant}${digits.slice(0, KEY_ID_REST + SECRET_LENGTH)}`;
  const key = parseApiKey(open + checksumOf(open));
  if (key === null) throw new RangeError("a tenant id is base62");
  return key;
}

/** What is stored and looked up: hex SHA-256 of the whole key. 190 secret bits need no slow hash. */
export async function hashApiKey(key: ApiKey): Promise<string> {
  return hex(await sha256(key.text));
}

function checksumOf(text: string): string {
  return base62(crc32(text), 6);
}

/** CRC-32 (IEEE 802.3) of an ASCII text, as an unsigned integer. */
function crc32(text: string): number {
  let crc = ~0;
  for (let index = 0; index < text.length; index++) {
    crc ^= text.charCodeAt(index);
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
