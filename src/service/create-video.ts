// Create: judge everything that can be judged for nothing, hold the credits, keep what was uploaded, start the task. In this order, so
// that a no costs nothing and a yes is kept: what was answered has a hold and a task, and one without the other is undone here or by
// the watchdog.
import type { Mode } from "../core/api-key.ts";
import { hex } from "../core/encoding.ts";
import type { Refusal } from "../core/errors.ts";
import { checkGeneration, type Generation } from "../core/generation.ts";
import { sha256 } from "../core/hmac.ts";
import { canonicalJson, IN_PROGRESS_MS, type Claim } from "../core/idempotency.ts";
import type { Catalogue } from "../core/models.ts";
import { quote, type Quote } from "../core/pricing.ts";
import { admitByCopy, type Ask, type Usage } from "../core/quota.ts";
import { fail, ok, type Result } from "../core/result.ts";
import { isTagged, routesFor, routesMaking, type Route } from "../core/routing.ts";
import { startTask, type Metadata, type RoutePreference, type TaskSpec } from "../core/task.ts";
import { createdAtSecondsOf, makeTaskId } from "../core/task-id.ts";
import type {
  Clock,
  Enhancer,
  ImageFile,
  ImageStore,
  JudgeUrl,
  LedgerOf,
  LedgerPort,
  Reserved,
  TaskOf,
  TaskPort,
  TenantStore,
} from "../ports.ts";
import { again } from "./again.ts";
import type { Caller } from "./authenticate.ts";
import { beginTask } from "./begin-task.ts";
import { enhance } from "./enhance.ts";
import type { CurrentModels } from "./models.ts";
import { uploadNames } from "./reference-images.ts";
import { publicTask, type PublicTask } from "../core/public-task.ts";

export interface CreateDeps {
  /** The catalogue as it is sold now. */
  readonly models: () => Promise<CurrentModels>;
  readonly routes: readonly Route[];
  readonly tenants: TenantStore;
  readonly ledgerOf: LedgerOf;
  readonly taskOf: TaskOf;
  readonly images: ImageStore;
  readonly enhancers: Readonly<Record<Mode, Enhancer | null>>;
  readonly judgeImageUrl: JudgeUrl;
  readonly judgeWebhookUrl: JudgeUrl;
  readonly taskIdSecrets: readonly string[];
  readonly clock: Clock;
  readonly randomBytes: (length: number) => Uint8Array;
}

export interface CreateRequest {
  /** Its images are URLs, every one judged: what an upload is called is ours to say. */
  readonly generation: Generation;
  /** Images that came along, judged by their first bytes. */
  readonly uploads: readonly ImageFile[];
  /** The gateway's own origin. */
  readonly base: string;
  readonly requestId: string;
  /** The most credits it may cost; null: whatever it costs. */
  readonly maxCost: number | null;
  /** How long the finished video is kept, in days; null: as long as the plan has it. */
  readonly retentionDays: number | null;
  readonly webhookUrl: string | null;
  readonly metadata: Metadata;
  readonly route: RoutePreference;
  readonly idempotencyKey: string | null;
  /** An SDK's own repetition, which carries no key. */
  readonly isRetry: boolean;
}

export interface Created {
  readonly task: PublicTask;
  /** Whether the answer is an earlier task's: because the key says so, or as inferred from an SDK's retry. */
  readonly replayed: "no" | "key" | "inferred";
  readonly quote: Quote;
  /** As the ledger had it just after. */
  readonly usage: Usage;
}

const TASK_ID_RANDOM_BYTES = 10;

/** What of a create decides whether it may be, and for how much. */
export type QuoteRequest = Omit<CreateRequest, "requestId" | "idempotencyKey" | "isRetry">;

/** The price, and the generation as it would be made, where a create would not refuse it for what it is. No hold, no promise of room. */
export async function quoteVideo(
  deps: CreateDeps,
  caller: Caller,
  request: QuoteRequest,
): Promise<Result<{ generation: Generation; quote: Quote }, Refusal>> {
  const current = await deps.models();
  const checked = await check(deps, current.models, request);
  if (!checked.ok) return checked;
  const generation = checked.value;
  const sold = sell(deps, current, caller, generation, request);
  if (!sold.ok) return hushed(deps, caller, request, sold);
  const allowed = await askPlan(deps, caller, request);
  return allowed.ok ? ok({ generation, quote: sold.value }) : allowed;
}

