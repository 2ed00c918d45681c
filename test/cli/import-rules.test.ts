// A rule that stopped working looks like code that keeps it. So each room gets a file of lines that may be there and lines that
// may not, and the linter has to tell them apart with the project's own configuration.
import { spawnSync } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const IMPORTS = "eslint(no-restricted-imports)";
const GLOBALS = "eslint(no-restricted-globals)";
const PROPERTIES = "eslint(no-restricted-properties)";

interface Room {
  readonly file: string;
  readonly fine: readonly string[];
  /** Lines, by the rule that refuses them. */
  readonly wrong: Readonly<Record<string, readonly string[]>>;
}

const from = (...modules: string[]): string[] => modules.map((module) => `export * from "${module}";`);
const typesFrom = (...modules: string[]): string[] => modules.map((module) => `export type * from "${module}";`);

const ROOMS: readonly Room[] = [
  {
    file: "src/core/task.ts",
    fine: [
      ...from("./ledger.ts"),
      "export const day = (at: number) => Math.floor(at / 86_400_000);",
      "export const subtle = crypto.subtle;",
    ],
    wrong: {
      [IMPORTS]: [
        ...from(
          "../ports.ts",
          "../service/videos.ts",
          "./deeper/ledger.ts",
          "./../ports.ts",
          "zod",
          "hono",
          "node:fs",
          "cloudflare:workers",
        ),
        ...typesFrom("../ports.ts", "zod"),
        'export const late = () => import("../wire.ts");',
      ],
      [GLOBALS]: [
        "export const a = () => fetch;",
        "export const b = () => caches;",
        "export const c = () => console.log;",
        "export const d = () => Date.now();",
        "export const e = () => new Date();",
        "export const f = () => performance.now();",
        "export const g = () => setTimeout;",
        "export const h = () => setInterval;",
        "export const i = () => globalThis.Date.now();",
      ],
      [PROPERTIES]: [
        "export const k = () => Math.random();",
        "export const l = () => crypto.randomUUID();",
        "export const m = () => crypto.getRandomValues(new Uint8Array(8));",
      ],
    },
  },
  {
    file: "src/ports.ts",
    fine: typesFrom("./core/task.ts"),
    wrong: {
      [IMPORTS]: [
        ...from("./core/task.ts", "./service/videos.ts", "./env.ts", "zod"),
        ...typesFrom("./env.ts", "cloudflare:workers"),
      ],
    },
  },
  {
    file: "src/service/videos.ts",
    fine: from("./perform.ts", "../core/task.ts", "../ports.ts"),
    wrong: {
      [IMPORTS]: from(
        "../http/errors.ts",
        "../stores/videos.ts",
        "../durable/video-task.ts",
        "../net/telemetry.ts",
        "../wire.ts",
        "../env.ts",
        "zod",
      ),
      [GLOBALS]: ["export const a = () => fetch;", "export const b = () => Date.now();", "export const c = () => console.log;"],
    },
  },
  {
    file: "src/providers/veo.ts",
    fine: from("./call-json.ts", "../core/task.ts", "../ports.ts", "../net/guarded-fetch.ts", "zod"),
    wrong: {
      [IMPORTS]: from(
        "./seed-style.ts",
        "../providers/seed-style.ts",
        "../net/telemetry.ts",
        "../stores/videos.ts",
        "../service/perform.ts",
        "../wire.ts",
        "hono",
      ),
      [GLOBALS]: ["export const a = () => fetch;"],
    },
  },
  {
    file: "src/stores/videos.ts",
    fine: from("./tenants.ts", "../core/task.ts", "../ports.ts", "zod", "mediabunny", "aws4fetch"),
    wrong: {
      [IMPORTS]: from(
        "../providers/veo.ts",
        "../net/guarded-fetch.ts",
        "../service/videos.ts",
        "../env.ts",
        "cloudflare:workers",
        "hono",
      ),
      [GLOBALS]: ["export const a = () => fetch;"],
    },
  },
  {
    file: "src/net/guarded-fetch.ts",
    fine: [
      ...from("./url-policy.ts", "../core/result.ts", "../ports.ts", "zod", "ipaddr.js", "standardwebhooks"),
      "export const a = () => fetch;",
    ],
    wrong: {
      [IMPORTS]: from(
        "../providers/veo.ts",
        "../stores/videos.ts",
        "../service/videos.ts",
        "../http/errors.ts",
        "../wire.ts",
        "hono",
      ),
    },
  },
  {
    file: "src/durable/video-task.ts",
    fine: from(
      "./ledger-rows.ts",
      "../core/task.ts",
      "../service/perform.ts",
      "../ports.ts",
      "../wire.ts",
      "../env.ts",
      "cloudflare:workers",
    ),
    wrong: {
      [IMPORTS]: from(
        "../http/errors.ts",
        "../stores/videos.ts",
        "../providers/veo.ts",
        "../net/telemetry.ts",
        "../app.ts",
        "hono",
        "zod",
      ),
      [GLOBALS]: ["export const a = () => fetch;"],
    },
  },
  ...["http", "console"].map((room) => ({
    file: `src/${room}/errors.ts`,
    fine: [
      ...from("./auth.ts", "../core/task.ts", "../service/videos.ts", "hono", "hono/http-exception", "@hono/zod-openapi", "zod"),
      ...typesFrom("../ports.ts"),
    ],
    wrong: {
      [IMPORTS]: from(
        "../ports.ts",
        "../stores/videos.ts",
        "../providers/veo.ts",
        "../durable/video-task.ts",
        "../net/telemetry.ts",
        "../wire.ts",
        "../env.ts",
        "cloudflare:workers",
      ),
      [GLOBALS]: ["export const a = () => fetch;", "export const b = () => caches;", "export const c = () => console.log;"],
    },
  })),
  ...["seed", "openai", "openrouter"].map((dialect, index, dialects) => ({
    file: `src/http/${dialect}.ts`,
    fine: [
      ...from(`./${dialect}-wire.ts`, "./errors.ts", "../core/task.ts", "../service/videos.ts", "hono", "@hono/zod-openapi"),
      ...typesFrom("../ports.ts"),
    ],
    wrong: {
      [IMPORTS]: [
        ...dialects.toSpliced(index, 1).flatMap((other) => from(`./${other}.ts`, `./${other}-wire.ts`)),
        ...from("../ports.ts", "../stores/videos.ts", "../wire.ts"),
      ],
      [GLOBALS]: ["export const a = () => fetch;"],
    },
  })),
  {
    file: "src/wire.ts",
    fine: [
      ...from("./core/task.ts", "./providers/veo.ts", "./stores/videos.ts", "./service/videos.ts", "./env.ts", "zod"),
      ...typesFrom("./durable/sweep.ts"),
    ],
    wrong: {
      [IMPORTS]: from(
        "./durable/sweep.ts",
        "./http/errors.ts",
        "./console/pages.tsx",
        "./client/reelay.ts",
        "./cli/start.ts",
        "./app.ts",
      ),
    },
  },
  {
    file: "src/env.ts",
    fine: [...from("./core/models.ts", "zod"), ...typesFrom("./durable/sweep.ts")],
    wrong: { [IMPORTS]: from("./durable/sweep.ts", "./wire.ts", "./stores/videos.ts") },
  },
  {
    file: "src/app.ts",
    fine: from("./http/errors.ts", "./wire.ts", "hono"),
    wrong: { [IMPORTS]: from("./cli/start.ts", "./client/reelay.ts") },
  },
  {
    file: "src/client/reelay.ts",
    fine: ["export const a = () => fetch;"],
    wrong: {
      [IMPORTS]: [...from("./polling.ts", "../core/api-key.ts", "../ports.ts", "zod", "node:fs"), ...typesFrom("../core/task.ts")],
    },
  },
  {
    file: "src/cli/start.ts",
    fine: from(
      "./demo-tenant.ts",
      "./commands/tenant.ts",
      "../client/reelay.ts",
      "commander",
      "cli-table3",
      "node:fs",
      "node:fs/promises",
    ),
    wrong: { [IMPORTS]: from("../core/api-key.ts", "../ports.ts", "../wire.ts", "../service/videos.ts", "zod") },
  },
  {
    file: "src/cli/commands/tenant.ts",
    fine: from("./key.ts", "../start.ts", "../../client/reelay.ts", "commander", "node:fs"),
    wrong: { [IMPORTS]: from("../../core/api-key.ts", "../../ports.ts", "../../wire.ts", "zod", "cli-table3") },
  },
  {
    file: "src/cli/demo-tenant.ts",
    fine: from("../core/api-key.ts"),
    wrong: { [IMPORTS]: from("../core/ledger.ts", "../ports.ts", "zod") },
  },
];

