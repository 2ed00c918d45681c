// Which URLs may be used that somebody else names: a tenant (reference images, webhooks), or a provider (results, redirects).
// Only the host as the WHATWG parser reads it is judged: by then decimal, octal, hexadecimal, full-width and percent-encoded
// spellings of an address are all the same address. Names are not looked up, because a Worker cannot hold on to the answer; the
// flag `global_fetch_strictly_public` in wrangler.toml keeps what we fetch ourselves on the public internet.
import ipaddr from "ipaddr.js";

/** Null: the URL may be used, else why not. */
export type UrlRule = (url: string) => string | null;

const MAX_TENANT_URL_LENGTH = 2_048;
/** Top-level names that never mean a public host. */
const PRIVATE_SUFFIXES = ["localhost", "localdomain", "local", "internal", "lan", "arpa"];
/** Clouds' metadata services that have a public-looking name; the others are addresses or end in one of the above. */
const METADATA_HOSTS = ["metadata.goog", "metadata.tencentyun.com", "metadata.packet.net", "metadata.platformequinix.com"];
/** Where gateways and buckets like ours live. A tenant has no business there, and may reach another tenant's files. */
const OUR_PLATFORM = ["workers.dev", "r2.cloudflarestorage.com", "r2.dev"];
const LOOPBACK_HOSTS = ["127.0.0.1", "localhost", "[::1]"];

/**
 * Whether a tenant may name this URL. Null: yes; else what is wrong, worded to follow the field's name ("images.0 must use port 443")
 * and never quoting the URL. `ownHosts`: the gateway's own host names.
 */
export function judgePublicUrl(url: string, ownHosts: readonly string[]): string | null {
  if (url.length > MAX_TENANT_URL_LENGTH) return "must be at most 2,048 characters long";
  // The URL goes to a provider as it came, and not every parser takes a backslash for a slash, as ours does.
  if (url.includes("\\")) return "must not contain a backslash";
  const parsed = URL.parse(url);
  if (parsed === null) return "must be a whole URL that begins with https://";
  const why = judgeParsed(parsed);
  if (why !== null) return why;
  const host = hostOf(parsed);
  const isOurs = isUnder(host, OUR_PLATFORM) || ownHosts.some((own) => nameOf(own) === host);
  return isOurs ? "must name a host outside this gateway and its platform" : null;
}

/**
 * The same, and with `allowLoopback` http to this machine, too: in local runs webhooks are received, and images served, there. Not
 * by the gateway itself: `ownHosts` carry their ports.
 */
export function judgeWebhookUrl(url: string, ownHosts: readonly string[], allowLoopback: boolean): string | null {
  const parsed = allowLoopback ? URL.parse(url) : null;
  const isLocal = parsed?.protocol === "http:" && LOOPBACK_HOSTS.includes(parsed.hostname) && !hasCredentials(parsed);
  if (!isLocal) return judgePublicUrl(url, ownHosts);
  // Receivers live on other ports of this very machine, whatever each calls it.
  const own = ownHosts
    .flatMap((host) => URL.parse(`http://${host}`) ?? [])
    .filter((each) => LOOPBACK_HOSTS.includes(each.hostname));
  return own.some(({ port }) => port === parsed.port) ? "must name a host or port outside this gateway" : null;
}

export interface ResultRules {
  /** The provider's origin, as the operator configured it: always allowed. */
  readonly ownOrigin: string;
  /** Other hosts its results may be on, each a name or `*.suffix`; null: any public one. */
  readonly hosts: readonly string[] | null;
  /** Local runs only: http to this machine, on any port. */
  readonly allowLoopback: boolean;
}

/** Judges where a provider says its result is. What it says of a refused one is for operators at most. */
export function resultUrlJudge({ ownOrigin, hosts, allowLoopback }: ResultRules): UrlRule {
  return (url) => {
    const parsed = URL.parse(url);
    if (parsed === null) return "must be a whole URL";
    if (hasCredentials(parsed)) return "must not carry a user name or password";
    if (parsed.origin === ownOrigin) return null;
    if (allowLoopback && parsed.protocol === "http:" && LOOPBACK_HOSTS.includes(parsed.hostname)) return null;
    const why = judgeParsed(parsed);
    if (why !== null) return why;
    const host = hostOf(parsed);
    return hosts === null || hosts.some((allowed) => matches(host, allowed)) ? null : "must be on one of the provider's hosts";
  };
}

function judgeParsed(url: URL): string | null {
  if (url.protocol !== "https:") return "must be a whole URL that begins with https://";
  if (hasCredentials(url)) return "must not carry a user name or password";
  if (url.port !== "") return "must use port 443";
  const host = hostOf(url);
  // Public addresses too: certificates for them are rare, Workers refuse most, and one rule less can be wrong.
  if (ipaddr.isValid(host.replace(/^\[|\]$/g, ""))) return "must name a host, not an IP address";
  if (!isPublicName(host)) return "must name a public host";
  return null;
}

function hasCredentials(url: URL): boolean {
  return url.username !== "" || url.password !== "";
}

function isPublicName(host: string): boolean {
  const isDomain = /^[a-z0-9_-]+(\.[a-z0-9_-]+)+$/.test(host);
  return isDomain && !isUnder(host, PRIVATE_SUFFIXES) && !METADATA_HOSTS.includes(host);
}

/** Without the one trailing dot that WHATWG leaves: `localhost.` is localhost. */
function hostOf(url: URL): string {
  return url.hostname.replace(/\.$/, "");
}

/** Of a host that may carry a port, as URLs' `host` does. */
function nameOf(host: string): string {
  return host.toLowerCase().replace(/\.?(:\d+)?$/, "");
}

function isUnder(host: string, suffixes: readonly string[]): boolean {
  return suffixes.some((suffix) => host === suffix || host.endsWith(`.${suffix}`));
}

function matches(host: string, allowed: string): boolean {
  const name = allowed.toLowerCase();
  return name.startsWith("*.") ? host.endsWith(name.slice(1)) : host === name;
}
