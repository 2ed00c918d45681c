// The ledgers of a local run, read from the files that wrangler keeps them in: what a restart finds is what is on disk.
import { globSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { foldJournal, type Entry } from "../../src/core/ledger.ts";

/** The balances that the one journal with a hold in it adds up to, and the states of its tasks' rows. */
export function readLedgerFile(persistTo: string): { balances: ReturnType<typeof foldJournal>; states: string[] } {
  for (const file of globSync(join(persistTo, "**/*TenantLedger*/*.sqlite"))) {
    const database = new DatabaseSync(file, { readOnly: true });
    try {
      const states = database
        .prepare("SELECT state FROM tasks ORDER BY created_at")
        .all()
        .map(({ state }) => String(state));
      const journal = database.prepare("SELECT kind, amount FROM journal ORDER BY seq").all() as unknown as Entry[];
      if (states.length > 0) return { balances: foldJournal(journal), states };
    } finally {
      database.close();
    }
  }
  throw new Error(`no ledger under ${persistTo}`);
}
