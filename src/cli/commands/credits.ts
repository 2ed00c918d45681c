import type { Command } from "commander";
import { path } from "../admin-api.ts";
import type { Amounts, JournalEntry, Mode, Recompute, Tenant } from "../admin-wire.ts";
import { moment } from "../moments.ts";
import { operatorOf, withMode, withPaging, type PageOptions } from "../operator.ts";
import { cell, sections, table } from "../table.ts";
import { countFrom, tenantId, wholeNumber } from "../values.ts";
import { balancesTable } from "./tenant.ts";

interface ChangeOptions {
  readonly reason: string;
  readonly mode: Mode;
}

export function addCreditsCommands(program: Command): void {
  const credits = program.command("credits").description("a tenant's money, in whole credits");

  const kinds = [
    { kind: "grant", what: "give bought credits, which do not expire", parse: countFrom(1) },
    { kind: "adjust", what: "correct the balance, up or down (-500)", parse: wholeNumber },
  ] as const;
  for (const { kind, what, parse } of kinds) {
    withMode(
      credits.command(kind).description(what).argument("<tenant>", "its id", tenantId).argument("<amount>", "in credits", parse),
    )
      .requiredOption("--reason <text>", "for the journal and the audit log")
      .action(async (tenant: string, amount: number, { reason, mode }: ChangeOptions, command: Command) => {
        const { api, screen } = operatorOf(command);
        const reply = await api.post<Tenant>(path`/tenants/${tenant}/credits`, { kind, amount, reason, mode });
        screen.show(reply, describe);
      });
  }

  credits
    .command("show")
    .description("the balances of both modes")
    .argument("<tenant>", "its id", tenantId)
    .action(async (tenant: string, _options: object, command: Command) => {
      const { api, screen } = operatorOf(command);
      screen.show(await api.get<Tenant>(path`/tenants/${tenant}`), describe);
    });

  withPaging(
    withMode(credits.command("journal").description("every movement, newest first").argument("<tenant>", "its id", tenantId)),
  ).action(async (tenant: string, { mode, ...page }: PageOptions & { mode: Mode }, command: Command) => {
    const { api, screen } = operatorOf(command);
    screen.showPage(await api.list<JournalEntry>(path`/tenants/${tenant}/journal`, page, { mode }), journalTable);
  });

  withMode(
    credits
      .command("recompute")
      .description("the journal against the balances; exit code 1 where they differ")
      .argument("<tenant>", "its id", tenantId),
  ).action(async (tenant: string, { mode }: { mode: Mode }, command: Command) => {
    const { api, screen } = operatorOf(command);
    const reply = await api.get<Recompute>(path`/tenants/${tenant}/recompute`, { mode });
    screen.show(reply, comparison);
    if (!reply.body.equal) process.exitCode = 1;
  });
}

function describe(tenant: Tenant): string {
  return sections(`${cell(tenant.name)} (${cell(tenant.id)}), ${cell(tenant.status)}`, balancesTable(tenant));
}

function journalTable(entries: readonly JournalEntry[]): string {
  return table(
    entries,
    [
      { title: "seq", of: ({ seq }) => String(seq) },
      { title: "at", of: ({ at }) => moment(at, Date.now()) },
      { title: "kind", of: ({ kind }) => kind },
      { title: "amount", of: ({ amount }) => amount },
      { title: "task or reason", of: ({ ref }) => ref },
    ],
    "Nothing has moved yet.",
  );
}

function comparison({ balances, journal, equal }: Recompute): string {
  const names = [...new Set([...Object.keys(journal), ...Object.keys(balances)])] as (keyof Amounts)[];
  const rows = names.filter((name) => typeof (balances[name] ?? journal[name]) === "number");
  return sections(
    table(
      rows,
      [
        { title: "credits", of: (name) => name },
        { title: "balance", of: (name) => balances[name] },
        { title: "journal", of: (name) => journal[name] },
        { title: "", of: (name) => (balances[name] === journal[name] ? "" : "DIFFERS") },
      ],
      "",
    ),
    equal ? "The journal and the balances agree." : "The journal and the balances DISAGREE.",
  );
}