interface Finding {
  readonly code: string;
  readonly filename: string;
  readonly labels: readonly { readonly span: { readonly line: number } }[];
}

let folder: string;
let findings: readonly Finding[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "reelay-rules-"));
  await copyFile(join(ROOT, ".oxlintrc.json"), join(folder, ".oxlintrc.json"));
  await put(
    "tsconfig.json",
    '{ "compilerOptions": { "module": "esnext", "target": "es2022", "noEmit": true, "allowImportingTsExtensions": true } }',
  );
  for (const room of ROOMS)
    await put(
      room.file,
      linesOf(room)
        .map(({ line }) => line)
        .join("\n"),
    );
  await put("src/service/lost-promise.ts", "async function save() {}\nexport function close() {\n  save();\n}\n");
  await put("src/core/hen.ts", 'import { egg } from "./egg.ts";\nexport const hen = () => egg;\n');
  await put("src/core/egg.ts", 'import { hen } from "./hen.ts";\nexport const egg = () => hen;\n');
  const oxlint = join(ROOT, "node_modules/oxlint/bin/oxlint");
  const { stdout, stderr } = spawnSync(process.execPath, [oxlint, "--type-aware", "--format=json"], {
    cwd: folder,
    encoding: "utf8",
  });
  if (!stdout.includes("diagnostics")) throw new Error(`oxlint did not run: ${stdout}${stderr}`);
  findings = (JSON.parse(stdout) as { diagnostics: Finding[] }).diagnostics;
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

