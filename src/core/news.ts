// What a task tells its tenant: each status once, in order. The task object publishes it to the tenant's events object, which
// keeps the feed that streams read and the deliveries to webhooks.
import { publicTask, type PublicTask } from "./public-task.ts";
import type { Task } from "./task.ts";

export const NEWS_TYPES = ["video.created", "video.processing", "video.completed", "video.failed"] as const;
export type NewsType = (typeof NEWS_TYPES)[number];

export interface News {
  readonly type: NewsType;
  /** Unix milliseconds. */
  readonly at: number;
  /** As it was then, without a link: each reader gets a fresh one. */
  readonly task: PublicTask;
  /** The gateway's own origin, for that link. */
  readonly base: string;
  /** The task's own webhook, where it has one. */
  readonly webhookUrl: string | null;
}

/** What happened to the task and was not told yet, the oldest first. */
export function untoldNews(task: Task): News[] {
  return happened(task)
    .filter(({ type }) => !task.told.includes(type))
    .map(({ type, at, status }) => ({
      type,
      at,
      task: { ...publicTask(task, null), status, statusChangedAt: Math.floor(at / 1000) },
      base: task.base,
      webhookUrl: task.webhookUrl,
    }));
}

export function hasUntoldNews(task: Task): boolean {
  return happened(task).some(({ type }) => !task.told.includes(type));
}

/** A task that is on its way to its end by a shortcut was never processed, as far as a provider goes. */
function happened(task: Task): { type: NewsType; at: number; status: PublicTask["status"] }[] {
  const acceptedAt = task.timeline.find(({ status }) => status === "running")?.at;
  const { status } = task;
  return [
    { type: "video.created", at: task.createdAt, status: "pending" },
    ...(acceptedAt === undefined ? [] : [{ type: "video.processing", at: acceptedAt, status: "processing" } as const]),
    ...(status === "completed" || status === "failed" ? [{ type: `video.${status}`, at: task.since, status } as const] : []),
  ];
}
