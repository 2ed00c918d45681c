// Turns the URL that a provider names as its result into bytes, whole or from where a copy stopped.
import { AssetGoneError, RefusedError, UnclearReplyError } from "../core/upstream-errors.ts";
import { discard, guardedFetch } from "../net/guarded-fetch.ts";
import { resultUrlJudge } from "../net/url-policy.ts";
import type { ResumePoint, Upstream, VideoSource } from "../ports.ts";

export type OpenResult = (url: string, from: ResumePoint | null, signal: AbortSignal) => Promise<VideoSource>;

/** `ownHeaders`: the credentials, which go to the provider's own origin only. */
export function resultOpener(
  { baseUrl, resultHosts, allowLoopback }: Upstream,
  ownHeaders: Readonly<Record<string, string>>,
): OpenResult {
  const ownOrigin = new URL(baseUrl).origin;
  const judge = resultUrlJudge({ ownOrigin, hosts: resultHosts, allowLoopback });
  const fetchResult = guardedFetch({ judge, ownOrigin, ownHeaders });
  return async function open(url, from, signal) {
    const range: Record<string, string> = from === null ? {} : { range: `bytes=${from.offset}-`, "if-range": from.validator };
    const response = await fetchResult(url, { headers: range, signal });
    const video = readVideo(response, from);
    if (video !== null) return video;
    await discard(response);
    // Whatever is wrong with a part, the whole may still be had.
    if (from !== null && [206, 416].includes(response.status)) return open(url, null, signal);
    if ([200, 403, 404, 410].includes(response.status)) throw new AssetGoneError();
    throw new UnclearReplyError(`download answered ${response.status}, and nothing that could be understood`);
  };
}

/** `url`, and where that cannot be had, for whatever reason, `otherwise`. It is gone, or not for us, only where both are. */
export async function openEither(
  open: OpenResult,
  { url, otherwise }: { readonly url: string; readonly otherwise: string | null },
  from: ResumePoint | null,
  signal: AbortSignal,
): Promise<VideoSource> {
  try {
    return await open(url, from, signal);
  } catch (error) {
    if (otherwise === null || signal.aborted) throw error;
    try {
      return await open(otherwise, from, signal);
    } catch (second) {
      throw isOver(error) ? second : error;
    }
  }
}

function isOver(error: unknown): boolean {
  return error instanceof AssetGoneError || error instanceof RefusedError;
}

/** Null: there is no video in it, or not the part of it that was asked for. */
function readVideo(response: Response, from: ResumePoint | null): VideoSource | null {
  const { status, headers, body } = response;
  // Gateways and buckets put their errors under 200, too.
  const isProse = /^(text\/|application\/([\w.-]+\+)?(json|xml))/i.test(headers.get("content-type") ?? "");
  if (body === null || isProse || (status !== 200 && status !== 206)) return null;
  const isPlain = (headers.get("content-encoding") ?? "identity") === "identity";
  const etag = headers.get("etag") ?? "";
  const validator = isPlain && /^"[^"]*"$/.test(etag) ? etag : null;
  if (status === 206) {
    const [start, last, size] =
      /^bytes (\d+)-(\d+)\/(\d+)$/
        .exec(headers.get("content-range") ?? "")
        ?.slice(1)
        .map(Number) ?? [];
    // All of the rest, and of the same file: a server that ignores If-Range would send the end of another.
    const isRest = start === from?.offset && last !== undefined && last + 1 === size;
    if (!isRest || validator === null || validator !== from?.validator) return null;
  }
  const length = headers.get("content-length") ?? "";
  return {
    body,
    length: isPlain && /^\d{1,15}$/.test(length) ? Number(length) : null,
    offset: status === 206 && from !== null ? from.offset : 0,
    validator,
  };
}
