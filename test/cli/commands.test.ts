import { expect, it } from "vitest";
import { asEnvFile, makeSecrets } from "../../src/cli/commands/init.ts";
import { orphanTable } from "../../src/cli/commands/orphan.ts";
import { changeBetween } from "../../src/cli/commands/upkeep.ts";
import { parseEnv } from "node:util";

it.each([
  [{ status: "active", name: "A" }, { status: "suspended", name: "A" }, "status: active -> suspended"],
  [{ a: 1 }, { a: 1, b: ["x", "y"] }, "b: x y"],
  [{ available: 1000 }, { amount: 500, reason: "invoice 1" }, "available: 1000 -> none, amount: 500, reason: invoice 1"],
  [null, { id: "x", budget: null, expires_at: 1_764_000_000 }, "id: x, expires_at: 2025-11-24 16:00:00Z"],
  [{ name: "Acme", status: "active" }, null, "name: Acme, status: active"],
  [{ plan: { credits: 1 } }, { plan: { credits: 2 } }, 'plan: {"credits":1} -> {"credits":2}'],
  [null, null, ""],
  [{ a: 1 }, { a: 1 }, ""],
])("an audit line says of %j and %j: %s", (before, after, text) => {
  expect(changeBetween(before, after)).toBe(text);
});

it("init makes secrets that are new each time, and that survive an env file", () => {
  const made = makeSecrets();
  expect(parseEnv(asEnvFile(made))).toEqual(made);
  expect(Object.keys(made)).toEqual(["TASK_ID_SECRETS", "LINK_SECRETS", "ADMIN_TOKEN"]);
  expect(made.LINK_SECRETS).toMatch(/^k1:[\w-]{43}$/);
  expect(makeSecrets()).not.toEqual(made);
});

it("adds up what orphans cost: all that are listed, and those that are not written off", () => {
  const orphan = {
    seq: 1,
    at: 0,
    task: "veo3:1",
    provider: "up",
    model: "veo3",
    reason: "timeout",
    cost_cents: 40,
    written_off: null,
  };
  const gone = { ...orphan, seq: 2, cost_cents: 2_000.5, written_off: { at: 0, reason: "credited" } };
  const drawn = orphanTable([gone, orphan, { ...orphan, seq: 3, cost_cents: null }]);
  expect(drawn).toContain("cents");
  expect(drawn.split("\n").at(-1)).toBe(
    "In all: 2,040.5 cents, and the unknown cost of 1. Not written off: 40 cents, and the unknown cost of 1.",
  );
  expect(orphanTable([orphan]).split("\n").at(-1)).toBe("In all: 40 cents. Not written off: 40 cents.");
  expect(orphanTable([])).toBe("No orphans.");
});
