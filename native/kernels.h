// THE list of operations. Every backend implements all of them. The binding checks shapes, dtypes and contiguity
// before a call, so a kernel only checks the values of ids.
//
// Conventions
//   dt       the compute dtype, f32 or bf16, the same for all arguments marked dt in one call.
//   f32, i32 exactly that dtype. Sums, statistics and losses are accumulated in f32 (or wider).
//   B, T     sequences, positions per sequence (a position is one patch; with K = 1, one token); N = B*T.
//   K        tokens per patch. V vocabulary. C hidden size. I intermediate size.
//   H, G, D  query heads, key/value heads (H % G == 0), head dimension (one of HeadDims in core/limits.h).
// Tensors are contiguous and row-major unless marked "strided": then only the last dimension is contiguous.
// Outputs come first. "+=" accumulates into the output; everything else overwrites it. Outputs may not alias
// inputs unless noted. Workspaces keep nothing between calls; *_workspace() returns their size in elements.
//
// No kernel reads or writes out of bounds for a token id outside [0, V): the id counts as a row of zeros, or
// as an ignored label, and the next wait on the device reports an Error of kind range that names it.
//
// A bf16 result below the smallest normal number (2^-126) may be 0, except in `copy`.
//
// Every operation gives the same bits for the same inputs on the same device and thread count.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/view.h"

namespace nextpatch {

// The hyperparameters that AdamW reads from device memory, so that a captured step can be replayed with new values.
// The f32 tensor `hyper` has its elements in this order.
struct AdamWHyper {
  float learning_rate;
  float beta1;
  float beta2;
  float epsilon;
  float weight_decay;  // decoupled: param -= learning_rate * weight_decay * param
  float beta1_rest;    // exact beta1 minus its f32 rounding: the bias correction uses beta1 + beta1_rest
  float beta2_rest;
  float max_norm;  // gradients are scaled by min(1, max_norm / norm); 0: no clipping
};
constexpr int kAdamWHyperSize = sizeof(AdamWHyper) / sizeof(float);

// The same for Muon.
struct MuonHyper {
  float learning_rate;
  float momentum;
  float weight_decay;  // as AdamW's
  float max_norm;      // as AdamW's
};
constexpr int kMuonHyperSize = sizeof(MuonHyper) / sizeof(float);

// The least norm that Muon divides a matrix by, as in torch.optim.Muon.
constexpr float kMuonEpsilon = 1e-7f;

// The most keys that a query of attention sees, of `keys`; window 0: all.
constexpr int64_t seen_at_most(int64_t window, int64_t keys) { return window == 0 ? keys : std::min(window, keys); }

// How to draw the next token from a row of logits. The fields apply in this order, as in transformers.
struct Sampling {
  float repetition_penalty;  // what positive logits of repeated ids are divided by, and the others multiplied; 1: as is
  float temperature;         // 0: the largest logit (the lowest id if several are equal)
  int64_t top_k;             // only the top_k largest logits; 0: all
  float top_p;               // only the fewest largest logits whose probabilities sum to at least top_p; 1: all
  float min_p;               // only logits whose probability is at least min_p times the largest one; 0: all
  uint64_t seed;
  uint64_t counter;  // position of the draw in a random stream of `seed`

  // The least (logit - largest) / temperature that min_p keeps: the probabilities' ratio is exp of it.
  float least_score() const { return std::log(min_p); }
};

class Kernels {
 public:
  virtual ~Kernels() = default;

  // ---- Filling, copying, initialising -------------------------------------------------------------

  // out = value. Any dtype (i32: the value rounded towards zero).
  virtual void fill(const View& out, float value) = 0;

  // out = in, converted. Same shape, both strided; f32 <-> bf16 (round to nearest even), or equal dtypes.
  virtual void copy(const View& out, const View& in) = 0;

  // out[i] ~ N(0, std^2), f32: Box-Muller on Philox4x32-10 with key seed, element i from counter
  // (offset + i) / 4, so that the values do not depend on how the work is split.
  virtual void normal(const View& out, float std, uint64_t seed, uint64_t offset) = 0;

