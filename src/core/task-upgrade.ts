// A task that an earlier release stored, in today's shape.
import { NEWS_TYPES } from "./news.ts";
import { ANY_ROUTE, NO_HINT, requeued, TASK_SCHEMA, type Attempt, type Lease, type Place, type Task } from "./task.ts";

/** A task as any release up to ours stored it. One of a newer release is left as it is: its schema says so. */
export function upgraded(stored: Task): Task {
  const schema: number = stored.schema;
  if (schema >= TASK_SCHEMA) return stored;
  const second = schema < 2 ? sinceRelease010(stored) : stored;
  return sincePlaces(schema < 3 ? sinceNumbers(second) : second);
}

/** Until then a place was known by its task alone, which the provider's health takes for stay 0, and what was left was told once. */
function sincePlaces(stored: Task): Task {
  const common = { ...stored, schema: TASK_SCHEMA, stays: 0, places: placesOf(stored), left: [] } as const;
  if (common.status === "running") return { ...common, ...NO_HINT };
  if (common.status !== "queued") return common;
  const { lease: _, ...queued } = common as typeof common & { lease?: Lease | null };
  return { ...queued, leaseMisses: 0, imageMisses: 0 };
}

function placesOf(stored: Task): readonly Place[] {
  if (stored.status === "queued") {
    const { lease = null } = stored as typeof stored & { lease?: Lease | null };
    return lease === null ? [] : [{ provider: lease.provider, stay: 0, lease }];
  }
  const attempt = stored.attempts.at(-1);
  const isThere = stored.status === "submitting" || stored.status === "running" || stored.status === "storing";
  if (!isThere || attempt === undefined) return [];
  const { provider, credential, latency } = attempt;
  return [{ provider, stay: 0, lease: { provider, credential, quantiles: latency.quantiles } }];
}

/** Until then attempts were numbered by their place among those that were kept, a submit knew nothing of one before it, and a job that was overdue nothing of others. */
function sinceNumbers(stored: Task): Task {
  const attempts = stored.attempts.map((attempt, index): Attempt => ({
    ...attempt,
    number: (attempt as Partial<Attempt>).number ?? index + 1,
  }));
  const common = { ...stored, attempts } as const;
  if (common.status === "submitting") return { ...common, repeat: null };
  return common.status === "running" ? { ...common, elsewhere: null } : common;
}

/** Release 0.1.0 told nobody of anything, knew no metadata and one credential a provider, and inlined no images. */
function sinceRelease010(stored: Task): Task {
  const attempts = stored.attempts.map((attempt): Attempt => {
    const { medianMs = stored.medianMs, ...same } = attempt as Attempt & { medianMs?: number };
    return { ...same, credential: "", latency: { medianMs, quantiles: null }, hinted: false, overdueAt: null, costCents: null };
  });
  const spec = { base: "", webhookUrl: null, metadata: {}, route: ANY_ROUTE };
  const common = { ...stored, ...spec, attempts, told: [...NEWS_TYPES], images: null } as const;
  if (common.status === "completed") return { ...common, linkRevision: 0 };
  if (common.status === "queued") return requeued(common, common.notBefore, null);
  return common.status === "running" ? { ...common, cancel: "unasked" } : common;
}
