// The gateway as a tenant meets it, inside the Workers runtime: a tenant of one's own, and calls to the exported Worker.
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { makeApiKey, SCOPES, type Mode, type Scope } from "../../src/core/api-key.ts";
import { base62Digits } from "../../src/core/encoding.ts";
import type { Limits } from "../../src/core/quota.ts";
import worker from "../../src/index.ts";
import type { KeyRules } from "../../src/core/key-rules.ts";
import { keySpec } from "../../src/service/tenancy.ts";
import { wire } from "../../src/wire.ts";
import { driveToEnd } from "./objects.ts";

declare global {
  namespace Cloudflare {
    /** Makes `exports.default` the Worker of src/index.ts. */
    interface GlobalProps {
      mainModule: { default: typeof worker };
    }
  }
}

export const ORIGIN = "https://gateway.example";

export const WIDE: Limits = { creditsPerPeriod: 10_000, createsPerMinute: 1_000, liveTasks: 100, models: null, retentionDays: 7 };

/** A task as query tells of it. */
export interface Video {
  readonly id: string;
  readonly status: "pending" | "processing" | "completed" | "failed";
  readonly video_url: string | null;
  readonly enhanced_prompt: string;
  readonly status_update_time: number;
  readonly error?: { readonly code: string; readonly message: string };
}

export interface TestTenant {
  readonly tenant: string;
  readonly mode: Mode;
  readonly key: string;
  readonly keyId: string;
}

interface TenantSpec {
  /** An existing tenant, to give it another mode or another key. */
  tenant?: string;
  mode?: Mode;
  limits?: Partial<Limits>;
  scopes?: readonly Scope[];
  expiresAt?: number;
  /** What else its key may and may not. */
  rules?: Partial<KeyRules>;
}

/** A tenant nobody else has, so that tests of one file do not meet. */
export async function aTenant(given: TenantSpec = {}): Promise<TestTenant> {
  const {
    tenant = base62Digits(randomBytes(64)).slice(0, 8),
    mode = "test",
    limits,
    scopes = SCOPES,
    expiresAt = null,
    rules,
  } = given;
  const key = makeApiKey(mode, tenant, randomBytes(128));
  const books = wire(env).booksOf(tenant, mode);
  await books.configure({ limits: { ...WIDE, ...limits } });
  await books.putKey(await keySpec(key, Date.now(), { scopes, expiresAt, ...rules }));
  return { tenant, mode, key: key.text, keyId: key.id };
}

type CallInit = RequestInit & { key?: string };

export async function call(path: string, init: CallInit = {}): Promise<Response> {
  return exports.default.fetch(toRequest(path, init));
}

/** The same Worker with other settings or bindings in front; the objects behind it keep theirs. */
export async function callWith(changes: Record<string, unknown>, path: string, init: CallInit = {}): Promise<Response> {
  const context = createExecutionContext();
  const reply = await worker.fetch(toRequest(path, init), { ...env, ...changes } as Cloudflare.Env, context);
  await waitOnExecutionContext(context);
  return reply;
}

function toRequest(path: string, init: CallInit): Request {
  const { key, ...rest } = init;
  const headers = new Headers(rest.headers);
  if (key !== undefined) {
    headers.set("authorization", `Bearer ${key}`);
    // An address for each key, or the shield would take all the tenants of a file for one guesser.
    if (!headers.has("cf-connecting-ip")) headers.set("cf-connecting-ip", `of-${key.slice(0, 20)}`);
  }
  return new Request(new URL(path, ORIGIN), { ...rest, headers });
}

/** POST /v1/video/create with a JSON body. */
export async function create(key: string, body: unknown): Promise<Response> {
  return call("/v1/video/create", {
    method: "POST",
    key,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

export async function query(key: string, id: string): Promise<Response> {
  return call(`/v1/video/query?id=${encodeURIComponent(id)}`, { key });
}

/** Brings a task to its end, and queries it. */
export async function finish(owner: TestTenant, id: string): Promise<Video> {
  await driveToEnd(owner, id);
  return (await query(owner.key, id)).json<Video>();
}

/** The id of a task that was created, one that is quickly done unless `body` says otherwise. */
export async function createdId(key: string, body: Record<string, unknown> = {}): Promise<string> {
  const reply = await create(key, { model: "veo3", prompt: "a lake [[slow:0]]", ...body });
  if (reply.status !== 200) throw new Error(`create answered ${reply.status} ${await reply.text()}`);
  return (await reply.json<{ id: string }>()).id;
}

function randomBytes(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}
