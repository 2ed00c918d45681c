// Where tenants keep their reference images, on loopback: a listener a path.
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo, Socket } from "node:net";

export interface ImageServer {
  readonly url: string;
  /** Paths that were asked for, in order. */
  readonly seen: readonly string[];
  close(): Promise<void>;
}

/** The first bytes of a PNG, and some more. */
export const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 1, 2, 3]);

export async function serveImages(routes: Readonly<Record<string, RequestListener>>): Promise<ImageServer> {
  const seen: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    seen.push(path);
    const listener = routes[path];
    if (listener === undefined) response.writeHead(404).end("no such image");
    else listener(request, response);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      // Those that never end would keep it open.
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A reply of that type, whatever its bytes are. */
export function sends(type: string, body: string | Uint8Array): RequestListener {
  return (_request, response) => void response.writeHead(200, { "content-type": type }).end(body);
}

export function redirectsTo(location: string): RequestListener {
  return (_request, response) => void response.writeHead(302, { location }).end();
}
