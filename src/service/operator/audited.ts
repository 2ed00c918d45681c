// Every change an operator makes leaves who made it, what was there before and what is there after.
import type { Clock, RegistryPort } from "../../ports.ts";

export interface Change {
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  /** Plain data; undefined where there is no such side. Never a key or a secret. */
  readonly before?: unknown;
  readonly after?: unknown;
}

export type Audit = (change: Change) => Promise<void>;

export function auditor(registry: RegistryPort, clock: Clock): Audit {
  return async ({ actor, action, target, before, after }) =>
    registry.audit({ at: clock(), actor, action, target, before: asText(before), after: asText(after) });
}

function asText(side: unknown): string | null {
  return side === undefined ? null : JSON.stringify(side);
}
