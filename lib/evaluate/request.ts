/** A log-likelihood that is asked for, as token ids. */
export interface Request {
  /** Context and continuation, at most one token more than the model's context. */
  readonly tokens: Int32Array;
  /** How many of the last tokens are the continuation. */
  readonly scored: number;
}

/** The answer to a request. */
export interface LogLikelihood {
  /** The sum over the continuation's tokens, in nats. */
  readonly sum: number;
  /** Whether each of them is the likeliest after those before it. */
  readonly greedy: boolean;
  /** Of each of them. */
  readonly each: Float32Array;
}

/** Tokens, and how likely a model takes each to be after those before it. */
export interface TokenScores {
  readonly ids: Int32Array;
  /** In nats, one a token. */
  readonly logLikelihoods: Float32Array;
}

/** The scores of the tokens of a request's continuation. */
export function tokenScores({ tokens, scored }: Request, { each }: LogLikelihood): TokenScores {
  return { ids: tokens.slice(tokens.length - scored), logLikelihoods: each.slice() };
}

/** Left truncation: what the model sees of a request, with the continuation's last token, which it only predicts. */
export function request(context: ArrayLike<number>, continuation: ArrayLike<number>, length: number): Request {
  const all = new Int32Array(context.length + continuation.length);
  all.set(context);
  all.set(continuation, context.length);
  return { tokens: all.subarray(Math.max(0, all.length - length - 1)), scored: continuation.length };
}
