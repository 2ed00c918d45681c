// The tenant that every local run has, and no deployed gateway does. Its keys, and the operator's token, are no secret: they are
// the same on every machine.
import { makeApiKey } from "../core/api-key.ts";

export const DEMO_TENANT = "demo0000";

/** Fixed bytes in place of random ones. */
const BYTES = Uint8Array.from({ length: 64 }, (_, index) => (index * 37) % 248);

export const DEMO_TEST_KEY = makeApiKey("test", DEMO_TENANT, BYTES).text;
export const DEMO_LIVE_KEY = makeApiKey("live", DEMO_TENANT, BYTES).text;

/** The operator API's, where an env file gives no other. Only a run that listens on loopback takes it. */
export const LOCAL_ADMIN_TOKEN = "local-runs-only-admin";
