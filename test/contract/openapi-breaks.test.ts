// The judge of breaking changes, judged: each kind of break is planted in a small document, and each harmless change beside it.
import { describe, expect, it } from "vitest";
import { breakingChanges, type Document } from "../support/breaking-changes.ts";
import type { Schema } from "../support/schema-breaks.ts";

/** One operation with a body and a reply, and what hangs on them. */
interface Parts {
  readonly paths?: Document["paths"];
  readonly body?: Schema;
  readonly reply?: Schema;
  readonly parameters?: readonly { name: string; in: string; required?: boolean; schema?: Schema }[];
  readonly named?: Readonly<Record<string, Schema>>;
  readonly codes?: readonly string[];
  readonly operationId?: string;
}

const BODY: Schema = {
  type: "object",
  properties: {
    model: { type: "string", enum: ["veo2", "veo3"] },
    note: { type: ["string", "null"], maxLength: 10 },
    images: { type: "array", items: { type: "string" }, maxItems: 3 },
    seconds: { type: "integer", minimum: 1, maximum: 60 },
  },
  required: ["model"],
  additionalProperties: false,
};
const REPLY: Schema = {
  type: "object",
  properties: {
    id: { type: "string" },
    status: { type: "string", enum: ["pending", "failed"] },
    link: { type: ["string", "null"] },
  },
  required: ["id", "status"],
};
const CODES = ["invalid_json", "not_found"];

function aDocument({
  paths,
  body = BODY,
  reply = REPLY,
  parameters = [],
  named = {},
  codes = CODES,
  operationId = "do",
}: Parts = {}): Document {
  const json = (schema: Schema) => ({ content: { "application/json": { schema } } });
  const operation = { operationId, parameters, requestBody: json(body), responses: { "200": json(reply), "400": json({}) } };
  const examples = Object.fromEntries(codes.map((code) => [code, { value: { error: { code } } }]));
  return { paths: paths ?? { "/do": { post: operation } }, components: { schemas: named, examples } };
}

const field = (schema: Schema, name: string, to: Schema): Schema => ({
  ...schema,
  properties: { ...schema.properties, [name]: to },
});
const without = (schema: Schema, name: string): Schema => {
  const { [name]: _, ...properties } = schema.properties ?? {};
  return { ...schema, properties };
};

const { post } = aDocument().paths["/do"] ?? {};
if (post === undefined) throw new Error("the document has no operation");
const alone = { operationId: "do", responses: post.responses };

