// Which provider serves a task next.
import { jitterOf } from "./backoff.ts";
import type { Generation } from "./generation.ts";
import type { ModelName } from "./models.ts";
import type { ImageType } from "./reference-image.ts";
import type { Attempt, Task, Wait } from "./task.ts";
import type { Mode } from "./api-key.ts";

/** Where a provider says of itself that something happened: nowhere, at https URLs, or at any. */
export type CallsBack = "none" | "https" | "any";

/** A provider and what it calls our models. Lower priority numbers go first; among equals, tasks are spread by weight. */
export interface Route {
  readonly provider: string;
  readonly mode: Mode;
  readonly priority: number;
  readonly weight: number;
  /** Public to upstream model names; null: every model, by its public name. */
  readonly models: Readonly<Record<string, string>> | null;
  /** Of our models, those that it cannot make larger. */
  readonly plainOnly: readonly string[];
  /** How long this provider usually takes, in milliseconds; null: as the catalogue says. */
  readonly medianMs: number | null;
  /** What tenants may call it by when they choose; never its name. */
  readonly tags: readonly string[];
  /** The names of its secrets; any of them may serve. */
  readonly credentials: readonly string[];
  /** Whether it takes images as URLs or inlined. */
  readonly images: "url" | "inline";
  /** For how many images it has room; null: for as many as a model may have. */
  readonly maxImages: number | null;
  /** Which it takes; null: every type that a tenant may send. */
  readonly imageTypes: readonly ImageType[] | null;
  /** Whether a place is asked for before a submit: its breaker, its slots and what is known of its speed. */
  readonly leased: boolean;
  /** Whether a submit of unknown outcome may be repeated under its reference. */
  readonly resubmits: boolean;
  /** Whether it says itself when something happens. */
  readonly hinted: CallsBack;
  /** Its 95th percentile times this, and a task counts as stuck there; null: only at its deadline. */
  readonly overdueFactor: number | null;
  /** US cents a video; null: not known. */
  readonly costCents: number | null;
}

/** How many clean refusals a route may give one task before the task counts as refused. */
const REFUSALS_A_ROUTE = 3;
/** How many jobs of one task may fall to a filter that the same prompt may pass, before nobody is asked again. */
const FILTERED_A_TASK = 2;

/** What of a task decides where it goes. */
export type Routed = Pick<Task, "id" | "mode" | "generation" | "attempts" | "route" | "deadlineAt"> & {
  readonly waits?: readonly Wait[];
  /** As on a task, where it has been asked for. */
  readonly images?: Task["images"];
};

export function routesFor(routes: readonly Route[], mode: Mode, model: ModelName): Route[] {
  return routes.filter((route) => route.mode === mode && upstreamModel(route, model) !== null);
}

/** Those of them that can make what is asked for. */
export function routesMaking(routes: readonly Route[], mode: Mode, { model, upsample, images }: Generation): Route[] {
  return routesFor(routes, mode, model).filter(
    ({ plainOnly, maxImages }) => (!upsample || !plainOnly.includes(model)) && images.length <= (maxImages ?? Infinity),
  );
}

export function upstreamModel(route: Route, model: ModelName): string | null {
  return route.models === null ? model : (route.models[model] ?? null);
}

/** A route, the time from which on it may be tried (now or before, unless it asked to be left alone), and the credentials to do it with. */
export interface Choice {
  readonly route: Route;
  readonly readyAt: number;
  /** From then on what is begun there would hardly be done in time. */
  readonly tooLateAt: number;
  readonly credentials: readonly string[];
}

/**
 * The route to try next: one that may be tried now before one that may not yet, then the least often refused for this task, then by
 * priority, then by weight. Null when every one refused it for good, or it is too late for those that are left. "Later" (busy, limited) costs a route its turn only, never its
 * place, and its wait is its own: no other route waits for it.
 */
