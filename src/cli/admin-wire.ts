// What the operator API says. Times are unix seconds, credits whole numbers.

export type Mode = "live" | "test";

export interface List<Row> {
  readonly object: "list";
  readonly data: readonly Row[];
  readonly has_more: boolean;
  readonly last_id: string | null;
}

/** Of models, keys and providers there are few enough for one reply. */
export interface WholeList<Row> {
  readonly data: readonly Row[];
}

export interface Plan {
  readonly credits: number;
  readonly requests_per_minute: number;
  readonly live_tasks: number;
  readonly models: readonly string[] | null;
  readonly retention_days: number;
  readonly route_choice: boolean;
}

export interface Amounts {
  readonly granted: number;
  readonly adjusted: number;
  readonly available: number;
  readonly held: number;
  readonly spent: number;
  readonly expired: number;
}

export interface Balances extends Amounts {
  readonly live_tasks: number;
  readonly read_only: boolean;
}

export interface TenantRow {
  readonly id: string;
  readonly name: string;
  readonly status: "active" | "suspended" | "deleted";
  readonly created_at: number;
}

export interface Tenant extends TenantRow {
  readonly plan: Plan;
  readonly live: Balances;
  readonly test: Balances;
}

export interface Key {
  readonly id: string;
  readonly name: string | null;
  readonly mode: Mode;
  readonly prefix: string;
  readonly last4: string;
  readonly scopes: readonly string[];
  readonly budget: number | null;
  readonly budget_used: number;
  readonly models: readonly string[] | null;
  readonly ips: readonly string[] | null;
  readonly created_at: number;
  readonly expires_at: number | null;
  readonly revoked_at: number | null;
}

/** The one time that the gateway says it. */
export interface NewKey extends Key {
  readonly key: string;
}

export interface JournalEntry {
  readonly seq: number;
  readonly at: number;
  readonly kind: string;
  readonly amount: number;
  readonly ref: string | null;
}

export interface Recompute {
  readonly balances: Partial<Amounts>;
  readonly journal: Partial<Amounts>;
  readonly equal: boolean;
}

export interface Orphan {
  readonly seq: number;
  readonly at: number;
  readonly task: string;
  readonly provider: string;
  readonly model: string;
  readonly reason: string;
  /** US cents; null: not known. */
  readonly cost_cents: number | null;
  readonly written_off: { readonly at: number; readonly reason: string } | null;
}

export interface Task {
  readonly id: string;
  readonly tenant: string;
  readonly mode: Mode;
  readonly status: string;
  readonly model: string;
  readonly credits: number;
  readonly created_at: number;
  readonly deadline_at: number;
  readonly key_id: string | null;
  readonly request_id: string | null;
  readonly timeline: readonly { readonly at: number; readonly step: string }[];
  readonly attempts: readonly {
    readonly provider: string;
    readonly model: string;
    readonly started_at: number;
    readonly outcome: string | null;
    readonly reason: string | null;
  }[];
  readonly hold: string | null;
  readonly failure: string | null;
}

export interface Model {
  readonly id: string;
  readonly enabled: boolean;
  readonly reason: string | null;
  readonly credits: number;
  readonly upsample_credits: number;
}

export interface Provider {
  readonly name: string;
  readonly kind: string;
  readonly host: string;
  readonly priority: number;
  readonly weight: number;
  readonly tags: readonly string[];
  readonly models: readonly string[] | null;
  readonly region: string | null;
  readonly concurrency: number | null;
  readonly requests_per_minute: number | null;
  readonly timeouts: { readonly submit_seconds: number; readonly poll_seconds: number };
  readonly median_seconds: number | null;
  readonly overdue_factor: number | null;
  /** US cents a video; null: not known. */
  readonly cost_cents: number | null;
  readonly traits: ProviderTraits;
  /** Null: it could not be told. */
  readonly health: ProviderHealth | null;
}

export interface ProviderTraits {
  readonly images: "url" | "inline";
  readonly callbacks: "none" | "unsigned" | "signed";
  readonly idempotent_create: boolean;
  readonly cancel: boolean;
  /** For how long it keeps what it made; null: unknown. */
  readonly retention_seconds: number | null;
}

export interface ProviderCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly keys: readonly {
    readonly credential: string;
    readonly result: "accepted" | "rate_limited" | "unauthorized" | "out_of_credit" | "unavailable" | "unclear";
    readonly ms: number;
  }[];
}

export interface ProviderHealth {
  readonly held: boolean;
  readonly breaker: "closed" | "open" | "half_open" | "ramping";
  readonly open_until: number | null;
  readonly leases: number;
  readonly waiting: number;
  readonly spent: readonly { readonly credential: string; readonly why: string; readonly until: number }[];
  readonly latency: Readonly<Record<string, { readonly p50_seconds: number; readonly p95_seconds: number }>>;
}

export interface AuditEntry {
  readonly seq: number;
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  readonly before: unknown;
  readonly after: unknown;
}

export interface SweepReport {
  readonly ran: boolean;
  readonly tenants: number;
  readonly objects: number;
  readonly orphans: number;
  readonly errors: number;
}

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly mend: string | null;
}

export interface Doctor {
  readonly ok: boolean;
  readonly checks: readonly Check[];
}
