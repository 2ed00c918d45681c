// Revoking a video's links: what it does to the task, and to the links themselves.
import { describe, expect, it } from "vitest";
import { base64url } from "../../src/core/encoding.ts";
import { hmac } from "../../src/core/hmac.ts";
import { publicTask } from "../../src/core/public-task.ts";
import { signLink, verifyLink, type SignedLink } from "../../src/core/signing.ts";
import { isCancelled } from "../../src/core/task-machine.ts";
import { wakeAt } from "../../src/core/task-schedule.ts";
import { transition } from "../../src/core/task-transition.ts";
import { upgraded } from "../../src/core/task-upgrade.ts";
import type { Task } from "../../src/core/task.ts";
import { aTask, aVideo, HOUR, T0, TASK_ID, TASK_STATUSES } from "../support/builders.ts";

const KEYS = [{ kid: "k1", secret: "first-secret" }];
const EXPIRES = T0 / 1000 + 3_600;
const FORGED = { ok: false, error: { kind: "invalid_signature" } };

const verify = async (query: SignedLink | Record<string, string> | URLSearchParams, id = TASK_ID) =>
  verifyLink(KEYS, id, new URLSearchParams(query as Record<string, string>), T0);

describe("a revoked task", () => {
  it("gives out links of the next revision, and is otherwise as it was", () => {
    const task = aTask({ status: "completed" });
    const once = transition(task, { type: "links_revoked" }, T0 + HOUR) as Task;
    const twice = transition(once, { type: "links_revoked" }, T0 + HOUR) as Task;
    expect([once, twice]).toEqual([
      { ...task, linkRevision: 1 },
      { ...task, linkRevision: 2 },
    ]);
    expect([task, once, twice].map((each) => publicTask(each, null).linkRevision)).toEqual([0, 1, 2]);
    expect(wakeAt(twice, T0 + HOUR)).toBe(wakeAt(task, T0 + HOUR));
  });

  it.each(TASK_STATUSES.filter((status) => status !== "completed"))("is not one that is %s", (status) => {
    const task = aTask({ status });
    expect(transition(task, { type: "links_revoked" }, T0)).toBe(task);
    expect(publicTask(task, null).linkRevision).toBe(0);
  });

  it("begins at the revision that links had before there were any", () => {
    const settling = aTask({ status: "settling", outcome: { kind: "completed", video: aVideo() } });
    expect(transition(settling, { type: "settled" }, T0)).toMatchObject({ status: "completed", linkRevision: 0 });
    const { linkRevision: _, ...old } = aTask({ status: "completed" });
    expect(upgraded({ ...old, schema: 1 } as unknown as Task)).toMatchObject({ linkRevision: 0 });
  });
});

describe("a link's revision", () => {
  it("is left out for 0, so that links of the last release are today's", async () => {
    const link = await signLink(KEYS, TASK_ID, EXPIRES, 0);
    expect(link).toEqual(await signLink(KEYS, TASK_ID, EXPIRES));
    expect(Object.keys(link)).toEqual(["exp", "kid", "sig"]);
    expect(await verify(link)).toMatchObject({ ok: true, value: { revision: 0 } });
  });

  it.each([1, 2, 999_999_999])("%i is signed with the rest", async (revision) => {
    const link = await signLink(KEYS, TASK_ID, EXPIRES, revision);
    expect(await verify(link)).toEqual({ ok: true, value: { expiresAtSeconds: EXPIRES, revision } });
    const { rev: _, ...without } = link;
    expect(await verify(without)).toEqual(FORGED);
    expect(await verify({ ...link, rev: String(revision + 1) })).toEqual(FORGED);
    expect(await verify(link, TASK_ID.replace("veo3", "veo2"))).toEqual(FORGED);
  });

  it("cannot be added to a link that has none", async () => {
    expect(await verify({ ...(await signLink(KEYS, TASK_ID, EXPIRES)), rev: "1" })).toEqual(FORGED);
  });

  it.each(["", "0", "01", "+1", "-1", "1.0", "1e3", " 1", "1000000000", "NaN"])(
    "is not %j, even when that is signed",
    async (rev) => {
      const sig = base64url(await hmac("first-secret", `v2\n${TASK_ID}\n${EXPIRES}\nk1\n${rev}`));
      expect(await verify({ exp: String(EXPIRES), kid: "k1", rev, sig })).toEqual(FORGED);
    },
  );

  it("is given once", async () => {
    const twice = new URLSearchParams({ ...(await signLink(KEYS, TASK_ID, EXPIRES, 1)) });
    twice.append("rev", "1");
    expect(await verify(twice)).toEqual(FORGED);
  });
});

describe("isCancelled", () => {
  const cancelled = { kind: "failed", reason: "cancelled", upload: null } as const;

  it("is true of what ended so, and of what is just ending so", () => {
    expect(isCancelled(aTask({ status: "failed", reason: "cancelled" }))).toBe(true);
    expect(isCancelled(aTask({ status: "settling", outcome: cancelled }))).toBe(true);
  });

  it.each<[string, Task]>([
    ["failed of itself", aTask({ status: "failed", reason: "timeout" })],
    ["failing of itself", aTask({ status: "settling", outcome: { ...cancelled, reason: "timeout" } })],
    ...TASK_STATUSES.map((status): [string, Task] => [`likely ${status}`, aTask({ status })]),
  ])("is false of a task that is %s", (_, task) => {
    expect(isCancelled(task)).toBe(false);
  });
});
