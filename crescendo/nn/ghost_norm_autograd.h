// The operations of ghost_norm.h for autograd, with the ReLU.
#pragma once

#include <ATen/core/Tensor.h>

#include "crescendo/nn/ghost_norm.h"

namespace crescendo::nn {

// ReLU(norm(inputs)).
at::Tensor GhostNormRelu(const at::Tensor& inputs, const schedule::GhostSizes& ghosts, const GhostNormTensors& tensors,
                         const GhostNormOptions& options);

// sum = inputs + residual, output = ReLU(norm(sum)): a pass over memory less than one after the other.
struct NormOfSum {
  at::Tensor output;
  at::Tensor sum;
};
NormOfSum GhostNormReluOfSum(const at::Tensor& inputs, const at::Tensor& residual, const schedule::GhostSizes& ghosts,
                             const GhostNormTensors& tensors, const GhostNormOptions& options);

}  // namespace crescendo::nn
