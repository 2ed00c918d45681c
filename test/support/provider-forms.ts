// The seven wires in each of their forms: an emulator, and how an operator would configure it, each for one public model of its own.
import { setTimeout as sleep } from "node:timers/promises";
import { startFalEmulator } from "./emulators/fal.ts";
import { startGoogleEmulator, type GoogleEmulator } from "./emulators/google.ts";
import { PUBLIC_KEY, serviceAccountJson } from "./emulators/google-credentials.ts";
import { startOpenaiStyleEmulator } from "./emulators/openai-style.ts";
import { startOpenrouterEmulator } from "./emulators/openrouter.ts";
import type { QueueEmulator, SentCallback } from "./emulators/queue-emulator.ts";
import { startReplicateEmulator, WEBHOOK_SECRET } from "./emulators/replicate.ts";
import { startSeedStyleEmulator } from "./emulators/seed-style.ts";

export interface Form {
  readonly name: string;
  /** The one public model that it serves. */
  readonly model: string;
  readonly kind: string;
  readonly upstreamModel: string;
  readonly baseUrl: string;
  readonly credential: string;
  readonly settings: Readonly<Record<string, string>>;
  /** What its callbacks are signed with, where that is a secret. */
  readonly callbackSecret?: string;
  /** From now on its calls go so: by call the instructions of emulators/faults.ts and of the wire, one a call since its start. */
  does(script: Script): void;
  /** Jobs that were started, and would be paid for. */
  jobs(): number;
  /** What was asked for, call by call, as JSON; none of a wire that takes no images along. */
  creates(): readonly unknown[];
  /** What the provider calls the jobs that it was asked about. */
  ids(): string[];
  /** From now on every job comes to nothing, for a reason in the provider's words. */
  failJobs(): void;
  /** From now on no job is taken. */
  refuseJobs(): void;
  /** From now on jobs stay under way: until `behave`, or until the queue is told to finish one. */
  holdJobs(): void;
  /** From now on jobs are taken, and nobody is told so. */
  swallowJobs(): void;
  /** Nothing of that any more. */
  behave(): void;
  readonly queue: QueueEmulator | null;
  /** Of a provider that calls back: ends its job `id`, and tells; again as often as it is called. */
  readonly finish: ((id: string) => Promise<SentCallback>) | null;
  /** Where it was asked to call. */
  callbackUrls(): string[];
  /** Dies, with all of its connections. */
  close(): Promise<void>;
  /** Comes back where it was, with its jobs. */
  reopen(): Promise<void>;
}

type Script = Record<string, readonly (string | readonly string[])[]>;
interface StartOptions {
  /** How often a job is not done yet, in place of the form's own. */
  readonly pollsBeforeDone?: number;
}
type Start = (options: StartOptions) => Promise<Form>;

/** More than anybody asks. */
const always = (instruction: string): string[] => Array.from({ length: 500 }, () => instruction);
const HAPPENS = { canaries: true, pollsBeforeDone: 1 } as const;

/** It is done when it says so: without a callback it would be asked again in ten seconds only. */
const UNTIL_TOLD = { canaries: true, pollsBeforeDone: 1_000 } as const;

/** What every form can be told to do. `held`: the wire's instruction for a job that is not done; null: none is, until it is told to. */
function moods(script: Script, held: string | null): Pick<Form, "does" | "holdJobs" | "swallowJobs" | "behave"> {
  return {
    does: (calls) => void Object.assign(script, calls),
    holdJobs: () => void (held !== null && Object.assign(script, { query: always(held) })),
    swallowJobs: () => void Object.assign(script, { create: always("hang") }),
    behave: () => {
      for (const call of Object.keys(script)) delete script[call];
    },
  };
}

const STORAGE = { storage_uri: "gs://reelay-videos/out/" } as const;
const STARTS = {
  "gemini-key": google("gemini-key", "gemini", "veo3-fast", "gemini-omni-1.2-flash", "key"),
  "gemini-vertex": google("gemini-vertex", "gemini", "veo3", "gemini-omni-1.1-flash-preview", "account", STORAGE),
  "gemini-vertex-inline": google("gemini-vertex-inline", "gemini", "veo2-fast-frames", "gemini-omni-1.1-flash-preview", "account"),
  "veo-key": google("veo-key", "veo", "veo3-pro-frames", "veo-3.1-generate-preview", "key"),
  "veo-vertex-stored": google("veo-vertex-stored", "veo", "veo3-pro", "veo-3.1-generate-001", "account", STORAGE),
  "veo-vertex-inline": google("veo-vertex-inline", "veo", "veo3.1", "veo-3.1-generate-001", "account"),
  fal,
  replicate,
  "openai-style": openaiStyle,
  openrouter,
  "seed-style": seedStyle,
} satisfies Record<string, Start>;

