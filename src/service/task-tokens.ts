// Task tokens: what a web page may hold instead of the API key. One says by itself whose it is, for which task and until when; what
// it cannot say is whether its tenant still stands, which KV's copy tells.
import type { Mode } from "../core/api-key.ts";
import type { Refusal } from "../core/errors.ts";
import type { TenantStatus } from "../core/quota.ts";
import { fail, ok, type Result } from "../core/result.ts";
import { makeTaskToken, readTaskToken } from "../core/task-token.ts";
import type { BooksOf, Shield, TenantStore } from "../ports.ts";
import { again } from "./again.ts";
import { shielded, type Caller } from "./authenticate.ts";
import { findTask, type FindDeps } from "./find-task.ts";
import { Memory } from "./memory.ts";

export interface TaskTokenDeps extends FindDeps {
  readonly tenants: TenantStore;
  readonly booksOf: BooksOf;
  readonly addressShield: Shield;
  readonly tenantShield: Shield;
}

export interface TaskTokens {
  /** `expiresAt`: unix seconds. */
  issue(caller: Caller, id: string, seconds: number): Promise<Result<{ token: string; expiresAt: number }, Refusal>>;
  /** Whom a token stands for, where it is good for this task: its tenant, with no right but to read. */
  verify(token: string, id: string, address: string): Promise<Result<Caller, Refusal>>;
}

const REMEMBERED_MS = 15_000;
const REMEMBERED_TENANTS = 2_000;

export function taskTokens(deps: TaskTokenDeps): TaskTokens {
  const standings = new Memory<TenantStatus>(REMEMBERED_TENANTS);

  return {
    async issue(caller, id, seconds) {
      const found = await findTask(deps, caller, id);
      if (!found.ok) return found;
      const expiresAt = Math.floor(deps.clock() / 1000) + seconds;
      return ok({ token: await makeTaskToken(deps.taskIdSecrets[0] as string, caller, id, expiresAt), expiresAt });
    },

    async verify(token, id, address) {
      const read = await readTaskToken(deps.taskIdSecrets, token, id, deps.clock());
      if (!read.ok) return read;
      const { tenant, mode } = read.value;
      const status = standings.get(`${tenant}/${mode}`, deps.clock()) ?? (await look(tenant, mode, address));
      if (typeof status !== "string") return fail(status);
      if (status === "suspended") return fail({ kind: "account_suspended" });
      if (!(await deps.tenantShield(`${tenant}/${mode}`))) return fail(shielded("tenant"));
      return ok({ ...read.value, scopes: ["read"] });
    },
  };

  async function look(tenant: string, mode: Mode, address: string): Promise<TenantStatus | Refusal> {
    if (!(await deps.addressShield(address))) return shielded("address");
    try {
      const copy = await again(() => deps.tenants.findTenant(tenant, mode));
      // KV may have no copy yet of a tenant that is new.
      const account = copy ?? (await again(() => deps.booksOf(tenant, mode).account()));
      if (account === null) return { kind: "invalid_task_token" };
      standings.set(`${tenant}/${mode}`, account.status, deps.clock() + REMEMBERED_MS);
      return account.status;
    } catch {
      return { kind: "auth_unavailable" };
    }
  }
}
