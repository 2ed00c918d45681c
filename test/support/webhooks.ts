// Plain data for tests of webhooks, and the objects behind them.
import type { News, NewsType } from "../../src/core/news.ts";
import type { PublicTask } from "../../src/core/public-task.ts";
import { NEWS_TYPES } from "../../src/core/news.ts";
import { endpointIdOf, makeHook, type DeliveryAttempt, type Endpoint, type PendingDelivery } from "../../src/core/webhook.ts";
import { T0, TASK_ID } from "./builders.ts";

export const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
export const ANOTHER_SECRET = "whsec_c2Vjb25kLXNlY3JldC1mb3ItdGVzdHMtMDE=";
export const RECEIVER = "https://receiver.example/hooks";

/** A task's id like any other, one for each number. */
export function taskIdOf(number: number): string {
  return (
    TASK_ID.slice(0, -4) +
    number
      .toString(4)
      .padStart(4, "0")
      .replaceAll(/\d/g, (digit) => "abcd"[Number(digit)] as string)
  );
}

export function aPublicTask(given: Partial<PublicTask> = {}): PublicTask {
  return {
    id: TASK_ID,
    model: "veo3",
    createdAt: T0 / 1000,
    credits: 40,
    metadata: {},
    aspectRatio: null,
    upsample: false,
    status: "completed",
    statusChangedAt: T0 / 1000,
    prompt: "a lake",
    videoUrl: null,
    linkRevision: 0,
    video: null,
    expiresAt: null,
    error: null,
    ...given,
  };
}

export function someNews(
  type: NewsType = "video.completed",
  given: Partial<Omit<News, "task">> & { task?: Partial<PublicTask> } = {},
): News {
  const status =
    ({ "video.created": "pending", "video.processing": "processing" } as const)[type as string] ?? type.slice("video.".length);
  return {
    type,
    at: T0,
    base: "https://gateway.example",
    webhookUrl: null,
    ...given,
    task: aPublicTask({ status: status as PublicTask["status"], ...given.task }),
  };
}

export function anEndpoint(given: Partial<Endpoint> = {}): Endpoint {
  return {
    id: endpointIdOf(makeHook(crypto.getRandomValues(new Uint8Array(10)))),
    url: RECEIVER,
    events: NEWS_TYPES,
    description: null,
    secrets: { current: SECRET, previous: null },
    createdAt: T0,
    disabled: null,
    failing: null,
    ...given,
  };
}

/** Waits for its first try. */
export function aDelivery(given: Partial<PendingDelivery> = {}): PendingDelivery {
  const common = { id: "msg_abcdefghijklmnop-1", endpointId: "whe_abcdefghijklmnop", isTest: false, tries: 0, attempts: [] };
  return { ...common, state: "pending", nextAt: T0, ...given };
}

/** Answered 200. */
export function aTry(given: Partial<DeliveryAttempt> = {}): DeliveryAttempt {
  return { at: T0, ms: 20, url: RECEIVER, status: 200, fault: null, reply: "", ...given };
}
