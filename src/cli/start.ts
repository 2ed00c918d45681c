// `npm start`: the whole gateway on this machine, without an account, a network or a key. Everything that a local run knows and
// a deployed one must not know is said here, and handed to `wrangler dev`.
import { createServer, type AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { DEMO_LIVE_KEY, DEMO_TEST_KEY, LOCAL_ADMIN_TOKEN } from "./demo-tenant.ts";
import { asVarArguments, readDevArguments, readEnvFiles, UsageError } from "./dev-arguments.ts";
import { isLoopback, LOCAL_URL } from "./loopback.ts";
import { printable } from "./printable.ts";
import { startWrangler } from "./wrangler-process.ts";

/** One for each name in wrangler.toml's `[secrets]`. Fixed, so that ids and links of one run are good in the next. */
const LOCAL_SECRETS = {
  TASK_ID_SECRETS: "local-runs-only-task-ids",
  LINK_SECRETS: "k1:local-runs-only-links",
};

const HEALTH_INTERVAL_MS = 100;
/** What the Worker logs takes a moment to get through wrangler. */
const LAST_WORDS_MS = 500;

await main().catch((error: unknown) => {
  if (!(error instanceof UsageError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
});

async function main(): Promise<void> {
  const { ip, port: wishedPort, envFiles, rest } = readDevArguments(process.argv.slice(2));
  const given = readEnvFiles(envFiles);
  const port = await findPort(ip, wishedPort);
  if (port === null) {
    console.error(`Port ${wishedPort} is taken: is Reelay running already? Another one: npm start -- --port ${wishedPort + 1}`);
    process.exitCode = 1;
    return;
  }

  const { secrets, settings } = splitSettings(given);
  // Everybody knows that token, so it opens nothing where others can knock.
  const ownToken = isLoopback(ip) ? { ADMIN_TOKEN: LOCAL_ADMIN_TOKEN } : {};
  const vars = { ...ownToken, ...settings, ENVIRONMENT: "local", DEMO_KEYS: `${DEMO_TEST_KEY},${DEMO_LIVE_KEY}` };
  const wrangler = startWrangler(
    [
      "--config=wrangler.toml",
      "--show-interactive-dev-session=false",
      `--ip=${ip}`,
      `--port=${port}`,
      ...asVarArguments(vars),
      ...rest,
    ],
    secrets,
  );

  const url = `http://${reachable(ip)}:${port}`;
  const complaint = await firstComplaint(url, wrangler.gone);
  if (complaint !== null) {
    await sleep(LAST_WORDS_MS);
    console.error(`Reelay cannot serve: ${complaint}\nIts log above says what is wrong.`);
    wrangler.stop(1);
  } else if (!wrangler.gone.aborted) {
    console.log(banner(url, given.PROVIDERS !== undefined, operatorLine(url, vars)));
  }
  process.exitCode = await wrangler.ended;
}

/** The declared secrets, and the rest. Files win over what is known here, and the shell's environment wins over both. */
function splitSettings(given: Readonly<Record<string, string>>) {
  const isDeclared = ([name]: readonly [string, string]): boolean => name in LOCAL_SECRETS;
  const entries = Object.entries(given);
  return {
    secrets: { ...LOCAL_SECRETS, ...Object.fromEntries(entries.filter(isDeclared)) },
    settings: Object.fromEntries(entries.filter((entry) => !isDeclared(entry))),
  };
}

/** Waits for the gateway's first word on its health. Null: it is well, or `gone` before it said anything. */
async function firstComplaint(url: string, gone: AbortSignal): Promise<string | null> {
  while (!gone.aborted) {
    const reply = await fetch(`${url}/healthz`, { signal: gone }).catch(() => null);
    if (reply !== null) return reply.ok ? null : `GET /healthz answers ${reply.status}. ${await messageIn(reply)}`;
    await sleep(HEALTH_INTERVAL_MS);
  }
  return null;
}

async function messageIn(reply: Response): Promise<string> {
  const text = await reply.text().catch(() => "");
  try {
    return printable((JSON.parse(text) as { error: { message: string } }).error.message);
  } catch {
    return printable(text.slice(0, 500));
  }
}

/** Null: it is taken. Asked before wrangler is, whose own words come late and between others. */
function findPort(ip: string, wished: number): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(null);
      else reject(new UsageError(`Cannot listen on ${ip}, port ${wished}: ${error.message}`));
    });
    probe.listen(wished, ip === "*" ? undefined : ip, () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}

/** An address that listens everywhere is none that can be called. */
function reachable(ip: string): string {
  if (ip === "0.0.0.0" || ip === "*") return "127.0.0.1";
  if (ip === "::") return "[::1]";
  return ip.includes(":") ? `[${ip}]` : ip;
}

function operatorLine(url: string, { ADMIN_TOKEN: token }: Readonly<Record<string, string>>): string {
  if (token === undefined) return "closed: others can reach this address, so set an ADMIN_TOKEN of your own in .dev.vars";
  const where = url === LOCAL_URL ? "" : `--url ${url} `;
  return `npm run reelay -- ${where}tenant list${token === LOCAL_ADMIN_TOKEN ? "" : "   (with your ADMIN_TOKEN in REELAY_ADMIN_TOKEN)"}`;
}

function banner(url: string, hasProviders: boolean, operator: string): string {
  const liveKey = hasProviders ? `\n  Live API key   ${DEMO_LIVE_KEY}   (uses PROVIDERS)` : "";
  return `
  Reelay is ready
  Base URL       ${url}
  Demo API key   ${DEMO_TEST_KEY}   (simulated videos)${liveKey}
  Console        ${url}/console   (coming)
  API reference  ${url}/docs
  Operator       ${operator}

  A first video:

curl ${url}/v1/video/create -H "Authorization: Bearer ${DEMO_TEST_KEY}" -H "Content-Type: application/json" -d '{"model":"veo3","prompt":"A lake at sunset"}'
`;
}
