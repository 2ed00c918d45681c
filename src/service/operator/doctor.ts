// What is wrong with a gateway, as far as it can tell itself, and how to mend it.
import type { RegistryPort, StoredObjects, TenantStore } from "../../ports.ts";

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  /** What to do about it; null where nothing is to be done. */
  readonly mend: string | null;
}

export interface DoctorDeps {
  readonly tenants: TenantStore;
  readonly objects: StoredObjects;
  readonly registry: RegistryPort;
  readonly providers: number;
  readonly linkKeys: number;
  readonly taskIdSecrets: number;
  readonly hasPublicUrl: boolean;
  readonly hasAlertUrl: boolean;
  readonly clock: () => number;
  readonly local: boolean;
}

/** The cron comes every five minutes; one that has not come for this long does not come. */
const CRON_LATE_MS = 20 * 60_000;

export async function examine(deps: DoctorDeps): Promise<Check[]> {
  const { providers, linkKeys, taskIdSecrets, hasPublicUrl, hasAlertUrl } = deps;
  return [
    await answers("kv", "Bind a KV namespace as TENANTS in wrangler.toml.", async () => deps.tenants.findSwitches()),
    await answers("r2", "Bind an R2 bucket as VIDEOS in wrangler.toml.", async () => deps.objects.list(null, 1)),
    await answers("objects", "Deploy again: the Durable Objects do not answer.", async () => deps.registry.switches()),
    await cron(deps),
    advice("providers", providers > 0, `${providers} configured`, "Set PROVIDERS; until then only test keys can make videos."),
    advice(
      "rotation",
      linkKeys === 1 && taskIdSecrets === 1,
      `${linkKeys} link keys, ${taskIdSecrets} id secrets`,
      "Remove the older one once its links and tasks are gone.",
    ),
    advice(
      "public_url",
      hasPublicUrl,
      hasPublicUrl ? "set" : "not set: links carry the host of each request",
      "Set PUBLIC_URL to the address tenants use.",
    ),
    advice("alerts", hasAlertUrl, hasAlertUrl ? "set" : "not set: alerts are in the log only", "Set ALERT_URL to be told."),
  ];
}

async function cron({ registry, clock, local }: DoctorDeps): Promise<Check> {
  const last = await registry.lastSweepAt().catch(() => null);
  const age = last === null ? null : clock() - last;
  const detail = age === null ? "never ran" : `ran ${Math.round(age / 60_000)} min ago`;
  const isPunctual = age !== null && age < CRON_LATE_MS;
  // Crons never fire in a local run.
  if (local) return advice("cron", isPunctual, detail, "A local run has no cron: `reelay sweep` runs it.");
  return check("cron", isPunctual, detail, 'Keep the cron "*/5 * * * *" in wrangler.toml.');
}

async function answers(name: string, mend: string, ask: () => Promise<unknown>): Promise<Check> {
  try {
    await ask();
    return check(name, true, "answers", mend);
  } catch (error) {
    return check(name, false, `does not answer: ${error instanceof Error ? error.name : "unknown"}`, mend);
  }
}

/** What works as it is, and could be better. */
function advice(name: string, isSet: boolean, detail: string, mend: string): Check {
  return { name, ok: true, detail, mend: isSet ? null : mend };
}

function check(name: string, ok: boolean, detail: string, mend: string): Check {
  return { name, ok, detail, mend: ok ? null : mend };
}
