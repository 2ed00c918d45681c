// What the gateway says of itself, and what only its caller can see.
import type { Command } from "commander";
import { addressOf, type Reply } from "../admin-api.ts";
import type { Check, Doctor } from "../admin-wire.ts";
import { ApiError, reach, UnreachableError } from "../gateway-call.ts";
import { isLoopback } from "../loopback.ts";
import { span } from "../moments.ts";
import { apiFor, Screen, tokenFor, type GlobalOptions } from "../operator.ts";
import { cell, sections, table } from "../table.ts";

const MAX_SKEW_SECONDS = 30;
const HEALTH_TIMEOUT_MS = 10_000;

export function addDoctorCommand(program: Command): void {
  program
    .command("doctor")
    .description("is all well, and how to mend what is not; exit code 1 where something is not")
    .action(async (_options: object, command: Command) => {
      const options: GlobalOptions = command.optsWithGlobals();
      const token = tokenFor(command, options);
      const encrypted = encryption(options.url);
      const seen = await health(options.url);
      // Over plain http the token stays here, and the gateway is not asked.
      const said = encrypted.ok && seen[0]?.ok ? await gatewayChecks(options, token) : [];
      const checks = [...seen, encrypted, ...said];
      const body: Doctor = { ok: checks.every(({ ok }) => ok), checks };
      const reply: Reply<Doctor> = { body, text: JSON.stringify(body) };
      new Screen(options.json === true).show(reply, describe);
      if (!body.ok) process.exitCode = 1;
    });
}

export function encryption(url: URL): Check {
  const ok = url.protocol === "https:" || isLoopback(url.hostname);
  return {
    name: "encryption",
    ok,
    detail: ok && url.protocol !== "https:" ? "http, on this machine only" : url.protocol.slice(0, -1),
    mend: ok ? null : "Use the https address: over http the admin token and every API key can be read on the way.",
  };
}

/** `serverDate`: the Date header, whole seconds. `beforeMs`, `afterMs`: our clock as the request went and as the reply came. */
export function clock(serverDate: string | null, beforeMs: number, afterMs: number): Check {
  const at = Date.parse(serverDate ?? "");
  if (Number.isNaN(at)) return { name: "clock", ok: true, detail: "not compared: the gateway sends no Date", mend: null };
  // The gateway read its clock somewhere between the two, in a second that was not over.
  const ahead = Math.max(0, (beforeMs - at - 999) / 1000) || Math.min(0, (afterMs - at) / 1000);
  const ok = Math.abs(ahead) <= MAX_SKEW_SECONDS;
  const detail = ok
    ? "this machine and the gateway agree"
    : `this machine is ${span(Math.abs(ahead))} ${ahead > 0 ? "ahead" : "behind"}`;
  return { name: "clock", ok, detail, mend: ok ? null : "Set this machine's clock (timedatectl set-ntp true)." };
}

async function health(url: URL): Promise<Check[]> {
  const before = Date.now();
  try {
    const reply = await reach(addressOf(url, "/healthz"), {
      redirect: "manual",
      signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS),
    });
    const checkedClock = clock(reply.headers.get("date"), before, Date.now());
    const ok = reply.status === 200;
    const mend = ok ? null : "Is the URL the gateway's? Its log says what is wrong: npx wrangler tail.";
    return [{ name: "health", ok, detail: `GET /healthz answers ${reply.status}`, mend }, checkedClock];
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error;
    const mend = isLoopback(url.hostname) ? "Start it: npm start." : "Check --url, and that the gateway is deployed.";
    return [{ name: "health", ok: false, detail: error.message, mend }];
  }
}

async function gatewayChecks(options: GlobalOptions, token: string): Promise<readonly Check[]> {
  try {
    return (await apiFor(options, token).get<Doctor>("/doctor")).body.checks;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return [{ name: "operator API", ok: false, detail: `${error.message} (HTTP ${error.status})`, mend: mendFor(error) }];
  }
}

function mendFor({ status }: ApiError): string {
  if (status === 401) return "Set REELAY_ADMIN_TOKEN to the gateway's ADMIN_TOKEN.";
  if (status === 404) return "Open it: npx wrangler secret put ADMIN_TOKEN.";
  return "The gateway's log says what is wrong: npx wrangler tail.";
}

function describe({ ok, checks }: Doctor): string {
  const rows = table(
    checks,
    [
      { title: "", of: (check) => (check.ok ? "ok" : "BAD") },
      { title: "check", of: ({ name }) => name },
      { title: "found", of: ({ detail }) => detail },
    ],
    "",
  );
  const mends = checks.filter((check) => !check.ok).map(({ name, mend }) => `${cell(name)}: ${cell(mend)}`);
  return sections(rows, ok ? "All is well." : `To mend:\n${mends.map((line) => `  ${line}`).join("\n")}`);
}
