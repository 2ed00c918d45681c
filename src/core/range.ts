// The one kind of Range we serve: a single range of bytes (RFC 9110, section 14). All else is ignored, as the RFC allows.

export type ByteRange = { readonly offset: number; readonly length?: number } | { readonly suffix: number };

/** Null: no range, several, or not one we read; the whole is served. */
export function parseRange(header: string | null): ByteRange | null {
  const parts = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? "");
  const [first = "", last = ""] = parts?.slice(1) ?? [];
  if (first === "") return last === "" ? null : { suffix: clamp(last) };
  const offset = clamp(first);
  if (last === "") return { offset };
  const end = clamp(last);
  return end < offset ? null : { offset, length: end - offset + 1 };
}

/** The bytes of `size` that a range means; null: none of them, which is a 416. */
export function resolveRange(range: ByteRange, size: number): { offset: number; length: number } | null {
  if ("suffix" in range) {
    const length = Math.min(range.suffix, size);
    return length === 0 ? null : { offset: size - length, length };
  }
  if (range.offset >= size) return null;
  return { offset: range.offset, length: Math.min(range.length ?? size, size - range.offset) };
}

/** A number of any length, as a whole one small enough that sums of it stay exact. */
function clamp(digits: string): number {
  return Math.min(Number(digits), 2 ** 52);
}
