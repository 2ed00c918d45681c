// Sources as adapters open them, and an R2 bucket that counts, and fails where it is told to.
import type { VideoSource } from "../../src/ports.ts";

export interface ASource {
  /** Left out: as many as there are. Null: the source does not say. */
  readonly length?: number | null;
  readonly offset?: number;
  readonly validator?: string | null;
  /** How the body ends once its bytes are through. */
  readonly breaksOff?: Error;
  readonly chunkBytes?: number;
}

/** `bytes`: the whole video; the body begins at `offset`. */
export function aSource(
  bytes: Uint8Array,
  shape: ASource = {},
): VideoSource & { readonly taken: { bytes: number; cancelled: boolean } } {
  const { offset = 0, validator = null, chunkBytes = 100_000 } = shape;
  const taken = { bytes: 0, cancelled: false };
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = bytes.slice(offset + taken.bytes, offset + taken.bytes + chunkBytes);
        taken.bytes += chunk.length;
        if (chunk.length > 0) controller.enqueue(chunk);
        else if (shape.breaksOff) controller.error(shape.breaksOff);
        else controller.close();
      },
      cancel() {
        taken.cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { body, length: shape.length === undefined ? bytes.length - offset : shape.length, offset, validator, taken };
}

/** No two parts alike, so that one in the wrong place is seen. */
export function patternedBytes(length: number): Uint8Array {
  const numbers = new Uint32Array(Math.ceil(length / 4));
  for (let index = 0; index < numbers.length; index++) numbers[index] = Math.imul(index + 1, 2_654_435_761);
  return new Uint8Array(numbers.buffer, 0, length);
}

type Operation = "head" | "get" | "put" | "delete" | "list" | "createMultipartUpload" | "uploadPart" | "complete" | "abort";
/** Takes the place of an operation; `go` carries it out. */
type Fault = (go: () => Promise<unknown>) => unknown;

/** A bucket that notes what is asked of it. `faults`: what happens instead. */
export function watchedBucket(
  bucket: R2Bucket,
  faults: Partial<Record<Operation, Fault>> = {},
): { bucket: R2Bucket; asked: Operation[] } {
  const asked: Operation[] = [];
  const watch = <Target extends object>(target: Target): Target =>
    new Proxy(target, {
      get(_, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        return (...given: unknown[]): unknown => {
          if (name === "resumeMultipartUpload") return watch(Reflect.apply(value, target, given) as object);
          const operation = name as Operation;
          asked.push(operation);
          const go = async (): Promise<unknown> => {
            const answer: unknown = await Reflect.apply(value, target, given);
            return operation === "createMultipartUpload" ? watch(answer as object) : answer;
          };
          return faults[operation] ? faults[operation](go) : go();
        };
      },
    });
  return { bucket: watch(bucket), asked };
}
