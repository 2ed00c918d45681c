// What becomes of what was copied, when the copy comes to nothing, and what a task's end removes.
import { describe, expect, it } from "vitest";
import type { Upload } from "../../src/core/task.ts";
import { AssetGoneError, RefusedError, SourceError } from "../../src/core/upstream-errors.ts";
import type { Provider, VideoStore } from "../../src/ports.ts";
import { perform, type Hands } from "../../src/service/perform.ts";
import { aGeneration, anUpload, aTask } from "../support/builders.ts";

type Removed = [string, Upload | null];

function handsWith(provider: Partial<Provider>, videos: Partial<VideoStore>) {
  const removed: Removed[] = [];
  const removedImages: [string, number][] = [];
  const resolved: string[] = [];
  const hands = {
    providerOf: () => provider,
    videos: { remove: async (...given: Removed) => void removed.push(given), ...videos },
    images: { remove: async (id: string, count: number) => void removedImages.push([id, count]) },
    ledgerOf: () => ({ resolve: async (id: string) => void resolved.push(id) }),
  } as unknown as Hands;
  return { hands, removed, removedImages, resolved };
}

describe("an upload that nobody will go on with", () => {
  const upload = anUpload();
  const task = aTask({ status: "storing", upload });
  const effect = { kind: "store", provider: "alpha", task } as const;
  const refused = new RefusedError("route", "upstream_invalid_result");

  it.each([
    ["must not be fetched", refused, "provider_failed"],
    ["is gone", new AssetGoneError(), "spoiled"],
    ["is too large", new SourceError("too_large"), "provider_failed"],
    ["is cut short", new SourceError("cut_short"), "spoiled"],
  ])("is given up when its source %s", async (_, error, type) => {
    const { hands, removed } = handsWith({ open: async () => Promise.reject(error) }, {});
    expect(await perform(effect, hands, async () => undefined)).toMatchObject({ event: { type } });
    expect(removed).toEqual([[task.id, upload]]);
  });

  it("is the newest one, also where that began in this very copy", async () => {
    const newer = anUpload({ uploadId: "u2" });
    const { hands, removed } = handsWith(
      { open: async () => ({}) as never },
      {
        store: async (_task, _source, _upload, checkpoint) => {
          await checkpoint(newer);
          throw refused;
        },
      },
    );
    await perform(effect, hands, async () => undefined);
    expect(removed).toEqual([[task.id, newer]]);
  });

  it("is kept where the copy may go on", async () => {
    const { hands, removed } = handsWith({ open: async () => Promise.reject(new TypeError("reset")) }, {});
    expect(await perform(effect, hands, async () => undefined)).toMatchObject({ event: { type: "store_failed" } });
    expect(removed).toEqual([]);
  });
});

describe("a task's end", () => {
  const generation = aGeneration({ images: ["https://example.com/1.png", "https://example.com/2.png"] });

  it("removes its images, also those of which none is on record", async () => {
    const { hands, removedImages } = handsWith({}, {});
    const task = aTask({ status: "settling", generation, images: null });
    expect(await perform({ kind: "settle", task }, hands, async () => undefined)).toEqual({
      event: { type: "settled", heard: [] },
    });
    expect(removedImages).toEqual([[task.id, 2]]);
  });

  it("looks for none where there were none", async () => {
    const { hands, removedImages, resolved } = handsWith({}, {});
    await perform({ kind: "settle", task: aTask({ status: "settling" }) }, hands, async () => undefined);
    expect([removedImages, resolved.length]).toEqual([[], 1]);
  });
});
