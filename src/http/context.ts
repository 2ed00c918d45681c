// What handlers are given: the use cases, and what the middleware found out about a request.
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Shield, Telemetry } from "../ports.ts";
import type { Accounts } from "../service/accounts.ts";
import type { Operator } from "../service/operator/operator.ts";
import type { Authenticate, Caller } from "../service/authenticate.ts";
import type { ReadContent } from "../service/content.ts";
import type { Callbacks } from "../service/callbacks.ts";
import type { Files } from "../service/files.ts";
import type { VideoLinks } from "../service/links.ts";
import type { CurrentModels } from "../service/models.ts";
import type { ReferenceImages } from "../service/reference-images.ts";
import type { TaskTokens } from "../service/task-tokens.ts";
import type { Videos } from "../service/videos.ts";
import type { Watch } from "../service/watch.ts";
import type { Webhooks } from "../service/webhooks.ts";

export interface Services {
  readonly models: () => Promise<CurrentModels>;
  readonly videos: Videos;
  readonly files: Files;
  readonly referenceImages: Pick<ReferenceImages, "open">;
  readonly videoLinks: VideoLinks;
  readonly content: ReadContent;
  readonly authenticate: Authenticate;
  readonly taskTokens: TaskTokens;
  readonly watch: Watch;
  /** Counts ids that are not the caller's own; a client that guesses runs into it. */
  readonly missShield: Shield;
  readonly telemetry: Telemetry;
  readonly callbacks: Callbacks;
  readonly accounts: Accounts;
  readonly webhooks: Webhooks;
  readonly operator: Operator;
  /** Null: there is no operator API. */
  readonly adminToken: string | null;
  /** The origin that links carry; null: the request's own. */
  readonly publicUrl: string | null;
}

export interface AppEnv {
  Variables: {
    requestId: string;
    /** Set by `authenticated`; read only behind it. */
    caller: Caller;
    /** Whether the same request would still be let in; set with `caller`, for replies that take their time. */
    isStillAllowed: () => Promise<boolean>;
    /** Who acts; set at the operator API's door, read only behind it. */
    actor: string;
    /** The task a request is about, for its log line. */
    taskId: string;
    /** Of the error that was answered, for its log line. */
    errorCode: string;
  };
}

export type App = OpenAPIHono<AppEnv>;
