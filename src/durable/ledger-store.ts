// A ledger's storage: its account under one key, its rows in tables, every change in one transaction. Books that would not add up are
// not written, and nothing more is until an operator has looked.
import { brokenInvariant, available, foldJournal, type Account, type Change } from "../core/ledger.ts";
import { LedgerKeys } from "./ledger-keys.ts";
import { LedgerRows } from "./ledger-rows.ts";

const ACCOUNT = "account";
/** Why the ledger is read-only: set when its books would not have added up. */
const FROZEN = "frozen";

/** Nothing is written until an operator has looked. */
export class FrozenError extends Error {
  override readonly name = "FrozenError";
}

/** The balances would not have been the fold of the journal. */
class BrokenBooksError extends Error {
  override readonly name = "BrokenBooksError";
}

export class LedgerStore {
  readonly rows: LedgerRows;
  readonly keys: LedgerKeys;
  readonly #storage: DurableObjectStorage;
  readonly #alert: (broken: string) => void;

  /** `alert` is told of the invariant that a change would have broken. */
  constructor(storage: DurableObjectStorage, alert: (broken: string) => void) {
    this.#storage = storage;
    this.#alert = alert;
    this.rows = new LedgerRows(storage.sql);
    this.keys = new LedgerKeys(storage.sql);
  }

  createTables(): void {
    this.rows.createTables();
    this.keys.createTable();
  }

  /** Null: the ledger was never opened. */
  get account(): Account | null {
    return this.#storage.kv.get<Account>(ACCOUNT) ?? null;
  }

  get frozen(): string | null {
    return this.#storage.kv.get<string>(FROZEN) ?? null;
  }

  /** Lets changes in again, if the books add up. */
  thaw(): void {
    if (this.frozen !== null && this.#addsUp()) this.#storage.kv.delete(FROZEN);
  }

  /** One transaction. Null: it would have broken the books, so that nothing was written. */
  transact<Value>(work: () => Value): Value | null {
    try {
      return this.#storage.transactionSync(work);
    } catch (error) {
      if (!(error instanceof BrokenBooksError)) throw error;
      this.#storage.kv.put(FROZEN, error.message);
      this.#alert(error.message);
      return null;
    }
  }

  /** A change that must be made, or throws FrozenError. */
  change(decide: (account: Account | null) => Change): void {
    if (this.frozen !== null) throw new FrozenError();
    const isDone = this.transact(() => {
      this.write(decide(this.account));
      return true;
    });
    if (isDone === null) throw new FrozenError();
  }

  /** Inside a transaction. */
  write({ account, entries }: Change): void {
    const broken = brokenInvariant(account);
    if (broken !== null) throw new BrokenBooksError(broken);
    this.#storage.kv.put<Account>(ACCOUNT, account);
    this.rows.insertEntries(entries);
  }

  #addsUp(): boolean {
    const { account } = this;
    if (account === null || brokenInvariant(account) !== null) return false;
    const told = foldJournal(this.rows.journal());
    return told.available === available(account) && told.held === account.held && told.spent === account.spent;
  }
}
