// What is done to the document's schemas: reading through references, and making examples of them.

/** As much of a JSON Schema as our own routes make. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly example?: unknown;
  readonly examples?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly format?: string;
  readonly minimum?: number;
  additionalProperties?: boolean | Schema;
}

export type Schemas = Readonly<Record<string, Schema>>;

/** The schema itself where a reference stands, and one where several are to hold. */
export function resolved(schema: Schema, schemas: Schemas): Schema {
  if (schema.$ref !== undefined) return resolved(schemas[schema.$ref.split("/").at(-1) ?? ""] ?? {}, schemas);
  if (schema.allOf === undefined) return schema;
  const { allOf, ...rest } = schema;
  return [...allOf.map((part) => resolved(part, schemas)), rest].reduce((merged, part) => ({
    ...merged,
    ...part,
    properties: { ...merged.properties, ...part.properties },
    required: [...(merged.required ?? []), ...(part.required ?? [])],
  }));
}

/** For fields of which a schema says too little to make a good example. */
const BY_NAME: Readonly<Record<string, unknown>> = {
  id: "veo3:1704067200-xxxxxxxx",
  model: "veo3",
  prompt: "A serene lake with mountains in the background at sunset",
  enhance_prompt: true,
  aspect_ratio: "16:9",
  url: "https://example.com/hooks/videos",
};
/** Shown though they may be left out: as in the samples that everybody knows. */
const SHOWN = ["enhance_prompt", "aspect_ratio"];

/** What must be given, and little more. */
export function exampleOf(schema: Schema, schemas: Schemas, name = ""): unknown {
  const known = resolved(schema, schemas);
  const [first = known.const ?? known.default] = [known.example, ...(known.examples ?? [])].filter((each) => each !== undefined);
  if (first !== undefined) return first;
  if (name in BY_NAME) return BY_NAME[name];
  if (known.enum !== undefined) return known.enum.find((each) => each !== null);
  const [variant] = known.anyOf ?? known.oneOf ?? [];
  if (variant !== undefined) return exampleOf(variant, schemas, name);
  switch (typeof known.type === "string" ? known.type : known.type?.find((each) => each !== "null")) {
    case "object":
      return Object.fromEntries(
        namesShown(known, schemas).map((each) => [each, exampleOf(known.properties?.[each] ?? {}, schemas, each)]),
      );
    case "array":
      return [exampleOf(known.items ?? {}, schemas, name)];
    case "integer":
    case "number":
      return Math.max(known.minimum ?? 1, 1);
    case "boolean":
      return true;
    default:
      return known.format === "uri" ? "https://example.com" : "text";
  }
}

function namesShown({ properties = {}, required = [] }: Schema, schemas: Schemas): string[] {
  const names = Object.keys(properties);
  const shown = names.filter((name) => required.includes(name) || SHOWN.includes(name));
  if (shown.length > 0) return shown;
  // Nothing must be given, and nothing at all would show little.
  const telling = names.find((name) => resolved(properties[name] ?? {}, schemas).example !== undefined);
  return [telling ?? names[0]].filter((name) => name !== undefined);
}

/**
 * Replies may gain fields, so what describes them must not forbid others; requests refuse what they do not know. Changes the
 * schema in place.
 */
export function openUp(schema: Schema): void {
  if (schema.additionalProperties === false) delete schema.additionalProperties;
  const { properties = {}, items, anyOf = [], oneOf = [], allOf = [], additionalProperties } = schema;
  const nested = [...Object.values(properties), ...anyOf, ...oneOf, ...allOf, items, additionalProperties];
  for (const each of nested) if (typeof each === "object") openUp(each);
}

/** The names of the schemas that these refer to, directly or not. */
export function namesIn(value: unknown, schemas: Schemas, found = new Set<string>()): Set<string> {
  if (typeof value !== "object" || value === null) return found;
  for (const [key, each] of Object.entries(value)) {
    const name = key === "$ref" && typeof each === "string" ? (/^#\/components\/schemas\/(.+)$/.exec(each)?.[1] ?? null) : null;
    if (name === null) namesIn(each, schemas, found);
    else if (!found.has(name)) namesIn(schemas[name], schemas, found.add(name));
  }
  return found;
}
