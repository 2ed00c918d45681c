// One task. Loads, asks the core, acts, saves - and decides nothing. Its whole state is one value under one key.
import { DurableObject } from "cloudflare:workers";
import type { Refusal } from "../core/errors.ts";
import { fail, ok, type Result } from "../core/result.ts";
import { begin, cancelRefusal, followUp, isCancelled, isFollowedUp, type Effect, type FollowUp } from "../core/task-machine.ts";
import { leftPlace, unclaimedPlace } from "../core/left-place.ts";
import { wakeAt } from "../core/task-schedule.ts";
import { transition, type TaskEvent } from "../core/task-transition.ts";
import { isTerminal, lastAttempt, startTask, TASK_SCHEMA, type Task, type TaskSpec } from "../core/task.ts";
import type { TaskPort } from "../ports.ts";
import { giveBack } from "../service/ask-provider.ts";
import { perform } from "../service/perform.ts";
import { taskAlert, taskLog, taskUsage } from "../service/task-log.ts";
import { within } from "../service/within.ts";
import { upgraded } from "../core/task-upgrade.ts";
import { wire } from "../wire.ts";

const KEY = "task";
/** An id that was given up: it may never start. Kept for longer than any call can be under way. */
interface Tombstone {
  readonly schema: typeof TASK_SCHEMA;
  readonly status: "tombstone";
}
const TOMBSTONE_MS = 24 * 60 * 60_000;
/** After something that should not happen: look again, and keep looking. */
const PARKED_MS = 15 * 60_000;
const SURPRISED_MS = 30_000;
/** The video is copied over itself: as long as the copy from its provider may take. */
const REVOKE_TIMEOUT_MS = 6 * 60_000;

type Stored = Task | Tombstone;

export class VideoTask extends DurableObject<Cloudflare.Env> implements TaskPort {
  async start(spec: TaskSpec): Promise<boolean> {
    const stored = this.#stored();
    if (stored === null) await this.#save(null, startTask(spec), spec.createdAt);
    return stored?.status !== "tombstone";
  }

  async read(): Promise<Task | null> {
    return this.#task();
  }

  async poke(): Promise<boolean> {
    if (this.#task() === null) return false;
    await this.ctx.storage.setAlarm(Date.now());
    return true;
  }

  async abandon(): Promise<boolean> {
    const task = this.#task();
    return task !== null && isOurs(task) && (await this.#tell(task, { type: "abandon" }));
  }

  async cancel(): Promise<Result<"stopped" | "passed_on", Refusal>> {
    const task = this.#task();
    if (task === null || !isOurs(task)) return fail({ kind: "task_not_found" });
    if (isCancelled(task)) {
      // By another call at this moment, perhaps: both are answered alike.
      if (!isTerminal(task)) await this.#lookNow();
      return ok("stopped");
    }
    const provider = task.status === "running" ? wire(this.env).providerOf(lastAttempt(task)) : undefined;
    const passesOn = task.status === "running" && provider?.cancel !== undefined && (provider.canCancel?.(task.operation) ?? true);
    const why = cancelRefusal(task, passesOn);
    if (why !== null) return fail({ kind: "task_not_cancellable", why });
    await this.#tell(task, { type: "cancel", passesOn });
    // What no provider has seen is settled before the answer.
    if (task.status === "queued") await this.#lookNow();
    return ok(this.#task()?.status === "running" ? "passed_on" : "stopped");
  }

  async discard(): Promise<boolean> {
    const task = this.#task();
    if (task !== null && !(isTerminal(task) && isOurs(task))) return false;
    if (task === null) return true;
    await this.#tell(task, { type: "discard" });
    // Gone before the answer.
    await this.#lookNow();
    return true;
  }

  /** Revocations, one after the other: of two at once the older must not have the last word. */
  #revoking: Promise<unknown> = Promise.resolve();

  async revokeLinks(): Promise<Result<null, Refusal>> {
    const revoked = this.#revoking.then(async () => this.#revokeLinks());
    this.#revoking = revoked.catch(() => undefined);
    return revoked;
  }

  async #revokeLinks(): Promise<Result<null, Refusal>> {
    const task = this.#task();
    const after = task && isOurs(task) ? transition(task, { type: "links_revoked" }, Date.now()) : null;
    if (after?.status !== "completed") return fail({ kind: "task_not_found" });
    // Fresh links carry the new revision before the old ones are refused: it is good already, and stays good if we die in between.
    await this.#save(task, after, null);
    await this.ctx.storage.sync();
    const { videos, telemetry } = wire(this.env);
    try {
      const { id, linkRevision } = after;
      const isThere = await within(REVOKE_TIMEOUT_MS, async (signal) => videos.revokeLinks(id, linkRevision, signal));
      return isThere ? ok(null) : fail({ kind: "task_not_found" });
    } catch (error) {
      telemetry.log("warn", { event: "links_not_revoked", task: after.id, error: (error as Error).name });
      return fail({ kind: "links_not_revoked" });
    }
  }

  /** What is due is done before a caller is answered; what fails now, the alarm does. */
  async #lookNow(): Promise<void> {
    // A step under way knows nothing of what was just written down.
    await this.#step;
    await this.alarm();
  }

  /** An event from outside: what it made of the task is acted on at once. False: it changed nothing. */
  async #tell(task: Task, event: TaskEvent): Promise<boolean> {
    const now = Date.now();
    const after = transition(task, event, now) ?? task;
    if (after !== task) await this.#save(task, after, now);
    await this.#giveBack([task, after]);
    return after !== task;
  }

