// What every operation of the document gets beside what its route says: an id, a tag, the errors that it may answer, with an
// example of each, and samples of the call. Told from what the operation takes and gives, so that a new route has it all at once.
import { codeSamples, type SampleCall } from "./code-samples.ts";
import { errorEntries, STATUS_TITLES, type ErrorEntry } from "./error-codes.ts";
import type { Place } from "./error-texts.ts";
import { TAGS } from "./openapi-texts.ts";
import { exampleOf, resolved, type Schema, type Schemas } from "./openapi-schemas.ts";

export interface MediaType {
  schema?: Schema;
  example?: unknown;
  examples?: Record<string, unknown>;
}

export interface Reply {
  $ref?: string;
  description?: string;
  headers?: Record<string, unknown>;
  content?: Record<string, MediaType>;
}

export interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly schema?: Schema;
  readonly example?: unknown;
}

export interface Operation {
  operationId?: string;
  tags?: string[];
  security?: Record<string, string[]>[];
  parameters?: Parameter[];
  requestBody?: { content: Record<string, MediaType> };
  responses: Record<string, Reply>;
  "x-codeSamples"?: unknown;
}

/** Where an operation is, and what is needed to read it. */
export interface Scene {
  readonly path: string;
  readonly method: string;
  readonly operation: Operation;
  readonly schemas: Schemas;
  readonly origin: string;
}

/** What follows the path of a link to a video. */
export const SAMPLE_SIGNATURE = "?exp=1704071100&kid=k1&sig=xxxxxxxx";
const REQUEST_ID = { "x-request-id": { $ref: "#/components/headers/RequestId" } };
const RETRY_AFTER = { "Retry-After": { $ref: "#/components/headers/RetryAfter" } };

/** Changes the operation in place. What its route says stays. */
export function complete(scene: Scene): void {
  const { path, method, operation } = scene;
  operation.operationId ??= operationIdOf(method, path);
  operation.tags ??= [tagOf(path)];
  for (const media of Object.values(operation.requestBody?.content ?? {})) {
    if (media.example === undefined && media.examples === undefined) media.example = exampleOf(media.schema ?? {}, scene.schemas);
  }
  const { default: _, ...named } = operation.responses;
  operation.responses = { ...named, ...errorReplies(scene) };
  for (const reply of Object.values(operation.responses)) reply.headers = { ...REQUEST_ID, ...reply.headers };
  operation["x-codeSamples"] = codeSamples(sampleCall(scene));
}

/** `GET /v1/webhooks/{id}` is `getWebhooksById`. */
function operationIdOf(method: string, path: string): string {
  const words = path.split(/[/_-]/).filter((word) => word !== "" && word !== "v1");
  const named = words.map((word) => (word.startsWith("{") ? `By${capital(word.slice(1, -1))}` : capital(word)));
  return method + named.join("");
}

