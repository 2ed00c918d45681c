// The one way to GET a URL that came from a provider's reply or from a tenant. Every hop is judged anew, and the provider's key
// goes to the provider's own origin only: left to itself, fetch re-sends custom key headers wherever a redirect points.
import { RefusedError } from "../core/upstream-errors.ts";
import type { UrlRule } from "./url-policy.ts";

const MAX_REDIRECTS = 3;
const REDIRECT_STATUSES = [301, 302, 303, 307, 308];

export interface FetchRules {
  readonly judge: UrlRule;
  /** Null: nobody's, and no credentials are ever sent. */
  readonly ownOrigin: string | null;
  /** The credentials for `ownOrigin`. */
  readonly ownHeaders: Readonly<Record<string, string>>;
}

/** Resolves to the first reply that is not a redirect, whatever its status. Throws RefusedError, or ConnectionError. */
export type GuardedFetch = (
  url: string,
  options: { readonly headers?: Readonly<Record<string, string>>; readonly signal: AbortSignal },
) => Promise<Response>;

export function guardedFetch({ judge, ownOrigin, ownHeaders }: FetchRules): GuardedFetch {
  return async (url, { headers, signal }) => {
    let target = judged(url, null, judge);
    for (let redirects = 0; ; redirects++) {
      const credentials = target.origin === ownOrigin ? ownHeaders : {};
      // Compressed bodies have no length that could be relied on, and parts of them cannot be asked for.
      const sent = { ...headers, "accept-encoding": "identity", ...credentials };
      const response = await quietFetch(target.href, { headers: sent, redirect: "manual", signal });
      if (!REDIRECT_STATUSES.includes(response.status)) return response;
      await discard(response);
      const location = response.headers.get("location");
      if (location === null || redirects === MAX_REDIRECTS) throw refused();
      target = judged(location, target, judge);
    }
  };
}

/** A connection that failed or took too long. */
export class ConnectionError extends Error {
  override readonly name: "ConnectionError" | "TimeoutError";

  constructor(signal: AbortSignal) {
    super(signal.aborted ? "the call was given up" : "the connection failed");
    this.name = signal.aborted ? "TimeoutError" : "ConnectionError";
  }
}

/** fetch, but what it throws says nothing of where the call went or what it carried: platforms' own messages name hosts and headers. */
export async function quietFetch(url: string, init: RequestInit & { signal: AbortSignal }): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch {
    throw new ConnectionError(init.signal);
  }
}

/** A body that nobody reads keeps its connection. */
export async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => undefined);
}

function judged(url: string, base: URL | null, judge: UrlRule): URL {
  const parsed = URL.parse(url, base?.href);
  // What is judged is what is fetched: the parsed form, not the text.
  if (parsed === null || judge(parsed.href) !== null) throw refused();
  return parsed;
}

function refused(): RefusedError {
  return new RefusedError("task", "upstream_invalid_result");
}
