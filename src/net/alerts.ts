// Alerts to the operator's own URL: JSON by POST, one a kind a minute from an isolate, so that an outage is not a flood of them.
import type { AlertKind, LogEntry } from "../ports.ts";

const EVERY_MS = 60_000;
const TIMEOUT_MS = 10_000;

/** `url` null: nowhere. `keepAlive` lets the call outlive the request it came up in. */
export function alertSender(
  url: string | null,
  clock: () => number,
  keepAlive: (work: Promise<void>) => void,
): (kind: AlertKind, entry: LogEntry) => void {
  const lastSent = new Map<AlertKind, number>();
  return (kind, entry) => {
    const now = clock();
    if (url === null || now - (lastSent.get(kind) ?? -Infinity) < EVERY_MS) return;
    lastSent.set(kind, now);
    keepAlive(send(url, { alert: kind, at: Math.floor(now / 1000), ...entry }));
  };
}

async function send(url: string, body: LogEntry): Promise<void> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), TIMEOUT_MS);
  try {
    const reply = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      redirect: "manual",
      signal: controller.signal,
    });
    await reply.body?.cancel();
  } catch {
    // It is in the log in any case.
  } finally {
    clearTimeout(timer);
  }
}
