// A provider says that something happened. It is believed in one thing only: that it may be worth looking now.
import { openAttempt, sealAttempt } from "../core/callback-token.ts";
import { attemptNumber, lastAttempt } from "../core/task.ts";
import type { Callback, CallbackUrlOf, ProviderOf, TaskOf } from "../ports.ts";
import { within } from "./within.ts";

export interface CallbackDeps {
  readonly taskOf: TaskOf;
  readonly providerOf: ProviderOf;
  /** The task ids' own: the first seals, all open. */
  readonly secrets: readonly string[];
  /** The origin that the gateway is known by; null: the one that the task was created at. */
  readonly publicUrl: string | null;
}

export interface Callbacks {
  urlOf: CallbackUrlOf;
  /** False: we never gave out this token. A genuine hint wakes the task; any other changes nothing, and is answered the same. */
  receive(token: string, callback: Callback): Promise<boolean>;
}

export const CALLBACK_PATH = "/v1/callbacks";
const VERIFY_TIMEOUT_MS = 5_000;

export function callbacks({ taskOf, providerOf, secrets, publicUrl }: CallbackDeps): Callbacks {
  return {
    async urlOf({ id: task, tenant, mode, base }, attempt) {
      const origin = publicUrl ?? base;
      const secret = secrets[0];
      if (secret === undefined || !/^https?:\/\//.test(origin)) return null;
      return `${origin}${CALLBACK_PATH}/${await sealAttempt(secret, { tenant, mode, task, attempt })}`;
    },

    async receive(token, callback) {
      const ref = await openAttempt(secrets, token);
      if (ref === null) return false;
      const stub = () => taskOf(ref.tenant, ref.task);
      const task = await stub().read();
      // Late, or about an attempt that another has taken over from: nobody waits for it.
      if (task?.status !== "running" || attemptNumber(task) !== ref.attempt) return true;
      const provider = providerOf(lastAttempt(task));
      const { operation } = task;
      const isGenuine =
        provider?.isGenuine === undefined ||
        (await within(VERIFY_TIMEOUT_MS, async (signal) => provider.isGenuine?.(callback, operation, signal)).catch(() => false));
      if (isGenuine) await stub().poke();
      return true;
    },
  };
}
