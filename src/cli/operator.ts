// What every operator command has: the API it calls, the screen it writes to, and a way to ask.
import { userInfo } from "node:os";
import { Option, type Command } from "commander";
import { AdminApi, type Page, type Reply } from "./admin-api.ts";
import type { List } from "./admin-wire.ts";
import { confirm, type Question } from "./confirm.ts";
import { LOCAL_ADMIN_TOKEN } from "./demo-tenant.ts";
import { UsageError } from "./dev-arguments.ts";
import { isLoopback, LOCAL_URL } from "./loopback.ts";
import { printableJson } from "./printable.ts";
import { actor, actorFrom, countFrom, gatewayUrl } from "./values.ts";

export interface GlobalOptions {
  readonly url: URL;
  readonly adminToken?: string;
  readonly json?: boolean;
  readonly actor: string;
}

export interface PageOptions extends Page {
  readonly all?: boolean;
}

export interface Operator {
  readonly api: AdminApi;
  readonly screen: Screen;
}

export function withGlobalOptions(program: Command): Command {
  return program
    .addOption(
      new Option("--url <url>", "the gateway").env("REELAY_URL").default(new URL(LOCAL_URL), LOCAL_URL).argParser(gatewayUrl),
    )
    .addOption(
      new Option("--admin-token <token>", "its ADMIN_TOKEN; better in the environment, for a shell remembers its lines").env(
        "REELAY_ADMIN_TOKEN",
      ),
    )
    .addOption(new Option("--actor <name>", "who the audit log names").argParser(actor).default(systemUser()))
    .option("--json", "the API's reply and nothing else, for scripts (with `npm run -s`)");
}

export function withPaging(command: Command): Command {
  return command
    .addOption(new Option("--limit <n>", "lines a page").argParser(countFrom(1, 100)))
    .option("--after <cursor>", "go on where a page ended")
    .addOption(new Option("--all", "every page").conflicts("limit"));
}

/** A tenant has a ledger for each. */
export function withMode(command: Command): Command {
  return command.addOption(new Option("--mode <mode>", "which ledger").choices(["live", "test"]).default("live"));
}

export function withConfirmation(command: Command): Command {
  return command.option("--yes", "do not ask");
}

/** Throws UsageError where the gateway cannot be called as it is told. */
export function operatorOf(command: Command): Operator {
  const options: GlobalOptions = command.optsWithGlobals();
  if (options.url.protocol !== "https:" && !isLoopback(options.url.hostname))
    throw new UsageError(`${options.url.origin} would get the admin token in the clear: use https.`);
  return { api: apiFor(options, tokenFor(command, options)), screen: new Screen(options.json === true) };
}

export function apiFor({ url, actor }: GlobalOptions, token: string): AdminApi {
  const { CF_ACCESS_CLIENT_ID: id = "", CF_ACCESS_CLIENT_SECRET: secret = "" } = process.env;
  return new AdminApi(url, { token, actor, access: id === "" || secret === "" ? null : { id, secret } });
}

export function tokenFor(command: Command, { adminToken = "", url }: GlobalOptions): string {
  const token = adminToken.trim();
  if (!/^[\x21-\x7e]*$/.test(token)) throw new UsageError("The admin token has characters that a header cannot carry.");
  if (command.getOptionValueSourceWithGlobals("adminToken") === "cli")
    console.error("Careful: a token on the command line stays in the shell's history. Set REELAY_ADMIN_TOKEN instead.");
  if (token !== "") return token;
  if (isLoopback(url.hostname)) return LOCAL_ADMIN_TOKEN;
  throw new UsageError("Set REELAY_ADMIN_TOKEN to the gateway's ADMIN_TOKEN.");
}

/** Asks unless told not to; then `question` is not even made up, since that may take calls. */
export async function confirmUnless(yes: boolean | undefined, question: () => Promise<Question> | Question): Promise<void> {
  if (yes !== true) await confirm(await question(), { input: process.stdin, output: process.stderr });
}

/** Standard output has the answer and nothing else; what is said about it goes to standard error. */
export class Screen {
  readonly json: boolean;

  constructor(json: boolean) {
    this.json = json;
  }

  /** `render` makes the text for people. */
  show<Body>({ body, text }: Reply<Body>, render: (body: Body) => string): void {
    console.log(this.json ? printableJson(text) : render(body));
  }

  /** And says how to go on where there is more. */
  showPage<Row>(reply: Reply<List<Row>>, render: (rows: readonly Row[]) => string): void {
    this.show(reply, ({ data }) => render(data));
    const { has_more, last_id } = reply.body;
    if (has_more && last_id !== null && !this.json) this.note(`More: --after ${JSON.stringify(last_id)}, or --all`);
  }

  note(text: string): void {
    console.error(text);
  }
}

function systemUser(): string {
  try {
    return actorFrom(userInfo().username);
  } catch {
    return "operator"; // a container's user need not have a name
  }
}
