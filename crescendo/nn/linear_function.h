// x W^T + b as one operation with its own backward pass, for tables on the CPU in fp32.
//
// LibTorch's linear is a transpose, a product and a sum, each with a node in the graph. On a small network, whose
// products take a microsecond, keeping that book takes longer than multiplying.
#pragma once

#include <ATen/core/Tensor.h>

namespace crescendo::nn {

// Whether MultiplyTable takes these: fp32 matrices on the CPU without gaps, and no autocast to another type.
bool CanMultiplyTable(const at::Tensor& inputs, const at::Tensor& weight);

// inputs [n, in], weight [out, in], bias [out] or undefined; result [n, out]. Differentiable once.
at::Tensor MultiplyTable(const at::Tensor& inputs, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace crescendo::nn
