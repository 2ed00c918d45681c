// Single tasks, as an operator finds them, ends them and has them looked at.
import { reset, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Task } from "../../../src/cli/admin-wire.ts";
import { call, createdId, finish, query, type Video } from "../../support/gateway.ts";
import { aCustomer, admin, auditLog, justNow, operatorTrace, told, type Customer } from "../../support/operator.ts";
import { driveToEnd, plantTask, readBalances, readBooks, readTask, taskStub } from "../../support/objects.ts";
import { readError } from "../../support/refusals.ts";

let customer: Customer;
beforeEach(async () => {
  customer = await aCustomer();
});
afterEach(reset);

const SECRET_PROMPT = "a secret lake [[slow:0]]";

async function find(id: string): Promise<Task> {
  return told<Task>("GET", `/tasks?id=${id}`);
}

/** One that a provider is at work on, for good. */
async function aRunningTask(): Promise<string> {
  const id = await createdId(customer.key, { prompt: "[[stuck]]" });
  for (let wakes = 0; wakes < 5 && (await readTask(customer, id))?.status !== "running"; wakes++) {
    await runDurableObjectAlarm(taskStub(customer, id));
  }
  return id;
}

describe("a task is found", () => {
  it("by its id: what became of it, when, and with whom; not what was asked for", async () => {
    const id = await createdId(customer.key, { prompt: SECRET_PROMPT });
    await finish(customer, id);
    const found = await find(id);
    expect(found).toEqual({
      id,
      tenant: customer.tenant,
      mode: "test",
      status: "completed",
      model: "veo3",
      credits: 40,
      created_at: justNow(),
      deadline_at: found.created_at + 1_800,
      key_id: customer.keyId,
      request_id: expect.stringMatching(/^req_/),
      timeline: ["queued", "submitting", "running", "storing", "settling", "completed"].map((step) => ({ at: justNow(), step })),
      attempts: [{ provider: "simulated", model: "veo3", started_at: justNow(), outcome: "accepted", reason: null }],
      hold: "settled",
      failure: null,
    });
    expect(JSON.stringify(found)).not.toContain("secret");
  });

  it("by the request that made it, over all tenants or in one", async () => {
    const other = await aCustomer({ name: "Other" });
    const reply = await call("/v1/video/create", {
      method: "POST",
      key: customer.key,
      headers: { "content-type": "application/json", "x-request-id": "my-request-1" },
      body: JSON.stringify({ model: "veo3", prompt: "[[refuse:content_policy]]" }),
    });
    const { id } = await reply.json<Video>();
    await driveToEnd(customer, id);
    const found = await told<Task>("GET", "/tasks?request_id=my-request-1");
    expect(found).toMatchObject({ id, request_id: "my-request-1", hold: "released", failure: "content_policy" });
    expect(await told<Task>("GET", `/tasks?request_id=my-request-1&tenant=${customer.tenant}`)).toEqual(found);
    expect(await told<Task>("GET", `/tasks?id=${id}&tenant=${customer.tenant}`)).toEqual(found);
    for (const path of ["request_id=my-request-1", `id=${id}`]) {
      const elsewhere = await admin("GET", `/tasks?${path}&tenant=${other.tenant}`);
      expect(await readError(elsewhere)).toMatchObject({ status: 404, code: "task_not_found" });
    }
  });

  it("not where there is none", async () => {
    const id = await createdId(customer.key);
    const forged = id.slice(0, -1) + (id.endsWith("a") ? "b" : "a");
    for (const text of [`id=${forged}`, "id=x", "request_id=x", `id=${id}&tenant=nobody00`, `request_id=x&tenant=no%2Fbody`]) {
      expect(await readError(await admin("GET", `/tasks?${text}`))).toMatchObject({ status: 404, code: "task_not_found" });
    }
    for (const [path, body] of [
      ["fail", { reason: "x" }],
      ["retry", {}],
    ] as const) {
      expect(await readError(await admin("POST", `/tasks/${forged}/${path}`, body))).toMatchObject({ status: 404 });
      const elsewhere = await admin("POST", `/tasks/${id}/${path}`, { ...body, tenant: "nobody00" });
      expect(await readError(elsewhere)).toMatchObject({ status: 404, code: "task_not_found" });
    }
  });

  it.each(["", "?tenant=x", "?id=x&request_id=y", "?id=", "?id=x&id=y", `?id=x&tenant=${"t".repeat(65)}`])(
    "not by %j",
    async (text) => {
      expect(await readError(await admin("GET", `/tasks${text}`))).toMatchObject({ status: 400 });
    },
  );
});

