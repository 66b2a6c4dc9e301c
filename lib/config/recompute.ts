/** What a pass computes again in its backward instead of keeping it. */

/**
 * The ways, as a config names them, each of which keeps less and computes more than the one before:
 * `none`; `elementwise`: the outputs of the norms and the product in SwiGLU; `block`: all of a layer except its residual
 * stream.
 */
export const recomputeKinds = ["none", "elementwise", "block"] as const;
export type Recompute = (typeof recomputeKinds)[number];
