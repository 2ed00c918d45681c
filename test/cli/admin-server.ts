// A server that says what a test wants the operator API to say, and the real command line to call it.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";

export interface Seen {
  readonly line: string;
  readonly token: string | undefined;
  readonly actor: unknown;
  readonly access: unknown;
  readonly body: unknown;
}
export interface Answer {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body: unknown;
}
export interface Run {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

const ENTRY = join(import.meta.dirname, "../../src/cli/reelay.ts");

export class AdminServer {
  /** By method and path, the latter without /admin/v1. What is missing is a 404. */
  answers: Record<string, Answer> = {};
  seen: Seen[] = [];
  #server: Server | null = null;
  #cache = "";
  #url = "";

  async start(): Promise<void> {
    this.#cache = await mkdtemp(join(tmpdir(), "reelay-cache-"));
    this.#server = createServer((request, reply) => {
      void text(request).then((body) => {
        const { method, url: path, headers } = request;
        const line = `${method} ${path?.replace("/admin/v1", "")}`;
        this.seen.push({
          line,
          token: headers.authorization,
          actor: headers["x-reelay-actor"],
          access: headers["cf-access-client-id"],
          body: body === "" ? null : (JSON.parse(body) as unknown),
        });
        const { status = 200, headers: extra, body: said } = this.answers[line] ?? refusal(404, "not_found", `${line} is not here`);
        reply.writeHead(status, { "content-type": "application/json", "x-request-id": "req_1", ...extra });
        reply.end(typeof said === "string" ? said : JSON.stringify(said));
      });
    });
    this.#url = await listen(this.#server);
  }

  async stop(): Promise<void> {
    this.#server?.close();
    await rm(this.#cache, { recursive: true, force: true });
  }

  forget(): void {
    this.answers = {};
    this.seen = [];
  }

  /** Without a terminal, as a script would. */
  async reelay(args: readonly string[], env: Record<string, string> = {}): Promise<Run> {
    const { PATH = "", HOME = "" } = process.env;
    const child = spawn(process.execPath, [ENTRY, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH, HOME, NODE_COMPILE_CACHE: this.#cache, REELAY_URL: this.#url, ...env },
    });
    const code = new Promise<number | null>((resolve) => child.once("exit", resolve));
    const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
    return { code: await code, output, errors };
  }
}

/** Takes every request and never answers. */
export async function startSilent(): Promise<{ url: string; stop: () => void }> {
  const hangUp: RequestListener = (request) => request.socket.destroy();
  const server = createServer(hangUp);
  return { url: await listen(server), stop: () => server.close() };
}

export function refusal(status: number, code: string, message: string): Answer {
  return { status, body: { error: { message, type: "invalid_request_error", code, param: null } } };
}

export function page(data: readonly unknown[], last: string | null = null): Answer {
  return { body: { object: "list", data, has_more: last !== null, last_id: last } };
}

export const TENANT_ROW = { id: "aB3dE5fG", name: "Acme", status: "active", created_at: 1_764_000_000 };
const CREDITS = { granted: 1500, adjusted: 0, available: 1400, held: 0, spent: 100, expired: 0, live_tasks: 0, read_only: false };
const PLAN = { credits: 1000, requests_per_minute: 60, live_tasks: 10, models: null, retention_days: 7, route_choice: false };
export const TENANT = { ...TENANT_ROW, plan: PLAN, live: CREDITS, test: CREDITS };
export const KEY = {
  id: "aB3dE5fGhJ7k",
  name: "ci",
  mode: "live",
  prefix: "sk-live-aB3dE5fGhJ7k",
  last4: "9xYz",
  scopes: ["create"],
  budget: null,
  budget_used: 0,
  models: null,
  ips: null,
  created_at: 1,
  expires_at: null,
  revoked_at: null,
};

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
