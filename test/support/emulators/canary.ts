// What nobody beyond a provider may ever see: planted in every reply of an emulator that is told to, and searched for in all that a
// gateway lets out.
import type { ServerResponse } from "node:http";

/** A key, a host and an id, as providers let slip. */
export const CANARIES = ["sk-canary-5f3a9c1e7b2d", "gpu-7.canary-upstream.example", "cnry-trace-81f2c0d4"] as const;

const [KEY, HOST, TRACE] = CANARIES;
/** Members that hold a provider's own words, on whichever wire. */
const WORDS = /^(message|msg|error|detail|title|reason|logs|error_description|enhanced_prompt|raiMediaFilteredReasons)$/;

/** Of each reply, which of them its first words carry. */
const planting = new WeakMap<ServerResponse, number>();
let replies = 0;

/** From here on: in its headers, and in whatever JSON it carries. */
export function plantIn(response: ServerResponse): void {
  planting.set(response, replies++);
  response.setHeader("x-served-by", HOST).setHeader("x-trace", TRACE).setHeader("x-account-key", KEY);
}

/** A reply as JSON, with what was planted in it. */
export function jsonOf(response: ServerResponse, body: object): string {
  const nth = planting.get(response);
  return nth === undefined ? JSON.stringify(body) : plantedJson(body, nth);
}

/** What is sent without being asked for, with what is planted in it. */
export function planted(body: object): string {
  return plantedJson(body, replies++);
}

/** Words carry one each, in turn by member and by reply: an adapter that drops words for one of them would else hide that it keeps another. */
function plantedJson(body: object, first: number): string {
  let nth = first;
  const said = withWords(body, false, () => ` [${CANARIES[nth++ % CANARIES.length]}]`);
  const more = { upstream_host: HOST, trace_id: TRACE, account_key: KEY };
  return JSON.stringify(Array.isArray(said) ? [...(said as unknown[]), more] : { ...(said as object), ...more });
}

function withWords(value: unknown, isWords: boolean, next: () => string): unknown {
  if (typeof value === "string") return isWords ? value + next() : value;
  if (Array.isArray(value)) return value.map((each) => withWords(each, isWords, next));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withWords(each, WORDS.test(name), next)]));
}