  // table[T, D/2, 2] f32 = scale * (cos, sin)(t * inverse_frequencies[i]); inverse_frequencies[D/2] f32.
  virtual void rotary_table(const View& table, const View& inverse_frequencies, float scale) = 0;

  // out[1] i32 = the index of the first element of in[n], f32 or bf16, that is NaN or infinite; n, which is below 2^31,
  // if none is.
  virtual void first_non_finite(const View& out, const View& in) = 0;

  // ---- Matrix product -----------------------------------------------------------------------------

  // c[M,N] (+)= op(a)[M,K] op(b)[K,N]; op transposes if the flag is set. a, b dt; c dt or f32.
  virtual void matmul(const View& c, const View& a, const View& b, bool transpose_a, bool transpose_b,
                      bool accumulate) = 0;

  // c[L,M,N] = alpha * op(a)[L,M,K] op(b)[L,K,N] + beta * add[L,M,N] for each of L matrices: one sum in f32, rounded
  // once. All dt. Without `add`, only the product; add may be a or b.
  virtual void batched_matmul(const View& c, const View& a, const View& b, const View& add, bool transpose_a,
                              bool transpose_b, float alpha, float beta) = 0;

  // ---- Patch embedding ----------------------------------------------------------------------------

  // out[N,C] dt: the mean over K of table[V,C] dt at tokens[N*K] i32, times scale, summed in f32, rounded once.
  virtual void patch_embedding_forward(const View& out, const View& tokens, const View& table, float scale) = 0;

  // dtable[V,C] f32 += the gradient: every token adds its patch's row of dout[N,C] dt, times scale / K, to its row.
  // Occurrences of a token are summed in the order of their positions. workspace i32.
  virtual void patch_embedding_backward(const View& dtable, const View& dout, const View& tokens, const View& workspace,
                                        float scale) = 0;
  virtual int64_t patch_embedding_backward_workspace(int64_t tokens, int64_t vocabulary) const = 0;

  // ---- RMSNorm, the residual add fused ------------------------------------------------------------

  // sum[N,C] = x[N,C] + add[N,C]; out[N,C] = sum * rstd * (weight[C] + weight_offset); rstd[N] f32 =
  // 1/sqrt(mean(sum^2)+eps). All dt except rstd. Without `add`, `sum` is absent too and x takes its place. sum may
  // alias x or add. The statistics are computed from the rounded sum. weight_offset is 0, or 1 where a model keeps its
  // weights as their distance from 1.
  virtual void rmsnorm_forward(const View& out, const View& sum, const View& rstd, const View& x, const View& add,
                               const View& weight, float epsilon, float weight_offset) = 0;

  // A norm behind a branch: out[N,C] = residual[N,C] + x[N,C] * rstd * (weight[C] + weight_offset), rounded once. out
  // may be residual. rstd as above.
  virtual void rmsnorm_residual_forward(const View& out, const View& rstd, const View& residual, const View& x,
                                        const View& weight, float epsilon, float weight_offset) = 0;

  // dx[N,C] dt = (accumulate ? dx : 0) + gradient of sum; dweight[C] f32 += gradient of weight.
  // dout, sum [N,C] dt; rstd[N] f32; workspace f32.
  virtual void rmsnorm_backward(const View& dx, const View& dweight, const View& dout, const View& sum,
                                const View& rstd, const View& weight, const View& workspace, bool accumulate,
                                float weight_offset) = 0;
  virtual int64_t rmsnorm_backward_workspace(int64_t rows, int64_t cols) const = 0;

  // ---- Rotary embedding ---------------------------------------------------------------------------

  // x[B,T,H,D] dt, strided, in place: position t + offset of every head is rotated in the half-split
  // layout (element i with i + D/2) by table[>= T+offset, D/2, 2] f32; `inverse` rotates the other way,
  // which gives the gradient. A table times a scale multiplies by it, both ways.
  virtual void rotary(const View& x, const View& table, int64_t offset, bool inverse) = 0;

  // ---- Norm of queries and keys, the rotary embedding fused ----------------------------------------

