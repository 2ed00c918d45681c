// Webhooks, decided: who is told of a piece of news, when a delivery is tried again, what a reply makes of it, and when an endpoint
// that does not answer is switched off. At least once: a delivery keeps its id through every repetition, so that a receiver knows it again.
import { jitterOf } from "./backoff.ts";
import { base32 } from "./encoding.ts";
import type { NewsType } from "./news.ts";

export const MAX_ENDPOINTS = 10;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Between one try and the next: eight tries in about 28 hours. */
const WAITS_MS = [5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 10 * HOUR];
export const MAX_TRIES = WAITS_MS.length + 1;
/** Tries that ended without a word, because the machine died of them or with them, are given this many more. */
const SPARE_TRIES = 3;
/** Longer than a try may take, so that one under way is not taken for one that died. */
const IN_DOUBT_MS = 40 * SECOND;
const LONGEST_RETRY_AFTER_MS = DAY;
const DEAD_AFTER_MS = 5 * DAY;
/** Without a try for so long, what came before says nothing any more. */
const EVIDENCE_MS = 2 * DAY;
/** How far apart failures are noted: an endpoint that is down is not written at each. */
const NOTE_EVERY_MS = HOUR;
/** Tries that a delivery's log keeps, replays and all. */
const KEPT_ATTEMPTS = 20;
export const MAX_EXCERPT_CHARS = 1_024;

export interface SigningSecrets {
  readonly current: string;
  /** Signs beside the current one until then (unix milliseconds). */
  readonly previous: { readonly secret: string; readonly until: number } | null;
}

/** `gone`: it answered 410. `failing`: it has not taken anything for five days. */
export type DisabledReason = "by_tenant" | "gone" | "failing";

export interface Endpoint {
  readonly id: string;
  readonly url: string;
  readonly events: readonly NewsType[];
  readonly description: string | null;
  readonly secrets: SigningSecrets;
  readonly createdAt: number;
  readonly disabled: { readonly at: number; readonly reason: DisabledReason } | null;
  /** Since the first failure after the last success. */
  readonly failing: { readonly since: number; readonly notedAt: number } | null;
}

export interface EndpointChange {
  readonly url?: string;
  readonly events?: readonly NewsType[];
  readonly description?: string | null;
  readonly enabled?: boolean;
}

/** Why there was no reply. */
export type AttemptFault = "timeout" | "connection" | "url_not_allowed";

/** `status` null: no reply came, for the reason of `fault`. */
export interface DeliveryAttempt {
  readonly at: number;
  readonly ms: number;
  readonly url: string;
  readonly status: number | null;
  readonly fault: AttemptFault | null;
  /** The beginning of what the receiver said. */
  readonly reply: string;
}

/** `tries`: in this round; a replay begins a new one. `endpointId` null: to the task's own webhook. */
export type Delivery = {
  /** The `webhook-id` of its every try. */
  readonly id: string;
  readonly endpointId: string | null;
  readonly isTest: boolean;
  readonly tries: number;
  readonly attempts: readonly DeliveryAttempt[];
} & ({ readonly state: "pending"; readonly nextAt: number } | { readonly state: "delivered" | "failed"; readonly nextAt: null });

export type PendingDelivery = Extract<Delivery, { state: "pending" }>;

/** The intent of a try, on record before it is made. Null: tries that end without a word are not begun for ever. */
export function beginTry(delivery: PendingDelivery, now: number): PendingDelivery | null {
  const tries = delivery.tries + 1;
  if (tries > MAX_TRIES + SPARE_TRIES) return null;
  return { ...delivery, tries, nextAt: now + Math.max(waitAfter(delivery.id, tries), IN_DOUBT_MS) };
}

/** `retryAfterMs`: how long the receiver asked to be left alone. */
export function endTry(delivery: Delivery, attempt: DeliveryAttempt, retryAfterMs: number | null, now: number): Delivery {
  const done = { ...delivery, attempts: [...delivery.attempts, attempt].slice(-KEPT_ATTEMPTS) };
  const verdict = judge(attempt);
  if (verdict === "delivered") return { ...done, state: "delivered", nextAt: null };
  // One that was given up meanwhile stays so.
  const isLast = delivery.tries >= MAX_TRIES || delivery.isTest || delivery.state !== "pending";
  if (verdict === "gone" || isLast) return giveUp(done);
  const asked = Math.min(retryAfterMs ?? 0, LONGEST_RETRY_AFTER_MS);
  return { ...done, state: "pending", nextAt: now + Math.max(waitAfter(delivery.id, delivery.tries), asked) };
}

/** Not tried any more; a replay may. */
export function giveUp(delivery: Delivery): Delivery {
  return { ...delivery, state: "failed", nextAt: null };
}

/** A round of tries from the beginning, whatever became of the last one. */
export function replay(delivery: Delivery, now: number): PendingDelivery {
  return { ...delivery, state: "pending", nextAt: now, tries: 0 };
}

export type Verdict = "delivered" | "gone" | "failed";

/** A redirect is a failure too: it is not followed. */
export function judge({ status }: Pick<DeliveryAttempt, "status">): Verdict {
  if (status === 410) return "gone";
  return status !== null && status >= 200 && status < 300 ? "delivered" : "failed";
}

