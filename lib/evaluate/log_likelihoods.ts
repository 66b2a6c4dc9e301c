import { forwardPositions } from "../nn/forward_pass.js";
import type { Llama } from "../nn/llama.js";
import { TokenScorer } from "../nn/token_scorer.js";
import { limitsOf, type Member, roundsOf } from "./passes.js";
import { prefixGroups } from "./prefix_groups.js";
import type { LogLikelihood, Request } from "./request.js";
import { sequencesOf } from "./sequences.js";

/**
 * Answers requests, each at least one token of context and one of continuation.
 * @param onProgress called with the number of requests' tokens that were scored, and of all
 */
export async function logLikelihoods(
  model: Llama,
  requests: readonly Request[],
  onProgress?: (done: number, of: number) => void,
): Promise<LogLikelihood[]> {
  const sums = new Float64Array(requests.length);
  const greedy = requests.map(() => true);
  if (requests.length === 0) return [];
  const rounds = roundsOf(prefixGroups(sequencesOf(requests)), forwardPositions[model.device.backend]);
  const total = requests.reduce((sum, { scored }) => sum + scored, 0);
  const all = new Float32Array(total);
  let end = 0;
  const each = requests.map(({ scored }) => {
    end += scored;
    return all.subarray(end - scored, end);
  });
  const seen = new Uint32Array(requests.length);
  let done = 0;
  const scorer = new TokenScorer(model, limitsOf(rounds));
  try {
    for (const { prefixes, passes } of rounds) {
      if (prefixes.length > 0) scorer.keepPrefixes(prefixes);
      for (const pass of passes) {
        const scores = await scorer.score(pass.map(ownTokens));
        const targets = pass.flatMap(({ sequence }) => sequence.targets);
        for (const [index, { request }] of targets.entries()) {
          sums[request]! += scores.logLikelihoods[index]!;
          // A request's targets are in the order of its tokens.
          each[request]![seen[request]!++] = scores.logLikelihoods[index]!;
          greedy[request] &&= scores.greedy[index]!;
        }
        done += targets.length;
        onProgress?.(done, total);
      }
    }
  } finally {
    await model.device.synchronize();
    scorer.dispose();
  }
  return Array.from(sums, (sum, index) => ({ sum, greedy: greedy[index]!, each: each[index]! }));
}

/** A member as its pass runs it: behind its prefix. */
function ownTokens({ sequence, prefix, past }: Member) {
  const targets = sequence.targets.map(({ position, token }) => ({ position: position - past, token }));
  return { tokens: sequence.tokens.subarray(past), targets, prefix };
}
