// Codes for requests that were understood: keys, money, limits, the tasks and links of a tenant, and what is our own fault.
import type { ErrorText } from "./error-texts.ts";

const ONLY_THE_FIRST = "This reply: no. The first request with the key is charged as any other, once.";
const VIDEO_ONLY = "Fetching is free. The video itself was charged when it was completed.";

export const ACCOUNT_ERRORS = {
  missing_api_key: {
    why: "The request has no Authorization header.",
    todo: "Send Authorization: Bearer and your API key. A key in the URL is not read.",
    on: "key",
  },
  invalid_api_key: {
    why: "The header is not of the form Bearer sk-…, or no such key exists.",
    todo: "Check that the key was copied whole, and that the base URL is that of the gateway that made it.",
    on: "key",
  },
  api_key_revoked: {
    why: "The key was revoked, or replaced by another one whose overlap has ended.",
    todo: "Use another key.",
    on: "key",
  },
  api_key_expired: {
    why: "The key was made for a limited time, and that is over.",
    todo: "Use another key.",
    on: "key",
  },
  invalid_task_token: {
    why: "The task token was not made by this gateway, or for another task than the id names, or the request names no task.",
    todo: "Use it whole, with the id that it was made for, to query that task or to stream its events; nothing else takes a task token.",
    on: "watch",
  },
  task_token_expired: {
    why: "Task tokens are good for a short time, and that of this one is over.",
    todo: "Have your own backend make a new one with the API key: POST /v1/video/token.",
    on: "watch",
  },
  insufficient_quota: {
    why: "The video costs more credits than are available. Credits held for tasks under way do not count as available.",
    todo: "Wait for tasks under way to end, take a cheaper model, or have credits added. GET /v1/account shows all balances.",
    on: "create",
  },
  key_budget_exceeded: {
    why: "The API key has a budget for each month, and this video would exceed it.",
    todo: "Use another key, wait for the next month, or have the budget raised.",
    on: "create",
  },
  account_suspended: {
    why: "The operator of this service has suspended the account.",
    todo: "Ask the operator. Repeating the request does not help.",
    on: "key",
  },
  insufficient_scope: {
    why: "The API key may not do this, as a key that is only for reading may not create.",
    todo: "Use a key with the scope that the message names.",
    on: "key",
  },
  route_not_allowed: {
    why: "The create says which providers it wants, and your plan does not let you choose.",
    todo: "Leave route out, or have your plan changed.",
    on: "generation",
  },
  model_not_allowed: {
    why: "The model exists, but your plan or this API key does not include it.",
    todo: "Choose one of the models in the message.",
    on: "generation",
  },
  invalid_signature: {
    why: "The link was not signed by this gateway, was changed on its way, or was taken back.",
    todo: "Query the task for a fresh link, and use it whole, with everything after the question mark.",
    charged: VIDEO_ONLY,
    on: "file",
  },
  url_expired: {
    why: "Links are good for a limited time, and that of this one is over.",
    todo: "Query the task: every reply has a fresh link. Store the task's id rather than the link.",
    charged: VIDEO_ONLY,
    on: "file",
  },
  task_not_found: {
    why: "There is no task of this id, or not for this API key: other tenants' tasks, live tasks asked for with a test key, and tasks past their retention look the same.",
    todo: "Use the id exactly as create gave it, and a key of the same account and mode.",
    on: "task",
  },
  link_revoked: {
    why: "The tenant whose video it is has revoked the links that were out.",
    todo: "Query the task for a fresh link; whoever was only given the link asks whom it came from.",
    charged: VIDEO_ONLY,
    on: "file",
  },
  video_expired: {
    why: "The video was deleted, because its retention time has ended or because you asked for it.",
    todo: "Create it again, and download it in time: the account's plan says how many days it is kept.",
    charged: VIDEO_ONLY,
    on: ["file", "content"],
  },
  task_not_cancellable: {
    why: "The task has ended, or is at a point where it cannot be stopped any more; the message says which.",
    todo: "Nothing: it goes on to its end by itself. Query it as usual. With a Retry-After, ask again: it is just being handed over.",
    charged: "Cancelling is free. The task is charged if it completes, as if it had not been cancelled.",
    on: "cancel",
  },
  video_not_ready: {
    why: "Only a completed task has a video to link to or to download; the message says whether this one may still be.",
    todo: "Query the task until it is completed. A failed one has no video: create a new task.",
    on: ["link", "content"],
  },
  links_not_revocable: {
    why: "The operator has links lead straight to the storage, past this gateway, and such links work until they expire.",
    todo: "Ask for links with a short life. Deleting the task removes the video itself, for every link.",
    on: "link",
  },
  task_not_ended: {
    why: "Only a task that has ended can be deleted.",
    todo: "Cancel it first, or wait for its end. With a Retry-After, ask again: it is just being stopped.",
    on: "delete",
  },
  webhook_not_found: {
    why: "There is no webhook endpoint of this id in your account.",
    todo: "GET /v1/webhooks lists them.",
    on: "webhook",
  },
  webhook_disabled: {
    why: "The webhook endpoint is disabled: by you, or because it did not answer for days.",
    todo: "Enable it, then ask again.",
    on: "webhook_send",
  },
  delivery_not_found: {
    why: "There is no such delivery; old ones are forgotten.",
    todo: "GET /v1/webhooks/deliveries lists those that are kept. The task itself can still be queried.",
    on: "delivery",
  },
  limit_reached: {
    why: "There are already as many of these as one account may have.",
    todo: "Delete one that you do not need.",
    on: "webhook_add",
  },
  idempotency_in_progress: {
    why: "Another request with the same Idempotency-Key has not been answered yet.",
    todo: "Repeat it after the seconds in Retry-After; you then get the first request's task.",
    charged: ONLY_THE_FIRST,
    on: "create",
  },
  idempotency_key_reused: {
    why: "The Idempotency-Key was used in the last 24 hours with another body.",
    todo: "Use a new key for a new request. If it was meant as a repetition, send exactly the same body.",
    charged: ONLY_THE_FIRST,
    on: "create",
  },
  rate_limit_exceeded: {
    why: "There were more requests than the plan allows in a minute, or far more than any client needs.",
    todo: "Wait for the seconds in Retry-After, then repeat. Poll less often, or use a webhook.",
    on: "key",
  },
  concurrency_limit_exceeded: {
    why: "As many tasks are under way as the plan allows at a time.",
    todo: "Wait for one to end, then repeat. Retry-After is a suggestion.",
    on: "create",
  },
  internal_error: {
    why: "Something went wrong on our side that we did not foresee.",
    todo: "Repeat the request; a create with the same Idempotency-Key, so that there are not two. If it happens again, tell the operator the x-request-id.",
    charged:
      "Reading is free. A create may have been accepted before the error, and is then charged when its video completes; the Idempotency-Key makes sure that it is one.",
    on: "everywhere",
  },
  model_unavailable: {
    why: "The operator has switched the model off for the time being; the message says why.",
    todo: "Choose another model, or repeat the request later.",
    on: "generation",
  },
  provider_unavailable: {
    why: "No provider is configured for this model.",
    todo: "Choose another model. With a test key every model works.",
    on: "create",
  },
  auth_unavailable: {
    why: "The key could not be looked up. Nobody is let in unseen, so the request was not carried out.",
    todo: "Repeat the request after the seconds in Retry-After.",
    on: "key",
  },
  account_read_only: {
    why: "The account's books did not add up, and no credits move until the operator has looked. Tasks under way go on, and reading works.",
    todo: "Ask the operator, who has been alerted.",
    on: "create",
  },
  service_unavailable: {
    why: "The request was right, but could not be carried out at the moment.",
    todo: "Repeat the request after the seconds in Retry-After.",
    charged: "No. Credits that were held for the task are given back.",
    on: ["create", "link"],
  },
} as const satisfies Record<string, ErrorText>;
