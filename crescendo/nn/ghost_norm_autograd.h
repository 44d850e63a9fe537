// The operations of ghost_norm.h for autograd, with the ReLU, and whether networks use them.
#pragma once

#include <ATen/core/Tensor.h>

#include "crescendo/nn/ghost_norm.h"

namespace crescendo::nn {

// run.gpu_norm_kernels: whether GhostBatchNorm::ThenRelu uses GhostNormRelu. For the whole program, false at its start.
void UseGhostNormKernels(bool use);

// Whether it does for these inputs: not where it is not to, nor where a ghost has a single row, nor for more
// ghosts than a launch can have.
bool UsesGhostNormKernels(const at::Tensor& inputs, const schedule::GhostSizes& ghosts);

// ReLU(norm(inputs)).
at::Tensor GhostNormRelu(const at::Tensor& inputs, const schedule::GhostSizes& ghosts, const NormTensors& tensors,
                         const GhostNormOptions& options);

// The same of inputs + residual: a pass over memory less than one after the other.
NormOfSum GhostNormReluOfSum(const at::Tensor& inputs, const at::Tensor& residual, const schedule::GhostSizes& ghosts,
                             const NormTensors& tensors, const GhostNormOptions& options);

}  // namespace crescendo::nn