export type FormName = keyof typeof STARTS;
export const FORM_NAMES = Object.keys(STARTS) as FormName[];

/** They have their video inside their replies. */
export const INLINE_FORMS: readonly FormName[] = ["gemini-vertex-inline", "veo-vertex-inline"];

export async function startForm(name: FormName, options: StartOptions = {}): Promise<Form> {
  return STARTS[name](options);
}

export async function startForms(): Promise<Form[]> {
  return Promise.all(FORM_NAMES.map(async (name) => startForm(name)));
}

function google(
  name: string,
  kind: "gemini" | "veo",
  model: string,
  upstreamModel: string,
  form: "key" | "account",
  settings: Record<string, string> = {},
): Start {
  const apiKey = `AIza-secret-of-${name}`;
  const calls = kind === "gemini" && form === "key";
  return async (options) => {
    const script: Script = {};
    const usual = calls ? UNTIL_TOLD : HAPPENS;
    const emulator = await startGoogleEmulator({ ...usual, ...options, script, apiKey, publicKey: PUBLIC_KEY } as object);
    return {
      name,
      model,
      kind,
      upstreamModel,
      settings,
      queue: null,
      finish: calls ? async (id) => emulator.finish(id) : null,
      callbackUrls: () =>
        emulator
          .requests("create")
          .flatMap(({ body }) => (body as { webhook_config?: { uris: string[] } }).webhook_config?.uris ?? []),
      baseUrl: emulator.url,
      credential: form === "key" ? apiKey : serviceAccountJson(emulator.url),
      jobs: () => emulator.jobs(),
      creates: () => emulator.requests("create").map(({ body }) => body),
      ids: () => googleIds(emulator),
      failJobs: () => Object.assign(script, { query: always("failure:13:the machine caught fire") }),
      refuseJobs: () => Object.assign(script, { create: always("error:400:INVALID_ARGUMENT:no such thing") }),
      ...moods(script, "running"),
      close: async () => emulator.close(),
      reopen: async () => emulator.reopen(),
    };
  };
}

function googleIds(emulator: GoogleEmulator): string[] {
  return emulator.requests("query").map(({ path, body }) => {
    const { operationName } = (body ?? {}) as { operationName?: string };
    return (operationName ?? path).split("/").at(-1) ?? "";
  });
}

async function fal(options: StartOptions): Promise<Form> {
  const script: Script = {};
  const credential = "key-id:secret-of-fal";
  const emulator = await startFalEmulator({ ...UNTIL_TOLD, ...options, script, apiKey: credential } as object);
  const own = { name: "fal", model: "veo2", kind: "fal", upstreamModel: "fal-ai/veo3.1", credential };
  return { ...own, ...queued(emulator, script, /\/requests\/([^/?]+)/) };
}

async function replicate(options: StartOptions): Promise<Form> {
  const script: Script = {};
  const credential = "r8_secret-of-replicate";
  const emulator = await startReplicateEmulator({ ...UNTIL_TOLD, ...options, script, apiKey: credential } as object);
  const own = { name: "replicate", model: "veo2-fast", kind: "replicate", upstreamModel: "google/veo-3.1", credential };
  return { ...own, ...queued(emulator, script, /\/predictions\/([^/?]+)/), callbackSecret: WEBHOOK_SECRET };
}

function queued(emulator: QueueEmulator, script: Script, id: RegExp) {
  return {
    baseUrl: emulator.url,
    settings: {},
    jobs: () => emulator.jobs(),
    creates: () => [],
    ids: () => named(emulator.requests(), id),
    failJobs: () => void Object.assign(script, { create: always("fails:the machine caught fire") }),
    refuseJobs: () => void Object.assign(script, { create: always("return-400") }),
    ...moods(script, null),
    queue: emulator,
    finish: async (id: string) => emulator.finish(id),
    callbackUrls: () =>
      emulator
        .requests()
        .filter(({ call }) => call === "create")
        .flatMap(
          ({ path, body }) => new URL(path, emulator.url).searchParams.get("fal_webhook") ?? (body?.["webhook"] as string) ?? [],
        ),
    close: async () => emulator.close(),
    reopen: async () => emulator.reopen(),
  };
}