  // x[B,T,H,D] dt, strided: out = the RMSNorm of x, then turned as by `rotary` with table[>= T+offset, D/2, 2] f32,
  // unless the table is absent. weight dt [D]: each head is normed for itself, and rstd is f32 [B,T,H]; or weight [H*D]
  // (H > 1): all heads of a position as one row, rstd [B,T,1]. weight_offset as in rmsnorm_forward. out[B,T,H,D] dt,
  // strided, is rounded once.
  virtual void qk_norm_forward(const View& out, const View& rstd, const View& x, const View& weight, const View& table,
                               int64_t offset, float epsilon, float weight_offset) = 0;

  // dx[B,T,H,D] dt = the gradient of x, and dweight[D or H*D] f32 += that of the weight, from dout[B,T,H,D] dt, the
  // gradient of the normed rows before they are turned. All strided; dx may be dout. workspace f32.
  virtual void qk_norm_backward(const View& dx, const View& dweight, const View& dout, const View& x, const View& rstd,
                                const View& weight, const View& workspace, float weight_offset) = 0;
  virtual int64_t qk_norm_backward_workspace(int64_t positions, int64_t heads, int64_t head_dim) const = 0;

  // ---- Bias ---------------------------------------------------------------------------------------

  // x[N,C] dt += bias[C] dt, in place.
  virtual void bias_forward(const View& x, const View& bias) = 0;

  // dbias[C] f32 += the sum over the rows of dout[N,C] dt, in a fixed order. workspace f32.
  virtual void bias_backward(const View& dbias, const View& dout, const View& workspace) = 0;
  virtual int64_t bias_backward_workspace(int64_t rows, int64_t cols) const = 0;

  // ---- Attention ----------------------------------------------------------------------------------

  // Causal, grouped-query: out[B,Tq,H,D] = softmax(scale * q k^T + mask) v, where query head h reads key
  // head h / (H/G). The mask is aligned at the end: query i is at position p = i + Tk - Tq and sees keys j <= p
  // (Tq == Tk is the usual triangle; Tq = 1 is a decoding step), with window > 0 only the last `window` of
  // them, p - window < j <= p. A query that sees no key gives zeros and lse = -inf. What the mask hides from
  // all queries of a tile takes no time.
  // q[B,Tq,H,D], k, v[B,Tk,G,D], out: dt, strided. lse[B,H,Tq] f32: log of the sum of exponentials.
  virtual void attention_forward(const View& out, const View& lse, const View& q, const View& k, const View& v,
                                 float scale, int64_t window) = 0;

  // dq, dk, dv, all dt and strided like q, k, v, from dout (like out). workspace f32. If rotary_table[>= Tk, D/2, 2]
  // f32 is given, dq and dk are then rotated back by it: the gradients of what `rotary` turned into q and k. Tq <= Tk,
  // and query i is at position i + Tk - Tq.
  virtual void attention_backward(const View& dq, const View& dk, const View& dv, const View& dout, const View& q,
                                  const View& k, const View& v, const View& out, const View& lse, const View& workspace,
                                  const View& rotary_table, float scale, int64_t window) = 0;
  virtual int64_t attention_backward_workspace(int64_t batch, int64_t queries, int64_t keys, int64_t heads,
                                               int64_t kv_heads, int64_t head_dim) const = 0;

  // ---- SwiGLU -------------------------------------------------------------------------------------

  // out[N,I] = silu(gate) * up, both dt, where gate_up[N,2I] = (gate | up).
  virtual void swiglu_forward(const View& out, const View& gate_up) = 0;

  // dgate_up[N,2I] from dout[N,I] and gate_up[N,2I]; dgate_up may be gate_up itself.
  virtual void swiglu_backward(const View& dgate_up, const View& dout, const View& gate_up) = 0;

  // The same with GELU in its tanh form in place of silu: gelu(x) = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))).
  virtual void geglu_forward(const View& out, const View& gate_up) = 0;
  virtual void geglu_backward(const View& dgate_up, const View& dout, const View& gate_up) = 0;

  // ---- K-way next-patch cross-entropy -------------------------------------------------------------

  // labels[N,K] i32 from tokens[N*K] i32: for each patch, the tokens of the next patch in its sequence of T
  // patches; -100 (ignored) for the last patch of a sequence.
  virtual void patch_labels(const View& labels, const View& tokens, int64_t positions) = 0;

