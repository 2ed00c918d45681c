import { describe, expect, it } from "vitest";
import { chooseRoute, routesFor, upstreamModel, type Route } from "../../src/core/routing.ts";
import type { Attempt, PreparedImage } from "../../src/core/task.ts";
import { aGeneration, anAttempt, aRoute, aTask, HOUR, MINUTE, T0 } from "../support/builders.ts";

const ALPHA = aRoute({ provider: "alpha", priority: 1 });
const BETA = aRoute({ provider: "beta", priority: 2 });

/** The provider that is next for a task with these attempts behind it, as `alpha:busy`. */
function next(routes: readonly Route[], ...attempts: string[]): string | undefined {
  const made = attempts.map((text): Attempt => {
    const [provider, outcome] = text.split(":") as [string, Attempt["outcome"]];
    return anAttempt({ provider, outcome });
  });
  return chooseRoute(routes, aTask({ attempts: made }), T0)?.route.provider;
}

describe("upstreamModel", () => {
  it("is the provider's own name where the route has one, and the public name where the route has every model", () => {
    expect(upstreamModel(aRoute({ models: { veo3: "alpha-3" } }), "veo3")).toBe("alpha-3");
    expect(upstreamModel(aRoute({ models: { veo3: "alpha-3" } }), "veo2")).toBeNull();
    expect(upstreamModel(aRoute({ models: null }), "veo2")).toBe("veo2");
  });
});

describe("an upsampled task", () => {
  const routes = [aRoute({ provider: "plain", plainOnly: ["veo2"] }), aRoute({ provider: "larger", priority: 2 })];
  const larger = aTask({ generation: { ...aTask().generation, model: "veo2", upsample: true } });

  it("goes only where its model is made larger", () => {
    expect(chooseRoute(routes, larger, T0)?.route.provider).toBe("larger");
    expect(chooseRoute(routes.slice(0, 1), larger, T0)).toBeNull();
    const plain = aTask({ generation: { ...larger.generation, upsample: false } });
    expect(chooseRoute(routes, plain, T0)?.route.provider).toBe("plain");
  });
});

describe("a task with images", () => {
  const pictured = (count: number, images: readonly PreparedImage[] | null = null) =>
    aTask({ images, generation: aGeneration({ images: Array.from({ length: count }, (_, n) => `https://example.com/${n}`) }) });
  const routes = [aRoute({ provider: "one", maxImages: 1 }), aRoute({ provider: "many", priority: 2 })];

  it("goes only where there is room for all of them", () => {
    expect(chooseRoute(routes, pictured(1), T0)?.route.provider).toBe("one");
    expect(chooseRoute(routes, pictured(2), T0)?.route.provider).toBe("many");
    expect(chooseRoute(routes.slice(0, 1), pictured(2), T0)).toBeNull();
  });

  it("goes only where they are taken, once it is known what they are", () => {
    const plain = aRoute({ provider: "plain", imageTypes: ["image/jpeg", "image/png"] });
    const webp = { bytes: 1, mimeType: "image/webp" } as const;
    const png = { bytes: 1, mimeType: "image/png" } as const;
    expect(chooseRoute([plain], pictured(1), T0)).not.toBeNull();
    expect(chooseRoute([plain], pictured(1, [png]), T0)).not.toBeNull();
    expect(chooseRoute([plain], pictured(2, [png, webp]), T0)).toBeNull();
    expect(chooseRoute([plain, routes[1] as Route], pictured(1, [webp]), T0)?.route.provider).toBe("many");
  });
});

describe("routesFor", () => {
  it("has the routes of the mode that serve the model", () => {
    const routes = [
      aRoute({ provider: "a" }),
      aRoute({ provider: "b", mode: "test" }),
      aRoute({ provider: "c", models: { veo2: "c-2" } }),
      aRoute({ provider: "d", models: { veo3: "d-3" } }),
    ];
    expect(routesFor(routes, "live", "veo3").map(({ provider }) => provider)).toEqual(["a", "d"]);
    expect(routesFor(routes, "test", "veo3").map(({ provider }) => provider)).toEqual(["b"]);
    expect(routesFor([], "live", "veo3")).toEqual([]);
  });
});

