// A tenant's webhook endpoints, and the secret of its tasks' own webhooks: two small values, so that publishing reads two rows.
import type { Refusal } from "../core/errors.ts";
import { fail, ok, type Result } from "../core/result.ts";
import { MAX_ENDPOINTS, hookOf, makeHook, makeSigningSecret, type Endpoint, type SigningSecrets } from "../core/webhook.ts";

const ENDPOINTS = "endpoints";
const TASK_HOOK = "task_hook";

/** What tasks' own webhooks have in common. */
export interface TaskHook {
  readonly hook: string;
  readonly secrets: SigningSecrets;
}

export class EndpointStore {
  readonly #kv: SyncKvStorage;

  constructor(kv: SyncKvStorage) {
    this.#kv = kv;
  }

  all(): readonly Endpoint[] {
    return this.#kv.get<readonly Endpoint[]>(ENDPOINTS) ?? [];
  }

  find(id: string): Endpoint | null {
    return this.all().find((endpoint) => endpoint.id === id) ?? null;
  }

  /** Once, however often it is asked for. */
  add(endpoint: Endpoint): Result<Endpoint, Refusal> {
    const known = this.find(endpoint.id);
    if (known !== null) return ok(known);
    if (this.all().length >= MAX_ENDPOINTS) return fail({ kind: "limit_reached", what: "webhook endpoints", max: MAX_ENDPOINTS });
    this.put(endpoint);
    return ok(endpoint);
  }

  /** Adds it, or puts it in the place of the one with its id. */
  put(endpoint: Endpoint): void {
    const all = this.all();
    const there = all.findIndex(({ id }) => id === endpoint.id);
    if (there === -1) this.#kv.put<readonly Endpoint[]>(ENDPOINTS, [...all, endpoint]);
    else this.#kv.put<readonly Endpoint[]>(ENDPOINTS, all.with(there, endpoint));
  }

  remove(id: string): boolean {
    const all = this.all();
    const left = all.filter((endpoint) => endpoint.id !== id);
    if (left.length < all.length) this.#kv.put<readonly Endpoint[]>(ENDPOINTS, left);
    return left.length < all.length;
  }

  /** Made when it is first needed. */
  taskHook(): TaskHook {
    const known = this.#kv.get<TaskHook>(TASK_HOOK);
    if (known !== undefined) return known;
    const made: TaskHook = { hook: makeHook(random(10)), secrets: { current: makeSigningSecret(random(32)), previous: null } };
    this.#kv.put<TaskHook>(TASK_HOOK, made);
    return made;
  }

  putTaskSecrets(secrets: SigningSecrets): void {
    this.#kv.put<TaskHook>(TASK_HOOK, { ...this.taskHook(), secrets });
  }
}

/** Of an endpoint that was stored, so it has one. */
export function hookOfEndpoint({ id }: Endpoint): string {
  return hookOf(id) ?? id;
}

function random(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}
