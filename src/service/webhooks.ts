// What a tenant does with webhooks: endpoints, their secrets, and the deliveries that were made. All of it is its events object's;
// here are the judgement of a URL, new secrets and ids, and the request that a delivery makes.
import type { Mode } from "../core/api-key.ts";
import { describeFailure, type Refusal } from "../core/errors.ts";
import type { News, NewsType } from "../core/news.ts";
import type { PublicTask } from "../core/public-task.ts";
import { fail, ok, type Result } from "../core/result.ts";
import {
  endpointIdOf,
  makeHook,
  makeSigningSecret,
  messageHeaders,
  type Endpoint,
  type EndpointChange,
  type SigningSecrets,
} from "../core/webhook.ts";
import type { Clock, DeliveryFilter, DeliveryView, EventsOf, EventsPort, JudgeUrl, LinkSigner } from "../ports.ts";
import { again } from "./again.ts";
import { bodyOf } from "./deliver.ts";
import type { QueryBody } from "./query-body.ts";

interface Holder {
  readonly tenant: string;
  readonly mode: Mode;
}

export interface EndpointWish {
  readonly url: string;
  readonly events: readonly NewsType[];
  readonly description: string | null;
  /** Null: one is made. */
  readonly secret: string | null;
}

export interface Roll {
  readonly secret: string | null;
  readonly overlapMs: number;
}

/** A delivery with the request that it makes, as it would be made now. */
export interface DeliveryDetail extends DeliveryView {
  readonly request: { readonly headers: Readonly<Record<string, string>>; readonly body: QueryBody };
}

/** `base`: the gateway's own origin, where no webhook may go. */
export interface Webhooks {
  create(holder: Holder, wish: EndpointWish, base: string): Promise<Result<Endpoint, Refusal>>;
  list(holder: Holder): Promise<readonly Endpoint[]>;
  find(holder: Holder, id: string): Promise<Result<Endpoint, Refusal>>;
  change(holder: Holder, id: string, change: EndpointChange, base: string): Promise<Result<Endpoint, Refusal>>;
  remove(holder: Holder, id: string): Promise<Result<null, Refusal>>;
  roll(holder: Holder, id: string, roll: Roll): Promise<Result<Endpoint, Refusal>>;
  taskSecrets(holder: Holder): Promise<SigningSecrets>;
  rollTaskSecret(holder: Holder, roll: Roll): Promise<SigningSecrets>;
  tryOut(holder: Holder, id: string, event: NewsType, base: string): Promise<Result<DeliveryDetail, Refusal>>;
  deliveries(holder: Holder, filter: DeliveryFilter, after: string | null, limit: number): Promise<Result<DeliveryView[], Refusal>>;
  delivery(holder: Holder, id: string): Promise<Result<DeliveryDetail, Refusal>>;
  replay(holder: Holder, id: string): Promise<Result<DeliveryDetail, Refusal>>;
  replayFailed(holder: Holder, endpointId: string): Promise<Result<{ count: number; more: boolean }, Refusal>>;
}

export interface WebhooksDeps {
  readonly eventsOf: EventsOf;
  readonly judgeWebhookUrl: JudgeUrl;
  readonly links: LinkSigner;
  readonly clock: Clock;
  readonly randomBytes: (length: number) => Uint8Array;
}

