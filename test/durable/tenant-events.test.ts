// The events object itself: what it keeps, whom it tells, and what a crash, a slow receiver or a dead one makes of that.
import { env } from "cloudflare:workers";
import { evictDurableObject, reset, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Webhook } from "standardwebhooks";
import type { News } from "../../src/core/news.ts";
import type { Endpoint } from "../../src/core/webhook.ts";
import type { DeliveryView, EventsPort } from "../../src/ports.ts";
import { wire } from "../../src/wire.ts";
import { DAY, HOUR, MINUTE, SECOND } from "../support/builders.ts";
import { ANOTHER_SECRET, anEndpoint, RECEIVER, SECRET, someNews, taskIdOf } from "../support/webhooks.ts";

const TENANT = "Tenant01";

beforeEach(() => {
  // Tomorrow, so that an alarm "now" waits to be run by hand.
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + DAY });
});

afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await reset();
});

function theEvents(): EventsPort {
  return wire(env).eventsOf(TENANT, "test");
}

function stub(): DurableObjectStub {
  return env.TENANT_EVENTS.getByName(`${TENANT}/test`) as unknown as DurableObjectStub;
}

function pass(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}

type Answer = (url: string, request: RequestInit) => Response | Promise<Response>;

/** Every receiver there is: what was sent, and what it says to that. */
function receive(answer: Answer = () => new Response("ok")) {
  const requests: { url: string; headers: Record<string, string>; body: string }[] = [];
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init = {}) => {
    const url = input as string;
    requests.push({ url, headers: init.headers as Record<string, string>, body: init.body as string });
    return answer(url, init);
  });
  return requests;
}

async function add(given: Partial<Endpoint> = {}): Promise<Endpoint> {
  const added = await theEvents().addEndpoint(anEndpoint(given));
  if (!added.ok) throw new Error(added.error.kind);
  return added.value;
}

const ALL = { to: null, task: null, state: null } as const;

async function log(filter: Partial<Parameters<EventsPort["deliveries"]>[0]> = {}): Promise<DeliveryView[]> {
  const found = await theEvents().deliveries({ ...ALL, ...filter }, null, 100);
  if (!found.ok) throw new Error(found.error.kind);
  return found.value;
}

async function alarmAt(): Promise<number | null> {
  return runInDurableObject(stub(), async (_object, { storage }) => storage.getAlarm());
}

async function wake(): Promise<void> {
  await runDurableObjectAlarm(stub());
}

/** Moves the clock to the alarm and runs it. */
async function wakeInTime(): Promise<void> {
  const at = await alarmAt();
  if (at === null) throw new Error("no alarm is set");
  vi.setSystemTime(Math.max(at, Date.now()));
  await wake();
}

async function rowsOf(table: "news" | "deliveries"): Promise<number> {
  return runInDurableObject(stub(), (_object, { storage }) =>
    Number(storage.sql.exec(`SELECT count(*) AS count FROM ${table}`).one()["count"]),
  );
}

const typesOf = (news: readonly News[]): string[] => news.map(({ type }) => type);

