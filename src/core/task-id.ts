// A task's public id: `<model>:<unix seconds>-<26 base32>`, the seed's look. The 26 are two for the millisecond within that second,
// 70 random bits, and a 48-bit MAC over tenant, mode and the rest, so that a forged id and another tenant's id fail one and the same
// check, before any object is named. (In ids of the first release the two are random as well.)
import { base32 } from "./encoding.ts";
import { hmac } from "./hmac.ts";
import type { Mode } from "./api-key.ts";

export interface TaskOwner {
  readonly tenant: string;
  readonly mode: Mode;
}

const SHAPE = /^([a-z0-9.-]{1,40}):([1-9]\d{9})-([a-z2-7]{16})([a-z2-7]{10})$/;
const RANDOM_BYTES = 10;
const MAC_BYTES = 6;

/** `createdAt`: in milliseconds. `random`: 10 bytes. `secret`: the first of the operator's id secrets. */
export async function makeTaskId(
  secret: string,
  owner: TaskOwner,
  model: string,
  createdAt: number,
  random: Uint8Array,
): Promise<string> {
  const millisecond = createdAt % 1000;
  const place = ordered(millisecond >> 5) + ordered(millisecond & 31);
  const open = `${model}:${Math.floor(createdAt / 1000)}-${place}${base32(random.subarray(0, RANDOM_BYTES)).slice(place.length)}`;
  return open + (await mac(secret, owner, open));
}

/** A base32 digit whose order as text is its order as a number, which base32's own is not: 2 to 7 stand for 26 to 31 there. */
function ordered(digit: number): string {
  return "234567abcdefghijklmnopqrstuvwxyz".charAt(digit);
}

/** Any of the secrets may have made it: a new one is put in front, the old one stays until its tasks are gone. */
export async function isOwnTaskId(secrets: readonly string[], owner: TaskOwner, id: string): Promise<boolean> {
  const parts = SHAPE.exec(id);
  if (parts === null) return false;
  const given = parts[4] as string;
  const open = id.slice(0, -given.length);
  let own = false;
  for (const secret of secrets) own = sameText(await mac(secret, owner, open), given) || own;
  return own;
}

/** Unix seconds; the ledger's rows are keyed by it, so that an id alone finds its row. Only for ids of the right shape. */
export function createdAtSecondsOf(id: string): number {
  return Number(SHAPE.exec(id)?.[2] ?? 0);
}

/** How much of an id's end sorts the tasks of one second in the order in which they were created, whatever their models. */
export const ORDER_LENGTH = 26;

/** What sorts the tasks of one second. Only for ids of the right shape. */
export function orderOf(id: string): string {
  return id.slice(-ORDER_LENGTH);
}

export function hasTaskIdShape(id: string): boolean {
  return SHAPE.test(id);
}

async function mac(secret: string, owner: TaskOwner, open: string): Promise<string> {
  const code = await hmac(secret, `task-id/v1\n${owner.tenant}\n${owner.mode}\n${open}`);
  return base32(code.subarray(0, MAC_BYTES));
}

/** Compares two texts of equal length without stopping at the first difference. */
function sameText(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let index = 0; index < a.length; index++) difference |= a.charCodeAt(index) ^ b.charCodeAt(index);
  return difference === 0;
}
