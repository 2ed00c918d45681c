// A video's bytes for the tenant whose task it is, who asks with its API key. What players and browsers get is a signed link
// (service/files); this is for clients of APIs that have no links. One object call, for the task, and one R2 operation.
import type { Refusal } from "../core/errors.ts";
import { fail, ok, type Result } from "../core/result.ts";
import type { VideoMeta, VideoStore } from "../ports.ts";
import type { Caller } from "./authenticate.ts";
import { readVideoBytes, type FileBody } from "./files.ts";
import { findTask, type FindDeps } from "./find-task.ts";

export interface ContentRequest {
  readonly id: string;
  readonly headers: Headers;
  /** The headers of a reply, without its body. */
  readonly headOnly: boolean;
}

export type Content = FileBody | { readonly kind: "head"; readonly meta: VideoMeta };

export type ReadContent = (caller: Caller, request: ContentRequest) => Promise<Result<Content, Refusal>>;

export function contentReader(deps: FindDeps & { readonly videos: VideoStore }): ReadContent {
  return async (caller, { id, headers, headOnly }) => {
    const found = await findTask(deps, caller, id);
    if (!found.ok) return found;
    const { status } = found.value;
    if (status !== "completed") return fail({ kind: "video_not_ready", why: status === "failed" ? "failed" : "under_way" });
    if (!headOnly) return readVideoBytes(deps.videos, { id, headers });
    const meta = await deps.videos.head(id);
    return meta === null ? fail({ kind: "video_expired" }) : ok({ kind: "head", meta });
  };
}
