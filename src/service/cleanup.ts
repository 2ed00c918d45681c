// The cron's pass. Alarms do the daily work; this finds what an alarm lost: ledgers and deliveries nobody woke, videos and
// reference images nobody owns.
// Every step may run twice and beside another pass.
import type { EventsOf, LedgerOf, StoredObject, StoredObjects, RegistryPort, TenantRef } from "../ports.ts";

export interface SweepReport {
  readonly tenants: number;
  readonly objects: number;
  readonly orphans: number;
  readonly errors: number;
}

const OBJECTS_A_PASS = 200;
/** What is younger than this may belong to a task that is not on record yet. */
const SETTLED_AFTER_MS = 60 * 60_000;

/** Null: another pass is at it. `dryRun`: counts what it would look at and remove, and leaves everything as it was. */
export async function sweep(
  deps: { registry: RegistryPort; ledgerOf: LedgerOf; eventsOf: EventsOf; objects: StoredObjects },
  now: number,
  dryRun = false,
): Promise<SweepReport | null> {
  const page = await deps.registry.beginSweep();
  if (page === null) return null;
  let errors = 0;
  const attempted = async (work: () => Promise<number>): Promise<number> => {
    try {
      return await work();
    } catch {
      errors++;
      return 0;
    }
  };

  const tended = new Set<string>();
  for (const { tenant, mode } of page.tenants) {
    await attempted(async () => {
      if (!dryRun) await deps.ledgerOf(tenant, mode).tend();
      tended.add(tenant);
      return 1;
    });
    await attempted(async () => {
      if (!dryRun) await deps.eventsOf(tenant, mode).tend();
      return 1;
    });
  }

  let listed: Awaited<ReturnType<StoredObjects["list"]>> = { objects: [], last: page.objectCursor };
  await attempted(async () => {
    listed = await deps.objects.list(page.objectCursor, OBJECTS_A_PASS);
    return listed.objects.length;
  });
  let orphans = 0;
  for (const [owner, objects] of byOwner(listed.objects.filter((object) => object.uploadedAt < now - SETTLED_AFTER_MS))) {
    orphans += await attempted(async () => removeUnknown(deps, owner, objects, dryRun));
  }
  if (dryRun) await deps.registry.abandonSweep(page.lease);
  else await deps.registry.finishSweep(page.lease, listed.last);
  return { tenants: tended.size, objects: listed.objects.length, orphans, errors };
}

/** The ledger has a row for every task that is not purged, so one question a tenant settles a whole page. */
async function removeUnknown(
  deps: { ledgerOf: LedgerOf; objects: StoredObjects },
  owner: TenantRef | null,
  objects: readonly StoredObject[],
  dryRun: boolean,
): Promise<number> {
  const ids = [...new Set(objects.map(({ taskId }) => taskId))];
  const known = owner === null ? [] : await deps.ledgerOf(owner.tenant, owner.mode).known(ids);
  const unknown = objects.filter(({ taskId }) => !known.includes(taskId));
  if (!dryRun) await deps.objects.remove(unknown.map(({ key }) => key));
  return unknown.length;
}

function byOwner(objects: readonly StoredObject[]): [TenantRef | null, StoredObject[]][] {
  const groups = new Map<string, [TenantRef | null, StoredObject[]]>();
  for (const object of objects) {
    const name = object.owner === null ? "" : `${object.owner.tenant}/${object.owner.mode}`;
    const group = groups.get(name) ?? [object.owner, []];
    group[1].push(object);
    groups.set(name, group);
  }
  return [...groups.values()];
}
