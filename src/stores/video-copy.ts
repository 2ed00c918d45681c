// Copies a source into R2 so that nothing is visible until it is whole and right, and so that a crash costs one part at most.
import type { Upload } from "../core/task.ts";
import { SourceError } from "../core/upstream-errors.ts";
import type { VideoSource } from "../ports.ts";
import { NO_SUCH_UPLOAD, r2ErrorCode } from "./r2-objects.ts";

export interface Destination {
  readonly bucket: R2Bucket;
  readonly key: string;
  readonly metadata: Pick<R2PutOptions, "httpMetadata" | "customMetadata">;
  readonly maxBytes: number;
  /** Whether a video is there already that may stay in place of ours of `bytes`. One that may not is gone afterwards. */
  yieldsTo(bytes: number): Promise<boolean>;
}

export type Checkpoint = (upload: Upload) => Promise<void>;

/** R2 wants parts of one size, the last excepted, and 5 MiB or more of each. It is also what a copy holds in memory. */
const PART_BYTES = 8 * 2 ** 20;

/** A fetched body left to itself comes in pieces of 4 KiB, which costs twice the CPU time. */
const CHUNK_BYTES = 64 * 1024;

export async function copyVideo(
  to: Destination,
  source: VideoSource,
  upload: Upload | null,
  checkpoint: Checkpoint,
): Promise<void> {
  const reader = readerOf(source.body);
  try {
    if (source.offset + (source.length ?? 0) > to.maxBytes) throw new SourceError("too_large");
    // Completed, but we died before that was on record.
    if (upload !== null && (await to.bucket.head(to.key)) !== null) return;
    const resumed = upload !== null && goesOn(source, upload) ? upload : null;
    if (resumed === null && upload !== null) await abandonUpload(to.bucket, to.key, upload);
    if (resumed === null && source.offset > 0)
      await startOverNextTime(to, checkpoint, "the source did not go on where the upload ended");
    const chunks = chunksOf(reader, source, to.maxBytes);
    if (source.length !== null && resumed === null) await putStream(to, chunks, source.length);
    else await putParts(to, chunks, source, resumed, checkpoint);
  } finally {
    // On success it has ended. Else nobody will read on; a source that is slow to let go must not hold us up.
    void reader.cancel().catch(() => undefined);
  }
}

/** An upload that is not there any more needs no giving up. */
export async function abandonUpload(bucket: R2Bucket, key: string, upload: Upload): Promise<void> {
  try {
    await bucket.resumeMultipartUpload(key, upload.uploadId).abort();
  } catch (error) {
    if (r2ErrorCode(error) !== NO_SUCH_UPLOAD) throw error;
  }
}

function goesOn(source: VideoSource, upload: Upload): boolean {
  const sameBytes = source.validator === null || source.validator === upload.validator || upload.bytes === 0;
  return source.offset === upload.bytes && sameBytes;
}

interface Reader {
  read(): Promise<ReadableStreamReadResult<Uint8Array>>;
  cancel(): Promise<void>;
}

function readerOf(body: ReadableStream<Uint8Array>): Reader {
  try {
    const reader = body.getReader({ mode: "byob" });
    return {
      read: async () => reader.readAtLeast(CHUNK_BYTES, new Uint8Array(CHUNK_BYTES)),
      cancel: async () => reader.cancel(),
    };
  } catch {
    // A stream that is made of chunks already, as all are that JavaScript made.
    return body.getReader();
  }
}

/**
 * The source's chunks, each held back until the next is here, the last until all of them add up: what is cut short or too long is
 * then never complete to R2. A source that breaks off with an error keeps that error, and may be asked again.
 */
async function* chunksOf(reader: Reader, { offset, length }: VideoSource, maxBytes: number): AsyncGenerator<Uint8Array> {
  let held: Uint8Array | null = null;
  let seen = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    seen += value.length;
    if (offset + seen > maxBytes) throw new SourceError("too_large");
    if (length !== null && seen > length) throw new Error("the source sent more than it announced");
    if (held !== null) yield held;
    held = value;
  }
  if (held === null || seen === 0 || seen < (length ?? 0)) throw new SourceError("cut_short");
  yield held;
}

async function putStream(to: Destination, chunks: AsyncIterable<Uint8Array>, length: number): Promise<void> {
  // R2 refuses a stream whose length it cannot know before it starts.
  const { readable, writable } = new FixedLengthStream(length);
  const writer = writable.getWriter();
  try {
    const putting = putOnce(to, readable, length);
    // The source's fault is told by feeding; R2's by putting, which may also be done before it has read everything.
    await Promise.race([putting, feed(writer, chunks).then(() => putting)]);
  } finally {
    void writer.abort().catch(() => undefined);
  }
}

