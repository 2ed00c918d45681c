// GET /openapi.json: the contract as openapi.ts draws it. GET /docs: the reference, which Scalar makes of it in the reader's
// browser. Scalar's script is served by this gateway (src/cli/copy-assets.mjs), and the page's policy lets it talk to this gateway
// only: no font, proxy or count of visits elsewhere.
import { html, raw } from "hono/html";
import type { App, Services } from "./context.ts";
import openapi from "./openapi.json";
import { setPagePolicy } from "./page-policy.ts";

/** By the Text rule of wrangler.toml. */
const DOCUMENT = openapi as unknown as string;

/** Stands for the gateway in the committed document. */
export const SAMPLE_ORIGIN = "https://reelay.example.com";
const CACHE_SECONDS = 300;

/** Of @scalar/api-reference, as installed: browsers keep the script of a version for good. */
const SCALAR_VERSION = "1.46.4";

const SCALAR = {
  url: "/openapi.json",
  theme: "default",
  withDefaultFonts: false,
  telemetry: false,
  agent: { disabled: true },
  showDeveloperTools: "never",
  hideClientButton: true,
  // The samples of the document are the ones we have tried; Scalar's own would stand beside them.
  hiddenClients: true,
  // A key that is pasted here goes with the tab.
  persistAuth: false,
  authentication: { preferredSecurityScheme: "bearer" },
  hideModels: true,
  orderSchemaPropertiesBy: "preserve",
  metaData: { title: "API reference - Reelay" },
};

/**
 * Scalar puts its styles into the page by script, and knows no nonce. So each style element that a script of ours makes gets the
 * page's, which is what lets the policy refuse those that come by any other way. And its zod tries whether it may make code from
 * text, which the policy forbids and the browser would report: here it is told so quietly.
 */
const start = (nonce: string): string => `
const make = Document.prototype.createElement;
Document.prototype.createElement = function (name, options) {
  const element = make.call(this, name, options);
  if (element.localName === "style") element.nonce = ${JSON.stringify(nonce)};
  return element;
};
const refuse = () => { throw new EvalError("not on this page") };
globalThis.Function = new Proxy(Function, { apply: refuse, construct: refuse });
`;

export function mountDocs(app: App, { publicUrl }: Services): void {
  app.get("/openapi.json", (c) => {
    const origin = JSON.stringify(publicUrl ?? new URL(c.req.url).origin).slice(1, -1);
    c.header("Cache-Control", `public, max-age=${CACHE_SECONDS}`);
    return c.body(DOCUMENT.replaceAll(SAMPLE_ORIGIN, origin), 200, { "Content-Type": "application/json" });
  });

  app.get("/docs", (c) => {
    const nonce = setPagePolicy(c, {
      img: "'self' data: blob:",
      connect: publicUrl === null ? "'self'" : `'self' ${publicUrl}`,
      styleAttributes: true,
    });
    return c.html(
      html`<!doctype html>
        <html lang="en">
          <head>
            <meta charset="utf-8" />
            <meta name="viewport" content="width=device-width, initial-scale=1" />
            <meta name="color-scheme" content="light dark" />
            <title>API reference - Reelay</title>
            <link rel="icon" href="data:," />
          </head>
          <body>
            <div id="app"></div>
            <noscript>
              This page needs a script. The same in other forms: <a href="/openapi.json">the OpenAPI document</a>,
              <a href="/errors">every error</a>.
            </noscript>
            <script nonce="${nonce}">
              ${raw(start(nonce))};
            </script>
            <script nonce="${nonce}" src="/assets/scalar.js?v=${SCALAR_VERSION}"></script>
            <script nonce="${nonce}">
              Scalar.createApiReference("#app", ${raw(JSON.stringify(SCALAR))});
            </script>
          </body>
        </html>`,
    );
  });
}