describe("a task is failed", () => {
  it("while a provider is at work on it: the hold is given back, and the provider's work is an orphan", async () => {
    const id = await aRunningTask();
    const reply = await told<Task>("POST", `/tasks/${id}/fail`, { reason: "asked for on the phone" }, { "X-Reelay-Actor": "Ada" });
    expect(reply).toMatchObject({ id, failure: "cancelled" });
    await driveToEnd(customer, id);
    expect(await find(id)).toMatchObject({ status: "failed", hold: "released", failure: "cancelled" });
    expect(await (await query(customer.key, id)).json()).toMatchObject({ status: "failed", error: { code: "cancelled" } });
    expect(await readBalances(customer)).toMatchObject({ held: 0, spent: 0, available: 10_000 });
    expect((await readBooks(customer)).orphans).toEqual([{ task: id, reason: "cancelled", provider: "simulated" }]);
    expect((await auditLog())[0]).toMatchObject({
      actor: "Ada",
      action: "task.fail",
      target: id,
      before: { tenant: customer.tenant, status: "running" },
      after: { reason: "asked for on the phone" },
    });
  });

  it("in the moment of its submit: what the provider may have accepted is an orphan too", async () => {
    const id = await aRunningTask();
    const running = await readTask(customer, id);
    if (running?.status !== "running") throw new Error("it runs");
    const attempts = running.attempts.map((attempt) => ({ ...attempt, outcome: "open" as const }));
    await plantTask(customer, { ...running, status: "submitting", attempts, repeat: null });
    await told<Task>("POST", `/tasks/${id}/fail`, { reason: "stuck" });
    await driveToEnd(customer, id);
    expect((await readBooks(customer)).orphans).toMatchObject([{ task: id, reason: "cancelled" }]);
    expect((await find(id)).attempts).toMatchObject([{ outcome: "unknown" }]);
  });

  it("not once it has ended: an end is final", async () => {
    const id = await createdId(customer.key);
    await finish(customer, id);
    const before = [await operatorTrace(customer.tenant), await readTask(customer, id)];
    for (const [path, body] of [
      ["fail", { reason: "x" }],
      ["retry", {}],
    ] as const) {
      expect(await readError(await admin("POST", `/tasks/${id}/${path}`, body))).toMatchObject({ status: 409, code: "task_ended" });
    }
    expect([await operatorTrace(customer.tenant), await readTask(customer, id)]).toEqual(before);
  });

  it("nor while it is being charged for: the video is there, and so is its price", async () => {
    const id = await createdId(customer.key);
    await finish(customer, id);
    const task = await readTask(customer, id);
    if (task?.status !== "completed") throw new Error("it is completed");
    const outcome = { kind: "completed", video: task.video } as const;
    await plantTask(customer, { ...task, status: "settling", outcome, settlingSince: Date.now() });
    const log = await auditLog();
    const reply = await admin("POST", `/tasks/${id}/fail`, { reason: "x" });
    expect(await readError(reply)).toMatchObject({ status: 409, code: "task_ended" });
    expect(await auditLog()).toEqual(log);
    await driveToEnd(customer, id);
    expect(await find(id)).toMatchObject({ status: "completed", hold: "settled" });
  });
});

it("a task is retried: looked at now, not at its next alarm", async () => {
  const id = await aRunningTask();
  const armed = async (): Promise<number | null> =>
    runInDurableObject(taskStub(customer, id), async (_, { storage }) => storage.getAlarm());
  const polls = Date.now() + 60_000;
  await runInDurableObject(taskStub(customer, id), async (_, { storage }) => storage.setAlarm(polls));
  expect(await told<Task>("POST", `/tasks/${id}/retry`, {})).toMatchObject({ id, status: "running", hold: "held" });
  expect(await armed()).not.toBe(polls);
  expect((await auditLog())[0]).toMatchObject({
    action: "task.retry",
    target: id,
    before: { tenant: customer.tenant, status: "running" },
    after: null,
  });
});
