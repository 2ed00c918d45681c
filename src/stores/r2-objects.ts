// What goes with a video into R2 and what comes back, beside its bytes.
import type { StoreTarget, VideoMeta } from "../ports.ts";

/** The owner is for the sweep, which has nothing but the object to go by. Nothing else about a task belongs here. */
export function videoMetadata({ tenant, mode }: StoreTarget): Required<Pick<R2PutOptions, "httpMetadata" | "customMetadata">> {
  return { httpMetadata: { contentType: "video/mp4" }, customMetadata: { owner: `${tenant}/${mode}` } };
}

/** The lowest revision of links that is still good. Left out until links are revoked for the first time. */
const LINK_REVISION = "link-revision";

export function withLinkRevision(object: R2Object, revision: number): Record<string, string> {
  return { ...object.customMetadata, [LINK_REVISION]: String(revision) };
}

export function videoMeta({ size, httpEtag, customMetadata }: R2Object): VideoMeta {
  const revision = customMetadata?.[LINK_REVISION] ?? "";
  return { size, etag: httpEtag, linkRevision: /^[1-9]\d{0,8}$/.test(revision) ? Number(revision) : 0 };
}

/** R2 names its errors in the message only: "get: The requested range is not satisfiable (10039)". */
export function r2ErrorCode(error: unknown): number | null {
  const code = error instanceof Error ? /\((\d+)\)$/.exec(error.message)?.[1] : undefined;
  return code === undefined ? null : Number(code);
}

export const NO_SUCH_UPLOAD = 10024;
export const RANGE_NOT_SATISFIABLE = 10039;
