#include "operations.h"

namespace nextpatch::binding {
namespace {

void patch_labels(Call& call) {
  const Argument labels = call.tensor("labels", 2), tokens = call.vector("tokens");
  const int64_t positions = call.whole_number("positions", 1, kMaxElements);
  call.dtype(labels, {DType::i32});
  call.dtype(tokens, {DType::i32});
  call.shape(tokens, {labels.view.size()});
  call.require(labels.dim(0) % positions == 0, labels,
               "a number of rows that is a multiple of the " + std::to_string(positions) + " positions");
  call.run({labels}, [=](Kernels& k) { k.patch_labels(labels.view, tokens.view, positions); });
}

void label_coefficients(Call& call) {
  const Argument coefficients = call.vector("coefficients"), labels = call.tensor("labels", 2);
  const Argument weights = call.vector("weights");
  call.dtype(labels, {DType::i32});
  call.countable(labels);
  for (const Argument& other : {coefficients, weights}) {
    call.dtype(other, {DType::f32});
    call.shape(other, {labels.dim(1)});
  }
  call.run({coefficients}, [=](Kernels& k) { k.label_coefficients(coefficients.view, labels.view, weights.view); });
}

void cross_entropy(Call& call) {
  const Argument losses = call.vector("losses"), logits = call.tensor("logits", 2);
  const Argument labels = call.tensor("labels", 2), coefficients = call.vector("coefficients");
  const bool gradient = call.boolean("gradient");
  call.dtype(logits, kFloats);
  call.dtype(losses, {DType::f32});
  call.dtype(labels, {DType::i32});
  call.dtype(coefficients, {DType::f32});
  call.countable(logits);
  call.require(labels.dim(1) <= kMaxLabels, labels, "at most " + std::to_string(kMaxLabels) + " labels a row");
  call.shape(losses, {logits.dim(0)});
  call.shape(labels, {logits.dim(0), labels.dim(1)});
  call.shape(coefficients, {labels.dim(1)});
  call.run({losses, logits},
           [=](Kernels& k) { k.cross_entropy(losses.view, logits.view, labels.view, coefficients.view, gradient); });
}

void grad_norm(Call& call) {
  const Argument norm = call.vector("norm"), grad = call.vector("grad"), workspace = call.vector("workspace");
  for (const Argument& other : {norm, grad, workspace}) call.dtype(other, {DType::f32});
  call.shape(norm, {1});
  call.at_least(workspace, [&](const Kernels& kernels) { return kernels.grad_norm_workspace(grad.view.size()); });
  call.run({norm, workspace}, [=](Kernels& k) { k.grad_norm(norm.view, grad.view, workspace.view); });
}

int64_t grad_norm_workspace(Call& call) {
  const int64_t size = call.whole_number("size", 1, kMaxElements);
  return call.ask([&](const Kernels& kernels) { return kernels.grad_norm_workspace(size); });
}

void guard_norm(Call& call) {
  const Argument measured = call.vector("measured"), norm = call.vector("norm"), loss = call.vector("loss");
  const Argument limits = call.vector("limits");
  for (const Argument& other : {measured, norm, loss, limits}) call.dtype(other, {DType::f32});
  for (const Argument& other : {measured, norm, loss}) call.shape(other, {1});
  call.shape(limits, {2});
  call.run({measured, norm}, [=](Kernels& k) { k.guard_norm(measured.view, norm.view, loss.view, limits.view); });
}

void adamw(Call& call) {
  const Argument param = call.vector("param"), master = call.vector("master"), m = call.vector("m");
  const Argument v = call.vector("v"), steps = call.vector("steps"), corrections = call.vector("corrections");
  const Argument grad = call.vector("grad"), norm = call.vector("norm");
  const Argument hyper = call.vector("hyper");
  const int64_t decayed = call.whole_number("decayed", 0, param.dim(0));
  call.dtype(param, kFloats);
  call.dtype(steps, {DType::i32});
  for (const Argument& other : {master, m, v, corrections, grad, norm, hyper}) call.dtype(other, {DType::f32});
  for (const Argument& other : {master, m, v, grad}) call.shape(other, {param.dim(0)});
  call.shape(norm, {1});
  call.shape(steps, {1});
  call.shape(corrections, {2});
  call.shape(hyper, {kAdamWHyperSize});
  call.in_place(param, master);
  call.run({param, master, m, v, steps, corrections}, [=](Kernels& k) {
    k.adamw(param.view, master.view, m.view, v.view, steps.view, corrections.view, grad.view, norm.view, hyper.view,
            decayed);
  });
}

// The optimizer's tensors that every operation of Muon reads, and `matrices`, of one shape.
void check_muon(Call& call, const Argument& norm, const Argument& hyper, std::initializer_list<Argument> matrices) {
  const Argument& first = *matrices.begin();
  for (const Argument& other : {norm, hyper}) call.dtype(other, {DType::f32});
  call.shape(norm, {1});
  call.shape(hyper, {kMuonHyperSize});
  call.require(first.dim(0) <= kMaxStack, first, "at most " + std::to_string(kMaxStack) + " rows");
  for (const Argument& other : matrices) call.shape(other, {first.dim(0), first.dim(1)});
}

void muon_momentum(Call& call) {
  const Argument out = call.tensor("out", 2), momentum = call.strided("momentum", 2), grad = call.strided("grad", 2);
  const Argument norm = call.vector("norm"), hyper = call.vector("hyper"), workspace = call.vector("workspace");
  const bool nesterov = call.boolean("nesterov");
  call.dtype(out, kFloats);
  for (const Argument& other : {momentum, grad, workspace}) call.dtype(other, {DType::f32});
  check_muon(call, norm, hyper, {out, momentum, grad});
  call.at_least(workspace,
                [&](const Kernels& kernels) { return kernels.muon_momentum_workspace(out.dim(0), out.dim(1)); });
  call.run({out, momentum, workspace}, [=](Kernels& k) {
    k.muon_momentum(out.view, momentum.view, grad.view, norm.view, hyper.view, workspace.view, nesterov);
  });
}

int64_t muon_momentum_workspace(Call& call) {
  const int64_t matrices = call.whole_number("matrices", 1, kMaxElements);
  const int64_t elements = call.whole_number("elements", 1, kMaxElements);
  call.possible("elements", {matrices, elements});
  return call.ask([&](const Kernels& kernels) { return kernels.muon_momentum_workspace(matrices, elements); });
}

void muon_update(Call& call) {
  const Argument param = call.strided("param", 2), master = call.strided("master", 2);
  const Argument update = call.tensor("update", 2), norm = call.vector("norm"), hyper = call.vector("hyper");
  const double scale = call.number("scale", 0, 1e6);
  call.dtype(param, kFloats);
  call.same_dtype(update, param);
  call.dtype(master, {DType::f32});
  check_muon(call, norm, hyper, {param, master, update});
  call.in_place(param, master);
  call.run({param, master}, [=](Kernels& k) {
    k.muon_update(param.view, master.view, update.view, norm.view, hyper.view, float(scale));
  });
}

void sample(Call& call) {
  const Argument out = call.vector("out"), logits = call.tensor("logits", 2), history = call.optional("history", 2);
  const Argument streams = call.optional("streams", 1), workspace = call.vector("workspace");
  Sampling sampling;
  sampling.repetition_penalty = float(call.number("repetitionPenalty", 1e-6, 1e6));
  sampling.temperature = float(call.number("temperature", 0, 1e6));
  sampling.top_k = call.whole_number("topK", 0, kMaxElements);
  sampling.top_p = float(call.number("topP", 0, 1));
  sampling.min_p = float(call.number("minP", 0, 1));
  sampling.seed = uint64_t(call.whole_number("seed", 0, kMaxWholeNumber));
  sampling.counter = uint64_t(call.whole_number("counter", 0, kMaxWholeNumber));
  for (const Argument& ids : {out, history, streams}) call.dtype(ids, {DType::i32});
  call.dtype(logits, kFloats);
  call.dtype(workspace, {DType::f32});
  for (const Argument& counted : {logits, history}) call.countable(counted);
  call.shape(out, {logits.dim(0)});
  call.shape(history, {logits.dim(0), history.dim(1)});
  call.shape(streams, {logits.dim(0)});
  call.at_least(workspace,
                [&](const Kernels& kernels) { return kernels.sample_workspace(logits.dim(0), logits.dim(1)); });
  call.run({out, workspace},
           [=](Kernels& k) { k.sample(out.view, logits.view, history.view, streams.view, workspace.view, sampling); });
}

int64_t sample_workspace(Call& call) {
  const int64_t rows = call.whole_number("rows", 1, kMaxElements);
  const int64_t vocabulary = call.whole_number("vocabulary", 1, kMaxElements);
  call.possible("vocabulary", {rows, vocabulary});
  return call.ask([&](const Kernels& kernels) { return kernels.sample_workspace(rows, vocabulary); });
}

}  // namespace

const std::vector<Operation>& training_operations() {
  static const std::vector<Operation> operations{
      {"patchLabels", patch_labels},
      {"labelCoefficients", label_coefficients},
      {"crossEntropy", cross_entropy},
      {"gradNorm", grad_norm},
      {"gradNormWorkspace", grad_norm_workspace},
      {"guardNorm", guard_norm},
      {"adamw", adamw},
      {"muonMomentum", muon_momentum},
      {"muonMomentumWorkspace", muon_momentum_workspace},
      {"muonUpdate", muon_update},
      {"sample", sample},
      {"sampleWorkspace", sample_workspace},
  };
  return operations;
}

}  // namespace nextpatch::binding
