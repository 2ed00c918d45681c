import { Option, type Command } from "commander";
import { path } from "../admin-api.ts";
import type { Balances, Plan, Tenant, TenantRow } from "../admin-wire.ts";
import { moment } from "../moments.ts";
import { confirmUnless, operatorOf, withConfirmation, withPaging, type PageOptions } from "../operator.ts";
import { cell, sections, sheet, table } from "../table.ts";
import { countFrom, listOrAll, tenantId } from "../values.ts";

interface PlanOptions {
  readonly credits?: number;
  readonly requestsPerMinute?: number;
  readonly liveTasks?: number;
  readonly models?: string[] | "all";
  readonly retentionDays?: number;
  readonly routeChoice?: boolean;
}

export function addTenantCommands(program: Command): void {
  const tenant = program.command("tenant").description("who may use the gateway, and how much");

  withPlan(tenant.command("create").description("make a tenant").argument("<name>")).action(
    async (name: string, options: PlanOptions, command: Command) => {
      const { api, screen } = operatorOf(command);
      const plan = planOf(options);
      const reply = await api.post<Tenant>("/tenants", { name, ...(Object.keys(plan).length > 0 && { plan }) });
      screen.show(reply, (made) => sections(describe(made), `Next: npm run reelay -- key create ${cell(made.id)}`));
    },
  );

  withPaging(tenant.command("list").description("all tenants")).action(async (page: PageOptions, command: Command) => {
    const { api, screen } = operatorOf(command);
    screen.showPage(await api.list<TenantRow>("/tenants", page), tenantTable);
  });

  tenant
    .command("show")
    .description("plan and balances")
    .argument("<tenant>", "its id", tenantId)
    .action(async (id: string, _options: object, command: Command) => {
      const { api, screen } = operatorOf(command);
      screen.show(await api.get<Tenant>(path`/tenants/${id}`), describe);
    });

  withPlan(
    tenant.command("plan").description("change what is named, leave the rest").argument("<tenant>", "its id", tenantId),
  ).action(async (id: string, options: PlanOptions, command: Command) => {
    const plan = planOf(options);
    if (Object.keys(plan).length === 0) command.error("error: say what to change, as in --credits 5000", { exitCode: 2 });
    const { api, screen } = operatorOf(command);
    screen.show(await api.patch<Tenant>(path`/tenants/${id}`, { plan }), describe);
  });

  tenant
    .command("rename")
    .description("change the name")
    .argument("<tenant>", "its id", tenantId)
    .argument("<name>")
    .action(async (id: string, name: string, _options: object, command: Command) => {
      const { api, screen } = operatorOf(command);
      screen.show(await api.patch<Tenant>(path`/tenants/${id}`, { name }), describe);
    });

  for (const [verb, what] of [
    ["suspend", "stop spending at once; what is under way goes on"],
    ["resume", "undo a suspension"],
  ] as const) {
    tenant
      .command(verb)
      .description(what)
      .argument("<tenant>", "its id", tenantId)
      .option("--reason <text>", "for the audit log")
      .action(async (id: string, { reason }: { reason?: string }, command: Command) => {
        const { api, screen } = operatorOf(command);
        const reply = await api.post<Tenant>(path`/tenants/${id}/${verb}`, reason === undefined ? {} : { reason });
        screen.show(reply, describe);
      });
  }

  withConfirmation(
    tenant
      .command("delete")
      .description("end a tenant for good: keys, tasks and videos; its books stay")
      .argument("<tenant>", "its id", tenantId),
  ).action(async (id: string, { yes }: { yes?: boolean }, command: Command) => {
    const { api, screen } = operatorOf(command);
    const { body: doomed } = await api.get<Tenant>(path`/tenants/${id}`);
    await confirmUnless(yes, () => ({
      what: `This deletes tenant ${cell(doomed.name)} (${id}) for good: its keys stop, its tasks end, its videos go. Its books stay.`,
      word: doomed.name,
    }));
    const reply = await api.delete<{ id: string }>(path`/tenants/${id}`, { confirm: doomed.name });
    screen.show(reply, (gone) => `Tenant ${cell(gone.id)} is deleted.`);
  });
}

/** One line a mode. */
export function balancesTable({ live, test }: Pick<Tenant, "live" | "test">): string {
  const rows = [
    { mode: "live", ...live },
    { mode: "test", ...test },
  ];
  const readOnly = rows.filter(({ read_only }) => read_only).map(({ mode }) => mode);
  return sections(
    table<Balances & { mode: string }>(
      rows,
      [
        { title: "credits", of: ({ mode }) => mode },
        { title: "available", of: ({ available }) => available },
        { title: "held", of: ({ held }) => held },
        { title: "spent", of: ({ spent }) => spent },
        { title: "expired", of: ({ expired }) => expired },
        { title: "granted", of: ({ granted }) => granted },
        { title: "adjusted", of: ({ adjusted }) => adjusted },
        { title: "live tasks", of: ({ live_tasks }) => live_tasks },
      ],
      "",
    ),
    readOnly.length === 0
      ? ""
      : `READ-ONLY (${readOnly.join(", ")}): an invariant of this ledger did not hold, so it takes no more tasks.`,
  );
}

function withPlan(command: Command): Command {
  return command
    .addOption(new Option("--credits <n>", "credits a month").argParser(countFrom(0)))
    .addOption(new Option("--requests-per-minute <n>", "creates a minute").argParser(countFrom(1)))
    .addOption(new Option("--live-tasks <n>", "tasks at once").argParser(countFrom(1)))
    .addOption(new Option("--models <names>", "comma-separated, or all").argParser(listOrAll))
    .addOption(new Option("--retention-days <n>", "how long videos are kept").argParser(countFrom(1)))
    .addOption(new Option("--route-choice", "creates may say which providers they want"))
    .addOption(new Option("--no-route-choice", "they may not"));
}

function planOf({ credits, requestsPerMinute, liveTasks, models, retentionDays, routeChoice }: PlanOptions): Partial<Plan> {
  const plan = {
    credits,
    requests_per_minute: requestsPerMinute,
    live_tasks: liveTasks,
    models: models === "all" ? null : models,
    retention_days: retentionDays,
    route_choice: routeChoice,
  };
  return Object.fromEntries(Object.entries(plan).filter(([, value]) => value !== undefined));
}

function describe(tenant: Tenant): string {
  const { plan } = tenant;
  const facts = sheet([
    ["Tenant", tenant.id],
    ["Name", tenant.name],
    ["Status", tenant.status],
    ["Created", moment(tenant.created_at, Date.now())],
    [
      "Plan",
      `${cell(plan.credits)} credits a month, ${cell(plan.requests_per_minute)} creates a minute, ${cell(plan.live_tasks)} at once`,
    ],
    ["Models", plan.models?.join(", ") ?? "all"],
    ["May choose providers", plan.route_choice ? "yes" : "no"],
    ["Videos kept", `${cell(plan.retention_days)} days`],
  ]);
  return sections(facts, balancesTable(tenant));
}

function tenantTable(rows: readonly TenantRow[]): string {
  return table(
    rows,
    [
      { title: "id", of: ({ id }) => id },
      { title: "name", of: ({ name }) => name },
      { title: "status", of: ({ status }) => status },
      { title: "created", of: ({ created_at }) => moment(created_at, Date.now()) },
    ],
    "No tenants yet. Make one: npm run reelay -- tenant create acme",
  );
}
