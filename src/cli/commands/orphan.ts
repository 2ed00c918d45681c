import type { Command } from "commander";
import { path } from "../admin-api.ts";
import type { Mode, Orphan } from "../admin-wire.ts";
import { absolute, moment } from "../moments.ts";
import { confirmUnless, operatorOf, withConfirmation, withMode, withPaging, type PageOptions } from "../operator.ts";
import { cell, table } from "../table.ts";
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

function orphanTable(orphans: readonly Orphan[]): string {
  return table(
    orphans,
    [
      { title: "seq", of: ({ seq }) => String(seq) },
      { title: "at", of: ({ at }) => moment(at, Date.now()) },
      { title: "task", of: ({ task }) => task },
      { title: "provider", of: ({ provider }) => provider },
      { title: "model", of: ({ model }) => model },
      { title: "reason", of: ({ reason }) => reason },
      { title: "written off", of: ({ written_off }) => written_off && `${absolute(written_off.at)}: ${written_off.reason}` },
    ],
    "No orphans.",
  );
}
