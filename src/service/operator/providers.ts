// What an operator sees of the upstream providers, and the switch that keeps tasks from one.
import type { Refusal } from "../../core/errors.ts";
import { fail, ok, type Result } from "../../core/result.ts";
import type { HealthOf, HealthView, Provider, ProviderLimits, ProviderTimeouts, ProviderTraits } from "../../ports.ts";
import { within } from "../within.ts";
import type { Audit } from "./audited.ts";
import { checkKeys, type CheckHands, type KeyCheck } from "./provider-check.ts";

/** What it can do, as it is configured. */
export interface ShownTraits extends Omit<ProviderTraits, "callback"> {
  /** `unsigned`: whoever knows the sealed URL is believed to be the provider. */
  readonly callbacks: "none" | "unsigned" | "signed";
  readonly cancel: boolean;
}

/** As the operator configured it, without its secrets. */
export interface ProviderEntry {
  readonly name: string;
  readonly kind: string;
  /** Where it is asked; of its address nothing else, which may hold a key. */
  readonly host: string;
  readonly priority: number;
  readonly weight: number;
  readonly tags: readonly string[];
  readonly models: readonly string[] | null;
  readonly region: string | null;
  /** The names of its secrets. */
  readonly credentials: readonly string[];
  readonly limits: ProviderLimits;
  readonly timeouts: ProviderTimeouts;
  /** Null: as it is learned. */
  readonly medianMs: number | null;
  readonly overdueFactor: number | null;
  /** US cents a video; null: not known. */
  readonly costCents: number | null;
  readonly traits: ShownTraits;
}

export interface ProviderView extends ProviderEntry {
  /** Null: it cannot be asked now. */
  readonly health: HealthView | null;
}

export interface ProvidersDeps extends CheckHands {
  readonly providers: readonly ProviderEntry[];
  readonly healthOf: HealthOf;
  readonly audit: Audit;
}

export type OperatorProviders = ReturnType<typeof operatorProviders>;

const VIEW_TIMEOUT_MS = 5_000;

export function operatorProviders({ providers, healthOf, audit, ...hands }: ProvidersDeps) {
  const view = async (entry: ProviderEntry): Promise<ProviderView> => {
    const health = within(VIEW_TIMEOUT_MS, async () => healthOf(entry.name).view());
    return { ...entry, health: await health.catch(() => null) };
  };

  async function setHold(
    actor: string,
    name: string,
    isHeld: boolean,
    reason: string | null,
  ): Promise<Result<ProviderView, Refusal>> {
    const entry = providers.find((each) => each.name === name);
    if (entry === undefined) return fail({ kind: "provider_not_found" });
    const before = await view(entry);
    await healthOf(name).hold(isHeld);
    const action = isHeld ? "provider.hold" : "provider.release";
    const was = before.health === null ? null : { held: before.health.isHeld };
    await audit({ actor, action, target: name, before: was, after: { held: isHeld, reason } });
    return ok(await view(entry));
  }

  return {
    list: async (): Promise<ProviderView[]> => Promise.all(providers.map(view)),
    /** It gets no new tasks until it is let go; what it has under way goes on. */
    hold: async (actor: string, name: string, reason: string | null) => setHold(actor, name, true, reason),
    /** Also ends what else kept tasks from it: an open breaker, credentials that were refused. */
    release: async (actor: string, name: string, reason: string | null) => setHold(actor, name, false, reason),
    /** Changes nothing, so it is not noted. */
    async check(name: string): Promise<Result<KeyCheck[], Refusal>> {
      const isKnown = providers.some((each) => each.name === name);
      return isKnown ? ok(await checkKeys(name, hands)) : fail({ kind: "provider_not_found" });
    },
  };
}

/** Of the adapter for its first credential. */
export function shownTraits(adapter: Provider): ShownTraits {
  const { callback, ...traits } = adapter.traits;
  const callbacks = callback === "none" ? "none" : adapter.isGenuine === undefined ? "unsigned" : "signed";
  return { ...traits, callbacks, cancel: adapter.cancel !== undefined };
}
