// Fills dist/assets, which wrangler.toml serves as static files, from the packages that have them: nothing of theirs is committed.
// Runs before whatever starts, tests or deploys the Worker. Plain JavaScript for the same reasons as install-missing.mjs.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const root = new URL("../../", import.meta.url);

// What is asked for by the version it has (src/http/docs.ts) never changes.
const HEADERS = `/assets/*
  Cache-Control: public, max-age=31536000, immutable
  X-Content-Type-Options: nosniff
  Referrer-Policy: no-referrer
  Cross-Origin-Resource-Policy: same-origin
`;

put("assets/scalar.js", readFileSync(new URL("node_modules/@scalar/api-reference/dist/browser/standalone.js", root)));
put("_headers", Buffer.from(HEADERS)); // not served, but read by what serves

/** Only where it differs: a `wrangler dev` that watches the folder need not hear of an equal file. */
function put(path, content) {
  const file = fileURLToPath(new URL(`dist/assets/${path}`, root));
  if (read(file)?.equals(content)) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
}

function read(file) {
  try {
    return readFileSync(file);
  } catch {
    return null; // there is none yet
  }
}
