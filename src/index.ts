// The Worker's entry: requests, the cron, and the Durable Objects' classes.
import { createApp } from "./app.ts";
import { SettingsError, type Bindings } from "./env.ts";
import type { App } from "./http/context.ts";
import { internalError } from "./http/errors.ts";
import { requestIdOf } from "./http/request-log.ts";
import { wire, type House } from "./wire.ts";

export { ProviderHealth } from "./durable/provider-health.ts";
export { Registry } from "./durable/registry.ts";
export { TenantEvents } from "./durable/tenant-events.ts";
export { TenantLedger } from "./durable/tenant-ledger.ts";
export { VideoTask } from "./durable/video-task.ts";

const apps = new WeakMap<House, App>();

export default {
  async fetch(request: Request, env: Bindings, context: ExecutionContext): Promise<Response> {
    try {
      const house = wire(env);
      await house.seedDemo();
      return await appOf(house).fetch(request, env, context);
    } catch (error) {
      return misconfigured(request, error);
    }
  },

  async scheduled(_controller: ScheduledController, env: Bindings): Promise<void> {
    try {
      const { runSweep, telemetry } = wire(env);
      const startedAt = Date.now();
      const report = await runSweep();
      telemetry.log("info", { event: "sweep", ran: report !== null, ...report, ms: Date.now() - startedAt });
    } catch (error) {
      // The next run comes by itself; what this one left off, it goes on with.
      logProblem("sweep_failed", error);
    }
  },
} satisfies ExportedHandler<Bindings>;

function appOf(house: House): App {
  const known = apps.get(house);
  if (known !== undefined) return known;
  const app = createApp({
    ...house,
    videos: house.service,
    publicUrl: house.settings.publicUrl,
    adminToken: house.settings.adminToken,
  });
  apps.set(house, app);
  return app;
}

/** No request can be served until the settings are right; the log says which are not, the caller only that it is our fault. */
function misconfigured(request: Request, error: unknown): Response {
  logProblem(error instanceof SettingsError ? "misconfigured" : "surprise", error);
  const { status, type, code, message: told } = internalError;
  const headers = { "x-request-id": requestIdOf(request.headers), "Cache-Control": "no-store", "Access-Control-Allow-Origin": "*" };
  return Response.json({ error: { message: told, type, code, param: null } }, { status, headers });
}

/** Settings errors are in our words and name no value; of any other only its kind is told. */
function logProblem(event: string, error: unknown): void {
  const message = error instanceof SettingsError ? error.message : (error as Error).name;
  console.error(JSON.stringify({ level: "error", event, message }));
}
