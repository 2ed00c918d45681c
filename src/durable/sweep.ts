// The sweep's memory, one object for all: who the tenants are, how far the walk has come, and whose turn it is.
import { DurableObject } from "cloudflare:workers";
import type { SweepPage, SweepPort, TenantRef } from "../ports.ts";

/** Longer than a cron run may take, shorter than the time between two. */
const LEASE_MS = 4 * 60_000;
const TENANTS_A_PASS = 100;
const STATE = "state";

interface State {
  readonly lease: { readonly id: string; readonly until: number } | null;
  /** The last tenant that was handed out; the next page begins after it. */
  readonly tenantCursor: string;
  readonly nextTenantCursor: string;
  readonly objectCursor: string | null;
}
const FIRST: State = { lease: null, tenantCursor: "", nextTenantCursor: "", objectCursor: null };

export class Sweep extends DurableObject<Cloudflare.Env> implements SweepPort {
  async register({ tenant, mode }: TenantRef): Promise<void> {
    this.#createTable();
    this.ctx.storage.sql.exec("INSERT OR IGNORE INTO tenants VALUES (?)", `${tenant}/${mode}`);
  }

  async begin(): Promise<SweepPage | null> {
    const state = this.#state();
    const now = Date.now();
    if (state.lease !== null && now < state.lease.until) return null;
    const names = this.#tenantsAfter(state.tenantCursor);
    const lease = { id: crypto.randomUUID(), until: now + LEASE_MS };
    // A full page has another behind it; a short one was the last, and the walk begins again.
    const nextTenantCursor = names.length === TENANTS_A_PASS ? (names.at(-1) ?? "") : "";
    this.ctx.storage.kv.put<State>(STATE, { ...state, lease, nextTenantCursor });
    return { lease: lease.id, tenants: names.map(toRef), objectCursor: state.objectCursor };
  }

  async finish(lease: string, objectCursor: string | null): Promise<void> {
    const state = this.#state();
    // A pass that outlived its lease has been overtaken, and its places with it.
    if (state.lease?.id !== lease) return;
    this.ctx.storage.kv.put<State>(STATE, { ...state, lease: null, tenantCursor: state.nextTenantCursor, objectCursor });
  }

  #tenantsAfter(cursor: string): string[] {
    this.#createTable();
    return this.ctx.storage.sql
      .exec<{ name: string }>("SELECT name FROM tenants WHERE name > ? ORDER BY name LIMIT ?", cursor, TENANTS_A_PASS)
      .toArray()
      .map(({ name }) => name);
  }

  #createTable(): void {
    this.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS tenants (name TEXT PRIMARY KEY) WITHOUT ROWID");
  }

  #state(): State {
    return this.ctx.storage.kv.get<State>(STATE) ?? FIRST;
  }
}

function toRef(name: string): TenantRef {
  const [tenant = "", mode] = name.split("/");
  return { tenant, mode: mode === "live" ? "live" : "test" };
}