export async function createVideo(deps: CreateDeps, caller: Caller, request: CreateRequest): Promise<Result<Created, Refusal>> {
  const current = await deps.models();
  const { models } = current;
  const checked = await check(deps, models, request);
  if (!checked.ok) return checked;
  const generation = checked.value;
  const { retentionDays, webhookUrl, metadata } = request;
  const sold = sell(deps, current, caller, generation, request);
  // What was sold before stays sold, whatever is switched off or priced anew since.
  if (!sold.ok) {
    const known = await recall(deps, caller, request, generation, quote(models, generation));
    return known ?? hushed(deps, caller, request, sold);
  }
  const priced = sold.value;
  const model = models[generation.model];
  const claim = await claimOf(request, generation);
  // A repetition may be answered whatever is left; only the ledger knows it for one.
  const early = claim.looks
    ? ok(null)
    : await admitAtEdge(deps, caller, {
        model: model.name,
        credits: priced.credits,
        retentionDays,
        choosesRoute: choosesRoute(request),
      });
  if (!early.ok) return early;

  const now = deps.clock();
  const random = deps.randomBytes(TASK_ID_RANDOM_BYTES);
  const newId = await makeTaskId(deps.taskIdSecrets[0] as string, caller, model.name, now, random);
  const ledger = (): LedgerPort => deps.ledgerOf(caller.tenant, caller.mode);
  const reserved = await reserve(ledger, {
    id: newId,
    keyId: caller.keyId,
    model: model.name,
    credits: priced.credits,
    deadlineAt: now + model.deadlineMs,
    requestId: request.requestId,
    claim,
    retentionDays,
    choosesRoute: choosesRoute(request),
    metadata,
  });
  if (!reserved.ok) return reserved;

  const { usage, retentionMs } = reserved.value;
  const earlier = reserved.value.kind === "earlier" ? reserved.value : null;
  const id = earlier?.id ?? newId;
  const task = (): TaskPort => deps.taskOf(caller.tenant, id);
  const replayed = earlier === null ? "no" : request.idempotencyKey === null ? "inferred" : "key";
  if (earlier !== null) {
    const known = await again(() => task().read());
    if (known !== null) return ok({ task: publicTask(known, null), replayed, quote: priced, usage });
    // Held and not started: under way in another request, or left by one that died, whose work is then finished here.
    if (now - earlier.heldSince < IN_PROGRESS_MS) return fail({ kind: "idempotency_in_progress" });
  }

  const spec: TaskSpec = {
    id,
    tenant: caller.tenant,
    mode: caller.mode,
    keyId: caller.keyId,
    requestId: request.requestId,
    generation,
    prompt: await enhance(deps.enhancers[caller.mode], generation),
    credits: priced.credits,
    createdAt: earlier === null ? now : createdAtSecondsOf(id) * 1000,
    deadlineAt: earlier?.deadlineAt ?? now + model.deadlineMs,
    medianMs: model.medianMs,
    retentionMs,
    base: request.base,
    webhookUrl,
    metadata,
    route: request.route,
  };
  const hasBegun = await beginTask({ task, ledger, images: deps.images }, spec, request.uploads);
  if (!hasBegun) return fail({ kind: "not_started" });
  return ok({ task: publicTask(startTask(spec), null), replayed, quote: priced, usage });
}

/** Whether it can be bought now, and for what. */
function sell(
  { routes }: CreateDeps,
  { models, switches }: CurrentModels,
  caller: Caller,
  generation: Generation,
  { route, maxCost }: QuoteRequest,
): Result<Quote, Refusal> {
  const { model } = generation;
  if (routesFor(routes, caller.mode, model).length === 0) return fail({ kind: "provider_unavailable", model });
  const making = routesMaking(routes, caller.mode, generation);
  if (making.length === 0) {
    const [field, hint] =
      routesMaking(routes, caller.mode, { ...generation, images: [] }).length > 0
        ? (["images", "No provider here takes so many images for this model."] as const)
        : (["upsample", "No provider here makes this model's videos larger."] as const);
    return fail({ kind: "unsupported_parameter", field, model, hint });
  }
  if (!making.some((each) => isTagged(each, route.only))) {
    return fail({ kind: "route_not_there", tags: [...new Set(making.flatMap(({ tags }) => tags))].sort() });
  }
  const off = switches[model]?.off ?? null;
  if (off !== null) return fail({ kind: "model_unavailable", model, reason: off });
  const priced = quote(models, generation);
  const isTooMuch = maxCost !== null && priced.credits > maxCost;
  return isTooMuch ? fail({ kind: "max_cost_exceeded", cost: priced.credits, maxCost }) : ok(priced);
}

