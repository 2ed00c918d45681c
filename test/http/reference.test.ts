// The pages and the document that tell of the API: what they hold, and what they may load. test/e2e/docs.test.ts looks at them in
// a browser; test/contract/openapi.test.ts at what the document says.
import { describe, expect, it } from "vitest";
import { describeFailure, type FailureCode } from "../../src/core/errors.ts";
import { ERROR_TEXTS } from "../../src/http/error-texts.ts";
import committed from "../../src/http/openapi.json?raw";
import { call, callWith, ORIGIN } from "../support/gateway.ts";

describe("GET /openapi.json", () => {
  it("is the committed document, with this gateway's own origin", async () => {
    const reply = await call("/openapi.json");
    expect(reply.headers.get("content-type")).toBe("application/json");
    expect(reply.headers.get("cache-control")).toBe("public, max-age=300");
    const served = await reply.text();
    expect(served).toBe(committed.replaceAll("https://reelay.example.com", ORIGIN));
    expect(JSON.parse(served)).toMatchObject({ openapi: "3.1.1", servers: [{ url: ORIGIN }] });
  });

  it("has PUBLIC_URL where that is set", async () => {
    const reply = await callWith({ PUBLIC_URL: "https://videos.example" }, "/openapi.json");
    expect(await reply.json()).toMatchObject({ servers: [{ url: "https://videos.example" }] });
  });
});

describe("the pages", () => {
  it.each(["/docs", "/errors"])("%s runs no script and shows no style but its own, and nobody may frame it", async (path) => {
    const [one, other] = [await call(path), await call(path)];
    expect([one.status, one.headers.get("content-type")]).toEqual([200, "text/html; charset=UTF-8"]);
    expect(one.headers.get("referrer-policy")).toBe("no-referrer");
    expect(one.headers.get("x-content-type-options")).toBe("nosniff");
    const policy = one.headers.get("content-security-policy") ?? "";
    expect(policy).toMatch(/^default-src 'none'; script-src 'nonce-[^']{24}'; style-src 'nonce-[^']{24}';/);
    for (const part of ["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]) expect(policy).toContain(part);
    expect(policy.replace("style-src-attr 'unsafe-inline'", "")).not.toMatch(/unsafe|https?:|\*/);
    expect(policy).not.toBe(other.headers.get("content-security-policy"));
    const nonce = /'nonce-([^']+)'/.exec(policy)?.[1];
    for (const [tag] of (await one.text()).matchAll(/<(?:script|style)\b[^>]*>/g)) expect(tag).toContain(`nonce="${nonce}"`);
  });

  it("/docs may reach PUBLIC_URL too, and nothing else", async () => {
    const sources = async (changes: Record<string, string>) =>
      /connect-src ([^;]+)/.exec((await callWith(changes, "/docs")).headers.get("content-security-policy") ?? "")?.[1];
    expect(await sources({})).toBe("'self'");
    expect(await sources({ PUBLIC_URL: "https://videos.example" })).toBe("'self' https://videos.example");
  });

  it("/docs loads its script from this gateway, and sends nothing about its reader anywhere", async () => {
    const page = await (await call("/docs")).text();
    expect([...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url]) => url)).toEqual([
      "data:,",
      "/openapi.json",
      "/errors",
      expect.stringMatching(/^\/assets\/scalar\.js\?v=\d+\.\d+\.\d+$/),
    ]);
    expect(page).toContain('"withDefaultFonts":false');
    expect(page).toContain('"telemetry":false');
  });

  it("/errors has no script, and a place to link to for every code", async () => {
    const page = await (await call("/errors")).text();
    expect(page).not.toContain("<script");
    for (const code of Object.keys(ERROR_TEXTS)) expect(page).toContain(`id="${code}"`);
    const failures = [...page.matchAll(/<section class="code" id="task-(\w+)"/g)].map(([, code]) => code as FailureCode);
    expect(failures.length).toBeGreaterThan(9);
    for (const code of failures) expect(page).toContain(describeFailure(code).replaceAll("'", "&#39;"));
    expect(page).toContain('<span id="content_policy">');
    expect(page.match(/ id="internal_error"/g)).toHaveLength(1);
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [, id] of page.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(id);
  });

  it.each(["/docs", "/errors", "/openapi.json"])("%s takes GET only", async (path) => {
    const reply = await call(path, { method: "POST" });
    expect([reply.status, reply.headers.get("allow")]).toEqual([405, "GET, HEAD, OPTIONS"]);
  });
});
