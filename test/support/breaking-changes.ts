// What a caller who relied on one OpenAPI document can no longer rely on in the next, each as a sentence. Requests may only be
// taken more freely, replies may only say more. A reply's enum may gain values, and an object fields: callers are told to expect that.

import { asked, told, type Books, type Schema } from "./schema-breaks.ts";

interface Media {
  readonly schema?: Schema;
}

interface Operation {
  readonly operationId?: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly schema?: Schema;
  }[];
  readonly requestBody?: { readonly required?: boolean; readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, Media>> }>>;
}

export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>;
    /** The error codes are those of which the value is an error body. */
    readonly examples?: Readonly<Record<string, { readonly value?: unknown }>>;
  };
}

/** Empty: who could use `before` can use `after`. */
export function breakingChanges(before: Document, after: Document): string[] {
  const schemas = [before.components.schemas, after.components.schemas] as const;
  const operations = Object.entries(before.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, old]) => {
      const name = `${method.toUpperCase()} ${path}`;
      const now = after.paths[path]?.[method];
      return now === undefined ? [`${name} is gone`] : operationBreaks(name, old, now, schemas);
    }),
  );
  const codes = [...errorCodes(after)];
  return [
    ...operations,
    ...[...errorCodes(before)].filter((code) => !codes.includes(code)).map((code) => `the error code ${code} is gone`),
  ];
}

function operationBreaks(name: string, old: Operation, now: Operation, books: Books): string[] {
  const found: string[] = [];
  if (old.operationId !== now.operationId) found.push(`${name}: its operationId ${old.operationId} is now ${now.operationId}`);
  const key = (each: { name: string; in: string }): string => `${each.in} parameter ${each.name}`;
  for (const each of old.parameters ?? []) {
    const match = now.parameters?.find((other) => key(other) === key(each));
    if (match === undefined) found.push(`${name}: the ${key(each)} is gone`);
    else found.push(...asked(`${name}: the ${key(each)}`, each.schema ?? {}, match.schema ?? {}, books));
  }
  for (const each of now.parameters ?? []) {
    const had = old.parameters?.find((other) => key(other) === key(each));
    if (each.required === true && had?.required !== true) found.push(`${name}: the ${key(each)} is now required`);
  }
  if (now.requestBody?.required === true && old.requestBody?.required !== true) found.push(`${name}: a body is now required`);
  for (const [type, media] of Object.entries(old.requestBody?.content ?? {})) {
    const match = now.requestBody?.content[type];
    if (match === undefined) found.push(`${name}: a body of ${type} is no longer taken`);
    else found.push(...asked(`${name}: the body`, media.schema ?? {}, match.schema ?? {}, books));
  }
  for (const [status, reply] of Object.entries(old.responses)) {
    // Which errors an operation may answer is free to change; what an error looks like is not.
    const match = now.responses[status];
    if (match === undefined) {
      if (Number(status) < 400) found.push(`${name}: the reply ${status} is gone`);
      continue;
    }
    for (const [type, media] of Object.entries(reply.content ?? {})) {
      const other = match.content?.[type];
      if (other === undefined) found.push(`${name}: the reply ${status} is no longer given as ${type}`);
      else found.push(...told(`${name}: the reply ${status}`, media.schema ?? {}, other.schema ?? {}, books));
    }
  }
  return found;
}

function errorCodes({ components: { examples = {} } }: Document): string[] {
  return Object.values(examples).flatMap(({ value }) => {
    const code = (value as { error?: { code?: unknown; type?: unknown } } | undefined)?.error?.code;
    return typeof code === "string" ? [code] : [];
  });
}