function tagOf(path: string): string {
  const [word = "api"] = path.split("/").filter((each) => !["", "v1", "api"].includes(each));
  return TAGS.find(({ begins }) => begins.test(path))?.name ?? word;
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function errorReplies(scene: Scene): Record<string, Reply> {
  const places = placesOf(scene);
  const possible = errorEntries().filter(({ on }) => on.some((place) => places.has(place)));
  const byStatus = Map.groupBy(possible, ({ status }) => status);
  return Object.fromEntries([...byStatus].map(([status, entries]) => [status, errorReply(STATUS_TITLES[status], entries)]));
}

function errorReply(title: string, entries: readonly ErrorEntry[]): Reply {
  const examples = Object.fromEntries(entries.map(({ code }) => [code, { $ref: `#/components/examples/${code}` }]));
  return {
    description: `${title}: ${entries.map(({ code }) => `\`${code}\``).join(", ")}`,
    ...(entries.every(({ retryAfter }) => retryAfter) && { headers: RETRY_AFTER }),
    content: { "application/json": { schema: { $ref: "#/components/schemas/Error" }, examples } },
  };
}

/** What an operation has and does, in the words that codes say their places in. */
function placesOf({ path, method, operation, schemas }: Scene): ReadonlySet<Place> {
  const bodies = Object.values(operation.requestBody?.content ?? {});
  const fields = bodies.flatMap(({ schema = {} }) => Object.keys(resolved(schema, schemas).properties ?? {}));
  const parameters = operation.parameters ?? [];
  const isQuery = parameters.some((each) => each.in === "query");
  const isWebhook = path.includes("/webhooks");
  const isFile = Object.keys(operation.responses["200"]?.content ?? {}).includes("video/mp4");
  const isContent = isFile && path.endsWith("/content");
  // Which cancels what has not begun.
  const isDelete = method === "delete" && !isWebhook;
  const hasId = parameters.some(({ in: where, name }) => where === "path" || name === "id") || fields.includes("id");
  const generates = fields.includes("prompt");
  const claims: Record<Place, boolean> = {
    everywhere: true,
    key: (operation.security ?? []).length > 0,
    body: bodies.length > 0,
    form: "multipart/form-data" in (operation.requestBody?.content ?? {}),
    query: isQuery,
    input: bodies.length > 0 || isQuery,
    generation: generates,
    max_cost: fields.includes("max_cost"),
    webhook_url: fields.includes("webhook_url") || (isWebhook && fields.includes("url")),
    create: generates && !path.endsWith("/quote"),
    task: hasId && !isWebhook && (!isFile || isContent),
    watch: parameters.some(({ name }) => name === "token"),
    cancel: path.endsWith("/cancel") || isDelete,
    delete: path.endsWith("/delete") || isDelete,
    list: parameters.some(({ name }) => name === "after"),
    list_videos: path.endsWith("/video/list"),
    link: path.endsWith("/link"),
    file: isFile && !isContent,
    content: isContent,
    webhook: path.includes("/webhooks/{"),
    webhook_add: path.endsWith("/webhooks") && method === "post",
    webhook_send: isWebhook && /\/(test|replay)$/.test(path),
    delivery: path.includes("/deliveries/{"),
    operator: false,
    nowhere: false,
  };
  return new Set((Object.keys(claims) as Place[]).filter((place) => claims[place]));
}

function sampleCall({ path, method, operation, schemas, origin }: Scene): SampleCall {
  const parameters = operation.parameters ?? [];
  const value = (each: Parameter): string => String(each.example ?? exampleOf(each.schema ?? {}, schemas, each.name));
  const inPath = (name: string): string => {
    const found = parameters.find((each) => each.in === "path" && each.name === name);
    return found === undefined ? name : value(found);
  };
  const query = parameters.filter((each) => each.in === "query" && each.required === true);
  const asked = query.map((each, index) => `${index === 0 ? "?" : "&"}${each.name}=${value(each)}`).join("");
  const reply = replyKind(operation);
  const needsKey = (operation.security ?? []).length > 0;
  const search = reply === "file" && !needsKey ? SAMPLE_SIGNATURE : asked;
  const url = `${origin}${path.replaceAll(/\{(\w+)\}/g, (_, name: string) => inPath(name))}${search}`;
  return { method: method.toUpperCase(), url, needsKey, body: sampleBody(operation), reply };
}

function sampleBody({ requestBody }: Operation): SampleCall["body"] {
  const content = requestBody?.content ?? {};
  const [type, media] = Object.entries(content).find(([name]) => name === "application/json") ?? Object.entries(content)[0] ?? [];
  if (type === undefined || media === undefined) return null;
  const [named] = Object.values(media.examples ?? {}) as { value?: unknown }[];
  return { type: type === "application/json" ? "json" : "form", value: media.example ?? named?.value };
}

function replyKind({ responses }: Operation): SampleCall["reply"] {
  const [, success] = Object.entries(responses).find(([status]) => status.startsWith("2")) ?? [];
  const types = Object.keys(success?.content ?? {});
  if (types.includes("application/json")) return "json";
  if (types.includes("text/event-stream")) return "stream";
  return types.length > 0 ? "file" : "nothing";
}
