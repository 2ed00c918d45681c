// The Prefer header (RFC 7240), of which we know `wait`: how long a client would have us wait for the end; and
// `return=representation`: tell more than the seed's page does. A preference that cannot be read is not heard; it is never an error.

export const MAX_WAIT_SECONDS = 60;

/** `wait=N`, brought to at most 60; null: it does not ask to wait. The first `wait` of several counts. */
export function parseWait(prefer: string | null): number | null {
  for (const preference of (prefer ?? "").split(",")) {
    // What follows a semicolon are the preference's own parameters; `wait` has none.
    const [, digits, quoted] = /^\s*wait\s*=\s*(?:(\d+)|"(\d+)")\s*(?:;|$)/i.exec(preference) ?? [];
    const seconds = Number(digits ?? quoted ?? 0);
    if (seconds > 0) return Math.min(seconds, MAX_WAIT_SECONDS);
  }
  return null;
}

export function wantsRepresentation(prefer: string | null): boolean {
  return (prefer ?? "").split(",").some((preference) => /^\s*return\s*=\s*"?representation"?\s*(;|$)/i.test(preference));
}
