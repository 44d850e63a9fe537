// Batch norm whose statistics are those of ghost batches: groups of examples of a fixed size inside the global batch
// (Hoffer, Hubara & Soudry, NeurIPS 2017). The size is a constant of the model, so the network that is trained does not
// change when the batch grows.
//
// Training normalises each ghost by its own mean and (biased) variance. The running statistics advance once per ghost,
// in order,
//   r <- (1 - a) r + a s,    a: norm_momentum, s: the ghost's mean, or its unbiased variance,
// so their memory, counted in examples, stays constant as the batch grows; after K ghosts,
//   r <- (1 - a)^K r + a sum_k (1 - a)^(K-1-k) s_k.
// Evaluation normalises by the running statistics and knows no ghosts. Statistics are fp32, whatever the inputs are.
//
// A ghost with a single value per channel (one row of a table, where a run's last update leaves one over) has no
// variance. It is normalised by the running statistics and leaves them as they are.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "crescendo/config/options.h"
#include "crescendo/nn/model.h"
#include "crescendo/nn/norm_relu.h"

namespace crescendo::nn {

class GhostBatchNorm {
 public:
  // Registers name.weight (ones), name.bias (zeros), name.running_mean (zeros) and name.running_var (ones), each
  // [channels].
  GhostBatchNorm(Model& model, const std::string& name, int64_t channels, const config::ModelOptions& options);

  // inputs: [n, channels] or [n, channels, H, W]; output of the same shape, type and memory layout. `ghosts`:
  // consecutive examples, sizes that add up to n (schedule/split.h); nullptr in evaluation.
  at::Tensor operator()(const at::Tensor& inputs, const schedule::GhostSizes* ghosts) const;

  // The same followed by ReLU; one operation where there is one for the inputs (norm_relu.h, ghost_norm_autograd.h).
  at::Tensor ThenRelu(const at::Tensor& inputs, const schedule::GhostSizes* ghosts) const;

  // The same of inputs + residual, and that sum, whose memory may be that of the inputs: nobody may need these any
  // more. An undefined residual is none.
  NormOfSum SumThenRelu(const at::Tensor& inputs, const at::Tensor& residual, const schedule::GhostSizes* ghosts) const;

 private:
  at::Tensor Normalise(const at::Tensor& inputs, const schedule::GhostSizes* ghosts) const;
  at::Tensor NormaliseGhost(const at::Tensor& ghost) const;
  at::Tensor NormaliseTableGhosts(const at::Tensor& rows, int64_t ghosts) const;

  std::string name_;
  NormTensors tensors_;
  double momentum_;
  double epsilon_;
};

}  // namespace crescendo::nn
