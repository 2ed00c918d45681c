// How long a tenant's events stay, and that removing many of them is never one long piece of work.
import { env } from "cloudflare:workers";
import { reset, runInDurableObject } from "cloudflare:test";
import { afterEach, expect, it } from "vitest";
import { DeliveryRows } from "../../src/durable/delivery-rows.ts";
import { EventsUpkeep } from "../../src/durable/events-upkeep.ts";
import { NewsRows } from "../../src/durable/news-rows.ts";
import { DAY, HOUR, SECOND, T0 } from "../support/builders.ts";
import { someNews } from "../support/webhooks.ts";

afterEach(reset);

interface Kept {
  readonly storage: DurableObjectStorage;
  readonly news: NewsRows;
  readonly deliveries: DeliveryRows;
  readonly counts: () => [number, number];
}

async function inAnObject(work: (kept: Kept) => void): Promise<void> {
  await runInDurableObject(env.TENANT_EVENTS.getByName("Tenant01/test") as unknown as DurableObjectStub, (_object, { storage }) => {
    const count = (table: string): number => Number(storage.sql.exec(`SELECT count(*) AS count FROM ${table}`).one()["count"]);
    work({
      storage,
      news: new NewsRows(storage),
      deliveries: new DeliveryRows(storage.sql),
      counts: () => [count("news"), count("deliveries")],
    });
  });
}

/** `amount` pieces of news at `at`, each with a delivery if that is said. */
function fill({ storage, news, deliveries }: Kept, amount: number, at: number, hasDeliveries: boolean): void {
  storage.transactionSync(() => {
    for (let each = 0; each < amount; each++) {
      const seq = news.insert(someNews(), { isTest: false, hasDeliveries }, at);
      if (hasDeliveries) deliveries.insert({ seq, hook: "abcdefghijklmnop" }, "abcdefghijklmnop", null);
    }
  });
}

it("keeps news with deliveries for thirty days, the others for one", async () => {
  await inAnObject((kept) => {
    fill(kept, 2, T0, false);
    fill(kept, 3, T0, true);
    const upkeep = new EventsUpkeep(kept.news, kept.deliveries, kept.storage);
    expect(upkeep.nextAt()).toBe(T0 + DAY + 6 * HOUR);
    upkeep.run(T0 + DAY);
    expect(kept.counts()).toEqual([5, 3]);
    upkeep.run(T0 + DAY + 6 * HOUR);
    expect(kept.counts()).toEqual([3, 3]);
    expect(upkeep.nextAt()).toBe(T0 + 30 * DAY + 6 * HOUR);
    upkeep.run(T0 + 30 * DAY + 6 * HOUR);
    expect(kept.counts()).toEqual([0, 0]);
    expect(upkeep.nextAt()).toBe(Infinity);
  });
});

it("removes five thousand at a time, a second after each other", async () => {
  await inAnObject((kept) => {
    fill(kept, 5_001, T0, false);
    fill(kept, 5_001, T0 + 29 * DAY, true);
    const upkeep = new EventsUpkeep(kept.news, kept.deliveries, kept.storage);
    let now = T0 + 60 * DAY;
    for (const left of [5_002, 2, 0]) {
      upkeep.run(now);
      expect(kept.counts()[0]).toBe(left);
      upkeep.run(now);
      expect(kept.counts()[0]).toBe(left);
      expect(upkeep.nextAt()).toBe(left === 0 ? Infinity : now + SECOND);
      now += SECOND;
    }
  });
});

it("lets the oldest go sooner where the log would outgrow its object", async () => {
  await inAnObject((kept) => {
    fill(kept, 6_000, T0, true);
    const half = kept.storage.sql.databaseSize / 2;
    const upkeep = new EventsUpkeep(kept.news, kept.deliveries, kept.storage, half);
    upkeep.run(T0 + HOUR);
    expect(kept.counts()).toEqual([1_000, 1_000]);
    upkeep.run(T0 + HOUR + SECOND);
    expect(kept.counts()).toEqual([1_000, 1_000]);
    expect(kept.news.feed(0, 1, T0 + HOUR).oldest).toBe(5_001);
  });
});
