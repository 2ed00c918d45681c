// What an operator does with models while the gateway runs: switch one off with a reason, price one anew, put it back.
import {
  MODEL_NAMES,
  withSwitches,
  type Catalogue,
  type Model,
  type ModelName,
  type ModelSwitch,
  type ModelSwitches,
} from "../../core/models.ts";
import type { RegistryPort } from "../../ports.ts";
import type { Audit } from "./audited.ts";

export interface ModelView {
  readonly model: Model;
  /** Why it is off; null: it is on. */
  readonly off: string | null;
}

export type OperatorModels = ReturnType<typeof operatorModels>;

const AS_IN_CATALOGUE: ModelSwitch = { off: null, credits: null, upsampleCredits: null };

export function operatorModels({ catalogue, registry, audit }: { catalogue: Catalogue; registry: RegistryPort; audit: Audit }) {
  const viewOf = (switches: ModelSwitches, name: ModelName): ModelView => ({
    model: withSwitches(catalogue, switches)[name],
    off: switches[name]?.off ?? null,
  });

  return {
    async list(): Promise<ModelView[]> {
      const switches = await registry.switches();
      return MODEL_NAMES.map((name) => viewOf(switches, name));
    },

    async change(actor: string, name: ModelName, change: Partial<ModelSwitch>): Promise<ModelView> {
      const before = (await registry.switches())[name] ?? AS_IN_CATALOGUE;
      const after = { ...before, ...change };
      const isBack = Object.values(after).every((value) => value === null);
      await registry.switchModel(name, isBack ? null : after);
      await audit({ actor, action: "model.change", target: name, before, after });
      return viewOf(await registry.switches(), name);
    },
  };
}