export function webhooks(deps: WebhooksDeps): Webhooks {
  const { clock, randomBytes } = deps;
  /** Every call but `tryOut` may be made twice, so one whose reply was lost is. */
  const ask = async <Value>({ tenant, mode }: Holder, call: (events: EventsPort) => Promise<Value>): Promise<Value> =>
    again(async () => call(deps.eventsOf(tenant, mode)));
  const newSecret = (given: string | null): string => given ?? makeSigningSecret(randomBytes(32));
  /** As it is sent to, which is as it is judged. */
  const judged = (url: string, base: string): Result<string, Refusal> => {
    const why = deps.judgeWebhookUrl(url, new URL(base).host);
    return why === null ? ok(new URL(url).href) : fail({ kind: "webhook_url_not_allowed", why });
  };
  const detail = async (view: DeliveryView): Promise<DeliveryDetail> => {
    const { delivery, news, createdAt } = view;
    const at = delivery.attempts.at(-1)?.at ?? createdAt;
    const headers = messageHeaders({ id: delivery.id, event: news.type, isTest: delivery.isTest, at });
    return { ...view, request: { headers, body: await bodyOf(news, deps.links, clock()) } };
  };
  const detailed = async (found: Result<DeliveryView, Refusal>): Promise<Result<DeliveryDetail, Refusal>> =>
    found.ok ? ok(await detail(found.value)) : found;

  return {
    async create(holder, wish, base) {
      const url = judged(wish.url, base);
      if (!url.ok) return url;
      const endpoint: Endpoint = {
        id: endpointIdOf(makeHook(randomBytes(10))),
        url: url.value,
        events: wish.events,
        description: wish.description,
        secrets: { current: newSecret(wish.secret), previous: null },
        createdAt: clock(),
        disabled: null,
        failing: null,
      };
      return ask(holder, async (events) => events.addEndpoint(endpoint));
    },

    list: async (holder) => ask(holder, async (events) => events.endpoints()),

    async find(holder, id) {
      const all = await ask(holder, async (events) => events.endpoints());
      const found = all.find((endpoint) => endpoint.id === id);
      return found === undefined ? fail({ kind: "webhook_not_found" }) : ok(found);
    },

    async change(holder, id, change, base) {
      const url = change.url === undefined ? null : judged(change.url, base);
      if (url !== null && !url.ok) return url;
      const judgedChange = url === null ? change : { ...change, url: url.value };
      return ask(holder, async (events) => events.changeEndpoint(id, judgedChange));
    },

    async remove(holder, id) {
      const removed = await ask(holder, async (events) => events.removeEndpoint(id));
      return removed ? ok(null) : fail({ kind: "webhook_not_found" });
    },

    async roll(holder, id, { secret, overlapMs }) {
      const fresh = newSecret(secret);
      return ask(holder, async (events) => events.rollSecret(id, fresh, overlapMs));
    },

    taskSecrets: async (holder) => ask(holder, async (events) => events.taskSecrets()),

    async rollTaskSecret(holder, { secret, overlapMs }) {
      const fresh = newSecret(secret);
      return ask(holder, async (events) => events.rollTaskSecret(fresh, overlapMs));
    },

    async tryOut({ tenant, mode }, id, event, base) {
      return detailed(await deps.eventsOf(tenant, mode).tryOut(id, sampleNews(event, base, clock())));
    },

    deliveries: async (holder, filter, after, limit) => ask(holder, async (events) => events.deliveries(filter, after, limit)),

    async delivery(holder, id) {
      const found = await ask(holder, async (events) => events.delivery(id));
      return found === null ? fail({ kind: "delivery_not_found" }) : ok(await detail(found));
    },

    replay: async (holder, id) => detailed(await ask(holder, async (events) => events.replay(id))),

    replayFailed: async (holder, id) => ask(holder, async (events) => events.replayFailed(id)),
  };
}

const SAMPLE_STATUS = {
  "video.created": "pending",
  "video.processing": "processing",
  "video.completed": "completed",
  "video.failed": "failed",
} as const satisfies Record<NewsType, PublicTask["status"]>;

/** What no task ever told: its id is in no ledger, and its link leads to nothing. */
function sampleNews(type: NewsType, base: string, now: number): News {
  const seconds = Math.floor(now / 1000);
  return {
    type,
    at: now,
    base,
    webhookUrl: null,
    task: {
      // Of a task's shape, so that its link is answered as one to a video that is not there.
      id: `veo3:${seconds}-${"sample".repeat(5).slice(0, 26)}`,
      model: "veo3",
      createdAt: seconds,
      credits: 0,
      metadata: {},
      aspectRatio: null,
      upsample: false,
      status: SAMPLE_STATUS[type],
      statusChangedAt: seconds,
      prompt: "This is a test of your webhook endpoint.",
      videoUrl: null,
      linkRevision: 0,
      video: null,
      expiresAt: null,
      error: type === "video.failed" ? { code: "content_policy", message: describeFailure("content_policy") } : null,
    },
  };
}
