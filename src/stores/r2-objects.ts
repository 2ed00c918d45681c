// What goes with a video into R2 and what comes back, beside its bytes.
import type { Mode } from "../core/api-key.ts";
import type { StoredObject, StoreTarget } from "../ports.ts";
import { VIDEO_PREFIX } from "./video-key.ts";

/** The owner is for the sweep, which has nothing but the object to go by. Nothing else about a task belongs here. */
export function videoMetadata({ tenant, mode }: StoreTarget): Required<Pick<R2PutOptions, "httpMetadata" | "customMetadata">> {
  return { httpMetadata: { contentType: "video/mp4" }, customMetadata: { owner: `${tenant}/${mode}` } };
}

export function storedObject({ key, customMetadata, uploaded }: R2Object): StoredObject {
  const [, tenant, mode] = /^([^/]+)\/(live|test)$/.exec(customMetadata?.["owner"] ?? "") ?? [];
  const owner = tenant === undefined ? null : { tenant, mode: mode as Mode };
  return { taskId: key.slice(VIDEO_PREFIX.length), owner, uploadedAt: uploaded.getTime() };
}

/** R2 names its errors in the message only: "get: The requested range is not satisfiable (10039)". */
export function r2ErrorCode(error: unknown): number | null {
  const code = error instanceof Error ? /\((\d+)\)$/.exec(error.message)?.[1] : undefined;
  return code === undefined ? null : Number(code);
}

export const NO_SUCH_UPLOAD = 10024;
export const RANGE_NOT_SATISFIABLE = 10039;
