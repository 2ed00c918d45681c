// What a task tells its tenant: each status once, in order. The task object publishes it to the tenant's events object, which
// keeps the feed that streams read and the deliveries to webhooks.
import type { PublicTask } from "./public-task.ts";

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
