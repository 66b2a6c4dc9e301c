/** Which sequences run what they begin with together. */
import { commonLength, type Sequence } from "./sequences.js";

/** Sequences and the number of tokens that run once for all of them; 0 where that does not pay. */
export interface PrefixGroup {
  readonly prefix: number;
  readonly members: readonly Sequence[];
}

/** The most sequences of a group: beyond, a group more costs little. */
const largest = 256;

/** A prefix is cut to a multiple of this, so that groups of equal prefixes can share a pass. */
const quantum = 4;

/** What a pass more costs, in positions: a group must save as many. */
const overhead = 32;

/**
 * Cuts sequences in lexicographic order into runs of neighbours such that the most positions are saved: few-shot items
 * share their examples, choices their context. A prefix ends before the first position with a target.
 */
export function prefixGroups(sequences: readonly Sequence[]): PrefixGroup[] {
  const count = sequences.length;
  // shared[i]: the tokens that sequence i has in common with the one before it.
  const shared = sequences.map(({ tokens }, i) => (i === 0 ? 0 : commonLength(sequences[i - 1]!.tokens, tokens)));
  /** saved[i]: the most that the first i sequences save; size[i], prefix[i]: the group that ends there. */
  const saved = new Float64Array(count + 1);
  const size = new Int32Array(count + 1);
  const prefix = new Int32Array(count + 1);
  for (let end = 1; end <= count; end++) {
    let common = sequences[end - 1]!.first;
    [saved[end], size[end]] = [saved[end - 1]!, 1];
    for (let members = 2; members <= Math.min(end, largest); members++) {
      const start = end - members;
      common = Math.min(common, shared[start + 1]!, sequences[start]!.first);
      const cut = common - (common % quantum);
      if (cut === 0) break;
      const total = saved[start]! + cut * (members - 1) - overhead;
      if (total > saved[end]!) [saved[end], size[end], prefix[end]] = [total, members, cut];
    }
  }
  const groups: PrefixGroup[] = [];
  for (let end = count; end > 0; end -= size[end]!) {
    groups.push({ prefix: prefix[end]!, members: sequences.slice(end - size[end]!, end) });
  }
  return groups.reverse();
}
