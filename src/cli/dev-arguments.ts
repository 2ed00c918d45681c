// What `npm start -- …` was given, turned into what `wrangler dev` is given.
//
// wrangler.toml declares its secrets, and from then on wrangler passes nothing else from env files or the environment to the
// Worker. So the files are read here: declared secrets travel in wrangler's environment, everything else as `--var`.
import { existsSync, readFileSync } from "node:fs";
import { parseArgs, parseEnv } from "node:util";

export interface DevArguments {
  readonly ip: string;
  /** 0: any free one. */
  readonly port: number;
  readonly envFiles: readonly string[];
  /** For wrangler, as they were given. */
  readonly rest: readonly string[];
}

export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Throws UsageError. */
export function readDevArguments(args: readonly string[]): DevArguments {
  const { values, tokens } = parseArgs({
    args: [...args],
    options: { ip: { type: "string" }, port: { type: "string" }, "env-file": { type: "string", multiple: true } },
    strict: false,
    tokens: true,
  });
  const ours = tokens.flatMap((token) => {
    if (token.kind !== "option" || !["ip", "port", "env-file"].includes(token.name)) return [];
    if (token.value === undefined) throw new UsageError(`${token.rawName} needs a value`);
    return token.inlineValue ? [token.index] : [token.index, token.index + 1];
  });
  const {
    ip = "127.0.0.1",
    port = "8787",
    "env-file": envFiles = [],
  } = values as { ip?: string; port?: string; "env-file"?: string[] };
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) throw new UsageError(`--port ${port}: a port is a number up to 65535`);
  return { ip, port: Number(port), envFiles, rest: args.filter((_, index) => !ours.includes(index)) };
}

/** `.dev.vars`, where there is one, then each file in turn; a later one wins. Throws UsageError for a file that is not there. */
export function readEnvFiles(envFiles: readonly string[]): Record<string, string> {
  const read = [".dev.vars", ...envFiles].map((file) => {
    if (existsSync(file)) return parseEnv(readFileSync(file, "utf8"));
    if (envFiles.includes(file)) throw new UsageError(`--env-file ${file}: there is no such file`);
    return {};
  });
  return Object.assign({}, ...read) as Record<string, string>;
}

export function asVarArguments(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ["--var", `${name}:${value}`]);
}
