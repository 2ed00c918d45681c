// One task. Loads, asks the core, acts, saves - and decides nothing. Its whole state is one value under one key.
import { DurableObject } from "cloudflare:workers";
import { begin, type Begun, transition, wakeAt, type TaskEvent } from "../core/task-machine.ts";
import { isTerminal, startTask, TASK_SCHEMA, type Task, type TaskSpec } from "../core/task.ts";
import type { TaskPort } from "../ports.ts";
import { perform } from "../service/perform.ts";
import { taskAlert, taskLog, taskUsage } from "../service/task-log.ts";
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

  async discard(): Promise<boolean> {
    const task = this.#task();
    if (task !== null && !(isTerminal(task) && isOurs(task))) return false;
    if (task !== null) await this.#tell(task, { type: "discard" });
    return true;
  }

  /** An event from outside: what it made of the task is acted on at once. False: it changed nothing. */
  async #tell(task: Task, event: TaskEvent): Promise<boolean> {
    const now = Date.now();
    const after = transition(task, event, now) ?? task;
    if (after !== task) await this.#save(task, after, now);
    return after !== task;
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

  /** One step, and where that brought the task to its end, its settlement too: the money follows at once. */
  async #wake(task: Task): Promise<void> {
    const house = wire(this.env);
    for (let current: Task | null = task; current !== null;) {
      const startedAt = Date.now();
      const begun: Begun = begin(current, startedAt, house.routes);
      await this.#save(current, begun.task, begun.again);
      if (begun.effect.kind === "none") return;
      // The intent must be on disk before money is spent on it.
      await this.ctx.storage.sync();
      const { event, note } = await perform(begun.effect, house, async (partial) => {
        await this.#apply(partial, begun.again);
      });
      const after = await this.#apply(event, begun.again);
      house.telemetry.log("info", taskLog(begun.task, begun.effect, event, note, Date.now() - startedAt));
      const alert = taskAlert([current, begun.task, after], note);
      if (alert !== null) house.telemetry.alert(alert.kind, alert.entry);
      if (event.type === "settled" && after !== null) house.telemetry.usage(taskUsage(after));
      const ended = after?.status === "settling" && begun.effect.kind !== "settle";
      current = ended ? after : null;
    }
  }

  /** Reads again first: a cancel may have landed while we were away. */
  async #apply(event: TaskEvent, armedFor: number): Promise<Task | null> {
    const current = this.#task();
    if (current === null) return null;
    const now = Date.now();
    const next = transition(current, event, now);
    if (next === null) await this.ctx.storage.deleteAll();
    else if (next !== current) await this.#save(current, next, keepsAlarm(next, event) ? armedFor : wakeAt(next, now), armedFor);
    return next;
  }

  /** The one place that writes state and arms the alarm; it writes only what changed. */
  async #save(before: Task | null, after: Task, wake: number, armedFor: number | null = null): Promise<void> {
    if (after !== before) this.ctx.storage.kv.put<Task>(KEY, after);
    if (wake !== armedFor) await this.ctx.storage.setAlarm(wake);
  }

  #stored(): Stored | null {
    return this.ctx.storage.kv.get<Stored>(KEY) ?? null;
  }

  #task(): Task | null {
    const stored = this.#stored();
    return stored === null || stored.status === "tombstone" ? null : stored;
  }
}

/** A newer release's task is left to it. */
function isOurs(task: Task): boolean {
  return task.schema <= TASK_SCHEMA;
}

/** Half-way through a step, and on the way to settle at once, the alarm that was armed before the step is the next look still. */
function keepsAlarm(next: Task, event: TaskEvent): boolean {
  return event.type === "part_stored" || next.status === "settling";
}
