#include "limits.h"
#include "operations.h"

namespace nextpatch::binding {
namespace {

void patch_embedding_forward(Call& call) {
  const Argument out = call.tensor("out", 2), tokens = call.vector("tokens"), table = call.tensor("table", 2);
  const double scale = call.number("scale", -1e6, 1e6);
  call.dtype(out, kFloats);
  call.same_dtype(table, out);
  call.dtype(tokens, {DType::i32});
  call.shape(out, {out.dim(0), table.dim(1)});
  for (const Argument& other : {table, tokens}) call.countable(other);
  call.require(tokens.dim(0) % out.dim(0) == 0, tokens,
               "a multiple of the " + std::to_string(out.dim(0)) + " rows of out");
  call.run({out}, [=](Kernels& k) { k.patch_embedding_forward(out.view, tokens.view, table.view, float(scale)); });
}

void patch_embedding_backward(Call& call) {
  const Argument dtable = call.tensor("dtable", 2), dout = call.tensor("dout", 2), tokens = call.vector("tokens");
  const Argument workspace = call.vector("workspace");
  const double scale = call.number("scale", -1e6, 1e6);
  call.dtype(dtable, {DType::f32});
  call.dtype(dout, kFloats);
  call.dtype(tokens, {DType::i32});
  call.dtype(workspace, {DType::i32});
  call.shape(dout, {dout.dim(0), dtable.dim(1)});
  for (const Argument& other : {dtable, tokens}) call.countable(other);
  call.require(tokens.dim(0) % dout.dim(0) == 0, tokens,
               "a multiple of the " + std::to_string(dout.dim(0)) + " rows of dout");
  call.at_least(workspace, [&](const Kernels& kernels) {
    return kernels.patch_embedding_backward_workspace(tokens.dim(0), dtable.dim(0));
  });
  call.run({dtable, workspace}, [=](Kernels& k) {
    k.patch_embedding_backward(dtable.view, dout.view, tokens.view, workspace.view, float(scale));
  });
}

int64_t patch_embedding_backward_workspace(Call& call) {
  const int64_t tokens = call.whole_number("tokens", 1, kMaxElements);
  const int64_t vocabulary = call.whole_number("vocabulary", 1, kMaxElements);
  return call.ask(
      [&](const Kernels& kernels) { return kernels.patch_embedding_backward_workspace(tokens, vocabulary); });
}

void rmsnorm_forward(Call& call) {
  const Argument out = call.tensor("out", 2), sum = call.optional("sum", 2), rstd = call.vector("rstd");
  const Argument x = call.tensor("x", 2), add = call.optional("add", 2), weight = call.vector("weight");
  const double epsilon = call.number("epsilon", 0, 1), weight_offset = call.number("weightOffset", 0, 1);
  call.dtype(out, kFloats);
  for (const Argument& other : {sum, x, add, weight}) call.same_dtype(other, out);
  call.dtype(rstd, {DType::f32});
  for (const Argument& other : {sum, x, add}) call.shape(other, {out.dim(0), out.dim(1)});
  call.shape(rstd, {out.dim(0)});
  call.shape(weight, {out.dim(1)});
  call.require(bool(sum) == bool(add), sum, add ? "a tensor where add is given" : "nothing where add is left out");
  call.in_place(sum, x);
  call.in_place(sum, add);
  call.run({out, sum, rstd}, [=](Kernels& k) {
    k.rmsnorm_forward(out.view, sum.view, rstd.view, x.view, add.view, weight.view, float(epsilon),
                      float(weight_offset));
  });
}

void rmsnorm_residual_forward(Call& call) {
  const Argument out = call.tensor("out", 2), rstd = call.vector("rstd"), residual = call.tensor("residual", 2);
  const Argument x = call.tensor("x", 2), weight = call.vector("weight");
  const double epsilon = call.number("epsilon", 0, 1), weight_offset = call.number("weightOffset", 0, 1);
  call.dtype(out, kFloats);
  for (const Argument& other : {residual, x, weight}) call.same_dtype(other, out);
  call.dtype(rstd, {DType::f32});
  for (const Argument& other : {residual, x}) call.shape(other, {out.dim(0), out.dim(1)});
  call.shape(rstd, {out.dim(0)});
  call.shape(weight, {out.dim(1)});
  call.in_place(out, residual);
  call.run({out, rstd}, [=](Kernels& k) {
    k.rmsnorm_residual_forward(out.view, rstd.view, residual.view, x.view, weight.view, float(epsilon),
                               float(weight_offset));
  });
}

void rmsnorm_backward(Call& call) {
  const Argument dx = call.tensor("dx", 2), dweight = call.vector("dweight"), dout = call.tensor("dout", 2);
  const Argument sum = call.tensor("sum", 2), rstd = call.vector("rstd"), weight = call.vector("weight");
  const Argument workspace = call.vector("workspace");
  const bool accumulate = call.boolean("accumulate");
  const double weight_offset = call.number("weightOffset", 0, 1);
  call.dtype(dx, kFloats);
  for (const Argument& other : {dout, sum, weight}) call.same_dtype(other, dx);
  for (const Argument& other : {dweight, rstd, workspace}) call.dtype(other, {DType::f32});
  for (const Argument& other : {dout, sum}) call.shape(other, {dx.dim(0), dx.dim(1)});
  for (const Argument& other : {dweight, weight}) call.shape(other, {dx.dim(1)});
  call.shape(rstd, {dx.dim(0)});
  call.at_least(workspace,
                [&](const Kernels& kernels) { return kernels.rmsnorm_backward_workspace(dx.dim(0), dx.dim(1)); });
  call.run({dx, dweight, workspace}, [=](Kernels& k) {
    k.rmsnorm_backward(dx.view, dweight.view, dout.view, sum.view, rstd.view, weight.view, workspace.view, accumulate,
                       float(weight_offset));
  });
}

int64_t rmsnorm_backward_workspace(Call& call) {
  const int64_t rows = call.whole_number("rows", 1, kMaxElements), cols = call.whole_number("cols", 1, kMaxElements);
  call.possible("cols", {rows, cols});
  return call.ask([&](const Kernels& kernels) { return kernels.rmsnorm_backward_workspace(rows, cols); });
}

// table [>= positions, D/2, 2] f32.
void check_rotary_table(Call& call, const Argument& table, int64_t positions, int64_t head_dim) {
  call.dtype(table, {DType::f32});
  call.shape(table, {table.dim(0), head_dim / 2, 2});
  call.require(table.dim(0) >= positions, table, "a table of at least " + std::to_string(positions) + " positions");
}

void rotary(Call& call) {
  const Argument x = call.strided("x", 4), table = call.tensor("table", 3);
  const int64_t offset = call.whole_number("offset", 0, kMaxElements);
  const bool inverse = call.boolean("inverse");
  call.dtype(x, kFloats);
  call.require(x.dim(3) % 2 == 0 && x.dim(3) <= kMaxHeadDim, x,
               "an even head dimension up to " + std::to_string(kMaxHeadDim));
  check_rotary_table(call, table, x.dim(1) + offset, x.dim(3));
  call.run({x}, [=](Kernels& k) { k.rotary(x.view, table.view, offset, inverse); });
}

// Checks x[B,T,H,D] and its norm's weight. Returns the rows of a position that are normed, each for itself: its heads,
// or 1 if the weight is for all of them.
int64_t qk_norm_rows(Call& call, const Argument& x, const Argument& weight) {
  const int64_t heads = x.dim(2), dim = x.dim(3);
  call.countable(x);
  call.require(dim % 2 == 0 && dim <= kMaxHeadDim, x, "an even head dimension up to " + std::to_string(kMaxHeadDim));
  call.require(weight.dim(0) == dim || weight.dim(0) == heads * dim, weight,
               std::to_string(dim) + " elements, or " + std::to_string(heads * dim) + " for all heads");
  return weight.dim(0) == dim ? heads : 1;
}

void qk_norm_forward(Call& call) {
  const Argument out = call.strided("out", 4), rstd = call.tensor("rstd", 3), x = call.strided("x", 4);
  const Argument weight = call.vector("weight"), table = call.optional("table", 3);
  const int64_t offset = call.whole_number("offset", 0, kMaxElements);
  const double epsilon = call.number("epsilon", 0, 1), weight_offset = call.number("weightOffset", 0, 1);
  call.dtype(out, kFloats);
  for (const Argument& other : {x, weight}) call.same_dtype(other, out);
  call.dtype(rstd, {DType::f32});
  call.shape(x, {out.dim(0), out.dim(1), out.dim(2), out.dim(3)});
  call.shape(rstd, {x.dim(0), x.dim(1), qk_norm_rows(call, x, weight)});
  if (table) check_rotary_table(call, table, x.dim(1) + offset, x.dim(3));
  call.run({out, rstd}, [=](Kernels& k) {
    k.qk_norm_forward(out.view, rstd.view, x.view, weight.view, table.view, offset, float(epsilon),
                      float(weight_offset));
  });
}

void qk_norm_backward(Call& call) {
  const Argument dx = call.strided("dx", 4), dweight = call.vector("dweight"), dout = call.strided("dout", 4);
  const Argument x = call.strided("x", 4), rstd = call.tensor("rstd", 3), weight = call.vector("weight");
  const Argument workspace = call.vector("workspace");
  const double weight_offset = call.number("weightOffset", 0, 1);
  call.dtype(dx, kFloats);
  for (const Argument& other : {dout, x, weight}) call.same_dtype(other, dx);
  for (const Argument& other : {dweight, rstd, workspace}) call.dtype(other, {DType::f32});
  for (const Argument& other : {dout, x}) call.shape(other, {dx.dim(0), dx.dim(1), dx.dim(2), dx.dim(3)});
  call.shape(rstd, {x.dim(0), x.dim(1), qk_norm_rows(call, x, weight)});
  call.shape(dweight, {weight.dim(0)});
  call.at_least(workspace, [&](const Kernels& kernels) {
    return kernels.qk_norm_backward_workspace(x.dim(0) * x.dim(1), x.dim(2), x.dim(3));
  });
  call.in_place(dx, dout);
  call.run({dx, dweight, workspace}, [=](Kernels& k) {
    k.qk_norm_backward(dx.view, dweight.view, dout.view, x.view, rstd.view, weight.view, workspace.view,
                       float(weight_offset));
  });
}

int64_t qk_norm_backward_workspace(Call& call) {
  const int64_t positions = call.whole_number("positions", 1, kMaxElements);
  const int64_t heads = call.whole_number("heads", 1, kMaxElements);
  const int64_t head_dim = call.whole_number("headDim", 1, kMaxHeadDim);
  call.possible("headDim", {positions, heads, head_dim});
  return call.ask(
      [&](const Kernels& kernels) { return kernels.qk_norm_backward_workspace(positions, heads, head_dim); });
}

void bias_forward(Call& call) {
  const Argument x = call.tensor("x", 2), bias = call.vector("bias");
  call.dtype(x, kFloats);
  call.same_dtype(bias, x);
  call.shape(bias, {x.dim(1)});
  call.run({x}, [=](Kernels& k) { k.bias_forward(x.view, bias.view); });
}

void bias_backward(Call& call) {
  const Argument dbias = call.vector("dbias"), dout = call.tensor("dout", 2), workspace = call.vector("workspace");
  call.dtype(dout, kFloats);
  for (const Argument& other : {dbias, workspace}) call.dtype(other, {DType::f32});
  call.shape(dbias, {dout.dim(1)});
  call.at_least(workspace,
                [&](const Kernels& kernels) { return kernels.bias_backward_workspace(dout.dim(0), dout.dim(1)); });
  call.run({dbias, workspace}, [=](Kernels& k) { k.bias_backward(dbias.view, dout.view, workspace.view); });
}

int64_t bias_backward_workspace(Call& call) {
  const int64_t rows = call.whole_number("rows", 1, kMaxElements), cols = call.whole_number("cols", 1, kMaxElements);
  call.possible("cols", {rows, cols});
  return call.ask([&](const Kernels& kernels) { return kernels.bias_backward_workspace(rows, cols); });
}

// The checks that forward and backward share: q [B,Tq,H,D], k and v [B,Tk,G,D], out, lse.
void check_attention(Call& call, const Argument& out, const Argument& lse, const Argument& q, const Argument& k,
                     const Argument& v) {
  call.dtype(q, kFloats);
  for (const Argument& other : {k, v, out}) call.same_dtype(other, q);
  call.dtype(lse, {DType::f32});
  for (const Argument& other : {q, k}) call.countable(other);
  call.require(is_one_of(HeadDims{}, q.dim(3)), q, "a head dimension of " + list_of(HeadDims{}));
  call.require(k.dim(0) == q.dim(0) && k.dim(3) == q.dim(3), k, "the batch and head dimension of q");
  call.require(q.dim(2) % k.dim(2) == 0, k, "a number of heads that divides the " + std::to_string(q.dim(2)) + " of q");
  call.shape(v, {k.dim(0), k.dim(1), k.dim(2), k.dim(3)});
  call.shape(out, {q.dim(0), q.dim(1), q.dim(2), q.dim(3)});
  call.shape(lse, {q.dim(0), q.dim(2), q.dim(1)});
}

void attention_forward(Call& call) {
  const Argument out = call.strided("out", 4), lse = call.tensor("lse", 3);
  const Argument q = call.strided("q", 4), k = call.strided("k", 4), v = call.strided("v", 4);
  const double scale = call.number("scale", -1e6, 1e6);
  const int64_t window = call.whole_number("window", 0, kMaxElements);
  check_attention(call, out, lse, q, k, v);
  call.run({out, lse}, [=](Kernels& kernels) {
    kernels.attention_forward(out.view, lse.view, q.view, k.view, v.view, float(scale), window);
  });
}

void attention_backward(Call& call) {
  const Argument dq = call.strided("dq", 4), dk = call.strided("dk", 4), dv = call.strided("dv", 4);
  const Argument dout = call.strided("dout", 4);
  const Argument q = call.strided("q", 4), k = call.strided("k", 4), v = call.strided("v", 4);
  const Argument out = call.strided("out", 4), lse = call.tensor("lse", 3), workspace = call.vector("workspace");
  const Argument rotary_table = call.optional("rotaryTable", 3);
  const double scale = call.number("scale", -1e6, 1e6);
  const int64_t window = call.whole_number("window", 0, kMaxElements);
  check_attention(call, out, lse, q, k, v);
  for (const Argument& other : {dq, dk, dv, dout}) call.same_dtype(other, q);
  for (const Argument& other : {dq, dout}) call.shape(other, {q.dim(0), q.dim(1), q.dim(2), q.dim(3)});
  for (const Argument& other : {dk, dv}) call.shape(other, {k.dim(0), k.dim(1), k.dim(2), k.dim(3)});
  call.dtype(workspace, {DType::f32});
  call.at_least(workspace, [&](const Kernels& kernels) {
    return kernels.attention_backward_workspace(q.dim(0), q.dim(1), k.dim(1), q.dim(2), k.dim(2), q.dim(3));
  });
  if (rotary_table) {
    call.require(q.dim(1) <= k.dim(1), rotary_table, "nothing where q has more positions than k");
    check_rotary_table(call, rotary_table, k.dim(1), k.dim(3));
  }
  call.run({dq, dk, dv, workspace}, [=](Kernels& kernels) {
    kernels.attention_backward(dq.view, dk.view, dv.view, dout.view, q.view, k.view, v.view, out.view, lse.view,
                               workspace.view, rotary_table.view, float(scale), window);
  });
}

int64_t attention_backward_workspace(Call& call) {
  const int64_t batch = call.whole_number("batch", 1, kMaxElements),
                queries = call.whole_number("queries", 1, kMaxElements);
  const int64_t keys = call.whole_number("keys", 1, kMaxElements), heads = call.whole_number("heads", 1, kMaxElements);
  const int64_t kv_heads = call.whole_number("kvHeads", 1, kMaxElements);
  const int64_t head_dim = call.whole_number("headDim", 1, kMaxHeadDim);
  for (const auto& [name, count] : {std::pair("batch", batch), std::pair("queries", queries), std::pair("keys", keys)})
    call.require(count <= kMaxCount, name, "at most " + std::to_string(kMaxCount), count);
  call.require(heads % kv_heads == 0, "kvHeads", "a number that divides the " + std::to_string(heads) + " heads",
               kv_heads);
  call.require(is_one_of(HeadDims{}, head_dim), "headDim", list_of(HeadDims{}), head_dim);
  call.possible("queries", {batch, queries, heads, head_dim});
  call.possible("keys", {batch, keys, kv_heads, head_dim});
  return call.ask([&](const Kernels& kernels) {
    return kernels.attention_backward_workspace(batch, queries, keys, heads, kv_heads, head_dim);
  });
}

template <void (Kernels::*Forward)(const View&, const View&)>
void glu_forward(Call& call) {
  const Argument out = call.tensor("out", 2), gate_up = call.tensor("gateUp", 2);
  call.dtype(out, kFloats);
  call.same_dtype(gate_up, out);
  call.shape(gate_up, {out.dim(0), 2 * out.dim(1)});
  call.run({out}, [=](Kernels& k) { (k.*Forward)(out.view, gate_up.view); });
}

template <void (Kernels::*Backward)(const View&, const View&, const View&)>
void glu_backward(Call& call) {
  const Argument dgate_up = call.tensor("dgateUp", 2), dout = call.tensor("dout", 2);
  const Argument gate_up = call.tensor("gateUp", 2);
  call.dtype(dout, kFloats);
  for (const Argument& other : {dgate_up, gate_up}) {
    call.same_dtype(other, dout);
    call.shape(other, {dout.dim(0), 2 * dout.dim(1)});
  }
  call.in_place(dgate_up, gate_up);
  call.run({dgate_up}, [=](Kernels& k) { (k.*Backward)(dgate_up.view, dout.view, gate_up.view); });
}

}  // namespace

const std::vector<Operation>& layers_operations() {
  static const std::vector<Operation> operations{
      {"patchEmbeddingForward", patch_embedding_forward},
      {"patchEmbeddingBackward", patch_embedding_backward},
      {"patchEmbeddingBackwardWorkspace", patch_embedding_backward_workspace},
      {"rmsNormForward", rmsnorm_forward},
      {"rmsNormResidualForward", rmsnorm_residual_forward},
      {"rmsNormBackward", rmsnorm_backward},
      {"rmsNormBackwardWorkspace", rmsnorm_backward_workspace},
      {"rotary", rotary},
      {"qkNormForward", qk_norm_forward},
      {"qkNormBackward", qk_norm_backward},
      {"qkNormBackwardWorkspace", qk_norm_backward_workspace},
      {"biasForward", bias_forward},
      {"biasBackward", bias_backward},
      {"biasBackwardWorkspace", bias_backward_workspace},
      {"attentionForward", attention_forward},
      {"attentionBackward", attention_backward},
      {"attentionBackwardWorkspace", attention_backward_workspace},
      {"swigluForward", glu_forward<&Kernels::swiglu_forward>},
      {"swigluBackward", glu_backward<&Kernels::swiglu_backward>},
      {"gegluForward", glu_forward<&Kernels::geglu_forward>},
      {"gegluBackward", glu_backward<&Kernels::geglu_backward>},
  };
  return operations;
}

}  // namespace nextpatch::binding
