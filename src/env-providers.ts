// The PROVIDERS setting: which upstreams there are, in what order they are used, and within what limits.
import { z } from "zod";
import { MODEL_NAMES } from "./core/models.ts";
import { didYouMean } from "./core/suggest.ts";

export const PROVIDER_KINDS = ["seed-style", "openai-style", "gemini", "veo", "fal", "replicate", "openrouter"] as const;
export type ProviderKind = (typeof PROVIDER_KINDS)[number];

/** Where the wire has no well-known host, the operator names it. */
const NEEDS_BASE: readonly ProviderKind[] = ["seed-style", "openai-style"];
/** Closed since September 2026; the wire lives on at others. */
const CLOSED_HOSTS = ["api.openai.com"];

/** fal's addresses have no version; the other wires write it themselves, behind the base. */
const WRITES_NO_VERSION: readonly ProviderKind[] = ["fal"];

/** These take a service account's JSON in place of a key. */
const OF_GOOGLE: readonly ProviderKind[] = ["gemini", "veo"];
const serviceAccount = z.looseObject({
  client_email: z.string().min(1),
  private_key: z.string().regex(/^\s*-----BEGIN PRIVATE KEY-----[\sA-Za-z0-9+/=]+-----END PRIVATE KEY-----\s*$/),
  project_id: z.string().regex(/^[a-z][a-z0-9.:-]*$/),
  token_uri: z.url().nullish(),
});

/** Who signs callbacks with a secret that the account's settings show, and what such a secret looks like. The others have public keys, or none. */
const CALLBACK_SECRETS: Partial<Record<ProviderKind, { readonly form: RegExp; readonly says: string }>> = {
  // Standard Webhooks: at least 16 bytes.
  replicate: { form: /^whsec_(?:[A-Za-z0-9+/]{4}){5,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, says: "whsec_ and base64" },
  openrouter: { form: /^[!-~]{8,}$/, says: "8 characters or more, without spaces" },
};

const TOKEN_URI = "https://oauth2.googleapis.com/token";

/** Each name in it that nobody knows is told, with the one that was probably meant, or else all that there are. */
export function onlyNames(names: readonly string[]): { readonly error: z.core.$ZodErrorMap } {
  return {
    error(issue) {
      if (issue.code !== "unrecognized_keys") return undefined;
      const unknown = issue.keys.map((name) => `There is no ${JSON.stringify(name).slice(1, -1)}.${didYouMean(name, names)}`);
      return unknown.every((sentence) => sentence.endsWith("?"))
        ? unknown.join(" ")
        : `${unknown.join(" ")} These there are: ${names.join(", ")}`;
    },
  };
}

/** An object with these names, and no other. */
export function namedSetting<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, onlyNames(Object.keys(shape)));
}

const secretName = z.string().regex(/^[A-Z][A-Z0-9_]*$/, "the name of a secret, as UP_KEY");
/**
 * Both at their longest are seven minutes: handed over just before its deadline, and polled for the last time after that, a task still
 * has a minute in which the copy of its video may begin (STORING_GRACE_MS in core/task-schedule), and so ends within 15 minutes of its
 * deadline. The alarm that is armed before a call may come due while it lasts: it waits for the step under way (VideoTask).
 */
export const timeoutsSetting = namedSetting({
  submit_seconds: z.number().min(5).max(300).default(60),
  /** Of a cancel, too. */
  poll_seconds: z.number().min(5).max(120).default(30),
});