describe("the feed", () => {
  it("gives what came after a number, the oldest first", async () => {
    await theEvents().publish([someNews("video.created"), someNews("video.processing")]);
    await theEvents().publish([someNews("video.completed")]);
    const all = await theEvents().feed(0, 10);
    expect(typesOf(all.news)).toEqual(["video.created", "video.processing", "video.completed"]);
    expect(all).toMatchObject({ latest: 3, oldest: 1, news: [{ seq: 1 }, { seq: 2 }, { seq: 3 }] });
    expect(typesOf((await theEvents().feed(1, 1)).news)).toEqual(["video.processing"]);
    expect((await theEvents().feed(3, 10)).news).toEqual([]);
  });

  it("is empty before anything was told", async () => {
    expect(await theEvents().feed(0, 10)).toEqual({ news: [], latest: 0, oldest: 1 });
  });

  it("has each piece of news once, however often it is published and whoever remembers", async () => {
    await theEvents().publish([someNews("video.created")]);
    await theEvents().publish([someNews("video.created"), someNews("video.completed")]);
    await evictDurableObject(stub());
    await theEvents().publish([someNews("video.created"), someNews("video.completed")]);
    expect(typesOf((await theEvents().feed(0, 10)).news)).toEqual(["video.created", "video.completed"]);
  });

  it("shows a day, and no more than a thousand", async () => {
    await theEvents().publish([someNews("video.created")]);
    pass(DAY - SECOND);
    await theEvents().publish(
      Array.from({ length: 999 }, (_, each) => someNews("video.created", { task: { id: taskIdOf(each) } })),
    );
    expect(await theEvents().feed(0, 1)).toMatchObject({ latest: 1000, oldest: 1, news: [{ seq: 1 }] });
    await theEvents().publish([someNews("video.completed")]);
    expect(await theEvents().feed(0, 1)).toMatchObject({ latest: 1001, oldest: 2, news: [{ seq: 2 }] });
    pass(DAY + SECOND);
    expect(await theEvents().feed(0, 1)).toEqual({ latest: 1001, oldest: 1002, news: [] });
  });

  it("is removed when it no longer shows anything, and goes on counting", async () => {
    await theEvents().publish([someNews("video.created")]);
    await wakeInTime();
    expect(await rowsOf("news")).toBe(0);
    expect(await alarmAt()).toBeNull();
    await evictDurableObject(stub());
    await theEvents().publish([someNews("video.completed")]);
    expect(await theEvents().feed(0, 10)).toMatchObject({ latest: 2, oldest: 2, news: [{ seq: 2 }] });
  });

  it("costs one row a piece of news where nobody is to be told", async () => {
    await theEvents().publish([someNews("video.created")]);
    const cost = await countRows(async () => theEvents().publish([someNews("video.processing"), someNews("video.completed")]));
    expect(cost).toBe(2);
  });
});

