// GET .../content: a task's video for who asks with its API key. The bytes come from here and not by a redirect to a signed link,
// because many clients do not follow one (curl without -L, httpx), some would take their key along to another origin, and a page
// of another origin could not read what is there. Ranges and conditions work as on a link.
import type { Context } from "hono";
import type { AppEnv, Services } from "./context.ts";
import { sendFile, sendFileHead } from "./files.ts";
import { refuseUnknown } from "./misses.ts";

export async function replyWithContent(
  c: Context<AppEnv>,
  services: Pick<Services, "content" | "missShield">,
  id: string,
): Promise<Response> {
  const { method, raw } = c.req;
  const read = await services.content(c.var.caller, { id, headers: raw.headers, headOnly: method === "HEAD" });
  if (!read.ok) return refuseUnknown(c, services, read.error);
  c.set("taskId", id);
  return read.value.kind === "head" ? sendFileHead(c, id, read.value.meta, null) : sendFile(c, id, read.value, null);
}