const secretNames = z.union([secretName, z.array(secretName).min(1).max(20)]);
const provider = namedSetting({
  name: z
    .string()
    .regex(/^[a-z0-9-]{1,32}$/, "1 to 32 of a-z, 0-9 and -")
    .refine((name) => name !== "simulated", "simulated is built in"),
  kind: z.enum(PROVIDER_KINDS),
  base_url: z.url().optional(),
  /** One name, or several: any of the keys may serve, and a task stays with the one it began with. */
  api_key_secret: secretNames,
  /** The same for what callbacks are signed with. With it, a callback that is not is no hint. */
  callback_secret: secretNames.optional(),
  models: z.partialRecord(z.enum(MODEL_NAMES), z.string().min(1), onlyNames(MODEL_NAMES)).optional(),
  /** Lower goes first. */
  priority: z.int().min(0).default(1),
  /** Among equals of priority, how many tasks in proportion. */
  weight: z.number().positive().max(1_000).default(1),
  /** Tasks at a time, and submits a minute. */
  concurrency: z.int().min(1).optional(),
  requests_per_minute: z.int().min(1).optional(),
  median_seconds: z.number().min(1).optional(),
  timeouts: timeoutsSetting.prefault({}),
  /** A task that takes this many times the 95th percentile goes to another provider. Nearer to 1 it would be paid for twice too often. */
  overdue_factor: z.number().min(1.5).max(100).optional(),
  /** What a video costs you there, in US cents, for the orphans' list. */
  cost_cents: z.number().min(0).optional(),
  /** What tenants may choose it by. */
  tags: z.array(z.string().regex(/^[a-z0-9-]{1,32}$/, "1 to 32 of a-z, 0-9 and -")).default([]),
  region: z
    .string()
    .regex(/^[a-z0-9-]{1,40}$/)
    .optional(),
  storage_uri: z
    .string()
    .regex(/^gs:\/\/./, "begins with gs://")
    .optional(),
  result_hosts: z
    .array(z.string().regex(/^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*$/i, "a host, as cdn.example.com or *.example.com"))
    .min(1)
    .optional(),
  honours_idempotency_key: z.boolean().default(false),
});

/** Each is parsed by itself, so that what is wrong with one is told whole. */
export const providersSetting = z.array(z.unknown());

type Given = z.infer<typeof provider>;
export interface ProviderSettings extends Omit<Given, "base_url" | "api_key_secret" | "callback_secret"> {
  /** Without a trailing slash; null: the wire's own host. */
  readonly base_url: string | null;
  /** By the names of their secrets; at least one. */
  readonly credentials: readonly { readonly name: string; readonly value: string }[];
  /** Empty: callbacks are taken by their sealed URL, or by the provider's public keys. */
  readonly callbackSecrets: readonly string[];
}

/** With their secrets; those that are wrong are left out. `problems` gets what is wrong, one a line, naming settings and never their values. */
export function resolveProviders(
  listed: readonly unknown[],
  secret: (name: string) => string,
  local: boolean,
  problems: string[],
): ProviderSettings[] {
  const firstOf = new Map<string, number>();
  return listed.flatMap((entry, index) => {
    const parsed = provider.safeParse(entry);
    const given: Sound = parsed.data ?? soundPartsOf(entry);
    const { name } = given;
    const report = (path: readonly PropertyKey[], why: string): void => {
      problems.push(`${["PROVIDERS", index, ...path].map(String).join(".")}${name === undefined ? "" : ` (${name})`}: ${why}`);
    };
    for (const { path, message } of parsed.error?.issues ?? []) report(path, message);
    const first = name === undefined ? undefined : firstOf.get(name);
    if (first !== undefined) report(["name"], `PROVIDERS.${first} has the same name`);
    else if (name !== undefined) firstOf.set(name, index);
    judgeKeys(given, secret, local, (why) => report(["api_key_secret"], why));
    const hasBase = typeof entry === "object" && entry !== null && "base_url" in entry;
    judgeBase(given, hasBase, local, (why) => report(["base_url"], why));
    judgeCallbackSecrets(given, secret, (why) => report(["callback_secret"], why));
    return parsed.success ? [withSecrets(parsed.data, secret)] : [];
  });
}

function withSecrets(
  { api_key_secret, callback_secret = [], base_url, ...rest }: Given,
  secret: (name: string) => string,
): ProviderSettings {
  return {
    ...rest,
    base_url: base_url?.replace(/\/+$/, "") ?? null,
    credentials: [api_key_secret].flat().map((name) => ({ name, value: secret(name) })),
    callbackSecrets: [callback_secret].flat().map(secret),
  };
}

type Sound = { readonly [Name in "name" | "kind" | "base_url" | "api_key_secret" | "callback_secret"]?: Given[Name] | undefined };

