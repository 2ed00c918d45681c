// One try to deliver a piece of news: the query body with a fresh link, signed, sent and timed. It never throws: whatever goes
// wrong is an attempt that failed.
import type { News } from "../core/news.ts";
import { MAX_EXCERPT_CHARS, type AttemptFault, type DeliveryAttempt } from "../core/webhook.ts";
import type { Clock, LinkSigner, SendWebhook } from "../ports.ts";
import { queryBody, type QueryBody } from "./query-body.ts";
import { TimeoutError, within } from "./within.ts";

const ANSWER_TIMEOUT_MS = 15_000;
/** The status has decided by then; what is said besides is for the log. */
const EXCERPT_TIMEOUT_MS = 5_000;

export interface Outgoing {
  readonly id: string;
  readonly isTest: boolean;
  readonly news: News;
  readonly url: string;
  /** Newest first. */
  readonly secrets: readonly string[];
}

export type Deliver = (outgoing: Outgoing) => Promise<{ attempt: DeliveryAttempt; retryAfterMs: number | null }>;

export interface DeliverDeps {
  readonly send: SendWebhook;
  readonly links: LinkSigner;
  readonly clock: Clock;
}

export function deliverer(deps: DeliverDeps): Deliver {
  return async (outgoing) => {
    const { clock } = deps;
    const at = clock();
    const log = (status: number | null, fault: AttemptFault | null, reply: string): DeliveryAttempt => {
      return { at, ms: Math.max(clock() - at, 0), url: outgoing.url, status, fault, reply };
    };
    try {
      const body = JSON.stringify(await bodyOf(outgoing.news, deps.links, at));
      const { id, isTest, url, secrets, news } = outgoing;
      const message = { id, isTest, url, secrets, event: news.type, body, at, ownHost: new URL(news.base).host };
      const answer = await within(ANSWER_TIMEOUT_MS, async (signal) => deps.send(message, signal));
      if (answer.kind === "not_allowed") return { attempt: log(null, "url_not_allowed", ""), retryAfterMs: null };
      const attempt = log(answer.status, null, "");
      const text = await within(EXCERPT_TIMEOUT_MS, answer.excerpt).catch(() => "");
      // A cut through the middle of a character leaves half of it.
      const reply = text.slice(0, MAX_EXCERPT_CHARS).toWellFormed();
      return { attempt: { ...attempt, reply }, retryAfterMs: answer.retryAfterMs };
    } catch (error) {
      return { attempt: log(null, error instanceof TimeoutError ? "timeout" : "connection", ""), retryAfterMs: null };
    }
  };
}

/** The query body as it would be answered for the task as it was then. */
export async function bodyOf({ task, base }: News, links: LinkSigner, now: number): Promise<QueryBody> {
  const videoUrl = task.status === "completed" ? await links.sign(task, base, now) : null;
  return queryBody({ ...task, videoUrl });
}
