// A signed link to bytes. The link is all the permission there is: no tenant, no KV, no object, one R2 operation. Whether it was
// revoked stands beside the bytes, and comes with them.
import type { Refusal } from "../core/errors.ts";
import { parseRange } from "../core/range.ts";
import { fail, ok, type Result } from "../core/result.ts";
import { verifyLink, type LinkKeys } from "../core/signing.ts";
import { hasTaskIdShape } from "../core/task-id.ts";
import type { Clock, VideoMeta, VideoRead, VideoStore } from "../ports.ts";

export interface FileRequest {
  readonly id: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
}

export type FileBody = Extract<VideoRead, { kind: "body" | "not_modified" }>;

export interface Files {
  read(request: FileRequest): Promise<Result<FileBody & { secondsLeft: number }, Refusal>>;
  head(request: FileRequest): Promise<Result<{ meta: VideoMeta; secondsLeft: number }, Refusal>>;
}

/**
 * The bytes themselves, for whoever has been found to have a right to them. One R2 operation, two where a condition failed.
 * `linkRevision`: of the link that this right is from; null: it is from no link.
 */
export async function readVideoBytes(
  videos: VideoStore,
  { id, headers }: Omit<FileRequest, "query">,
  linkRevision: number | null = null,
): Promise<Result<FileBody, Refusal>> {
  const found = await videos.read(id, {
    range: parseRange(headers.get("range")),
    ifRange: headers.get("if-range"),
    ifNoneMatch: headers.get("if-none-match"),
  });
  if (found.kind === "missing") return fail({ kind: "video_expired" });
  if (linkRevision !== null && linkRevision < found.meta.linkRevision) {
    if (found.kind === "body") await found.body.cancel();
    return fail({ kind: "link_revoked" });
  }
  return found.kind === "unsatisfiable" ? fail({ kind: "range_not_satisfiable", size: found.meta.size }) : ok(found);
}

interface OpenedLink {
  readonly secondsLeft: number;
  readonly revision: number;
}

export function files(deps: { videos: VideoStore; linkKeys: LinkKeys; clock: Clock }): Files {
  async function open({ id, query }: FileRequest): Promise<Result<OpenedLink, Refusal>> {
    if (!hasTaskIdShape(id)) return fail({ kind: "not_found" });
    const now = deps.clock();
    const link = await verifyLink(deps.linkKeys, id, query, now);
    if (!link.ok) return link;
    const { expiresAtSeconds, revision } = link.value;
    return ok({ secondsLeft: Math.floor(expiresAtSeconds - now / 1000), revision });
  }

  return {
    async read(request) {
      const opened = await open(request);
      if (!opened.ok) return opened;
      const { secondsLeft, revision } = opened.value;
      const found = await readVideoBytes(deps.videos, request, revision);
      return found.ok ? ok({ ...found.value, secondsLeft }) : found;
    },

    async head(request) {
      const opened = await open(request);
      if (!opened.ok) return opened;
      const meta = await deps.videos.head(request.id);
      if (meta === null) return fail({ kind: "video_expired" });
      const { secondsLeft, revision } = opened.value;
      return revision < meta.linkRevision ? fail({ kind: "link_revoked" }) : ok({ meta, secondsLeft });
    },
  };
}
