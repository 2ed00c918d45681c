// A server on loopback that can die in the middle of anything, and come back where it was.
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo, Socket } from "node:net";

export interface MortalServer {
  /** Without a trailing slash. */
  readonly url: string;
  /** Dies: nobody listens any more, and every connection breaks off. */
  readonly close: () => Promise<void>;
  /** Listens again at the same address, after `close`. */
  readonly reopen: () => Promise<void>;
}

/** Below what systems give away: nobody else gets the address of one that is dead for a while. */
const LOWEST_PORT = 20_000;
const PORTS = 12_000;
const TRIES = 20;

/** `port` 0: any. */
export async function startMortalServer(port: number, answer: RequestListener): Promise<MortalServer> {
  const sockets = new Set<Socket>();
  const server = createServer(answer);
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });

  const listen = async (at: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(at, "127.0.0.1", () => {
        server.off("error", reject);
        resolve();
      });
    });

  async function listenAnywhere(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return await listen(LOWEST_PORT + Math.floor(Math.random() * PORTS));
      } catch (error) {
        if (tries === TRIES) throw error;
      }
    }
  }

  await (port === 0 ? listenAnywhere() : listen(port));
  const at = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${at}`,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      // Hanging calls would keep it open for ever.
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    reopen: async () => listen(at),
  };
}