/** What a try makes of the endpoint it went to: the same object where nothing is worth writing down. */
export function noteTry(endpoint: Endpoint, verdict: Verdict, now: number): Endpoint {
  const { failing } = endpoint;
  if (endpoint.disabled !== null) return endpoint;
  if (verdict === "delivered") return failing === null ? endpoint : { ...endpoint, failing: null };
  if (verdict === "gone") return disable(endpoint, "gone", now);
  if (failing === null || now - failing.notedAt > EVIDENCE_MS) return { ...endpoint, failing: { since: now, notedAt: now } };
  if (now - failing.since >= DEAD_AFTER_MS) return disable(endpoint, "failing", now);
  return now - failing.notedAt < NOTE_EVERY_MS ? endpoint : { ...endpoint, failing: { ...failing, notedAt: now } };
}

function disable(endpoint: Endpoint, reason: DisabledReason, now: number): Endpoint {
  return { ...endpoint, disabled: { at: now, reason } };
}

/** Switched on, it has a clean slate. */
export function changeEndpoint(endpoint: Endpoint, { enabled, ...change }: EndpointChange, now: number): Endpoint {
  const changed = { ...endpoint, ...change };
  if (enabled === true) return { ...changed, disabled: null, failing: endpoint.disabled === null ? endpoint.failing : null };
  if (enabled === false) return disable(changed, "by_tenant", now);
  return changed;
}

/**
 * `send`: on its way at once. `keep`: on record only, to be replayed; an endpoint that we switched off misses nothing for good.
 * `skip`: it did not ask for this, or its tenant switched it off.
 */
export function treatment(endpoint: Endpoint, type: NewsType): "send" | "keep" | "skip" {
  if (!endpoint.events.includes(type) || endpoint.disabled?.reason === "by_tenant") return "skip";
  return endpoint.disabled === null ? "send" : "keep";
}

/** Two sign while rotating, never three. A roll that is repeated changes nothing. */
export function rollSecret(secrets: SigningSecrets, fresh: string, overlapMs: number, now: number): SigningSecrets {
  if (secrets.current === fresh) return secrets;
  return { current: fresh, previous: overlapMs > 0 ? { secret: secrets.current, until: now + overlapMs } : null };
}

/** What a message is signed with, the newest first. */
export function liveSecrets({ current, previous }: SigningSecrets, now: number): string[] {
  return previous !== null && now < previous.until ? [current, previous.secret] : [current];
}

const SECRET_BYTES = 32;
const SECRET_SHAPE = /^whsec_((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/;

/** `random`: 32 bytes. */
export function makeSigningSecret(random: Uint8Array): string {
  return `whsec_${btoa(String.fromCharCode(...random.subarray(0, SECRET_BYTES)))}`;
}

/** A secret that a tenant brings: `whsec_` and 24 to 64 bytes in base64, as Standard Webhooks has them. */
export function isSigningSecret(text: string): boolean {
  const encoded = SECRET_SHAPE.exec(text)?.[1];
  if (encoded === undefined) return false;
  const bytes = (encoded.length / 4) * 3 - (encoded.match(/=/g)?.length ?? 0);
  return bytes >= 24 && bytes <= 64;
}

/** What an endpoint, or a tenant's per-task webhooks together, are called in ids. `random`: 10 bytes. */
export function makeHook(random: Uint8Array): string {
  return base32(random.subarray(0, 10));
}

export function endpointIdOf(hook: string): string {
  return `whe_${hook}`;
}

/** Null: no endpoint can have this id. */
export function hookOf(endpointId: string): string | null {
  return /^whe_([a-z2-7]{16})$/.exec(endpointId)?.[1] ?? null;
}

/** Says where the delivery is kept, so that finding it takes no index. */
export function deliveryIdOf(place: { hook: string; seq: number }): string {
  return `msg_${place.hook}-${place.seq}`;
}

/** Null: no delivery can have this id. */
export function placeOf(deliveryId: string): { hook: string; seq: number } | null {
  const parts = /^msg_([a-z2-7]{16})-([1-9]\d{0,14})$/.exec(deliveryId);
  return parts === null ? null : { hook: parts[1] as string, seq: Number(parts[2]) };
}

/** Milliseconds to wait after try number `tries`, within 10 % of the schedule, spread so that no two deliveries keep step. */
function waitAfter(deliveryId: string, tries: number): number {
  const wait = WAITS_MS[Math.min(tries, WAITS_MS.length) - 1] ?? 0;
  return Math.round(wait * (0.9 + 0.2 * jitterOf(`${deliveryId}/${tries}`)));
}

/** What a message says of itself besides its body. */
export interface MessageLabel {
  readonly id: string;
  readonly event: NewsType;
  readonly isTest: boolean;
  /** Unix milliseconds of this try. */
  readonly at: number;
}

/** Every header but the signature, which is the sender's. */
export function messageHeaders({ id, event, isTest, at }: MessageLabel): Record<string, string> {
  return {
    "content-type": "application/json",
    "user-agent": "Reelay-Webhooks/1",
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(at / SECOND)),
    "webhook-event": event,
    ...(isTest && { "webhook-test": "true" }),
  };
}
