import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { livingIn, startReelay, type Server } from "../support/server.ts";

describe("npm start", () => {
  let server: Server;
  beforeAll(async () => {
    server = await startReelay();
  });
  afterAll(() => server.stop());

  it("says where it is, with which key, and what to paste", async () => {
    const { url, testKey, liveKey } = server;
    const banner = server.output();
    expect(banner).toContain("Reelay is ready");
    for (const line of [url, testKey, `${url}/console`, `${url}/docs`]) expect(banner).toContain(line);
    expect(banner).not.toContain(liveKey);
    expect(banner.split("Reelay is ready")).toHaveLength(2);

    const [, line = ""] = /^(curl .*)$/m.exec(banner) ?? [];
    const shell = spawn("sh", ["-c", `${line} --silent --show-error`], { stdio: ["ignore", "pipe", "inherit"] });
    const [reply] = (await once(shell.stdout.setEncoding("utf8"), "data")) as [string];
    expect(JSON.parse(reply)).toMatchObject({ status: "pending" });
  });

  it("answers /healthz", async () => {
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  });

  it("does not start twice on one port, and says why", async () => {
    const port = Number(new URL(server.url).port);
    await expect(startReelay({ port })).rejects.toThrow(`Port ${port} is taken`);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  });
});

describe("npm start with settings", () => {
  it("hands every setting of the env file to the Worker, and shows the live key where there are providers", async () => {
    const provider = { name: "up", kind: "seed-style", base_url: "http://127.0.0.1:9", api_key_secret: "UP_KEY" };
    const server = await startReelay({ env: { PROVIDERS: JSON.stringify([provider]), UP_KEY: "a:b='c'" } });
    expect(server.output()).toContain(server.liveKey);
    expect(server.output()).not.toContain("a:b=");
    await server.stop();
  });

  it("says which setting is wrong", async () => {
    await expect(startReelay({ env: { LINK_TTL_SECONDS: "soon" } })).rejects.toThrow(/LINK_TTL_SECONDS.*Reelay cannot serve/s);
  });

  it("says which env file is missing", async () => {
    await expect(startReelay({ args: ["--env-file", "/nowhere/settings.env"] })).rejects.toThrow(
      "/nowhere/settings.env: there is no such file",
    );
  });
});

describe("the end of npm start", () => {
  it.each(["SIGTERM", "SIGINT"] as const)("leaves no process behind when npm alone gets %s", async (signal) => {
    const server = await startReelay();
    expect(livingIn(server.pid).filter((line) => line.includes("workerd")).length).toBeGreaterThan(0);
    process.kill(server.pid, signal);
    for (let look = 0; look < 100 && livingIn(server.pid).length > 0; look++) await sleep(50);
    expect(livingIn(server.pid)).toEqual([]);
    await server.stop();
  });

  it("leaves no process behind when the whole group is told", async () => {
    const server = await startReelay();
    await server.stop();
    expect(livingIn(server.pid)).toEqual([]);
  });
});
