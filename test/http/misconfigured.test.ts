// A gateway whose settings are wrong says so to its operator, and nothing of it to anybody else.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { call, callWith } from "../support/gateway.ts";
import { readError } from "../support/refusals.ts";

const lines: string[] = [];
beforeEach(() => {
  lines.length = 0;
  for (const level of ["log", "info", "warn", "error"] as const) {
    vi.spyOn(console, level).mockImplementation((...parts: unknown[]) => void lines.push(parts.map(String).join(" ")));
  }
});
afterEach(() => vi.restoreAllMocks());

it.each(["/healthz", "/v1/models", "/v1/video/query?id=x", "/nothing"])(
  "answers %s with 500, in the form of all errors",
  async (path) => {
    const reply = await callWith({ TASK_ID_SECRETS: undefined }, path);
    expect(await readError(reply)).toMatchObject({ status: 500, code: "internal_error", param: null });
  },
);

it("keeps the request's id, for the operator to find", async () => {
  const reply = await callWith({ LINK_SECRETS: "k1:short" }, "/healthz", { headers: { "x-request-id": "find-me" } });
  expect(reply.headers.get("x-request-id")).toBe("find-me");
});

it("logs once what is wrong, each setting by its name and none with its value", async () => {
  const settings = { TASK_ID_SECRETS: "hunter2", LINK_SECRETS: "swordfish", MODELS: '{"veo9":{}}' };
  const reply = await callWith(settings, "/healthz");
  expect(lines).toHaveLength(1);
  const entry = JSON.parse(lines[0] ?? "") as Record<string, string>;
  expect(entry).toMatchObject({ level: "error", event: "misconfigured" });
  expect(entry["message"]?.split("\n").map((line) => line.split(/[.:]/)[0])).toEqual(["TASK_ID_SECRETS", "LINK_SECRETS", "MODELS"]);
  expect(lines[0] + (await reply.text())).not.toMatch(/hunter2|swordfish/);
});

it("does not let one gateway's wrong settings stand in another's way", async () => {
  await callWith({ TASK_ID_SECRETS: "" }, "/healthz");
  expect((await call("/healthz")).status).toBe(200);
});
