// A gateway for tests of the client: answers as it is told, in order, and keeps what it was asked.
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export type Answer = (response: ServerResponse) => unknown;

export interface TinyGateway {
  readonly url: string;
  readonly asked: readonly Asked[];
  close(): Promise<void>;
}

/** The last answer is given to everything that comes after it, too. */
export async function startTinyGateway(...answers: Answer[]): Promise<TinyGateway> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const answer = answers[Math.min(asked.length, answers.length - 1)];
      asked.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers, body });
      answer?.(response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): Answer =>
  (response) =>
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));

export const refusal = (status: number, code: string, headers: Record<string, string> = {}): Answer =>
  json(status, { error: { message: `No: ${code}.`, type: "some_error", code, param: "images.0" } }, headers);

/** The connection is gone before an answer. */
export const reset: Answer = (response) => response.socket?.destroy();

/** Nothing, ever. */
export const hang: Answer = () => undefined;

/** A stream of these pieces, one a write; then it ends, unless it is to break or to stay open. */
export const stream =
  (pieces: readonly (string | Uint8Array)[], then: "end" | "break" | "stay" = "end"): Answer =>
  async (response) => {
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    for (const piece of pieces) await new Promise((resolve) => response.write(piece, resolve));
    if (then === "end") response.end();
    if (then === "break") response.socket?.destroy();
  };
