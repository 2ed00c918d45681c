// Errors of servers that speak somebody else's wire, which is many: each has one of a few envelopes, and words of its own.
import { z } from "zod";
import type { PollResult } from "../ports.ts";
import type { JsonReply } from "./call-json.ts";
import { folded, joined } from "./judge-reply.ts";
import { lenient, text, words } from "./reply-parts.ts";

/** The one that stands for any 4xx says nothing of whether it is about the request. */
const kind = lenient(words.transform((value) => (value === "invalid_request_error" ? "" : value)));
/** An error is a text, an object of texts, or a list of them. */
export const said = lenient(
  z.union([
    words,
    z.looseObject({ message: text, code: text, type: kind }).transform(({ message, code, type }) => joined([code, type, message])),
    z.array(z.looseObject({ msg: text })).transform((items) => words.parse(joined(items.map(({ msg }) => msg)))),
  ]),
);
const errorReply = z.looseObject({ error: said, detail: said, code: text, message: text });

const NO_SUCH_JOB =
  /(task|video|job|record)\b.{0,300}\b(not exist|not found|no longer exist)|(no such|unknown|invalid) (task|video|job)\b/;

/** What the server itself says of an error, folded; null: it is not the server that answers. */
export function ownErrorWords(reply: JsonReply): string | null {
  if (isProblem(reply)) return null;
  const { error, detail, code, message } = errorReply.safeParse(reply.body).data ?? {};
  const isOwn = Boolean(error) || Boolean(detail) || (Boolean(code) && message != null);
  return isOwn ? errorWords(reply) : null;
}

/** CDNs answer in JSON too, while what is behind them may have taken the request: problem documents are theirs. */
export function isProblem({ headers }: JsonReply): boolean {
  return headers.get("content-type")?.includes("problem+json") === true;
}

export function errorWords({ body }: JsonReply): string {
  const { error, detail, code, message } = errorReply.safeParse(body).data ?? {};
  return folded([error, detail, code, message]);
}

/** A job that the server, in its own words, does not know. A proxy's page saying 404 is no news of the job. */
export function readMiss(reply: JsonReply): PollResult | null {
  const misses = reply.status === 404 ? reply.readable : NO_SUCH_JOB.test(errorWords(reply));
  return misses ? { status: "missing" } : null;
}
