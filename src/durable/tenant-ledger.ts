// One tenant's credits, keys and tasks in one mode: the judge of every spending call. Each change is one synchronous transaction
// of what the core decided, and books that would not add up are not written. Its alarm watches over its live tasks.
import { DurableObject } from "cloudflare:workers";
import type { Mode } from "../core/api-key.ts";
import type { Refusal } from "../core/errors.ts";
import { IDEMPOTENCY_MS, SDK_RETRY_MS, type Claim } from "../core/idempotency.ts";
import { checkKeyModel, refundKey, spendKey, UNUSED, type KeyUse } from "../core/key-rules.ts";
import * as ledger from "../core/ledger.ts";
import type { Account, Entry } from "../core/ledger.ts";
import { checkPlan, type Limits, type PlanAsk, type TenantStatus } from "../core/quota.ts";
import { fail, ok, type Result } from "../core/result.ts";
import type {
  AccountView,
  BooksPort,
  KeyRecord,
  KeySpec,
  KeyView,
  LedgerPort,
  OrphanView,
  ReserveAsk,
  Reserved,
  Settlement,
  TaskFilter,
  TaskPort,
  UsageRow,
} from "../ports.ts";
import { wire } from "../wire.ts";
import { LedgerCopies } from "./ledger-copies.ts";
import type { KeyRow } from "./ledger-keys.ts";
import type { HoldRow } from "./ledger-rows.ts";
import { FrozenError, LedgerStore } from "./ledger-store.ts";
import { Watchdog } from "./watchdog.ts";

const REPUBLISHED = "republished_at";
const DAY_MS = 24 * 60 * 60_000;
const SURPRISED_MS = 30_000;

