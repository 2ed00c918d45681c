// What keeps a gateway well, and what was done to it.
import type { Command } from "commander";
import type { AuditEntry, SweepReport } from "../admin-wire.ts";
import { absolute, moment } from "../moments.ts";
import { operatorOf, withPaging, type PageOptions } from "../operator.ts";
import { cell, sections, sheet, table } from "../table.ts";

export function addUpkeepCommands(program: Command): void {
  withPaging(program.command("audit").description("who changed what, newest first")).action(
    async (page: PageOptions, command: Command) => {
      const { api, screen } = operatorOf(command);
      screen.showPage(await api.list<AuditEntry>("/audit", page), auditTable);
    },
  );

  program
    .command("sweep")
    .description("clean up now, as the cron does every few minutes")
    .option("--dry-run", "only say what there would be to do")
    .action(async ({ dryRun }: { dryRun?: boolean }, command: Command) => {
      const { api, screen } = operatorOf(command);
      const reply = await api.post<SweepReport>("/sweep", dryRun ? { dry_run: true } : {});
      screen.show(reply, (report) => describeSweep(report, dryRun === true));
    });

  program
    .command("rebuild-kv")
    .description("write the tenants' copies in KV anew, from their ledgers")
    .action(async (_options: object, command: Command) => {
      const { api, screen } = operatorOf(command);
      screen.show(await api.post<{ tenants: number }>("/rebuild-kv"), ({ tenants }) => `Rebuilt: ${cell(tenants)} tenants.`);
    });
}

/** A change as people say it: what differs, before and after; of what is new or gone, all there is to say. */
export function changeBetween(before: unknown, after: unknown): string {
  const [old, now] = [asRecord(before), asRecord(after)];
  return [...new Set([...Object.keys(old), ...Object.keys(now)])]
    .map((name) => [name, textOf(name, old[name]), textOf(name, now[name])] as const)
    .filter(([, was, is]) => was !== is)
    .map(([name, was, is]) => `${name}: ${was === null || after === null ? (is ?? was) : `${was} -> ${is ?? "none"}`}`)
    .join(", ");
}

function auditTable(entries: readonly AuditEntry[]): string {
  return table(
    entries,
    [
      { title: "seq", of: ({ seq }) => String(seq) },
      { title: "at", of: ({ at }) => moment(at, Date.now()) },
      { title: "who", of: ({ actor }) => actor },
      { title: "did", of: ({ action }) => action },
      { title: "to", of: ({ target }) => target },
      { title: "change", of: ({ before, after }) => changeBetween(before, after) },
    ],
    "Nothing was changed yet.",
  );
}

function describeSweep({ ran, tenants, objects, orphans, errors }: SweepReport, isDryRun: boolean): string {
  const counts = sheet([
    ["Tenants looked at", cell(tenants)],
    ["Stored files looked at", cell(objects)],
    ["Files without an owner", cell(orphans)],
    ["Errors", cell(errors)],
  ]);
  if (isDryRun) return sections(counts, "A dry run: nothing was changed.");
  return sections(counts, ran ? "" : "Another sweep is at it, so this one did nothing.");
}

/** Null where there is nothing. */
function textOf(name: string, value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "number" && name.endsWith("_at")) return absolute(value);
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value.join(" ");
  return typeof value === "string" ? value : JSON.stringify(value);
}

function asRecord(side: unknown): Readonly<Record<string, unknown>> {
  return typeof side === "object" && side !== null ? { ...side } : {};
}