const BREAKS: readonly (readonly [what: string, before: Parts, after: Parts, sentence: string])[] = [
  ["a path that goes", {}, { paths: {} }, "POST /do is gone"],
  ["a method that goes", {}, { paths: { "/do": { get: post } } }, "POST /do is gone"],
  ["a generated name that changes", {}, { operationId: "make" }, "POST /do: its operationId do is now make"],
  [
    "a body that is no longer taken",
    {},
    { paths: { "/do": { post: alone } } },
    "POST /do: a body of application/json is no longer taken",
  ],
  [
    "a body that must be there",
    { paths: { "/do": { post } } },
    { paths: { "/do": { post: { ...post, requestBody: { content: post.requestBody?.content ?? {}, required: true } } } } },
    "POST /do: a body is now required",
  ],
  ["a success that goes", {}, { paths: { "/do": { post: { ...post, responses: {} } } } }, "POST /do: the reply 200 is gone"],
  ["a parameter that goes", { parameters: [{ name: "id", in: "query" }] }, {}, "POST /do: the query parameter id is gone"],
  [
    "a new required parameter",
    {},
    { parameters: [{ name: "id", in: "query", required: true }] },
    "POST /do: the query parameter id is now required",
  ],
  [
    "a parameter that becomes required",
    { parameters: [{ name: "id", in: "query" }] },
    { parameters: [{ name: "id", in: "query", required: true }] },
    "POST /do: the query parameter id is now required",
  ],
  [
    "a parameter with fewer values",
    { parameters: [{ name: "order", in: "query", schema: { enum: ["asc", "desc"] } }] },
    { parameters: [{ name: "order", in: "query", schema: { enum: ["asc"] } }] },
    "POST /do: the query parameter order no longer takes desc",
  ],
  ["a request field that goes", {}, { body: without(BODY, "note") }, "POST /do: the body no longer takes note"],
  [
    "a new required request field",
    {},
    { body: { ...field(BODY, "size", { type: "string" }), required: ["model", "size"] } },
    "POST /do: the body must have size now",
  ],
  [
    "a request field that becomes required",
    {},
    { body: { ...BODY, required: ["model", "seconds"] } },
    "POST /do: the body must have seconds now",
  ],
  [
    "a request value that goes",
    {},
    { body: field(BODY, "model", { type: "string", enum: ["veo3"] }) },
    "POST /do: the body: model no longer takes veo2",
  ],
  [
    "a request field that had any value",
    {},
    { body: field(BODY, "note", { type: ["string", "null"], enum: ["a", null], maxLength: 10 }) },
    "POST /do: the body: note takes only a now",
  ],
  [
    "a request type that narrows",
    {},
    { body: field(BODY, "seconds", { type: "string" }) },
    "POST /do: the body: seconds may no longer be integer",
  ],
  [
    "a request field that loses null",
    {},
    { body: field(BODY, "note", { type: "string", maxLength: 10 }) },
    "POST /do: the body: note may no longer be null",
  ],
  [
    "a smaller upper bound",
    {},
    { body: field(BODY, "seconds", { type: "integer", minimum: 1, maximum: 30 }) },
    "POST /do: the body: seconds has a smaller maximum: 30",
  ],
  [
    "a new upper bound",
    {},
    { body: field(BODY, "model", { type: "string", enum: ["veo2", "veo3"], maxLength: 4 }) },
    "POST /do: the body: model has a smaller maxLength: 4",
  ],
  [
    "a larger lower bound",
    {},
    { body: field(BODY, "seconds", { type: "integer", minimum: 2, maximum: 60 }) },
    "POST /do: the body: seconds has a larger minimum: 2",
  ],
  [
    "a new pattern",
    {},
    { body: field(BODY, "model", { type: "string", enum: ["veo2", "veo3"], pattern: "^v" }) },
    "POST /do: the body: model has another pattern: ^v",
  ],
  [
    "an item that narrows",
    {},
    { body: field(BODY, "images", { type: "array", items: { type: "string", format: "uri" }, maxItems: 3 }) },
    "POST /do: the body: images: each item has another format: uri",
  ],
  [
    "an object that closes",
    { body: { type: "object" } },
    { body: { type: "object", additionalProperties: false } },
    "POST /do: the body no longer takes fields of any name",
  ],
  [
    "one of several forms that goes",
    { body: { anyOf: [{ type: "string" }, { type: "integer" }] } },
    { body: { anyOf: [{ type: "string" }, { type: "boolean" }] } },
    "POST /do: the body may no longer be integer",
  ],
  ["a reply field that goes", {}, { reply: without(REPLY, "link") }, "POST /do: the reply 200 no longer has link"],
  [
    "a reply field that may be missing",
    {},
    { reply: { ...REPLY, required: ["id"] } },
    "POST /do: the reply 200 may now lack status",
  ],
  [
    "a reply field that may be null",
    {},
    { reply: field(REPLY, "id", { type: ["string", "null"] }) },
    "POST /do: the reply 200: id may now be null",
  ],
  [
    "a reply field of another type",
    {},
    { reply: field(REPLY, "id", { type: "integer" }) },
    "POST /do: the reply 200: id may now be integer",
  ],
  [
    "a reply enum that opens",
    {},
    { reply: field(REPLY, "status", { type: "string" }) },
    "POST /do: the reply 200: status may now be anything, not only pending, failed",
  ],
  [
    "a constant that changes",
    { reply: { type: "string", enum: ["list"] } },
    { reply: { type: "string", enum: ["page"] } },
    "POST /do: the reply 200 is no longer list",
  ],
  [
    "a new form of a reply",
    { reply: { anyOf: [{ type: "string" }, { type: "integer" }] } },
    { reply: { anyOf: [{ type: "string" }, { type: "boolean" }] } },
    "POST /do: the reply 200 may now be boolean",
  ],
  [
    "a break behind a reference",
    { reply: { $ref: "#/components/schemas/Video" }, named: { Video: REPLY } },
    { reply: { $ref: "#/components/schemas/Video" }, named: { Video: without(REPLY, "link") } },
    "POST /do: the reply 200 no longer has link",
  ],
  ["an error code that goes", {}, { codes: ["invalid_json"] }, "the error code not_found is gone"],
];

const HARMLESS: readonly (readonly [what: string, before: Parts, after: Parts])[] = [
  ["nothing", {}, {}],
  ["a new path", {}, { paths: { ...aDocument().paths, "/more": { get: post } } }],
  ["a new optional parameter", {}, { parameters: [{ name: "id", in: "query" }] }],
  ["a new optional request field", {}, { body: field(BODY, "size", { type: "string" }) }],
  ["a request field that is no longer required", {}, { body: { ...BODY, required: [] } }],
  ["a new request value", {}, { body: field(BODY, "model", { type: "string", enum: ["veo2", "veo3", "veo4"] }) }],
  ["a wider bound", {}, { body: field(BODY, "seconds", { type: "integer", minimum: 0, maximum: 90 }) }],
  ["a number where an integer was asked", {}, { body: field(BODY, "seconds", { type: "number", minimum: 1, maximum: 60 }) }],
  ["a new reply field", {}, { reply: field(REPLY, "size", { type: "string" }) }],
  ["a reply field that is always there now", {}, { reply: { ...REPLY, required: ["id", "status", "link"] } }],
  ["a reply field that is never null now", {}, { reply: field(REPLY, "link", { type: "string" }) }],
  ["a new value in a reply", {}, { reply: field(REPLY, "status", { type: "string", enum: ["pending", "failed", "lost"] }) }],
  [
    "a schema that is named, and one that refers to itself",
    {
      reply: { $ref: "#/components/schemas/A" },
      named: { A: { ...REPLY, properties: { next: { $ref: "#/components/schemas/A" } } } },
    },
    {
      reply: { $ref: "#/components/schemas/B" },
      named: { B: { ...REPLY, properties: { next: { $ref: "#/components/schemas/B" } } } },
    },
  ],
  ["a new error code", {}, { codes: [...CODES, "queue_full"] }],
];

describe("a breaking change", () => {
  it.each(BREAKS)("is found in %s", (_, before, after, sentence) => {
    expect(breakingChanges(aDocument(before), aDocument(after))).toContain(sentence);
  });

  it.each(HARMLESS)("is not seen in %s", (_, before, after) => {
    expect(breakingChanges(aDocument(before), aDocument(after))).toEqual([]);
  });
});