/** Ends early where R2 does not take any more: putting knows why. */
async function feed(writer: WritableStreamDefaultWriter<Uint8Array>, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of chunks) {
    const isTaken = await writer.write(chunk).then(
      () => true,
      () => false,
    );
    if (!isTaken) return;
  }
  await writer.close().catch(() => undefined);
}

async function putOnce(to: Destination, body: ReadableStream | Uint8Array, bytes: number): Promise<void> {
  const stored = await to.bucket.put(to.key, body, { ...to.metadata, onlyIf: { etagDoesNotMatch: "*" } });
  if (stored === null && !(await to.yieldsTo(bytes))) throw new Error("what was in the way is gone now");
}

async function putParts(
  to: Destination,
  chunks: AsyncIterable<Uint8Array>,
  source: VideoSource,
  resumed: Upload | null,
  checkpoint: Checkpoint,
): Promise<void> {
  let upload = resumed?.bytes === 0 ? { ...resumed, validator: source.validator } : resumed;
  try {
    for await (const { bytes, isLast } of partsOf(chunks)) {
      if (upload === null && isLast) return await putOnce(to, bytes, bytes.length);
      // On record before its first part: a crash in between must not leave an upload that nobody knows of.
      upload ??= await beginUpload(to, source.validator, checkpoint);
      const part = await putPart(to, upload, bytes, checkpoint);
      upload = { ...upload, parts: [...upload.parts, part], bytes: upload.bytes + bytes.length };
      // The last part is not put on record: a source asked to go on after its end would refuse, and the part can be sent again.
      if (isLast) return await complete(to, upload);
      await checkpoint(upload);
    }
  } catch (error) {
    // The task will not come back to it. Should this fail too, R2 gives it up after seven days.
    if (error instanceof SourceError && upload !== null) await abandonUpload(to.bucket, to.key, upload).catch(() => undefined);
    throw error;
  }
}

/** Cuts into parts of PART_BYTES. They share one buffer: a part is good until the next is asked for. */
async function* partsOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<{ bytes: Uint8Array; isLast: boolean }> {
  const buffer = new Uint8Array(PART_BYTES);
  let filled = 0;
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.length;) {
      if (filled === PART_BYTES) {
        yield { bytes: buffer, isLast: false };
        filled = 0;
      }
      const piece = chunk.subarray(from, from + PART_BYTES - filled);
      buffer.set(piece, filled);
      filled += piece.length;
      from += piece.length;
    }
  }
  yield { bytes: buffer.subarray(0, filled), isLast: true };
}

async function beginUpload(to: Destination, validator: string | null, checkpoint: Checkpoint): Promise<Upload> {
  const { uploadId } = await to.bucket.createMultipartUpload(to.key, to.metadata);
  const upload: Upload = { uploadId, parts: [], bytes: 0, validator };
  await checkpoint(upload);
  return upload;
}

async function putPart(to: Destination, upload: Upload, bytes: Uint8Array, checkpoint: Checkpoint): Promise<R2UploadedPart> {
  try {
    const { partNumber, etag } = await to.bucket
      .resumeMultipartUpload(to.key, upload.uploadId)
      .uploadPart(upload.parts.length + 1, bytes);
    return { partNumber, etag };
  } catch (error) {
    if (r2ErrorCode(error) !== NO_SUCH_UPLOAD) throw error;
    return startOverNextTime(to, checkpoint, "the upload is gone");
  }
}

/** A source cannot be wound back: an empty upload on record makes the next try ask it for its first byte. */
async function startOverNextTime(to: Destination, checkpoint: Checkpoint, why: string): Promise<never> {
  await beginUpload(to, null, checkpoint);
  throw new Error(why);
}

async function complete(to: Destination, upload: Upload): Promise<void> {
  // R2 completes over whatever is there: unlike a put, it cannot be told not to.
  if (await to.yieldsTo(upload.bytes)) return abandonUpload(to.bucket, to.key, upload);
  try {
    await to.bucket.resumeMultipartUpload(to.key, upload.uploadId).complete([...upload.parts]);
  } catch (error) {
    // Completed already, if only the reply was lost.
    const there = await to.bucket.head(to.key);
    if (there?.size !== upload.bytes) throw error;
  }
}