export function chooseRoute(routes: readonly Route[], task: Routed, now: number): Choice | null {
  const [best] = routesLeft(routes, task)
    .filter((route) => now < tooLateAt(route, task))
    .map((route) => ({ ...choiceOf(route, task, now), refusals: countRefusals(route, task), lot: lotOf(route, task.id) }))
    .sort(
      (a, b) =>
        Math.max(a.readyAt, now) - Math.max(b.readyAt, now) ||
        a.refusals - b.refusals ||
        a.route.priority - b.route.priority ||
        a.lot - b.lot,
    );
  if (best === undefined) return null;
  const { route, readyAt, credentials } = best;
  return { route, readyAt, credentials, tooLateAt: best.tooLateAt };
}

/** Those that may still have the task, were there time enough. */
export function routesLeft(routes: readonly Route[], task: Routed): Route[] {
  return routesMaking(routes, task.mode, task.generation).filter(
    (route) => isWanted(route, task) && !isSpent(route, task) && takesTypes(route, task),
  );
}

/** What type an image has is known once it was fetched. */
function takesTypes({ imageTypes }: Route, { images = null }: Routed): boolean {
  return imageTypes === null || images === null || images.every(({ mimeType }) => imageTypes.includes(mimeType));
}

function tooLateAt({ provider }: Route, { waits, deadlineAt }: Routed): number {
  return deadlineAt - (waits?.find((wait) => wait.provider === provider)?.neededMs ?? 0);
}

/** Whether the task's tenant lets it go there. */
function isWanted(route: Route, { route: { fallback, only }, attempts }: Routed): boolean {
  const first = attempts[0];
  const stays = fallback || first === undefined || first.provider === route.provider;
  return stays && isTagged(route, only);
}

/** The simulated provider stands for whichever one is wanted. */
export function isTagged({ mode, tags }: Pick<Route, "mode" | "tags">, only: readonly string[] | null): boolean {
  return only === null || mode === "test" || tags.some((tag) => only.includes(tag));
}

/** A route that gave the task up, or was given up, has had its chance. */
function isSpent(route: Route, task: Routed): boolean {
  const mine = attemptsOn(route, task);
  const hard = mine.filter(({ outcome }) => outcome === "refused").length;
  if (hard >= REFUSALS_A_ROUTE || mine.some(({ reason }) => reason === "model_unavailable")) return true;
  if (task.attempts.filter(isFiltered).length >= FILTERED_A_TASK) return true;
  return mine.some((attempt) => (attempt.outcome === "failed" && !isFiltered(attempt)) || attempt.outcome === "abandoned");
}

/** By a filter that the same prompt may pass another time: what it cannot pass at all ends the task. */
function isFiltered({ outcome, reason }: Attempt): boolean {
  return outcome === "failed" && reason === "content_policy";
}

/** Each credential has waits of its own; the route is ready when the first of them is. */
function choiceOf(route: Route, task: Routed, now: number): Choice {
  const waitedFor = task.waits?.find(({ provider }) => provider === route.provider)?.until ?? 0;
  const mine = attemptsOn(route, task);
  const ready = route.credentials.map((credential) => ({
    credential,
    at: Math.max(mine.findLast((attempt) => attempt.credential === credential)?.retryAt ?? 0, waitedFor),
  }));
  const readyAt = Math.min(...ready.map(({ at }) => at));
  const credentials = ready.filter(({ at }) => at <= Math.max(readyAt, now)).map(({ credential }) => credential);
  return { route, readyAt, credentials, tooLateAt: tooLateAt(route, task) };
}

function countRefusals(route: Route, task: Routed): number {
  return attemptsOn(route, task).filter(({ outcome }) => outcome === "refused" || outcome === "busy").length;
}

function attemptsOn({ provider }: Route, { attempts }: Routed): readonly Attempt[] {
  return attempts.filter((attempt) => attempt.provider === provider);
}

/** Weighted rendezvous: over many tasks each route is first as often as its weight says, and the same task finds the same order again. */
function lotOf({ provider, weight }: Route, id: string): number {
  return -Math.log(1 - jitterOf(`${id}/${provider}`)) / weight;
}
