// Which provider serves a task next.
import type { ModelName } from "./models.ts";
import type { Task } from "./task.ts";
import type { Mode } from "./api-key.ts";

/** A provider and what it calls our models. Lower priority numbers go first. */
export interface Route {
  readonly provider: string;
  readonly mode: Mode;
  readonly priority: number;
  /** Public to upstream model names; null: every model, by its public name. */
  readonly models: Readonly<Record<string, string>> | null;
  /** How long this provider usually takes, in milliseconds; null: as the catalogue says. */
  readonly medianMs: number | null;
}

/** How many clean refusals a route may give one task before the task counts as refused. */
const REFUSALS_A_ROUTE = 3;

export function routesFor(routes: readonly Route[], mode: Mode, model: ModelName): Route[] {
  return routes.filter((route) => route.mode === mode && upstreamModel(route, model) !== null);
}

export function upstreamModel(route: Route, model: ModelName): string | null {
  return route.models === null ? model : (route.models[model] ?? null);
}

/** A route, and the time from which on it may be tried: now or before, unless it asked to be left alone for a while. */
export interface Choice {
  readonly route: Route;
  readonly readyAt: number;
}

/**
 * The route to try next: one that may be tried now before one that may not yet, then the least often refused for this task, then by
 * priority. Null when every one refused it for good. "Later" (busy, limited) costs a route its turn only, never its place, and its wait
 * is its own: no other route waits for it.
 */
export function chooseRoute(routes: readonly Route[], task: Task, now: number): Choice | null {
  const [best] = routesFor(routes, task.mode, task.generation.model)
    .map((route) => ({ route, readyAt: readyAt(route, task), ...countRefusals(route, task) }))
    .filter(({ hard }) => hard < REFUSALS_A_ROUTE)
    .sort((a, b) => Math.max(a.readyAt, now) - Math.max(b.readyAt, now) || a.all - b.all || a.route.priority - b.route.priority);
  return best === undefined ? null : { route: best.route, readyAt: best.readyAt };
}

function readyAt(route: Route, task: Task): number {
  return task.attempts.findLast((attempt) => attempt.provider === route.provider)?.retryAt ?? 0;
}

function countRefusals(route: Route, task: Task): { hard: number; all: number } {
  const mine = task.attempts.filter((attempt) => attempt.provider === route.provider);
  const hard = mine.filter(({ outcome }) => outcome === "refused").length;
  return { hard, all: hard + mine.filter(({ outcome }) => outcome === "busy").length };
}
