// What an operator types, as the API wants it. Commander turns what is thrown here into usage: exit code 2.
import { InvalidArgumentError } from "commander";

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };
const MAX_OVERLAP_SECONDS = 7 * 86_400;
const TENANT = /^[0-9A-Za-z]{8}$/;
/** A key's id, its prefix as lists show it, or the whole key. */
const KEY = /^(?:sk-(?:live|test)-)?([0-9A-Za-z]{12})(?:…|\.\.\.|[0-9A-Za-z]{38})?$/;
const ACTOR = /^[\x20-\x7e]{1,64}$/;

export function tenantId(text: string): string {
  if (TENANT.test(text)) return text;
  throw new InvalidArgumentError("A tenant's id has 8 letters and digits; `tenant list` shows them.");
}

/** The id of the key and of its tenant, which is its first 8 characters. */
export function keyId(text: string): { key: string; tenant: string } {
  const key = KEY.exec(text)?.[1];
  if (key !== undefined) return { key, tenant: key.slice(0, 8) };
  throw new InvalidArgumentError("A key's id has 12 letters and digits; `key list` shows them.");
}

/** Seconds. */
export function duration(text: string): number {
  const [, count, unit = "s"] = /^(\d{1,9})([smhd])$/.exec(text) ?? /^(0)$/.exec(text) ?? [];
  if (count !== undefined) return Number(count) * (UNIT_SECONDS[unit] ?? 0);
  throw new InvalidArgumentError("Write it as 30s, 15m, 24h or 7d.");
}

/** Seconds. */
export function overlap(text: string): number {
  const seconds = duration(text);
  if (seconds <= MAX_OVERLAP_SECONDS) return seconds;
  throw new InvalidArgumentError("The overlap is 7d at most.");
}

/** Unix seconds: a time from now, or a day or time. */
export function expiry(text: string, nowMs: number): number {
  const at = /^\d+[smhd]$/.test(text) ? Math.floor(nowMs / 1000) + duration(text) : Math.floor(Date.parse(asUtc(text)) / 1000);
  if (!Number.isFinite(at)) throw new InvalidArgumentError("Write it as 90d, 2027-01-31 or 2027-01-31T12:00:00Z.");
  if (at * 1000 <= nowMs) throw new InvalidArgumentError("That is past.");
  return at;
}

/** A whole number, as people or as tables write it: 1000 or 1,000. */
export function wholeNumber(text: string): number {
  const value = Number(/^[+-]?(\d+|\d{1,3}(,\d{3})+)$/.test(text) ? text.replaceAll(",", "") : Number.NaN);
  if (Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError("It has to be a whole number.");
}

export function countFrom(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = wholeNumber(text);
    if (value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `${least} to ${most}`;
    throw new InvalidArgumentError(`It has to be ${range}.`);
  };
}

/** Comma-separated. */
export function list(text: string): string[] {
  const items = text.split(",").map((item) => item.trim());
  if (items.every((item) => item !== "")) return items;
  throw new InvalidArgumentError("Write it as one,two,three.");
}

export function listOrAll(text: string): string[] | "all" {
  return text === "all" ? text : list(text);
}

export function gatewayUrl(text: string): URL {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) throw new InvalidArgumentError("Write it as https://video.example.com.");
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") throw new InvalidArgumentError("It has no place for a user and a password.");
  return url;
}

export function actor(text: string): string {
  if (ACTOR.test(text.trim())) return text.trim();
  throw new InvalidArgumentError("It has 1 to 64 characters, all of them ASCII.");
}

/** The system's name for whoever sits here, in what a header can carry. */
export function actorFrom(userName: string): string {
  const name = userName.replaceAll(/[^\x20-\x7e]/g, "").trim();
  return name === "" ? "operator" : name.slice(0, 64).trim();
}

/** Where nothing says otherwise, a time is UTC, as everything the gateway says. */
function asUtc(text: string): string {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$/.test(text) ? `${text}Z` : /^\d{4}-\d\d-\d\d/.test(text) ? text : "";
}
