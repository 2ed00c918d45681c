// The operator API's door. Closed, and not to be told from a path that does not exist, unless ADMIN_TOKEN is set; a tenant's key
// finds nothing here either.
import type { MiddlewareHandler } from "hono";
import { sha256 } from "../core/hmac.ts";
import { mountAdminCredits } from "./admin-credits.ts";
import { mountAdminKeys } from "./admin-keys.ts";
import { mountAdminModels } from "./admin-models.ts";
import { mountAdminProviders } from "./admin-providers.ts";
import { mountAdminSystem } from "./admin-system.ts";
import { mountAdminTasks } from "./admin-tasks.ts";
import { mountAdminTenants } from "./admin-tenants.ts";
import type { App, AppEnv, Services } from "./context.ts";
import { invalidAdminToken } from "./edge-errors.ts";
import { answer, badRequest, notFound } from "./errors.ts";

export function mountAdmin(app: App, { adminToken, operator }: Services): void {
  app.use("/admin/v1/*", atTheDoor(adminToken));
  mountAdminTenants(app, operator);
  mountAdminKeys(app, operator);
  mountAdminCredits(app, operator);
  mountAdminTasks(app, operator);
  mountAdminModels(app, operator);
  mountAdminProviders(app, operator);
  mountAdminSystem(app, operator);
}

function atTheDoor(adminToken: string | null): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const [, given] = /^bearer +([!-~]+)$/i.exec(c.req.header("authorization") ?? "") ?? [];
    if (adminToken === null || given?.startsWith("sk-")) return answer(c, notFound);
    if (given === undefined || !(await isSame(given, adminToken))) {
      return answer(c, invalidAdminToken);
    }
    const actor = actorOf(c.req.raw.headers);
    if (actor === null)
      return answer(c, badRequest("invalid_value", `${ACTOR} must be 1 to 64 printable ASCII characters.`, ACTOR));
    c.set("actor", actor);
    return next();
  };
}

const ACTOR = "X-Reelay-Actor";
/** Set by Cloudflare Access, where it stands in front. */
const ACCESS_USER = "cf-access-authenticated-user-email";

/** Whom the audit log names. It is what the caller says: whoever has the token is believed. Null: it cannot be written down. */
function actorOf(headers: Headers): string | null {
  const named = headers.get(ACTOR);
  if (named !== null) return /^[ -~]{1,64}$/.test(named) ? named : null;
  const user = headers.get(ACCESS_USER) ?? "";
  return /^[ -~]{1,254}$/.test(user) ? user : "operator";
}

/** In constant time: of hashes, because the comparison wants equal lengths. */
async function isSame(a: string, b: string): Promise<boolean> {
  return crypto.subtle.timingSafeEqual(await sha256(a), await sha256(b));
}
