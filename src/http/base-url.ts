import type { Context } from "hono";
import type { AppEnv, Services } from "./context.ts";

/** The gateway's own origin, as its links are to have it. */
export function baseOf(c: Context<AppEnv>, { publicUrl }: Pick<Services, "publicUrl">): string {
  return publicUrl ?? new URL(c.req.url).origin;
}
