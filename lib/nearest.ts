/** Finds the key that a misspelled key was meant to be. */

/**
 * Edits (insert, delete, replace, swap two neighbours) that turn `a` into `b`: the optimal string alignment distance.
 */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(replaced, last[j]! + 1, row[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(row[j]!, beforeLast[j - 2]! + 1);
      }
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length]!;
}

/**
 * The known key nearest to `key`, ignoring letter case, `_` and `-` (`weight_decay` is `weightDecay`); undefined if
 * none is within `limit` edits. A prefix of three letters or more (`warmup` for `warmupSteps`) counts as one edit.
 */
export function nearestKey(
  key: string,
  known: readonly string[],
  limit = Math.max(2, Math.floor(key.length / 2)),
): string | undefined {
  const plain = (text: string) => text.toLowerCase().replace(/[_-]/g, "");
  const ranked = known
    .map((candidate) => ({ candidate, distance: distance(plain(key), plain(candidate), limit) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= limit ? best.candidate : undefined;
}

function distance(key: string, candidate: string, limit: number): number {
  if (key.length - candidate.length > limit) return Number.POSITIVE_INFINITY; // so many are too many; counting takes long
  const shortened = key.length >= 3 && candidate.length > key.length && candidate.startsWith(key);
  return shortened ? 1 : editDistance(key, candidate);
}
