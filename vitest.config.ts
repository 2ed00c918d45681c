import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";

// Declared in wrangler.toml, so they are looked for here.
process.env["TASK_ID_SECRETS"] = "test-id-secret";
process.env["LINK_SECRETS"] = "k1:test-link-secret";

/** Loopback only, as in production nothing else would be: a test that reaches for the network fails at once. */
const NO_NETWORK = async (request: Request): Promise<Response> =>
  new Response(`tests have no network: ${new URL(request.url).host}`, { status: 599 });

/** They compare files, and can write one: `npm run openapi`. */
const CONTRACT_FILES = "test/contract/openapi*.test.ts";

export default defineConfig({
  test: {
    silent: "passed-only",
    projects: [
      {
        // Pure decisions, what runs in Node anyway, and adapters over real sockets against emulated upstreams.
        // A property's thousand runs take as long as the machine is busy.
        test: {
          name: "node",
          maxWorkers: 2,
          testTimeout: 60_000,
          include: ["test/{core,cli,client,net,wires}/**/*.test.ts", CONTRACT_FILES],
        },
      },
      {
        // Objects, KV, R2, alarms and HTTP, in the runtime they are deployed to.
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: {
              bindings: { ENVIRONMENT: "local", ADMIN_TOKEN: "test-admin-token-0123" },
              outboundService: NO_NETWORK,
            },
          }),
        ],
        test: {
          name: "workers",
          maxWorkers: 2,
          // A gateway is loaded once a worker, not once a file, which was half of the time. What a test changes it changes back.
          isolate: false,
          testTimeout: 30_000,
          hookTimeout: 30_000,
          expect: { poll: { timeout: 20_000 } },
          include: ["test/{contract,durable,http,providers,service,stores,simulation}/**/*.test.ts"],
          exclude: [CONTRACT_FILES],
          deps: { optimizer: { ssr: { enabled: true, include: ["mediabunny"] } } },
        },
      },
      {
        // Journeys against a running `npm start`. They wait more than they work, so a few go on at once.
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          maxWorkers: 3,
          sequence: { groupOrder: 1 }, // after the others, which want the cores for themselves
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
