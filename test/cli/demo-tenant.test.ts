import { expect, it } from "vitest";
import { DEMO_LIVE_KEY, DEMO_TENANT, DEMO_TEST_KEY } from "../../src/cli/demo-tenant.ts";
import { parseApiKey } from "../../src/core/api-key.ts";

it("the demo tenant has a key for each mode, the same in every run", () => {
  expect(parseApiKey(DEMO_TEST_KEY)).toMatchObject({ mode: "test", tenant: DEMO_TENANT });
  expect(parseApiKey(DEMO_LIVE_KEY)).toMatchObject({ mode: "live", tenant: DEMO_TENANT });
  expect(DEMO_TEST_KEY).toBe("sk-test-demo00000bCnOzaBmNyZAlMxY9kLwX8jKvW7iJuV6hIt4JKKq8");
});
