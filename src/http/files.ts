// GET|HEAD /v1/video/file/{id}: the bytes behind a signed link. Made for players: ranges, conditions, and nothing a browser may run.
import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { VideoMeta } from "../ports.ts";
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
    const { value } = opened;
    setHeaders(c, request.id, value.meta, value.secondsLeft);
    if (value.kind === "not_modified") return c.body(null, 304);
    const { size } = value.meta;
    const { offset, length } = value.range ?? { offset: 0, length: size };
    c.header("Content-Length", String(length));
    if (value.range !== null) c.header("Content-Range", `bytes ${offset}-${offset + length - 1}/${size}`);
    return c.body(value.body, value.range === null ? 200 : 206);
  }

  async function head(c: Context<AppEnv>, request: Parameters<typeof files.head>[0]): Promise<Response> {
    const opened = await files.head(request);
    if (!opened.ok) return refuse(c, opened.error);
    setHeaders(c, request.id, opened.value.meta, opened.value.secondsLeft);
    c.header("Content-Length", String(opened.value.meta.size));
    return c.body(null, 200);
  }
}

function setHeaders(c: Context<AppEnv>, id: string, { etag }: VideoMeta, secondsLeft: number): void {
  c.header("Content-Type", "video/mp4");
  c.header("Content-Disposition", `inline; filename="${id.replaceAll(/[^\w.-]/g, "-")}.mp4"`);
  c.header("Accept-Ranges", "bytes");
  c.header("ETag", etag);
  c.header("Cache-Control", `private, max-age=${secondsLeft}`);
  c.header("Content-Security-Policy", "default-src 'none'; sandbox");
}
