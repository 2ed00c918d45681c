// What a tenant does with tasks it has, as it would call the gateway for it.
import { runInDurableObject } from "cloudflare:test";
import { vi } from "vitest";
import type { Provider } from "../../src/ports.ts";
import { wire, type House } from "../../src/wire.ts";
import { call, type TestTenant, type Video } from "./gateway.ts";
import { taskStub } from "./objects.ts";

export type Listed = Video & {
  readonly model: string;
  readonly created_at: number;
  readonly metadata: Readonly<Record<string, string>>;
};

export interface ListPage {
  readonly object: "list";
  readonly data: readonly Listed[];
  readonly has_more: boolean;
  readonly first_id: string | null;
  readonly last_id: string | null;
}

/** A JSON text goes as it is. */
export async function post(key: string, path: string, body: unknown): Promise<Response> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return call(path, { method: "POST", key, headers: { "content-type": "application/json" }, body: text });
}

export async function cancel({ key }: TestTenant, id: string): Promise<Response> {
  return post(key, "/v1/video/cancel", { id });
}

export async function list({ key }: TestTenant, query: Record<string, string | number> = {}): Promise<ListPage> {
  const asked = new URLSearchParams(Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]));
  const reply = await call(`/v1/video/list?${asked}`, { key });
  if (reply.status !== 200) throw new Error(`list answered ${reply.status} ${await reply.text()}`);
  return reply.json<ListPage>();
}

/** What a task's own object works with. It is the same for all objects of an isolate. */
export async function houseOf(owner: TestTenant, id: string): Promise<House> {
  return runInDurableObject(taskStub(owner, id), (object) => wire((object as unknown as { env: Cloudflare.Env }).env));
}

/** Puts a provider in place of whichever the task is given; gives a way back. */
export async function plantProvider(owner: TestTenant, id: string, provider: Provider): Promise<() => void> {
  const planted = vi.spyOn(await houseOf(owner, id), "providerOf").mockReturnValue(provider);
  return () => planted.mockRestore();
}

/** The one that serves test keys. */
export async function simulatedProvider(owner: TestTenant, id: string): Promise<Provider> {
  const found = (await houseOf(owner, id)).providerOf({ provider: "simulated", credential: "" });
  if (found === undefined) throw new Error("there is no simulated provider");
  return found;
}
