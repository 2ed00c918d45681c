// What our pages may do: nothing that their Content-Security-Policy does not name, and nothing from another origin.
import type { Context } from "hono";
import type { AppEnv } from "./context.ts";

/** Beside the nonce of the page's own script and style. */
export interface PageNeeds {
  readonly img?: string;
  readonly connect?: string;
  readonly styleAttributes?: boolean;
}

/** Sets the policy, and gives the nonce for the page's inline script and style. */
export function setPagePolicy(c: Context<AppEnv>, { img, connect, styleAttributes = false }: PageNeeds = {}): string {
  const nonce = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))));
  const policy = {
    "default-src": "'none'",
    "script-src": `'nonce-${nonce}'`,
    "style-src": `'nonce-${nonce}'`,
    "style-src-attr": styleAttributes ? "'unsafe-inline'" : "'none'",
    "img-src": img ?? "'none'",
    "connect-src": connect ?? "'none'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
  };
  c.header(
    "Content-Security-Policy",
    Object.entries(policy)
      .map(([name, sources]) => `${name} ${sources}`)
      .join("; "),
  );
  c.header("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()");
  c.header("Cross-Origin-Opener-Policy", "same-origin");
  return nonce;
}
