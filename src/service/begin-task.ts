// The last step of a create, once its credits are held: what was uploaded is kept and the task started, or the id is given up, so that
// it can never start, and everything given back.
import type { TaskSpec } from "../core/task.ts";
import type { ImageFile, ImageStore, LedgerPort, TaskPort } from "../ports.ts";
import { again } from "./again.ts";
import { keepUploads } from "./reference-images.ts";

export interface BeginHands {
  readonly task: () => TaskPort;
  readonly ledger: () => LedgerPort;
  readonly images: ImageStore;
}

/** False: it never will. The uploads come before the start, because a task may be at its provider's a moment later. */
export async function beginTask(hands: BeginHands, spec: TaskSpec, uploads: readonly ImageFile[]): Promise<boolean> {
  const isKept = await keepUploads(hands.images, spec, uploads);
  return (isKept && (await start(hands, spec))) || !(await gaveUp(hands, spec, uploads.length));
}

async function start({ task }: BeginHands, spec: TaskSpec): Promise<boolean> {
  try {
    return await again(() => task().start(spec));
  } catch {
    return false;
  }
}

/** False: only the reply was lost, and the task did start. Best effort: what fails here the ledger's watchdog and the sweep do later. */
async function gaveUp({ task, ledger, images }: BeginHands, { id, generation }: TaskSpec, uploads: number): Promise<boolean> {
  try {
    if (!(await task().tombstone())) return false;
    // Not sooner: a task that did start needs them.
    if (uploads > 0) await images.remove(id, generation.images.length).catch(() => undefined);
    await ledger().resolve(id, { kind: "withdraw" });
  } catch {
    // The answer is a no in any case.
  }
  return true;
}
