// What belongs to no single tenant, in one object for all: who the tenants are, the models' switches, who did what, and the sweep's
// place and lease. Only operators and the cron come here; no tenant's request ever does.
import { DurableObject } from "cloudflare:workers";
import type { ModelName, ModelSwitch, ModelSwitches } from "../core/models.ts";
import type { AuditEntry, RegistryPort, SweepPage, TenantEntry, TenantRef } from "../ports.ts";
import { wire } from "../wire.ts";

/** Longer than a cron run may take, shorter than the time between two. */
const LEASE_MS = 4 * 60_000;
const TENANTS_A_PASS = 50;
const SWEEP = "sweep";
const SWITCHES = "switches";

interface SweepState {
  readonly lease: { readonly id: string; readonly until: number } | null;
  /** The last tenant that was handed out; the next page begins after it. Null: from the first. */
  readonly tenantCursor: string | null;
  readonly nextTenantCursor: string | null;
  readonly objectCursor: string | null;
  readonly finishedAt: number | null;
}
const FIRST: SweepState = { lease: null, tenantCursor: null, nextTenantCursor: null, objectCursor: null, finishedAt: null };

export class Registry extends DurableObject<Cloudflare.Env> implements RegistryPort {
  readonly #sql = this.ctx.storage.sql;

  constructor(context: DurableObjectState, env: Cloudflare.Env) {
    super(context, env);
    this.#sql.exec(`
      CREATE TABLE IF NOT EXISTS tenants (id TEXT PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL, created_at INTEGER NOT NULL) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS audit (
        seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL, before TEXT, after TEXT
      );`);
  }

  async addTenant({ id, name, status, createdAt }: TenantEntry): Promise<void> {
    this.#sql.exec("INSERT OR IGNORE INTO tenants VALUES (?, ?, ?, ?)", id, name, status, createdAt);
  }

  async tenant(id: string): Promise<TenantEntry | null> {
    return this.#tenants("WHERE id = ?", id)[0] ?? null;
  }

  async changeTenant(id: string, change: Partial<Pick<TenantEntry, "name" | "status">>): Promise<TenantEntry | null> {
    const before = await this.tenant(id);
    if (before === null) return null;
    const after = { ...before, ...change };
    this.#sql.exec("UPDATE tenants SET name = ?, status = ? WHERE id = ?", after.name, after.status, id);
    return after;
  }

  async tenants(after: string | null, limit: number): Promise<TenantEntry[]> {
    return this.#tenants("WHERE id > ? ORDER BY id LIMIT ?", after ?? "", limit);
  }

  async switches(): Promise<ModelSwitches> {
    return this.ctx.storage.kv.get<ModelSwitches>(SWITCHES) ?? {};
  }

  async switchModel(model: ModelName, to: ModelSwitch | null): Promise<void> {
    const { [model]: _, ...others } = await this.switches();
    const switches = to === null ? others : { ...others, [model]: to };
    this.ctx.storage.kv.put<ModelSwitches>(SWITCHES, switches);
    await wire(this.env).tenants.putSwitches(switches);
  }

  async audit({ at, actor, action, target, before, after }: Omit<AuditEntry, "seq">): Promise<void> {
    this.#sql.exec(
      "INSERT INTO audit (at, actor, action, target, before, after) VALUES (?, ?, ?, ?, ?, ?)",
      at,
      actor,
      action,
      target,
      before,
      after,
    );
  }

  async auditLog(before: number | null, limit: number): Promise<AuditEntry[]> {
    return this.#sql
      .exec<{ [Column in keyof AuditEntry]: AuditEntry[Column] }>(
        "SELECT * FROM audit WHERE seq < ? ORDER BY seq DESC LIMIT ?",
        before ?? Number.MAX_SAFE_INTEGER,
        limit,
      )
      .toArray();
  }

  async beginSweep(): Promise<SweepPage | null> {
    const state = this.#sweep();
    const now = Date.now();
    if (state.lease !== null && now < state.lease.until) return null;
    const tenants = await this.tenants(state.tenantCursor, TENANTS_A_PASS);
    const lease = { id: crypto.randomUUID(), until: now + LEASE_MS };
    // A full page has another behind it; a short one was the last, and the walk begins again.
    const nextTenantCursor = tenants.length === TENANTS_A_PASS ? (tenants.at(-1)?.id ?? null) : null;
    this.ctx.storage.kv.put<SweepState>(SWEEP, { ...state, lease, nextTenantCursor });
    return { lease: lease.id, tenants: tenants.flatMap(({ id }) => bothModes(id)), objectCursor: state.objectCursor };
  }

  async finishSweep(lease: string, objectCursor: string | null): Promise<void> {
    const state = this.#sweep();
    // A pass that outlived its lease has been overtaken, and its places with it.
    if (state.lease?.id !== lease) return;
    const places = { tenantCursor: state.nextTenantCursor, objectCursor };
    this.ctx.storage.kv.put<SweepState>(SWEEP, { ...state, ...places, lease: null, finishedAt: Date.now() });
  }

  async abandonSweep(lease: string): Promise<void> {
    const state = this.#sweep();
    if (state.lease?.id === lease) this.ctx.storage.kv.put<SweepState>(SWEEP, { ...state, lease: null });
  }

  async republish(): Promise<void> {
    await wire(this.env).tenants.putSwitches(await this.switches());
  }

  async lastSweepAt(): Promise<number | null> {
    return this.#sweep().finishedAt;
  }

  #sweep(): SweepState {
    return this.ctx.storage.kv.get<SweepState>(SWEEP) ?? FIRST;
  }

  #tenants(rest: string, ...values: (string | number)[]): TenantEntry[] {
    return this.#sql
      .exec<{ id: string; name: string; status: TenantEntry["status"]; created_at: number }>(
        `SELECT * FROM tenants ${rest}`,
        ...values,
      )
      .toArray()
      .map(({ created_at: createdAt, ...tenant }) => ({ ...tenant, createdAt }));
  }
}

function bothModes(tenant: string): TenantRef[] {
  return [
    { tenant, mode: "live" },
    { tenant, mode: "test" },
  ];
}
