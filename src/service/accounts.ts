// A tenant's view of its own account: the same numbers as the ledger's, because they are the ledger's.
import type { Mode } from "../core/api-key.ts";
import type { Refusal } from "../core/errors.ts";
import type { Entry } from "../core/ledger.ts";
import { fail, ok, type Result } from "../core/result.ts";
import type { AccountView, BooksOf, UsageRow } from "../ports.ts";

interface Holder {
  readonly tenant: string;
  readonly mode: Mode;
}

export interface Accounts {
  account(holder: Holder): Promise<Result<AccountView, Refusal>>;
  /** Newest first, before `before`. */
  journal(holder: Holder, before: number | null, limit: number): Promise<Entry[]>;
  /** Both days (UTC) included. */
  usage(holder: Holder, fromDay: string, toDay: string): Promise<UsageRow[]>;
}

export function accounts({ booksOf }: { booksOf: BooksOf }): Accounts {
  return {
    async account({ tenant, mode }) {
      const account = await booksOf(tenant, mode).account();
      return account === null ? fail({ kind: "invalid_api_key" }) : ok(account);
    },
    journal: async ({ tenant, mode }, before, limit) => booksOf(tenant, mode).journal(before, limit),
    usage: async ({ tenant, mode }, fromDay, toDay) => booksOf(tenant, mode).usage(fromDay, toDay),
  };
}
