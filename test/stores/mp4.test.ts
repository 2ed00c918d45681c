import { describe, expect, it } from "vitest";
import upright from "../../src/providers/clips/clip-9x16.mp4";
import wide from "../../src/providers/clips/clip-16x9.mp4";
import { probeMp4, type VideoFacts } from "../../src/stores/mp4.ts";
import audioOnly from "../fixtures/mp4/audio-only.mp4";
import fragmented from "../fixtures/mp4/fragmented.mp4";
import indexLast from "../fixtures/mp4/index-last.mp4";

const GIB = 2 ** 30;

interface Piece {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** A file of zeros as far as its pieces do not say otherwise, so that it may be larger than memory. */
class SparseFile {
  readonly size: number;
  reads = 0;
  bytesRead = 0;
  readonly #pieces: readonly Piece[];

  constructor(size: number, pieces: readonly Piece[]) {
    this.size = size;
    this.#pieces = pieces;
  }

  readonly read = async (start: number, end: number): Promise<Uint8Array> => {
    expect(start).toBeGreaterThanOrEqual(0);
    expect(end).toBeGreaterThan(start);
    expect(end).toBeLessThanOrEqual(this.size);
    this.reads += 1;
    this.bytesRead += end - start;
    const read = new Uint8Array(end - start);
    for (const { at, bytes } of this.#pieces) {
      const [from, to] = [Math.max(at, start), Math.min(at + bytes.length, end)];
      if (from < to) read.set(bytes.subarray(from - at, to - at), from - start);
    }
    return read;
  };
}

function fileOf(bytes: Uint8Array): SparseFile {
  return new SparseFile(bytes.length, [{ at: 0, bytes }]);
}

async function probe(file: SparseFile): Promise<VideoFacts | null> {
  return probeMp4(file.read, file.size);
}

function text(words: string): Uint8Array {
  return new TextEncoder().encode(words);
}

/** The head of a box; `length` counts it. */
function box(type: string, length: number): Uint8Array {
  const header = new Uint8Array(16);
  const view = new DataView(header.buffer);
  const isLong = length >= 2 ** 32;
  view.setUint32(0, isLong ? 1 : length);
  header.set(text(type), 4);
  if (isLong) view.setBigUint64(8, BigInt(length));
  return isLong ? header : header.subarray(0, 8);
}

/** Where a box's type stands; its length stands four bytes before. */
function findBox(bytes: Uint8Array, type: string): number {
  const latin1 = new TextDecoder("latin1").decode(bytes);
  const found = latin1.lastIndexOf(type);
  expect(found).toBeGreaterThan(0);
  return found;
}

describe("what plays", () => {
  it.each([
    ["wide", wide, { durationMs: 8_000, width: 1280, height: 720 }, 2],
    ["upright", upright, { durationMs: 8_000, width: 720, height: 1280 }, 2],
    ["small, its index last", indexLast, { durationMs: 2_000, width: 64, height: 48 }, 1],
    ["small, in fragments", fragmented, { durationMs: 2_000, width: 64, height: 48 }, 1],
  ])("reads length and size of a clip that is %s", async (_, clip, facts, reads) => {
    const file = fileOf(new Uint8Array(clip));
    expect(await probe(file)).toEqual(facts);
    expect(file.reads).toBe(reads);
  });

  it("finds an index behind 4 GiB in two reads", async () => {
    const clip = new Uint8Array(indexLast);
    const moov = findBox(clip, "moov") - 4;
    const gap = 4 * GIB;
    const file = new SparseFile(clip.length + gap, [
      { at: 0, bytes: clip.subarray(0, moov) },
      { at: moov, bytes: box("free", gap) },
      { at: moov + gap, bytes: clip.subarray(moov) },
    ]);
    expect(await probe(file)).toEqual({ durationMs: 2_000, width: 64, height: 48 });
    expect(file.reads).toBe(2);
    expect(file.bytesRead).toBeLessThan(128 * 1024);
  });

  it("does not mind what somebody left behind the last box", async () => {
    const clip = new Uint8Array(wide);
    const left = text("made by somebody who signs what they make");
    const file = new SparseFile(clip.length + left.length, [
      { at: 0, bytes: clip },
      { at: clip.length, bytes: left },
    ]);
    expect(await probe(file)).not.toBeNull();
  });
});

describe("what does not play", () => {
  it.each([
    ["nothing", new Uint8Array()],
    ["five bytes", new Uint8Array(5)],
    ["zeros", new Uint8Array(100_000)],
    ["a web page", text(`<!DOCTYPE html><html><title>Gone</title>${"<p>sorry</p>".repeat(500)}`)],
    ["JSON", text(JSON.stringify({ error: { message: "expired" } }))],
    ["noise", crypto.getRandomValues(new Uint8Array(50_000))],
    [
      "noise that says it is one",
      new Uint8Array([...box("ftyp", 24), ...text("isom"), ...crypto.getRandomValues(new Uint8Array(5_000))]),
    ],
    ["sound alone", new Uint8Array(audioOnly)],
  ])("refuses %s", async (_, bytes) => {
    expect(await probe(fileOf(bytes))).toBeNull();
  });

  it.each([1, 2, 100, 5_000, 70_000, 139_000, 139_956, 140_000, 146_000, 146_800])(
    "refuses a clip whose index comes first when its last %i bytes are missing",
    async (missing) => {
      const clip = new Uint8Array(wide);
      expect(await probe(fileOf(clip.subarray(0, clip.length - missing)))).toBeNull();
    },
  );

  it("refuses a clip whose index comes last wherever it is cut", async () => {
    const clip = new Uint8Array(indexLast);
    for (let size = 0; size < clip.length; size += 97) expect(await probe(fileOf(clip.subarray(0, size)))).toBeNull();
  });

  it("refuses a fragment that is cut", async () => {
    const clip = new Uint8Array(fragmented);
    const lastFragment = findBox(clip, "moof") - 4;
    for (const size of [lastFragment + 60, lastFragment + 300]) expect(await probe(fileOf(clip.subarray(0, size)))).toBeNull();
  });

  it("refuses a clip whose box of pictures ends with the file, though its index speaks of more", async () => {
    const clip = new Uint8Array(wide).slice(0, 100_000);
    const mdat = findBox(clip.subarray(0, 10_000), "mdat") - 4;
    new DataView(clip.buffer).setUint32(mdat, clip.length - mdat);
    expect(await probe(fileOf(clip))).toBeNull();
  });

  it("refuses a clip that lasts no time", async () => {
    const clip = new Uint8Array(indexLast.slice(0));
    // Its type, version and flags, count of entries, count of pictures; then the time that each is shown.
    new DataView(clip.buffer).setUint32(findBox(clip, "stts") + 16, 0);
    expect(await probe(fileOf(clip))).toBeNull();
  });

  it("refuses pictures in a codec that nobody knows", async () => {
    const clip = new Uint8Array(indexLast.slice(0));
    clip.set(text("zzzz"), findBox(clip, "avc1"));
    expect(await probe(fileOf(clip))).toBeNull();
  });
});

describe("what must stay bounded", () => {
  it("gives up on a file that leads from box to box", async () => {
    const step = 2 ** 20;
    const boxes = Array.from({ length: 2 * 1024 }, (_, index) => ({
      at: index * step,
      bytes: box(index === 0 ? "ftyp" : "free", step),
    }));
    const file = new SparseFile(2 * GIB, boxes);
    expect(await probe(file)).toBeNull();
    expect(file.reads).toBeLessThanOrEqual(128);
  });

  it.each<[string, Piece[]]>([
    [
      "an index",
      [
        { at: 0, bytes: box("ftyp", 16) },
        { at: 16, bytes: box("moov", GIB) },
      ],
    ],
    ["small boxes", [{ at: 0, bytes: new Uint8Array(Array.from({ length: 50_000 }, () => [...box("free", 8)]).flat()) }]],
  ])("does not read a gigabyte of %s", async (_, pieces) => {
    const file = new SparseFile(GIB + 16, pieces);
    expect(await probe(file)).toBeNull();
    expect(file.bytesRead).toBeLessThanOrEqual(16 * 2 ** 20);
  });

  it("does not make room for a picture of a gigabyte", async () => {
    const clip = new Uint8Array(indexLast.slice(0));
    const sizes = findBox(clip, "stsz");
    const count = new DataView(clip.buffer).getUint32(sizes + 12);
    // Its type, version and flags, the size of all, their count; then the size of each.
    new DataView(clip.buffer).setUint32(sizes + 12 + 4 * count, GIB);
    const [before, moov] = [findBox(clip, "mdat") - 4, findBox(clip, "moov") - 4];
    const gap = 2 * GIB;
    const file = new SparseFile(clip.length + gap, [
      { at: 0, bytes: clip.subarray(0, moov) },
      { at: before, bytes: box("mdat", moov - before) },
      { at: moov, bytes: box("free", gap) },
      { at: moov + gap, bytes: clip.subarray(moov) },
    ]);
    expect(await probe(file)).toBeNull();
    expect(file.reads).toBe(2);
  });

  it.each([1, 2])("passes on the failure of read %i, which says nothing of the file", async (failing) => {
    const file = fileOf(new Uint8Array(wide));
    const read = async (start: number, end: number): Promise<Uint8Array> => {
      const bytes = await file.read(start, end);
      if (file.reads === failing) throw new Error("R2 is away");
      return bytes;
    };
    await expect(probeMp4(read, file.size)).rejects.toThrow("R2 is away");
  });
});
