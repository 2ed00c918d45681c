// Whether a call to a URL of `webhook_config` is Google's. What arrives is signed as Standard Webhooks' v1a, Ed25519 over id, time and body
// (googleapis/python-genai, issue 2927); what Google's guide says is a JWT, RS256, that has the event in it. Either is taken, by the keys
// that it publishes. Nothing in a request says for which audience a JWT is to be: it has to name the interaction instead.
import { z } from "zod";
import { fromBase64, fromBase64url } from "../core/encoding.ts";
import type { Callback, Upstream } from "../ports.ts";
import { isFresh, jsonIn } from "./callback-signature.ts";
import { keysUrlOf, publishedKeys } from "./published-keys.ts";

const KEYS_URL = "https://generativelanguage.googleapis.com/.well-known/jwks.json";
const MAX_SIGNATURES = 5;

const event = z.looseObject({ data: z.looseObject({ id: z.string() }) });
const jwtHeader = z.looseObject({ alg: z.literal("RS256") });
const jwtClaims = event.extend({ exp: z.number() });

export function googleCallbacks(upstream: Upstream): (callback: Callback, id: string, signal: AbortSignal) => Promise<boolean> {
  const isSigned = publishedKeys(keysUrlOf(upstream, KEYS_URL));

  return async (callback, id, signal) => {
    const header = (name: string): string => callback.headers.get(`webhook-${name}`) ?? "";
    const [time, signature] = [header("timestamp"), header("signature")];
    if (!isFresh(time)) return false;
    const jwt = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(signature);
    if (jwt !== null) {
      const [, head = "", claims = "", sealed = ""] = jwt;
      const bytes = fromBase64url(sealed);
      const said = jwtClaims.safeParse(partOf(claims)).data;
      if (bytes === null || !jwtHeader.safeParse(partOf(head)).success || said === undefined) return false;
      return isAbout(said, id) && said.exp * 1000 > Date.now() && isSigned("RS256", [bytes], `${head}.${claims}`, signal);
    }
    if (!isAbout(event.safeParse(jsonIn(callback)).data, id)) return false;
    const signatures = signature.split(" ").flatMap((each) => fromBase64(/^v1a,(.{88})$/.exec(each)?.[1] ?? "") ?? []);
    const whole = signatures.filter(({ length }) => length === 64).slice(0, MAX_SIGNATURES);
    return whole.length > 0 && isSigned("Ed25519", whole, `${header("id")}.${time}.${callback.body}`, signal);
  };
}

/** By its id, or by a name that ends with it. */
function isAbout(said: z.infer<typeof event> | undefined, id: string): boolean {
  return said !== undefined && (said.data.id === id || said.data.id.endsWith(`/${id}`));
}

function partOf(text: string): unknown {
  const bytes = fromBase64url(text);
  return bytes === null ? undefined : jsonIn({ body: new TextDecoder().decode(bytes) });
}
