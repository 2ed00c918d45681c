// Emulated providers that are brought to a moment, killed there, and perhaps come back; and what the gateway's log tells of its tasks.
import type { Server } from "../server.ts";
import { startSeedStyleEmulator, type SeedStyleEmulator } from "./seed-style.ts";

/** One that serves every model, to the tasks that choose it by its name. */
export interface Mortal extends SeedStyleEmulator {
  readonly name: string;
  readonly credential: string;
  /** From now on these calls go so: see seed-style.ts. */
  does(script: Readonly<Record<string, string>>): void;
  /** Nothing of that any more. */
  behaves(): void;
  /** How often each prompt was asked for. */
  readonly asked: () => ReadonlyMap<string, number>;
}

/** More than anybody asks. */
const OFTEN = 500;

/** `file`: what its jobs turn out to be, instead of our clip. */
export async function startMortal(name: string, { file }: { file?: string } = {}): Promise<Mortal> {
  const script: Record<string, readonly string[]> = {};
  const credential = `sk-secret-of-${name}`;
  const options = { script, apiKey: credential, pollsBeforeDone: 0, ...(file !== undefined && { file }) };
  const emulator = await startSeedStyleEmulator(options as object);
  return {
    ...emulator,
    name,
    credential,
    does(calls) {
      for (const [call, instruction] of Object.entries(calls)) {
        script[call] = Array.from({ length: OFTEN }, () => instruction);
      }
    },
    behaves() {
      for (const call of Object.keys(script)) delete script[call];
    },
    asked() {
      const counts = new Map<string, number>();
      for (const { call, body } of emulator.requests()) {
        const { prompt = "" } = (body ?? {}) as { prompt?: string };
        if (call === "create") counts.set(prompt, (counts.get(prompt) ?? 0) + 1);
      }
      return counts;
    },
  };
}

/** A step of a task, as the gateway logs it. */
export interface Step {
  readonly task: string;
  readonly step: string;
  readonly outcome: string;
  readonly note: string | null;
}

/** Every step that the gateways have logged so far, one after the other in the same place. */
export function stepReader(): (server: Server) => readonly Step[] {
  const steps: Step[] = [];
  let now: Server | null = null;
  let read = 0;
  return (server) => {
    if (now !== null && now !== server) take(now);
    take(server);
    return steps;
  };

  function take(server: Server): void {
    if (now !== server) read = 0;
    now = server;
    const log = server.output();
    const end = log.lastIndexOf("\n") + 1;
    for (const line of log.slice(read, end).split("\n")) {
      const json = line.includes('"event":"task_step"') ? /\{.*\}/.exec(line)?.[0] : undefined;
      if (json !== undefined) steps.push(JSON.parse(json) as Step);
    }
    read = end;
  }
}
