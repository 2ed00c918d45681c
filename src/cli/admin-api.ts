// The operator API as the command line calls it: one method a verb, the reply as it came beside what it means.
import { ApiError, errorOf, reach, readText } from "./gateway-call.ts";
import type { List } from "./admin-wire.ts";

export interface Reply<Body> {
  readonly body: Body;
  /** As it came. */
  readonly text: string;
}

export interface Credentials {
  readonly token: string;
  /** Who the audit log names. */
  readonly actor: string;
  /** A service token, where Cloudflare Access stands in front of the gateway. */
  readonly access: { readonly id: string; readonly secret: string } | null;
}

export interface Page {
  readonly limit?: number;
  readonly after?: string;
  /** Every page from there on. */
  readonly all?: boolean;
}

type Query = Readonly<Record<string, string | number | undefined>>;

const TIMEOUT_MS = 60_000;
/** A sweep and a rebuild walk over all tenants. */
const LONG_TIMEOUT_MS = 600_000;
const LARGEST_PAGE = 100;

export class AdminApi {
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(gateway: URL, { token, actor, access }: Credentials) {
    this.#base = addressOf(gateway, "/admin/v1");
    this.#headers = {
      authorization: `Bearer ${token}`,
      "x-reelay-actor": actor,
      ...(access && { "cf-access-client-id": access.id, "cf-access-client-secret": access.secret }),
    };
  }

  get<Body>(path: string, query: Query = {}): Promise<Reply<Body>> {
    return this.#call("GET", path + queryText(query));
  }

  post<Body>(path: string, body: object = {}): Promise<Reply<Body>> {
    return this.#call("POST", path, body);
  }

  patch<Body>(path: string, body: object): Promise<Reply<Body>> {
    return this.#call("PATCH", path, body);
  }

  delete<Body>(path: string, body: object): Promise<Reply<Body>> {
    return this.#call("DELETE", path, body);
  }

  /** One page; with `all`, every page as if it were one. */
  async list<Row>(path: string, page: Page, query: Query = {}): Promise<Reply<List<Row>>> {
    const limit = page.limit ?? (page.all ? LARGEST_PAGE : undefined);
    const first = await this.get<List<Row>>(path, { ...query, limit, after: page.after });
    if (!page.all) return first;
    const data = [...first.body.data];
    for (let last = first.body; last.has_more && last.last_id !== null;) {
      const { body } = await this.get<List<Row>>(path, { ...query, limit, after: last.last_id });
      if (body.last_id === last.last_id) throw new Error("The gateway gives the same page again and again.");
      data.push(...body.data);
      last = body;
    }
    const body = { object: "list", data, has_more: false, last_id: null } as const;
    return { body, text: JSON.stringify(body) };
  }

  async #call<Body>(method: string, path: string, body?: object): Promise<Reply<Body>> {
    const isLong = path === "/sweep" || path === "/rebuild-kv" || path === "/doctor";
    const reply = await reach(this.#base + path, {
      method,
      headers: { ...this.#headers, ...(body && { "content-type": "application/json" }) },
      // A redirect would turn a POST into a GET, and leads to a login page at best.
      redirect: "manual",
      signal: AbortSignal.timeout(isLong ? LONG_TIMEOUT_MS : TIMEOUT_MS),
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!reply.ok) throw await errorOf(reply);
    const text = await readText(reply, method);
    if (!isJsonObject(text)) throw new ApiError(reply, text);
    return { body: JSON.parse(text) as Body, text };
  }
}

/** `path` under the gateway's own, where it has one. */
export function addressOf({ origin, pathname }: URL, path: string): string {
  return origin + pathname.replace(/\/+$/, "") + path;
}

/** Each value as one segment, whatever is in it. */
export function path(parts: TemplateStringsArray, ...values: readonly (string | number)[]): string {
  return String.raw({ raw: parts }, ...values.map((value) => encodeURIComponent(value)));
}

function queryText(query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  return given.length === 0 ? "" : `?${given.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join("&")}`;
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
