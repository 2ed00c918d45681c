// Every no a caller can meet, by name. `Refusal` is a request that was not accepted (http/errors.ts gives each a status);
// `FailureCode` is why an accepted task ended without a video.
import type { GenerationField } from "./generation.ts";

export type Refusal =
  | { kind: "missing_api_key" }
  | { kind: "invalid_api_key" }
  | { kind: "api_key_revoked" }
  | { kind: "api_key_expired" }
  | { kind: "invalid_task_token" }
  | { kind: "task_token_expired" }
  | { kind: "account_suspended" }
  | { kind: "insufficient_scope"; needed: string }
  | { kind: "model_not_allowed"; model: string; allowed: readonly string[] }
  | { kind: "unsupported_parameter"; field: GenerationField; model: string; hint: string }
  | { kind: "too_many_images"; model: string; max: number; given: number }
  | { kind: "image_url_not_allowed"; index: number; why: string }
  | { kind: "webhook_url_not_allowed"; why: string }
  | { kind: "webhook_not_found" }
  | { kind: "webhook_disabled" }
  | { kind: "delivery_not_found" }
  | { kind: "limit_reached"; what: string; max: number }
  | { kind: "retention_not_allowed"; max: number }
  | { kind: "route_not_allowed" }
  /** `tags`: those that would do for this request. */
  | { kind: "route_not_there"; tags: readonly string[] }
  | { kind: "insufficient_quota"; needed: number; available: number }
  | { kind: "key_budget_exceeded"; needed: number; available: number }
  | { kind: "max_cost_exceeded"; cost: number; maxCost: number }
  | { kind: "model_unavailable"; model: string; reason: string }
  | { kind: "idempotency_in_progress" }
  | { kind: "idempotency_key_reused" }
  | { kind: "account_read_only" }
  /** `limit` is null where a shield refused: it is approximate and makes no promise. */
  | { kind: "rate_limit_exceeded"; policy: string; limit: number | null; windowSeconds: number; resetSeconds: number }
  | { kind: "concurrency_limit_exceeded"; limit: number; live: number }
  | { kind: "not_found" }
  | { kind: "task_not_found" }
  | { kind: "tenant_not_found" }
  | { kind: "key_not_found" }
  | { kind: "orphan_not_found" }
  | { kind: "provider_not_found" }
  | { kind: "name_not_confirmed"; name: string }
  | { kind: "invalid_ip_range"; index: number }
  | { kind: "adjustment_too_large"; available: number }
  | { kind: "task_ended" }
  /** `isStopping`: its end is a matter of moments. */
  | { kind: "task_not_ended"; isStopping: boolean }
  | { kind: "task_not_cancellable"; why: "ended" | "handing_over" | "copying" | "provider" }
  | { kind: "invalid_cursor" }
  | { kind: "video_not_ready"; why: "under_way" | "failed" }
  | { kind: "links_not_revocable" }
  | { kind: "links_not_revoked" }
  | { kind: "video_expired" }
  | { kind: "invalid_signature" }
  | { kind: "url_expired" }
  | { kind: "link_revoked" }
  | { kind: "range_not_satisfiable"; size: number }
  | { kind: "provider_unavailable"; model: string }
  | { kind: "auth_unavailable" }
  | { kind: "not_started" };

/** Why a task failed, as tenants see it. Providers' own words never get this far. */
export type FailureCode =
  | "content_policy"
  | "image_fetch_failed"
  | "image_invalid"
  | "upstream_rejected"
  | "upstream_ambiguous"
  | "upstream_lost"
  | "upstream_invalid_result"
  | "upstream_asset_expired"
  | "timeout"
  | "queue_timeout"
  | "internal_error"
  | "cancelled";

/** What happened, and what to do about it. Every failed task's hold is released, so each sentence may end on the same promise. */
const FAILURE_SENTENCES: Record<FailureCode, string> = {
  content_policy:
    "The provider's content policy refused this prompt or one of its images. Change the prompt and create a new task.",
  image_fetch_failed: "One of the images could not be fetched. Check that its URL can be read by everybody, and create a new task.",
  image_invalid:
    "One of the images is not a JPEG, PNG or WebP file, or has more than ten megabytes, or all of them have more than fifteen. Change them and create a new task.",
  upstream_rejected: "No provider accepted this request. Change the parameters, or try another model.",
  upstream_ambiguous:
    "The connection to the provider broke while the task was being handed over, and it cannot be told whether it was accepted. It was not sent again, so that nothing is generated twice. Create a new task.",
  upstream_lost: "The provider no longer knows this task. Create a new task.",
  upstream_invalid_result: "The provider delivered something that is not a playable video. Create a new task.",
  upstream_asset_expired: "The finished video disappeared at the provider before it could be copied. Create a new task.",
  timeout: "The video was not finished before the task's deadline. Create a new task.",
  queue_timeout: "No provider had room for this task before its deadline. Try again later.",
  internal_error: "Something went wrong on our side. Create a new task; if it happens again, tell us the task's id.",
  cancelled: "The task was cancelled.",
};

export function describeFailure(code: FailureCode): string {
  return `${FAILURE_SENTENCES[code]} You were not charged.`;
}
