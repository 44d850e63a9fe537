// Ghost batch norm with what stands around it in a network, in as few passes over memory as it takes: residual
// addition, normalisation, ReLU. Any number of ghosts in one go.
//
//   s = inputs + residual              (or s = inputs)
//   z = (s - mean) / deviation * weight + bias,   mean and deviation of the ghost
//   output = ReLU(z)                   (or output = z)
//
// Forward reads the inputs once for the statistics and s once for the output; backward recomputes z's sign from s
// rather than keep a mask. ghost_batch_norm.h says what the statistics and the running statistics are.
//
// On a GPU these are kernels (ghost_norm.cu). On a CPU they are plain loops over the same arithmetic
// (ghost_norm_math.h), there to be tested where there is no GPU, and not for speed.
#pragma once

#include <ATen/core/Tensor.h>

#include "crescendo/nn/norm_relu.h"
#include "crescendo/schedule/split.h"

namespace crescendo::nn {

struct GhostNormOptions {
  double momentum = 0.1;  // of the running statistics
  double epsilon = 1e-5;
  bool relu = false;
};

struct GhostNormForward {
  at::Tensor output;             // like inputs
  at::Tensor sum;                // s, like inputs; the inputs themselves without a residual
  at::Tensor mean;               // float [ghosts, C]
  at::Tensor inverse_deviation;  // float [ghosts, C]
};

// inputs: float or bfloat16, [n, C], or [n, C, H, W], best in channels_last order; residual: the same, or undefined.
// `ghosts`: sizes of consecutive ghosts, the larger first, differing by at most one example, each with two values per
// channel at least; they add up to n.
GhostNormForward ForwardGhostNorm(const at::Tensor& inputs, const at::Tensor& residual,
                                  const schedule::GhostSizes& ghosts, const NormTensors& tensors,
                                  const GhostNormOptions& options);

struct GhostNormGradients {
  at::Tensor sum;     // of s, so of the inputs and of the residual
  at::Tensor weight;  // float [C]
  at::Tensor bias;    // float [C]
};

// output_gradient, sum_gradient: like inputs; the latter is what reaches s by another way, or undefined.
GhostNormGradients BackwardGhostNorm(const at::Tensor& output_gradient, const at::Tensor& sum_gradient,
                                     const GhostNormForward& forward, const schedule::GhostSizes& ghosts,
                                     const NormTensors& tensors, const GhostNormOptions& options);

}  // namespace crescendo::nn