async function openaiStyle(options: StartOptions): Promise<Form> {
  const script: Script = {};
  const credential = "sk-secret-of-openai-style";
  const emulator = await startOpenaiStyleEmulator({ ...HAPPENS, ...options, script, apiKey: credential } as object);
  const own = { name: "openai-style", model: "veo3.1-fast", kind: "openai-style", upstreamModel: "sora-2", credential };
  return { ...own, ...plain(emulator, script, /\/videos\/([^/?]+)/, "failed:machine_fire", "in_progress"), baseUrl: emulator.url };
}

async function openrouter(options: StartOptions): Promise<Form> {
  const script: Script = {};
  const credential = "sk-or-secret-of-openrouter";
  // It calls back to https only, which no gateway on this machine has: the first poll is to find it done.
  const emulator = await startOpenrouterEmulator({
    ...HAPPENS,
    pollsBeforeDone: 0,
    ...options,
    script,
    apiKey: credential,
  } as object);
  const own = { name: "openrouter", model: "veo2-pro", kind: "openrouter", upstreamModel: "google/veo-3.1", credential };
  const rest = plain(emulator, script, /\/videos\/([^/?]+)/, "failed:machine_fire", "in_progress");
  return { ...own, ...rest, baseUrl: `${emulator.url}/api` };
}

async function seedStyle(options: StartOptions): Promise<Form> {
  const script: Script = {};
  const credential = "sk-secret-of-seed-style";
  const emulator = await startSeedStyleEmulator({ ...HAPPENS, ...options, script, apiKey: credential } as object);
  const own = { name: "seed-style", model: "veo2-fast-components", kind: "seed-style", upstreamModel: "veo3", credential };
  const requests = { ...emulator, requests: () => emulator.requests().map(({ url }) => ({ path: url })) };
  return { ...own, ...plain(requests, script, /[?&]id=([^&]+)/, "refused-by-policy", "processing"), baseUrl: emulator.url };
}

interface Plain {
  jobs(): number;
  requests(): readonly { readonly path: string }[];
  close(): Promise<void>;
  reopen(): Promise<void>;
}

/** `running`: its word for a job that is under way. */
function plain(emulator: Plain, script: Script, id: RegExp, failure: string, running: string) {
  return {
    settings: {},
    jobs: () => emulator.jobs(),
    creates: () => [],
    ids: () => named(emulator.requests(), id),
    failJobs: () => void Object.assign(script, { query: always(failure) }),
    refuseJobs: () => void Object.assign(script, { create: always("return-400") }),
    ...moods(script, `status:${running}`),
    queue: null,
    finish: null,
    callbackUrls: () => [],
    close: async () => emulator.close(),
    reopen: async () => emulator.reopen(),
  };
}

function named(requests: readonly { readonly path: string }[], id: RegExp): string[] {
  return [...new Set(requests.flatMap(({ path }) => id.exec(path)?.[1] ?? []).map(decodeURIComponent))];
}

/** What PROVIDERS and the secrets are for these forms. */
export function envOf(forms: readonly Form[]): Record<string, string> {
  const secretOf = ({ name }: Form, what = "KEY"): string => `${name.toUpperCase().replaceAll("-", "_")}_${what}`;
  const providers = forms.map((form) => ({
    name: form.name,
    kind: form.kind,
    base_url: form.baseUrl,
    api_key_secret: secretOf(form),
    median_seconds: 1,
    models: { [form.model]: form.upstreamModel },
    ...(form.callbackSecret !== undefined && { callback_secret: secretOf(form, "CALLBACKS") }),
    ...form.settings,
  }));
  return {
    PROVIDERS: JSON.stringify(providers),
    ...Object.fromEntries(forms.map((form) => [secretOf(form), form.credential])),
    ...Object.fromEntries(forms.map((form) => [secretOf(form, "CALLBACKS"), form.callbackSecret ?? ""])),
  };
}

/** The job that a provider was asked about and that is not in `known` yet, as soon as there is one. */
export async function nextJob(form: Form, known: Set<string>): Promise<string> {
  for (;;) {
    const id = form.ids().find((each) => !known.has(each));
    if (id !== undefined) {
      known.add(id);
      return id;
    }
    await sleep(50);
  }
}

/** Ends that job, where its provider says so. */
export async function finishNext(form: Form, finished: Set<string>): Promise<void> {
  if (form.finish !== null) await form.finish(await nextJob(form, finished));
}
