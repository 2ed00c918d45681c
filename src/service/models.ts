// The catalogue as it is sold now: the table, with what an operator switched or priced anew. KV's copy of that is remembered for a
// short while; where KV is down, the last one known stands.
import { withSwitches, type Catalogue, type ModelSwitches } from "../core/models.ts";
import type { Clock, TenantStore } from "../ports.ts";

export interface CurrentModels {
  readonly models: Catalogue;
  readonly switches: ModelSwitches;
}

const REMEMBERED_MS = 15_000;

export function currentModels(deps: { catalogue: Catalogue; tenants: TenantStore; clock: Clock }): () => Promise<CurrentModels> {
  let known: CurrentModels = { models: deps.catalogue, switches: {} };
  let until = 0;
  return async () => {
    const now = deps.clock();
    // A clock that was set back must not make this last.
    if (now < until && now >= until - REMEMBERED_MS) return known;
    try {
      const switches = await deps.tenants.findSwitches();
      known = { models: withSwitches(deps.catalogue, switches), switches };
    } catch {
      // Not worth a refusal: a price or a switch is a little late.
    }
    until = now + REMEMBERED_MS;
    return known;
  };
}
