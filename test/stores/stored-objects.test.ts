import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, it } from "vitest";
import type { StoredObject } from "../../src/ports.ts";
import { r2Objects } from "../../src/stores/stored-objects.ts";

afterEach(reset);

const objects = r2Objects(env.VIDEOS);

async function pages(limit: number): Promise<(readonly StoredObject[])[]> {
  const found = [];
  for (let after: string | null = null; ;) {
    const page: Awaited<ReturnType<typeof objects.list>> = await objects.list(after, limit);
    found.push(page.objects);
    after = page.last;
    if (after === null) return found;
  }
}

it("lists images and videos page by page, with the owner where the object names one, and nothing that is not the gateway's", async () => {
  const owners = ["Tenant01/live", "Tenant02/test", "", "Tenant03", "Tenant04/other"];
  for (const [index, owner] of owners.entries()) await env.VIDEOS.put(`videos/veo3:${index}`, "x", { customMetadata: { owner } });
  await env.VIDEOS.put("images/veo3:5/0", "x");
  await env.VIDEOS.put("images/veo3:5/1", "x");
  await env.VIDEOS.put("kept/veo3:6", "x");

  const found = await pages(3);
  expect(found.map((page) => page.length)).toEqual([2, 3, 2]);
  const listed = found.flat();
  expect(listed.map(({ key, taskId }) => [key, taskId])).toEqual([
    ["images/veo3:5/0", "veo3:5"],
    ["images/veo3:5/1", "veo3:5"],
    ...owners.map((_, index) => [`videos/veo3:${index}`, `veo3:${index}`]),
  ]);
  const known = [
    { tenant: "Tenant01", mode: "live" },
    { tenant: "Tenant02", mode: "test" },
  ];
  expect(listed.map(({ owner }) => owner)).toEqual([null, null, ...known, null, null, null]);
  expect(Math.abs((listed[0]?.uploadedAt ?? 0) - Date.now())).toBeLessThan(60_000);
});

it("goes on from a place whose object is gone meanwhile", async () => {
  for (let index = 0; index < 4; index++) await env.VIDEOS.put(`videos/veo3:${index}`, "x");
  const { last } = await objects.list(null, 2);
  expect(last).toBe("videos/veo3:1");
  await objects.remove(["videos/veo3:0", "videos/veo3:1", "videos/veo3:1"]);
  expect((await objects.list(last, 2)).objects.map(({ taskId }) => taskId)).toEqual(["veo3:2", "veo3:3"]);
});