describe("a delivery", () => {
  it("carries the query body with a fresh link, signed", async () => {
    const requests = receive();
    await add();
    await theEvents().publish([someNews("video.completed")]);
    expect(requests).toEqual([]);
    await wake();
    const [request] = requests;
    expect(request).toMatchObject({
      url: RECEIVER,
      headers: { "webhook-event": "video.completed", "content-type": "application/json" },
    });
    vi.useRealTimers(); // the library knows no other clock, and the message is of tomorrow
    vi.useFakeTimers({ toFake: ["Date"], now: Number(request?.headers["webhook-timestamp"]) * 1000 });
    const body = new Webhook(SECRET).verify(request?.body ?? "", request?.headers ?? {}) as Record<string, unknown>;
    expect(Object.keys(body)).toEqual(["id", "status", "video_url", "enhanced_prompt", "status_update_time"]);
    expect(body["video_url"]).toMatch(/^https:\/\/gateway\.example\/v1\/video\/file\//);
    expect(await log()).toMatchObject([{ delivery: { id: request?.headers["webhook-id"], state: "delivered", tries: 1 } }]);
  });

  it("goes to each endpoint that asked for its type, and to the task's own webhook", async () => {
    const requests = receive();
    await add({ url: "https://a.example/" });
    await add({ url: "https://b.example/", events: ["video.failed"] });
    await theEvents().publish([someNews("video.completed", { webhookUrl: "https://own.example/hook" })]);
    await wake();
    expect(requests.map(({ url }) => url).sort()).toEqual(["https://a.example/", "https://own.example/hook"]);
    const [toTask] = await log({ to: "task" });
    expect(toTask?.delivery.endpointId).toBeNull();
    expect(new Set(requests.map(({ headers }) => headers["webhook-id"])).size).toBe(2);
  });

  it("is tried eight times over a day, under one id, each with a time and a signature of its own", async () => {
    const requests = receive(() => new Response("no", { status: 500 }));
    await add();
    await theEvents().publish([someNews()]);
    const began = Date.now();
    const waits: number[] = [];
    for (let tries = 1; tries <= 8; tries++) {
      const before = Date.now();
      // A wake may be for the feed, which forgets after a day.
      while (requests.length < tries) await wakeInTime();
      waits.push(Date.now() - before);
    }
    expect(new Set(requests.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
    expect(new Set(requests.map(({ headers }) => headers["webhook-signature"])).size).toBe(8);
    expect(waits[0]).toBe(0);
    const schedule = [5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 10 * HOUR];
    schedule.forEach((wait, index) => {
      expect(waits[index + 1]).toBeGreaterThanOrEqual(wait * 0.9);
      expect(waits[index + 1]).toBeLessThanOrEqual(wait * 1.1);
    });
    expect(Date.now() - began).toBeLessThan(31 * HOUR);
    expect(await log()).toMatchObject([{ delivery: { state: "failed", tries: 8 } }]);
    expect((await log())[0]?.delivery.attempts).toHaveLength(8);
    await wakeInTime();
    expect(requests).toHaveLength(8);
  });

  it("that was sent and not written down is sent again, because its intent is on record", async () => {
    const requests = receive();
    await add();
    await theEvents().publish([someNews()]);
    await runInDurableObject(stub(), (_object, { storage }) => {
      // As an isolate leaves it that died while it waited for the answer.
      storage.sql.exec("UPDATE deliveries SET tries = 1, next_at = ?", Date.now() + 40 * SECOND);
    });
    await evictDurableObject(stub());
    await wake();
    expect(requests).toHaveLength(0);
    await wakeInTime();
    expect(requests).toHaveLength(1);
    expect(await log()).toMatchObject([{ delivery: { state: "delivered", tries: 2 } }]);
  });

  it("has its intent on record while the answer is waited for", async () => {
    let seen: DeliveryView[] = [];
    receive(async () => {
      seen = await log();
      return new Response("ok");
    });
    await add();
    await theEvents().publish([someNews()]);
    const now = Date.now();
    await wake();
    expect(seen).toMatchObject([{ delivery: { state: "pending", tries: 1, nextAt: now + 40 * SECOND } }]);
  });

  it("waits as long as the receiver asks", async () => {
    receive(() => new Response("busy", { status: 429, headers: { "retry-after": "600" } }));
    await add();
    await theEvents().publish([someNews()]);
    await wake();
    expect(await alarmAt()).toBe(Date.now() + 600 * SECOND);
  });

  it("is on record with what was answered, no more than a thousand characters of it", async () => {
    receive(() => new Response("x".repeat(100_000), { status: 503 }));
    await add();
    await theEvents().publish([someNews()]);
    await wake();
    const [attempt] = (await log())[0]?.delivery.attempts ?? [];
    expect(attempt).toMatchObject({ url: RECEIVER, status: 503, fault: null, at: Date.now() });
    expect(attempt?.reply).toBe("x".repeat(1_024));
  });

  it("names why no answer came", async () => {
    receive(() => Promise.reject(new Error("getaddrinfo ENOTFOUND secret-host")));
    await add();
    await theEvents().publish([someNews()]);
    await wake();
    expect((await log())[0]?.delivery.attempts).toMatchObject([{ status: null, fault: "connection", reply: "" }]);
  });

  it("goes nowhere that a webhook may not be, whatever was allowed when the URL was given", async () => {
    const requests = receive();
    await add({ url: "https://10.0.0.1/hook" });
    await theEvents().publish([someNews("video.created", { webhookUrl: "https://gateway.example/v1/video/create" })]);
    await wake();
    expect(requests).toEqual([]);
    expect((await log()).map(({ delivery }) => delivery.attempts[0]?.fault)).toEqual(["url_not_allowed", "url_not_allowed"]);
  });

  it("is kept for thirty days, long after the feed has let go of its news", async () => {
    receive();
    await add();
    await theEvents().publish([someNews()]);
    await wake();
    pass(30 * DAY - HOUR);
    await wake();
    expect(await log()).toHaveLength(1);
    pass(8 * HOUR);
    await wake();
    expect([await rowsOf("news"), await rowsOf("deliveries")]).toEqual([0, 0]);
  });

  it("of one answered piece of news costs nine rows", async () => {
    receive();
    await add();
    await theEvents().publish([someNews("video.created")]);
    await wake();
    const cost = await countRows(async () => {
      await theEvents().publish([someNews("video.completed")]);
      await wake();
    });
    expect(cost).toBe(9);
  });
});

describe("a receiver", () => {
  it("that is slow holds up no other, and no news", async () => {
    let release = (): void => undefined;
    const slow = new Promise<void>((resolve) => (release = resolve));
    const done: string[] = [];
    receive(async (url) => {
      if (url.includes("slow")) await slow;
      done.push(url);
      return new Response("ok");
    });
    await add({ url: "https://slow.example/" });
    await add({ url: "https://quick.example/" });
    const tellAll = async (from: number): Promise<void> =>
      theEvents().publish(
        Array.from({ length: 8 }, (_, each) => someNews("video.created", { task: { id: taskIdOf(from + each) } })),
      );
    await tellAll(0);
    const waking = wake();
    await vi.waitUntil(() => done.length === 8, { timeout: 20_000 });
    // Into a wake that is under way: it is sent without waiting for the end of that.
    await tellAll(8);
    await vi.waitUntil(() => done.length === 16, { timeout: 20_000 });
    expect(new Set(done)).toEqual(new Set(["https://quick.example/"]));
    release();
    await waking;
    expect(done).toHaveLength(32);
    expect((await log({ state: "pending" })).length).toBe(0);
  });

  it("that is slow holds up no other's next try", async () => {
    let release = (): void => undefined;
    const slow = new Promise<void>((resolve) => (release = resolve));
    const requests = receive(async (url) => {
      if (url.includes("slow")) await slow;
      return new Response("ok");
    });
    const other = await add({ url: "https://other.example/" });
    await theEvents().publish([someNews("video.created")]);
    await add({ url: "https://slow.example/" });
    await theEvents().publish([someNews("video.completed")]);
    await runInDurableObject(stub(), (_object, { storage }) => {
      // As after a try that failed.
      storage.sql.exec("UPDATE deliveries SET next_at = ? WHERE hook = ?", Date.now() + 20, other.id.slice(4));
    });
    const waking = wake();
    // Not by vi.waitUntil, whose every look moves the faked clock.
    while (requests.length < 1) await scheduler.wait(1);
    expect(requests.map(({ url }) => url)).toEqual(["https://slow.example/"]);
    pass(20);
    while (requests.length < 3) await scheduler.wait(1);
    release();
    await waking;
    expect(await log({ state: "delivered" })).toHaveLength(3);
  });

  it("gets three messages at once, and one at a time while it fails", async () => {
    let open = 0;
    let most = 0;
    let status = 200;
    receive(async () => {
      most = Math.max(most, ++open);
      await scheduler.wait(1);
      open--;
      return new Response("", { status });
    });
    await add();
    const tell = async (from: number): Promise<void> =>
      theEvents().publish(
        Array.from({ length: 9 }, (_, each) => someNews("video.created", { task: { id: taskIdOf(from + each) } })),
      );
    await tell(0);
    await wake();
    expect(most).toBe(3);
    status = 500;
    await tell(9);
    await wake();
    most = 0;
    await tell(18);
    await wake();
    expect(most).toBe(1);
  });

  it("that answers 410 is left alone: its endpoint is disabled, and what waits for it can be replayed", async () => {
    const requests = receive(() => new Response("gone", { status: 410 }));
    const { id } = await add();
    await theEvents().publish([someNews("video.created")]);
    await wake();
    expect(await theEvents().endpoints()).toMatchObject([{ id, disabled: { at: Date.now(), reason: "gone" } }]);
    expect(await log()).toMatchObject([{ delivery: { state: "failed", tries: 1 } }]);
    // What comes while it is disabled is kept for it.
    await theEvents().publish([someNews("video.completed")]);
    await wake();
    expect(requests).toHaveLength(1);
    expect(await theEvents().replayFailed(id)).toEqual({ ok: false, error: { kind: "webhook_disabled" } });
    receive();
    await theEvents().changeEndpoint(id, { enabled: true });
    expect(await theEvents().replayFailed(id)).toEqual({ ok: true, value: { count: 2, more: false } });
    await wake();
    expect((await log()).map(({ delivery }) => delivery.state)).toEqual(["delivered", "delivered"]);
  });

  it("that takes nothing for five days is disabled", async () => {
    receive(() => new Response("no", { status: 503 }));
    await add();
    for (let day = 0; day < 5; day++) {
      await theEvents().publish([someNews("video.created", { task: { id: taskIdOf(day) } })]);
      await wake();
      expect((await theEvents().endpoints())[0]?.disabled).toBeNull();
      pass(DAY);
    }
    await wake();
    expect((await theEvents().endpoints())[0]?.disabled).toEqual({ at: Date.now(), reason: "failing" });
    expect(await log({ state: "pending" })).toEqual([]);
  });

  it("of a task's own webhook that answers 410 is not asked again", async () => {
    const requests = receive(() => new Response("", { status: 410 }));
    await theEvents().publish([someNews("video.created", { webhookUrl: "https://own.example/" })]);
    await wake();
    await wakeInTime();
    expect(requests).toHaveLength(1);
  });
});

describe("an endpoint", () => {
  it("is added once, however often it is asked for, and there are at most ten", async () => {
    const endpoint = await add();
    expect(await theEvents().addEndpoint({ ...endpoint, url: "https://other.example/" })).toEqual({ ok: true, value: endpoint });
    for (let each = 1; each < 10; each++) await add();
    expect(await theEvents().addEndpoint(anEndpoint())).toMatchObject({ ok: false, error: { kind: "limit_reached", max: 10 } });
    expect(await theEvents().endpoints()).toHaveLength(10);
  });

  it("that its tenant disabled or deleted gets nothing, not even what was waiting for it", async () => {
    const requests = receive();
    const disabled = await add({ url: "https://disabled.example/" });
    const deleted = await add({ url: "https://deleted.example/" });
    await theEvents().publish([someNews("video.created")]);
    await theEvents().changeEndpoint(disabled.id, { enabled: false });
    expect(await theEvents().removeEndpoint(deleted.id)).toBe(true);
    expect(await theEvents().removeEndpoint(deleted.id)).toBe(false);
    await theEvents().publish([someNews("video.completed")]);
    await wake();
    expect(requests).toEqual([]);
    expect((await log()).map(({ delivery, news }) => [delivery.state, news.type])).toEqual([
      ["failed", "video.created"],
      ["failed", "video.created"],
    ]);
    const [lost] = await log({ to: { endpointId: deleted.id } });
    expect(await theEvents().replay(lost?.delivery.id ?? "")).toEqual({ ok: false, error: { kind: "webhook_not_found" } });
  });

  it("signs with both secrets while they are changed, and with the new one after", async () => {
    const requests = receive();
    const { id } = await add();
    await theEvents().rollSecret(id, ANOTHER_SECRET, HOUR);
    const signers = async (type: News["type"]): Promise<boolean[]> => {
      await theEvents().publish([someNews(type)]);
      await wake();
      const { headers = {}, body = "" } = requests.at(-1) ?? {};
      const given = (headers["webhook-signature"] ?? "").split(" ");
      const at = new Date(Number(headers["webhook-timestamp"]) * 1000);
      return [ANOTHER_SECRET, SECRET].map((secret) =>
        given.includes(new Webhook(secret).sign(headers["webhook-id"] ?? "", at, body)),
      );
    };
    expect(await signers("video.created")).toEqual([true, true]);
    pass(HOUR);
    expect(await signers("video.completed")).toEqual([true, false]);
  });

  it("is tried out at once, once, with something that is in no feed and counts for nothing", async () => {
    const requests = receive(() => new Response("nope", { status: 410 }));
    const { id } = await add();
    const tested = await theEvents().tryOut(id, someNews());
    expect(tested).toMatchObject({
      ok: true,
      value: { delivery: { isTest: true, state: "failed", tries: 1, attempts: [{ status: 410, reply: "nope" }] } },
    });
    expect(requests[0]?.headers["webhook-test"]).toBe("true");
    expect((await theEvents().feed(0, 10)).news).toEqual([]);
    expect((await theEvents().endpoints())[0]).toMatchObject({ disabled: null, failing: null });
    await wakeInTime();
    expect(requests).toHaveLength(1);
  });

  it("is tried out ten times a minute, so that nobody knocks on doors through us", async () => {
    receive();
    const { id } = await add();
    for (let each = 0; each < 10; each++) expect(await theEvents().tryOut(id, someNews())).toMatchObject({ ok: true });
    expect(await theEvents().tryOut(id, someNews())).toMatchObject({ ok: false, error: { kind: "rate_limit_exceeded" } });
    pass(MINUTE);
    expect(await theEvents().tryOut(id, someNews())).toMatchObject({ ok: true });
  });
});

describe("the deliveries' log", () => {
  it("is found by endpoint, task and state, page by page, newest first", async () => {
    receive((url) => new Response("", { status: url.includes("bad") ? 500 : 200 }));
    const good = await add({ url: "https://good.example/" });
    const bad = await add({ url: "https://bad.example/" });
    for (const each of [1, 2, 3]) {
      await theEvents().publish([someNews("video.created", { task: { id: taskIdOf(each) } })]);
      pass(HOUR);
    }
    await wake();
    const tasksOf = (found: DeliveryView[]): string[] => found.map(({ news }) => news.task.id);
    expect(tasksOf(await log({ to: { endpointId: good.id } }))).toEqual([3, 2, 1].map(taskIdOf));
    expect((await log({ state: "delivered" })).map(({ delivery }) => delivery.endpointId)).toEqual([good.id, good.id, good.id]);
    expect((await log({ state: "pending" })).map(({ delivery }) => delivery.endpointId)).toEqual([bad.id, bad.id, bad.id]);
    expect(await log({ state: "failed" })).toEqual([]);
    expect(await log({ to: "task" })).toEqual([]);
    const all = (await log()).map(({ delivery }) => delivery.id);
    const page = await theEvents().deliveries(ALL, all[3] ?? "", 2);
    expect(page.ok && page.value.map(({ delivery }) => delivery.id)).toEqual(all.slice(4));
  });

  it("is found by task where that lies", async () => {
    receive();
    await add();
    const now = Date.now();
    // Ids carry the time of their task's creation.
    const idAt = (ms: number): string => taskIdOf(1).replace(/:\d+/, `:${Math.floor(ms / 1000)}`);
    for (const hour of [0, 1, 2]) {
      await theEvents().publish([someNews("video.created", { task: { id: idAt(now + hour * HOUR) } })]);
      pass(HOUR);
    }
    expect((await log({ task: idAt(now + HOUR) })).map(({ news }) => news.task.id)).toEqual([idAt(now + HOUR)]);
    expect(await log({ task: idAt(now - 10 * DAY) })).toEqual([]);
  });

  it.each(["msg_abcdefghijklmnop-1", "msg_x", "whe_abcdefghijklmnop", "msg_abcdefghijklmnop-01"])(
    "knows no cursor like %s",
    async (cursor) => {
      expect(await theEvents().deliveries(ALL, cursor, 10)).toEqual({ ok: false, error: { kind: "invalid_cursor" } });
      expect(await theEvents().delivery(cursor)).toBeNull();
      expect(await theEvents().replay(cursor)).toEqual({ ok: false, error: { kind: "delivery_not_found" } });
    },
  );

  it("lets one be sent again, under its id, whatever became of it", async () => {
    const requests = receive();
    await add();
    await theEvents().publish([someNews()]);
    await wake();
    const [first] = await log();
    expect(await theEvents().replay(first?.delivery.id ?? "")).toMatchObject({
      ok: true,
      value: { delivery: { state: "pending", tries: 0 } },
    });
    await wake();
    expect(requests.map(({ headers }) => headers["webhook-id"])).toEqual([first?.delivery.id, first?.delivery.id]);
    expect(await log()).toMatchObject([
      { delivery: { state: "delivered", tries: 1, attempts: [{ status: 200 }, { status: 200 }] } },
    ]);
  });
});

describe("the alarm", () => {
  it("is armed again by the cron's look where it was lost", async () => {
    receive();
    await add();
    await theEvents().publish([someNews()]);
    await runInDurableObject(stub(), async (_object, { storage }) => storage.deleteAlarm());
    await theEvents().tend();
    await wakeInTime();
    expect(await log()).toMatchObject([{ delivery: { state: "delivered" } }]);
  });

  it("never throws: what is broken is looked at again", async () => {
    receive();
    await add();
    await theEvents().publish([someNews()]);
    await runInDurableObject(
      stub(),
      (_object, { storage }) => void storage.sql.exec("UPDATE deliveries SET attempts = 'not JSON'"),
    );
    await expect(wake()).resolves.toBeUndefined();
    expect(await alarmAt()).toBe(Date.now() + 30 * SECOND);
  });
});

/** Rows that `work` writes, alarms and single values included. */
async function countRows(work: () => Promise<void>): Promise<number> {
  let rows = 0;
  await runInDurableObject(stub(), (_object, { storage }) => {
    const count = (target: object, methods: readonly string[]): void => {
      for (const method of methods) {
        const original = Reflect.get(target, method) as (...args: unknown[]) => unknown;
        vi.spyOn(target as Record<string, () => unknown>, method).mockImplementation(function (this: unknown, ...args: unknown[]) {
          rows++;
          return original.apply(this, args);
        } as never);
      }
    };
    count(Object.getPrototypeOf(storage), ["setAlarm"]);
    count(Object.getPrototypeOf(storage.kv), ["put", "delete"]);
    const sql = Object.getPrototypeOf(storage.sql) as { exec: SqlStorage["exec"] };
    const exec = sql.exec;
    vi.spyOn(sql, "exec").mockImplementation(function (this: SqlStorage, ...args: Parameters<SqlStorage["exec"]>) {
      const cursor = exec.apply(this, args);
      if (!/^\s*(SELECT|WITH)/.test(args[0])) rows += cursor.rowsWritten;
      return cursor;
    } as never);
  });
  await work();
  return rows;
}
