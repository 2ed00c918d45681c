// How one JSON Schema falls short of an earlier one: for what is asked of us, and for what we tell.

export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: string | number | boolean | null;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: boolean | Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly pattern?: string;
  readonly format?: string;
  readonly [bound: string]: unknown;
}

/** The named schemas of both documents. */
export type Books = readonly [old: Readonly<Record<string, Schema>>, now: Readonly<Record<string, Schema>>];

type Judge = (where: string, old: Schema, now: Schema, books: Books, seen?: readonly string[]) => string[];

/** What was accepted must still be. */
export const asked: Judge = (where, rawOld, rawNow, books, seen = []) => {
  if (isSeen(rawOld, seen)) return [];
  const next = [...seen, rawOld.$ref ?? ""];
  const [olds, nows] = [variants(rawOld, books[0]), variants(rawNow, books[1])];
  const lost = olds.filter((old) => old.type === "null" && !nows.some((now) => allowsNull(now)));
  const found = lost.map(() => `${where} may no longer be null`);
  const [old, now] = [onlyOne(olds), onlyOne(nows)];
  if (old !== null && now !== null) return [...found, ...narrowings(where, old, now, books, next)];
  for (const each of olds.filter(({ type }) => type !== "null")) {
    if (!nows.some((other) => narrowings(where, each, other, books, next).length === 0)) {
      found.push(`${where} may no longer be ${describe(each)}`);
    }
  }
  return found;
};

function narrowings(where: string, old: Schema, now: Schema, books: Books, seen: readonly string[]): string[] {
  const found = typesOf(old)
    .filter((type) => !accepts(typesOf(now), type))
    .map((type) => `${where} may no longer be ${type}`);
  const [before, after] = [valuesOf(old), valuesOf(now)];
  if (after !== null && before === null) found.push(`${where} takes only ${after.join(", ")} now`);
  for (const value of before ?? []) {
    if (after !== null && !after.includes(value)) found.push(`${where} no longer takes ${value}`);
  }
  for (const bound of ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"]) {
    const [most, limit] = [Number(old[bound] ?? Infinity), Number(now[bound] ?? Infinity)];
    if (limit < most) found.push(`${where} has a smaller ${bound}: ${limit}`);
  }
  for (const bound of ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"]) {
    const [least, limit] = [Number(old[bound] ?? -Infinity), Number(now[bound] ?? -Infinity)];
    if (limit > least && !(bound.startsWith("min") && bound !== "minimum" && limit <= 0)) {
      found.push(`${where} has a larger ${bound}: ${limit}`);
    }
  }
  for (const rule of ["pattern", "format"] as const) {
    if (now[rule] !== undefined && now[rule] !== old[rule]) found.push(`${where} has another ${rule}: ${now[rule]}`);
  }
  for (const [name, schema] of Object.entries(old.properties ?? {})) {
    const match = now.properties?.[name];
    if (match !== undefined) found.push(...asked(`${where}: ${name}`, schema, match, books, seen));
    else found.push(`${where} no longer takes ${name}`);
  }
  for (const name of now.required ?? []) {
    if (!(old.required ?? []).includes(name)) found.push(`${where} must have ${name} now`);
  }
  const [more, less] = [old.additionalProperties, now.additionalProperties];
  if (less === false && more !== false) found.push(`${where} no longer takes fields of any name`);
  if (typeof less === "object")
    found.push(...(typeof more === "object" ? asked(`${where}: each field`, more, less, books, seen) : []));
  if (old.items !== undefined && now.items !== undefined)
    found.push(...asked(`${where}: each item`, old.items, now.items, books, seen));
  return found;
}

/** What was promised must still hold. */
export const told: Judge = (where, rawOld, rawNow, books, seen = []) => {
  if (isSeen(rawOld, seen)) return [];
  const next = [...seen, rawOld.$ref ?? ""];
  const [olds, nows] = [variants(rawOld, books[0]), variants(rawNow, books[1])];
  const found =
    nows.some((each) => each.type === "null") && !olds.some((each) => allowsNull(each)) ? [`${where} may now be null`] : [];
  const [old, now] = [onlyOne(olds), onlyOne(nows)];
  if (old !== null && now !== null) return [...found, ...widenings(where, old, now, books, next)];
  for (const each of nows.filter(({ type }) => type !== "null")) {
    if (!olds.some((other) => widenings(where, other, each, books, next).length === 0)) {
      found.push(`${where} may now be ${describe(each)}`);
    }
  }
  return found;
};

