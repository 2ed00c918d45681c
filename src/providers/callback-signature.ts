// What adapters share of callbacks: where they may be sent, and whether one is the provider's own. Nothing of what came is kept or told on.
import { Webhook } from "standardwebhooks";
import type { CallsBack } from "../core/routing.ts";
import type { Callback, Upstream } from "../ports.ts";

const LEEWAY_SECONDS = 300;

/** From outside a local run cannot be reached; an emulator on this machine reaches it. */
export function callsBackOf({ baseUrl }: Pick<Upstream, "baseUrl">): CallsBack {
  return baseUrl.startsWith("http:") ? "any" : "https";
}

/** Signed so lately that it is not somebody's copy of an old one; `timestamp` as the header has it, in unix seconds. */
export function isFresh(timestamp: string): boolean {
  return /^\d{1,12}$/.test(timestamp) && Math.abs(Date.now() / 1000 - Number(timestamp)) <= LEEWAY_SECONDS;
}

/** Undefined: it is no JSON. */
export function jsonIn({ body }: Pick<Callback, "body">): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** By Standard Webhooks, with one of these secrets, within the last minutes. */
export function hasStandardSignature({ headers, body }: Callback, secrets: readonly string[]): boolean {
  const names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
  const signed = Object.fromEntries(names.map((name) => [name, headers.get(name) ?? ""]));
  if (!isFresh(signed["webhook-timestamp"] ?? "")) return false;
  return secrets.some((secret) => {
    try {
      new Webhook(secret).verify(body, signed, { jsonParse: false });
      return true;
    } catch {
      return false;
    }
  });
}
