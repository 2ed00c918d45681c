// The operator API's door. Closed, and not to be told from a path that does not exist, unless ADMIN_TOKEN is set; a tenant's key
// finds nothing here either.
import type { MiddlewareHandler } from "hono";
import { sha256 } from "../core/hmac.ts";
import { mountAdminSystem } from "./admin-system.ts";
import { mountAdminTasks } from "./admin-tasks.ts";
import { mountAdminTenants } from "./admin-tenants.ts";
import type { App, AppEnv, Services } from "./context.ts";
import { answer, notFound } from "./errors.ts";

export function mountAdmin(app: App, { adminToken, operator }: Services): void {
  app.use("/admin/v1/*", atTheDoor(adminToken));
  mountAdminTenants(app, operator);
  mountAdminTasks(app, operator);
  mountAdminSystem(app, operator);
}

function atTheDoor(adminToken: string | null): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const [, given] = /^bearer +([!-~]+)$/i.exec(c.req.header("authorization") ?? "") ?? [];
    if (adminToken === null || given?.startsWith("sk-")) return answer(c, notFound);
    if (given === undefined || !(await isSame(given, adminToken))) {
      return answer(c, {
        status: 401,
        type: "authentication_error",
        code: "invalid_admin_token",
        message: "Send the gateway's ADMIN_TOKEN in the header: Authorization: Bearer …",
        headers: { "WWW-Authenticate": "Bearer" },
      });
    }
    return next();
  };
}

/** In constant time: of hashes, because the comparison wants equal lengths. */
async function isSame(a: string, b: string): Promise<boolean> {
  return crypto.subtle.timingSafeEqual(await sha256(a), await sha256(b));
}
