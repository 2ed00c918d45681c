// GET /v1/video/image/{id}/{index}: a reference image that was uploaded, for the provider that is to see it. Not in the document: its
// links are for providers only, and tenants never see one.
import { IMAGE_PATH } from "../service/reference-images.ts";
import type { App, Services } from "./context.ts";
import { refuse } from "./errors.ts";

export function mountImageFile(app: App, { referenceImages }: Services): void {
  app.get(`${IMAGE_PATH}/:id/:index{[0-9]}`, async (c) => {
    const { id, index } = c.req.param();
    const opened = await referenceImages.open(id, Number(index), new URL(c.req.url).searchParams);
    if (!opened.ok) return refuse(c, opened.error);
    const { body, size, mimeType, secondsLeft } = opened.value;
    c.header("Content-Type", mimeType);
    c.header("Content-Length", String(size));
    c.header("Content-Disposition", "inline");
    c.header("Cache-Control", `private, max-age=${secondsLeft}`);
    c.header("Content-Security-Policy", "default-src 'none'; sandbox");
    if (c.req.method !== "HEAD") return c.body(body);
    await body.cancel();
    return c.body(null);
  });
}
