import type { Command } from "commander";
import { path } from "../admin-api.ts";
import type { Mode, Orphan } from "../admin-wire.ts";
import { absolute, moment } from "../moments.ts";
import { confirmUnless, operatorOf, withConfirmation, withMode, withPaging, type PageOptions } from "../operator.ts";
import { cell, sections, table } from "../table.ts";
import { countFrom, tenantId } from "../values.ts";

interface WriteOffOptions {
  readonly reason: string;
  readonly mode: Mode;
  readonly yes?: boolean;
}

export function addOrphanCommands(program: Command): void {
  const orphan = program.command("orphan").description("videos that a provider was paid for and no tenant got");

  withPaging(withMode(orphan.command("list").description("a tenant's orphans").argument("<tenant>", "its id", tenantId))).action(
    async (tenant: string, { mode, ...page }: PageOptions & { mode: Mode }, command: Command) => {
      const { api, screen } = operatorOf(command);
      screen.showPage(await api.list<Orphan>(path`/tenants/${tenant}/orphans`, page, { mode }), orphanTable);
    },
  );

  withConfirmation(
    withMode(
      orphan
        .command("write-off")
        .description("take its cost as lost")
        .argument("<tenant>", "its id", tenantId)
        .argument("<seq>", "the orphan's number", countFrom(0))
        .requiredOption("--reason <text>", "for the audit log"),
    ),
  ).action(async (tenant: string, seq: number, { reason, mode, yes }: WriteOffOptions, command: Command) => {
    const { api, screen } = operatorOf(command);
    const what = `This writes off orphan ${seq} of tenant ${tenant} (${mode}) for good.`;
    await confirmUnless(yes, () => ({ what, word: String(seq) }));
    const reply = await api.post<Orphan>(path`/tenants/${tenant}/orphans/${seq}/write-off`, { reason, mode });
    screen.show(reply, (gone) => `Orphan ${gone.seq} (${cell(gone.task)}) is written off.`);
  });
}

export function orphanTable(orphans: readonly Orphan[]): string {
  if (orphans.length === 0) return "No orphans.";
  const open = orphans.filter(({ written_off }) => written_off === null);
  const total = `In all: ${told(orphans)}. Not written off: ${told(open)}.`;
  const drawn = table(
    orphans,
    [
      { title: "seq", of: ({ seq }) => String(seq) },
      { title: "at", of: ({ at }) => moment(at, Date.now()) },
      { title: "task", of: ({ task }) => task },
      { title: "provider", of: ({ provider }) => provider },
      { title: "model", of: ({ model }) => model },
      { title: "reason", of: ({ reason }) => reason },
      { title: "cents", of: ({ cost_cents }) => cost_cents },
      { title: "written off", of: ({ written_off }) => written_off && `${absolute(written_off.at)}: ${written_off.reason}` },
    ],
    "",
  );
  return sections(drawn, total);
}

/** As far as it is known: a provider without `cost_cents` in PROVIDERS costs nobody knows what. */
function told(orphans: readonly Orphan[]): string {
  const costs = orphans.flatMap(({ cost_cents }) => cost_cents ?? []);
  const sum = `${cell(costs.reduce((all, cost) => all + cost, 0))} cents`;
  const unknown = orphans.length - costs.length;
  return unknown === 0 ? sum : `${sum}, and the unknown cost of ${cell(unknown)}`;
}
