// Which provider serves a task next.
import type { ModelName } from "./models.ts";
import type { Attempt, Task } from "./task.ts";
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

/**
 * The route to try next: least often refused for this task, then by priority; null when every one refused it for good.
 * "Later" (busy, limited) costs a route its turn only, never its place.
 */
export function chooseRoute(routes: readonly Route[], task: Task): Route | null {
  const refusals = (route: Route, hard: boolean): number =>
    task.attempts.filter((attempt) => attempt.provider === route.provider && isRefusal(attempt, hard)).length;
  const [best] = routesFor(routes, task.mode, task.generation.model)
    .filter((route) => refusals(route, true) < REFUSALS_A_ROUTE)
    .sort((a, b) => refusals(a, false) - refusals(b, false) || a.priority - b.priority);
  return best ?? null;
}

function isRefusal(attempt: Attempt, hard: boolean): boolean {
  return attempt.outcome === "refused" || (!hard && attempt.outcome === "busy");
}
