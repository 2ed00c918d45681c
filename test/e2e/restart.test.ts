import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { readLedgerFile } from "../support/ledger-files.ts";
import { startReelay } from "../support/server.ts";
import { createVideo, queryVideo, untilEnded } from "../support/tenant-calls.ts";

const PRICE = 40;

it("completes every task that was under way when the power went, and the ledger adds up", async () => {
  const persistTo = await mkdtemp(join(tmpdir(), "reelay-restart-"));
  const first = await startReelay({ persistTo });
  const key = first.testKey;
  const done = await createVideo(first.url, key, { model: "veo3", prompt: "done before [[slow:0]]" });
  expect((await untilEnded(first.url, key, done)).status).toBe("completed");
  const ids = await Promise.all(
    Array.from({ length: 5 }, async (_, index) =>
      createVideo(first.url, key, { model: "veo3", prompt: `number ${index} [[slow:${index * 3}]]` }),
    ),
  );
  await Promise.all(
    ids.map(async (id) => {
      while ((await queryVideo(first.url, key, id)).status === "pending") await sleep(50);
    }),
  );
  await first.kill();

  const second = await startReelay({ persistTo });
  const videos = await Promise.all([done, ...ids].map(async (id) => untilEnded(second.url, key, id)));
  expect(videos.map(({ status }) => status)).toEqual(videos.map(() => "completed"));
  for (const { video_url: link } of videos) expect((await fetch(link as string)).status).toBe(200);
  await second.stop();

  const { balances, states } = readLedgerFile(persistTo);
  expect(states).toEqual(videos.map(() => "settled"));
  expect(balances).toMatchObject({ held: 0, spent: videos.length * PRICE });
  expect(balances.granted + balances.adjusted).toBe(balances.available + balances.spent);
  await rm(persistTo, { recursive: true });
});