function widenings(where: string, old: Schema, now: Schema, books: Books, seen: readonly string[]): string[] {
  const found = typesOf(now)
    .filter((type) => !accepts(typesOf(old), type))
    .map((type) => `${where} may now be ${type}`);
  if (valuesOf(old) !== null && valuesOf(now) === null)
    found.push(`${where} may now be anything, not only ${valuesOf(old)?.join(", ")}`);
  const [only, second] = valuesOf(old) ?? [];
  if (only !== undefined && second === undefined && valuesOf(now)?.includes(only) === false)
    found.push(`${where} is no longer ${only}`);
  for (const [name, schema] of Object.entries(old.properties ?? {})) {
    const match = now.properties?.[name];
    if (match === undefined) found.push(`${where} no longer has ${name}`);
    else found.push(...told(`${where}: ${name}`, schema, match, books, seen));
    if (match !== undefined && (old.required ?? []).includes(name) && !(now.required ?? []).includes(name)) {
      found.push(`${where} may now lack ${name}`);
    }
  }
  if (old.items !== undefined && now.items !== undefined)
    found.push(...told(`${where}: each item`, old.items, now.items, books, seen));
  const [before, after] = [old.additionalProperties, now.additionalProperties];
  if (typeof before === "object" && typeof after === "object")
    found.push(...told(`${where}: each field`, before, after, books, seen));
  return found;
}

/** Without references and unions; null apart from what else it may be. */
function variants(schema: Schema, book: Readonly<Record<string, Schema>>): Schema[] {
  const known = flat(schema, book);
  const union = known.anyOf ?? known.oneOf;
  if (union !== undefined) return union.flatMap((each) => variants(each, book));
  const types = typesOf(known);
  if (types.length < 2 || !types.includes("null")) return [known];
  const values = known.enum?.filter((value) => value !== null);
  const rest = { ...known, type: types.filter((type) => type !== "null"), ...(values !== undefined && { enum: values }) };
  return [rest, { type: "null" }];
}

function flat(schema: Schema, book: Readonly<Record<string, Schema>>): Schema {
  if (schema.$ref !== undefined) {
    const target = book[schema.$ref.replace("#/components/schemas/", "")];
    if (target === undefined) throw new Error(`${schema.$ref} leads nowhere`);
    return flat(target, book);
  }
  const { allOf, ...rest } = schema;
  return (allOf ?? []).reduce<Schema>((merged, part) => {
    const known = flat(part, book);
    const required = [...(merged.required ?? []), ...(known.required ?? [])];
    return { ...merged, ...known, properties: { ...merged.properties, ...known.properties }, required };
  }, rest);
}

/** What it may be beside null; null where there are several. */
function onlyOne(schemas: readonly Schema[]): Schema | null {
  const [first, second] = schemas.filter(({ type }) => type !== "null");
  return first !== undefined && second === undefined ? first : null;
}

function typesOf({ type, ...schema }: Schema): string[] {
  if (type !== undefined) return [type].flat();
  if (schema.properties !== undefined) return ["object"];
  return [];
}

/** A schema without a type takes everything; a number takes integers. */
function accepts(types: readonly string[], type: string): boolean {
  return types.length === 0 || types.includes(type) || (type === "integer" && types.includes("number"));
}

function allowsNull(schema: Schema): boolean {
  return accepts(typesOf(schema), "null");
}

function valuesOf(schema: Schema): string[] | null {
  if (schema.const !== undefined) return [String(schema.const)];
  return schema.enum?.map(String) ?? null;
}

function describe(schema: Schema): string {
  return valuesOf(schema)?.join(", ") ?? (Object.keys(schema.properties ?? {}).join(", ") || typesOf(schema).join(" or "));
}

function isSeen({ $ref }: Schema, seen: readonly string[]): boolean {
  return $ref !== undefined && seen.includes($ref);
}
