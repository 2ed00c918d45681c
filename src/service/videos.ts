// Create and read: the two things every tenant does.
import { checkGeneration, MAX_PROMPT_CODE_POINTS, type Generation } from "../core/generation.ts";
import type { Mode } from "../core/api-key.ts";
import type { Refusal } from "../core/errors.ts";
import type { Catalogue } from "../core/models.ts";
import { quote } from "../core/pricing.ts";
import { admitByCopy } from "../core/quota.ts";
import { fail, ok, type Result } from "../core/result.ts";
import { routesFor, type Route } from "../core/routing.ts";
import { startTask, type TaskSpec } from "../core/task.ts";
import { isOwnTaskId, makeTaskId } from "../core/task-id.ts";
import type {
  Clock,
  Enhancer,
  JudgeUrl,
  LedgerOf,
  LedgerPort,
  LinkSigner,
  Reserved,
  TaskOf,
  TaskPort,
  TenantStore,
} from "../ports.ts";
import type { Caller } from "./authenticate.ts";
import { publicTask, type PublicTask } from "./public-task.ts";
import { within } from "./within.ts";

export interface VideosDeps {
  readonly models: Catalogue;
  readonly routes: readonly Route[];
  readonly tenants: TenantStore;
  readonly ledgerOf: LedgerOf;
  readonly taskOf: TaskOf;
  readonly links: LinkSigner;
  readonly enhancers: Readonly<Record<Mode, Enhancer | null>>;
  readonly judgeImageUrl: JudgeUrl;
  readonly taskIdSecrets: readonly string[];
  readonly clock: Clock;
  readonly randomBytes: (length: number) => Uint8Array;
}

/** `base`: the gateway's own origin, as its links are to have it. */
export interface Videos {
  create(caller: Caller, generation: Generation, base: string): Promise<Result<PublicTask, Refusal>>;
  get(caller: Caller, id: string, base: string): Promise<Result<PublicTask, Refusal>>;
}

const ENHANCE_TIMEOUT_MS = 4_000;
const TASK_ID_RANDOM_BYTES = 10;

export function videos(deps: VideosDeps): Videos {
  return {
    async create(caller, asked, base) {
      const checked = check(deps, caller, asked, new URL(base).hostname);
      if (!checked.ok) return checked;
      const generation = checked.value;
      const credits = quote(deps.models, generation);
      const early = await admitAtEdge(deps, caller, { model: generation.model, credits });
      if (!early.ok) return early;

      const createdAt = deps.clock();
      const model = deps.models[generation.model];
      const id = await makeTaskId(
        deps.taskIdSecrets[0] as string,
        caller,
        model.name,
        Math.floor(createdAt / 1000),
        deps.randomBytes(TASK_ID_RANDOM_BYTES),
      );
      const deadlineAt = createdAt + model.deadlineMs;
      const ledger = (): LedgerPort => deps.ledgerOf(caller.tenant, caller.mode);
      const reserved = await reserve(ledger, { id, keyId: caller.keyId, model: model.name, credits, deadlineAt });
      if (!reserved.ok) return reserved;

      const prompt = await enhance(deps.enhancers[caller.mode], generation);
      const spec: TaskSpec = {
        id,
        tenant: caller.tenant,
        mode: caller.mode,
        generation,
        prompt,
        credits,
        createdAt,
        deadlineAt,
        medianMs: model.medianMs,
        retentionMs: reserved.value.retentionMs,
      };
      const started = await start(() => deps.taskOf(caller.tenant, id), spec);
      if (started) return ok(publicTask(startTask(spec), null));
      await giveUp(() => deps.taskOf(caller.tenant, id), ledger, id);
      return fail({ kind: "not_started" });
    },

    async get(caller, id, base) {
      if (!(await isOwnTaskId(deps.taskIdSecrets, caller, id))) return fail({ kind: "task_not_found" });
      const task = await again(() => deps.taskOf(caller.tenant, id).read());
      if (task === null) return fail({ kind: "task_not_found" });
      const link = task.status === "completed" ? await deps.links.sign(id, base, deps.clock()) : null;
      return ok(publicTask(task, link));
    },
  };
}

/** Everything that can be judged without asking anybody. Counts before contents: an image is only looked at if it may be there. */
function check(
  { models, routes, judgeImageUrl }: VideosDeps,
  caller: Caller,
  generation: Generation,
  ownHost: string,
): Result<Generation, Refusal> {
  const checked = checkGeneration(models, generation);
  if (!checked.ok) return checked;
  for (const [index, url] of generation.images.entries()) {
    const why = judgeImageUrl(url, ownHost);
    if (why !== null) return fail({ kind: "image_url_not_allowed", index, why });
  }
  const servable = routesFor(routes, caller.mode, generation.model).length > 0;
  if (!servable) return fail({ kind: "provider_unavailable", model: generation.model });
  // As they were read when they were judged: another parser might read another host.
  return ok({ ...generation, images: generation.images.map((url) => new URL(url).href) });
}

/** KV's copy may refuse early. Where it is missing or KV is down, the ledger is asked. */
async function admitAtEdge(
  { tenants, clock }: VideosDeps,
  { tenant, mode }: Caller,
  ask: { model: string; credits: number },
): Promise<Result<null, Refusal>> {
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

async function start(task: () => TaskPort, spec: TaskSpec): Promise<boolean> {
  try {
    return await again(() => task().start(spec));
  } catch {
    return false;
  }
}

/** Best effort: what fails here the ledger's watchdog does later. A task that did start after all keeps its hold. */
async function giveUp(task: () => TaskPort, ledger: () => LedgerPort, id: string): Promise<void> {
  try {
    if (await task().tombstone()) await ledger().resolve(id, { kind: "release", orphan: null });
  } catch {
    // The answer is a no in any case.
  }
}

/** Once more with a new stub, as a failed one stays broken; never against an object that says it has too much to do. */
async function again<Value>(call: () => Promise<Value>): Promise<Value> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof Error && "overloaded" in error && error.overloaded === true) throw error;
    return call();
  }
}

/** The rewritten prompt, or on any failure the prompt as sent. */
async function enhance(enhancer: Enhancer | null, { prompt, enhancePrompt }: Generation): Promise<string> {
  if (!enhancePrompt || enhancer === null) return prompt;
  try {
    const enhanced = (await within(ENHANCE_TIMEOUT_MS, async (signal) => enhancer.enhance(prompt, signal))).trim();
    return isFit(enhanced) ? enhanced : prompt;
  } catch {
    return prompt;
  }
}

/** A prompt again, and nothing that looks like a key of ours: a model can be talked into repeating what it was shown. */
function isFit(text: string): boolean {
  return text !== "" && [...text].length <= MAX_PROMPT_CODE_POINTS && text.isWellFormed() && !/sk-(live|test)-/.test(text);
}