  // coefficients[K] f32: weights[K] f32 divided by the number of labels[N,K] at that offset that are not
  // ignored (0 if there are none). The loss is then a plain sum over all labels.
  virtual void label_coefficients(const View& coefficients, const View& labels, const View& weights) = 0;

  // losses[R] f32 = sum_j coefficients[j] * (logsumexp(logits[r]) - logits[r, labels[r,j]]) over the
  // labels[R,K] that are not -100. Then, if `gradient`, logits[R,V] dt are overwritten with the gradient of
  // the loss (softmax * sum of the coefficients - the coefficient of each label at its id, added up if a
  // label repeats; rounded once to dt). One pass over memory for both.
  virtual void cross_entropy(const View& losses, const View& logits, const View& labels, const View& coefficients,
                             bool gradient) = 0;

  // out[1] f32 = (accumulate ? out : 0) + sum of in[n] f32, in a fixed order.
  virtual void sum(const View& out, const View& in, bool accumulate) = 0;

  // ---- Optimizer ----------------------------------------------------------------------------------

  // norm[1] f32 = sqrt(sum of squares of grad[n] f32), in a fixed order. workspace f32.
  virtual void grad_norm(const View& norm, const View& grad, const View& workspace) = 0;
  virtual int64_t grad_norm_workspace(int64_t size) const = 0;

  // measured[1] f32 = norm[1] f32. Then, if loss[1] f32 is above limits[0] f32, or norm above limits[1], norm = NaN: an
  // optimizer changes nothing.
  virtual void guard_norm(const View& measured, const View& norm, const View& loss, const View& limits) = 0;

  // One AdamW step over all parameters at once: master, m, v, grad [n] f32; param[n] dt receives the
  // rounded master (f32: param is master itself). hyper f32 as AdamWHyper. Clips by norm[1] f32 (of the
  // unclipped gradient). Weight decay applies to the first `decayed` elements. steps[1] i32, the number of
  // updates so far, increases by one; corrections[2] f32 = 1 - beta^steps for each beta, computed in f64; m and v
  // are divided by them. If norm is not finite, nothing changes.
  virtual void adamw(const View& param, const View& master, const View& m, const View& v, const View& steps,
                     const View& corrections, const View& grad, const View& norm, const View& hyper,
                     int64_t decayed) = 0;

  // What a Muon step orthogonalizes, of L matrices of E elements each: with g the clipped grad[L,E] f32, strided,
  //   momentum[L,E] f32, strided = mu * momentum + (1 - mu) * g
  //   out[L,E] dt = u / max(the root of the sum of squares of u's row, kMuonEpsilon), u = the new momentum or, if
  //   `nesterov`, mu * momentum + (1 - mu) * g once more
  // u is rounded to dt before the norm is taken, as in torch.optim.Muon, and the quotient again. hyper f32 as
  // MuonHyper. norm[1] f32 is that of the whole unclipped gradient: if it is not finite, nothing changes. workspace
  // f32.
  virtual void muon_momentum(const View& out, const View& momentum, const View& grad, const View& norm,
                             const View& hyper, const View& workspace, bool nesterov) = 0;
  virtual int64_t muon_momentum_workspace(int64_t matrices, int64_t elements) const = 0;

  // master[L,E] f32 = master * (1 - learning_rate * weight_decay) - learning_rate * scale * update[L,E] dt;
  // param[L,E] dt receives the rounded master (f32: param is master itself). master, param strided; hyper, norm as
  // above.
  virtual void muon_update(const View& param, const View& master, const View& update, const View& norm,
                           const View& hyper, float scale) = 0;

  // ---- Sampling -----------------------------------------------------------------------------------

  // out[B] i32 drawn from logits[B,V] dt. history[B,H] i32, optional: the ids that occurred, in any order, any number
  // of times; ids outside the vocabulary are passed over. streams[B] i32, optional: the random stream of each row,
  // else row b's is b. workspace f32.
  virtual void sample(const View& out, const View& logits, const View& history, const View& streams,
                      const View& workspace, const Sampling& sampling) = 0;
  virtual int64_t sample_workspace(int64_t rows, int64_t vocabulary) const = 0;
};

}  // namespace nextpatch
