// A task that an earlier release stored, in today's shape.
import { NEWS_TYPES } from "./news.ts";
import { ANY_ROUTE, NO_HINT, requeued, TASK_SCHEMA, type Attempt, type Lease, type Place, type Task } from "./task.ts";

const NO_PLACE = { stays: 0, places: [], left: [] } as const;

/** A task as any release up to ours stored it. One of a newer release is left as it is: its schema says so. */
export function upgraded(stored: Task): Task {
  if (stored.schema >= TASK_SCHEMA) return stored;
  return withPlaces(stored.schema < 2 ? fromFirst(stored) : stored);
}

/** Schema 2 knew a place by its task alone, which the provider's health takes for stay 0. */
function withPlaces(stored: Task): Task {
  const places = { schema: TASK_SCHEMA, stays: 0, places: placesOf(stored), left: [] } as const;
  if (stored.status === "running") return { ...stored, ...places, ...NO_HINT };
  if (stored.status !== "queued") return { ...stored, ...places };
  const { lease: _, ...queued } = stored as typeof stored & { lease?: Lease | null };
  return { ...queued, ...places, leaseMisses: 0, imageMisses: 0 };
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

function fromFirst(stored: Task): Task {
  // Release 0.1.0 told nobody of anything, knew no metadata and one credential a provider, and inlined no images.
  const attempts = stored.attempts.map((attempt): Attempt => {
    const { medianMs = stored.medianMs, ...same } = attempt as Attempt & { medianMs?: number };
    return { ...same, credential: "", latency: { medianMs, quantiles: null }, hinted: false, overdueAt: null, costCents: null };
  });
  const spec = { base: "", webhookUrl: null, metadata: {}, route: ANY_ROUTE };
  const common = { ...stored, ...spec, schema: TASK_SCHEMA, attempts, told: [...NEWS_TYPES], images: null, ...NO_PLACE } as const;
  if (common.status === "completed") return { ...common, linkRevision: 0 };
  if (common.status === "queued") return requeued(common, common.notBefore, null);
  return common.status === "running" ? { ...common, cancel: "unasked", ...NO_HINT } : common;
}
