import { Option, type Command } from "commander";
import { path, type Reply } from "../admin-api.ts";
import type { Key, Mode, NewKey, WholeList } from "../admin-wire.ts";
import { absolute, moment, span } from "../moments.ts";
import { confirmUnless, operatorOf, withConfirmation } from "../operator.ts";
import { cell, sections, sheet, table } from "../table.ts";
import { countFrom, expiry, keyId, list, overlap, tenantId } from "../values.ts";

interface CreateOptions {
  readonly mode: Mode;
  readonly name?: string;
  readonly scopes?: string[];
  readonly budget?: number;
  readonly models?: string[];
  readonly ips?: string[];
  readonly expires?: number;
}

const DEFAULT_OVERLAP_SECONDS = 86_400;

export function addKeyCommands(program: Command): void {
  const key = program.command("key").description("a tenant's API keys");

  key
    .command("create")
    .description("make a key; it is shown this once")
    .argument("<tenant>", "its id", tenantId)
    .addOption(new Option("--mode <mode>", "test keys get simulated videos").choices(["live", "test"]).default("live"))
    .option("--name <text>", "what it is for")
    .addOption(new Option("--scopes <names>", "of create, read, manage").argParser(list))
    .addOption(new Option("--budget <credits>", "what it may spend a month").argParser(countFrom(0)))
    .addOption(new Option("--models <names>", "the only ones it may use").argParser(list))
    .addOption(new Option("--ips <ranges>", "the only ones it may come from, as 203.0.113.0/24").argParser(list))
    .addOption(new Option("--expires <when>", "as 90d or 2027-01-31").argParser((text) => expiry(text, Date.now())))
    .action(async (tenant: string, { expires, ...options }: CreateOptions, command: Command) => {
      const { api, screen } = operatorOf(command);
      const asked = { ...options, ...(expires !== undefined && { expires_at: expires }) };
      screen.show(await api.post<NewKey>(path`/tenants/${tenant}/keys`, asked), describeNew);
    });

  key
    .command("list")
    .description("a tenant's keys, by their first and last characters")
    .argument("<tenant>", "its id", tenantId)
    .action(async (tenant: string, _options: object, command: Command) => {
      const { api, screen } = operatorOf(command);
      const reply: Reply<WholeList<Key>> = await api.get(path`/tenants/${tenant}/keys`);
      screen.show(reply, ({ data }) => keyTable(data, tenant));
    });

  key
    .command("roll")
    .description("make its successor; the old one goes on for a while")
    .argument("<key>", "its id", keyId)
    .addOption(
      new Option("--overlap <time>", "how long the old one goes on: 0 to 7d")
        .argParser(overlap)
        .default(DEFAULT_OVERLAP_SECONDS, "24h"),
    )
    .action(async ({ key: old, tenant }: ReturnType<typeof keyId>, { overlap: seconds }: { overlap: number }, command: Command) => {
      const { api, screen } = operatorOf(command);
      const reply = await api.post<NewKey>(path`/tenants/${tenant}/keys/${old}/roll`, { overlap_seconds: seconds });
      const fate = seconds === 0 ? "has stopped" : `stops in ${span(seconds)}`;
      screen.show(reply, (made) => sections(describeNew(made), `The old key (${old}) ${fate}.`));
    });

  withConfirmation(key.command("revoke").description("stop a key at once").argument("<key>", "its id", keyId)).action(
    async ({ key: id, tenant }: ReturnType<typeof keyId>, { yes }: { yes?: boolean }, command: Command) => {
      const { api, screen } = operatorOf(command);
      await confirmUnless(yes, async () => {
        const { body } = await api.get<WholeList<Key>>(path`/tenants/${tenant}/keys`);
        const doomed = body.data.find((each) => each.id === id);
        if (doomed === undefined) throw new Error(`Tenant ${tenant} has no key ${id}.`);
        const what = `This stops key ${shown(doomed)}${doomed.name === null ? "" : ` (${cell(doomed.name)})`} at once, for good.`;
        return { what, word: doomed.name ?? id };
      });
      const reply = await api.post<Key>(path`/tenants/${tenant}/keys/${id}/revoke`);
      screen.show(reply, (gone) => `Key ${shown(gone)} is revoked.`);
    },
  );
}

function describeNew(key: NewKey): string {
  const facts = sheet([
    ["API key", key.key],
    ["Id", key.id],
    ["Name", key.name],
    ["Mode", key.mode],
    ["Scopes", key.scopes.join(", ")],
    ["Budget", key.budget === null ? null : `${cell(key.budget)} credits a month`],
    ["Models", key.models?.join(", ")],
    ["Addresses", key.ips?.join(", ")],
    ["Expires", moment(key.expires_at, Date.now())],
  ]);
  return sections(facts, "Copy the key now: it will not be shown again.");
}

function keyTable(keys: readonly Key[], tenant: string): string {
  return table(
    keys,
    [
      { title: "id", of: ({ id }) => id },
      { title: "key", of: shown },
      { title: "name", of: ({ name }) => name },
      { title: "state", of: stateOf },
      { title: "scopes", of: ({ scopes }) => scopes.join(",") },
      { title: "spent", of: ({ budget_used }) => budget_used },
      { title: "budget", of: ({ budget }) => budget },
      { title: "limits", of: ({ models, ips }) => [...(models ?? []), ...(ips ?? [])].join(",") },
      { title: "created", of: ({ created_at }) => moment(created_at, Date.now()) },
    ],
    `No keys yet. Make one: npm run reelay -- key create ${tenant}`,
  );
}

function stateOf({ revoked_at, expires_at }: Key): string {
  if (revoked_at !== null) return `revoked ${absolute(revoked_at)}`;
  if (expires_at === null) return "good";
  return `${expires_at * 1000 > Date.now() ? "until" : "expired"} ${absolute(expires_at)}`;
}

function shown({ prefix, last4 }: Key): string {
  return cell(`${prefix}…${last4}`);
}
