/** The time for a call was up. Whether it did anything is not known. */
export class TimeoutError extends Error {
  override readonly name = "TimeoutError";
}

/**
 * Gives `work` so many milliseconds, then aborts its signal and stops waiting, whether it listens or not.
 * Its timer ends with the work: `AbortSignal.timeout` would go on, and keep a Durable Object in memory, billed, until it fires.
 */
export async function within<Value>(ms: number, work: (signal: AbortSignal) => Promise<Value>): Promise<Value> {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new TimeoutError();
      controller.abort(error);
      reject(error);
    }, ms);
  });
  try {
    return await Promise.race([work(controller.signal), late]);
  } finally {
    if (timer !== undefined) clearTimeout(timer);
  }
}
