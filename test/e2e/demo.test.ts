import { execFile, execFileSync } from "node:child_process";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FFPROBE } from "../support/programs.ts";
import { startReelay, type Server } from "../support/server.ts";

let server: Server;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "reelay-demo-"));
  server = await startReelay();
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

function demo(...args: string[]): Promise<{ code: number; output: string; errors: string }> {
  return new Promise((resolve) => {
    execFile("npm", ["run", "--silent", "demo", "--", ...args], (error, output, errors) => {
      resolve({ code: error === null ? 0 : Number(error.code), output, errors });
    });
  });
}

describe("npm run demo", () => {
  const saved = (): string => join(folder, "lake.mp4");

  it("creates a video, shows how it goes, saves it and prints its link", async () => {
    const { code, output, errors } = await demo(
      "a lake",
      "at sunset",
      "--url",
      server.url,
      "--aspect-ratio",
      "9:16",
      "--out",
      saved(),
    );
    expect({ code, errors }).toMatchObject({ code: 0 });
    expect(errors).toMatch(/creating.*pending.*processing {2}\d+ %.*completed {2}veo3.*saving/s);
    // As it changes, not when a program would ask again.
    const [, since] = /processing .*\((\d+) s\)/.exec(errors) ?? [];
    expect(Number(since)).toBeLessThan(6);
    const { size } = await stat(saved());
    expect(output).toContain(`Saved ${saved()} (${Math.ceil(size / 1000)} kB)`);
    const [link = ""] = /http\S+/.exec(output) ?? [];
    const reply = await fetch(link, { method: "HEAD" });
    expect([reply.status, Number(reply.headers.get("content-length"))]).toEqual([200, size]);
  });

  it.skipIf(FFPROBE === null)("saves what ffprobe reads", () => {
    const args = ["-v", "error", "-show_entries", "stream=codec_name,width,height:format=duration", "-of", "json", saved()];
    const probed = JSON.parse(execFileSync(FFPROBE as string, args, { encoding: "utf8" })) as {
      streams: { codec_name: string; width?: number; height?: number }[];
      format: { duration: string };
    };
    expect(probed.streams.map((stream) => stream.codec_name).sort()).toEqual(["aac", "h264"]);
    const picture = probed.streams.find((stream) => stream.codec_name === "h264");
    expect((picture?.height ?? 0) / (picture?.width ?? 1)).toBeCloseTo(16 / 9, 1);
    expect(Number(probed.format.duration)).toBeGreaterThan(1);
  });

  it("says what the API said, with the request's id, where it refuses", async () => {
    const { code, errors } = await demo("a lake", "--url", server.url, "--model", "veo9");
    expect(code).toBe(1);
    expect(errors).toMatch(/model must be one of .*HTTP 400, request req_\w+/s);
  });

  it("says why a task failed", async () => {
    const { code, errors } = await demo("a lake [[fail:content_policy]]", "--url", server.url);
    expect(code).toBe(1);
    expect(errors).toMatch(/failed: .*content policy/i);
  });

  it("names `npm start` where no server answers", async () => {
    const { code, errors } = await demo("a lake", "--url", "http://127.0.0.1:9099");
    expect(code).toBe(1);
    expect(errors).toContain("npm start");
  });

  it.each([[[]], [["a lake", "--sound"]], [["a lake", "--url", "reelay"]], [["a lake", "--out", "/nowhere/lake.mp4"]]])(
    "answers a wrong command line (%j) with its usage",
    async (args) => {
      const { code, errors } = await demo(...args);
      expect(code).toBe(2);
      expect(errors).toContain("Usage: npm run demo --");
    },
  );
});
