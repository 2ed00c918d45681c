// The published contract: it is the one the routes have, it breaks nothing that was released, and what it shows is right.
import { validate } from "@scalar/openapi-parser";
import { describe, expect, it } from "vitest";
import { ERROR_TEXTS, type ErrorCode } from "../../src/http/error-texts.ts";
import { errorEntries } from "../../src/http/error-codes.ts";
import type { MediaType, Operation } from "../../src/http/openapi-operations.ts";
import released from "../fixtures/openapi/released.json?raw";
import { breakingChanges, type Document } from "../support/breaking-changes.ts";
import { drawnDocument, routes } from "../support/reference.ts";

const document = drawnDocument();
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]): [string, Operation] => [`${method} ${path}`, operation]),
);
const examples = document.components["examples"] as Readonly<Record<string, { readonly value: unknown }>>;

it("is committed as the routes make it (if not: npm run openapi, and look at what changed)", async () => {
  await expect(`${JSON.stringify(document, null, 2)}\n`).toMatchFileSnapshot("../../src/http/openapi.json");
});

it("breaks nothing that callers of the last release rely on", () => {
  expect(breakingChanges(JSON.parse(released) as Document, document as unknown as Document)).toEqual([]);
});

describe("the document", () => {
  it("keeps OpenAPI's own rules", async () => {
    const { valid, errors } = await validate(structuredClone(document) as object);
    expect({ valid, errors }).toEqual({ valid: true, errors: [] });
  });

  it("refers to nothing that is not there", () => {
    for (const reference of JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const found = (reference[1] ?? "")
        .split("/")
        .reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name.replaceAll("~1", "/")], document);
      expect(found, reference[1]).toBeDefined();
    }
  });

  it("has every route but the hidden ones, each with an id of its own", () => {
    const shown = [...routes()].filter(([, route]) => route.hide !== true).map(([name]) => name);
    expect(operations.map(([name]) => name).sort()).toEqual(shown.sort());
    const ids = operations.map(([, { operationId }]) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("says nothing of the operator's API", () => {
    expect(JSON.stringify(document)).not.toMatch(/\/admin\/|ADMIN_TOKEN/);
  });

  it.each(operations)("has a summary, a described tag, a known key and samples in three languages for %s", (_, operation) => {
    expect(operation).toMatchObject({ summary: expect.stringMatching(/^[A-Z]/) });
    const tags = document.tags.filter((tag) => "description" in tag).map(({ name }) => name);
    expect(tags).toEqual(expect.arrayContaining(operation.tags ?? []));
    const keys = Object.keys(document.components["securitySchemes"] ?? {});
    expect(keys).toEqual(expect.arrayContaining((operation.security ?? []).flatMap((each) => Object.keys(each))));
    expect(operation["x-codeSamples"]).toMatchObject([{ lang: "shell" }, { lang: "python" }, { lang: "javascript" }]);
  });

  it.each(operations)("has a schema for every body of %s, and an example for every error", (_, operation) => {
    expect(operation.responses).toHaveProperty("500");
    expect(operation.responses).not.toHaveProperty("default");
    for (const [status, reply] of Object.entries(operation.responses)) {
      if (Number(status) >= 400) expect(Object.keys(reply.content ?? {}), status).toEqual(["application/json"]);
      for (const media of Object.values(reply.content ?? {})) {
        expect(media.schema, status).toBeDefined();
        if (Number(status) >= 400) expect(Object.keys(media.examples ?? {}).length, status).toBeGreaterThan(0);
      }
    }
  });
});

describe("the error codes", () => {
  const told = Object.entries(ERROR_TEXTS).filter(([, { on }]) => on !== "operator");

  it.each(told.map(([code]) => code as ErrorCode))(
    "%s has an example in the document, and its own status in each operation",
    (code) => {
      const entry = errorEntries().find((each) => each.code === code);
      expect(examples[code]?.value).toEqual({ error: expect.objectContaining({ code, type: entry?.type }) });
      const statuses = operations.flatMap(([, { responses }]) =>
        Object.entries(responses).flatMap(([status, reply]) =>
          code in (reply.content?.["application/json"]?.examples ?? {}) ? [status] : [],
        ),
      );
      if (!entry?.on.includes("nowhere")) expect(statuses.length).toBeGreaterThan(0);
      expect(new Set(statuses).size).toBeLessThanOrEqual(1);
      if (statuses.length > 0) expect(Number(statuses[0])).toBe(entry?.status);
    },
  );

  it.each(errorEntries())("$code is told in whole sentences", ({ why, todo, charged, example: { error } }) => {
    for (const text of [why, todo, charged, error.message]) expect(text).toMatch(/^\S.*[.?…]$/s);
    expect(error.message).not.toMatch(/undefined|\[object/);
  });
});

describe("the examples", () => {
  const bodies = operations.flatMap(([name, { requestBody }]) =>
    Object.entries(requestBody?.content ?? {}).map(([type, media]): [string, string, MediaType] => [name, type, media]),
  );

  it.each(bodies)("of the body of %s, as %s, is one that the route takes", (name, type, media) => {
    const schema = routes().get(name)?.request?.body?.content[type]?.schema;
    for (const example of valuesOf(media)) expect(schema?.safeParse(example)).toMatchObject({ success: true });
  });

  it.each(["post /v1/webhooks/secret/roll", "post /v1/webhooks/{id}/roll"])("of %s keep the old secret for a day", (name) => {
    const [example] = bodies.flatMap(([each, , media]) => (each === name ? [media.example] : []));
    expect(example).toEqual({ overlap_seconds: 86_400 });
  });

  it("of a change of a webhook send its events nowhere else", () => {
    const [example] = bodies.flatMap(([each, , media]) => (each === "patch /v1/webhooks/{id}" ? [media.example] : []));
    expect(example).toEqual({ description: "Orders" });
  });

  const replies = operations.flatMap(([name, { responses }]) =>
    Object.entries(responses).flatMap(([status, { content = {} }]) =>
      Object.entries(content).map(([type, media]): [string, string, string, MediaType] => [name, status, type, media]),
    ),
  );

  it.each(replies)("of %s, status %s, as %s, are such replies", (name, status, type, media) => {
    const { responses } = routes().get(name) ?? {};
    const schema = (responses?.[status] ?? responses?.["default"])?.content?.[type]?.schema;
    if (schema === undefined) return; // a route without errors of its own
    for (const example of valuesOf(media)) expect(schema.safeParse(example)).toMatchObject({ success: true });
  });

  function valuesOf({ example, examples: named = {} }: MediaType): unknown[] {
    const values = (Object.entries(named) as [string, { $ref?: string; value?: unknown }][]).map(([code, each]) =>
      each.$ref === undefined ? each.value : examples[code]?.value,
    );
    return example === undefined ? values : [example, ...values];
  }
});
