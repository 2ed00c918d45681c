import { expect, it } from "vitest";
import { asEnvFile, makeSecrets } from "../../src/cli/commands/init.ts";
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
