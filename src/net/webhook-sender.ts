// Sends one webhook: signed as Standard Webhooks has it, no redirect followed, its host judged anew at each try, because what a
// tenant may name changes, and little of the reply read. The receiver is a stranger: nothing but the message goes there.
import { Webhook } from "standardwebhooks";
import { messageHeaders } from "../core/webhook.ts";
import type { JudgeUrl, SendWebhook, WebhookMessage } from "../ports.ts";
import { discard, quietFetch } from "./guarded-fetch.ts";

const MAX_REPLY_BYTES = 4_096;
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

export function webhookSender(judge: JudgeUrl): SendWebhook {
  return async (message, signal) => {
    const url = URL.parse(message.url);
    // What is judged is what is fetched: the parsed form, not the text.
    if (url === null || judge(url.href, message.ownHost) !== null) return { kind: "not_allowed" };
    const headers = { ...messageHeaders(message), "webhook-signature": signatures(message) };
    const reply = await quietFetch(url.href, { method: "POST", headers, body: message.body, redirect: "manual", signal });
    return {
      kind: "answered",
      status: reply.status,
      retryAfterMs: retryAfterMs(reply.headers.get("retry-after"), message.at),
      excerpt: async (until) => readStart(reply, until),
    };
  };
}

/** One signature a secret: while secrets are changed, a receiver that has either is content. */
function signatures({ id, at, body, secrets }: WebhookMessage): string {
  return secrets.map((secret) => new Webhook(secret).sign(id, new Date(at), body)).join(" ");
}

/** Whole seconds, or a date as HTTP writes it. Null for anything else. */
function retryAfterMs(header: string | null, now: number): number | null {
  if (header === null) return null;
  if (/^\d{1,10}$/.test(header)) return Number(header) * 1000;
  return HTTP_DATE.test(header) ? Math.max(Date.parse(header) - now, 0) : null;
}

/** What came before `signal` or the connection ended; the rest is not wanted. */
async function readStart(reply: Response, signal: AbortSignal): Promise<string> {
  const decoder = new TextDecoder();
  const reader = reply.body?.getReader();
  if (reader === undefined) return "";
  const stop = (): void => void reader.cancel().catch(() => undefined);
  signal.addEventListener("abort", stop);
  let text = "";
  let bytes = 0;
  try {
    while (bytes < MAX_REPLY_BYTES) {
      const read = await reader.read();
      if (read.done) break;
      const part = read.value.subarray(0, MAX_REPLY_BYTES - bytes);
      bytes += part.byteLength;
      text += decoder.decode(part, { stream: true });
    }
  } catch {
    // It broke off; what came is what there is.
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
    reader.releaseLock();
    await discard(reply);
  }
  return text;
}
