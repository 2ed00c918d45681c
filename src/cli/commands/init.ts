// The way from a clone to a paying tenant, and the secrets it needs. Calls nothing, so that it works before there is a gateway.
import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import type { GlobalOptions } from "../operator.ts";

const SECRET_BYTES = 32;

const STEPS = `
From a clone to a paying tenant:

 1. Sign in to Cloudflare
      npx wrangler login
 2. Make the gateway's secrets; keep the file to yourself (git ignores it)
      npm run -s reelay -- init --secrets > .dev.vars.production
 3. Deploy. The first time creates the buckets and namespaces that are missing
      npm run deploy -- --secrets-file .dev.vars.production
 4. Point this command at it: the address that wrangler printed, the ADMIN_TOKEN of that file
      export REELAY_URL=https://reelay.<your subdomain>.workers.dev
      export REELAY_ADMIN_TOKEN=...
 5. See that all is well
      npm run reelay -- doctor
 6. Make a tenant, a key and its first credits
      npm run reelay -- tenant create "Acme" --credits 1000
      npm run reelay -- key create <tenant>
      npm run reelay -- credits grant <tenant> 500 --reason "invoice 1"
 7. After its first video: where the credits went
      npm run reelay -- credits journal <tenant>
      npm run reelay -- credits recompute <tenant>

To try it all on this machine first: npm start, then begin at step 5; no address and no token are needed.
`.trim();

export function addInitCommand(program: Command): void {
  program
    .command("init")
    .description("the steps to a gateway of your own")
    .option("--secrets", "make new secrets, in the format of .dev.vars (or JSON, with --json)")
    .action(({ secrets }: { secrets?: boolean }, command: Command) => {
      const { json } = command.optsWithGlobals<GlobalOptions>();
      if (!secrets) return console.log(STEPS);
      const made = makeSecrets();
      console.log(json ? JSON.stringify(made) : asEnvFile(made));
      if (process.stdout.isTTY) console.error("\nThey are kept nowhere: copy them now.");
    });
}

/** One for each secret that a deployed gateway has to have, and the operator's own. */
export function makeSecrets(): Record<string, string> {
  const secret = (): string => randomBytes(SECRET_BYTES).toString("base64url");
  return { TASK_ID_SECRETS: secret(), LINK_SECRETS: `k1:${secret()}`, ADMIN_TOKEN: secret() };
}

/** For values without quotes and dollar signs, as these are. */
export function asEnvFile(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}="${value}"`)
    .join("\n");
}
