#include "crescendo/nn/ghost_batch_norm.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <numeric>
#include <optional>

#include "crescendo/base/error.h"
#include "crescendo/device/profile_scope.h"
#include "crescendo/nn/ghost_norm_autograd.h"

namespace crescendo::nn {
namespace {

// A run of ghosts of one size. A micro-batch has at most two, since sizes differ by at most one and the larger come
// first.
struct EqualGhosts {
  int64_t size;
  int64_t count;
};

std::vector<EqualGhosts> RunsOfEqualSize(const schedule::GhostSizes& ghosts) {
  std::vector<EqualGhosts> runs;
  for (const int64_t size : ghosts) {
    if (runs.empty() || runs.back().size != size) runs.push_back({size, 0});
    ++runs.back().count;
  }
  return runs;
}

// r <- (1-a)^K r + a sum_k (1-a)^(K-1-k) s_k.  statistics: [K, F], one row per ghost, in order.
void Advance(const at::Tensor& running, const at::Tensor& statistics, double momentum) {
  const int64_t count = statistics.size(0);
  at::Tensor shares;
  if (statistics.is_cpu()) {
    std::vector<double> values;
    for (int64_t k = 0; k < count; ++k) values.push_back(momentum * std::pow(1 - momentum, count - 1 - k));
    shares = at::tensor(values, statistics.options());
  } else {  // made there: nothing to wait for, and run.gpu_graphs can record it
    const at::Tensor later = at::arange(count - 1, -1, -1, statistics.options().dtype(at::kDouble));
    shares = at::pow(1 - momentum, later).mul_(momentum).to(statistics.scalar_type());
  }
  const double kept = std::pow(1 - momentum, count);
  running.mul_(kept).add_(at::mv(statistics.t(), shares));
}

void CheckGhosts(const at::Tensor& inputs, const schedule::GhostSizes& ghosts) {
  CRESCENDO_ASSERT(!ghosts.empty() && std::accumulate(ghosts.begin(), ghosts.end(), int64_t{0}) == inputs.size(0),
                   "the ghosts make up the micro-batch");
}

}  // namespace

GhostBatchNorm::GhostBatchNorm(Model& model, const std::string& name, int64_t channels,
                               const config::ModelOptions& options)
    : name_(model.AddLayer(name, LayerKind::kBatchNorm)),
      tensors_{model.AddParameter(name + ".weight", at::ones({channels}, at::kFloat)),
               model.AddParameter(name + ".bias", at::zeros({channels}, at::kFloat)),
               model.AddBuffer(name + ".running_mean", at::zeros({channels}, at::kFloat)),
               model.AddBuffer(name + ".running_var", at::ones({channels}, at::kFloat))},
      momentum_(options.norm_momentum),
      epsilon_(options.norm_epsilon) {}

at::Tensor GhostBatchNorm::ThenRelu(const at::Tensor& inputs, const schedule::GhostSizes* ghosts) const {
  device::ProfileScope scope(name_, inputs);
  if (ghosts != nullptr) {
    CheckGhosts(inputs, *ghosts);
    if (UsesGhostNormKernels(inputs, *ghosts)) {
      return scope.Give(GhostNormRelu(inputs, *ghosts, tensors_, {.momentum = momentum_, .epsilon = epsilon_}));
    }
    if (CanNormaliseAndRectify(inputs)) {
      return scope.Give(NormaliseAndRectify(inputs, *ghosts, tensors_, momentum_, epsilon_));
    }
  }
  return scope.Give(Normalise(inputs, ghosts).relu_());
}

NormOfSum GhostBatchNorm::SumThenRelu(const at::Tensor& inputs, const at::Tensor& residual,
                                      const schedule::GhostSizes* ghosts) const {
  if (!residual.defined()) return {ThenRelu(inputs, ghosts), inputs};
  device::ProfileScope scope(name_, inputs);
  if (ghosts != nullptr) {
    CheckGhosts(inputs, *ghosts);
    std::optional<NormOfSum> result;
    if (UsesGhostNormKernels(inputs, *ghosts)) {
      result = GhostNormReluOfSum(inputs, residual, *ghosts, tensors_, {.momentum = momentum_, .epsilon = epsilon_});
    } else if (CanNormaliseAndRectify(inputs) && CanNormaliseAndRectify(residual) &&
               inputs.scalar_type() == residual.scalar_type()) {
      result = AddNormaliseAndRectify(inputs, residual, *ghosts, tensors_, momentum_, epsilon_);
    }
    if (result) return {scope.Give(result->output), result->sum};
  }
  const at::Tensor sum = inputs.add_(residual);
  return {scope.Give(Normalise(sum, ghosts).relu_()), sum};
}

at::Tensor GhostBatchNorm::operator()(const at::Tensor& inputs, const schedule::GhostSizes* ghosts) const {
  device::ProfileScope scope(name_, inputs);
  return scope.Give(Normalise(inputs, ghosts));
}

at::Tensor GhostBatchNorm::Normalise(const at::Tensor& inputs, const schedule::GhostSizes* ghosts) const {
  if (ghosts == nullptr) {
    return at::batch_norm(inputs, tensors_.weight, tensors_.bias, tensors_.running_mean, tensors_.running_variance,
                          /*training=*/false, momentum_, epsilon_, /*cudnn_enabled=*/true);
  }
  CheckGhosts(inputs, *ghosts);
  if (ghosts->size() == 1) return NormaliseGhost(inputs);

  std::vector<at::Tensor> outputs;
  if (inputs.dim() > 2) {  // one split: its backward puts the ghosts' gradients together in one go
    for (const at::Tensor& ghost : inputs.split_with_sizes(*ghosts)) outputs.push_back(NormaliseGhost(ghost));
    return at::cat(outputs);
  }
  int64_t begin = 0;
  for (const EqualGhosts& run : RunsOfEqualSize(*ghosts)) {
    if (run.size > 1) {
      outputs.push_back(NormaliseTableGhosts(inputs.narrow(0, begin, run.size * run.count), run.count));
    } else {
      for (int64_t k = 0; k < run.count; ++k) {
        outputs.push_back(NormaliseGhost(inputs.narrow(0, begin + k * run.size, run.size)));
      }
    }
    begin += run.size * run.count;
  }
  return at::cat(outputs);
}

at::Tensor GhostBatchNorm::NormaliseGhost(const at::Tensor& ghost) const {
  const bool has_variance = ghost.numel() > ghost.size(1);
  return at::batch_norm(ghost, tensors_.weight, tensors_.bias, tensors_.running_mean, tensors_.running_variance,
                        /*training=*/has_variance, momentum_, epsilon_, /*cudnn_enabled=*/true);
}

// rows: [ghosts * size, F]. Small ghosts side by side are one batch of `size` examples with ghosts * F channels: a
// kernel for all of them and not one for each, of which a batch of 16,000 in ghosts of 32 would need 500.
at::Tensor GhostBatchNorm::NormaliseTableGhosts(const at::Tensor& rows, int64_t ghosts) const {
  const int64_t size = rows.size(0) / ghosts;
  const int64_t features = rows.size(1);
  const at::Tensor side_by_side =
      rows.reshape({ghosts, size, features}).transpose(0, 1).reshape({size, ghosts * features});
  // With a momentum of 1 the "running" statistics are those of the batch, the variance unbiased: what Advance needs.
  const at::Tensor means = at::zeros({ghosts * features}, tensors_.running_mean.options());
  const at::Tensor variances = at::zeros({ghosts * features}, tensors_.running_variance.options());
  const at::Tensor output = at::batch_norm(side_by_side, tensors_.weight.repeat(ghosts), tensors_.bias.repeat(ghosts),
                                           means, variances, /*training=*/true,
                                           /*momentum=*/1, epsilon_, /*cudnn_enabled=*/true);
  {
    const at::NoGradGuard no_gradients;
    Advance(tensors_.running_mean, means.view({ghosts, features}), momentum_);
    Advance(tensors_.running_variance, variances.view({ghosts, features}), momentum_);
  }
  return output.view({size, ghosts, features}).transpose(0, 1).reshape({ghosts * size, features});
}

}  // namespace crescendo::nn
