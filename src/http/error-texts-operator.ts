// Codes that only the operator API answers.
import type { ErrorText } from "./error-texts.ts";

export const OPERATOR_ERRORS = {
  invalid_admin_token: {
    why: "The Authorization header does not have the gateway's ADMIN_TOKEN.",
    todo: "Send Authorization: Bearer and the token.",
    on: "operator",
  },
  tenant_not_found: {
    why: "There is no tenant of this id.",
    todo: "GET /admin/v1/tenants lists them.",
    on: "operator",
  },
  key_not_found: {
    why: "The tenant has no API key of this id.",
    todo: "GET /admin/v1/tenants/{id}/keys lists its keys.",
    on: "operator",
  },
  orphan_not_found: {
    why: "The tenant has no orphan of this number.",
    todo: "GET /admin/v1/tenants/{id}/orphans lists them.",
    on: "operator",
  },
  provider_not_found: {
    why: "No provider of this name is configured, or it is the simulated one.",
    todo: "GET /admin/v1/providers lists them.",
    on: "operator",
  },
  task_ended: {
    why: "The task has ended, and an end is final.",
    todo: "Retry it as a new task, or leave it.",
    charged: "As the task's end says: completed was charged, failed was not.",
    on: "operator",
  },
} as const satisfies Record<string, ErrorText>;