describe("chooseRoute", () => {
  it("takes the lowest priority number", () => {
    expect(next([BETA, ALPHA])).toBe("alpha");
  });

  it.each([
    ["heavy", "light"],
    ["up-1", "up-2"], // alike but for their ends
    ["b", "a"],
  ])("spreads tasks over equals by weight (%s, %s), and the same task finds the same order again", (heavy, light) => {
    const routes = [aRoute({ provider: heavy, weight: 3 }), aRoute({ provider: light, weight: 1 })];
    const chosen = Array.from({ length: 2_000 }, (_, index) => {
      const task = aTask({ id: `veo3:1795348800-${index}` });
      const provider = chooseRoute(routes, task, T0)?.route.provider;
      expect(chooseRoute(routes.toReversed(), task, T0)?.route.provider).toBe(provider);
      return provider;
    });
    const share = chosen.filter((provider) => provider === heavy).length / chosen.length;
    expect(share).toBeGreaterThan(0.7);
    expect(share).toBeLessThan(0.8);
  });

  it.each(["failed", "abandoned"] as const)("never goes back to a route where the task %s", (outcome) => {
    expect(next([ALPHA, BETA], `alpha:${outcome}`)).toBe("beta");
    expect(next([ALPHA], `alpha:${outcome}`)).toBeUndefined();
  });

  it("asks once more, of the same route, after a filter that the same prompt may pass, and then nobody", () => {
    const filtered = (provider: string): Attempt => anAttempt({ provider, outcome: "failed", reason: "content_policy" });
    const after = (...attempts: Attempt[]) => chooseRoute([ALPHA, BETA], aTask({ attempts }), T0)?.route;
    expect(after(filtered("alpha"))).toBe(ALPHA);
    expect(after(filtered("alpha"), filtered("alpha"))).toBeUndefined();
    expect(after(filtered("alpha"), filtered("beta"))).toBeUndefined();
    const failed = anAttempt({ provider: "alpha", outcome: "failed", reason: "timeout" });
    expect(after(filtered("alpha"), failed)).toBe(BETA);
  });

  it("does not wait for a provider that has no place while another one may have", () => {
    const waits = [{ provider: "alpha", until: T0 + MINUTE, position: 4 }];
    expect(chooseRoute([ALPHA, BETA], aTask({ waits }), T0)).toMatchObject({ route: BETA });
    expect(chooseRoute([ALPHA], aTask({ waits }), T0)).toMatchObject({ route: ALPHA, readyAt: T0 + MINUTE });
    expect(chooseRoute([ALPHA, BETA], aTask({ waits }), T0 + MINUTE)).toMatchObject({ route: ALPHA });
  });

  it("goes on with a provider's other keys where one was refused, and waits for that one only", () => {
    const two = aRoute({ credentials: ["KEY_1", "KEY_2"] });
    const attempts = [anAttempt({ credential: "KEY_1", outcome: "busy", retryAt: T0 + MINUTE })];
    expect(chooseRoute([two], aTask({ attempts }), T0)).toMatchObject({ readyAt: 0, credentials: ["KEY_2"] });
    const both = [...attempts, anAttempt({ credential: "KEY_2", outcome: "busy", retryAt: T0 + HOUR })];
    expect(chooseRoute([two], aTask({ attempts: both }), T0)).toMatchObject({ readyAt: T0 + MINUTE, credentials: ["KEY_1"] });
  });

  it("keeps to the providers that the tenant's tags name", () => {
    const tagged = aRoute({ provider: "tagged", priority: 9, tags: ["eu"] });
    const task = aTask({ route: { fallback: true, only: ["eu", "asia"] } });
    expect(chooseRoute([ALPHA, tagged], task, T0)?.route.provider).toBe("tagged");
    expect(chooseRoute([ALPHA], task, T0)).toBeNull();
  });

  it("has the simulated provider stand for whichever tags are wanted", () => {
    const simulated = aRoute({ provider: "simulated", mode: "test" });
    const route = { fallback: true, only: ["eu"] };
    expect(chooseRoute([simulated], aTask({ mode: "test", route }), T0)?.route).toBe(simulated);
  });

  it("stays with the first provider where the tenant wants no fallback", () => {
    const route = { fallback: false, only: null };
    expect(chooseRoute([ALPHA, BETA], aTask({ route }), T0)?.route).toBe(ALPHA);
    const busy = [anAttempt({ provider: "alpha", outcome: "busy", retryAt: T0 + HOUR })];
    expect(chooseRoute([ALPHA, BETA], aTask({ route, attempts: busy }), T0)).toMatchObject({ route: ALPHA, readyAt: T0 + HOUR });
  });

  it("leaves the table as it was", () => {
    const routes = [BETA, ALPHA];
    next(routes);
    expect(routes).toEqual([BETA, ALPHA]);
  });

  it.each(["busy", "refused"])("gives the next route its turn after one was %s", (outcome) => {
    expect(next([ALPHA, BETA], `alpha:${outcome}`)).toBe("beta");
    expect(next([ALPHA, BETA], `alpha:${outcome}`, `beta:${outcome}`)).toBe("alpha");
    expect(next([ALPHA, BETA], `alpha:${outcome}`, `beta:${outcome}`, `alpha:${outcome}`)).toBe("beta");
  });

  it("gives a route up after three refusals", () => {
    expect(next([ALPHA, BETA], "alpha:refused", "alpha:refused", "alpha:refused", "beta:refused", "beta:refused")).toBe("beta");
    expect(next([ALPHA], "alpha:refused", "alpha:refused")).toBe("alpha");
    expect(next([ALPHA], "alpha:refused", "alpha:refused", "alpha:refused")).toBeUndefined();
  });

  it("never gives a route up because it is busy", () => {
    expect(next([ALPHA], ...Array.from({ length: 50 }, () => "alpha:busy"))).toBe("alpha");
    expect(next([ALPHA], "alpha:refused", "alpha:refused", ...Array.from({ length: 50 }, () => "alpha:busy"))).toBe("alpha");
  });

  it("stays with the busy one when every other is given up", () => {
    expect(
      next([ALPHA, BETA], ...Array.from({ length: 9 }, () => "alpha:busy"), "beta:refused", "beta:refused", "beta:refused"),
    ).toBe("alpha");
  });

  it("does not count refusals by a provider that is no longer there", () => {
    expect(next([BETA], "alpha:refused", "alpha:refused", "alpha:refused")).toBe("beta");
  });

  it("does not wait for a route that asked for time while another one is ready", () => {
    const sick = anAttempt({ provider: "alpha", outcome: "busy", retryAt: T0 + MINUTE });
    expect(chooseRoute([ALPHA, BETA], aTask({ attempts: [sick] }), T0)).toMatchObject({ route: BETA, readyAt: 0 });
    const both = [sick, anAttempt({ provider: "beta", credential: "BETA_KEY", outcome: "busy", retryAt: T0 + 2 * MINUTE })];
    expect(chooseRoute([BETA, ALPHA], aTask({ attempts: both }), T0)).toMatchObject({ route: ALPHA, readyAt: T0 + MINUTE });
  });

  it("takes a route back from the moment that it named, in its own place", () => {
    const sick = anAttempt({ provider: "alpha", outcome: "busy", retryAt: T0 + MINUTE });
    const tried = anAttempt({ provider: "beta", credential: "BETA_KEY", outcome: "busy", retryAt: T0 + 2_000 });
    const task = aTask({ attempts: [sick, tried] });
    expect(chooseRoute([ALPHA, BETA], task, T0 + MINUTE - 1)).toMatchObject({ route: BETA, readyAt: T0 + 2_000 });
    expect(chooseRoute([ALPHA, BETA], task, T0 + MINUTE)).toMatchObject({ route: ALPHA, readyAt: T0 + MINUTE });
  });

  it("goes by what a route said last", () => {
    const attempts = [
      anAttempt({ provider: "alpha", outcome: "busy", retryAt: T0 + HOUR }),
      anAttempt({ provider: "alpha", outcome: "busy", retryAt: T0 + MINUTE }),
    ];
    expect(chooseRoute([ALPHA], aTask({ attempts }), T0)?.readyAt).toBe(T0 + MINUTE);
    const refused = anAttempt({ provider: "alpha", outcome: "refused" });
    expect(chooseRoute([ALPHA], aTask({ attempts: [...attempts, refused] }), T0)?.readyAt).toBe(0);
  });

  it("waits for a route that is busy rather than to ask one that was given up", () => {
    const sick = anAttempt({ provider: "alpha", outcome: "busy", retryAt: T0 + MINUTE });
    const gone = anAttempt({ provider: "beta", credential: "BETA_KEY", outcome: "refused" });
    const task = aTask({ attempts: [sick, gone, gone, gone] });
    expect(chooseRoute([ALPHA, BETA], task, T0)).toMatchObject({ route: ALPHA, readyAt: T0 + MINUTE });
  });

  it("is null where nobody serves the task", () => {
    expect(chooseRoute([], aTask(), T0)).toBeNull();
    expect(chooseRoute([ALPHA], aTask({ mode: "test" }), T0)).toBeNull();
    expect(
      chooseRoute([aRoute({ models: { veo3: "alpha-3" } })], aTask({ generation: aGeneration({ model: "veo2" }) }), T0),
    ).toBeNull();
  });
});
