/** How sequences are put into passes, so that little of a pass is padding. */
import type { ScorerLimits } from "../nn/token_scorer.js";
import type { PrefixGroup } from "./prefix_groups.js";
import type { Sequence } from "./sequences.js";

/** A sequence, without its prefix. */
export interface Member {
  readonly sequence: Sequence;
  /** Its prefix among those of the round; null: it has none. */
  readonly prefix: number | null;
  /** Tokens of the prefix. */
  readonly past: number;
  /** Tokens of its own. */
  readonly length: number;
}

/** Prefixes of one length that run together, and then the sequences behind them; without prefixes, only sequences. */
export interface Round {
  readonly prefixes: readonly Int32Array[];
  readonly passes: readonly (readonly Member[])[];
}

/** The rounds, those with the longest sequences first: memory that does not suffice shows at once. */
export function roundsOf(groups: readonly PrefixGroup[], positionsPerPass: number): Round[] {
  const byPrefix = new Map<number, PrefixGroup[]>();
  for (const group of groups) {
    const same = byPrefix.get(group.prefix);
    if (same === undefined) byPrefix.set(group.prefix, [group]);
    else same.push(group);
  }
  const rounds: Round[] = [];
  for (const [past, all] of byPrefix) {
    const perRound = past === 0 ? all.length : Math.max(1, Math.floor(positionsPerPass / past));
    for (let start = 0; start < all.length; start += perRound) {
      const part = all.slice(start, start + perRound);
      const members = part.flatMap((group, index) =>
        group.members.map((sequence) => {
          return { sequence, prefix: past === 0 ? null : index, past, length: sequence.tokens.length - past };
        }),
      );
      const prefixes = past === 0 ? [] : part.map((group) => group.members[0]!.tokens.subarray(0, past));
      rounds.push({ prefixes, passes: passesOf(members, positionsPerPass) });
    }
  }
  const longest = ({ passes }: Round) => passes[0]![0]!.past + passes[0]![0]!.length;
  return rounds.sort((a, b) => longest(b) - longest(a));
}

/** A pass ends where the next sequence would be padded by more than a tenth. */
const leastFilled = 0.9;

/** But not before it has this share of the positions that it may have. */
const leastShare = 0.1;

/** How many times the positions of a pass its sequences may have with their prefixes: memory for keys and values. */
const joinedPerPass = 8;

/** Cuts sequences into passes, the longest first; each is padded to the first of its pass. */
export function passesOf<M extends Pick<Member, "past" | "length">>(
  members: readonly M[],
  positionsPerPass: number,
): M[][] {
  const sorted = [...members].sort((a, b) => b.length - a.length);
  const passes: M[][] = [];
  let pass: M[] = [];
  for (const member of sorted) {
    const count = pass.length + 1;
    const first = pass[0]?.length ?? 0;
    const isFull = count * first > positionsPerPass || count * (member.past + first) > joinedPerPass * positionsPerPass;
    // A pass that is nearly empty costs more than padding does.
    const isWorthIt = pass.length * first >= leastShare * positionsPerPass;
    const isPadded = isWorthIt && member.length < leastFilled * first;
    if (pass.length === 0 || isFull || isPadded) {
      pass = [member];
      passes.push(pass);
    } else pass.push(member);
  }
  return passes;
}

/** The memory that rounds need. */
export function limitsOf(rounds: readonly Round[]): ScorerLimits {
  const most = { positions: 1, length: 1, targets: 1, prefixes: 1, joined: 1 };
  const grow = (key: keyof typeof most, value: number) => {
    most[key] = Math.max(most[key], value);
  };
  for (const { prefixes, passes } of rounds) {
    const past = prefixes[0]?.length ?? 0;
    grow("prefixes", prefixes.length * past);
    grow("positions", prefixes.length * past);
    for (const pass of passes) {
      const length = pass[0]!.length;
      grow("positions", pass.length * length);
      grow("length", past + length);
      grow(
        "targets",
        pass.reduce((sum, { sequence }) => sum + sequence.targets.length, 0),
      );
      if (past > 0) grow("joined", pass.length * (past + length));
    }
  }
  return most;
}
