// A task that an earlier release stored, in today's shape.
import { NEWS_TYPES } from "./news.ts";
import { ANY_ROUTE, requeued, TASK_SCHEMA, type Attempt, type Task } from "./task.ts";

/** A task as any release up to ours stored it. One of a newer release is left as it is: its schema says so. */
export function upgraded(stored: Task): Task {
  if (stored.schema >= TASK_SCHEMA) return stored;
  return sinceNumbers((stored.schema as number) < 2 ? sinceRelease010(stored) : stored);
}

/** Until then attempts were numbered by their place among those that were kept, a submit knew nothing of one before it, and a job that was overdue nothing of others. */
function sinceNumbers(stored: Task): Task {
  const attempts = stored.attempts.map((attempt, index): Attempt => ({
    ...attempt,
    number: (attempt as Partial<Attempt>).number ?? index + 1,
  }));
  const common = { ...stored, schema: TASK_SCHEMA, attempts } as const;
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
