// What is wrong with a gateway, as far as it can tell itself, and how to mend it.
import type { RegistryPort, StoredObjects, TenantStore } from "../../ports.ts";
import type { ProviderView } from "./providers.ts";

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
  readonly linkKeys: number;
  readonly taskIdSecrets: number;
  readonly hasPublicUrl: boolean;
  readonly hasAlertUrl: boolean;
  readonly clock: () => number;
  readonly local: boolean;
}

/** The cron comes every five minutes; one that has not come for this long does not come. */
const CRON_LATE_MS = 20 * 60_000;

export async function examine(deps: DoctorDeps, providers: () => Promise<readonly ProviderView[]>): Promise<Check[]> {
  const { linkKeys, taskIdSecrets, hasPublicUrl, hasAlertUrl } = deps;
  return [
    await answers("kv", "Bind a KV namespace as TENANTS in wrangler.toml.", async () => deps.tenants.findSwitches()),
    await answers("r2", "Bind an R2 bucket as VIDEOS in wrangler.toml.", async () => deps.objects.list(null, 1)),
    await answers("objects", "Deploy again: the Durable Objects do not answer.", async () => deps.registry.switches()),
    await cron(deps),
    providersCheck(await providers()),
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

/** One that gets no new tasks is known and may be meant: told, not held against the gateway. */
function providersCheck(views: readonly ProviderView[]): Check {
  const idle = views.flatMap((view) => {
    const why = idleWhy(view);
    return why === null ? [] : [`${view.name} ${why}`];
  });
  const detail = [`${views.length} configured`, ...idle].join("; ");
  if (views.length === 0) return advice("providers", false, detail, "Set PROVIDERS; until then only test keys can make videos.");
  const mend = "See `reelay provider list`, mend what is wrong there, then `reelay provider release` it.";
  return advice("providers", idle.length === 0, detail, mend);
}

/** Why it gets no new tasks, as the end of a sentence about it; null: it does, or it cannot be told. */
function idleWhy({ health, credentials }: ProviderView): string | null {
  if (health === null) return "cannot be told of: its object does not answer";
  if (health.isHeld) return "is held by an operator";
  if (health.breaker === "open") return "is held back: too many of its last calls failed";
  const spent = new Set(health.spent.map(({ credential }) => credential));
  return credentials.every((name) => spent.has(name)) ? `has no usable key: it refused ${[...spent].join(", ")}` : null;
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