  /** The place at the provider that a task has left. One that could not be given back is free again when its time is over. */
  async #giveBack(states: readonly (Task | null)[]): Promise<void> {
    for (const [index, before] of states.slice(0, -1).entries()) {
      const after = states[index + 1] ?? null;
      const left = before === null || after === null ? null : leftPlace(before, after, Date.now());
      if (before !== null && left !== null) await giveBack(before.id, left, wire(this.env));
    }
  }

  async tombstone(): Promise<boolean> {
    if (this.#task() !== null) return false;
    this.ctx.storage.kv.put<Tombstone>(KEY, { schema: TASK_SCHEMA, status: "tombstone" });
    await this.ctx.storage.setAlarm(Date.now() + TOMBSTONE_MS);
    return true;
  }

  /** A step under way in this very instance. One that is on record but not here died with another. */
  #step: Promise<void> | null = null;

  override async alarm(): Promise<void> {
    this.#step ??= this.#look().finally(() => (this.#step = null));
    return this.#step;
  }

  // Never throws: the platform drops an alarm that threw seven times. Whatever goes wrong is an event, or looked at again later.
  async #look(): Promise<void> {
    try {
      const task = this.#task();
      if (task === null) {
        await this.ctx.storage.deleteAll();
      } else if (!isOurs(task)) {
        // A newer release wrote it and was rolled back: left as it is until that release is back.
        console.error(JSON.stringify({ level: "error", event: "task_parked", task: task.id, schema: task.schema }));
        await this.ctx.storage.setAlarm(Date.now() + PARKED_MS);
      } else {
        await this.#wake(task);
        // While there is a task, there is another look: one row's read, against a task that nobody wakes again.
        if (this.#task() !== null && (await this.ctx.storage.getAlarm()) === null)
          await this.ctx.storage.setAlarm(Date.now() + SURPRISED_MS);
      }
    } catch (error) {
      console.error(
        JSON.stringify({
          level: "error",
          event: "alarm_failed",
          object: this.ctx.id.name ?? null,
          error: String((error as Error).name),
        }),
      );
      await this.ctx.storage.setAlarm(Date.now() + SURPRISED_MS);
    }
  }

  /** One step, and what follows from it at once: the money, where it ended the task, and the news of it. */
  async #wake(task: Task): Promise<void> {
    const house = wire(this.env);
    let current: Task | null = task;
    let armed: number | null = null;
    for (let begun: FollowUp | null = begin(task, Date.now(), house.routes); current !== null && begun !== null;) {
      const startedAt = Date.now();
      await this.#save(current, begun.task, begun.again);
      armed = begun.again ?? armed;
      if (begun.effect.kind === "none") return;
      // The intent must be on disk before money is spent on it.
      await this.ctx.storage.sync();
      const effect: Effect = begun.effect;
      const { event, note } = await perform(effect, house, async (partial) => {
        await this.#apply(partial, armed, effect);
      });
      const after = await this.#apply(event, armed, effect);
      await this.#giveBack([current, begun.task, after]);
      const unclaimed = unclaimedPlace(event, after);
      if (unclaimed !== null) await giveBack(task.id, unclaimed, house);
      house.telemetry.log("info", taskLog(begun.task, begun.effect, event, note, Date.now() - startedAt));
      const alert = taskAlert([current, begun.task, after], note);
      if (alert !== null) house.telemetry.alert(alert.kind, alert.entry);
      if (event.type === "settled" && after !== null) house.telemetry.usage(taskUsage(after));
      current = after;
      begun = after && followUp(after, effect, Date.now(), house.routes);
    }
  }

  /** Reads again first: a cancel may have landed while we were away. */
  async #apply(event: TaskEvent, armedFor: number | null, step: Effect): Promise<Task | null> {
    const current = this.#task();
    if (current === null) return null;
    const now = Date.now();
    const next = transition(current, event, now);
    if (next === null) await this.ctx.storage.deleteAll();
    else if (next !== current)
      await this.#save(current, next, keepsAlarm(next, event, step) ? armedFor : wakeAt(next, now), armedFor);
    return next;
  }

  /** The one place that writes state and arms the alarm; it writes only what changed. `wake` null: the alarm stays as it is. */
  async #save(before: Task | null, after: Task, wake: number | null, armedFor: number | null = null): Promise<void> {
    if (after !== before) this.ctx.storage.kv.put<Task>(KEY, after);
    if (wake !== null && wake !== armedFor) await this.ctx.storage.setAlarm(wake);
  }

  #stored(): Stored | null {
    return this.ctx.storage.kv.get<Stored>(KEY) ?? null;
  }

  #task(): Task | null {
    const stored = this.#stored();
    return stored === null || stored.status === "tombstone" ? null : upgraded(stored);
  }
}

/** A newer release's task is left to it. */
function isOurs(task: Task): boolean {
  return task.schema <= TASK_SCHEMA;
}

/** Half-way through a step, and where the next follows at once, the alarm that was armed before the step is the next look still. */
function keepsAlarm(next: Task, event: TaskEvent, step: Effect): boolean {
  return event.type === "part_stored" || isFollowedUp(next, step);
}
