// Server-sent events (the WHATWG's "Server-sent events", which is what EventSource reads) from a service's events. Pulled, never
// pushed: a slow reader costs no memory, and one that goes away ends what it was reading.
import type { Context } from "hono";
import type { AppEnv, Services } from "./context.ts";

/** A block as it is sent. Without an event it sets the resume point; without anything it is a comment. */
export interface Block {
  readonly event?: string;
  readonly id?: string;
  readonly data?: unknown;
}

/** How long a client should wait before it comes back, where it knows no better. */
const RETRY_MS = 2_000;

/** `gone` is aborted when the reader is. */
export function eventStream<Event>(
  c: Context<AppEnv>,
  events: AsyncGenerator<Event>,
  toBlock: (event: Event) => Block,
  gone: AbortController,
  { telemetry }: Pick<Services, "telemetry">,
): Response {
  const encoder = new TextEncoder();
  const { requestId } = c.var;
  let isBegun = false;
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (!isBegun) {
          isBegun = true;
          return controller.enqueue(encoder.encode(`retry: ${RETRY_MS}\n\n`));
        }
        try {
          const { done, value } = await events.next();
          if (done) controller.close();
          else controller.enqueue(encoder.encode(blockText(toBlock(value))));
        } catch (error) {
          // Its name only, as everywhere. The reader comes back, and is told what it missed.
          telemetry.log("error", { event: "stream_broke", request_id: requestId, error: (error as Error).name });
          controller.close();
        }
      },
      cancel: () => gone.abort(),
    },
    // Nothing is made before somebody reads: HEAD, for one, never does.
    { highWaterMark: 0 },
  );
  // nginx, in front of some, holds streams back unless it is told not to.
  return c.body(body, 200, { "Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no" });
}

/** Names and ids are our own words, and JSON has no line ends: nothing in a block can end it early. */
export function blockText({ event, id, data }: Block): string {
  const lines = [
    ...(event === undefined ? [] : [`event: ${event}`]),
    ...(id === undefined ? [] : [`id: ${id}`]),
    ...(data === undefined ? [] : [`data: ${JSON.stringify(data)}`]),
  ];
  return `${lines.length === 0 ? ":" : lines.join("\n")}\n\n`;
}
