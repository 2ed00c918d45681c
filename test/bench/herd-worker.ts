// The gateway as it is, and beside it: a tenant with room for a herd, and a note of how late each poll was begun.
import { makeApiKey } from "../../src/core/api-key.ts";
import { base62Digits } from "../../src/core/encoding.ts";
import { VideoTask as Task } from "../../src/durable/video-task.ts";
import type { Bindings } from "../../src/env.ts";
import gateway from "../../src/index.ts";
import { keySpec } from "../../src/service/tenancy.ts";
import { wire } from "../../src/wire.ts";

export { ProviderHealth, Registry, TenantEvents, TenantLedger } from "../../src/index.ts";

const LIMITS = { creditsPerPeriod: 1e9, createsPerMinute: 1e9, liveTasks: 1e9, models: null, retentionDays: 1 };

/** Of this isolate, which a local run has one of. */
const latenessMs: number[] = [];

export class VideoTask extends Task {
  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    const now = Date.now();
    if (info !== undefined && (await this.read())?.status === "running") latenessMs.push(Math.max(now - info.scheduledTime, 0));
    return super.alarm();
  }
}

export default {
  ...gateway,

  async fetch(request: Request, env: Bindings, context: ExecutionContext): Promise<Response> {
    switch (new URL(request.url).pathname) {
      case "/bench/tenant":
        return Response.json({ key: await openTenant(env) });
      case "/bench/polls":
        return Response.json({ latenessMs });
      default:
        return gateway.fetch(request, env, context);
    }
  },
} satisfies ExportedHandler<Bindings>;

async function openTenant(env: Bindings): Promise<string> {
  const tenant = base62Digits(crypto.getRandomValues(new Uint8Array(64))).slice(0, 8);
  const key = makeApiKey("test", tenant, crypto.getRandomValues(new Uint8Array(128)));
  const books = wire(env).booksOf(tenant, "test");
  await books.configure({ limits: LIMITS });
  await books.putKey(await keySpec(key, Date.now()));
  return key.text;
}
