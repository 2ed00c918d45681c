/** A sentence to go on with, for a word that is none of `names`. They are in lower case, and capitals are the commonest slip. */
export function didYouMean(word: string, names: readonly string[]): string {
  const meant = nearest(word.toLowerCase(), names);
  return meant === null ? "" : ` Did you mean ${meant}?`;
}

/** The one of `names` that was probably meant, or null where none is near: at most a third of its letters may be wrong. */
export function nearest(word: string, names: readonly string[]): string | null {
  const [best] = names
    .map((name) => ({ name, distance: editDistance(word.slice(0, 64), name) }))
    .filter(({ name, distance }) => distance <= Math.floor(name.length / 3))
    .sort((a, b) => a.distance - b.distance);
  return best?.name ?? null;
}

/** How many letters to add, drop, change, or swap with the next one (optimal string alignment). */
function editDistance(from: string, to: string): number {
  let before: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const change = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      const swap = isSwap ? (before[j - 2] ?? 0) + 1 : Infinity;
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, change, swap));
    }
    [before, row] = [row, next];
  }
  return row.at(-1) ?? 0;
}
