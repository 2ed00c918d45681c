// Two objects side by side: the tenant ledger, and a bare one that only calls, checks a number and writes the same rows.
import { DurableObject } from "cloudflare:workers";
import { base62Digits } from "../../src/core/encoding.ts";
import { makeApiKey } from "../../src/core/api-key.ts";
import { createdAtSecondsOf, makeTaskId } from "../../src/core/task-id.ts";
import type { Bindings } from "../../src/env.ts";
import { keySpec } from "../../src/service/tenancy.ts";
import { wire } from "../../src/wire.ts";

export { Registry } from "../../src/durable/registry.ts";
export { TenantLedger } from "../../src/durable/tenant-ledger.ts";
export { VideoTask } from "../../src/durable/video-task.ts";

/** The floor: one value, one row of a task, one of a journal, in one transaction. */
export class BareLedger extends DurableObject {
  constructor(context: DurableObjectState, env: never) {
    super(context, env);
    this.ctx.storage.sql.exec(`
      CREATE TABLE IF NOT EXISTS tasks (created_at INTEGER, id TEXT, state TEXT, PRIMARY KEY (created_at, id)) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS journal (seq INTEGER PRIMARY KEY, amount INTEGER);`);
  }

  async reserve(id: string, credits: number): Promise<boolean> {
    const { kv, sql } = this.ctx.storage;
    return this.ctx.storage.transactionSync(() => {
      const available = kv.get<number>("available") ?? 1e9;
      if (available < credits) return false;
      kv.put("available", available - credits);
      sql.exec("INSERT INTO tasks VALUES (?, ?, 'held')", createdAtSecondsOf(id), id);
      sql.exec("INSERT INTO journal (amount) VALUES (?)", credits);
      return true;
    });
  }
}

const LIMITS = { creditsPerPeriod: 1e9, createsPerMinute: 1e9, liveTasks: 1e9, models: null, retentionDays: 7 };
const AT_ONCE = 16;

type Env = Bindings & { readonly BARE: DurableObjectNamespace<BareLedger> };

export default {
  /** `?what=ledger|bare&count=N`: that many reserves, 16 at a time, on one fresh object; answers with the milliseconds they took. */
  async fetch(request: Request, env: Env): Promise<Response> {
    const { searchParams } = new URL(request.url);
    const tenant = base62Digits(crypto.getRandomValues(new Uint8Array(64))).slice(0, 8);
    const owner = { tenant, mode: "test" as const };
    const ids = await Promise.all(
      Array.from({ length: Number(searchParams.get("count")) }, async () =>
        makeTaskId("bench", owner, "veo3", Date.now(), crypto.getRandomValues(new Uint8Array(10))),
      ),
    );
    const reserve = searchParams.get("what") === "ledger" ? await ledgerReserve(env, owner) : bareReserve(env, tenant);
    await reserve(ids.pop() as string);
    const startedAt = Date.now();
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let id = ids.pop(); id !== undefined; id = ids.pop()) await reserve(id);
      }),
    );
    return Response.json({ ms: Date.now() - startedAt });
  },
} satisfies ExportedHandler<Env>;

async function ledgerReserve(env: Env, { tenant, mode }: { tenant: string; mode: "test" }): Promise<(id: string) => Promise<void>> {
  const { booksOf, ledgerOf } = wire(env);
  const key = makeApiKey(mode, tenant, crypto.getRandomValues(new Uint8Array(128)));
  await booksOf(tenant, mode).configure({ limits: LIMITS });
  await booksOf(tenant, mode).putKey(await keySpec(key, Date.now()));
  const ledger = ledgerOf(tenant, mode);
  return async (id) => {
    const claim = { key: null, fingerprint: id, looks: false };
    const deadlineAt = Date.now() + 1_800_000;
    const plain = { requestId: "bench", claim, retentionDays: null, metadata: {} };
    const reserved = await ledger.reserve({ id, keyId: key.id, model: "veo3", credits: 40, deadlineAt, ...plain });
    if (!reserved.ok) throw new Error(reserved.error.kind);
  };
}

function bareReserve(env: Env, name: string): (id: string) => Promise<void> {
  const bare = env.BARE.getByName(name);
  return async (id) => {
    if (!(await bare.reserve(id, 40))) throw new Error("refused");
  };
}
