// Reading a task with patience: `Prefer: wait=N` holds the reply back until there is something to tell, `If-None-Match` says what is
// known already. Neither is ever an error.
import type { Context } from "hono";
import { etagOf, matchesEtag } from "../core/etag.ts";
import { parseWait } from "../core/prefer.ts";
import type { Refusal } from "../core/errors.ts";
import type { Result } from "../core/result.ts";
import type { SeenTask } from "../core/seen-task.ts";
import { queryBody } from "../service/query-body.ts";
import { baseOf } from "./base-url.ts";
import type { AppEnv, Services } from "./context.ts";

type Needs = Pick<Services, "watch" | "publicUrl">;

/** The task as it is, or as it has become by the time that the client would wait; its headers are set. */
export async function readPatiently(c: Context<AppEnv>, services: Needs, id: string): Promise<Result<SeenTask, Refusal>> {
  const known = c.req.header("if-none-match") ?? null;
  const wait = parseWait(c.req.header("prefer") ?? null);
  const found = await services.watch.look(c.var.caller, id, baseOf(c, services), {
    seconds: wait ?? 0,
    isNews: async (video) => known !== null && !matchesEtag(known, await tagOf(video)),
    signal: c.req.raw.signal,
  });
  if (!found.ok) return found;
  c.set("taskId", id);
  if (wait !== null) c.header("Preference-Applied", `wait=${wait}`);
  if (found.value.retryAfterSeconds !== null) c.header("Retry-After", String(found.value.retryAfterSeconds));
  return found;
}

/** Sets its ETag. True: the client has this very reply. */
export async function isKnown(c: Context<AppEnv>, video: SeenTask): Promise<boolean> {
  const etag = await tagOf(video);
  c.header("ETag", etag);
  return matchesEtag(c.req.header("if-none-match") ?? null, etag);
}

/**
 * What became of a task that was just created, where the client would wait for it; null: it would not, or may not read. The task is
 * accepted, so nothing that goes wrong here may make an error of it.
 */
export async function waitForCreated(c: Context<AppEnv>, services: Needs, id: string): Promise<SeenTask | null> {
  const asks = parseWait(c.req.header("prefer") ?? null) !== null;
  if (!asks || !c.var.caller.scopes.includes("read")) return null;
  const seen = await readPatiently(c, services, id).catch(() => null);
  return seen?.ok ? seen.value : null;
}

/** The link in it is the same for a while, and so is the tag; a 304 therefore never leaves an expired one. */
async function tagOf(video: SeenTask): Promise<string> {
  return etagOf(JSON.stringify(queryBody(video)));
}
