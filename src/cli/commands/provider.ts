import type { Command } from "commander";
import { path, type AdminApi, type Reply } from "../admin-api.ts";
import type { Provider, ProviderCheck, ProviderHealth, WholeList } from "../admin-wire.ts";
import { moment } from "../moments.ts";
import { operatorOf } from "../operator.ts";
import { sections, table } from "../table.ts";

interface ReasonOption {
  readonly reason?: string;
}

const NONE = "No providers but the simulated one, which serves test keys. README says how to add one (PROVIDERS).";

export function addProviderCommands(program: Command): void {
  const provider = program.command("provider").description("where videos come from");

  provider
    .command("list")
    .description("how they are, in the order in which they are tried")
    .action(async (_options: object, command: Command) => {
      const { api, screen } = operatorOf(command);
      screen.show(await api.get<WholeList<Provider>>("/providers"), ({ data }) => providerTable(data));
    });

  provider
    .command("check")
    .description("does it answer, and take each of its keys; costs nothing; exit code 1 where not")
    .argument("[provider]", "its name; else all of them")
    .action(async (name: string | undefined, _options: object, command: Command) => {
      const { api, screen } = operatorOf(command);
      const reply = name === undefined ? await checkAll(api) : await check(api, name);
      const checks = "data" in reply.body ? reply.body.data : [reply.body];
      screen.show<unknown>(reply, () => checksTable(checks));
      if (!checks.every(({ ok }) => ok)) process.exitCode = 1;
    });

  for (const [verb, what, after] of [
    ["hold", "give it no new tasks; what it has under way goes on", "New tasks go elsewhere, or wait until it is released."],
    [
      "release",
      "let it have tasks again, also where its breaker or a refused key kept them away",
      "Tasks that wait for it ask again within some five minutes, after a hold within two.",
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

async function check(api: AdminApi, name: string): Promise<Reply<ProviderCheck>> {
  return api.post<ProviderCheck>(path`/providers/${name}/check`);
}

/** As if the API had a list of them. */
async function checkAll(api: AdminApi): Promise<Reply<WholeList<ProviderCheck>>> {
  const { data: providers } = (await api.get<WholeList<Provider>>("/providers")).body;
  const replies = await Promise.all(providers.map(async ({ name }) => check(api, name)));
  const body = { object: "list", data: replies.map((reply) => reply.body) };
  return { body, text: JSON.stringify(body) };
}

/** What came of a key, and what to do about it. */
const RESULTS: Record<ProviderCheck["keys"][number]["result"], readonly [state: string, mend: string | null]> = {
  accepted: ["ok", null],
  rate_limited: ["ok", "accepted, and busy now"],
  unauthorized: ["REFUSED", "set its secret anew: npx wrangler secret put"],
  out_of_credit: ["NO CREDIT", "pay the provider, then: reelay provider release"],
  unavailable: ["DOWN", "no answer, or an outage: try again, then look at base_url and region in PROVIDERS"],
  unclear: ["UNCLEAR", "what answers does not speak this kind: look at kind and base_url in PROVIDERS"],
};

function checksTable(checks: readonly ProviderCheck[]): string {
  return table(
    checks.flatMap(({ name, keys }) => keys.map((key) => ({ name, ...key }))),
    [
      { title: "provider", of: ({ name }) => name },
      { title: "key", of: ({ credential }) => credential },
      { title: "state", of: ({ result }) => RESULTS[result][0] },
      { title: "ms", of: ({ ms }) => ms },
      { title: "note", of: ({ result }) => RESULTS[result][1] },
    ],
    NONE,
  );
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
      { title: "weight", of: ({ weight }) => weight },
      { title: "tags", of: ({ tags }) => (tags.length === 0 ? null : tags.join(",")) },
      { title: "callbacks", of: ({ traits }) => (traits.callbacks === "none" ? null : traits.callbacks) },
      { title: "cancels", of: ({ traits }) => (traits.cancel ? "yes" : "no") },
      { title: "keeps", of: ({ traits }) => kept(traits.retention_seconds) },
      { title: "state", of: ({ health }) => stateOf(health) },
      {
        title: "tasks",
        of: ({ health, concurrency }) => health && `${health.leases}${concurrency === null ? "" : `/${concurrency}`}`,
      },
      { title: "waiting", of: ({ health }) => health?.waiting },
      { title: "note", of: ({ health }) => health && noteOf(health, now) },
    ],
    NONE,
  );
}

/** For how long it can be asked for a video that it has made. */
function kept(seconds: number | null): string | null {
  if (seconds === null) return null;
  const hours = seconds / 3_600;
  return hours > 48 ? `${hours / 24} d` : `${hours} h`;
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