async function put(file: string, text: string): Promise<void> {
  await mkdir(join(folder, dirname(file)), { recursive: true });
  await writeFile(join(folder, file), text);
}

function linesOf({ fine, wrong }: Room): { line: string; rules: string[] }[] {
  return [
    ...fine.map((line) => ({ line, rules: [] })),
    ...Object.entries(wrong).flatMap(([rule, lines]) => lines.map((line) => ({ line, rules: [rule] }))),
  ];
}

/** The rules that refused a line. */
function rulesAgainst(file: string, line: number): string[] {
  return findings
    .filter(({ filename, labels }) => filename === file && labels.some(({ span }) => span.line === line))
    .map(({ code }) => code);
}

describe("the import rules", () => {
  it.each(ROOMS.map((room) => [room.file, room] as const))("tell what %s may hold from what it may not", (file, room) => {
    const expected = linesOf(room);
    // The samples also import each other in circles, which is another rule's matter.
    const restrictions = (line: number) => rulesAgainst(file, line).filter((rule) => rule.includes("no-restricted-"));
    const found = expected.map(({ line }, index) => ({ line, rules: restrictions(index + 1) }));
    expect(found).toEqual(expected);
  });

  it("refuse a promise that nobody awaits, in every room", () => {
    expect(rulesAgainst("src/service/lost-promise.ts", 3)).toEqual(["typescript(no-floating-promises)"]);
  });

  it("refuse a circle of imports", () => {
    expect(rulesAgainst("src/core/hen.ts", 1)).toEqual(["import(no-cycle)"]);
  });
});
