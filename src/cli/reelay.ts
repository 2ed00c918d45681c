// `npm run reelay -- <command>`: the operator's command line, over the operator API of a local or a deployed gateway.
// Exit codes: 0 done; 1 the API, the network or a check said no; 2 the command line is wrong.
import { Command, CommanderError } from "commander";
import { addCreditsCommands } from "./commands/credits.ts";
import { addDoctorCommand } from "./commands/doctor.ts";
import { addInitCommand } from "./commands/init.ts";
import { addKeyCommands } from "./commands/key.ts";
import { addModelCommands } from "./commands/model.ts";
import { addOrphanCommands } from "./commands/orphan.ts";
import { addProviderCommands } from "./commands/provider.ts";
import { addTaskCommands } from "./commands/task.ts";
import { addTenantCommands } from "./commands/tenant.ts";
import { addUpkeepCommands } from "./commands/upkeep.ts";
import { UsageError } from "./dev-arguments.ts";
import { ApiError, UnreachableError } from "./gateway-call.ts";
import { withGlobalOptions, type GlobalOptions } from "./operator.ts";
import { printable, printableJson } from "./printable.ts";

const program = withGlobalOptions(new Command("npm run reelay --"))
  .description("Runs a gateway: its tenants, keys, credits, tasks, models and providers.")
  .showHelpAfterError("Add --help to see what there is.")
  .configureHelp({ showGlobalOptions: true })
  .exitOverride();
for (const add of [
  addInitCommand,
  addTenantCommands,
  addKeyCommands,
  addCreditsCommands,
  addTaskCommands,
  addOrphanCommands,
  addModelCommands,
  addProviderCommands,
  addUpkeepCommands,
  addDoctorCommand,
]) {
  add(program);
}

// `reelay audit --all | head` closes the pipe when it has seen enough.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Says what went wrong, and what to do about it. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof UsageError) {
    console.error(`error: ${printable(error.message)}`);
    return 2;
  }
  if (error instanceof ApiError && error.json !== null && program.opts<GlobalOptions>().json)
    console.log(printableJson(error.json));
  console.error([printable(error instanceof Error ? error.message : String(error)), ...advice(error)].join("\n"));
  return 1;
}

function advice(error: unknown): string[] {
  if (error instanceof UnreachableError)
    return [error.mayBeDone ? "It may have been done all the same: look before you repeat it." : "Is it running? Here: npm start"];
  if (!(error instanceof ApiError)) return [];
  const { status, code, requestId } = error;
  const facts = [`HTTP ${status}`, ...(code === null ? [] : [code]), ...(requestId === null ? [] : [`request ${requestId}`])];
  const hints = [
    ...(status === 401 ? ["Set REELAY_ADMIN_TOKEN to the gateway's ADMIN_TOKEN."] : []),
    ...(status >= 300 && status < 400
      ? ["Is --url right? Behind Cloudflare Access, set CF_ACCESS_CLIENT_ID and CF_ACCESS_CLIENT_SECRET."]
      : []),
    ...(code === "not_found" ? ["A gateway without the secret ADMIN_TOKEN has no operator API: npm run reelay -- doctor"] : []),
  ];
  return [printable(`(${facts.join(", ")})`), ...hints];
}
