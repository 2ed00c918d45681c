// What is wrong with a gateway, as far as it can tell itself, and how to mend it.
import type { RegistryPort, TenantStore, VideoStore } from "../../ports.ts";

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  /** What to do about it; null where nothing is to be done. */
  readonly mend: string | null;
}

export interface DoctorDeps {
  readonly tenants: TenantStore;
  readonly videos: VideoStore;
  readonly registry: RegistryPort;
  readonly providers: number;
  readonly linkKeys: number;
  readonly taskIdSecrets: number;
  readonly hasPublicUrl: boolean;
  readonly hasAlertUrl: boolean;
  readonly clock: () => number;
}

/** The cron comes every five minutes; one that has not come for this long does not come. */
const CRON_LATE_MS = 20 * 60_000;

export async function examine(deps: DoctorDeps): Promise<Check[]> {
  const { providers, linkKeys, taskIdSecrets, hasPublicUrl, hasAlertUrl } = deps;
  return [
    await answers("kv", "Bind a KV namespace as TENANTS in wrangler.toml.", async () => deps.tenants.findSwitches()),
    await answers("r2", "Bind an R2 bucket as VIDEOS in wrangler.toml.", async () => deps.videos.list(null, 1)),
    await answers("objects", "Deploy again: the Durable Objects do not answer.", async () => deps.registry.switches()),
    await cron(deps),
    check("providers", providers > 0, `${providers} configured`, "Set PROVIDERS; until then only test keys can make videos."),
    check(
      "rotation",
      linkKeys === 1 && taskIdSecrets === 1,
      `${linkKeys} link keys, ${taskIdSecrets} id secrets`,
      "Remove the older one once its links and tasks are gone.",
    ),
    check(
      "public_url",
      hasPublicUrl,
      hasPublicUrl ? "set" : "not set: links carry the host of each request",
      "Set PUBLIC_URL to the address tenants use.",
    ),
    check("alerts", hasAlertUrl, hasAlertUrl ? "set" : "not set: alerts are in the log only", "Set ALERT_URL to be told."),
  ];
}

async function cron({ registry, clock }: DoctorDeps): Promise<Check> {
  const last = await registry.lastSweepAt().catch(() => null);
  const age = last === null ? null : clock() - last;
  const detail = age === null ? "never ran" : `ran ${Math.round(age / 60_000)} min ago`;
  return check(
    "cron",
    age !== null && age < CRON_LATE_MS,
    detail,
    'Keep the cron "*/5 * * * *" in wrangler.toml. A local run has none: run `reelay sweep`.',
  );
}

async function answers(name: string, mend: string, ask: () => Promise<unknown>): Promise<Check> {
  try {
    await ask();
    return check(name, true, "answers", mend);
  } catch (error) {
    return check(name, false, `does not answer: ${error instanceof Error ? error.name : "unknown"}`, mend);
  }
}

function check(name: string, ok: boolean, detail: string, mend: string): Check {
  return { name, ok, detail, mend: ok ? null : mend };
}
