// A callback is a hint and nothing else: what wakes a task, and what does not.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openAttempt, sealAttempt, type AttemptRef } from "../../src/core/callback-token.ts";
import type { Attempt, Task } from "../../src/core/task.ts";
import type { Callback, Provider, TaskPort } from "../../src/ports.ts";
import { callbacks, type Callbacks } from "../../src/service/callbacks.ts";
import { anAttempt, aTask, TASK_ID, TASK_STATUSES } from "../support/builders.ts";

const SECRETS = ["new-secret", "id-secret"];
const REF: AttemptRef = { tenant: "Tenant01", mode: "live", task: TASK_ID, attempt: 1 };
const CALLBACK: Callback = { headers: new Headers({ "webhook-id": "msg_1" }), body: '{"status":"succeeded"}' };
const running = aTask({ status: "running" });

type IsGenuine = NonNullable<Provider["isGenuine"]>;

/** What is asked, in order. */
let asked: string[];
let task: () => Task | null;
/** Undefined: its provider signs nothing. */
let isGenuine: IsGenuine | undefined;
let provider: (attempt: Pick<Attempt, "provider" | "credential">) => Provider | undefined;
beforeEach(() => {
  asked = [];
  task = () => running;
  isGenuine = async () => true;
  provider = () => (isGenuine === undefined ? {} : { isGenuine }) as Provider;
});
afterEach(() => void vi.useRealTimers());

function service(publicUrl: string | null = null): Callbacks {
  const port = (name: string): Partial<TaskPort> => ({
    read: async () => (asked.push(`read ${name}`), task()),
    poke: async () => (asked.push(`poke ${name}`), true),
  });
  return callbacks({
    taskOf: (tenant, id) => port(`${tenant}/${id}`) as TaskPort,
    providerOf: (attempt) => provider(attempt),
    secrets: SECRETS,
    publicUrl,
  });
}

async function receive(ref: AttemptRef = REF): Promise<boolean> {
  return service().receive(await sealAttempt("id-secret", ref), CALLBACK);
}

const READ = `read Tenant01/${TASK_ID}`;
const POKE = `poke Tenant01/${TASK_ID}`;

describe("urlOf", () => {
  it("names the attempt, sealed with the newest secret, at the gateway's own origin", async () => {
    const url = await service("https://videos.example").urlOf(running, 3);
    const [, token = ""] = /^https:\/\/videos\.example\/v1\/callbacks\/([A-Za-z0-9_-]+)$/.exec(url ?? "") ?? [];
    expect(await openAttempt(["new-secret"], token)).toEqual({ ...REF, attempt: 3 });
  });

  it("is at the origin that the task was created at, where the gateway knows none of its own", async () => {
    expect(await service().urlOf({ ...running, base: "http://127.0.0.1:8787" }, 1)).toMatch(/^http:\/\/127\.0\.0\.1:8787\/v1\//);
  });

  it.each(["", "videos.example", "ftp://videos.example"])("is none where the gateway cannot be called: at %j", async (base) => {
    expect(await service().urlOf({ ...running, base }, 1)).toBeNull();
  });
});

describe("receive", () => {
  it.each(["", "x", "A".repeat(60)])("does not know the token %j, and asks nobody", async (token) => {
    expect(await service().receive(token, CALLBACK)).toBe(false);
    expect(asked).toEqual([]);
  });

  it("does not know a token of a secret that is in use no more", async () => {
    expect(await service().receive(await sealAttempt("an-older-secret", REF), CALLBACK)).toBe(false);
    expect(asked).toEqual([]);
  });

  it("wakes the task that a genuine one is about", async () => {
    expect(await receive()).toBe(true);
    expect(asked).toEqual([READ, POKE]);
  });

  it("wakes it for a provider that signs nothing, and for one that was taken out of the settings", async () => {
    isGenuine = undefined;
    expect(await receive()).toBe(true);
    provider = () => undefined;
    expect(await receive()).toBe(true);
    expect(asked).toEqual([READ, POKE, READ, POKE]);
  });

  it("has it judged by the provider and the credential of the attempt under way, as it came", async () => {
    const attempts = [anAttempt({ outcome: "failed" }), anAttempt({ number: 2, provider: "beta", credential: "BETA_KEY_2" })];
    task = () => aTask({ status: "running", attempts, operation: { job: "j2" } });
    const seen: unknown[] = [];
    isGenuine = async (...given) => (seen.push(...given.slice(0, 2)), true);
    const judge = provider;
    provider = ({ provider: name, credential }) => (seen.push({ name, credential }), judge({ provider: name, credential }));
    expect(await receive({ ...REF, attempt: 2 })).toBe(true);
    expect(seen).toEqual([{ name: "beta", credential: "BETA_KEY_2" }, CALLBACK, { job: "j2" }]);
    expect(asked).toEqual([READ, POKE]);
  });

  it.each(TASK_STATUSES.filter((status) => status !== "running"))("leaves a task alone that is %s", async (status) => {
    task = () => aTask({ status });
    expect(await receive()).toBe(true);
    expect(asked).toEqual([READ]);
  });

  it("leaves a task alone that is gone", async () => {
    task = () => null;
    expect(await receive()).toBe(true);
    expect(asked).toEqual([READ]);
  });

  it.each([2, 3])("leaves a task alone whose attempt is another one than %i", async (attempt) => {
    expect(await receive({ ...REF, attempt })).toBe(true);
    const attempts = [anAttempt({ outcome: "failed" }), ...[2, 3, 4].map((number) => anAttempt({ number }))];
    task = () => aTask({ status: "running", attempts });
    expect(await receive({ ...REF, attempt })).toBe(true);
    expect(asked).toEqual([READ, READ]);
  });

  it.each<[string, IsGenuine]>([
    ["is not the provider's", async () => false],
    ["cannot be judged", async () => Promise.reject(new Error("no keys"))],
    [
      "breaks the judge",
      () => {
        throw new Error("not even a promise");
      },
    ],
  ])("is answered like any other, and wakes nobody, where it %s", async (_, judge) => {
    isGenuine = judge;
    expect(await receive()).toBe(true);
    expect(asked).toEqual([READ]);
  });

  it("waits five seconds for a judge that hangs, and no more", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const judging = new Promise<AbortSignal>((resolve) => {
      isGenuine = async (_callback, _operation, signal) => (resolve(signal), new Promise<boolean>(() => undefined));
    });
    const received = receive();
    const signal = await judging;
    await vi.advanceTimersByTimeAsync(4_999);
    expect(signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await received).toBe(true);
    expect(signal.aborted).toBe(true);
    expect(asked).toEqual([READ]);
  });
});
