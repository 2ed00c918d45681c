// Whether bytes are an MP4 that plays, told from a few ranged reads. Read by mediabunny (MPL-2.0; used as it is, none of it copied).
import { CustomSource, EncodedPacketSink, Input, Logging, LogLevel, MP4, QTFF } from "mediabunny";

export interface VideoFacts {
  readonly durationMs: number;
  readonly width: number;
  readonly height: number;
}

/** The bytes from `start` up to, not including, `end`; 0 <= start < end <= size. */
export type ReadBytes = (start: number, end: number) => Promise<Uint8Array>;

/** The least that is read at once: the index of a short clip and the boxes round it. */
export const READ_AHEAD_BYTES = 64 * 1024;
/** What one verdict may cost. A usual clip takes two reads; a file that leads from box to box for ever is no video. */
const MAX_READS = 128;
const MAX_READ_BYTES = 16 * 2 ** 20;
const MAX_BOXES = 1_000;
/** Those that the parser reads as a whole. */
const INDEX_BOXES = ["moov", "moof", "mfra"];

// It would print what it finds odd in a file, which is a provider's text.
Logging.level = LogLevel.Silent;

/** Null: nobody could play it. Throws only what `read` throws. */
export async function probeMp4(read: ReadBytes, size: number): Promise<VideoFacts | null> {
  const bytes = new BoundedFile(read, size);
  try {
    return (await isWhole(bytes)) ? await readFacts(bytes) : null;
  } catch {
    // A parser's complaint is a verdict; a read that failed is none.
    if (bytes.failure !== null) throw bytes.failure.error;
    return null;
  }
}

async function readFacts(bytes: BoundedFile): Promise<VideoFacts | null> {
  const source = new CustomSource({ getSize: () => bytes.size, read: (start, end) => bytes.read(start, end) });
  using input = new Input({ source, formats: [MP4, QTFF] });
  const track = await input.getPrimaryVideoTrack();
  if (track === null || (await track.getCodec()) === null) return null;
  const pictures = new EncodedPacketSink(track);
  // First its entry in the index, because room is made for its bytes before they are read; then the bytes, which may be missing.
  const entry = await pictures.getPacket(Infinity, { metadataOnly: true });
  if (entry === null || entry.byteLength > MAX_READ_BYTES) return null;
  const last = await pictures.getPacket(Infinity);
  if (last === null) return null;
  const durationMs = Math.round((last.timestamp + last.duration - (await track.getFirstTimestamp())) * 1000);
  const [width, height] = [await track.getDisplayWidth(), await track.getDisplayHeight()];
  return durationMs > 0 && width > 0 && height > 0 ? { durationMs, width, height } : null;
}

/** A file cut short still parses where its index comes first; but then its last box promises more than there is. */
async function isWhole(bytes: BoundedFile): Promise<boolean> {
  let start = 0;
  for (let boxes = 0; start + 16 <= bytes.size && boxes < MAX_BOXES; boxes++) {
    const header = await bytes.read(start, start + 16);
    const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
    const type = String.fromCharCode(...header.subarray(4, 8));
    const short = view.getUint32(0);
    const length = short === 1 ? Number(view.getBigUint64(8)) : short;
    // Zero: as far as the file goes.
    if (length === 0) return true;
    if (length < 8) return false;
    start += length;
    if (INDEX_BOXES.includes(type) && length > MAX_READ_BYTES) return false;
    // Behind the last box of a video there may be anything, which does not read as a box.
    if (start > bytes.size) return type !== "mdat" && !INDEX_BOXES.includes(type);
  }
  return bytes.size > 0;
}

/** A file read in few, larger steps that are remembered, up to a bound. */
class BoundedFile {
  readonly size: number;
  failure: { readonly error: unknown } | null = null;
  readonly #read: ReadBytes;
  readonly #pieces: { readonly start: number; readonly bytes: Uint8Array }[] = [];
  #bytesRead = 0;

  constructor(read: ReadBytes, size: number) {
    this.#read = read;
    this.size = size;
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    const piece = this.#pieces.find((each) => each.start <= start && end <= each.start + each.bytes.length);
    if (piece !== undefined) return piece.bytes.subarray(start - piece.start, end - piece.start);
    const until = Math.min(Math.max(end, start + READ_AHEAD_BYTES), this.size);
    this.#bytesRead += until - start;
    if (this.#pieces.length >= MAX_READS || this.#bytesRead > MAX_READ_BYTES)
      throw new RangeError("too much to read for a verdict");
    const bytes = await this.#read(start, until).catch((error: unknown) => {
      this.failure = { error };
      throw error;
    });
    this.#pieces.push({ start, bytes });
    return bytes.subarray(0, end - start);
  }
}
