// A signed link to bytes. The link is all the permission there is: no tenant, no KV, no object, one R2 operation.
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

export function files(deps: { videos: VideoStore; linkKeys: LinkKeys; clock: Clock }): Files {
  async function open({ id, query }: FileRequest): Promise<Result<number, Refusal>> {
    if (!hasTaskIdShape(id)) return fail({ kind: "not_found" });
    const now = deps.clock();
    const link = await verifyLink(deps.linkKeys, id, query, now);
    return link.ok ? ok(Math.floor(link.value.expiresAtSeconds - now / 1000)) : link;
  }

  return {
    async read(request) {
      const opened = await open(request);
      if (!opened.ok) return opened;
      const { headers } = request;
      const found = await deps.videos.read(request.id, {
        range: parseRange(headers.get("range")),
        ifRange: headers.get("if-range"),
        ifNoneMatch: headers.get("if-none-match"),
      });
      switch (found.kind) {
        case "missing":
          return fail({ kind: "video_expired" });
        case "unsatisfiable":
          return fail({ kind: "range_not_satisfiable", size: found.size });
        default:
          return ok({ ...found, secondsLeft: opened.value });
      }
    },

    async head(request) {
      const opened = await open(request);
      if (!opened.ok) return opened;
      const meta = await deps.videos.head(request.id);
      return meta === null ? fail({ kind: "video_expired" }) : ok({ meta, secondsLeft: opened.value });
    },
  };
}
