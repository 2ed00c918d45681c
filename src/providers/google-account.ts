// An account with Google, in either of its two forms: an API key for the Developer API, or a service account's JSON for Vertex. What both
// of Google's wires do in its name is here: calls, and opening what a reply names.
import { RefusedError, RetryableError, UnclearReplyError } from "../core/upstream-errors.ts";
import type { ResumePoint, Upstream, VideoSource } from "../ports.ts";
import type { JsonReply } from "./call-json.ts";
import { forgetToken, isServiceAccount, LOOPBACK, readServiceAccount, tokenOf } from "./google-sign-in.ts";
import { callOutlined, openInline, type OutlinedCall } from "./inline-video.ts";
import type { JsonPath } from "./json-pieces.ts";
import { resultOpener } from "./open-result.ts";

const STORAGE_ORIGIN = "https://storage.googleapis.com";
const FILES_KEPT_MS = 48 * 60 * 60_000;

export interface GoogleAccount {
  readonly isVertex: boolean;
  /** Vertex only: `projects/P`. */
  readonly project: string;
  /** Of the Developer API's files; on Vertex the bucket's owner decides. */
  readonly retentionMs: number | null;
  /** A JSON call in the account's name; long texts of the reply are CUT. A token that is refused is renewed once. */
  call(url: string, call: BareCall): Promise<JsonReply>;
  /** The video at a URL that a reply named, or in a bucket of the account's. */
  openUrl(url: string, from: ResumePoint | null, signal: AbortSignal): Promise<VideoSource>;
  /** The video at `path` in the reply to `call`. */
  openInline(url: string, call: BareCall, path: JsonPath): Promise<VideoSource>;
}

export interface BareCall extends Omit<OutlinedCall, "headers"> {
  readonly headers?: Readonly<Record<string, string>>;
}

/** Where the account's API is. */
export function googleBaseUrl(credential: string, region: string): string {
  if (!isServiceAccount(credential)) return "https://generativelanguage.googleapis.com";
  if (region === "global") return "https://aiplatform.googleapis.com";
  return /^(us|eu)$/.test(region)
    ? `https://aiplatform.${region}.rep.googleapis.com`
    : `https://${region}-aiplatform.googleapis.com`;
}

export function googleAccount(upstream: Upstream): GoogleAccount {
  const { credential, baseUrl, allowLoopback } = upstream;
  const isVertex = isServiceAccount(credential);
  const service = isVertex ? readServiceAccount(credential, allowLoopback) : null;
  const ownOrigin = new URL(baseUrl).origin;

  /** `token`: what it stands for, where there is one. */
  async function signIn(signal: AbortSignal): Promise<{ headers: Record<string, string>; token: string }> {
    if (!isVertex) return { headers: { "x-goog-api-key": credential }, token: "" };
    const token = await tokenOf(credential, service, signal);
    return { headers: { authorization: `Bearer ${token}` }, token };
  }

  async function call(url: string, bare: BareCall): Promise<JsonReply> {
    const ask = async ({ headers }: { headers: Record<string, string> }): Promise<JsonReply> =>
      callOutlined(url, { ...bare, headers: { ...bare.headers, ...headers } });
    const own = await signIn(bare.signal);
    const reply = await ask(own);
    if (reply.status !== 401 || !isVertex) return reply;
    // Nothing was begun: whose token is refused was not let in.
    forgetToken(credential, own.token);
    return ask(await signIn(bare.signal));
  }

  async function openUrl(url: string, from: ResumePoint | null, signal: AbortSignal): Promise<VideoSource> {
    const isStored = url.startsWith("gs://");
    const target = isStored ? storageUrl(url) : mediaUrl(url);
    const own = isStored ? { ...upstream, baseUrl: new URL(target).origin } : upstream;
    const { headers, token } = await signIn(signal);
    try {
      return await resultOpener(own, headers)(target, from, signal);
    } catch (error) {
      // It may be the token that was refused: the next try begins with another.
      if (error instanceof UnclearReplyError) forgetToken(credential, token);
      throw error;
    }
  }

  /** A bucket is read only if the operator named it: with our rights, a reply could name anybody's. */
  function storageUrl(uri: string): string {
    const [, bucket, object] = /^gs:\/\/([a-z0-9][a-z0-9._-]*)\/(.+)$/s.exec(uri) ?? [];
    const isOwn = bucket !== undefined && upstream.storageUri?.split("/")[2] === bucket;
    if (!isVertex || !isOwn || object === undefined) throw new RefusedError("task", "upstream_invalid_result");
    const origin = allowLoopback && LOOPBACK.test(baseUrl) ? ownOrigin : STORAGE_ORIGIN;
    return `${origin}/storage/v1/b/${bucket}/o/${encodeURIComponent(object)}?alt=media`;
  }

  /** A file of the account's is named without saying that its bytes are wanted, not its description. */
  function mediaUrl(url: string): string {
    const parsed = URL.parse(url);
    const isBare = parsed?.origin === ownOrigin && parsed.pathname.includes("/files/") && parsed.search === "";
    return isBare ? `${parsed.href}?alt=media` : url;
  }

  return {
    isVertex,
    project: `projects/${service?.project_id ?? ""}`,
    retentionMs: isVertex ? null : FILES_KEPT_MS,
    call,
    openUrl,
    openInline: async (url, bare, path) => {
      const { headers, token } = await signIn(bare.signal);
      try {
        return await openInline(url, { ...bare, headers }, path);
      } catch (error) {
        if (error instanceof RetryableError && error.code === "unauthorized") forgetToken(credential, token);
        throw error;
      }
    },
  };
}
