// What every error carries, and that the README tells of each.
import { Hono } from "hono";
import { describe, expect, it } from "vitest";
import readme from "../../README.md?raw";
import type { Refusal } from "../../src/core/errors.ts";
import type { AppEnv } from "../../src/http/context.ts";
import { errorEntries } from "../../src/http/error-codes.ts";
import { sampleErrors } from "../../src/http/error-samples.ts";
import { answer, toApiError, type ApiError } from "../../src/http/errors.ts";
import { failureEntries } from "../../src/http/failure-codes.ts";

describe("x-should-retry", () => {
  async function toldOf(error: ApiError): Promise<string | null> {
    const app = new Hono<AppEnv>().get("/", (c) => answer(c, error));
    return (await app.request("/")).headers.get("x-should-retry");
  }

  it("is true with every Retry-After, and false on every 4xx that a repetition cannot change", async () => {
    for (const error of sampleErrors()) {
      const waits = "Retry-After" in (error.headers ?? {});
      // A client repeats these by itself, and may.
      const silent = error.status === 408 || error.status === 500;
      expect([error.code, await toldOf(error)]).toEqual([error.code, waits ? "true" : silent ? null : "false"]);
    }
  });

  it.each<[Refusal, "true" | "false"]>([
    [{ kind: "idempotency_in_progress" }, "true"],
    [{ kind: "task_not_cancellable", why: "handing_over" }, "true"],
    [{ kind: "task_not_cancellable", why: "copying" }, "false"],
    [{ kind: "task_not_cancellable", why: "ended" }, "false"],
    [{ kind: "task_not_cancellable", why: "provider" }, "false"],
    [{ kind: "task_not_ended", isStopping: true }, "true"],
    [{ kind: "task_not_ended", isStopping: false }, "false"],
    [{ kind: "task_ended" }, "false"],
    [{ kind: "video_not_ready", why: "under_way" }, "false"],
    [{ kind: "video_not_ready", why: "failed" }, "false"],
    [{ kind: "links_not_revocable" }, "false"],
    [{ kind: "webhook_disabled" }, "false"],
  ])("of the conflict %j is %s", async (refusal, told) => {
    const error = toApiError(refusal);
    expect(error.status).toBe(409);
    expect(await toldOf(error)).toBe(told);
  });
});

describe("the README's tables", () => {
  const section = /\n## Statuses and errors\n(.*?)\n## /s.exec(readme)?.[1] ?? "";
  const [ofTenants = "", ofOperators = ""] = section.split("\nThe [operator API]");

  it("tell of every status and code that there is, and of no other", () => {
    const entries = errorEntries().map(({ status, type, code, on }) => ({ row: `${status} ${type} ${code}`, on }));
    const failures = failureEntries().map(({ code }) => `200 failed ${code}`);
    expect(rowsOf(ofTenants).sort()).toEqual(
      [...failures, ...entries.filter(({ on }) => !on.includes("operator")).map(({ row }) => row)].sort(),
    );
    const operators = entries.filter(({ on }) => on.includes("operator")).map(({ row }) => row);
    expect(rowsOf(ofOperators)).toEqual(expect.arrayContaining(operators));
    expect(entries.map(({ row }) => row)).toEqual(expect.arrayContaining(rowsOf(ofOperators)));
  });

  /** "status type code" of each code in a table. */
  function rowsOf(text: string): string[] {
    return [...text.matchAll(/^\| (\d{3}) \| `(\w+)` \| ([^|]*) \|/gm)].flatMap(([, status, type, codes = ""]) =>
      [...codes.matchAll(/`(\w+)`/g)].map(([, code]) => `${status} ${type} ${code}`),
    );
  }
});
