import type { Command } from "commander";
import { path } from "../admin-api.ts";
import type { Provider, ProviderHealth, WholeList } from "../admin-wire.ts";
import { moment } from "../moments.ts";
import { operatorOf } from "../operator.ts";
import { sections, table } from "../table.ts";

interface ReasonOption {
  readonly reason?: string;
}

export function addProviderCommands(program: Command): void {
  const provider = program.command("provider").description("where videos come from");

  provider
    .command("list")
    .description("how they are, in the order in which they are tried")
    .action(async (_options: object, command: Command) => {
      const { api, screen } = operatorOf(command);
      screen.show(await api.get<WholeList<Provider>>("/providers"), ({ data }) => providerTable(data));
    });

  for (const [verb, what, after] of [
    ["hold", "give it no new tasks; what it has under way goes on", "New tasks go elsewhere, or wait until it is released."],
    [
      "release",
      "let it have tasks again, also where its breaker or a refused key kept them away",
      "Tasks that wait for it ask again within two minutes.",
    ],
  ] as const) {
    provider
      .command(verb)
      .description(what)
      .argument("<provider>", "its name")
      .option("--reason <text>", "for the audit log")
      .action(async (name: string, { reason }: ReasonOption, command: Command) => {
        const { api, screen } = operatorOf(command);
        const reply = await api.post<Provider>(path`/providers/${name}/${verb}`, reason === undefined ? {} : { reason });
        screen.show(reply, (row) => sections(providerTable([row]), after));
      });
  }
}

function providerTable(providers: readonly Provider[]): string {
  const now = Date.now();
  return table(
    providers,
    [
      { title: "name", of: ({ name }) => name },
      { title: "kind", of: ({ kind }) => kind },
      { title: "priority", of: ({ priority }) => priority },
      { title: "models", of: ({ models }) => models?.join(",") ?? "all" },
      { title: "region", of: ({ region }) => region },
      { title: "state", of: ({ health }) => stateOf(health) },
      {
        title: "tasks",
        of: ({ health, concurrency }) => health && `${health.leases}${concurrency === null ? "" : `/${concurrency}`}`,
      },
      { title: "waiting", of: ({ health }) => health?.waiting },
      { title: "note", of: ({ health }) => health && noteOf(health, now) },
    ],
    "No providers but the simulated one, which serves test keys. README says how to add one (PROVIDERS).",
  );
}

function stateOf(health: ProviderHealth | null): string {
  if (health === null) return "unknown";
  if (health.held) return "HELD";
  return { closed: "ok", open: "DOWN", half_open: "probing", ramping: "recovering" }[health.breaker];
}

/** What is the matter, and until when. */
function noteOf({ open_until: openUntil, spent }: ProviderHealth, now: number): string | null {
  const notes = [
    ...(openUntil === null ? [] : [`left alone until ${moment(openUntil, now)}`]),
    ...spent.map(({ credential, why, until }) => `${credential} ${why} until ${moment(until, now)}`),
  ];
  return notes.length === 0 ? null : notes.join(", ");
}
