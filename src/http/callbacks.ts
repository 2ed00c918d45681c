// POST /v1/callbacks/{token}: where providers say that something happened. The token is all the authority there is.
import { CALLBACK_PATH } from "../service/callbacks.ts";
import type { App, Services } from "./context.ts";
import { answer, notFound } from "./errors.ts";
import { readBytes } from "./json-body.ts";

export function mountCallbacks(app: App, { callbacks }: Services): void {
  app.post(`${CALLBACK_PATH}/:token{[A-Za-z0-9_-]{40,400}}`, async (c) => {
    // As it came, because its signature is over its bytes.
    const body = await readBytes(c.req.raw.body);
    if (!body.ok) return answer(c, body.error);
    const text = new TextDecoder().decode(body.value);
    const isOurs = await callbacks.receive(c.req.param("token"), { headers: c.req.raw.headers, body: text });
    return isOurs ? c.json({ received: true }) : answer(c, notFound);
  });
}
