// Ghost batch norm and the ReLU after it as one operation with its own backward pass, for the CPU.
//
// Where convolutions are fast, the passes over memory between them are a third of a step. One after the other, the two
// operations take ten passes over the activations, forward and backward; together seven, of which none is over the
// output: backward works out again where the ReLU was open. All ghosts of a micro-batch go through one call.
//
// Each ghost is cut into the same pieces whatever else is in the call and however many threads there are, and the
// pieces' sums are added in their order: outputs, running statistics and the gradient of the inputs have the same bits
// for any micro-batch. (The parameters' gradients are sums over the micro-batch.)
#pragma once

#include <ATen/core/Tensor.h>

#include "crescendo/schedule/split.h"

namespace crescendo::nn {

// What a batch norm holds; the tensors are its own, each fp32 [channels].
struct NormTensors {
  at::Tensor weight;
  at::Tensor bias;
  at::Tensor running_mean;
  at::Tensor running_variance;
};

// Whether NormaliseAndRectify takes these: on the CPU, fp32 or bfloat16, a table [n, channels] or images [n, channels,
// H, W] in channels_last order, without gaps.
bool CanNormaliseAndRectify(const at::Tensor& inputs);

// ReLU(ghost batch norm) in training, as ghost_batch_norm.h defines it; advances the running statistics. `ghosts` make
// up the inputs. Output of the same shape, type and order in memory.
at::Tensor NormaliseAndRectify(const at::Tensor& inputs, const schedule::GhostSizes& ghosts, const NormTensors& norm,
                               double momentum, double epsilon);

struct NormOfSum {
  at::Tensor output;  // ReLU(norm(sum))
  at::Tensor sum;     // inputs + residual
};

// The sum is made while the statistics are taken, into the memory of the inputs, which nobody may need any more; in
// backward, what reaches it by another way is added while its gradient is written. `residual`: like the inputs.
NormOfSum AddNormaliseAndRectify(const at::Tensor& inputs, const at::Tensor& residual,
                                 const schedule::GhostSizes& ghosts, const NormTensors& norm, double momentum,
                                 double epsilon);

}  // namespace crescendo::nn
