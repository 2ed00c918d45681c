// POST /v1/callbacks/{token}: where providers say that something happened. The token is all the authority there is.
import { CALLBACK_PATH } from "../service/callbacks.ts";
import type { App, Services } from "./context.ts";
import { answer, notFound } from "./errors.ts";
import { BODY_LIMITS, readBytes, type BodyLimits } from "./json-body.ts";

/** Providers tell of a job and where its video is. */
const LIMITS: BodyLimits = { ...BODY_LIMITS, maxBytes: 64 * 1024 };

export function mountCallbacks(app: App, { callbacks }: Services): void {
  app.post(`${CALLBACK_PATH}/:token{[A-Za-z0-9_-]{40,400}}`, async (c) => {
    // Nothing is read for who has no token, nor for who has called too often.
    const attempt = await callbacks.open(c.req.param("token"));
    if (attempt === null) return answer(c, notFound);
    if (!(await callbacks.admits(attempt))) return c.json({ received: true });
    // As it came, because its signature is over its bytes.
    const body = await readBytes(c.req.raw.body, LIMITS);
    if (!body.ok) return answer(c, body.error);
    await callbacks.receive(attempt, { headers: c.req.raw.headers, body: new TextDecoder().decode(body.value) });
    return c.json({ received: true });
  });
}
