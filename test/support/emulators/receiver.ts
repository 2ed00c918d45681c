// A webhook receiver on loopback that misbehaves as told: one instruction a message, then "ok" again.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

export type Instruction =
  | "ok"
  /** That status and a word. */
  | `return-${number}`
  /** 429, come back after so many seconds. */
  | `retry-after:${number}`
  | `redirect:${string}`
  /** The connection is reset before an answer. */
  | "reset"
  /** 200, the first half of what was announced, and a reset. */
  | "reset-after-200"
  /** The message is taken, and never answered. */
  | "hang"
  /** 200 and a body that stops half way, without an end. */
  | "stall"
  /** 200 and a body without end, as fast as it is read. */
  | "endless"
  /** Something that is not HTTP. */
  | "garbage"
  /** 200 and headers of a hundred kilobytes. */
  | "huge-headers";

export interface Received {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Receiver {
  readonly url: string;
  /** Every message, whatever came of it. */
  readonly received: readonly Received[];
  /** What was written of endless bodies. */
  bytesSent(): number;
  /** Messages whose sender hung up before the answer was over. */
  hungUp(): number;
  close(): Promise<void>;
}

export async function startReceiver(...script: Instruction[]): Promise<Receiver> {
  const received: Received[] = [];
  const sockets = new Set<Socket>();
  let bytesSent = 0;
  let hungUp = 0;
  const server = createServer((request, response) => {
    void readText(request).then((body) => {
      response.on("close", () => (hungUp += response.writableFinished ? 0 : 1));
      received.push({ headers: flat(request), body });
      answer(script.shift() ?? "ok", response, (bytes) => (bytesSent += bytes));
    });
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    bytesSent: () => bytesSent,
    hungUp: () => hungUp,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answer(instruction: Instruction, response: ServerResponse, sent: (bytes: number) => void): void {
  const [word, argument = ""] = split(instruction);
  switch (word) {
    case "ok":
      return void response.end("thanks");
    case "return":
      return void response.writeHead(Number(argument)).end(`answered ${argument}`);
    case "retry-after":
      return void response.writeHead(429, { "retry-after": argument }).end("slower");
    case "redirect":
      return void response.writeHead(307, { location: argument }).end();
    case "reset":
      return void response.socket?.resetAndDestroy();
    case "reset-after-200":
      response.writeHead(200, { "content-length": 100 }).write("x".repeat(50), () => response.socket?.resetAndDestroy());
      return;
    case "hang":
      return;
    case "stall":
      return void response.writeHead(200).write("still thinking");
    case "endless":
      return pour(response.writeHead(200), sent);
    case "garbage":
      return void response.socket?.end("SSH-2.0-OpenSSH_9.9\r\n");
    case "huge-headers":
      response.socket?.end(`HTTP/1.1 200 OK\r\nx-large: ${"x".repeat(100_000)}\r\ncontent-length: 0\r\n\r\n`);
      return;
    default:
      throw new Error(`no such instruction: ${instruction}`);
  }
}

function split(instruction: Instruction): [string, string?] {
  const parts = /^(return)-(\d+)$|^(retry-after|redirect):(.*)$/.exec(instruction);
  return parts === null ? [instruction] : [parts[1] ?? parts[3] ?? "", parts[2] ?? parts[4] ?? ""];
}

function pour(response: ServerResponse, sent: (bytes: number) => void): void {
  const chunk = "x".repeat(16_384);
  const more = (): void => {
    while (!response.destroyed) {
      sent(chunk.length);
      if (!response.write(chunk)) break;
    }
  };
  response.on("drain", more);
  more();
}

async function readText(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk as string;
  return text;
}

function flat({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}