export class TenantLedger extends DurableObject<Cloudflare.Env> implements LedgerPort, BooksPort {
  readonly #store = new LedgerStore(this.ctx.storage, (broken) =>
    wire(this.env).telemetry.alert("invariant_broken", { ledger: this.ctx.id.name ?? "", broken }),
  );
  readonly #rows = this.#store.rows;
  readonly #keys = this.#store.keys;
  readonly #copies = new LedgerCopies(ownerOf(this.ctx.id), () => wire(this.env).tenants);
  readonly #watchdog = new Watchdog(this.#rows, this.ctx.storage, {
    poke: async (id) => this.#task(id).poke(),
    tombstone: async (id) => this.#task(id).tombstone(),
    withdraw: async (id) => this.resolve(id, { kind: "withdraw" }),
  });

  async reserve(ask: ReserveAsk): Promise<Result<Reserved, Refusal>> {
    const now = Date.now();
    const account = this.#store.account;
    const key = account && this.#keys.get(ask.keyId);
    if (account === null || key === null) return fail({ kind: "invalid_api_key" });
    if (this.#store.frozen !== null) return fail({ kind: "account_read_only" });
    const reserved = this.#store.transact(() => this.#reserve(account, key, ask, now));
    if (reserved === null) return fail({ kind: "account_read_only" });
    this.#publishIfDue(reserved.ok ? null : ask, now);
    if (reserved.ok && reserved.value.kind === "held") await this.#watchdog.watch(ask.deadlineAt);
    return reserved;
  }

  #reserve(account: Account, key: KeyRow, ask: ReserveAsk, now: number): Result<Reserved, Refusal> {
    const earlier = ask.claim.looks ? this.#earlier(ask.claim, now) : null;
    if (earlier !== null && !earlier.ok) return earlier;
    const view = { usage: ledger.usageOf(account), retentionMs: (ask.retentionDays ?? account.limits.retentionDays) * DAY_MS };
    // The account's own month, which never goes back, as a clock may.
    const { period } = ledger.rollOver(account, now).account;
    const spent = spendKey(key, key.use, ask, period, now);
    if (earlier !== null) {
      // Spends nothing more, so that a budget that is used up does not matter; that the key may be used at all does.
      const barred = !spent.ok && spent.error.kind !== "key_budget_exceeded";
      return barred ? spent : ok({ ...view, kind: "earlier", ...earlier.value, id: earlier.value.id });
    }
    const existing = this.#rows.hold(ask.id);
    if (!spent.ok && existing === null) return spent;
    const held = ledger.reserve(account, existing, ask, now);
    if (!held.ok) return held;
    if (existing === null) {
      this.#store.write(held.value);
      this.#rows.insertHold(held.value.hold, ask);
      this.#rows.insertMetadata(ask.id, ask.metadata);
      this.#rows.putClaim(ask.claim, ask.id, now + IDEMPOTENCY_MS);
      if (key.budget !== null && spent.ok) this.#keys.setUse(key.id, spent.value);
    }
    return ok({ ...view, usage: ledger.usageOf(held.value.account), kind: "held" });
  }

  /** The task that stands for the same wish already. One that never started stands for nothing. */
  #earlier(claim: Claim, now: number): Result<HoldRow, Refusal> | null {
    const claimed = claim.key === null ? null : this.#rows.claim(claim.key, now);
    const hold = claimed
      ? this.#rows.hold(claimed.task)
      : claim.key === null
        ? this.#rows.latestOf(claim.fingerprint, now - SDK_RETRY_MS)
        : null;
    if (hold === null || hold.state === "withdrawn") return null;
    return claimed === null || claimed.fingerprint === claim.fingerprint ? ok(hold) : fail({ kind: "idempotency_key_reused" });
  }

  async allows(keyId: string, ask: PlanAsk): ReturnType<LedgerPort["allows"]> {
    const account = this.#store.account;
    const key = account && this.#keys.get(keyId);
    if (account === null || key === null) return fail({ kind: "invalid_api_key" });
    if (this.#store.frozen !== null) return fail({ kind: "account_read_only" });
    const allowed = checkPlan(ledger.usageOf(account), ask);
    return allowed.ok ? checkKeyModel(key, ask.model) : allowed;
  }

  async recall(keyId: string, claim: Claim): ReturnType<LedgerPort["recall"]> {
    const now = Date.now();
    const account = this.#store.account;
    const key = account && this.#keys.get(keyId);
    if (account === null || key === null || key.revokedAt !== null || (key.expiresAt ?? Infinity) <= now) return null;
    const earlier = this.#earlier(claim, now);
    return earlier?.ok ? { id: earlier.value.id, usage: ledger.usageOf(account) } : null;
  }

  async resolve(taskId: string, settlement: Settlement): Promise<void> {
    const now = Date.now();
    if (this.#store.frozen !== null) throw new FrozenError();
    const resolved = this.#store.transact(() => {
      const account = this.#store.account;
      const hold = this.#rows.hold(taskId);
      if (account === null || hold === null) return true;
      const change =
        settlement.kind === "charge"
          ? ledger.settle(account, hold, now)
          : ledger.release(account, hold, now, settlement.kind === "withdraw" ? "withdrawn" : "released");
      if (change === null) return true;
      this.#store.write(change);
      this.#rows.resolveHold(change.hold);
      this.#countEnd(hold, settlement, now);
      return true;
    });
    if (resolved === null) throw new FrozenError();
    this.#publishIfDue(null, now);
  }

  /** What follows from the end of a task, besides its credits. */
  #countEnd(hold: HoldRow, settlement: Settlement, now: number): void {
    const key = settlement.kind === "charge" ? null : this.#keys.get(hold.keyId);
    if (key !== null && key.budget !== null) this.#keys.setUse(key.id, refundKey(key.use, hold.credits, hold.period));
    if (settlement.kind === "withdraw") return;
    const day = new Date(now).toISOString().slice(0, 10);
    const { model, keyId } = hold;
    const done = settlement.kind === "charge";
    this.#rows.countUsage({
      day,
      model,
      keyId,
      status: done ? "completed" : "failed",
      count: 1,
      credits: done ? hold.credits : 0,
      videoMs: done ? settlement.videoMs : 0,
    });
    for (const orphan of settlement.orphans) this.#rows.insertOrphan(now, hold.id, orphan);
  }

  async forget(taskId: string): Promise<void> {
    if (this.#store.account !== null) this.#rows.deleteResolved(taskId);
  }

  async list(filter: TaskFilter, after: string | null, limit: number): Promise<string[]> {
    return this.#store.account === null ? [] : this.#rows.list(filter, after, limit);
  }

  async known(taskIds: readonly string[]): Promise<string[]> {
    return this.#store.account === null ? [] : taskIds.filter((id) => (this.#rows.hold(id)?.state ?? "withdrawn") !== "withdrawn");
  }

  async tend(): Promise<void> {
    const account = this.#store.account;
    if (account === null) return;
    const now = Date.now();
    const grown = account.limits.retentionDays * DAY_MS + DAY_MS;
    await this.#watchdog.tend(now, Math.floor((now - grown) / 1000));
    this.#rows.deleteClaimsUntil(now);
    const last = this.ctx.storage.kv.get<number>(REPUBLISHED) ?? 0;
    if (now - last >= DAY_MS) await this.republish();
  }

  async configure(settings: { status?: TenantStatus; limits?: Limits }): Promise<void> {
    const now = Date.now();
    const account = this.#store.account;
    if (account === null && settings.limits === undefined) throw new Error("a ledger is opened with limits");
    this.#store.createTables();
    // Once the books add up again, an operator who resumes the tenant opens them.
    if (settings.status === "active") this.#store.thaw();
    this.#store.change((before) =>
      before === null ? ledger.openAccount(settings.limits as Limits, now) : ledger.configure(before, settings, now),
    );
    await this.republish();
  }

  async account(): Promise<AccountView | null> {
    const account = this.#store.account;
    return account && this.#view(ledger.rollOver(account, Date.now()).account);
  }

  #view(account: Account): AccountView {
    const { granted, adjusted, held, spent, expired, period } = account;
    return { ...ledger.usageOf(account), granted, adjusted, held, spent, expired, period, frozen: this.#store.frozen };
  }

  async grant(amount: number, reason: string): Promise<void> {
    this.#store.change((account) => ledger.grant(opened(account), amount, reason, Date.now()));
    this.#publishSoon();
  }

  async adjust(amount: number, reason: string): Promise<Result<null, Refusal>> {
    const adjusted = ledger.adjust(opened(this.#store.account), amount, reason, Date.now());
    if (!adjusted.ok) return adjusted;
    this.#store.change(() => adjusted.value);
    this.#publishSoon();
    return ok(null);
  }

  async journal(before: number | null, limit: number): Promise<Entry[]> {
    return this.#store.account === null ? [] : this.#rows.journalBefore(before ?? Number.MAX_SAFE_INTEGER, limit);
  }

  async recompute(): ReturnType<BooksPort["recompute"]> {
    const account = this.#store.account;
    if (account === null) return null;
    // A month that has begun counts on both sides, though its entries are only written with the next change.
    const due = ledger.rollOver(account, Date.now());
    const rows = this.#rows;
    function* entries(): Iterable<Entry> {
      yield* rows.journal();
      yield* due.entries;
    }
    return { account: this.#view(due.account), journal: ledger.foldJournal(entries()) };
  }

  async usage(fromDay: string, toDay: string): Promise<UsageRow[]> {
    return this.#store.account === null ? [] : this.#rows.usage(fromDay, toDay);
  }

  async putKey(key: KeySpec, use: KeyUse = UNUSED): Promise<void> {
    opened(this.#store.account);
    this.#keys.put(key, use);
    // The key is good whatever becomes of the copy: the edge asks here for one that KV does not know.
    await this.#publishKeys().catch(() => this.#log("publish_failed"));
  }

  async keys(): Promise<KeyView[]> {
    return this.#store.account === null ? [] : this.#keys.all().map(withoutHash);
  }

  async keyRecord(keyId: string, hash: string): Promise<KeyRecord | null> {
    const account = this.#store.account;
    const key = account && this.#keys.get(keyId);
    return account !== null && key?.hash === hash ? this.#copies.recordOf(key, account.status) : null;
  }

  async endKey(keyId: string, how: { expiresAt: number } | { revokedAt: number }): Promise<boolean> {
    if (this.#store.account === null || this.#keys.get(keyId) === null) return false;
    this.#keys.end(keyId, how);
    await this.#publishKeys();
    return true;
  }

  async orphans(before: number | null, limit: number): Promise<OrphanView[]> {
    return this.#store.account === null ? [] : this.#rows.orphansBefore(before ?? Number.MAX_SAFE_INTEGER, limit);
  }

  async writeOff(seq: number, reason: string): Promise<OrphanView | null> {
    return this.#store.account === null ? null : this.#rows.writeOff(seq, Date.now(), reason);
  }

  async taskOfRequest(requestId: string): Promise<string | null> {
    return this.#store.account === null ? null : this.#rows.ofRequest(requestId);
  }

  async holdState(taskId: string): Promise<HoldRow["state"] | null> {
    return this.#store.account === null ? null : (this.#rows.hold(taskId)?.state ?? null);
  }

  async taskIds(after: string | null, limit: number): Promise<string[]> {
    return this.#store.account === null ? [] : this.#rows.idsAfter(after, limit);
  }

  async republish(): Promise<void> {
    if (this.#store.account === null) return;
    await this.#publish();
    await this.#publishKeys();
    this.ctx.storage.kv.put(REPUBLISHED, Date.now());
  }

  // Never throws, for the platform's reason: see durable/video-task.
  override async alarm(): Promise<void> {
    const startedAt = Date.now();
    try {
      if (this.#store.account === null) return;
      const overdue = await this.#watchdog.run(startedAt);
      const ms = Date.now() - startedAt;
      wire(this.env).telemetry.log("info", { event: "watchdog", ledger: this.ctx.id.name ?? null, overdue, ms });
    } catch (error) {
      this.#log("alarm_failed", (error as Error).name);
      await this.ctx.storage.setAlarm(Date.now() + SURPRISED_MS);
    }
  }

  /** In the background: a copy that is late only lets the ledger be asked. */
  #publishIfDue(refused: ReserveAsk | null, now: number): void {
    if (this.#copies.isDue(refused, now)) this.#publishSoon();
  }

  #publishSoon(): void {
    this.ctx.waitUntil(this.#publish().catch(() => this.#log("publish_failed")));
  }

  async #publish(): Promise<void> {
    const usage = ledger.usageOf(opened(this.#store.account));
    await this.#copies.publish(this.#store.frozen === null ? usage : { ...usage, status: "read_only" }, Date.now());
  }

  async #publishKeys(): Promise<void> {
    await this.#copies.publishKeys(this.#keys.all(), opened(this.#store.account).status);
  }

  #task(id: string): TaskPort {
    return wire(this.env).taskOf(ownerOf(this.ctx.id).tenant, id);
  }

  #log(event: string, error: string | null = null): void {
    console.error(JSON.stringify({ level: "error", event, ledger: this.ctx.id.name ?? null, error }));
  }
}

function withoutHash(key: KeyRow): KeyView {
  const { hash: _, ...view } = key;
  return view;
}

function opened(account: Account | null): Account {
  if (account === null) throw new Error("no such tenant");
  return account;
}

function ownerOf(id: DurableObjectId): { tenant: string; mode: Mode } {
  const [tenant, mode] = (id.name ?? "").split("/");
  if (tenant === undefined || (mode !== "live" && mode !== "test")) throw new Error("a ledger is named tenant/mode");
  return { tenant, mode };
}