/** Which tags there are is told to those only whose plan lets them choose. */
async function hushed(
  deps: CreateDeps,
  caller: Caller,
  request: QuoteRequest,
  refused: Result<never, Refusal>,
): Promise<Result<never, Refusal>> {
  if (refused.ok || refused.error.kind !== "route_not_there") return refused;
  const allowed = await askPlan(deps, caller, request);
  return allowed.ok ? refused : allowed;
}

/** Of the ledger, whether plan and key would have such a create, whatever is left. */
async function askPlan({ ledgerOf }: CreateDeps, caller: Caller, request: QuoteRequest): Promise<Result<null, Refusal>> {
  const ask = { model: request.generation.model, retentionDays: request.retentionDays, choosesRoute: choosesRoute(request) };
  return again(() => ledgerOf(caller.tenant, caller.mode).allows(caller.keyId, ask));
}

/** The task that stands for the same wish already, for a request that could be a repetition; null where there is none. */
async function recall(
  deps: CreateDeps,
  caller: Caller,
  request: CreateRequest,
  generation: Generation,
  priced: Quote,
): Promise<Result<Created, Refusal> | null> {
  const claim = await claimOf(request, generation);
  if (!claim.looks) return null;
  const earlier = await again(() => deps.ledgerOf(caller.tenant, caller.mode).recall(caller.keyId, claim));
  const known = earlier && (await again(() => deps.taskOf(caller.tenant, earlier.id).read()));
  if (!earlier || !known) return null;
  const replayed = request.idempotencyKey === null ? "inferred" : "key";
  return ok({ task: publicTask(known, null), replayed, quote: priced, usage: earlier.usage });
}

/** Counts before contents: an image is only looked at if it may be there. Names of uploads are added here, and taken from nobody. */
async function check(
  { judgeImageUrl, judgeWebhookUrl }: CreateDeps,
  models: Catalogue,
  { generation: named, uploads, webhookUrl, base }: QuoteRequest,
): Promise<Result<Generation, Refusal>> {
  const ownHost = new URL(base).host;
  const names = await uploadNames(uploads);
  const checked = checkGeneration(models, { ...named, images: [...named.images, ...names] });
  if (!checked.ok) return checked;
  for (const [index, url] of named.images.entries()) {
    const why = judgeImageUrl(url, ownHost);
    if (why !== null) return fail({ kind: "image_url_not_allowed", index, why });
  }
  const why = webhookUrl === null ? null : judgeWebhookUrl(webhookUrl, ownHost);
  if (why !== null) return fail({ kind: "webhook_url_not_allowed", why });
  // As they were read when they were judged: another parser might read another host.
  return ok({ ...named, images: [...named.images.map((url) => new URL(url).href), ...names] });
}

function choosesRoute({ route }: Pick<CreateRequest, "route">): boolean {
  return !route.fallback || route.only !== null;
}

async function claimOf(request: CreateRequest, generation: Generation): Promise<Claim> {
  const { idempotencyKey, isRetry, retentionDays, webhookUrl, metadata } = request;
  // What a create of the last release could not say is left out where it is not said: its keys stand for the same wishes still.
  const route = choosesRoute(request) ? request.route : null;
  const extras = { retentionDays, webhookUrl, route, metadata: Object.keys(metadata).length === 0 ? null : metadata };
  const fingerprint = hex(await sha256(canonicalJson({ ...generation, ...extras })));
  return { key: idempotencyKey, fingerprint, looks: idempotencyKey !== null || isRetry };
}

/** KV's copy may refuse early. Where it is missing or KV is down, the ledger is asked. */
async function admitAtEdge({ tenants, clock }: CreateDeps, { tenant, mode }: Caller, ask: Ask): Promise<Result<null, Refusal>> {
  const copy = await tenants.findTenant(tenant, mode).catch(() => null);
  return copy === null ? ok(null) : admitByCopy(copy, copy.publishedAt, ask, clock());
}

/** Repeatable, because the hold is keyed by the task's id; only what the platform calls overloaded is not asked twice. */
async function reserve(ledger: () => LedgerPort, ask: Parameters<LedgerPort["reserve"]>[0]): Promise<Result<Reserved, Refusal>> {
  try {
    return await again(() => ledger().reserve(ask));
  } catch {
    // It may have been held all the same; nobody was told, and the ledger's watchdog gives it back.
    return fail({ kind: "not_started" });
  }
}
