import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { confirm, NotConfirmedError } from "../../src/cli/confirm.ts";
import { UsageError } from "../../src/cli/dev-arguments.ts";

const QUESTION = { what: "This deletes tenant Acme.", word: "Acme" };

/** `typed`: null where the input ends without a line. */
async function ask(typed: string | null, question = QUESTION): Promise<string> {
  const input = Object.assign(new PassThrough(), { isTTY: true });
  const output = new PassThrough().setEncoding("utf8");
  const asked = confirm(question, { input, output });
  if (typed === null) input.end();
  else input.write(`${typed}\n`);
  await asked;
  return String(output.read());
}

describe("confirm", () => {
  it("goes on when the name is typed", async () => {
    expect(await ask("Acme")).toBe("This deletes tenant Acme.\nType Acme to go on: ");
    await ask("  Acme ");
  });

  it.each(["acme", "y", "yes", "", "Acme2", null])("stops when %j is typed", async (typed) => {
    await expect(ask(typed)).rejects.toThrow(NotConfirmedError);
  });

  it("shows, and asks for, a name without its control characters", async () => {
    expect(await ask("Ac me", { ...QUESTION, word: "Ac\u001b[31m\nme" })).toContain("Type Ac me to go on");
  });

  it("is a matter of usage where nobody is there to ask", async () => {
    await expect(confirm(QUESTION, { input: new PassThrough(), output: new PassThrough() })).rejects.toThrow(UsageError);
  });
});
