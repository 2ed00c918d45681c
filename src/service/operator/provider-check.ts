// Whether a provider answers and takes each of its keys, found out by what costs nothing: asking after a job that cannot exist.
import type { Json } from "../../core/json.ts";
import { RetryableError, UnclearReplyError, type RetryableCode } from "../../core/upstream-errors.ts";
import type { Clock, Provider, ProviderOf, ProbesOf } from "../../ports.ts";
import { within } from "../within.ts";

/** `rate_limited`: accepted, and busy. `unavailable`: no answer, or an outage. `unclear`: an answer that is not of its wire. */
export type KeyVerdict = "accepted" | RetryableCode | "unclear";

export interface KeyCheck {
  /** The secret's name. */
  readonly credential: string;
  readonly verdict: KeyVerdict;
  readonly ms: number;
}

export interface CheckHands {
  readonly providerOf: ProviderOf;
  readonly probesOf: ProbesOf;
  readonly clock: Clock;
}

const CHECK_TIMEOUT_MS = 15_000;

/** Neither the provider's breaker nor its places hear of it. */
export async function checkKeys(provider: string, { providerOf, probesOf, clock }: CheckHands): Promise<KeyCheck[]> {
  return Promise.all(
    [...probesOf(provider)].map(async ([credential, probe]) => {
      const startedAt = clock();
      const verdict = await judge(providerOf({ provider, credential }), probe);
      return { credential, verdict, ms: clock() - startedAt };
    }),
  );
}

export function isUsable(verdict: KeyVerdict): boolean {
  return verdict === "accepted" || verdict === "rate_limited";
}

async function judge(adapter: Provider | undefined, probe: Json): Promise<KeyVerdict> {
  if (adapter === undefined) return "unavailable";
  try {
    // Whatever it says of the job: who was let in to ask has a key that works.
    await within(CHECK_TIMEOUT_MS, async (signal) => adapter.poll(probe, signal));
    return "accepted";
  } catch (error) {
    if (error instanceof RetryableError) return error.code;
    return error instanceof UnclearReplyError ? "unclear" : "unavailable";
  }
}
