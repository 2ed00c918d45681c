// GET|HEAD /v1/video/file/{id}: the bytes behind a signed link. Made for players: ranges, conditions, and nothing a browser may run.
import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { VideoMeta } from "../ports.ts";
import type { FileBody } from "../service/files.ts";
import type { App, AppEnv, Services } from "./context.ts";
import { errorBody, refuse } from "./errors.ts";

const bytes = { "video/mp4": { schema: z.string().openapi({ format: "binary" }) } };

export const downloadVideo = createRoute({
  method: "get",
  path: "/v1/video/file/{id}",
  summary: "Download a video by its signed link",
  // The signature covers the query as a whole, so it is not parsed field by field here.
  request: { params: z.object({ id: z.string() }) },
  responses: {
    200: { description: "The video", content: bytes },
    206: { description: "A range of it", content: bytes },
    304: { description: "Not modified" },
    default: { description: "An error", content: { "application/json": { schema: errorBody } } },
  },
});

export function mountFiles(app: App, { files }: Services): void {
  app.openapi(downloadVideo, async (c): Promise<never> => {
    const request = { id: c.req.valid("param").id, query: new URL(c.req.url).searchParams, headers: c.req.raw.headers };
    return (await (c.req.method === "HEAD" ? head(c, request) : get(c, request))) as never;
  });

  async function get(c: Context<AppEnv>, request: Parameters<typeof files.read>[0]): Promise<Response> {
    const opened = await files.read(request);
    if (!opened.ok) return refuse(c, opened.error);
    return sendFile(c, request.id, opened.value, opened.value.secondsLeft);
  }

  async function head(c: Context<AppEnv>, request: Parameters<typeof files.head>[0]): Promise<Response> {
    const opened = await files.head(request);
    if (!opened.ok) return refuse(c, opened.error);
    return sendFileHead(c, request.id, opened.value.meta, opened.value.secondsLeft);
  }
}

/** `secondsLeft`: how long it may be kept by who asked for it; null: not at all. */
export function sendFile(c: Context<AppEnv>, id: string, file: FileBody, secondsLeft: number | null): Response {
  setHeaders(c, id, file.meta, secondsLeft);
  if (file.kind === "not_modified") return c.body(null, 304);
  const { size } = file.meta;
  const { offset, length } = file.range ?? { offset: 0, length: size };
  c.header("Content-Length", String(length));
  if (file.range !== null) c.header("Content-Range", `bytes ${offset}-${offset + length - 1}/${size}`);
  return c.body(file.body, file.range === null ? 200 : 206);
}

export function sendFileHead(c: Context<AppEnv>, id: string, meta: VideoMeta, secondsLeft: number | null): Response {
  setHeaders(c, id, meta, secondsLeft);
  c.header("Content-Length", String(meta.size));
  return c.body(null, 200);
}

function setHeaders(c: Context<AppEnv>, id: string, { etag }: VideoMeta, secondsLeft: number | null): void {
  c.header("Content-Type", "video/mp4");
  c.header("Content-Disposition", `inline; filename="${id.replaceAll(/[^\w.-]/g, "-")}.mp4"`);
  c.header("Accept-Ranges", "bytes");
  c.header("ETag", etag);
  c.header("Cache-Control", secondsLeft === null ? "no-store" : `private, max-age=${secondsLeft}`);
  c.header("Content-Security-Policy", "default-src 'none'; sandbox");
}
