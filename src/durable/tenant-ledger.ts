// One tenant's credits, keys and tasks in one mode: the judge of every spending call. Each change is one synchronous transaction
// of what core/ledger decided. It alone writes the tenant's records in KV, and its alarm watches over its live tasks.
import { DurableObject } from "cloudflare:workers";
import type { Mode } from "../core/api-key.ts";
import type { Refusal } from "../core/errors.ts";
import { available, brokenInvariant, configure, grant, openAccount, release, reserve, settle, usageOf } from "../core/ledger.ts";
import type { Account, Change, Hold } from "../core/ledger.ts";
import { admitByCopy, isPublishDue, type Ask, type Limits } from "../core/quota.ts";
import { fail, ok, type Result } from "../core/result.ts";
import type { KeySpec, LedgerPort, ReserveAsk, Reserved, Settlement, TenantRecord } from "../ports.ts";
import { wire } from "../wire.ts";
import { LedgerRows, type KeyRow } from "./ledger-rows.ts";
import { Watchdog } from "./watchdog.ts";

const ACCOUNT = "account";
const REPUBLISHED = "republished_at";
const DAY_MS = 24 * 60 * 60_000;
const SURPRISED_MS = 30_000;

export class TenantLedger extends DurableObject<Cloudflare.Env> implements LedgerPort {
  readonly #rows = new LedgerRows(this.ctx.storage.sql);
  readonly #watchdog = new Watchdog(this.#rows, this.ctx.storage, {
    poke: async (id) => this.#task(id).poke(),
    tombstone: async (id) => this.#task(id).tombstone(),
    release: async (id) => this.resolve(id, { kind: "release", orphan: null }),
  });
  /** The copy that KV was last given, as far as this instance knows. */
  #published: TenantRecord | null = null;

  async reserve(ask: ReserveAsk): Promise<Result<Reserved, Refusal>> {
    const now = Date.now();
    const account = this.#account();
    if (account === null) return fail({ kind: "invalid_api_key" });
    const refusal = judgeKey(this.#rows.key(ask.keyId), now);
    if (refusal !== null) return fail(refusal);
    const reserved = this.#hold(account, ask, now);
    this.#publishIfDue(reserved.ok ? null : ask, now);
    if (!reserved.ok) return reserved;
    await this.#watchdog.watch(ask.deadlineAt);
    const after = reserved.value.account;
    return ok({ available: available(after), retentionMs: after.limits.retentionDays * DAY_MS });
  }

  async resolve(taskId: string, settlement: Settlement): Promise<void> {
    const now = Date.now();
    this.ctx.storage.transactionSync(() => {
      const account = this.#account();
      if (account === null) return;
      const hold = this.#rows.hold(taskId);
      const change: (Change & { hold: Hold }) | null = (settlement.kind === "charge" ? settle : release)(account, hold, now);
      if (change === null) return;
      this.#write(change);
      this.#rows.resolveHold(change.hold);
      if (settlement.kind === "release" && settlement.orphan !== null) this.#rows.insertOrphan(now, taskId, settlement.orphan);
    });
    this.#publishIfDue(null, now);
  }

  async forget(taskId: string): Promise<void> {
    if (this.#account() !== null) this.#rows.deleteResolved(taskId);
  }

  async known(taskIds: readonly string[]): Promise<string[]> {
    return this.#account() === null ? [] : taskIds.filter((id) => this.#rows.hold(id) !== null);
  }

  async configure(settings: { status?: "active" | "suspended"; limits?: Limits }): Promise<void> {
    const now = Date.now();
    this.#rows.createTables();
    this.ctx.storage.transactionSync(() => {
      const account = this.#account();
      if (account === null) {
        if (settings.limits === undefined) throw new Error("a ledger is opened with limits");
        this.#write(openAccount(settings.limits, now));
      } else {
        this.#write(configure(account, settings, now));
      }
    });
    await this.#republish();
  }

  async grant(amount: number, reason: string): Promise<void> {
    this.ctx.storage.transactionSync(() => this.#write(grant(this.#opened(), amount, reason, Date.now())));
    await this.#publish();
  }

  async putKey(key: KeySpec): Promise<void> {
    this.#opened();
    this.#rows.putKey(key);
    await this.#publishKeys();
  }

  async revokeKey(keyId: string): Promise<void> {
    this.#opened();
    this.#rows.revokeKey(keyId);
    await this.#publishKeys();
  }

  async tend(): Promise<void> {
    const account = this.#account();
    if (account === null) return;
    const now = Date.now();
    const grown = account.limits.retentionDays * DAY_MS + DAY_MS;
    await this.#watchdog.tend(now, Math.floor((now - grown) / 1000));
    const last = this.ctx.storage.kv.get<number>(REPUBLISHED) ?? 0;
    if (now - last >= DAY_MS) await this.#republish();
  }

  // Never throws, for the platform's reason: see durable/video-task.
  override async alarm(): Promise<void> {
    try {
      if (this.#account() !== null) await this.#watchdog.run(Date.now());
    } catch (error) {
      console.error(
        JSON.stringify({ event: "alarm_failed", object: this.ctx.id.name ?? null, error: String((error as Error).name) }),
      );
      await this.ctx.storage.setAlarm(Date.now() + SURPRISED_MS);
    }
  }

  #hold(account: Account, ask: ReserveAsk, now: number): ReturnType<typeof reserve> {
    try {
      return this.ctx.storage.transactionSync(() => {
        const existing = this.#rows.hold(ask.id);
        const result = reserve(account, existing, ask, now);
        if (result.ok && existing === null) {
          this.#write(result.value);
          this.#rows.insertHold(result.value.hold, ask);
        }
        return result;
      });
    } catch (error) {
      // Rolled back and alerted. For the caller it is a no like any other: nothing was started.
      if (error instanceof BrokenBooksError) return fail({ kind: "not_started" });
      throw error;
    }
  }

  /** Refuses the whole transaction rather than write books that do not add up. */
  #write({ account, entries }: Change): void {
    const broken = brokenInvariant(account);
    if (broken !== null) {
      console.error(JSON.stringify({ event: "invariant_broken", ledger: this.ctx.id.name ?? null, broken }));
      throw new BrokenBooksError(broken);
    }
    this.ctx.storage.kv.put<Account>(ACCOUNT, account);
    this.#rows.insertEntries(entries);
  }

  #account(): Account | null {
    return this.ctx.storage.kv.get<Account>(ACCOUNT) ?? null;
  }

  #opened(): Account {
    const account = this.#account();
    if (account === null) throw new Error("no such tenant");
    return account;
  }

  /** In the background: a copy that is late only lets the ledger be asked. `refused`: what was just refused here. */
  #publishIfDue(refused: Ask | null, now: number): void {
    const copy = this.#published;
    const misled = refused !== null && copy !== null && admitByCopy(copy, copy.publishedAt, refused, now).ok;
    if (copy !== null && !isPublishDue(copy.publishedAt, misled, now)) return;
    this.ctx.waitUntil(
      this.#publish().catch(() => console.warn(JSON.stringify({ event: "publish_failed", ledger: this.ctx.id.name ?? null }))),
    );
  }

  async #publish(): Promise<void> {
    const { tenant, mode } = this.#owner();
    const record: TenantRecord = { ...usageOf(this.#opened()), publishedAt: Date.now() };
    this.#published = record;
    await wire(this.env).tenants.putTenant(tenant, mode, record);
  }

  /** A suspended tenant's keys say so themselves, because reading needs no other record. */
  async #publishKeys(): Promise<void> {
    const { tenant, mode } = this.#owner();
    const { status } = this.#opened();
    for (const { id, hash, scopes, expiresAt, revoked } of this.#rows.keys()) {
      const standing = revoked ? "revoked" : status === "active" ? "active" : "suspended";
      await wire(this.env).tenants.putKey(hash, { tenant, mode, keyId: id, scopes, status: standing, expiresAt });
    }
  }

  async #republish(): Promise<void> {
    await this.#publish();
    await this.#publishKeys();
    this.ctx.storage.kv.put(REPUBLISHED, Date.now());
  }

  #owner(): { tenant: string; mode: Mode } {
    const [tenant, mode] = (this.ctx.id.name ?? "").split("/");
    if (tenant === undefined || (mode !== "live" && mode !== "test")) throw new Error("a ledger is named tenant/mode");
    return { tenant, mode };
  }

  #task(id: string) {
    return wire(this.env).taskOf(this.#owner().tenant, id);
  }
}

/** The balances would not have been the fold of the journal. */
class BrokenBooksError extends Error {
  override readonly name = "BrokenBooksError";
}

/** The ledger's word on a key: at once true, where KV's may be a minute old. */
function judgeKey(key: KeyRow | null, now: number): Refusal | null {
  if (key === null) return { kind: "invalid_api_key" };
  if (key.revoked) return { kind: "api_key_revoked" };
  return key.expiresAt !== null && key.expiresAt <= now ? { kind: "api_key_expired" } : null;
}
