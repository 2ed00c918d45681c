// Everything an operator can do, in one place for the admin API to be handed.
import type { Mode } from "../../core/api-key.ts";
import type { Refusal } from "../../core/errors.ts";
import type { Entry, foldJournal } from "../../core/ledger.ts";
import type { Catalogue } from "../../core/models.ts";
import { fail, ok, type Result } from "../../core/result.ts";
import type { AccountView, AuditEntry, OrphanView } from "../../ports.ts";
import type { SweepReport } from "../cleanup.ts";
import { auditor } from "./audited.ts";
import { examine, type Check, type DoctorDeps } from "./doctor.ts";
import { operatorKeys, type KeysDeps, type OperatorKeys } from "./keys.ts";
import { operatorModels, type OperatorModels } from "./models.ts";
import { operatorProviders, type OperatorProviders, type ProvidersDeps } from "./providers.ts";
import { operatorTasks, type OperatorTasks, type TasksDeps } from "./tasks.ts";
import { operatorTenants, type OperatorTenants, type TenantsDeps } from "./tenants.ts";

export interface Operator {
  readonly tenants: OperatorTenants;
  readonly keys: OperatorKeys;
  readonly tasks: OperatorTasks;
  readonly models: OperatorModels;
  readonly providers: OperatorProviders;
  journal(tenant: string, mode: Mode, before: number | null, limit: number): Promise<Result<Entry[], Refusal>>;
  recompute(
    tenant: string,
    mode: Mode,
  ): Promise<Result<{ account: AccountView; journal: ReturnType<typeof foldJournal>; equal: boolean }, Refusal>>;
  orphans(tenant: string, mode: Mode, before: number | null, limit: number): Promise<Result<OrphanView[], Refusal>>;
  writeOff(actor: string, tenant: string, mode: Mode, seq: number, reason: string): Promise<Result<OrphanView, Refusal>>;
  auditLog(before: number | null, limit: number): Promise<AuditEntry[]>;
  /** Null: another pass is at it. */
  sweep(actor: string, dryRun: boolean): Promise<SweepReport | null>;
  /** Writes all of KV anew from the ledgers and the registry; how many tenants that were. */
  rebuildKv(actor: string): Promise<number>;
  doctor(): Promise<Check[]>;
}

export type OperatorDeps = Omit<TenantsDeps, "audit"> &
  Omit<KeysDeps, "audit"> &
  Omit<TasksDeps, "audit"> &
  Omit<ProvidersDeps, "audit"> & {
    readonly catalogue: Catalogue;
    readonly runSweep: (dryRun: boolean) => Promise<SweepReport | null>;
    readonly doctor: DoctorDeps;
  };

const TENANTS_A_PAGE = 100;
const NO_TENANT: Refusal = { kind: "tenant_not_found" };

export function operator(given: OperatorDeps): Operator {
  const { registry, booksOf } = given;
  const audit = auditor(registry, given.clock);
  const deps = { ...given, audit };
  const isTenant = async (id: string): Promise<boolean> => (await registry.tenant(id)) !== null;

  const providers = operatorProviders(deps);

  return {
    tenants: operatorTenants(deps),
    keys: operatorKeys(deps),
    tasks: operatorTasks(deps),
    models: operatorModels(deps),
    providers,

    async journal(tenant, mode, before, limit) {
      return (await isTenant(tenant)) ? ok(await booksOf(tenant, mode).journal(before, limit)) : fail(NO_TENANT);
    },

    async recompute(tenant, mode) {
      if (!(await isTenant(tenant))) return fail(NO_TENANT);
      const both = await booksOf(tenant, mode).recompute();
      if (both === null) return fail(NO_TENANT);
      const { account, journal } = both;
      const names = Object.keys(journal) as (keyof typeof journal)[];
      return ok({ account, journal, equal: names.every((name) => account[name] === journal[name]) });
    },

    async orphans(tenant, mode, before, limit) {
      return (await isTenant(tenant)) ? ok(await booksOf(tenant, mode).orphans(before, limit)) : fail(NO_TENANT);
    },

    async writeOff(actor, tenant, mode, seq, reason) {
      if (!(await isTenant(tenant))) return fail(NO_TENANT);
      const books = booksOf(tenant, mode);
      const [before] = await books.orphans(seq + 1, 1);
      if (before?.seq !== seq) return fail({ kind: "orphan_not_found" });
      if (before.writtenOff !== null) return ok(before);
      const after = await books.writeOff(seq, reason);
      const place = { tenant, mode, seq };
      await audit({
        actor,
        action: "orphan.write_off",
        target: before.task,
        before: { ...place, writtenOff: null },
        after: { ...place, reason },
      });
      return ok(after ?? before);
    },

    auditLog: async (before, limit) => registry.auditLog(before, limit),

    async sweep(actor, dryRun) {
      const report = await given.runSweep(dryRun);
      if (report !== null && !dryRun) await audit({ actor, action: "sweep.run", target: "sweep", after: report });
      return report;
    },

    async rebuildKv(actor) {
      await registry.republish();
      let count = 0;
      for (let after: string | null = null; ;) {
        const page = await registry.tenants(after, TENANTS_A_PAGE);
        for (const { id } of page) await Promise.all([booksOf(id, "live").republish(), booksOf(id, "test").republish()]);
        count += page.length;
        if (page.length < TENANTS_A_PAGE) break;
        after = page.at(-1)?.id ?? null;
      }
      await audit({ actor, action: "kv.rebuild", target: "kv", after: { tenants: count } });
      return count;
    },

    doctor: async () => examine(given.doctor, providers.list),
  };
}
