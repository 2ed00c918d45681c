import { Option, type Command } from "commander";
import { path } from "../admin-api.ts";
import type { Model, WholeList } from "../admin-wire.ts";
import { operatorOf } from "../operator.ts";
import { sections, table } from "../table.ts";
import { countFrom } from "../values.ts";

interface PriceOptions {
  readonly upsample?: number;
  readonly reset?: boolean;
}

export function addModelCommands(program: Command): void {
  const model = program.command("model").description("what is on offer, at what price; changes need no deploy");

  model
    .command("list")
    .description("all models")
    .action(async (_options: object, command: Command) => {
      const { api, screen } = operatorOf(command);
      screen.show(await api.get<WholeList<Model>>("/models"), ({ data }) => modelTable(data));
    });

  model
    .command("off")
    .description("refuse new tasks for it; those under way go on")
    .argument("<model>")
    .requiredOption("--reason <text>", "what tenants are told")
    .action(async (name: string, { reason }: { reason: string }, command: Command) => {
      const { api, screen } = operatorOf(command);
      screen.show(await api.patch<Model>(path`/models/${name}`, { enabled: false, reason }), describeChange);
    });

  model
    .command("on")
    .description("offer it again")
    .argument("<model>")
    .action(async (name: string, _options: object, command: Command) => {
      const { api, screen } = operatorOf(command);
      screen.show(await api.patch<Model>(path`/models/${name}`, { enabled: true }), describeChange);
    });

  model
    .command("price")
    .description("set what a video costs from now on; what is under way keeps its price")
    .argument("<model>")
    .argument("[credits]", "a video's price", countFrom(1))
    .addOption(new Option("--upsample <credits>", "what upsampling adds").argParser(countFrom(0)))
    .addOption(new Option("--reset", "back to the catalogue's prices").conflicts("upsample"))
    .action(async (name: string, credits: number | undefined, { upsample, reset }: PriceOptions, command: Command) => {
      const change = {
        ...(credits !== undefined && { credits }),
        ...(upsample !== undefined && { upsample_credits: upsample }),
        ...(reset && { credits: null, upsample_credits: null }),
      };
      if (Object.keys(change).length === 0 || (reset && credits !== undefined))
        command.error("error: give a price, --upsample or --reset", { exitCode: 2 });
      const { api, screen } = operatorOf(command);
      screen.show(await api.patch<Model>(path`/models/${name}`, change), describeChange);
    });
}

/** Every location has its own copy of the prices and switches for a while. */
function describeChange(row: Model): string {
  return sections(modelTable([row]), "It holds everywhere within a minute.");
}

function modelTable(models: readonly Model[]): string {
  return table(
    models,
    [
      { title: "model", of: ({ id }) => id },
      { title: "state", of: ({ enabled }) => (enabled ? "on" : "OFF") },
      { title: "credits", of: ({ credits }) => credits },
      { title: "upsample", of: ({ upsample_credits }) => upsample_credits },
      { title: "reason", of: ({ reason }) => reason },
    ],
    "No models.",
  );
}