/** Of an entry that is wrong: what else might be must not wait until that is mended. */
function soundPartsOf(entry: unknown): Sound {
  if (typeof entry !== "object" || entry === null) return {};
  const { name, kind, base_url, api_key_secret, callback_secret } = provider.shape;
  const parts = z.object({
    name: name.optional().catch(undefined),
    kind: kind.optional().catch(undefined),
    base_url: base_url.catch(undefined),
    api_key_secret: api_key_secret.optional().catch(undefined),
    callback_secret: callback_secret.catch(undefined),
  });
  return parts.safeParse(entry).data ?? {};
}

type Report = (why: string) => void;

function judgeKeys({ kind, api_key_secret = [] }: Sound, secret: (name: string) => string, local: boolean, report: Report): void {
  const isOfGoogle = kind !== undefined && OF_GOOGLE.includes(kind);
  const credentials = [api_key_secret].flat().map((name) => ({ name, value: secret(name) }));
  for (const { name, value } of credentials) {
    if (value === "") report(`${name} is not set; it is to be a secret`);
    if (isOfGoogle && !isReadable(value, local)) {
      const needed = "with client_email, private_key (PKCS#8 in PEM), project_id, and Google's own token_uri or none";
      report(`${name} begins with { and is no service account's JSON, ${needed}`);
    }
  }
  // Their models have other names, at other hosts.
  const forms = new Set(credentials.map(({ value }) => isServiceAccount(value)));
  if (isOfGoogle && forms.size > 1) report("API keys and service accounts are two providers; give each its own entry");
}

function judgeBase({ kind, base_url: base }: Sound, isGiven: boolean, local: boolean, report: Report): void {
  if (base === undefined) {
    if (kind !== undefined && NEEDS_BASE.includes(kind) && !isGiven) report(`${kind} has no host of its own; name it`);
    return;
  }
  if (!isAllowedBase(base, local)) report(`must be an https URL${local ? ", or http on loopback" : ""}`);
  if (CLOSED_HOSTS.includes(new URL(base).hostname)) {
    report("OpenAI closed its Videos API in September 2026; name another server that speaks it");
  }
  const { username, password, search, hash } = new URL(base);
  if (username + password !== "") report("leave user and password out: a request with them is never sent");
  if (search + hash !== "") report("leave ? and # out: paths are put at its end");
  const version = kind === undefined || WRITES_NO_VERSION.includes(kind) ? null : versionAtEnd(base);
  if (version !== null) report(`leave ${version} out at its end; ${kind} adds the version itself`);
}

function judgeCallbackSecrets({ kind, callback_secret = [] }: Sound, secret: (name: string) => string, report: Report): void {
  if (kind === undefined) return;
  for (const name of [callback_secret].flat()) {
    const why = callbackProblem(kind, name, secret(name));
    if (why !== null) report(why);
  }
}

function callbackProblem(kind: ProviderKind, name: string, value: string): string | null {
  const taken = CALLBACK_SECRETS[kind];
  if (taken === undefined) {
    return `${kind} signs no callbacks with a secret; these do: ${Object.keys(CALLBACK_SECRETS).join(", ")}`;
  }
  if (value === "") return `${name} is not set; it is to be a secret`;
  return taken.form.test(value) ? null : `${name} is not what ${kind} signs with: ${taken.says}`;
}

function isServiceAccount(credential: string): boolean {
  return credential.trimStart().startsWith("{");
}

/** A key is; so is what a service account's file has. */
function isReadable(credential: string, local: boolean): boolean {
  if (!isServiceAccount(credential)) return true;
  try {
    const { token_uri: at } = serviceAccount.parse(JSON.parse(credential));
    return at == null || at === TOKEN_URI || (local && isAllowedBase(at, local));
  } catch {
    return false;
  }
}

/** As `/v1`; null: it ends in none. */
function versionAtEnd(base: string): string | null {
  return /\/v\d+(?:beta\d*)?(?=\/*$)/i.exec(new URL(base).pathname)?.[0] ?? null;
}

function isAllowedBase(base: string, local: boolean): boolean {
  const { protocol, hostname } = new URL(base);
  return protocol === "https:" || (local && protocol === "http:" && ["127.0.0.1", "localhost", "[::1]"].includes(hostname));
}
