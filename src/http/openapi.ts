// The contract, drawn from the very route objects that validate. What it gives is committed as openapi.json beside this file and
// served from there, because drawing takes more time than a request may on the small plan. `npm run openapi` writes it anew, and a
// test fails until that has been done.
import { NEWS_TYPES } from "../core/news.ts";
import type { App } from "./context.ts";
import { SAMPLE_ORIGIN } from "./docs.ts";
import { errorEntries } from "./error-codes.ts";
import { failureEntries, sampleTask } from "./failure-codes.ts";
import { complete, SAMPLE_SIGNATURE, type MediaType, type Operation } from "./openapi-operations.ts";
import { namesIn, openUp, type Schema } from "./openapi-schemas.ts";
import { DESCRIPTION, TAGS } from "./openapi-texts.ts";
import { queryBody } from "../service/query-body.ts";

export interface OpenApiDocument {
  readonly openapi: string;
  readonly info: object;
  readonly servers: readonly { readonly url: string }[];
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly webhooks: object;
  readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>> & {
    readonly schemas: Readonly<Record<string, Schema>>;
  };
}

/** With every route that is mounted by the time of the call, but those that are hidden. */
export function openApiDocument(app: App): OpenApiDocument {
  const info = { title: "Reelay", version: "1", description: DESCRIPTION, license: { name: "MIT", identifier: "MIT" } };
  // By way of JSON, so that what is changed below is nobody else's.
  const { paths, components, ...rest } = JSON.parse(
    JSON.stringify(app.getOpenAPI31Document({ openapi: "3.1.1", info, servers: [{ url: SAMPLE_ORIGIN }] })),
  ) as OpenApiDocument;
  const { schemas } = components;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation, schemas, origin: SAMPLE_ORIGIN })),
  );
  for (const scene of operations) complete(scene);
  for (const { operation } of operations) openReplies(operation);
  const asked = namesIn(
    operations.map(({ operation: { requestBody, parameters } }) => [requestBody, parameters]),
    schemas,
  );
  for (const [name, schema] of Object.entries(schemas)) if (!asked.has(name)) openUp(schema);
  for (const media of operations.flatMap(({ operation }) => mediaOf(operation))) showVideos(media);
  const used = new Set(operations.flatMap(({ operation }) => operation.tags ?? []));
  const known = TAGS.filter(({ name }) => used.has(name));
  const others = [...used].filter((name) => !known.some((tag) => tag.name === name));
  return {
    ...rest,
    tags: [
      ...known.map(({ name, title, description }) => ({ name, "x-displayName": title, description })),
      ...others.map((name) => ({ name })),
    ],
    paths,
    webhooks: webhooks(),
    components: {
      ...components,
      securitySchemes,
      headers,
      examples: { ...errorExamples(), ...createdExample(), ...videoExamples() },
    },
  };
}

const securitySchemes = {
  bearer: { type: "http", scheme: "bearer", description: "Your API key: `sk-live-…`, or `sk-test-…` for simulated videos." },
};

const headers = {
  RequestId: { description: "This request's id, for questions about it.", schema: { type: "string" } },
  RetryAfter: { description: "Seconds to wait before the request is repeated.", schema: { type: "integer" } },
};

function mediaOf({ responses }: Operation): MediaType[] {
  return Object.values(responses).flatMap(({ content = {} }) => Object.values(content));
}

function openReplies(operation: Operation): void {
  for (const { schema } of mediaOf(operation)) if (schema !== undefined) openUp(schema);
}

function errorExamples(): Record<string, object> {
  const tenants = errorEntries().filter(({ on }) => !on.includes("operator"));
  return Object.fromEntries(
    tenants.map(({ code, example, why, todo, charged }) => [
      code,
      { summary: why, description: `${todo}\n\nCharged? ${charged}`, value: example },
    ]),
  );
}

/** One of each status, and of each way to fail. */
function videoExamples(): Record<string, object> {
  const videoUrl = `${SAMPLE_ORIGIN}/v1/video/file/veo3:1704067200-xxxxxxxx${SAMPLE_SIGNATURE}`;
  const states = [
    sampleTask({ status: "processing", statusChangedAt: 1_704_067_205 }),
    sampleTask({ status: "completed", statusChangedAt: 1_704_067_500, videoUrl }),
    sampleTask({ status: "pending" }),
  ];
  return Object.fromEntries([
    ...states.map((task) => [task.status, { summary: `A task that is ${task.status}`, value: queryBody(task) }]),
    ...failureEntries().map(({ code, example, why, todo }) => [
      `failed_${code}`,
      { summary: `Failed: ${code}`, description: `${why}\n\n${todo}`, value: example },
    ]),
  ]) as Record<string, object>;
}

function createdExample(): Record<string, object> {
  const { video_url: _, ...value } = queryBody(sampleTask({ status: "pending" }));
  return { created: { summary: "A task that was just created", value } };
}

/** What a reply of a schema may look like, by the schema's name. */
const SHOWN: Readonly<Record<string, () => Record<string, object>>> = { CreatedVideo: createdExample, Video: videoExamples };

function showVideos(media: MediaType): void {
  if (media.example !== undefined || media.examples !== undefined) return;
  const variants = media.schema?.anyOf ?? [media.schema];
  const names = variants.flatMap((each) => Object.keys(SHOWN[each?.$ref?.split("/").at(-1) ?? ""]?.() ?? {}));
  if (names.length > 0) media.examples = Object.fromEntries(names.map((name) => [name, { $ref: `#/components/examples/${name}` }]));
}

const VIDEO = { $ref: "#/components/schemas/Video" };

/** What is sent to tenants: the body of a query, signed. */
function webhooks(): object {
  const header = (name: string, description: string) => ({
    name,
    in: "header",
    required: true,
    description,
    schema: { type: "string" },
  });
  const post = (type: string) => ({
    operationId: `on${type.replaceAll(/(?:^|\.)(\w)/g, (_, first: string) => first.toUpperCase())}`,
    summary: type,
    description: "The body is what a query of the task answers. Check the signature before you believe it, and answer 2xx.",
    tags: ["webhooks"],
    security: [],
    parameters: [
      header("webhook-id", "The same for each repetition of a message: what was seen before may be ignored."),
      header("webhook-timestamp", "Unix seconds of this attempt."),
      header(
        "webhook-signature",
        "`v1,` and a signature in Base64; several, separated by spaces, while a secret is being changed.",
      ),
      header("webhook-event", `\`${type}\``),
    ],
    requestBody: { required: true, content: { "application/json": { schema: VIDEO } } },
    responses: { 200: { description: "Taken. Anything but 2xx is repeated later." } },
  });
  return Object.fromEntries(NEWS_TYPES.map((type) => [type, { post: post(type) }]));
}
